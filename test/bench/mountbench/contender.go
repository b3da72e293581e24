package mountbench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// ours is the name of the contender that is built from this tree.
const ours = "s3mount"

// oursBack is the same program that returns before S3 has everything.
const oursBack = ours + writebackFlag

const writebackFlag = " --writeback"

// isOurs reports whether a contender is built from this tree.
func isOurs(name string) bool { return name == ours || name == oursBack }

// barOf is what a contender of ours is to reach.
func (w workload) barOf(name string) bar {
	if name == oursBack {
		return w.back
	}
	return w.bar
}

// place is what a contender is told to mount, and where.
type place struct {
	bucket, dir, cache string
	home               string // of the config files that configure wrote
	url                string
	profile            string // where s3mount writes its CPU profile; empty: nowhere
}

// contender is a program that mounts buckets.
type contender struct {
	name, path string
	args       func(place) []string
}

// takes reports whether a contender runs a workload: with --writeback nothing but writing
// is another.
func (c contender) takes(w workload) bool { return c.name != oursBack || w.writes }

// contenders are those that are on this machine; binary is ours, and back says that it
// has --writeback.
func (o *options) contenders(binary string, back bool) []contender {
	own := func(flags ...string) func(place) []string {
		return func(p place) []string {
			args := append([]string{"mount", "--config", filepath.Join(p.home, "rclone.conf"), "--cache-dir", p.cache}, flags...)
			if p.profile != "" {
				args = append(args, "--cpuprofile", p.profile+".cpu", "--memprofile", p.profile+".mem")
			}
			return append(append(args, strings.Fields(o.flags)...), "fake:"+p.bucket, p.dir)
		}
	}
	all := []contender{{ours, binary, own()}}
	if back {
		all = append(all, contender{oursBack, binary, own(strings.TrimSpace(writebackFlag))})
	}
	all = append(all, []contender{
		{"rclone", o.rclone, func(p place) []string {
			return []string{"mount", "--config", filepath.Join(p.home, "rclone.conf"), "--cache-dir", p.cache, "--vfs-cache-mode", "full", "fake:" + p.bucket, p.dir}
		}},
		{"s3fs", "s3fs", func(p place) []string {
			return []string{p.bucket, p.dir, "-f", "-o", "url=" + p.url, "-o", "use_path_request_style", "-o", "endpoint=us-east-1",
				"-o", "passwd_file=" + filepath.Join(p.home, "s3fs.passwd"), "-o", "use_cache=" + p.cache}
		}},
		{"goofys", "goofys", func(p place) []string { return []string{"-f", "--endpoint", p.url, p.bucket, p.dir} }},
		{"geesefs", "geesefs", func(p place) []string { return []string{"-f", "--endpoint", p.url, p.bucket, p.dir} }},
		{"tigrisfs", "tigrisfs", func(p place) []string { return []string{"-f", "--endpoint", p.url, p.bucket, p.dir} }},
	}...)
	var found []contender
	for _, c := range all {
		path, err := exec.LookPath(c.path)
		if err != nil || !o.only.MatchString(c.name) {
			continue
		}
		c.path = path
		found = append(found, c)
	}
	return found
}

// hasWriteback asks an s3mount for its flags.
func hasWriteback(ctx context.Context, binary string) bool {
	help, err := exec.CommandContext(ctx, binary, "mount", "--help").CombinedOutput()
	return err == nil && strings.Contains(string(help), writebackFlag)
}

// findRclone looks for rclone where make tools puts it, if nobody named one.
func findRclone(root string) string {
	for _, dir := range []string{os.Getenv("S3MOUNT_TOOLS"), filepath.Join(root, ".tools", "bin")} {
		path := filepath.Join(dir, "rclone")
		if _, err := os.Stat(path); dir != "" && err == nil {
			return path
		}
	}
	return "rclone"
}

// configure writes the config files of all contenders. The store lets anybody in.
func configure(home, url string) error {
	conf := fmt.Sprintf("[fake]\ntype = s3\nprovider = Minio\nendpoint = %s\nregion = us-east-1\naccess_key_id = key\nsecret_access_key = secret\n", url)
	return errors.Join(
		os.WriteFile(filepath.Join(home, "rclone.conf"), []byte(conf), 0o600),
		os.WriteFile(filepath.Join(home, "s3fs.passwd"), []byte("key:secret\n"), 0o600),
	)
}

// moduleRoot is where the program's sources are.
func moduleRoot(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "github.com/s3mount/s3mount").Output()
	if err != nil {
		return "", fmt.Errorf("where is s3mount's source? run this in its folder test/bench: %w", err)
	}
	return strings.TrimSpace(string(out)), nil
}

// build builds s3mount.
func build(ctx context.Context, root, to string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-o", to, "./cmd/s3mount")
	cmd.Dir = root
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // it removes its own files
	cmd.WaitDelay = patience
	if said, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w\n%s", err, said)
	}
	return nil
}
