package transfer

// need is what is still to be found out before a pair can be decided.
type need uint8

const (
	needNothing need = iota
	needTimes        // ModTime of a side that Stat would tell
	needMD5          // the sum of a side's content
)

// known says what was asked for already, so that nothing is asked twice.
type known struct{ times, sums bool }

// decide says what is to be done about a pair, or what is needed to say so. It is
// pure: it looks at the pair and at o only. Where sync is false, what only the
// destination has is left alone.
func decide(p Pair, o *Options, sync bool, k known) (Action, need) {
	switch {
	case p.Dst == nil:
		return Action{Op: OpCopy, Path: p.Src.Path, Src: *p.Src, Why: "not in the destination"}, needNothing
	case p.Src == nil && sync:
		return Action{Op: OpDelete, Path: p.Dst.Path, Dst: *p.Dst, Why: "not in the source"}, needNothing
	case p.Src == nil:
		return Action{Op: OpSkip, Path: p.Dst.Path, Dst: *p.Dst}, needNothing
	}
	a := Action{Path: p.Src.Path, Src: *p.Src, Dst: *p.Dst}
	var n need
	a.Op, a.Why, n = compare(*p.Src, *p.Dst, o, k)
	return a, n
}

// compare says what is to be done about a file that both sides have.
func compare(s, d File, o *Options, k known) (op Op, why string, n need) {
	switch {
	case o.IgnoreExisting:
		return OpSkip, "in the destination", needNothing
	case o.Update:
		return compareUpdate(s, d, o, k)
	case o.IgnoreTimes:
		return OpCopy, "times are ignored", needNothing
	}
	return compareSame(s, d, o, k)
}

// compareUpdate leaves a file alone that is newer in the destination.
func compareUpdate(s, d File, o *Options, k known) (Op, string, need) {
	if n := timesNeeded(s, d, k); n != needNothing {
		return 0, "", n
	}
	if d.ModTime.Sub(s.ModTime) >= o.ModifyWindow {
		return OpSkip, "newer in the destination", needNothing
	}
	if o.IgnoreTimes {
		return OpCopy, "times are ignored", needNothing
	}
	return compareSame(s, d, o, k)
}

// compareSame finds out whether two files are the same.
func compareSame(s, d File, o *Options, k known) (Op, string, need) {
	switch {
	case s.Size != d.Size:
		return OpCopy, "sizes differ", needNothing
	case o.SizeOnly:
		return OpSame, "", needNothing
	case o.Checksum:
		return compareSums(s, d, k)
	}
	if n := timesNeeded(s, d, k); n != needNothing {
		return 0, "", n
	}
	if s.ModTime.Sub(d.ModTime).Abs() < o.ModifyWindow {
		return OpSame, "", needNothing
	}
	switch op, _, n := compareSums(s, d, k); {
	case n != needNothing:
		return 0, "", n
	case op == OpSame:
		return OpSetTime, "times differ, contents don't", needNothing
	}
	return OpCopy, "times differ", needNothing
}

// compareSums compares the contents' sums: OpSame, OpCopy or OpUncertain.
func compareSums(s, d File, k known) (Op, string, need) {
	switch {
	case s.MD5 != "" && d.MD5 != "" && s.MD5 == d.MD5:
		return OpSame, "", needNothing
	case s.MD5 != "" && d.MD5 != "":
		return OpCopy, "contents differ", needNothing
	case !k.sums:
		return 0, "", needMD5
	}
	return OpUncertain, "no checksum on both sides", needNothing
}

func timesNeeded(s, d File, k known) need {
	if !k.times && (s.ModTime.IsZero() || d.ModTime.IsZero()) {
		return needTimes
	}
	return needNothing
}
