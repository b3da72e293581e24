package parts

// Span is the range [Off, End) of bytes.
type Span struct{ Off, End int64 }

// Piece is a part of the upload that makes a new version of an edited object: bytes that
// the store copies from the version that it has, at the same place, or that are sent.
type Piece struct {
	Off, Size int64 // bytes
	Copy      bool
}

func (p Piece) end() int64 { return p.Off + p.Size }

// Limits are what Edit keeps to, in bytes and parts. The zero value of a field is S3's.
type Limits struct {
	Min  int64 // of all parts but the last
	Copy int64 // the most that one part copies
	Send int64 // about what one part sends
	Max  int   // parts
}

func (l Limits) withDefaults() Limits {
	set := func(v *int64, to int64) {
		if *v == 0 {
			*v = to
		}
	}
	set(&l.Min, MinSize)
	set(&l.Copy, MaxSize)
	set(&l.Send, l.Min)
	if l.Max == 0 {
		l.Max = Max
	}
	l.Send = max(l.Send, l.Min)
	return l
}

// Edit cuts an object of size bytes into as few bytes to send as there can be, and as few
// parts as those allow. changed are the ranges that differ from the version at the store,
// in order and apart from each other; from kept on everything does. The pieces follow
// each other without a gap. None are returned where nothing would be copied.
func Edit(size, kept int64, changed []Span, l Limits) []Piece {
	l = l.withDefaults()
	for gap := l.Min; ; gap, l.Send = 2*gap, 2*l.Send {
		pieces := cut(grow(segments(size, kept, changed, gap), l.Min), l)
		if len(pieces) == 0 || len(pieces) <= l.Max {
			return pieces
		}
	}
}

// segments alternates what is copied and what is sent. What is unchanged for less than gap
// bytes is sent, but for the end, which may be a part of any size.
func segments(size, kept int64, changed []Span, gap int64) (out []Piece) {
	send := func(off, end int64) {
		if n := len(out); n > 0 && !out[n-1].Copy {
			out[n-1].Size = end - out[n-1].Off
		} else if off < end {
			out = append(out, Piece{Off: off, Size: end - off})
		}
	}
	at := int64(0)
	kept = min(kept, size)
	for i := range len(changed) + 1 {
		off, end := kept, size
		if i < len(changed) {
			off, end = max(changed[i].Off, at), min(changed[i].End, kept)
			if off >= end {
				continue
			}
		}
		switch {
		case off-at >= gap || off == size && off > at:
			out = append(out, Piece{Off: at, Size: off - at, Copy: true})
		case off > at:
			send(at, off)
		}
		send(off, end)
		at = max(at, end)
	}
	return out
}

// grow makes each range to send, but one at the end, as large as a part must be, at the
// cost of a neighbour. A neighbour that would be too small itself is sent as well. It
// changes from.
func grow(from []Piece, least int64) (out []Piece) {
	for i := 0; i < len(from); i++ {
		p := from[i]
		if n := len(out); n > 0 && !p.Copy && !out[n-1].Copy {
			out[n-1].Size += p.Size // what was between them is sent
		} else {
			out = append(out, p)
		}
		last := &out[len(out)-1]
		need := least - last.Size
		if last.Copy || need <= 0 || i == len(from)-1 {
			continue
		}
		next := &from[i+1] // a copy
		if before := len(out) - 2; next.Size-need < least && i+1 < len(from)-1 && before >= 0 && out[before].Size-need >= least {
			out[before].Size -= need
			last.Off, last.Size = last.Off-need, least
			continue
		}
		if take := min(need, next.Size); next.Size-take >= least || i+1 == len(from)-1 {
			last.Size += take
			next.Off, next.Size = next.Off+take, next.Size-take
		} else {
			next.Copy = false
		}
		if next.Size == 0 {
			from = from[:i+1]
		}
	}
	return out
}

// cut makes parts of the ranges; none if nothing is copied.
func cut(whole []Piece, l Limits) (out []Piece) {
	copies := false
	for i, p := range whole {
		size := l.Send
		if p.Copy {
			copies = true
			size = even(p.Size, l.Copy)
		}
		for off := p.Off; off < p.end(); {
			n := min(size, p.end()-off)
			if rest := p.end() - off - n; rest < l.Min && i < len(whole)-1 {
				n += rest // too small for a part of its own
			}
			out = append(out, Piece{Off: off, Size: n, Copy: p.Copy})
			off += n
		}
	}
	if !copies {
		return nil
	}
	return out
}

// even returns the size of pieces of most bytes at most that differ little from each other.
func even(size, most int64) int64 {
	n := (size + most - 1) / most
	return (size + n - 1) / n
}
