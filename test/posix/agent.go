package posix

import (
	"fmt"
	"runtime"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

// user is on whose behalf a call is made.
type user struct {
	name     string
	uid, gid int
	groups   []int // supplementary
}

var (
	root = user{name: "root"}
	// ann owns files, ben is somebody else. amy is in ann's group, and gus has it as a
	// supplementary one; ann2 is ann with more groups.
	ann  = user{name: "ann", uid: 1001, gid: 2001}
	ben  = user{name: "ben", uid: 1002, gid: 2002}
	amy  = user{name: "amy", uid: 1003, gid: 2001}
	gus  = user{name: "gus", uid: 1004, gid: 2004, groups: []int{2001}}
	ann2 = user{name: "ann2", uid: 1001, gid: 2001, groups: []int{2003, 2005}}
)

// agent is an OS thread with a user, a working directory and a umask of its own.
type agent struct {
	jobs chan func()
	done sync.WaitGroup
}

func newAgent() (*agent, error) {
	a := &agent{jobs: make(chan func())}
	ready := make(chan error)
	a.done.Go(func() {
		runtime.LockOSThread() // for good: the thread ends with the goroutine
		err := unix.Unshare(unix.CLONE_FS)
		unix.Umask(0)
		ready <- err
		for f := range a.jobs {
			f()
		}
	})
	return a, <-ready
}

func (a *agent) close() {
	close(a.jobs)
	a.done.Wait()
}

// become makes the calling thread act for u in what the kernel checks of files. Root's
// file capabilities go and come with the file system uid.
func become(u user) {
	setFSID(unix.SYS_SETFSUID, 0)
	groups := make([]uint32, 0, 4)
	for _, g := range u.groups {
		groups = append(groups, uint32(g))
	}
	// The raw calls change this thread alone, where the library's change all.
	if _, _, e := unix.RawSyscall(unix.SYS_SETGROUPS, uintptr(len(groups)), uintptr(unsafe.Pointer(unsafe.SliceData(groups))), 0); e != 0 {
		panic(fmt.Sprintf("setgroups: %v", e))
	}
	setFSID(unix.SYS_SETFSGID, u.gid)
	setFSID(unix.SYS_SETFSUID, u.uid)
}

// setFSID calls setfsuid or setfsgid, which tell of success only by a second call.
func setFSID(call uintptr, id int) {
	unix.RawSyscall(call, uintptr(id), 0, 0)
	if now, _, _ := unix.RawSyscall(call, ^uintptr(0), 0, 0); int(now) != id {
		panic(fmt.Sprintf("call %d: the id is %d, not %d", call, now, id))
	}
}
