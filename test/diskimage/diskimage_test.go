package diskimage

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// A file that gets another name while it is copied is no error.
func TestCopyOfFilesThatGetTheirNames(t *testing.T) {
	from, stop, done := t.TempDir(), make(chan struct{}), make(chan error)
	one, other := filepath.Join(from, "one"), filepath.Join(from, "other")
	if err := os.WriteFile(one, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			select {
			case <-stop:
				done <- nil
				return
			default:
			}
			if err := errors.Join(os.Rename(one, other), os.Rename(other, one)); err != nil {
				done <- err
				return
			}
		}
	}()
	for range 50 {
		if err := Copy(filepath.Join(t.TempDir(), "to"), from); err != nil {
			t.Error(err)
		}
	}
	close(stop)
	if err := <-done; err != nil {
		t.Error(err)
	}
	if err := Copy(filepath.Join(t.TempDir(), "to"), filepath.Join(from, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a folder that is not there: %v", err)
	}
}
