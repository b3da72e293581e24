package vfs

import (
	"context"
	"io"

	"github.com/s3mount/s3mount/object"
)

// Store is what the file system asks of a bucket, beside the reading that goes through
// objcache and the writing that goes through writeback. Keys are relative to the
// mount's prefix. Every method retries by itself, ends by a deadline of its own or with
// ctx, and fails with an *object.Error. Writes are atomic: they happened or they did not.
type Store interface {
	List(ctx context.Context, q object.Query) (object.Page, error)
	Head(ctx context.Context, key string) (object.Info, error)
	// Get reads a range of one version. The caller closes the body.
	Get(ctx context.Context, id object.ID, r object.Range) (io.ReadCloser, error)
	Put(ctx context.Context, key string, body *io.SectionReader, o object.PutOptions) (object.Info, error)
	// Copy makes dst from one version of src within the store.
	Copy(ctx context.Context, src object.ID, dst string, o object.CopyOptions) (object.Info, error)
	// Delete removes a key; that it is not there is no error.
	Delete(ctx context.Context, key string) error
	// DeleteVersion is Delete, but KindConflict, and nothing is removed, where the store finds
	// another version under the key.
	DeleteVersion(ctx context.Context, id object.ID) error
	// DeleteMany removes any number of keys; on an error some may be gone.
	DeleteMany(ctx context.Context, keys []string) error
}

// Invalidator tells the kernel that what it caches is no longer so. It is called with
// no lock held, and must not call back.
type Invalidator interface {
	// InvalidateEntry drops a name from a folder.
	InvalidateEntry(parent NodeID, name string)
	// InvalidateContent drops the attributes and the pages of an inode.
	InvalidateContent(node NodeID)
	// Forget asks the kernel to forget inodes that it does not use; it may keep them.
	Forget(nodes []Forgettable)
}
