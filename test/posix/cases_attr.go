package posix

import (
	"fmt"

	"golang.org/x/sys/unix"
)

func chmodCases() (all []scenario) {
	modes := []uint32{0, 0o111, 0o400, 0o644, 0o751, 0o777, 0o1755, 0o2755, 0o4755, 0o7777}
	for _, k := range withMode {
		for _, u := range []user{root, ann} {
			all = append(all, scenario{fmt.Sprintf("chmod/%s by %s", k.name, u.name), func(r *run) {
				r.given(k, "f", 0o640, ann)
				r.set(symlink("f", "l"))
				for _, m := range modes {
					r.call(u, chmod("f", m))
					r.mode("f", k, m)
				}
				r.call(u, chmod("l", 0o612))
				r.mode("f", k, 0o612)
				r.mode("l", slink, 0o777)
				r.owner("f", ann.uid, ann.gid)
			}})
		}
		all = append(all, scenario{"chmod/" + k.name + " by others", func(r *run) {
			r.given(k, "f", 0o777, ann)
			for _, u := range []user{ben, amy, gus} {
				for _, m := range []uint32{0o777, 0o644, 0o4755} {
					r.timed(u, chmod("f", m), unix.EPERM, keeps("f", ctime|mtime))
				}
			}
			r.mode("f", k, 0o777)
		}}, scenario{"chmod/" + k.name + " times", func(r *run) {
			r.given(k, "f", 0o640, ann)
			for _, u := range []user{root, ann} {
				r.timed(u, chmod("f", 0o600), 0, moves("f", ctime), keeps("f", mtime|atime), keeps(".", ctime|mtime))
				r.timed(u, chmod("f", 0o600), 0, moves("f", ctime), keeps("f", mtime|atime))
			}
		}}, scenario{"chmod/" + k.name + " setgid of a foreign group", func(r *run) {
			r.given(k, "f", 0o755, user{uid: ann.uid, gid: ben.gid})
			r.call(ann, chmod("f", 0o2755))
			r.mode("f", k, 0o755)
			r.call(ann, chmod("f", 0o6755))
			r.mode("f", k, 0o4755)
			r.call(root, chmod("f", 0o2755))
			r.mode("f", k, 0o2755)
		}})
	}
	for _, k := range []kind{regular, folder} {
		all = append(all, scenario{"chmod/descriptor of " + k.name, func(r *run) {
			r.given(k, "f", 0o644, ann)
			for _, m := range modes[2:] {
				r.call(root, fchmod("f", m))
				r.mode("f", k, m)
			}
			r.call(ben, fchmod("f", 0o600), unix.EPERM)
		}})
	}
	return append(all, killedBits()...)
}

// killedBits: whoever changes a program's content must not leave it setuid.
func killedBits() (all []scenario) {
	for _, m := range []uint32{0o4777, 0o2777, 0o6777, 0o6757, 0o1777} {
		all = append(all, scenario{fmt.Sprintf("chmod/content changes under %04o", m), func(r *run) {
			for i, o := range []func(string) op{
				func(p string) op { return write(p, unix.O_WRONLY, "x") },
				func(p string) op { return write(p, unix.O_WRONLY|unix.O_APPEND, "x") },
				func(p string) op { return truncate(p, 2) },
				func(p string) op { return ftruncate(p, unix.O_RDWR, 2) },
				func(p string) op { return open(p, unix.O_WRONLY|unix.O_TRUNC, 0) },
			} {
				f := names('f', i)
				r.given(regular, f, 0o666, ann)
				r.set(write(f, unix.O_WRONLY, "data"), chmod(f, m))
				r.call(root, o(f))
				r.mode(f, regular, m) // root may
				r.set(write(f, unix.O_WRONLY, "data"), chmod(f, m))
				r.call(ben, o(f))
				left := m &^ 0o4000
				if m&0o010 != 0 {
					left &^= 0o2000
				}
				r.mode(f, regular, left)
			}
		}})
	}
	return all
}

func chownCases() (all []scenario) {
	type target struct{ uid, gid int }
	targets := []target{{-1, -1}, {ann.uid, -1}, {ben.uid, -1}, {-1, ann.gid}, {-1, 2003}, {-1, ben.gid},
		{ann.uid, 2003}, {ann.uid, ben.gid}, {ben.uid, 2003}, {0, 0}, {1 << 30, 1<<31 - 2}}
	allowed := func(u user, t target) bool {
		switch {
		case u.name == "root":
			return true
		case u.uid != ann.uid:
			return t.uid == -1 && t.gid == -1
		}
		return (t.uid == -1 || t.uid == ann.uid) && (t.gid == -1 || t.gid == ann.gid || u.name == "ann2" && t.gid == 2003)
	}
	for _, k := range kinds {
		for _, u := range []user{root, ann, ann2, ben, amy} {
			all = append(all, scenario{fmt.Sprintf("chown/%s by %s", k.name, u.name), func(r *run) {
				for i, t := range targets {
					f := names('f', i)
					r.given(k, f, 0o755, ann)
					if !allowed(u, t) {
						r.timed(u, lchown(f, t.uid, t.gid), unix.EPERM, keeps(f, ctime|mtime))
						r.owner(f, ann.uid, ann.gid)
						continue
					}
					uid, gid := ann.uid, ann.gid
					if t.uid != -1 {
						uid = t.uid
					}
					if t.gid != -1 {
						gid = t.gid
					}
					if t.uid == -1 && t.gid == -1 {
						r.call(u, lchown(f, t.uid, t.gid)) // POSIX leaves open whether the ctime changes
					} else {
						r.timed(u, lchown(f, t.uid, t.gid), 0, moves(f, ctime), keeps(f, mtime|atime), keeps(".", ctime|mtime))
					}
					r.owner(f, uid, gid)
				}
			}})
		}
	}
	all = append(all, scenario{"chown/through a link", func(r *run) {
		r.given(regular, "f", 0o644, ann)
		r.set(symlink("f", "l"))
		r.call(root, chown("l", ben.uid, ben.gid))
		r.owner("f", ben.uid, ben.gid)
		r.owner("l", 0, 0)
		r.call(root, lchown("l", amy.uid, amy.gid))
		r.owner("f", ben.uid, ben.gid)
		r.owner("l", amy.uid, amy.gid)
		r.call(root, fchown("f", ann.uid, 7))
		r.owner("f", ann.uid, 7)
		r.call(ben, fchown("f", -1, 8), unix.EPERM)
	}})
	for _, k := range withMode {
		for _, m := range []uint32{0o4755, 0o2755, 0o6755, 0o6711, 0o6745} {
			all = append(all, scenario{fmt.Sprintf("chown/%s takes bits of %04o", k.name, m), func(r *run) {
				for _, u := range []user{root, ann2} {
					f := "f" + u.name
					r.given(k, f, m, ann)
					r.call(u, chown(f, -1, 2003))
					left := m &^ 0o4000
					if m&0o010 != 0 { // without, it is no program's
						left &^= 0o2000
					}
					if k.fmt == unix.S_IFDIR {
						left = m
					}
					r.mode(f, k, left)
				}
			}})
		}
	}
	return all
}

func utimensCases() (all []scenario) {
	set := at(1_111_111_111, 987_654_321)
	old := at(1_000_000_000, 1)
	type pair struct{ a, m stamp }
	pairs := []pair{{now, now}, {omit, omit}, {now, omit}, {omit, now}, {set, set}, {set, omit}, {omit, set}, {now, set}, {set, now}}
	for _, k := range kinds {
		for _, u := range []user{root, ann, ben, amy} {
			all = append(all, scenario{fmt.Sprintf("utimens/%s by %s", k.name, u.name), func(r *run) {
				r.given(k, "f", 0o664, ann) // amy may write
				if k.fmt == unix.S_IFLNK {
					r.set(lchown("f", ann.uid, ann.gid))
				}
				defer r.hold("f")()
				for _, p := range pairs {
					r.set(utimens("f", old, old, unix.AT_SYMLINK_NOFOLLOW))
					want := unix.Errno(0)
					mayWrite := u.name != "ben" || k.fmt == unix.S_IFLNK // a link's mode is 0777
					switch {
					case p.a == omit && p.m == omit, u.name == "root", u.name == "ann":
					case p.a == now && p.m == now && mayWrite:
					case p.a == now && p.m == now:
						want = unix.EACCES
					default:
						want = unix.EPERM
					}
					before := r.lstat("f")
					tick()
					r.call(u, utimens("f", p.a, p.m, unix.AT_SYMLINK_NOFOLLOW), want)
					st := r.lstat("f")
					for _, t := range []struct {
						name  string
						s     stamp
						found unix.Timespec
					}{{"atime", p.a, st.Atim}, {"mtime", p.m, st.Mtim}} {
						what := fmt.Sprintf("%s after %s %s", t.name, p.a.text, p.m.text)
						switch {
						case want != 0 || t.s == omit:
							same(r, what, t.found, old.ts)
						case t.s == now:
							same(r, what+" is of now", t.found.Sec > old.ts.Sec+1e8, true)
						default:
							same(r, what, t.found, t.s.ts)
						}
					}
					changed := want == 0 && p != pair{omit, omit}
					same(r, fmt.Sprintf("ctime changes with %s %s", p.a.text, p.m.text), st.Ctim != before.Ctim, changed)
				}
			}})
		}
	}
	for _, k := range []kind{regular, folder} {
		all = append(all, scenario{"utimens/values of " + k.name, func(r *run) {
			r.given(k, "f", 0o644, root)
			r.set(symlink("f", "l"))
			for _, s := range []stamp{at(0, 0), at(0, 1), at(1, 999_999_999), at(1<<31-1, 5), at(1<<31, 5), at(1<<32, 123), at(1<<33, 7)} {
				r.call(root, utimens("f", s, s, 0))
				st := r.lstat("f")
				same(r, "atime", st.Atim, s.ts)
				same(r, "mtime", st.Mtim, s.ts)
			}
			r.call(root, utimens("l", set, old, 0))
			same(r, "mtime through a link", r.lstat("f").Mtim, old.ts)
			r.call(root, utimens("l", set, set, unix.AT_SYMLINK_NOFOLLOW))
			same(r, "mtime of the link", r.lstat("l").Mtim, set.ts)
			same(r, "mtime behind the link", r.lstat("f").Mtim, old.ts)
			for _, bad := range []int64{1_000_000_000, -1, 1 << 40} {
				r.call(root, utimens("f", at(1, bad), at(1, 0), 0), unix.EINVAL)
				r.call(root, utimens("f", at(1, 0), at(1, bad), 0), unix.EINVAL)
			}
		}})
	}
	return all
}

// makingCases: what a new file is like.
func makingCases() (all []scenario) {
	for _, k := range kinds {
		for _, mask := range []int{0, 0o022, 0o077, 0o777} {
			for _, setgid := range []bool{false, true} {
				all = append(all, scenario{fmt.Sprintf("make/%s with umask %03o, setgid folder %v", k.name, mask, setgid), func(r *run) {
					parent, group := uint32(0o777), ann2.gid
					if setgid {
						parent, group = 0o2777, 2005
					}
					r.given(folder, "d", parent, user{uid: ben.uid, gid: 2005})
					makers := []user{ann2}
					if k.fmt == unix.S_IFCHR || k.fmt == unix.S_IFBLK {
						makers = nil
						r.call(ann2, k.make("d/no", 0o644), unix.EPERM)
						r.absent("d/no")
					}
					for _, u := range append(makers, root) {
						gid := group
						if !setgid {
							gid = u.gid
						}
						for _, m := range []uint32{0, 0o644, 0o777, 0o151, 0o1777, 0o4755} {
							f := fmt.Sprintf("d/%s%o", u.name, m)
							unix.Umask(mask)
							r.call(u, k.make(f, m))
							unix.Umask(0)
							want := m &^ uint32(mask)
							if k.fmt == unix.S_IFDIR {
								want &= 0o1777 // mkdir(2): setuid is not taken
								if setgid {
									want |= 0o2000
								}
							}
							if k.fmt == unix.S_IFLNK {
								want = 0o777
							}
							r.mode(f, k, want)
							r.owner(f, u.uid, gid)
							if k.fmt != unix.S_IFDIR {
								same(r, "links of "+f, r.lstat(f).Nlink, 1)
							}
						}
					}
				}})
			}
		}
		all = append(all, scenario{"make/" + k.name + " times", func(r *run) {
			r.timed(root, k.make("f", 0o644), 0, moves(".", ctime|mtime))
			st, here := r.lstat("f"), r.lstat(".")
			same(r, "times are those of the folder within a second", st.Ctim.Sec-here.Ctim.Sec < 2 && here.Ctim.Sec-st.Ctim.Sec < 2, true)
			same(r, "mtime is ctime within a second", st.Mtim.Sec-st.Ctim.Sec < 2 && st.Ctim.Sec-st.Mtim.Sec < 2, true)
			r.timed(root, k.make("f", 0o644), unix.EEXIST, keeps(".", ctime|mtime), keeps("f", ctime|mtime))
			r.timed(root, k.make("missing/f", 0o644), unix.ENOENT, keeps(".", ctime|mtime))
			if k.fmt == unix.S_IFCHR || k.fmt == unix.S_IFBLK {
				same(r, "number", r.lstat("f").Rdev != 0, true)
			}
		}}, scenario{"make/" + k.name + " where a name is taken", func(r *run) {
			for _, there := range kinds {
				r.given(there, there.name, 0o755, root)
				r.call(root, k.make(there.name, 0o644), unix.EEXIST)
				r.mode(there.name, there, map[bool]uint32{true: 0o777, false: 0o755}[there.fmt == unix.S_IFLNK])
			}
			r.call(root, k.make(".", 0o644), unix.EEXIST)
			r.call(root, k.make("..", 0o644), unix.EEXIST)
		}})
	}
	all = append(all, scenario{"make/numbers of devices", func(r *run) {
		for i, dev := range []uint64{0, unix.Mkdev(1, 2), unix.Mkdev(255, 255), unix.Mkdev(256, 0), unix.Mkdev(4095, 0), unix.Mkdev(0, 1<<20-1), unix.Mkdev(4095, 1<<20-1)} {
			for _, t := range []uint32{unix.S_IFCHR, unix.S_IFBLK} {
				f := fmt.Sprintf("f%d-%o", i, t)
				r.call(root, mknod(f, t|0o600, dev))
				st := r.lstat(f)
				same(r, "device "+f, [2]uint32{unix.Major(st.Rdev), unix.Minor(st.Rdev)}, [2]uint32{unix.Major(dev), unix.Minor(dev)})
				same(r, "type "+f, st.Mode, t|0o600)
			}
		}
		r.call(root, mknod("dir", unix.S_IFDIR|0o755, 0), unix.EPERM)
		r.call(root, mknod("link", unix.S_IFLNK|0o755, 0), unix.EINVAL)
		r.call(root, mknod("plain", 0o640, 0))
		r.mode("plain", regular, 0o640)
	}})
	return all
}
