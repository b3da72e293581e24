package fusefs

import (
	"log/slog"
	"os"
	"syscall"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"

	"github.com/s3mount/s3mount/vfs"
)

// Options says how a file system is mounted.
type Options struct {
	FS         *vfs.FS
	Name       string // shown as the device: remote:bucket/prefix
	AllowOther bool
	ReadOnly   bool
	// Root is who owns what root makes; the zero value: root, in its group of the moment.
	Root       vfs.Caller
	ByRequests bool // no file is passed through
	// Timeout is how long the kernel trusts names and attributes without asking.
	Timeout time.Duration
	// AbsentTimeout is the same for names that are not there. For one that is there the
	// kernel asks at open, so that who opens it sees what was closed elsewhere before; for
	// one that is not, only this time makes it ask.
	AbsentTimeout time.Duration
	// Memory bounds the bytes of requests under way; default 32 MiB.
	Memory int
	Log    *slog.Logger
	Debug  bool // log each request and answer
}

// FSType is the type that /proc/self/mountinfo shows.
const FSType = "fuse.s3mount"

// maxIO is the largest read and write request: what the kernel allows without privilege.
const maxIO = 1 << 20

// Server is a mounted file system.
type Server struct {
	fuse *fuse.Server
	s    *server
}

// Mount mounts a file system on dir, which exists, and serves it until it is unmounted.
// It returns when the mount answers. The caller ends it with Unmount, then Wait.
func Mount(dir string, o Options) (*Server, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Memory == 0 {
		o.Memory = 32 << 20
	}
	s := newServer(o)
	mo := &fuse.MountOptions{
		AllowOther:              o.AllowOther,
		Options:                 []string{"default_permissions"},
		FsName:                  o.Name,
		Name:                    "s3mount",
		MaxWrite:                maxIO,
		MaxReadAhead:            maxIO,
		MaxBackground:           64,
		MaxInflightRequestBytes: o.Memory,
		IgnoreSecurityLabels:    true,
		// vfs says at each open whether the pages are right, and tells when they are not.
		ExplicitDataCacheControl: true,
		// Behind a folder's first names the kernel asks for attributes only if somebody
		// looks at those of the first: ls costs nothing that ls -l needs.
		ExtraCapabilities: fuse.CAP_READDIRPLUS_AUTO,
		Debug:             o.Debug,
		Logger:            slog.NewLogLogger(o.Log.Handler(), slog.LevelDebug),
		PanicHandler:      s.panicked,
		DirectMount:       os.Geteuid() == 0,
		DirectMountStrict: os.Geteuid() == 0, // fusermount3 can't do more for root
		DirectMountFlags:  syscall.MS_NOSUID | syscall.MS_NODEV,
	}
	if o.ReadOnly {
		mo.Options = append(mo.Options, "ro")
		mo.DirectMountFlags |= syscall.MS_RDONLY
	}
	fs, err := fuse.NewServer(s, dir, mo)
	if err != nil {
		s.stop()
		return nil, mountError(dir, err)
	}
	m := &Server{fuse: fs, s: s}
	o.FS.SetInvalidator(m)
	o.FS.SetPasser(&s.passer)
	go fs.Serve()
	if err := fs.WaitMount(); err != nil {
		fs.Unmount()
		s.stop()
		return nil, mountError(dir, err)
	}
	raiseReadAhead(dir)
	return m, nil
}

// Unmount takes the mount away. It fails with EBUSY while files in it are open.
func (m *Server) Unmount() error { return m.fuse.Unmount() }

// Detach takes the mount's name away at once; open files go on until they are closed.
func (m *Server) Detach(dir string) error { return unix.Unmount(dir, unix.MNT_DETACH) }

// OpenFiles returns how many handles of files are open.
func (m *Server) OpenFiles() int { return m.s.files.count() }

// Abort ends the contexts of all requests, also of those to come.
func (m *Server) Abort() { m.s.stop() }

// Wait returns when the mount is gone, whoever unmounted it, and no request is left.
func (m *Server) Wait() {
	m.fuse.Wait()
	m.s.stop()
}

// InvalidateEntry implements vfs.Invalidator.
func (m *Server) InvalidateEntry(parent vfs.NodeID, name string) {
	m.fuse.EntryNotify(uint64(parent), name) // ENOENT: the kernel did not know it
}

// InvalidateContent implements vfs.Invalidator.
func (m *Server) InvalidateContent(node vfs.NodeID) {
	m.fuse.InodeNotify(uint64(node), 0, 0)
}

func (s *server) stop() { s.cancel() }
