package rclone

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/s3mount/s3mount/test/mounts"
)

// idle fails if a transfer of ours did anything, and idleTheirs if one of rclone's would.
func idle(t *testing.T, stderr string) {
	t.Helper()
	if strings.Contains(stderr, "copied") || strings.Contains(stderr, "deleted") || strings.Contains(stderr, "new time") || !strings.Contains(stderr, "unchanged") {
		t.Errorf("s3mount finds something to do:\n%s", stderr)
	}
}

func idleTheirs(t *testing.T, stderr string) {
	t.Helper()
	for _, word := range []string{"Copied", "Deleted", "Skipped", "Updated modification time"} {
		if strings.Contains(stderr, word) {
			t.Errorf("rclone finds something to do:\n%s", stderr)
			return
		}
	}
}

func TestListingsAreRclones(t *testing.T) {
	eachStore(t, func(t *testing.T, p *pair) {
		p.plant("tree")
		p.theirs("copy", "tree", p.bucket+"/top")
		for _, path := range []string{p.bucket, p.bucket + "/top/b c", p.bucket + "/top/a.txt", "tree"} {
			p.same("ls", path)
			p.same("lsl", path)
			p.same("lsd", path)
			p.same("size", path)
		}
		p.same("lsd", "-R", p.bucket)
		p.same("lsd", "test:")
		p.same("size", "--json", p.bucket)
		p.same("lsf", p.bucket+"/top")
		p.same("lsf", "-R", "--files-only", "--format", "pst", p.bucket)
		p.same("lsf", "-R", "--format", "ps", "--csv", p.bucket)
		p.same("lsf", "--format", "hp", "--files-only", "-R", p.bucket+"/top/b c")
		p.same("lsf", "--dirs-only", "--absolute", p.bucket+"/top")
		p.same("lsf", "--separator", " | ", "--format", "sp", "--dir-slash=false", "tree")
		p.same("ls", p.bucket+"/none")
		p.same("ls", p.bucket+"-not-there")
		p.same("lsd", p.bucket+"-not-there")
		p.same("ls", "nowhere")
		p.same("cat", p.bucket+"/top/b c")
		p.same("cat", "--head", "3", p.bucket+"/top/a.txt")
		p.same("cat", "--tail", "3", p.bucket+"/top/a.txt")
		p.same("cat", "--offset", "-3", "--count", "2", p.bucket+"/top/a.txt")
	})
}

func TestFiltersAreRclones(t *testing.T) {
	p := newPair(t, pool.MinIO(t))
	p.plant("tree")
	p.theirs("copy", "tree", p.bucket)
	write(t, filepath.Join(p.home, "rules"), "# comment\n- b/**\n+ *.txt\n+ b c/**\n- *\n")
	write(t, filepath.Join(p.home, "names"), "a.txt\nb c/with blank\nnot/there\n")
	for _, flags := range [][]string{
		{"--include", "*.txt"}, {"--include", "/b.txt"}, {"--include", "b c/**"}, {"--exclude", "*.{txt,bin}"}, {"--exclude", "b/"},
		{"--include", "*.txt", "--include", "*.md"}, {"--filter-from", "rules"}, {"--files-from", "names"}, {"--min-size", "1K"},
		{"--max-size", "5B"}, {"--min-size", "2B", "--max-size", "70"}, {"--min-age", "2020-09-20"}, {"--max-age", "2020-09-20"},
		{"--filter", "- a*", "--filter", "+ b*", "--filter", "- *"}, {"--include", "[a-b].txt"}, {"--exclude", "**/deep.*"}, {"--max-depth", "2"},
	} {
		p.same(append([]string{"ls"}, append(flags, p.bucket)...)...)
		p.same(append([]string{"ls"}, append(flags, "tree")...)...)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// After one of the two has copied or synced, the other finds nothing to do.
func TestAfterOneTheOtherHasNothingToDo(t *testing.T) {
	eachStore(t, func(t *testing.T, p *pair) {
		p.plant("tree")
		write(t, filepath.Join(p.home, "tree/tab\tname"), "control characters")
		p.ours("copy", "tree", p.bucket+"/ours")
		p.theirs("copy", "tree", p.bucket+"/theirs")
		for _, side := range []string{p.bucket + "/ours", p.bucket + "/theirs"} {
			_, stderr := p.theirs("sync", "-v", "--dry-run", "tree", side)
			idleTheirs(t, stderr)
			_, stderr = p.ours("sync", "-v", "tree", side)
			idle(t, stderr)
			p.theirs("check", "tree", side)
			p.theirs("check", "--download", "tree", side)
			p.ours("check", "tree", side)
			p.ours("check", "--download", "tree", side)
		}
		p.ours("copy", p.bucket+"/theirs", "down-ours")
		p.theirs("copy", p.bucket+"/ours", "down-theirs")
		for _, down := range []string{"down-ours", "down-theirs"} {
			_, stderr := p.theirs("sync", "-v", "--dry-run", "--no-update-dir-modtime", "tree", down)
			idleTheirs(t, stderr)
			_, stderr = p.ours("sync", "-v", "tree", down)
			idle(t, stderr)
		}
		p.ours("sync", p.bucket+"/theirs", p.bucket+"/theirs-by-us")
		_, stderr := p.theirs("sync", "-v", "--dry-run", "tree", p.bucket+"/theirs-by-us")
		idleTheirs(t, stderr)
		p.theirs("sync", p.bucket+"/ours", p.bucket+"/ours-by-them")
		_, stderr = p.ours("sync", "-v", "tree", p.bucket+"/ours-by-them")
		idle(t, stderr)
	})
}

// What changes is synced the same by both, and check finds the same.
func TestChangesAreFoundAlike(t *testing.T) {
	eachStore(t, func(t *testing.T, p *pair) {
		p.plant("tree")
		p.ours("copy", "tree", p.bucket)
		write(t, filepath.Join(p.home, "tree/a.txt"), "HELLO\n")
		write(t, filepath.Join(p.home, "tree/new"), "new")
		if err := os.Remove(filepath.Join(p.home, "tree/b.txt")); err != nil {
			t.Fatal(err)
		}
		p.same("check", "--combined", "-", "tree", p.bucket)
		p.same("check", "--one-way", "--combined", "-", "tree", p.bucket)
		p.same("check", "--size-only", "--combined", "-", "tree", p.bucket)
		p.same("check", "--download", "--combined", "-", "tree", p.bucket)
		for _, list := range []string{"--missing-on-src", "--missing-on-dst", "--differ", "--match", "--error"} {
			p.same("check", list, "-", "tree", p.bucket)
		}
		p.ours("sync", "tree", p.bucket)
		_, stderr := p.theirs("sync", "-v", "--dry-run", "tree", p.bucket)
		idleTheirs(t, stderr)
		p.same("check", "--combined", "-", "tree", p.bucket)
		p.same("ls", p.bucket)
	})
}

// A byte in the middle of an object in parts, without a sum, is seen by --download alone.
func TestCheckDownloadIsRclones(t *testing.T) {
	eachStore(t, func(t *testing.T, p *pair) {
		p.plant("tree")
		p.ours("copy", "--s3-disable-checksum", "--s3-upload-cutoff", "5M", "--s3-chunk-size", "5M", "tree", p.bucket)
		big := filepath.Join(p.home, "tree/big.bin")
		f, err := os.OpenFile(big, os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		_, err = f.WriteAt([]byte{0xff}, 6<<20)
		if err = errors.Join(err, f.Close()); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(p.home, "tree/a.txt"), "other\n")
		for _, list := range []string{"--combined", "--match", "--differ", "--missing-on-src", "--missing-on-dst", "--error"} {
			p.same("check", list, "-", "tree", p.bucket)
			p.same("check", "--download", list, "-", "tree", p.bucket)
			p.same("check", "--download", list, "-", p.bucket, "tree")
		}
		_, stderr, _ := p.run(mounts.Binary(t), "check", "--download", "tree", p.bucket)
		if !strings.Contains(stderr, `"big.bin" differs: contents differ at byte 6291456`) {
			t.Errorf("s3mount says\n%s", stderr)
		}
	})
}

// A time that one sets is the other's, too.
func TestTouchIsRclones(t *testing.T) {
	p := newPair(t, pool.MinIO(t))
	p.ours("touch", "-t", "2021-02-03T04:05:06.789", p.bucket+"/x")
	p.same("lsl", p.bucket)
	p.theirs("touch", "-t", "2020-02-03T04:05:06.789", p.bucket+"/x")
	p.theirs("touch", "-t", "200102", p.bucket+"/y")
	p.same("lsl", p.bucket)
	p.ours("delete", p.bucket+"/x")
	p.same("ls", p.bucket)
	p.ours("purge", p.bucket)
	p.same("ls", p.bucket)
	p.same("purge", p.bucket)
}
