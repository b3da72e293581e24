package e2e

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/s3mount/s3mount/test/mounts"
	"github.com/s3mount/s3mount/test/servers"
)

// mountArgs is a mount command for a bucket that is there.
func mountArgs(t *testing.T, dir string, more ...string) []string {
	t.Helper()
	s := pool.Fake(t)
	name, _ := mounts.NewBucket(t, s)
	return append([]string{"mount", "--config", mounts.Config(t, s), "test:" + name, dir}, more...)
}

// wantNothing fails if a refused mount left a mount, session file or temporary file.
func wantNothing(t *testing.T, root, dir string) {
	t.Helper()
	same(t, "mounted", mounted(t, dir), false)
	for _, sub := range []string{"run", "tmp", "home"} {
		if left := leftovers(t, filepath.Join(root, sub)); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
	}
}

func TestMountOnAMount(t *testing.T) {
	t.Parallel()
	m, b := newMount(t, pool.Fake(t))
	put(t, b, "f", "data", nil)
	root := t.TempDir()
	refused(t, home(t, root), mountArgs(t, m.Dir), m.Dir, "already mounted", "unmount it first")
	refused(t, home(t, root), []string{"demo", m.Dir}, m.Dir, "already mounted", "unmount it first")
	same(t, "the mount below goes on", read(t, m.Dir+"/f"), "data")
}

func TestDeadMountIsNamedAndRemoved(t *testing.T) {
	t.Parallel()
	m, b := newMount(t, pool.Fake(t))
	put(t, b, "f", "data", nil)
	m.Signal(unix.SIGKILL)
	m.Wait()
	wantErrno(t, "a dead mount", unix.Statfs(m.Dir, new(unix.Statfs_t)), unix.ENOTCONN)
	refused(t, home(t, t.TempDir()), mountArgs(t, m.Dir), m.Dir, "died", "s3mount umount "+m.Dir)
	code, stdout, stderr := s3mount(t, os.Environ(), "umount", m.Dir)
	if code != 0 || stdout != "" || stderr != "" {
		t.Errorf("umount: %d, %q, %q", code, stdout, stderr)
	}
	same(t, "names in the mount point", len(names(t, m.Dir)), 0)
	m.Revive()
	same(t, "mounted again", read(t, m.Dir+"/f"), "data")
}

func TestUnwritableCacheDisk(t *testing.T) {
	t.Parallel()
	dir, root := t.TempDir(), t.TempDir()
	disk := tmpfs(t, "size=1m,ro")
	refused(t, home(t, root), mountArgs(t, dir, "--cache-dir", disk), "--cache-dir "+disk, "read-only file system", "choose another directory")
	wantNothing(t, root, dir)
}

func TestFullCacheDisk(t *testing.T) {
	t.Parallel()
	dir, root := t.TempDir(), t.TempDir()
	disk := tmpfs(t, "size=1m")
	args := mountArgs(t, dir, "--cache-dir", disk)
	fill := func(left int64) {
		f, err := os.Create(disk + "/ballast")
		must(t, err)
		_, err = io.Copy(f, endless{})
		if !errors.Is(err, unix.ENOSPC) {
			t.Fatal(err)
		}
		st, err := f.Stat()
		must(t, err)
		must(t, f.Truncate(st.Size()-left))
		must(t, f.Close())
	}
	for _, left := range []int64{0, 4096, 32 << 10} {
		fill(left)
		refused(t, home(t, root), args, "--cache-dir "+disk, "full", "free space there, or choose another directory")
		wantNothing(t, root, dir)
	}
}

// endless is a file without an end.
type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

// inNamespace runs s3mount in a mount namespace of its own, after a preparation in sh.
func inNamespace(t *testing.T, env []string, prepare string, args []string, words ...string) {
	t.Helper()
	script := prepare + ` && exec "$0" "$@"`
	p := launch(t, env, "unshare", append([]string{"-m", "sh", "-c", script, mounts.Binary(t)}, args...)...)
	same(t, "exit code", p.within(prompt), 1)
	oneLine(t, p.stderr.String(), words...)
}

func TestNoFuse(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	for name, c := range map[string]struct {
		prepare string
		words   []string
	}{
		"missing":       {"mount -t tmpfs none /dev", []string{"/dev/fuse is missing", "modprobe fuse", "--device /dev/fuse"}},
		"no device":     {"touch $HOME/f && mount --bind $HOME/f /dev/fuse && rm -f $HOME/g", []string{"/dev/fuse is not a device", "--device /dev/fuse"}},
		"no permission": {"touch $HOME/f && chmod 0 $HOME/f && mount --bind $HOME/f /dev/fuse && exec setpriv --bounding-set=-all --inh-caps=-all", []string{"no permission for /dev/fuse", "CAP_SYS_ADMIN"}},
		"no privilege":  {"exec setpriv --bounding-set=-sys_admin --inh-caps=-all", []string{"mount on", "operation not permitted", "--cap-add SYS_ADMIN"}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			prepare := c.prepare
			if before, setpriv, ok := strings.Cut(prepare, "exec setpriv"); ok {
				prepare = strings.TrimSuffix(strings.TrimSpace(before), "&&") + `
set -- setpriv` + setpriv + ` "$0" "$@"; exec "$@"; :`
			}
			inNamespace(t, home(t, root), prepare, mountArgs(t, dir), c.words...)
			same(t, "mounted", mounted(t, dir), false)
			if left := leftovers(t, root+"/run"); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

// userScript is what an ordinary user does. $1 is the program, $2 the config file, $3 the
// bucket.
const userScript = `set -e
cd "$HOME"
PATH=$(dirname "$1"):$PATH
mkdir dir
s3mount mount --daemon --config "$2" "test:$3" dir
echo data >dir/f
cat dir/f
head -c 5000001 /dev/urandom >big
cp big dir/big
for size in 4k 64k 1M 1M; do dd if=dir/big iflag=direct bs=$size status=none | cmp - big; done
if s3mount umount dir <dir/f 2>busy; then echo "umount of a busy mount said yes"; fi
grep -q 'in use' busy
s3mount umount dir
rmdir dir
mkdir other
if s3mount mount --allow-other --config "$2" "test:$3" other 2>allow; then exit 1; fi
grep -q 'user_allow_other' allow
if s3mount mount --config "$2" "test:$3" /mnt/roots 2>roots; then exit 1; fi
if s3mount mount --config /mnt/unreadable "test:$3" other 2>config; then exit 1; fi
cat allow roots config >&2
`

func TestOrdinaryUser(t *testing.T) {
	t.Parallel()
	s := pool.Fake(t)
	name, b := mounts.NewBucket(t, s)
	script := `mount -t tmpfs none /mnt && cp "$0" /mnt/s3mount && cp "$1" /mnt/config && mkdir /mnt/home /mnt/roots && install -m 600 /dev/null /mnt/unreadable &&
chown 65534 /mnt/home /mnt/config && mknod -m 666 /mnt/fuse c 10 229 && mount --bind /mnt/fuse /dev/fuse &&
: >/mnt/fuse.conf && mount --bind /mnt/fuse.conf /etc/fuse.conf && exec setpriv --reuid=65534 --regid=65534 --clear-groups \
env -i PATH="$PATH" HOME=/mnt/home XDG_RUNTIME_DIR=/mnt/home sh -c "$3" sh /mnt/s3mount /mnt/config "$2"`
	p := launch(t, os.Environ(), "unshare", "-m", "sh", "-c", script, mounts.Binary(t), mounts.Config(t, s), name, userScript)
	same(t, "exit code", p.within(time.Minute), 0)
	same(t, "the object", get(t, b, "f"), "data\n")
	want := `s3mount: --allow-other: only root may, unless /etc/fuse.conf has the line user_allow_other
s3mount: mount point /mnt/roots: permission denied: you mount on a directory that you may write to
s3mount: read config "/mnt/unreadable": access denied: permission denied: give your user the right to read it
`
	same(t, "standard error", p.stderr.String(), want)
}

func TestReadOnlyMount(t *testing.T) {
	t.Parallel()
	name, b := mounts.NewBucket(t, pool.Fake(t))
	put(t, b, "f", "data", nil)
	put(t, b, "dir/f", "data", nil)
	m := mounts.Start(t, mounts.Options{Server: pool.Fake(t), Path: name, Args: []string{"--read-only"}})
	for what, err := range map[string]error{
		"create":   os.WriteFile(m.Dir+"/new", nil, 0o644),
		"write":    os.WriteFile(m.Dir+"/f", []byte("x"), 0),
		"truncate": os.Truncate(m.Dir+"/f", 0),
		"chmod":    os.Chmod(m.Dir+"/f", 0o600),
		"remove":   os.Remove(m.Dir + "/f"),
		"rename":   os.Rename(m.Dir+"/f", m.Dir+"/g"),
		"mkdir":    os.Mkdir(m.Dir+"/d", 0o755),
		"rmdir":    unix.Rmdir(m.Dir + "/dir"),
		"symlink":  os.Symlink("f", m.Dir+"/link"),
		"setxattr": unix.Setxattr(m.Dir+"/f", "user.x", []byte("x"), 0),
	} {
		wantErrno(t, what, err, unix.EROFS)
	}
	same(t, "the file", read(t, m.Dir+"/f"), "data")
	same(t, "keys", strings.Join(keys(t, b), " "), "dir/f f")
}

func TestWrongKeysOnCeph(t *testing.T) {
	t.Parallel()
	s := pool.Ceph(t)
	name, _ := mounts.NewBucket(t, s)
	dir, root := t.TempDir(), t.TempDir()
	for what, change := range map[string]func(*servers.Server){
		"InvalidAccessKeyId":    func(s *servers.Server) { s.AccessKey = "nobody" },
		"SignatureDoesNotMatch": func(s *servers.Server) { s.SecretKey = "wrong" },
	} {
		wrong := s
		change(&wrong)
		args := []string{"mount", "--config", mounts.Config(t, wrong), "test:" + name, dir}
		refused(t, home(t, root), args, "test:"+name, what, "check access_key_id and secret_access_key")
		wantNothing(t, root, dir)
	}
}
