package posix

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// scenario is a part of the table.
type scenario struct {
	name string // group/what
	run  func(*run)
}

// place is where the table runs.
type place struct {
	dir      string // holds the scenarios' folders
	readOnly string // the folder that readOnlyCases expects, mounted read-only
	other    string // a folder on another file system
}

// result is one check that was made; err is nil if it passed.
type result struct {
	name string
	err  error
}

// run is a scenario under way, in its own folder, on its own thread.
type run struct {
	place   place
	name    string
	seen    map[string]int // how often a check of a name was made
	results []result
}

// runAll runs scenarios on some threads at a time, and returns all checks.
func (p place) runAll(scenarios []scenario, threads int) ([]result, error) {
	var (
		wg   sync.WaitGroup
		mu   sync.Mutex
		all  []result
		errs []error
		next = make(chan int)
	)
	for range threads {
		a, err := newAgent()
		if err != nil {
			return nil, err
		}
		wg.Go(func() {
			defer a.close()
			for i := range next {
				finished := make(chan struct{})
				a.jobs <- func() {
					defer close(finished)
					got, err := p.runOne(scenarios[i], i)
					mu.Lock()
					defer mu.Unlock()
					all = append(all, got...)
					errs = append(errs, err)
				}
				<-finished
			}
		})
	}
	for i := range scenarios {
		next <- i
	}
	close(next)
	wg.Wait()
	return all, errors.Join(errs...)
}

func (p place) runOne(s scenario, i int) ([]result, error) {
	become(root)
	group, _, _ := strings.Cut(s.name, "/")
	dir := filepath.Join(p.dir, group, fmt.Sprint(i))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	if err := os.Chdir(dir); err != nil {
		return nil, err
	}
	r := &run{place: p, name: s.name, seen: map[string]int{}}
	s.run(r)
	become(root)
	unix.Umask(0)
	return r.results, os.Chdir("/")
}

// note notes a check. Those with the same text are told apart by a number.
func (r *run) note(err error, format string, args ...any) bool {
	text := fmt.Sprintf(format, args...)
	r.seen[text]++
	if n := r.seen[text]; n > 1 {
		text += fmt.Sprintf(" #%d", n)
	}
	r.results = append(r.results, result{r.name + ": " + text, err})
	return err == nil
}

// errnoText names what a call is to return.
func errnoText(want []unix.Errno) string {
	names := []string{}
	for _, w := range want {
		if w == 0 {
			names = append(names, "OK")
		} else {
			names = append(names, unix.ErrnoName(w))
		}
	}
	return strings.Join(names, "|")
}

// call makes a call as a user; the check is that it returns one of want, or succeeds
// where there is none.
func (r *run) call(u user, o op, want ...unix.Errno) bool {
	become(u)
	err := o.do()
	become(root)
	if len(want) == 0 {
		want = []unix.Errno{0}
	}
	got := unix.Errno(0)
	if err != nil && !errors.As(err, &got) {
		got = unix.EIO
	}
	for _, w := range want {
		if got == w {
			return r.note(nil, "%s %s = %s", u.name, o.text, errnoText(want))
		}
	}
	return r.note(fmt.Errorf("got %s", errnoText([]unix.Errno{got})), "%s %s = %s", u.name, o.text, errnoText(want))
}

// set prepares, as root: it is no check unless it fails.
func (r *run) set(ops ...op) {
	for _, o := range ops {
		if err := o.do(); err != nil {
			r.note(err, "prepare %s", o.text)
		}
	}
}

// given makes a file with a mode and an owner.
func (r *run) given(k kind, path string, mode uint32, owner user) {
	r.set(k.make(path, mode), lchown(path, owner.uid, owner.gid))
	if mode&0o6000 != 0 && k.fmt != unix.S_IFLNK { // which chown took away
		r.set(chmod(path, mode))
	}
}

func (r *run) lstat(path string) unix.Stat_t {
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		r.note(err, "lstat %s", short(path))
	}
	return st
}

// same checks a value.
func same[T comparable](r *run, what string, got, want T) bool {
	var err error
	if got != want {
		err = fmt.Errorf("got %v", got)
	}
	return r.note(err, "%s is %v", what, want)
}

// mode checks a file's type and permissions.
func (r *run) mode(path string, k kind, perm uint32) bool {
	st := r.lstat(path)
	return same(r, "mode of "+short(path), fmt.Sprintf("%06o", st.Mode), fmt.Sprintf("%06o", k.fmt|perm))
}

// owner checks a file's owner and group.
func (r *run) owner(path string, uid, gid int) bool {
	st := r.lstat(path)
	return same(r, "owner of "+short(path), fmt.Sprintf("%d:%d", st.Uid, st.Gid), fmt.Sprintf("%d:%d", uid, gid))
}

// absent checks that a name leads nowhere.
func (r *run) absent(path string) bool { return r.call(root, lstat(path), unix.ENOENT) }

// times of a file
type times uint8

const (
	mtime times = 1 << iota
	ctime
	atime
)

// watched is a file whose times a call changes, or leaves.
type watched struct {
	path    string
	changes times
	stays   times
}

func moves(path string, t times) watched { return watched{path: path, changes: t} }
func keeps(path string, t times) watched { return watched{path: path, stays: t} }

// hold keeps the kernel from forgetting a file until release: whoever drops the machine's
// caches meanwhile makes it look again, and ctime is kept by a mount as long as that knows
// the file.
func (r *run) hold(path string) (release func()) {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return func() {}
	}
	return func() { unix.Close(fd) }
}

// timed makes a call, and checks which times it changes. Where the call moves a file,
// its path may be another before than after: then one of both is there.
func (r *run) timed(u user, o op, want unix.Errno, files ...watched) {
	before := make([]unix.Stat_t, len(files))
	for i, f := range files {
		name := strings.Split(f.path, ">")[0]
		defer r.hold(name)()
		before[i] = r.lstat(name)
	}
	tick()
	r.call(u, o, want)
	for i, f := range files {
		names := strings.Split(f.path, ">")
		path := names[len(names)-1]
		after := r.lstat(path)
		for _, t := range []struct {
			bit        times
			name       string
			then, here unix.Timespec
		}{{mtime, "mtime", before[i].Mtim, after.Mtim}, {ctime, "ctime", before[i].Ctim, after.Ctim}, {atime, "atime", before[i].Atim, after.Atim}} {
			moved := t.then != t.here
			if f.changes&t.bit != 0 {
				same(r, fmt.Sprintf("%s changes %s of %s", o.text, t.name, path), moved, true)
			}
			if f.stays&t.bit != 0 {
				same(r, fmt.Sprintf("%s changes %s of %s", o.text, t.name, path), moved, false)
			}
		}
	}
}

// tick returns when the clock that file systems read has moved on.
func tick() {
	read := func() (ts unix.Timespec) {
		unix.ClockGettime(unix.CLOCK_REALTIME_COARSE, &ts)
		return ts
	}
	for first := read(); read() == first; {
		time.Sleep(200 * time.Microsecond)
	}
}
