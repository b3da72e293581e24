package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"sync/atomic"
	"testing"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/s3mount/s3mount/test/fstest"
	"github.com/s3mount/s3mount/test/s3fake"
)

// Random operations of one program go on as on a local folder while another writer
// replaces the objects beside them again and again: who reads these sees one version, and
// who edits one stores one version with the edit, or fails.
func TestRandomOperationsWhileAnotherWriterReplacesObjects(t *testing.T) {
	const size = 3 << 20
	m, _, b := fakeMount(t, "--dir-cache-time=0", "--attr-timeout=0")
	must(t, os.Mkdir(m.Dir+"/own", 0o755))
	var now atomic.Uint64
	replace := func(v uint64) {
		b.PutPattern("read", size, s3fake.NewPattern(v), nil)
		b.PutPattern("edited", size, s3fake.NewPattern(v), nil)
		now.Store(v)
	}
	replace(1)
	stop := make(chan struct{})
	rounds := make(chan struct{}) // of readers and editors: the pace of the other writer
	round := func() bool {
		select {
		case rounds <- struct{}{}:
			return true
		case <-stop:
			return false
		}
	}
	var g errgroup.Group
	g.Go(func() error {
		for n := uint64(0); ; n++ {
			select {
			case <-rounds:
			case <-stop:
				return nil
			}
			if n%3 == 2 && now.Load() < 40 {
				replace(now.Load() + 1)
			}
		}
	})
	for i := range 3 {
		dice := rand.New(rand.NewPCG(uint64(i), 3))
		g.Go(func() error {
			for round() {
				if err := readOneVersion(m.Dir+"/read", size, dice, &now); err != nil {
					return err
				}
			}
			return nil
		})
	}
	g.Go(func() error {
		for round() {
			if err := editOneVersion(m.Dir + "/edited"); err != nil && !errors.Is(err, unix.ESTALE) {
				return err
			}
			got, _ := b.Get("edited")
			if err := isOneVersion(got, size, now.Load()+1); err != nil {
				return fmt.Errorf("stored by an edit: %w", err)
			}
		}
		return nil
	})
	fstest.Random(t, 4, 300, fstest.OS{Root: m.Dir + "/own"}, fstest.OS{Root: t.TempDir()})
	close(stop)
	must(t, g.Wait())
	if now.Load() < 5 {
		t.Errorf("only %d versions were stored meanwhile", now.Load())
	}
}

// theEdit is at editAt.
var theEdit = bytes.Repeat([]byte("edit"), 25)

const editAt = 1<<20 + 5

func editOneVersion(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(theEdit, editAt)
	return errors.Join(err, f.Close())
}

// isOneVersion fails unless data is one of the versions, with theEdit or without.
func isOneVersion(data []byte, size int, versions uint64) error {
	if len(data) != size {
		return fmt.Errorf("%d bytes, not %d", len(data), size)
	}
	v := versionOf(data[:4096], 0, versions)
	want := make([]byte, size)
	s3fake.NewPattern(v).ReadAt(want, 0)
	if bytes.Equal(data, want) {
		return nil
	}
	copy(want[editAt:], theEdit)
	if v == 0 || !bytes.Equal(data, want) {
		return fmt.Errorf("bytes of no version, or of two (the first are of version %d)", v)
	}
	return nil
}
