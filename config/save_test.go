package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/s3mount/s3mount/internal/secret"
	"github.com/s3mount/s3mount/object"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// onDisk writes a config file and loads it.
func onDisk(t *testing.T, text string, mode os.FileMode) (*File, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "x.conf")
	must(t, os.WriteFile(path, []byte(text), 0o600))
	must(t, os.Chmod(path, mode))
	f, err := Load(t.Context(), path, nil)
	must(t, err)
	return f, path
}

// alone fails if a folder has more than one entry: a temporary file that was left.
func alone(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	must(t, err)
	if len(entries) > 1 {
		t.Errorf("left behind: %v", entries)
	}
}

func readText(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	must(t, err)
	return string(text)
}

func TestSaveReplacesTheFileForItsOwnerOnly(t *testing.T) {
	for had, want := range map[os.FileMode]os.FileMode{0o600: 0o600, 0o644: 0o600, 0o666: 0o600, 0o400: 0o400} {
		f, path := onDisk(t, "[a]\ntype = s3\n", had)
		must(t, f.Set("a", "k", "v"))
		must(t, f.Save())
		must(t, f.Set("a", "k", "w")) // again, on what it wrote itself
		must(t, f.Save())
		info, err := os.Stat(path)
		must(t, err)
		if info.Mode() != want {
			t.Errorf("mode %v became %v, want %v", had, info.Mode(), want)
		}
		if got := readText(t, path); got != "[a]\ntype = s3\nk = w\n" {
			t.Errorf("got %q", got)
		}
		alone(t, filepath.Dir(path))
	}
}

func TestSaveMakesANewFileAndItsFolder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "folder", "x.conf")
	f := New(path)
	must(t, f.Create("a"))
	must(t, f.Save())
	info, err := os.Stat(path)
	must(t, err)
	dir, err := os.Stat(filepath.Dir(path))
	must(t, err)
	if info.Mode() != 0o600 || dir.Mode().Perm() != 0o700 {
		t.Errorf("modes %v, %v", info.Mode(), dir.Mode())
	}
}

func TestSaveFollowsASymbolicLink(t *testing.T) {
	_, path := onDisk(t, "[a]\n", 0o600)
	for name, target := range map[string]string{"absolute": path, "to nothing yet": path + ".new"} {
		dir := t.TempDir()
		link := filepath.Join(dir, "link")
		must(t, os.Symlink(target, link))
		f := New(link)
		if name == "absolute" {
			var err error
			f, err = Load(t.Context(), link, nil)
			must(t, err)
		}
		must(t, f.Create("b"))
		must(t, f.Save())
		if got, err := os.Readlink(link); err != nil || got != target {
			t.Errorf("%s: the link is %q, %v", name, got, err)
		}
		if !strings.Contains(readText(t, target), "[b]") {
			t.Errorf("%s: the target has %q", name, readText(t, target))
		}
		alone(t, dir)
	}
	loop := filepath.Join(t.TempDir(), "loop")
	must(t, os.Symlink("loop", loop))
	if err := New(loop).Save(); err == nil {
		t.Error("a loop of links was saved to")
	}
}

func TestSaveRefusesAFileThatChangedMeanwhile(t *testing.T) {
	f, path := onDisk(t, "[a]\n", 0o600)
	must(t, f.Create("b"))
	must(t, os.WriteFile(path, []byte("[theirs]\n"), 0o600))
	err := f.Save()
	if !object.Is(err, object.KindConflict) || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "run this again") {
		t.Errorf("changed: %v", err)
	}
	if readText(t, path) != "[theirs]\n" {
		t.Errorf("it was overwritten: %q", readText(t, path))
	}
	alone(t, filepath.Dir(path))

	must(t, os.Remove(path))
	if err := f.Save(); !object.Is(err, object.KindConflict) {
		t.Errorf("removed: %v", err)
	}
	if err := os.WriteFile(path, []byte("[theirs]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := New(path).Save(); !object.Is(err, object.KindConflict) {
		t.Errorf("made meanwhile: %v", err)
	}
}

func TestSaveNeverWritesHalfAFile(t *testing.T) {
	f, path := onDisk(t, "[a]\n", 0o600)
	must(t, f.Create("b"))
	dir := filepath.Dir(path)
	must(t, os.Rename(dir, dir+".gone"))
	must(t, os.WriteFile(dir, nil, 0o600)) // a file stands where the folder was
	if err := f.Save(); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("saved: %v", err)
	}
	must(t, os.Remove(dir))
	must(t, os.Rename(dir+".gone", dir))
	if readText(t, path) != "[a]\n" {
		t.Errorf("got %q", readText(t, path))
	}
	if err := New(t.TempDir()).Save(); err == nil || !strings.Contains(err.Error(), "no regular file") {
		t.Errorf("a folder: %v", err)
	}
}

func TestTextHidesWhatItIsTold(t *testing.T) {
	f := mustParse(t, "# top\n[a]\ntype = s3\nsecret_access_key = HIDDEN\nsession_token =\n\n[b]\ntype = s3\n")
	hide := func(_, key string) bool { return IsSecret(key) }
	if got, want := f.Text("a", hide, "XXX"), "[a]\ntype = s3\nsecret_access_key = XXX\nsession_token =\n"; got != want {
		t.Errorf("got %q", got)
	}
	if got, want := f.Text("", hide, "XXX"), "# top\n[a]\ntype = s3\nsecret_access_key = XXX\nsession_token =\n\n[b]\ntype = s3\n"; got != want {
		t.Errorf("got %q", got)
	}
}

func TestEncryptedFilesStayEncrypted(t *testing.T) {
	f, path := onDisk(t, "# kept\n[a]\ntype = s3\nsecret_access_key = HIDDEN\n", 0o600)
	must(t, f.SetPassword(secret.New("pass ☃")))
	must(t, f.Save())
	if text := readText(t, path); !strings.HasPrefix(text, "# Encrypted rclone configuration File\n\nRCLONE_ENCRYPT_V0:\n") || strings.Contains(text, "HIDDEN") {
		t.Errorf("got %q", text)
	}
	p := &Passwords{Getenv: func(k string) string { return map[string]string{"S3MOUNT_CONFIG_PASS": "pass ☃"}[k] }}
	f, err := Load(t.Context(), path, p)
	must(t, err)
	must(t, f.Set("a", "k", "v"))
	must(t, f.Save())
	f, err = Load(t.Context(), path, p)
	must(t, err)
	if !f.Encrypted() || string(f.plain()) != "# kept\n[a]\ntype = s3\nsecret_access_key = HIDDEN\nk = v\n" {
		t.Errorf("encrypted %v: %q", f.Encrypted(), f.plain())
	}
	must(t, f.SetPassword(secret.String{}))
	must(t, f.Save())
	if text := readText(t, path); !strings.HasPrefix(text, "# kept\n") {
		t.Errorf("got %q", text)
	}
	for _, bad := range []string{" ", "\xff"} {
		if err := f.SetPassword(secret.New(bad)); !object.Is(err, object.KindInvalid) {
			t.Errorf("password %q: %v", bad, err)
		}
	}
}

// A key that somebody made a comment is as secret as before; so is a password in a URL.
func TestSecretsInOddPlacesAreNotShown(t *testing.T) {
	f := mustParse(t, "[a]\ntype = s3\n# secret_access_key = HIDDEN\n;session_token: HIDDEN\n  ## my token=HIDDEN\n"+
		"# made in 2026: mine\nendpoint = https://user:HIDDEN@s3.example.org/x\npath = a@b\n")
	hide := func(_, key string) bool { return IsSecret(key) }
	got := f.Text("", hide, "XXX")
	want := "[a]\ntype = s3\n# secret_access_key = XXX\n;session_token: XXX\n  ## my token= XXX\n" +
		"# made in 2026: mine\nendpoint = https://XXX@s3.example.org/x\npath = a@b\n"
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if all := f.Text("", func(_, _ string) bool { return false }, "XXX"); strings.Count(all, "HIDDEN") != 4 {
		t.Errorf("with secrets:\n%s", all)
	}
}
