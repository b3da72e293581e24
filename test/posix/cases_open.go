package posix

import (
	"fmt"
	"os"
	"os/exec"

	"golang.org/x/sys/unix"
)

// class returns the permission bits that count for a user of a file of ann's.
func class(u user, mode uint32) uint32 {
	switch u.name {
	case "ann", "ann2":
		return mode >> 6 & 7
	case "amy", "gus":
		return mode >> 3 & 7
	}
	return mode & 7
}

func openCases() (all []scenario) {
	accesses := []struct {
		flags int
		needs uint32
	}{{unix.O_RDONLY, 4}, {unix.O_WRONLY, 2}, {unix.O_RDWR, 6}, {unix.O_RDONLY | unix.O_TRUNC, 6}, {unix.O_WRONLY | unix.O_TRUNC, 2}, {unix.O_WRONLY | unix.O_APPEND, 2}}
	modes := []uint32{0o000, 0o400, 0o200, 0o600, 0o477, 0o277, 0o077, 0o040, 0o020, 0o060, 0o707, 0o004, 0o002, 0o006, 0o770, 0o666}
	for _, u := range []user{ann, amy, gus, ben, root} {
		all = append(all, scenario{"open/permissions of a file for " + u.name, func(r *run) {
			r.given(regular, "f", 0o600, ann)
			r.given(fifo, "p", 0o600, ann)
			for _, m := range modes {
				r.set(chmod("f", m), chmod("p", m))
				for _, a := range accesses {
					want := unix.Errno(0)
					if u.name != "root" && class(u, m)&a.needs != a.needs {
						want = unix.EACCES
					}
					o := open("f", a.flags, 0)
					o.text += fmt.Sprintf(" of mode %04o", m)
					r.call(u, o, want)
				}
				for _, a := range accesses[:3] {
					want := unix.Errno(0)
					if u.name != "root" && class(u, m)&a.needs != a.needs {
						want = unix.EACCES
					} else if a.flags == unix.O_WRONLY {
						want = unix.ENXIO // nobody reads
					}
					o := open("p", a.flags|unix.O_NONBLOCK, 0)
					o.text += fmt.Sprintf(" of mode %04o", m)
					r.call(u, o, want)
				}
			}
		}}, scenario{"open/permissions of a folder for " + u.name, func(r *run) {
			r.given(folder, "d", 0o700, ann)
			r.set(create("d/f", 0o666))
			for _, m := range []uint32{0o000, 0o400, 0o100, 0o500, 0o077, 0o040, 0o010, 0o050, 0o004, 0o001, 0o005, 0o755} {
				r.set(chmod("d", m))
				for _, c := range []struct {
					o     op
					needs uint32
				}{{readdir("d"), 4}, {stat("d/f"), 1}, {chdir("d"), 1}, {open("d/f", unix.O_RDONLY, 0), 1}} {
					want := unix.Errno(0)
					if u.name != "root" && class(u, m)&c.needs != c.needs {
						want = unix.EACCES
					}
					c.o.text += fmt.Sprintf(" of mode %04o", m)
					r.call(u, c.o, want)
				}
			}
		}}, scenario{"open/names in a folder changed by " + u.name, func(r *run) {
			r.given(folder, "d", 0o777, ann)
			r.set(create("src", 0o666), create("d/old", 0o666), mkdir("d/olddir", 0o777))
			r.set(chmod(".", 0o777))
			for _, m := range []uint32{0o000, 0o100, 0o200, 0o300, 0o500, 0o700, 0o077, 0o010, 0o020, 0o030, 0o050, 0o707, 0o001, 0o002, 0o003, 0o005, 0o770, 0o777} {
				r.set(chmod("d", m))
				want := unix.Errno(0)
				if u.name != "root" && class(u, m)&3 != 3 {
					want = unix.EACCES
				}
				try := func(o op, undo ...op) {
					o.text += fmt.Sprintf(" in mode %04o", m)
					if r.call(u, o, want) && want == 0 {
						r.set(undo...)
					}
				}
				try(create("d/n", 0o644), unlink("d/n"))
				try(mkdir("d/n", 0o755), rmdir("d/n"))
				try(mkfifo("d/n", 0o644), unlink("d/n"))
				try(bind("d/n", 0o644), unlink("d/n"))
				try(symlink("x", "d/n"), unlink("d/n"))
				try(rename("src", "d/n"), rename("d/n", "src"))
				try(unlink("d/old"), create("d/old", 0o666))
				try(rmdir("d/olddir"), mkdir("d/olddir", 0o777))
				try(rename("d/old", "n"), rename("n", "d/old"))
				try(rename("d/old", "d/n"), rename("d/n", "d/old"))
			}
		}})
	}
	return append(all, openFlagCases()...)
}

func openFlagCases() []scenario {
	return []scenario{{"open/exclusive", func(r *run) {
		for _, k := range kinds {
			r.given(k, k.name, 0o666, root)
			r.call(root, open(k.name, unix.O_CREAT|unix.O_EXCL, 0o644), unix.EEXIST)
			r.call(ben, open(k.name, unix.O_CREAT|unix.O_EXCL|unix.O_RDWR, 0o644), unix.EEXIST)
		}
	}}, {"open/kinds", func(r *run) {
		for _, k := range kinds {
			r.given(k, k.name, 0o666, root)
			want := unix.ENOTDIR
			if k.fmt == unix.S_IFDIR {
				want = 0
			}
			if k.fmt != unix.S_IFLNK {
				r.call(root, open(k.name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NONBLOCK, 0), want)
			}
			r.call(root, open(k.name, unix.O_PATH|unix.O_NOFOLLOW, 0))
		}
		r.call(root, open("symlink", unix.O_RDONLY, 0), unix.ENOENT)
		r.call(root, open("symlink", unix.O_RDONLY|unix.O_NOFOLLOW, 0), unix.ELOOP)
		r.call(root, open("symlink", unix.O_CREAT|unix.O_WRONLY, 0o644)) // makes what it leads to
		r.mode("nowhere", regular, 0o644)
		r.call(root, open("socket", unix.O_RDWR, 0), unix.ENXIO)
		r.call(root, open("socket", unix.O_RDONLY, 0), unix.ENXIO)
		for _, flags := range []int{unix.O_WRONLY, unix.O_RDWR, unix.O_RDONLY | unix.O_TRUNC, unix.O_RDWR | unix.O_CREAT, unix.O_RDONLY | unix.O_CREAT} {
			r.call(root, open("folder", flags, 0o644), unix.EISDIR)
		}
		r.call(ann, open("fifo", unix.O_WRONLY|unix.O_NONBLOCK, 0), unix.ENXIO)
		r.call(ann, open("fifo", unix.O_RDONLY|unix.O_NONBLOCK, 0))
		r.call(ann, open("fifo", unix.O_RDWR, 0))
	}}, {"open/what a descriptor may", func(r *run) {
		r.set(create("f", 0o666), write("f", unix.O_WRONLY, "data"))
		for _, u := range []user{root, ben} {
			r.call(u, write("f", unix.O_RDONLY, "x"), unix.EBADF)
			r.call(u, read("f", unix.O_WRONLY), unix.EBADF)
			r.call(u, read("f", unix.O_RDWR))
			r.call(u, write("f", unix.O_RDWR, "x"))
			r.call(u, ftruncate("f", unix.O_RDONLY, 1), unix.EINVAL, unix.EBADF)
			r.call(u, ftruncate("f", unix.O_WRONLY, 1))
			r.call(u, fallocate("f", unix.O_RDONLY, 0, 10), unix.EBADF)
			r.call(u, fallocate("f", unix.O_WRONLY, 0, 10))
		}
	}}, {"open/truncating and appending", func(r *run) {
		r.set(create("f", 0o666))
		r.call(root, write("f", unix.O_WRONLY, "12345"))
		r.call(root, write("f", unix.O_WRONLY|unix.O_APPEND, "678"))
		same(r, "size", r.lstat("f").Size, 8)
		r.call(root, write("f", unix.O_WRONLY, "ab"))
		same(r, "size", r.lstat("f").Size, 8)
		r.timed(root, open("f", unix.O_WRONLY|unix.O_TRUNC, 0), 0, moves("f", ctime|mtime), keeps(".", ctime|mtime))
		same(r, "size", r.lstat("f").Size, 0)
		r.timed(root, write("f", unix.O_WRONLY, "ab"), 0, moves("f", ctime|mtime), keeps(".", ctime|mtime))
		r.timed(root, open("f", unix.O_RDWR, 0), 0, keeps("f", ctime|mtime))
		r.timed(root, open("f", unix.O_RDWR|unix.O_CREAT, 0o600), 0, keeps("f", ctime|mtime), keeps(".", ctime|mtime))
		r.mode("f", regular, 0o666)
		r.timed(ben, open("g", unix.O_RDWR|unix.O_CREAT, 0o600), unix.EACCES, keeps(".", ctime|mtime))
	}}, {"open/a file that it makes read-only can be written", func(r *run) {
		r.set(chmod(".", 0o777))
		for i, m := range []uint32{0, 0o400, 0o444} {
			f := names('f', i)
			o := op{fmt.Sprintf("create %s %04o and write", f, m), func() error {
				fd, err := unix.Open(f, unix.O_CREAT|unix.O_EXCL|unix.O_RDWR, m)
				if err != nil {
					return err
				}
				defer unix.Close(fd)
				_, err = unix.Write(fd, []byte("data"))
				return err
			}}
			r.call(ben, o)
			r.mode(f, regular, m)
			same(r, "size", r.lstat(f).Size, 4)
			r.call(ben, open(f, unix.O_WRONLY, 0), unix.EACCES)
		}
	}}, {"open/a program that runs", func(r *run) {
		data, err := os.ReadFile("/bin/sleep")
		if err == nil {
			err = os.WriteFile("sleep", data, 0o755)
		}
		cmd := exec.Command("./sleep", "60")
		if err == nil {
			err = cmd.Start()
		}
		if !r.note(err, "start a program") {
			return
		}
		r.call(root, open("sleep", unix.O_WRONLY, 0), unix.ETXTBSY)
		r.call(root, open("sleep", unix.O_RDWR, 0), unix.ETXTBSY)
		r.call(root, open("sleep", unix.O_RDONLY|unix.O_TRUNC, 0), unix.ETXTBSY)
		r.call(root, truncate("sleep", 10), unix.ETXTBSY)
		r.call(root, open("sleep", unix.O_RDONLY, 0))
		cmd.Process.Kill()
		cmd.Wait() // killed
		r.call(root, open("sleep", unix.O_WRONLY, 0))
	}}}
}

func truncateCases() []scenario {
	sizes := []int64{0, 1, 3, 5, 4096, 100_000, 0, 1 << 20, 7}
	return []scenario{{"truncate/sizes", func(r *run) {
		r.set(create("f", 0o644), create("g", 0o644), write("f", unix.O_WRONLY, "12345"), write("g", unix.O_WRONLY, "12345"))
		for _, s := range sizes {
			r.call(root, truncate("f", s))
			same(r, "size", r.lstat("f").Size, s)
			r.call(root, ftruncate("g", unix.O_RDWR, s))
			same(r, "size of g", r.lstat("g").Size, s)
		}
		r.call(root, truncate("f", -1), unix.EINVAL)
		r.call(root, ftruncate("f", unix.O_RDWR, -1), unix.EINVAL)
		r.call(root, truncate("f", 1<<62), unix.EFBIG)
		r.call(root, ftruncate("f", unix.O_RDWR, 1<<62), unix.EFBIG)
		same(r, "size", r.lstat("f").Size, 7)
	}}, {"truncate/content", func(r *run) {
		r.set(create("f", 0o644), write("f", unix.O_WRONLY, "12345"))
		r.call(root, truncate("f", 3))
		r.call(root, truncate("f", 6))
		data, err := os.ReadFile("f")
		r.note(err, "read")
		same(r, "content", string(data), "123\x00\x00\x00")
	}}, {"truncate/times", func(r *run) {
		r.set(create("f", 0o644), write("f", unix.O_WRONLY, "12345"))
		r.timed(root, truncate("f", 3), 0, moves("f", ctime|mtime), keeps(".", ctime|mtime))
		r.timed(root, truncate("f", 9), 0, moves("f", ctime|mtime))
		r.timed(root, ftruncate("f", unix.O_RDWR, 2), 0, moves("f", ctime|mtime), keeps(".", ctime|mtime))
		r.timed(root, ftruncate("f", unix.O_RDWR, 2), 0, moves("f", ctime|mtime))
		r.timed(ben, truncate("f", 1), unix.EACCES, keeps("f", ctime|mtime))
		r.timed(root, truncate("f", -1), unix.EINVAL, keeps("f", ctime|mtime))
		r.timed(root, fallocate("f", unix.O_RDWR, 0, 100), 0, moves("f", ctime|mtime), keeps(".", ctime|mtime))
	}}, {"truncate/kinds", func(r *run) {
		for _, k := range kinds {
			r.given(k, k.name, 0o666, root)
			want := unix.EINVAL
			switch k.fmt {
			case unix.S_IFREG:
				want = 0
			case unix.S_IFDIR:
				want = unix.EISDIR
			case unix.S_IFLNK:
				want = unix.ENOENT
			}
			r.call(root, truncate(k.name, 1), want)
			r.call(ben, truncate(k.name, 1), want)
		}
	}}, {"truncate/permissions", func(r *run) {
		r.given(regular, "f", 0o600, ann)
		for _, m := range []uint32{0, 0o200, 0o400, 0o020, 0o002, 0o666, 0o444} {
			r.set(chmod("f", m))
			for _, u := range []user{ann, amy, gus, ben, root} {
				want := unix.Errno(0)
				if u.name != "root" && class(u, m)&2 == 0 {
					want = unix.EACCES
				}
				o := truncate("f", int64(m))
				o.text += fmt.Sprintf(" of mode %04o", m)
				r.call(u, o, want)
			}
		}
	}}, {"truncate/fallocate", func(r *run) {
		r.set(create("f", 0o644))
		for _, c := range []struct{ off, size, want int64 }{{0, 10, 10}, {5, 10, 15}, {0, 3, 15}, {100, 1, 101}, {4000, 5000, 9000}} {
			r.call(root, fallocate("f", unix.O_RDWR, c.off, c.size))
			same(r, "size", r.lstat("f").Size, c.want)
		}
		r.call(root, fallocate("f", unix.O_RDWR, 0, 0), unix.EINVAL)
		r.call(root, fallocate("f", unix.O_RDWR, 0, -1), unix.EINVAL)
		r.call(root, fallocate("f", unix.O_RDWR, -1, 5), unix.EINVAL)
		r.call(root, fallocate("f", unix.O_RDWR, 1<<62, 1<<62), unix.EFBIG)
		r.set(mkfifo("p", 0o644))
		r.call(root, fallocate("p", unix.O_RDWR, 0, 5), unix.ESPIPE)
	}}}
}
