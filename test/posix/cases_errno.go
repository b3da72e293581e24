package posix

import (
	"strings"

	"golang.org/x/sys/unix"
)

// onPath is a call that names one file, for errors that any part of a path can cause.
type onPath struct {
	name  string
	do    func(path string) op
	makes bool // it makes the file, else it wants one
	dir   bool // it wants a folder
}

var pathCalls = []onPath{
	{name: "chmod", do: func(p string) op { return chmod(p, 0o755) }},
	{name: "chown", do: func(p string) op { return chown(p, 0, 0) }},
	{name: "lchown", do: func(p string) op { return lchown(p, 0, 0) }},
	{name: "stat", do: stat},
	{name: "lstat", do: lstat},
	{name: "open", do: func(p string) op { return open(p, unix.O_RDONLY, 0) }},
	{name: "truncate", do: func(p string) op { return truncate(p, 3) }},
	{name: "unlink", do: unlink},
	{name: "rmdir", do: rmdir, dir: true},
	{name: "utimens", do: func(p string) op { return utimens(p, now, now, 0) }},
	{name: "rename from", do: func(p string) op { return rename(p, "renamed") }},
	{name: "link from", do: func(p string) op { return link(p, "linked") }},
	{name: "chdir", do: chdir, dir: true},
	{name: "readdir", do: readdir, dir: true},
	{name: "mkdir", do: func(p string) op { return mkdir(p, 0o755) }, makes: true, dir: true},
	{name: "create", do: func(p string) op { return create(p, 0o644) }, makes: true},
	{name: "open CREAT", do: func(p string) op { return open(p, unix.O_CREAT|unix.O_RDWR, 0o644) }, makes: true},
	{name: "mkfifo", do: func(p string) op { return mkfifo(p, 0o644) }, makes: true},
	{name: "mknod file", do: func(p string) op { return mknod(p, unix.S_IFREG|0o644, 0) }, makes: true},
	{name: "mknod char", do: func(p string) op { return mknod(p, unix.S_IFCHR|0o644, unix.Mkdev(1, 3)) }, makes: true},
	{name: "mknod block", do: func(p string) op { return mknod(p, unix.S_IFBLK|0o644, unix.Mkdev(7, 1)) }, makes: true},
	{name: "bind", do: func(p string) op { return bind(p, 0o644) }, makes: true},
	{name: "symlink", do: func(p string) op { return symlink("to", p) }, makes: true},
	{name: "rename to", do: func(p string) op { return rename("source", p) }, makes: true},
	{name: "link to", do: func(p string) op { return link("source", p) }, makes: true},
}

// given makes what the call wants to find.
func (c onPath) given(r *run, path string) {
	if c.makes {
		return
	}
	if c.dir {
		r.set(mkdir(path, 0o777))
		return
	}
	r.set(create(path, 0o666))
}

func (c onPath) source(r *run) {
	if strings.HasSuffix(c.name, " to") {
		r.set(create("source", 0o666))
	}
}

func errnoCases() (all []scenario) {
	for _, c := range pathCalls {
		add := func(what string, f func(*run)) {
			all = append(all, scenario{"errno/" + c.name + " " + what, func(r *run) {
				c.source(r)
				f(r)
			}})
		}
		add("below what is no folder", func(r *run) {
			for _, k := range files {
				r.given(k, k.name, 0o644, root)
				r.call(root, c.do(k.name+"/x"), unix.ENOTDIR)
				r.call(root, c.do(k.name+"/x/y"), unix.ENOTDIR)
			}
			r.set(symlink("regular", "to-file"))
			r.call(root, c.do("to-file/x"), unix.ENOTDIR)
		})
		add("below a folder that is not there", func(r *run) {
			r.call(root, c.do("missing/x"), unix.ENOENT)
			r.set(symlink("missing", "dangling"))
			r.call(root, c.do("dangling/x"), unix.ENOENT)
			r.call(root, c.do(""), unix.ENOENT)
			if !c.makes {
				r.call(root, c.do("missing"), unix.ENOENT)
			}
		})
		add("in a loop of links", func(r *run) {
			r.set(symlink("b", "a"), symlink("a", "b"), symlink("self", "self"))
			for _, l := range []string{"a", "b", "self"} {
				r.call(root, c.do(l+"/x"), unix.ELOOP)
			}
		})
		add("through 41 links", func(r *run) {
			r.set(mkdir("d0", 0o755))
			for i := range 41 {
				r.set(symlink(names('d', i), names('d', i+1)))
			}
			c.given(r, "d0/x")
			r.call(root, c.do("d40/x"), unix.Errno(0))
			r.call(root, c.do("d41/x"), unix.ELOOP)
		})
		add("with a long name", func(r *run) {
			long := strings.Repeat("n", unix.NAME_MAX)
			c.given(r, long)
			r.call(root, c.do(long+"n"), unix.ENAMETOOLONG)
			r.call(root, c.do(long+"n/x"), unix.ENAMETOOLONG)
			r.call(root, c.do(long))
		})
		add("with a long path", func(r *run) {
			// 4095 bytes, most of them "./", are one too few
			fits := strings.Repeat("./", (unix.PathMax-1-1)/2) + "x"
			c.given(r, "x")
			r.call(root, c.do("./"+fits), unix.ENAMETOOLONG)
			r.call(root, c.do(fits))
		})
		add("where a folder may not be searched", func(r *run) {
			for _, mode := range []uint32{0o700, 0o600, 0o670, 0o676, 0o666} {
				d := "d" + names('m', int(mode))
				r.given(folder, d, 0o777, root)
				c.given(r, d+"/x")
				r.set(lchown(d, ann.uid, ann.gid), chmod(d, mode))
				for _, u := range []user{ben, amy, gus} {
					may := mode&0o010 != 0 && u.name != "ben"
					if !may {
						r.call(u, c.do(d+"/x"), unix.EACCES)
						r.call(u, c.do(d+"/missing/x"), unix.EACCES)
					}
				}
				if mode&0o100 == 0 {
					r.call(ann, c.do(d+"/x"), unix.EACCES)
				}
			}
		})
	}
	all = append(all, deepCases()...)
	return append(all, faultCases()...)
}

// deepCases use the longest path there is, of names as long as they can be.
func deepCases() []scenario {
	name := strings.Repeat("d", unix.NAME_MAX)
	deep := strings.Repeat(name+"/", unix.PathMax/(unix.NAME_MAX+1)-1)
	longest := deep + strings.Repeat("f", unix.PathMax-1-len(deep))
	return []scenario{{"errno/the longest path", func(r *run) {
		made := true
		for i := 1; i <= strings.Count(deep, "/") && made; i++ {
			made = r.call(root, mkdir(deep[:i*(unix.NAME_MAX+1)-1], 0o755))
		}
		for _, k := range kinds {
			r.call(root, k.make(longest+"f", 0o644), unix.ENAMETOOLONG)
			if !r.call(root, k.make(longest, 0o644)) {
				continue
			}
			r.mode(longest, k, map[bool]uint32{true: 0o777, false: 0o644}[k.fmt == unix.S_IFLNK])
			r.call(root, rename(longest, "moved"))
			r.call(root, rename("moved", longest))
			r.call(root, rename(longest, longest+"f"), unix.ENAMETOOLONG)
			r.call(root, k.remove(longest))
		}
	}}}
}

// names numbers a letter.
func names(letter byte, i int) string {
	return string(letter) + strings.TrimLeft(string([]byte{'0' + byte(i/100%10), '0' + byte(i/10%10)}), "0") + string('0'+byte(i%10))
}

// faultCases give paths that are no memory.
func faultCases() []scenario {
	const bad = ^uintptr(0)
	cwd := ^uintptr(99) // AT_FDCWD
	return []scenario{{"errno/fault", func(r *run) {
		r.set(create("f", 0o644))
		f := cstring("f")
		for _, o := range []op{
			badPath("chmod", unix.SYS_FCHMODAT, cwd, bad, 0o644),
			badPath("chown", unix.SYS_FCHOWNAT, cwd, bad, 0, 0, 0),
			badPath("mkdir", unix.SYS_MKDIRAT, cwd, bad, 0o755),
			badPath("mknod", unix.SYS_MKNODAT, cwd, bad, unix.S_IFREG|0o644, 0),
			badPath("mkfifo", unix.SYS_MKNODAT, cwd, bad, unix.S_IFIFO|0o644, 0),
			badPath("open", unix.SYS_OPENAT, cwd, bad, unix.O_RDONLY, 0),
			badPath("create", unix.SYS_OPENAT, cwd, bad, unix.O_CREAT|unix.O_RDWR, 0o644),
			badPath("unlink", unix.SYS_UNLINKAT, cwd, bad, 0),
			badPath("rmdir", unix.SYS_UNLINKAT, cwd, bad, unix.AT_REMOVEDIR),
			badPath("truncate", unix.SYS_TRUNCATE, bad, 1),
			badPath("rename from", unix.SYS_RENAMEAT2, cwd, bad, cwd, f, 0),
			badPath("rename to", unix.SYS_RENAMEAT2, cwd, f, cwd, bad, 0),
			badPath("link from", unix.SYS_LINKAT, cwd, bad, cwd, f, 0),
			badPath("link to", unix.SYS_LINKAT, cwd, f, cwd, bad, 0),
			badPath("symlink from", unix.SYS_SYMLINKAT, bad, cwd, f),
			badPath("symlink to", unix.SYS_SYMLINKAT, f, cwd, bad),
			badPath("readlink", unix.SYS_READLINKAT, cwd, bad, f, 1),
			badPath("stat", unix.SYS_NEWFSTATAT, cwd, bad, f, 0),
			badPath("stat into nothing", unix.SYS_NEWFSTATAT, cwd, f, bad, 0),
			badPath("utimens", unix.SYS_UTIMENSAT, cwd, f, bad, 0),
		} {
			r.call(root, o, unix.EFAULT)
		}
	}}}
}

// readOnlyFolder makes what readOnlyCases use; it is mounted read-only afterwards.
func readOnlyFolder(dir string) error {
	for _, o := range []op{
		mkdir(dir+"/d", 0o777), create(dir+"/f", 0o666), create(dir+"/g", 0o666), symlink("f", dir+"/l"), mkfifo(dir+"/fifo", 0o666),
		chmod(dir+"/f", 0o666), chmod(dir+"/fifo", 0o666),
	} {
		if err := o.do(); err != nil {
			return err
		}
	}
	return nil
}

func readOnlyCases() []scenario {
	return []scenario{{"errno/read-only file system", func(r *run) {
		in := func(name string) string { return r.place.readOnly + "/" + name }
		for _, u := range []user{root, ben} {
			for _, o := range []op{
				chmod(in("f"), 0o600), chmod(in("d"), 0o700), chown(in("f"), 1, 1), lchown(in("l"), 1, 1),
				mkdir(in("new"), 0o755), mkfifo(in("new"), 0o644), mknod(in("new"), unix.S_IFREG|0o644, 0), bind(in("new"), 0o644),
				create(in("new"), 0o644), open(in("f"), unix.O_RDWR, 0), open(in("f"), unix.O_WRONLY, 0), open(in("f"), unix.O_WRONLY|unix.O_TRUNC, 0),
				open(in("new"), unix.O_CREAT|unix.O_RDONLY, 0o644), truncate(in("f"), 1), unlink(in("f")), rmdir(in("d")),
				rename(in("f"), in("new")), rename(in("f"), in("g")), rename(in("d"), in("new")), link(in("f"), in("new")), symlink("x", in("new")),
				utimens(in("f"), now, now, 0), utimens(in("f"), at(1, 2), at(3, 4), 0),
			} {
				o.text = strings.ReplaceAll(o.text, r.place.readOnly, "")
				r.call(u, o, unix.EROFS)
			}
			for _, o := range []op{stat(in("f")), open(in("f"), unix.O_RDONLY, 0), readlink(in("l")), readdir(in("d"))} {
				o.text = strings.ReplaceAll(o.text, r.place.readOnly, "")
				r.call(u, o)
			}
			o := open(in("fifo"), unix.O_RDWR|unix.O_NONBLOCK, 0) // writing to it changes no file
			o.text = strings.ReplaceAll(o.text, r.place.readOnly, "")
			r.call(u, o)
		}
	}}, {"errno/another file system", func(r *run) {
		for _, k := range kinds {
			r.given(k, k.name, 0o755, root)
			r.call(root, rename(k.name, r.place.other+"/new"), unix.EXDEV)
			if k.name != "folder" {
				r.call(root, link(k.name, r.place.other+"/new"), unix.EXDEV)
			}
		}
	}}}
}
