package posix

import (
	"fmt"

	"golang.org/x/sys/unix"
)

func exchange(a, b string) op { return rename2(a, b, unix.RENAME_EXCHANGE) }

// full is a folder with a file in it.
var full = kind{"full folder", unix.S_IFDIR, func(p string, m uint32) op {
	return op{"full " + p, func() error {
		if err := unix.Mkdir(p, m); err != nil {
			return err
		}
		return create(p+"/in "+p[len(p)-1:], 0o644).do()
	}}
}}

// exchangeCases are of renameat2 with RENAME_EXCHANGE.
func exchangeCases() (all []scenario) {
	all = append(all, exchangeRefusals()...)
	every := append([]kind{full}, kinds...)
	for _, from := range every {
		for _, to := range every {
			all = append(all, scenario{fmt.Sprintf("exchange/%s and %s", from.name, to.name), func(r *run) {
				r.set(mkdir("d", 0o755))
				for _, other := range []string{"b", "d/b"} {
					r.given(from, "a", 0o640, ann)
					r.given(to, other, 0o604, ben)
					r.exchanged(from, to, "a", other)
					r.exchanged(to, from, "a", other) // and back
					r.set(from.clear("a"), to.clear(other))
				}
			}})
		}
		all = append(all, scenario{fmt.Sprintf("exchange/%s by who may not", from.name), func(r *run) {
			r.given(folder, "anns", 0o755, ann)
			r.given(folder, "bens", 0o755, ben)
			r.given(folder, "sticky", 0o1777, root)
			r.given(from, "anns/a", 0o777, ann)
			r.given(from, "bens/b", 0o777, ben)
			r.given(from, "sticky/s", 0o777, ann)
			r.timed(ben, exchange("bens/b", "anns/a"), unix.EACCES, keeps("anns", ctime|mtime), keeps("bens", ctime|mtime), keeps("anns/a", ctime))
			r.call(ben, exchange("anns/a", "bens/b"), unix.EACCES)
			r.call(ben, exchange("bens/b", "sticky/s"), unix.EPERM)
			r.call(ben, exchange("sticky/s", "bens/b"), unix.EPERM)
			r.given(from, "anns/b", 0o777, ann)
			r.call(ann, exchange("anns/a", "sticky/s"))
			r.call(ann, exchange("anns/a", "anns/b"))
		}})
	}
	return append(all, scenario{"exchange/open files", func(r *run) {
		var fds [2]int
		for i, name := range []string{"a", "b"} {
			r.set(create(name, 0o644))
			var err error
			fds[i], err = unix.Open(name, unix.O_RDWR, 0)
			if !r.note(err, "open %s", name) {
				return
			}
			_, err = unix.Write(fds[i], []byte("one"))
			r.note(err, "write to %s", name)
		}
		r.call(root, exchange("a", "b"))
		_, err := unix.Write(fds[0], []byte("more"))
		r.note(err, "write to what was a")
		same(r, "size of b", r.lstat("b").Size, 7)
		same(r, "size of a", r.lstat("a").Size, 3)
		for _, fd := range fds {
			r.note(unix.Close(fd), "close")
		}
		same(r, "size of b, closed", r.lstat("b").Size, 7)
	}}, scenario{"exchange/links of folders", func(r *run) {
		r.set(mkdir("a", 0o755), mkdir("b", 0o755), mkdir("a/d", 0o755), create("b/f", 0o644))
		r.call(root, exchange("a/d", "b/f"))
		same(r, "links of a", r.lstat("a").Nlink, 2)
		same(r, "links of b", r.lstat("b").Nlink, 3)
		same(r, "inode of ..", r.lstat("b/f/..").Ino, r.lstat("b").Ino)
		r.call(root, exchange("a", "b"))
		r.call(root, rmdir("a/f"))
		r.call(root, unlink("b/d"))
	}})
}

// clear removes a file, or a folder with what full has put into it.
func (k kind) clear(path string) op {
	return op{"clear " + path, func() error {
		if k.name == full.name {
			for _, in := range []string{"a", "b"} {
				if err := unix.Unlink(path + "/in " + in); err != nil && err != unix.ENOENT {
					return err
				}
			}
		}
		return k.remove(path).do()
	}}
}

// exchanged exchanges a file of one kind with one of another, and looks at both.
func (r *run) exchanged(from, to kind, a, b string) {
	defer r.hold(a)()
	defer r.hold(b)()
	was := [2]unix.Stat_t{r.lstat(a), r.lstat(b)}
	parents := []watched{moves(".", ctime|mtime)}
	if b == "d/b" {
		parents = append(parents, moves("d", ctime|mtime))
	}
	r.timed(root, exchange(a, b), 0, append(parents, moves(a+">"+b, ctime), moves(b+">"+a, ctime), keeps(a+">"+b, mtime), keeps(b+">"+a, mtime))...)
	for i, name := range []string{b, a} {
		st := r.lstat(name)
		same(r, "inode of "+name, st.Ino, was[i].Ino)
		same(r, "mode of "+name, st.Mode, was[i].Mode)
		same(r, "device number of "+name, st.Rdev, was[i].Rdev)
		r.owner(name, int(was[i].Uid), int(was[i].Gid))
		if k := []kind{from, to}[i]; k.name == full.name {
			errA, errB := unix.Lstat(name+"/in a", &st), unix.Lstat(name+"/in b", &st)
			same(r, "what is in "+name+" is one file", (errA == nil) != (errB == nil), true)
		}
	}
}

// exchangeRefusals are what can't be exchanged, or need not be.
func exchangeRefusals() []scenario {
	return []scenario{{"exchange/nothing", func(r *run) {
		r.set(create("f", 0o644), mkdir("d", 0o755))
		for _, name := range []string{"f", "d"} {
			r.timed(root, exchange(name, "none"), unix.ENOENT, keeps(".", ctime|mtime), keeps(name, ctime|mtime))
			r.call(root, exchange("none", name), unix.ENOENT)
			r.call(root, exchange(name, "none/x"), unix.ENOENT)
			r.call(root, exchange(name, "f/x"), unix.ENOTDIR)
			r.call(root, exchange(name, name))
			r.call(root, rename2(name, "f", unix.RENAME_EXCHANGE|unix.RENAME_NOREPLACE), unix.EINVAL)
			r.call(root, rename2(name, "f", unix.RENAME_EXCHANGE|unix.RENAME_WHITEOUT), unix.EINVAL)
		}
		r.call(root, exchange("f", "."), unix.EBUSY)
	}}, {"exchange/a folder and what is in it", func(r *run) {
		r.set(mkdir("d", 0o755), mkdir("d/e", 0o755), create("d/e/f", 0o644))
		r.call(root, exchange("d", "d/e"), unix.EINVAL)
		r.call(root, exchange("d/e", "d"), unix.EINVAL)
		r.call(root, exchange("d/e/f", "d"), unix.EINVAL)
		r.call(root, exchange("d", "d/e/f"), unix.EINVAL)
		r.call(root, lstat("d/e/f"))
	}}, {"exchange/two names of one file", func(r *run) {
		r.set(create("f", 0o644))
		if link("f", "g").do() != nil {
			return // not with --writeback
		}
		r.timed(root, exchange("f", "g"), 0, keeps("f", mtime))
		same(r, "inode of g", r.lstat("g").Ino, r.lstat("f").Ino)
		same(r, "links", r.lstat("f").Nlink, 2)
	}}}
}
