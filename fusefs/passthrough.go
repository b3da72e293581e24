package fusefs

import (
	"log/slog"
	"os"
	"sync/atomic"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// passer implements vfs.Passer: from Linux 6.9 on the kernel reads local files by itself,
// for a process that is the administrator of its machine (CAP_SYS_ADMIN).
type passer struct {
	kernel *fuse.Server
	log    *slog.Logger
	able   atomic.Bool // as far as is known
}

// init is called once, before any request.
func (p *passer) init(k *fuse.Server, log *slog.Logger, byRequests bool) {
	p.kernel, p.log = k, log
	p.able.Store(!byRequests && k.KernelSettings().Flags64()&fuse.CAP_PASSTHROUGH != 0)
}

// Able implements vfs.Passer.
func (p *passer) Able() bool { return p.able.Load() }

// Pass implements vfs.Passer.
func (p *passer) Pass(f *os.File) (backing int32, ok bool) {
	if !p.able.Load() {
		return 0, false
	}
	id, errno := p.kernel.RegisterBackingFd(&fuse.BackingMap{Fd: int32(f.Fd())})
	switch errno {
	case 0:
		return id, true
	case unix.EPERM, unix.ELOOP, unix.EOPNOTSUPP, unix.ENOTTY, unix.ENOSYS:
		// Not for this process, or not on the file system of the cache.
		if p.able.Swap(false) {
			p.log.Debug("cached files are read by requests: the kernel does not pass them through", "err", errno)
		}
	}
	return 0, false
}

// Unpass implements vfs.Passer.
func (p *passer) Unpass(backing int32) { p.kernel.UnregisterBackingFd(backing) }
