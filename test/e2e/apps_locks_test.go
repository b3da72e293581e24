package e2e

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/s3mount/s3mount/test/mounts"
	"github.com/s3mount/s3mount/test/semantics"
)

func TestLocksHoldInOneMount(t *testing.T) {
	semantics.Claim(t, "Locks by flock and fcntl hold among the programs of one mount, which is what SQLite needs in each of its journal modes; another mount does not see them.")
	name, b := mounts.NewBucket(t, pool.Embedded(t))
	put(t, b, "f", "locked", nil)
	var files []*os.File
	for _, m := range []*mounts.Mount{
		mounts.Start(t, mounts.Options{Server: pool.Embedded(t), Path: name}),
		mounts.Start(t, mounts.Options{Server: pool.Embedded(t), Path: name}),
	} {
		for range 2 {
			f, err := os.OpenFile(m.Dir+"/f", os.O_RDWR, 0)
			must(t, err)
			defer f.Close()
			files = append(files, f)
		}
	}
	flock := func(f *os.File) error { return unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) }
	fcntl := func(f *os.File) error { // of the open file, not of the process
		return unix.FcntlFlock(f.Fd(), unix.F_OFD_SETLK, &unix.Flock_t{Type: unix.F_WRLCK, Len: 10})
	}
	for what, lock := range map[string]func(*os.File) error{"flock": flock, "fcntl": fcntl} {
		must(t, lock(files[0]))
		wantErrno(t, what+" in the same mount", lock(files[1]), unix.EAGAIN)
		must(t, lock(files[2]))
		wantErrno(t, what+" in the other mount, once more", lock(files[3]), unix.EAGAIN)
	}
}
