package overlay

import (
	"bytes"
	"context"
	"crypto/md5"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/s3mount/s3mount/object"
	"github.com/s3mount/s3mount/writeback"
)

// use checks how many bytes of the disk budget are taken, soon after the last operation: what
// Flush waits for is over before its space is given back, and nothing tells of that.
func (s *simple) use(want int64) {
	s.t.Helper()
	used, _ := s.Disk.Usage()
	for end := time.Now().Add(5 * time.Second); used != want && time.Now().Before(end); used, _ = s.Disk.Usage() {
		time.Sleep(time.Millisecond)
	}
	if used != want {
		s.t.Errorf("%d bytes of the disk budget are in use, want %d", used, want)
	}
}

// TestRegressionARefusedPromiseTakesNoSpace has a large file lose its name before it is
// promised: its space stays its own, and is given back once.
func TestRegressionARefusedPromiseTakesNoSpace(t *testing.T) {
	ctx := context.Background()
	s := newSimple(t, func(o *Options) { o.Small = 100 })
	edits, err := writeback.NewQueue(writeback.Options{Dir: scratch(t), Uploader: s.store, Promiser: s.Overlay, Disk: s.Disk})
	s.check(err)
	s.put("f", "there", fresh)
	s.use(4096)
	e, err := edits.Stage()
	s.check(err)
	_, err = e.WriteAt(ctx, make([]byte, 10_000), 0)
	s.check(err)
	if _, err := e.Upload("f", object.PutOptions{Condition: fresh}).Wait(ctx); !object.Is(err, object.KindConflict) {
		t.Fatal(err)
	}
	s.use(4 * 4096)
	_, err = e.Upload("g", object.PutOptions{Condition: fresh}).Wait(ctx)
	s.check(err)
	e.Discard()
	s.check(edits.Close(ctx))
	s.use(4 * 4096)
	s.sent()
	s.use(0)
}

// TestRegressionWhatIsGivenUpTakesNoSpace has somebody else replace a file of which an edit
// was renamed: what was prepared for the upload goes.
func TestRegressionWhatIsGivenUpTakesNoSpace(t *testing.T) {
	unsent := t.TempDir()
	s := newSimple(t, func(o *Options) { o.Small, o.Unsent = 100, unsent })
	data := bytes.Repeat([]byte("0123456789"), 1000)
	s.store.mu.Lock()
	old := s.store.putLocked("a", data, object.Meta{"of": "old"}, "")
	s.store.mu.Unlock()
	s.check(s.Disk.Reserve(4096))
	_, _, err := s.Promise(context.Background(), "b", object.PutOptions{Meta: object.Meta{"of": "new"}, Condition: fresh},
		writeback.Edit{Size: 10_000, Ranges: []object.Range{{Off: 3, Len: 200}}, Content: bytes.NewReader(data), Base: old.ID(), BaseEnd: 10_000,
			Reserved: 4096, HandOver: func(path string) error { return os.WriteFile(path, data, 0o600) }})
	s.check(err)
	s.store.mu.Lock()
	s.store.putLocked("a", []byte("theirs"), object.Meta{"of": "theirs"}, "")
	s.store.mu.Unlock()
	s.sent()
	s.use(0)
	if n := len(s.send.Pending()); n > 0 {
		t.Errorf("%d files wait to be sent", n)
	}
}

// TestRegressionAnothersFileOfTheSameTimeIsNotOurs has somebody else store a file of the same
// size and metadata, as programs do that set times: neither content may get lost.
func TestRegressionAnothersFileOfTheSameTimeIsNotOurs(t *testing.T) {
	for _, lose := range []bool{false, true} { // the first try
		t.Run(fmt.Sprint(lose), func(t *testing.T) {
			s := newSimple(t, nil)
			meta := object.Meta{"mtime": "1800000000", "mode": "33188"}
			_, _, err := s.Promise(context.Background(), "f", object.PutOptions{Meta: meta, Condition: fresh},
				writeback.Edit{Size: 4, Ranges: []object.Range{{Len: 4}}, Content: strings.NewReader("ours")})
			s.check(err)
			s.store.fail = func(op, key string) outcome {
				if lose && key == "f" {
					lose = false
					return lost
				}
				return works
			}
			s.store.mu.Lock()
			info := s.store.putLocked("f", []byte("them"), meta, "")
			info.ETag = fmt.Sprintf("%x", md5.Sum([]byte("them")))
			s.store.objects["f"] = memObject{info, []byte("them")}
			s.store.mu.Unlock()
			s.sent()
			s.check(s.Flush(context.Background())) // of what was moved aside
			got := slices.Sorted(maps.Values(s.store.content()))
			if want := []string{describe([]byte("ours"), meta), describe([]byte("them"), meta)}; !slices.Equal(got, want) {
				t.Errorf("the store has %q, want %q", got, want)
			}
		})
	}
}

// TestRegressionARemovedFileIsNotRefusedForEver removes a file that the store does not take:
// nothing is left of it to be sent.
func TestRegressionARemovedFileIsNotRefusedForEver(t *testing.T) {
	s := newSimple(t, nil)
	s.store.fail = func(op, key string) outcome {
		if op == "put" && key == "no" {
			return denied
		}
		return works
	}
	info := s.put("no", "x", fresh)
	s.Start()
	if err := s.Flush(context.Background()); !object.Is(err, object.KindPermission) {
		t.Fatal(err)
	}
	s.check(s.DeleteMany(context.Background(), []string{info.Key}))
	s.check(s.Flush(context.Background()))
	s.check(s.TakeFailure("no"))
	if n := s.Pending(); n > 0 || !s.log.Empty() || len(s.store.log) > 0 {
		t.Errorf("%d are pending; the store got %v", n, s.store.log)
	}
}
