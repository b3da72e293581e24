package overlay

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/s3mount/s3mount/internal/budget"
	"github.com/s3mount/s3mount/object"
)

func (s *simple) move(to string, from ...object.Info) []object.Info {
	s.t.Helper()
	var keys []string
	for _, info := range from {
		keys = append(keys, to+strings.TrimPrefix(info.Key, "d/"))
	}
	now, err := s.MoveMany(context.Background(), from, keys)
	s.check(err)
	return now
}

// A folder's rename is sent as copies, then deletes; what is not stored goes to its new key alone.
func TestMoveMany(t *testing.T) {
	s := newSimple(t, nil)
	a, b, c := s.stored("d/a", "1"), s.put("d/b", "2", fresh), s.stored("d/c", "3")
	now := s.move("e/", a, b, c)
	for i, key := range []string{"e/a", "e/b", "e/c"} {
		if got, err := s.Head(context.Background(), key); err != nil || got.ETag != now[i].ETag || now[i].Key != key {
			t.Errorf("%s is %+v, %v; told was %+v", key, got, err, now[i])
		}
	}
	got := strings.Split(s.sent(), ", ")
	slices.Sort(got[:3])
	if want := []string{"copy e/a", "copy e/c", "put e/b"}; !slices.Equal(got[:3], want) || len(got) != 5 {
		t.Errorf("sent %v", got)
	}
	want := map[string]string{}
	for i, key := range []string{"e/a", "e/b", "e/c"} {
		data := fmt.Sprint(i + 1)
		want[key] = describe([]byte(data), object.Meta{"of": data})
	}
	if got := s.store.content(); !maps.Equal(got, want) {
		t.Errorf("the store has %v", got)
	}
}

// TestMoveManyAndACrash cuts the journal at each byte of the record: all keys are old, or all
// are new.
func TestMoveManyAndACrash(t *testing.T) {
	s := newSimple(t, nil)
	from := []object.Info{s.stored("d/a", "1"), s.put("d/b", "2", fresh), s.stored("d/c", "3")}
	path, _, begin := s.log.Extent()
	s.move("e/", from...)
	_, _, end := s.log.Extent()
	whole, err := os.ReadFile(path)
	s.check(err)
	seen := map[string]int{}
	for cut := begin; cut <= end; cut += 7 {
		dir := scratch(t)
		s.check(os.MkdirAll(dir+"/log", 0o700))
		torn := append(slices.Clone(whole[:cut]), make([]byte, len(whole)-int(cut))...)
		s.check(os.WriteFile(dir+"/log/"+path[strings.LastIndex(path, "/")+1:], torn, 0o600))
		o, err := Open(Options{Dir: dir, Store: s.store, Sender: s.send, Disk: budget.NewDisk(1 << 20), SegmentSize: 64 << 10})
		s.check(err)
		page, err := o.List(context.Background(), object.Query{})
		s.check(err)
		var keys []string
		for _, info := range page.Objects {
			keys = append(keys, info.Key)
		}
		seen[strings.Join(keys, " ")]++
		s.check(o.Close())
	}
	if len(seen) != 2 || seen["d/a d/b d/c"] == 0 || seen["e/a e/b e/c"] == 0 {
		t.Errorf("a crash leaves %v", seen)
	}
}

// TestMoveManyThatIsTooLarge changes nothing.
func TestMoveManyThatIsTooLarge(t *testing.T) {
	s := newSimple(t, func(o *Options) { o.SegmentSize = 4 << 10 })
	var from []object.Info
	for i := range 30 {
		from = append(from, s.put(fmt.Sprint("d/", i), "x", fresh))
	}
	var to []string
	for i := range from {
		to = append(to, fmt.Sprint("e/", i))
	}
	if _, err := s.MoveMany(context.Background(), from, to); !object.Is(err, object.KindTooLarge) {
		t.Fatal(err)
	}
	s.sent()
	if n := len(s.store.content()); n != len(from) || len(s.mu.versions) > 0 || !s.log.Empty() {
		t.Errorf("the store has %d objects; %d versions are left", n, len(s.mu.versions))
	}
}

// TestRegressionAMoveOverwritesNothing has somebody else store an object under a new key until
// the move is sent: both are kept.
func TestRegressionAMoveOverwritesNothing(t *testing.T) {
	s := newSimple(t, nil)
	s.move("e/", s.stored("d/a", "1"), s.put("d/b", "2", fresh), s.stored("d/c", "3"))
	s.stored("e/a", "theirs")
	s.stored("e/b", "theirs")
	s.sent()
	s.check(s.Flush(context.Background())) // of what was moved aside
	got := s.store.content()
	if theirs := describe([]byte("theirs"), object.Meta{"of": "theirs"}); got["e/a"] != theirs || got["e/b"] != theirs {
		t.Errorf("the store has %v", got)
	}
	var all []string
	for key := range got {
		all = append(all, key[:3])
	}
	slices.Sort(all)
	if want := []string{"e/a", "e/a", "e/b", "e/b", "e/c"}; !slices.Equal(all, want) {
		t.Errorf("the store has %v", got)
	}
}
