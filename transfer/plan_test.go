package transfer

import (
	"errors"
	"fmt"
	"iter"
	"strings"
	"testing"
	"time"

	"github.com/s3mount/s3mount/object"
)

func TestDecide(t *testing.T) {
	t1, t2 := time.Unix(100, 0), time.Unix(200, 0)
	f := func(size int64, t time.Time, md5 string) *File {
		return &File{Path: "p", Size: size, ModTime: t, MD5: md5}
	}
	never := time.Time{}
	asked, summed, all := known{times: true}, known{sums: true}, known{true, true}
	for _, c := range []struct {
		name     string
		src, dst *File
		o        Options
		sync     bool
		k        known
		op       Op
		need     need
	}{
		{"new", f(1, t1, ""), nil, Options{}, false, known{}, OpCopy, 0},
		{"extra with copy", nil, f(1, t1, ""), Options{}, false, known{}, OpSkip, 0},
		{"extra with sync", nil, f(1, t1, ""), Options{}, true, known{}, OpDelete, 0},
		{"other size", f(1, t1, ""), f(2, t1, ""), Options{}, false, known{}, OpCopy, 0},
		{"other size, times unknown", f(1, t1, ""), f(2, never, ""), Options{}, false, known{}, OpCopy, 0},
		{"times unknown", f(1, t1, ""), f(1, never, "x"), Options{}, false, known{}, 0, needTimes},
		{"same", f(1, t1, ""), f(1, t1, ""), Options{}, false, known{}, OpSame, 0},
		{"a nanosecond", f(1, t1, "x"), f(1, t1.Add(1), "y"), Options{}, false, known{}, OpCopy, 0},
		{"within the window", f(1, t1, "x"), f(1, t1.Add(1), "y"), Options{ModifyWindow: time.Second}, false, known{}, OpSame, 0},
		{"other time", f(1, t1, ""), f(1, t2, "x"), Options{}, false, known{}, 0, needMD5},
		{"other time, same content", f(1, t1, "x"), f(1, t2, "x"), Options{}, false, all, OpSetTime, 0},
		{"other time, other content", f(1, t1, "x"), f(1, t2, "y"), Options{}, false, all, OpCopy, 0},
		{"other time, content unknown", f(1, t1, ""), f(1, t2, ""), Options{}, false, summed, OpCopy, 0},
		{"size only", f(1, t1, "x"), f(1, t2, "y"), Options{SizeOnly: true}, false, known{}, OpSame, 0},
		{"size only, other size", f(1, t1, "x"), f(2, t1, "x"), Options{SizeOnly: true}, false, known{}, OpCopy, 0},
		{"checksum", f(1, t1, "x"), f(1, t2, "x"), Options{Checksum: true}, false, known{}, OpSame, 0},
		{"checksum, other", f(1, t1, "x"), f(1, t1, "y"), Options{Checksum: true}, false, known{}, OpCopy, 0},
		{"checksum, to be found", f(1, t1, ""), f(1, never, "y"), Options{Checksum: true}, false, known{}, 0, needMD5},
		{"checksum, unknown", f(1, t1, ""), f(1, t1, ""), Options{Checksum: true}, false, summed, OpUncertain, 0},
		{"update, newer there", f(1, t1, "x"), f(2, t2, "y"), Options{Update: true}, false, known{}, OpSkip, 0},
		{"update, newer here", f(1, t2, "x"), f(2, t1, "y"), Options{Update: true}, false, known{}, OpCopy, 0},
		{"update, same", f(1, t1, "x"), f(1, t1, "y"), Options{Update: true}, false, known{}, OpSame, 0},
		{"update, same time, other size", f(1, t1, "x"), f(2, t1, "y"), Options{Update: true}, false, known{}, OpCopy, 0},
		{"update, times unknown", f(1, t1, "x"), f(2, never, "y"), Options{Update: true}, false, known{}, 0, needTimes},
		{"update, asked", f(1, t1, "x"), f(2, never, "y"), Options{Update: true}, false, asked, OpCopy, 0},
		{"existing", f(1, t1, "x"), f(2, t2, "y"), Options{IgnoreExisting: true}, false, known{}, OpSkip, 0},
		{"times ignored", f(1, t1, "x"), f(1, t1, "x"), Options{IgnoreTimes: true}, false, known{}, OpCopy, 0},
	} {
		o := c.o.withDefaults()
		a, n := decide(Pair{c.src, c.dst}, &o, c.sync, c.k)
		if n != c.need || n == needNothing && a.Op != c.op {
			t.Errorf("%s: %v, need %d; want %v, need %d", c.name, a.Op, n, c.op, c.need)
		}
	}
}

func seq(err error, paths ...string) iter.Seq2[File, error] {
	return func(yield func(File, error) bool) {
		for _, p := range paths {
			dir := strings.HasSuffix(p, "/")
			if !yield(File{Path: strings.TrimSuffix(p, "/"), Dir: dir}, nil) {
				return
			}
		}
		if err != nil {
			yield(File{}, err)
		}
	}
}

func TestMerge(t *testing.T) {
	boom := errors.New("boom")
	for _, c := range []struct {
		src, dst iter.Seq2[File, error]
		want     string
	}{
		{seq(nil), seq(nil), ""},
		{seq(nil, "a", "b", "d"), seq(nil, "b", "c"), "+a =b -c +d"},
		{seq(nil, "a-b", "a/x", "a0"), seq(nil, "a/x", "a0"), "+a-b =a/x =a0"},
		{seq(nil, "a-", "a/", "a0"), seq(nil, "a", "a/"), "-a +a- =a +a0"},
		{seq(boom, "a"), seq(nil, "b", "c"), "+a !src boom"},
		{seq(nil, "a", "b"), seq(boom, "a"), "=a !dst boom"},
		{seq(nil, "b", "a"), seq(nil, "c"), `+b !src list "a": I/O error: the listing is not in order: it comes behind "b"`},
		{seq(nil, "a", "a"), seq(nil), `+a !src list "a": I/O error: the listing is not in order: it comes behind "a"`},
	} {
		var got []string
		for p, err := range Merge(c.src, c.dst) {
			var side *SideError
			switch {
			case errors.As(err, &side):
				got = append(got, fmt.Sprintf("!%s %v", map[bool]string{true: "src", false: "dst"}[side.Src], err))
			case p.Src == nil:
				got = append(got, "-"+p.Path())
			case p.Dst == nil:
				got = append(got, "+"+p.Path())
			default:
				got = append(got, "="+p.Path())
			}
		}
		equal(t, "merge", strings.Join(got, " "), c.want)
	}
}

func TestSpoolKeepsWhatDoesNotFitIntoMemory(t *testing.T) {
	s := newSpool(t.TempDir())
	s.limit = 3
	defer s.close()
	for i := range 100 {
		f := File{Path: fmt.Sprintf("dir\n/%d\xff", i), Size: int64(i), Info: object.Info{Key: "k", ETag: fmt.Sprint(i)}}
		if err := s.add(f); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		i := 0
		for f, err := range s.all() {
			if err != nil || f.Path != fmt.Sprintf("dir\n/%d\xff", i) || f.Size != int64(i) || f.Info.ETag != fmt.Sprint(i) {
				t.Fatalf("%d: %+v, %v", i, f, err)
			}
			i++
		}
		equal(t, "files", i, 100)
	}
	bad := newSpool("/proc/none")
	bad.limit = 0
	if err := bad.add(File{}); err == nil {
		t.Error("a list in a folder that is not there")
	}
}
