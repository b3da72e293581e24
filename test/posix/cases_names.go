package posix

import (
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
)

// stickyCases: in a sticky folder a name is its owner's, and the folder's owner's.
func stickyCases() (all []scenario) {
	for _, sticky := range []bool{true, false} {
		for _, k := range kinds {
			for _, dirOwner := range []user{ann, ben, root} {
				all = append(all, scenario{fmt.Sprintf("sticky/%v, %s in %s's folder", sticky, k.name, dirOwner.name), func(r *run) {
					mode := uint32(0o777)
					if sticky {
						mode = 0o1777
					}
					r.set(chmod(".", 0o777))
					r.given(folder, "d", mode, dirOwner)
					for _, owner := range []user{ann, ben, root} {
						for _, u := range []user{ann, root} {
							want := unix.Errno(0)
							if sticky && u.name != "root" && dirOwner.name != u.name && owner.name != u.name {
								want = unix.EPERM
							}
							r.stickyCalls(k, owner, u, want)
						}
					}
				}})
			}
		}
	}
	return all
}

// stickyCalls does to a file of owner's what a sticky folder d may forbid u.
func (r *run) stickyCalls(k kind, owner, u user, want unix.Errno) {
	tag := owner.name + "'s by " + u.name + ": "
	name := func(o op) op { o.text = tag + o.text; return o }
	r.given(k, "d/f", 0o777, owner)
	gone := want == 0
	if r.call(u, name(rename("d/f", "d/g")), want) && gone {
		r.set(rename("d/g", "d/f"))
	}
	// Another parent is for a folder's ".." to be written: only its owner may.
	away := want
	if away == 0 && k.fmt == unix.S_IFDIR && u.name != "root" && owner.name != u.name {
		away = unix.EACCES
		r.set(chmod("d/f", 0o755))
	}
	if r.call(u, name(rename("d/f", "out")), away) && away == 0 {
		r.call(root, name(lstat("out")))
		r.absent("d/f")
		r.set(rename("out", "d/f"))
	}
	r.set(k.make("new", 0o777), lchown("new", u.uid, u.gid))
	if r.call(u, name(rename("new", "d/f")), want) && want == 0 {
		r.absent("new")
		r.owner("d/f", u.uid, u.gid)
		r.set(lchown("d/f", owner.uid, owner.gid))
	} else {
		r.owner("d/f", owner.uid, owner.gid)
		r.set(k.remove("new"))
	}
	if r.call(u, name(k.remove("d/f")), want) && want == 0 {
		r.absent("d/f")
	} else {
		r.owner("d/f", owner.uid, owner.gid)
		r.set(k.remove("d/f"))
	}
}

func removeCases() (all []scenario) {
	for _, k := range kinds {
		all = append(all, scenario{"remove/" + k.name, func(r *run) {
			r.given(k, "f", 0o644, root)
			if k.fmt == unix.S_IFDIR {
				r.timed(root, unlink("f"), unix.EISDIR, keeps(".", ctime|mtime), keeps("f", ctime|mtime))
			} else {
				r.timed(root, rmdir("f"), unix.ENOTDIR, keeps(".", ctime|mtime), keeps("f", ctime|mtime))
				r.call(root, unlink("f/"), unix.ENOTDIR, unix.ENOENT)
			}
			r.timed(ben, k.remove("f"), unix.EACCES, keeps(".", ctime|mtime), keeps("f", ctime|mtime))
			r.timed(root, k.remove("f"), 0, moves(".", ctime|mtime))
			r.absent("f")
			r.timed(root, k.remove("f"), unix.ENOENT, keeps(".", ctime|mtime))
			r.given(k, "f", 0o600, root) // the name is free
			r.mode("f", k, map[bool]uint32{true: 0o777, false: 0o600}[k.fmt == unix.S_IFLNK])
		}}, scenario{"remove/a folder that holds a " + k.name, func(r *run) {
			r.set(mkdir("d", 0o755))
			r.given(k, "d/f", 0o644, root)
			r.timed(root, rmdir("d"), unix.ENOTEMPTY, keeps(".", ctime|mtime), keeps("d", ctime|mtime))
			r.call(root, lstat("d/f"))
			r.call(root, k.remove("d/f"))
			r.call(root, rmdir("d"))
			r.absent("d")
		}})
	}
	return append(all, scenario{"remove/dots", func(r *run) {
		r.set(mkdir("d", 0o755), mkdir("d/e", 0o755))
		r.call(root, rmdir("d/e/."), unix.EINVAL)
		r.call(root, rmdir("d/e/.."), unix.ENOTEMPTY)
		r.call(root, unlink("d/e/."), unix.EISDIR)
		r.call(root, rmdir("d/e/"))
		r.call(root, rmdir("."), unix.EINVAL)
	}}, scenario{"remove/an open file", func(r *run) {
		r.set(create("f", 0o644), write("f", unix.O_WRONLY, "12345"))
		for _, other := range []string{"", "g"} {
			fd, err := unix.Open("f", unix.O_RDWR, 0)
			if !r.note(err, "open") {
				return
			}
			if other == "" {
				r.call(root, unlink("f"))
				r.absent("f")
			} else {
				r.set(create(other, 0o644))
				r.call(root, rename(other, "f"))
			}
			var st unix.Stat_t
			r.note(unix.Fstat(fd, &st), "fstat")
			same(r, "links", st.Nlink, 0)
			same(r, "size", st.Size, 5)
			_, err = unix.Pwrite(fd, []byte("67"), 5)
			r.note(err, "write")
			buf := make([]byte, 10)
			n, err := unix.Pread(fd, buf, 0)
			r.note(err, "read")
			same(r, "content", string(buf[:max(n, 0)]), "1234567")
			r.note(unix.Fchmod(fd, 0o600), "fchmod")
			r.note(unix.Ftruncate(fd, 2), "ftruncate")
			r.note(unix.Fstat(fd, &st), "fstat")
			same(r, "size", st.Size, 2)
			r.note(unix.Close(fd), "close")
			if other == "" {
				r.set(create("f", 0o644), write("f", unix.O_WRONLY, "12345"))
			}
		}
	}}, scenario{"remove/an open folder", func(r *run) {
		r.set(mkdir("d", 0o755))
		fd, err := unix.Open("d", unix.O_RDONLY|unix.O_DIRECTORY, 0)
		if !r.note(err, "open") {
			return
		}
		r.call(root, rmdir("d"))
		r.call(root, op{"openat in it", func() error {
			_, err := unix.Openat(fd, "x", unix.O_CREAT|unix.O_RDWR, 0o644)
			return err
		}}, unix.ENOENT)
		r.call(root, op{"mkdirat in it", func() error { return unix.Mkdirat(fd, "x", 0o755) }}, unix.ENOENT)
		r.note(unix.Close(fd), "close")
	}})
}

func renameCases() (all []scenario) {
	targets := append([]kind{{name: "nothing"}, {name: "full folder", fmt: unix.S_IFDIR, make: func(p string, m uint32) op {
		return op{"full " + p, func() error {
			if err := unix.Mkdir(p, m); err != nil {
				return err
			}
			return create(p+"/x", 0o644).do()
		}}
	}}}, kinds...)
	for _, from := range kinds {
		for _, to := range targets {
			all = append(all, scenario{fmt.Sprintf("rename/%s to %s", from.name, to.name), func(r *run) {
				isDir, ontoDir := from.fmt == unix.S_IFDIR, to.fmt == unix.S_IFDIR
				want := unix.Errno(0)
				switch {
				case to.name == "nothing":
				case !isDir && ontoDir:
					want = unix.EISDIR
				case isDir && !ontoDir:
					want = unix.ENOTDIR
				case to.name == "full folder":
					want = unix.ENOTEMPTY
				}
				for _, dst := range []string{"to", "d/to"} {
					r.given(from, "from", 0o640, ann)
					if dst == "d/to" {
						r.set(mkdir("d", 0o755))
					}
					if to.name != "nothing" {
						r.set(to.make(dst, 0o604))
					}
					release := r.hold("from")
					src := r.lstat("from")
					parents := []watched{moves(".", ctime|mtime)}
					if want != 0 {
						parents = []watched{keeps(".", ctime|mtime), keeps("from", ctime|mtime), keeps(dst, ctime|mtime)}
					} else if dst == "d/to" {
						parents = append(parents, moves("d", ctime|mtime))
					}
					r.timed(root, rename("from", dst), want, parents...)
					if want != 0 {
						r.call(root, lstat("from"))
						same(r, "type of "+dst, r.lstat(dst).Mode&unix.S_IFMT, to.fmt)
						if to.name == "full folder" {
							r.call(root, lstat(dst+"/x"))
						}
						r.set(from.remove("from"))
						release()
						continue
					}
					r.absent("from")
					st := r.lstat(dst)
					same(r, "inode of "+dst, st.Ino, src.Ino)
					same(r, "mode of "+dst, st.Mode, src.Mode)
					same(r, "mtime of "+dst, st.Mtim, src.Mtim)
					r.owner(dst, ann.uid, ann.gid)
					same(r, "device number of "+dst, st.Rdev, src.Rdev)
					release()
				}
			}})
		}
		all = append(all, scenario{fmt.Sprintf("rename/%s onto itself and without replacing", from.name), func(r *run) {
			r.given(from, "f", 0o644, root)
			r.timed(root, rename("f", "f"), 0, keeps(".", ctime|mtime), keeps("f", ctime|mtime))
			r.timed(root, rename("f", "missing/f"), unix.ENOENT, keeps(".", ctime|mtime), keeps("f", ctime|mtime))
			r.set(create("taken", 0o644))
			r.call(root, rename2("f", "taken", unix.RENAME_NOREPLACE), unix.EEXIST)
			r.call(root, rename2("f", "free", unix.RENAME_NOREPLACE))
			r.absent("f")
			r.call(root, lstat("free"))
			r.call(root, rename2("free", "x", unix.RENAME_NOREPLACE|unix.RENAME_EXCHANGE), unix.EINVAL)
			r.call(root, rename2("free", "x", 1<<10), unix.EINVAL)
		}}, scenario{fmt.Sprintf("rename/%s by who may not", from.name), func(r *run) {
			r.given(folder, "a", 0o755, ann)
			r.given(folder, "b", 0o755, ann)
			r.given(folder, "open", 0o777, ann)
			r.given(from, "a/f", 0o777, ann)
			r.given(from, "open/f", 0o777, ben)
			r.timed(ben, rename("a/f", "b/f"), unix.EACCES, keeps("a", ctime|mtime), keeps("b", ctime|mtime), keeps("a/f", ctime))
			r.timed(ben, rename("a/f", "open/g"), unix.EACCES, keeps("a", ctime|mtime), keeps("open", ctime|mtime))
			r.timed(ben, rename("open/f", "b/f"), unix.EACCES, keeps("open", ctime|mtime), keeps("b", ctime|mtime))
			r.call(ben, rename("open/f", "open/g"))
			r.timed(ann, rename("a/f", "b/f"), 0, moves("a", ctime|mtime), moves("b", ctime|mtime))
		}})
	}
	return append(all, scenario{"rename/a folder into itself", func(r *run) {
		r.set(mkdir("d", 0o755), mkdir("d/e", 0o755), mkdir("d/e/f", 0o755))
		r.call(root, rename("d", "d/x"), unix.EINVAL)
		r.call(root, rename("d", "d/e/x"), unix.EINVAL)
		r.call(root, rename("d", "d/e/f"), unix.EINVAL)
		r.call(root, rename("d/e/f", "d"), unix.ENOTEMPTY)
		r.call(root, rename("d/e/f", "d/e"), unix.ENOTEMPTY)
		r.call(root, rename(".", "x"), unix.EBUSY, unix.EINVAL)
		r.call(root, rename("d/e/..", "x"), unix.EBUSY, unix.EINVAL, unix.ENOTEMPTY)
		r.call(root, rename("d", "d/e/."), unix.EBUSY, unix.EINVAL, unix.ENOTEMPTY)
	}}, scenario{"rename/a folder with what is in it", func(r *run) {
		r.set(mkdir("d", 0o755), mkdir("d/e", 0o750))
		for _, k := range kinds {
			r.given(k, "d/e/"+k.name, 0o604, ann)
		}
		r.call(root, rename("d", "moved"))
		for _, k := range kinds {
			r.mode("moved/e/"+k.name, k, map[bool]uint32{true: 0o777, false: 0o604}[k.fmt == unix.S_IFLNK])
			r.owner("moved/e/"+k.name, ann.uid, ann.gid)
		}
		r.mode("moved/e", folder, 0o750)
		r.absent("d")
	}}, scenario{"rename/links of folders", func(r *run) {
		r.set(mkdir("a", 0o755), mkdir("b", 0o755))
		same(r, "links of a", r.lstat("a").Nlink, 2)
		r.set(mkdir("a/d", 0o755))
		same(r, "links of a", r.lstat("a").Nlink, 3)
		same(r, "links of b", r.lstat("b").Nlink, 2)
		same(r, "inode of ..", r.lstat("a/d/..").Ino, r.lstat("a").Ino)
		r.call(root, rename("a/d", "b/d"))
		same(r, "links of a", r.lstat("a").Nlink, 2)
		same(r, "links of b", r.lstat("b").Nlink, 3)
		same(r, "inode of ..", r.lstat("b/d/..").Ino, r.lstat("b").Ino)
		r.set(create("b/f", 0o644), symlink("d", "b/l"))
		same(r, "links of b", r.lstat("b").Nlink, 3)
		r.call(root, rmdir("b/d"))
		same(r, "links of b", r.lstat("b").Nlink, 2)
	}}, scenario{"rename/an open file", func(r *run) {
		r.set(create("f", 0o644))
		fd, err := unix.Open("f", unix.O_RDWR, 0)
		if !r.note(err, "open") {
			return
		}
		_, err = unix.Write(fd, []byte("one"))
		r.note(err, "write")
		r.call(root, rename("f", "g"))
		_, err = unix.Write(fd, []byte("two"))
		r.note(err, "write")
		r.note(unix.Close(fd), "close")
		same(r, "size", r.lstat("g").Size, 6)
		r.absent("f")
	}})
}

// linkCases are of hard links.
func linkCases() (all []scenario) {
	for _, k := range notDirs {
		all = append(all, scenario{"link/" + k.name, func(r *run) {
			r.given(k, "f", 0o644, ann)
			r.set(mkdir("d", 0o755))
			defer r.hold("f")()
			ino := r.lstat("f").Ino
			links := func(want uint64, names ...string) {
				for _, name := range names {
					st := r.lstat(name)
					same(r, "links of "+name, uint64(st.Nlink), want)
					same(r, "inode of "+name, st.Ino, ino)
				}
			}
			if !r.call(root, link("f", "first")) { // nothing of what follows can hold
				return
			}
			r.set(unlink("first"))
			r.timed(root, link("f", "g"), 0, moves(".", ctime|mtime), moves("f", ctime), keeps("f", mtime))
			links(2, "f", "g")
			r.timed(root, link("g", "d/h"), 0, moves("d", ctime|mtime), moves("f", ctime))
			links(3, "f", "g", "d/h")
			if k.fmt != unix.S_IFLNK {
				r.call(root, chmod("g", 0o600))
				r.mode("f", k, 0o600)
				r.mode("d/h", k, 0o600)
			}
			r.call(root, lchown("d/h", ben.uid, ben.gid))
			r.owner("f", ben.uid, ben.gid)
			r.call(root, utimens("f", at(5, 6), at(7, 8), unix.AT_SYMLINK_NOFOLLOW))
			same(r, "mtime of g", r.lstat("g").Mtim, at(7, 8).ts)
			r.timed(root, unlink("f"), 0, moves("g", ctime), moves(".", ctime|mtime), keeps("d", ctime|mtime))
			links(2, "g", "d/h")
			r.call(root, rename("g", "i"))
			links(2, "i", "d/h")
			r.timed(root, rename("i", "d/h"), 0, keeps(".", ctime|mtime), keeps("i", ctime)) // one file: nothing is done
			links(2, "i", "d/h")
			r.set(k.make("new", 0o644))
			r.timed(root, rename("new", "i"), 0, moves("d/h", ctime))
			links(1, "d/h")
			r.call(root, unlink("i"))
			r.call(root, unlink("d/h"))
			r.absent("d/h")
		}}, scenario{"link/to what is there: " + k.name, func(r *run) {
			r.set(create("f", 0o644))
			r.given(k, "taken", 0o644, root)
			r.timed(root, link("f", "taken"), unix.EEXIST, keeps(".", ctime|mtime), keeps("f", ctime))
			r.timed(root, link("taken", "f"), unix.EEXIST, keeps(".", ctime|mtime), keeps("f", ctime))
		}})
	}
	return append(all, scenario{"link/content", func(r *run) {
		r.set(create("f", 0o644), write("f", unix.O_WRONLY, "one"))
		if !r.call(root, link("f", "g")) {
			return
		}
		r.call(root, write("g", unix.O_WRONLY|unix.O_APPEND, "two"))
		same(r, "size of f", r.lstat("f").Size, 6)
		r.call(root, truncate("f", 2))
		same(r, "size of g", r.lstat("g").Size, 2)
		fd, err := unix.Open("g", unix.O_RDWR, 0)
		if !r.note(err, "open") {
			return
		}
		r.call(root, unlink("g"))
		_, err = unix.Pwrite(fd, []byte("9"), 9)
		r.note(err, "write")
		r.note(unix.Close(fd), "close")
		same(r, "size of f", r.lstat("f").Size, 10)
	}}, scenario{"link/what cannot be linked", func(r *run) {
		r.set(mkdir("d", 0o755), create("f", 0o666)) // who may not write it may be kept from linking it
		r.timed(root, link("d", "g"), unix.EPERM, keeps(".", ctime|mtime), keeps("d", ctime|mtime))
		r.call(ben, link("d", "g"), unix.EPERM, unix.EACCES)
		r.call(root, link("f", "d"), unix.EEXIST)
		r.call(root, link("missing", "g"), unix.ENOENT)
		r.timed(ben, link("f", "g"), unix.EACCES, keeps(".", ctime|mtime), keeps("f", ctime))
		r.given(folder, "closed", 0o755, ann)
		r.call(ben, link("f", "closed/g"), unix.EACCES)
	}})
}

func symlinkCases() (all []scenario) {
	all = append(all, scenario{"symlink/targets", func(r *run) {
		for i, n := range []int{1, 2, 59, 60, 255, 256, 1023, 1024, 4000, 4095} {
			l, target := names('l', i), strings.Repeat("t/", (n+1)/2)[:n]
			r.call(root, symlink(target, l))
			buf := make([]byte, 8192)
			got, err := unix.Readlink(l, buf)
			r.note(err, "readlink %s", l)
			same(r, "target of "+l, string(buf[:max(got, 0)]) == target, true)
			same(r, "size of "+l, r.lstat(l).Size, int64(n))
			r.mode(l, slink, 0o777)
		}
		r.call(root, symlink(strings.Repeat("t", 4096), "long"), unix.ENAMETOOLONG)
		r.call(root, symlink("", "empty"), unix.ENOENT)
	}}, scenario{"symlink/readlink of other kinds", func(r *run) {
		for _, k := range withMode {
			r.given(k, k.name, 0o644, root)
			r.call(root, readlink(k.name), unix.EINVAL)
		}
	}}, scenario{"symlink/is followed", func(r *run) {
		r.set(mkdir("d", 0o755), create("d/f", 0o640), symlink("d", "l"), symlink("d/f", "lf"), symlink("../d", "d/up"))
		for _, p := range []string{"l/f", "lf", "d/up/f", "l/up/up/f"} {
			same(r, "inode of "+p, statIno(r, p), statIno(r, "d/f"))
		}
		r.call(root, unlink("lf"))
		r.call(root, lstat("d/f"))
		r.call(root, rmdir("l"), unix.ENOTDIR)
		r.call(root, unlink("l"))
		r.call(root, lstat("d"))
	}})
	return all
}

func statIno(r *run, path string) uint64 {
	var st unix.Stat_t
	r.note(unix.Stat(path, &st), "stat %s", path)
	return st.Ino
}

func nameCases() (all []scenario) {
	odd := []string{"a b", " ", "new\nline", "tab\t", "quote'\"", "back\\slash", "*", "?", "#", "%", "%41", "a:b", "ü", "u\u0308", "日本語", "🎉",
		"-", "--", "~", "...", ".hidden", "x.", "&<>;|", "\x01\x7f", strings.Repeat("n", 254), strings.Repeat("é", 127), strings.Repeat("日", 85)}
	for _, k := range kinds {
		all = append(all, scenario{"names/" + k.name, func(r *run) {
			for _, name := range odd {
				r.call(root, k.make(name, 0o644))
				r.call(root, k.make(name, 0o644), unix.EEXIST)
				r.mode(name, k, map[bool]uint32{true: 0o777, false: 0o644}[k.fmt == unix.S_IFLNK])
				r.call(root, rename(name, "moved"))
				r.call(root, rename("moved", name))
				r.call(root, k.remove(name))
				r.absent(name)
			}
		}})
	}
	return all
}
