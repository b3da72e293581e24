package posix

import (
	"fmt"
	"path/filepath"
	"runtime"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/s3mount/s3mount/test/mounts"
	"github.com/s3mount/s3mount/test/semantics"
)

// shared mounts a bucket for all users.
func shared(t *testing.T, args ...string) *mounts.Mount {
	t.Helper()
	runtime.LockOSThread() // a mount is killed when the thread that started it ends
	s := pool.Embedded(t)
	name, _ := mounts.NewBucket(t, s)
	m := mounts.Start(t, mounts.Options{Server: s, Path: name, Args: append([]string{"--allow-other", "--dir-mode", "0777"}, args...)})
	searchable(t, filepath.Dir(m.Dir))
	return m
}

// as runs calls on a thread of a user's and returns the first error.
func as(t *testing.T, u user, calls ...op) error {
	t.Helper()
	a, err := newAgent()
	if err != nil {
		t.Fatal(err)
	}
	defer a.close()
	result := make(chan error)
	a.jobs <- func() {
		become(u)
		for _, o := range calls {
			if err := o.do(); err != nil {
				result <- fmt.Errorf("%s %s: %w", u.name, o.text, err)
				return
			}
		}
		result <- nil
	}
	return <-result
}

func wantOwner(t *testing.T, path string, uid, gid int, mode uint32) {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		t.Fatal(err)
	}
	if int(st.Uid) != uid || int(st.Gid) != gid || st.Mode != mode {
		t.Errorf("%s: %d:%d %o, want %d:%d %o", path, st.Uid, st.Gid, st.Mode, uid, gid, mode)
	}
}

func TestManyUsersAtOnce(t *testing.T) {
	semantics.Claim(t, "The kernel checks mode, owner and group of each file and folder for each caller, sticky and setgid folders included, as on a local disk; with --allow-other any number of users work at once.")
	m := shared(t)
	if err := unix.Chmod(m.Dir, 0o1777); err != nil {
		t.Fatal(err)
	}
	const users, rounds = 8, 10
	errs := make(chan error, users*rounds*10)
	var made, wg sync.WaitGroup
	made.Add(users)
	for i := range users {
		u := user{name: fmt.Sprint("user", i), uid: 5000 + i, gid: 6000 + i}
		dir := fmt.Sprintf("%s/home%d", m.Dir, i)
		theirs := fmt.Sprintf("%s/home%d", m.Dir, (i+1)%users)
		wg.Go(func() {
			errs <- as(t, u, mkdir(dir, 0o700), create(dir+"/f", 0o600))
			made.Done()
			made.Wait()
			for k := range rounds {
				f := fmt.Sprintf("%s/f%d", dir, k)
				errs <- as(t, u, create(f, 0o600), write(f, unix.O_WRONLY, "mine"), chmod(f, 0o640), rename(f, dir+"/f"), read(dir+"/f", unix.O_RDONLY))
				for _, o := range []op{read(theirs+"/f", unix.O_RDONLY), create(theirs+"/x", 0o600), unlink(theirs + "/f"), chmod(theirs, 0o777), rename(theirs, theirs+"x")} {
					if err := as(t, u, o); err == nil {
						errs <- fmt.Errorf("%s was allowed: %s", u.name, o.text)
					}
				}
			}
		})
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			t.Error(err)
		}
	}
	m.Remount(true)
	for i := range users {
		wantOwner(t, fmt.Sprintf("%s/home%d", m.Dir, i), 5000+i, 6000+i, unix.S_IFDIR|0o700)
		wantOwner(t, fmt.Sprintf("%s/home%d/f", m.Dir, i), 5000+i, 6000+i, unix.S_IFREG|0o640)
	}
}

func TestRootIsSquashed(t *testing.T) {
	semantics.Claim(t, "A new file has the caller's owner and group, or the group of a setgid folder, and the mode less the caller's umask; what root makes belongs to --uid and --gid where these are given.")
	m := shared(t, "--uid", "4001", "--gid", "4002")
	for _, c := range []struct {
		u        user
		uid, gid int
	}{{root, 4001, 4002}, {ann, ann.uid, ann.gid}} {
		for _, k := range []kind{regular, folder, fifo, socket, slink} {
			mode := k.fmt | 0o640
			if k.fmt == unix.S_IFLNK {
				mode = k.fmt | 0o777
			}
			path := fmt.Sprintf("%s/%s-%s", m.Dir, c.u.name, k.name)
			if err := as(t, c.u, k.make(path, 0o640)); err != nil {
				t.Fatal(err)
			}
			wantOwner(t, path, c.uid, c.gid, mode)
		}
	}
	if err := as(t, root, chown(m.Dir+"/root-regular", 0, 0)); err != nil {
		t.Fatal(err)
	}
	wantOwner(t, m.Dir+"/root-regular", 0, 0, unix.S_IFREG|0o640) // by its own word
	m.Remount(true)
	wantOwner(t, m.Dir+"/root-folder", 4001, 4002, unix.S_IFDIR|0o640)
	wantOwner(t, m.Dir+"/ann-fifo", ann.uid, ann.gid, unix.S_IFIFO|0o640)
}
