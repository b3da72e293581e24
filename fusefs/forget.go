package fusefs

import (
	"github.com/hanwen/go-fuse/v2/fuse"

	"github.com/s3mount/s3mount/vfs"
)

// Forget implements vfs.Invalidator. Kernels from 6.18 on are told which inodes to forget,
// and forget those that nothing uses. Older ones are told to drop names, which they do
// even of what is in use: the names of folders stay.
func (m *Server) Forget(nodes []vfs.Forgettable) {
	ids := make([]uint64, len(nodes))
	for i, n := range nodes {
		ids[i] = uint64(n.Node)
	}
	if m.fuse.PruneNotify(ids) != fuse.ENOSYS {
		return
	}
	for _, n := range nodes {
		if !n.Dir {
			m.fuse.EntryNotify(uint64(n.Parent), n.Name) // ENOENT: the kernel did not know it
		}
	}
}
