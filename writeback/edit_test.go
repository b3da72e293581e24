package writeback

import (
	"bytes"
	"context"
	"testing"

	"github.com/s3mount/s3mount/object"
)

// ifMatch is an upload that replaces one version only.
func ifMatch(etag, mtime string) object.PutOptions {
	o := meta(mtime)
	o.Condition.IfMatch = etag
	return o
}

func TestWhatAnEditDoesNotChangeIsCopied(t *testing.T) {
	inQueue(t, func(t *testing.T, e *env) {
		data := pattern(40*testPart, 1)
		s, info, read := e.edit("a", data)
		for _, at := range []int{5 * testPart, 17*testPart + 100, 30*testPart - 10} {
			e.write(s, []byte("changed"), int64(at))
			copy(data[at:], "changed")
		}
		again := e.upload(s, "a", ifMatch(info.ETag, "1"))
		e.wantObject("a", data)
		e.wantCount("UploadPart", 3)
		e.wantCount("CopyPart", 4)
		e.wantCount("Copy", 0)
		if got, want := read.Load(), int64(3*testPart-3*7); got != want {
			t.Errorf("%d bytes were read, want %d", got, want)
		}

		// And once more, over the version that came of it.
		e.write(s, []byte("again"), 20*testPart)
		copy(data[20*testPart:], "again")
		e.upload(s, "a", ifMatch(again.ETag, "2"))
		e.wantObject("a", data)
		e.wantContent(s, data)
		s.Discard()
	})
}

func TestAnAppendSendsOnlyItself(t *testing.T) {
	inQueue(t, func(t *testing.T, e *env) {
		data := pattern(40*testPart, 1)
		s, info, read := e.edit("a", data)
		e.write(s, []byte("more"), int64(len(data)))
		info = e.upload(s, "a", ifMatch(info.ETag, "1"))
		e.wantObject("a", append(bytes.Clone(data), "more"...))
		e.wantCount("UploadPart", 1)
		e.wantCount("CopyPart", 1)
		if read.Load() != 0 {
			t.Errorf("%d bytes were read", read.Load())
		}
		e.truncate(s, 20*testPart)
		e.truncate(s, 20*testPart+5)
		e.upload(s, "a", ifMatch(info.ETag, "2"))
		e.wantObject("a", append(bytes.Clone(data[:20*testPart]), 0, 0, 0, 0, 0))
		e.wantCount("CopyPart", 2)
		if read.Load() != 0 {
			t.Errorf("%d bytes were read", read.Load())
		}
		s.Discard()
	})
}

// Parts that went up while the application wrote stay, and the rest is copied.
func TestEarlyPartsOfAnEdit(t *testing.T) {
	inQueue(t, func(t *testing.T, e *env) {
		data := pattern(40*testPart, 1)
		s, info, read := e.edit("a", data)
		s.SetTarget("a", ifMatch(info.ETag, "1"))
		fresh := pattern(6*testPart, 2)
		e.write(s, fresh, 10*testPart)
		copy(data[10*testPart:], fresh)
		e.write(s, []byte("x"), 30*testPart+5)
		data[30*testPart+5] = 'x'
		e.upload(s, "a", ifMatch(info.ETag, "1"))
		e.wantObject("a", data)
		e.wantCount("UploadPart", 7)
		e.wantCount("CopyPart", 3)
		if got := read.Load(); got != testPart {
			t.Errorf("%d bytes were read", got)
		}
		s.Discard()
	})
}

func TestSmallObjectsAreSentWhole(t *testing.T) {
	inQueue(t, func(t *testing.T, e *env) {
		data := pattern(testOver, 1)
		s, info, _ := e.edit("a", data)
		e.write(s, []byte("x"), 0)
		data[0] = 'x'
		e.upload(s, "a", ifMatch(info.ETag, "1"))
		e.wantObject("a", data)
		e.wantCount("Put", 1)
	})
}

func TestAStoreThatCopiesNoPartsGetsTheWhole(t *testing.T) {
	inQueue(t, func(t *testing.T, e *env) {
		e.store.hook = func(_ context.Context, op, key string, _ int) error {
			if op == "CopyPart" {
				return object.Errorf(object.KindUnsupported, op, key, "")
			}
			return nil
		}
		data := pattern(10*testPart, 1)
		s, info, _ := e.edit("a", data)
		e.write(s, []byte("x"), 5*testPart)
		data[5*testPart] = 'x'
		e.upload(s, "a", ifMatch(info.ETag, "1"))
		e.wantObject("a", data)
	})
}

// What somebody else stored meanwhile is neither replaced nor mixed with the edit.
func TestAnEditOfWhatSomebodyReplaced(t *testing.T) {
	for name, at := range map[string]int{"small": testPart, "large": 40 * testPart} {
		t.Run(name, func(t *testing.T) {
			inQueue(t, func(t *testing.T, e *env) {
				s, info, _ := e.edit("a", pattern(at, 1))
				e.write(s, []byte("mine"), 10)
				theirs := pattern(at, 2)
				e.store.seed("a", theirs)
				_, err := s.Upload("a", ifMatch(info.ETag, "1")).Wait(t.Context())
				e.wantKind(err, object.KindConflict)
				e.wantObject("a", theirs)
				if !s.Modified() {
					t.Error("the edit is taken for stored")
				}
				s.Discard()
			})
		})
	}
}

// A version of the file's own, of which it never heard that it was stored, is in nobody's
// way: neither of the same content, nor of later changes.
func TestOwnVersionsAreNoConflict(t *testing.T) {
	for _, op := range []string{"Put", "CompleteUpload", "Copy"} {
		for _, changed := range []bool{false, true} {
			t.Run(op, func(t *testing.T) {
				inQueue(t, func(t *testing.T, e *env) {
					size := map[string]int{"Put": testPart, "CompleteUpload": 10 * testPart, "Copy": 10 * testPart}[op]
					data := pattern(size, 1)
					s, info, _ := e.edit("a", data)
					lost := false
					e.store.after = func(o, key string) error {
						if o == op && !lost {
							lost = true
							return object.Errorf(object.KindUnavailable, o, key, "the answer got lost")
						}
						return nil
					}
					if op == "Copy" { // to describe what went up early
						s.SetTarget("a", ifMatch(info.ETag, "0"))
						e.write(s, data[:3*testPart], 0)
					}
					e.write(s, []byte("mine"), 10)
					copy(data[10:], "mine")
					_, err := s.Upload("a", ifMatch(info.ETag, "1")).Wait(t.Context())
					e.wantKind(err, object.KindUnavailable)
					if changed {
						e.write(s, []byte("mine too"), 1000)
						copy(data[1000:], "mine too")
					}
					e.upload(s, "a", ifMatch(info.ETag, "1"))
					e.wantObject("a", data)
					e.store.seed("a", []byte("theirs"))
					e.write(s, []byte("late"), 0)
					_, err = s.Upload("a", ifMatch(info.ETag, "2")).Wait(t.Context())
					e.wantKind(err, object.KindConflict)
					s.Discard()
				})
			})
		}
	}
}
