package mountbench

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// programs are the workloads that are other people's programs.
func (b *bench) programs() []workload {
	z := b.sizes
	files := planting{Dirs: z.smallDirs, Files: z.small, Size: smallSize}
	return []workload{
		{
			name: "sqlite", title: fmt.Sprintf("SQLite, %d commits", z.commits), writes: true, shown: true,
			run: func(ctx context.Context, s *session) error {
				_, err := s.command(ctx, "sqlite3", s.at("db"), sqlScript(z.commits))
				return err
			},
			settled: sameFiles,
			after:   func(ctx context.Context, s *session) error { return s.checkSQL(ctx, z.commits) },
			bar:     bar{seconds: 3},
			back:    bar{seconds: 0.3},
		},
		{
			name: "git", title: fmt.Sprintf("git init, add %d, commit, status", z.small), writes: true, shown: true,
			before: func(_ context.Context, s *session) error { return files.local(s.at("repo")) },
			run: func(ctx context.Context, s *session) error {
				for _, args := range []string{"init -q -b main", "add -A", "commit -q -m first", "status"} {
					if _, err := s.git(ctx, strings.Fields(args)...); err != nil {
						return err
					}
				}
				return nil
			},
			settled: sameFiles,
			after:   checkGit,
			back:    bar{seconds: 1.5, settled: 3},
		},
	}
}

func (s *session) git(ctx context.Context, args ...string) ([]byte, error) {
	return s.command(ctx, "git", append([]string{"-C", s.at("repo")}, args...)...)
}

func sqlScript(commits int) string {
	var script strings.Builder
	script.WriteString("create table t (i integer, x text);\n")
	for i := range commits {
		fmt.Fprintf(&script, "insert into t values (%d, 'row %d');\n", i, i)
	}
	return script.String()
}

func (s *session) checkSQL(ctx context.Context, commits int) error {
	out, err := s.command(ctx, "sqlite3", s.at("db"), "pragma integrity_check; select count(*) from t;")
	if err != nil {
		return err
	}
	if got, want := strings.Fields(string(out)), []string{"ok", fmt.Sprint(commits)}; strings.Join(got, " ") != strings.Join(want, " ") {
		return fmt.Errorf("the database says %q", got)
	}
	return nil
}

func checkGit(ctx context.Context, s *session) error {
	if _, err := s.git(ctx, "fsck", "--strict"); err != nil {
		return err
	}
	out, err := s.git(ctx, "status", "--porcelain")
	if err == nil && len(out) > 0 {
		err = fmt.Errorf("git status: %s", out)
	}
	return err
}

// sameFiles says nil once the store has the files that the mount shows, byte by byte.
func sameFiles(_ context.Context, s *session) error {
	if s.shown == nil {
		shown, err := sums(s.dir)
		if err != nil {
			return err
		}
		s.shown = shown
	}
	r, err := s.b.store.ask(question{Op: "sums", Bucket: bucketName})
	if err != nil {
		return err
	}
	n := 0
	for key, sum := range r.Sums {
		if strings.HasSuffix(key, "/") {
			continue
		}
		if n++; s.shown[key] != sum {
			return fmt.Errorf("%s is another in the store", key)
		}
	}
	if n != len(s.shown) {
		return fmt.Errorf("%d files in the store, %d in the mount", n, len(s.shown))
	}
	return nil
}

// sums are the SHA-256 sums of all files under a directory.
func sums(dir string) (map[string]string, error) {
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		sum := sha256.Sum256(data)
		all[name] = hex.EncodeToString(sum[:])
		return err
	})
	return all, err
}
