package transfer

import (
	"iter"

	"github.com/s3mount/s3mount/object"
)

// Pair is what both sides have under a path; one of them may be nil.
type Pair struct{ Src, Dst *File }

// Path returns the path of the pair.
func (p Pair) Path() string {
	if p.Src != nil {
		return p.Src.Path
	}
	return p.Dst.Path
}

// SideError says which side could not be walked to its end.
type SideError struct {
	Src bool // the source; else the destination
	Err error
}

func (e *SideError) Error() string { return e.Err.Error() }
func (e *SideError) Unwrap() error { return e.Err }

// Merge joins two walks into one, in their common order. It holds one file of each. The
// first error of a side ends it, as does a file that is out of order: a join would take
// what comes too late for absent. The error is a *SideError.
func Merge(src, dst iter.Seq2[File, error]) iter.Seq2[Pair, error] {
	return func(yield func(Pair, error) bool) {
		s, d := newSide(src, true), newSide(dst, false)
		defer s.stop()
		defer d.stop()
		for s.advance() && d.advance() && (s.file != nil || d.file != nil) {
			if !yield(join(s, d), nil) {
				return
			}
		}
		for _, side := range []*side{s, d} {
			if side.err != nil {
				yield(Pair{}, &SideError{Src: side.src, Err: side.err})
				return
			}
		}
	}
}

// join takes what comes first from the sides.
func join(s, d *side) Pair {
	switch {
	case d.file == nil || s.file != nil && s.file.order() < d.file.order():
		return Pair{Src: s.take()}
	case s.file == nil || d.file.order() < s.file.order():
		return Pair{Dst: d.take()}
	}
	return Pair{Src: s.take(), Dst: d.take()}
}

// side is one walk, with the file that comes next.
type side struct {
	src  bool
	next func() (File, error, bool)
	stop func()
	file *File // nil: to be read, or the end
	done bool
	last string // order of the file before
	any  bool
	err  error
}

func newSide(seq iter.Seq2[File, error], src bool) *side {
	s := &side{src: src}
	s.next, s.stop = iter.Pull2(seq)
	return s
}

func (s *side) take() *File {
	f := s.file
	s.file = nil
	return f
}

// advance reads the next file if the last one was taken. It is false after an error.
func (s *side) advance() bool {
	if s.file != nil || s.done {
		return s.err == nil
	}
	f, err, ok := s.next()
	switch order := f.order(); {
	case !ok:
		s.done = true
	case err != nil:
		s.done, s.err = true, err
	case s.any && order <= s.last:
		s.done = true
		s.err = object.Errorf(object.KindOther, "list", f.Path, "the listing is not in order: it comes behind %q", s.last)
	default:
		s.file, s.last, s.any = &f, order, true
	}
	return s.err == nil
}
