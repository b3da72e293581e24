package vfs

import (
	"context"
	"strings"
	"time"

	"github.com/s3mount/s3mount/object"
)

// xattrFacts are the extended attributes that show an object's own facts.
var xattrFacts = []struct {
	name string
	of   func(object.Info) string
}{
	{"user.s3mount.etag", func(i object.Info) string {
		if i.ID().Local() {
			return "" // S3 has given none yet
		}
		return i.ETag
	}},
	{"user.s3mount.key", func(i object.Info) string { return i.Key }},
	{"user.s3mount.storage-class", func(i object.Info) string {
		if i.StorageClass == "" {
			return "STANDARD"
		}
		return i.StorageClass
	}},
	{"user.s3mount.content-type", func(i object.Info) string { return i.ContentType }},
	{"user.s3mount.last-modified", func(i object.Info) string {
		if i.LastModified.IsZero() {
			return ""
		}
		return i.LastModified.UTC().Format(time.RFC3339)
	}},
}

// GetXattr returns an extended attribute: one of the user's, or a fact of the object. A
// file that is not in S3 yet has no facts. KindUnsupported: no attribute is called like it.
func (fs *FS) GetXattr(ctx context.Context, id NodeID, name string) ([]byte, error) {
	if !strings.HasPrefix(name, userPrefix) {
		return nil, object.Errorf(object.KindUnsupported, "getxattr", name, "")
	}
	info, meta, err := fs.facts(ctx, id)
	if err != nil {
		return nil, err
	}
	if v, ok := userXattrs(meta)[name]; ok {
		return []byte(v), nil
	}
	if name == stateXattr {
		return []byte(fs.stateOf(id)), nil
	}
	for _, f := range xattrFacts {
		if v := f.of(info); f.name == name && info.Key != "" && v != "" {
			return []byte(v), nil
		}
	}
	return nil, object.Errorf(object.KindNoAttr, "getxattr", name, "")
}

// ListXattr returns the names of the user's attributes. Facts are not among them: who
// copies attributes could set none.
func (fs *FS) ListXattr(ctx context.Context, id NodeID) ([]string, error) {
	_, meta, err := fs.facts(ctx, id)
	return xattrNames(userXattrs(meta)), err
}

// XattrMode says what SetXattr does with an attribute that is there, or is not.
type XattrMode uint8

// The modes of SetXattr, those of setxattr(2).
const (
	XattrAny     XattrMode = iota // set it
	XattrCreate                   // KindExists if it is there
	XattrReplace                  // KindNoAttr if it is not there
)

// SetXattr sets an extended attribute of the user. That of a file which is being written
// is stored with its next upload, of any other before SetXattr returns.
// KindAttrTooLarge, KindAttrSpace: S3 keeps 2 KiB of them.
func (fs *FS) SetXattr(ctx context.Context, id NodeID, name string, value []byte, mode XattrMode) error {
	return fs.changeXattr(ctx, "setxattr", id, name, func(there bool) (*string, error) {
		switch {
		case there && mode == XattrCreate:
			return nil, object.Errorf(object.KindExists, "setxattr", name, "")
		case !there && mode == XattrReplace:
			return nil, object.Errorf(object.KindNoAttr, "setxattr", name, "")
		}
		v := string(value)
		return &v, nil
	})
}

// RemoveXattr removes an extended attribute of the user, as SetXattr sets it.
func (fs *FS) RemoveXattr(ctx context.Context, id NodeID, name string) error {
	return fs.changeXattr(ctx, "removexattr", id, name, func(there bool) (*string, error) {
		if !there {
			return nil, object.Errorf(object.KindNoAttr, "removexattr", name, "")
		}
		return nil, nil
	})
}

// changeXattr gives an attribute the value that change returns; nil is none.
func (fs *FS) changeXattr(ctx context.Context, op string, id NodeID, name string, change func(there bool) (*string, error)) error {
	n, err := fs.node(id)
	switch {
	case err != nil:
		return err
	case fs.o.ReadOnly:
		return object.Errorf(object.KindReadOnly, op, fs.keyOf(n), "mounted with --read-only")
	case !strings.HasPrefix(name, userPrefix) || strings.HasPrefix(name, factPrefix):
		return object.Errorf(object.KindUnsupported, op, name, "only attributes of the user can be set")
	case n == fs.root:
		return object.Errorf(object.KindUnsupported, op, name, "a bucket keeps no attributes")
	}
	fs.ns.RLock()
	defer fs.ns.RUnlock()
	n.mu.Lock()
	defer n.mu.Unlock()
	if err := fs.loadMeta(ctx, n); err != nil {
		return err
	}
	fs.tree.Lock()
	meta, attr, waiting := n.metaLocked(), n.t.attr, n.t.staged != nil
	fs.tree.Unlock()
	_, there := userXattrs(meta)[name]
	value, err := change(there)
	if err != nil {
		return err
	}
	if meta, err = withXattr(putMeta(meta, attr), name, value); err != nil {
		return err
	}
	return n.setMeta(fs.lasting, SetAttr{meta: meta}, waiting)
}

// metaLocked is the user metadata of an inode: what is to be stored next, else what the
// object has.
func (n *Inode) metaLocked() object.Meta {
	if n.t.meta != nil {
		return n.t.meta
	}
	return n.t.info.Meta
}

// facts returns an inode's remote version, empty if there is none, and its metadata.
func (fs *FS) facts(ctx context.Context, id NodeID) (object.Info, object.Meta, error) {
	n, err := fs.node(id)
	if err == nil {
		err = fs.loadMeta(ctx, n)
	}
	if err != nil {
		return object.Info{}, nil, err
	}
	fs.tree.Lock()
	defer fs.tree.Unlock()
	if !n.t.remote {
		return object.Info{}, n.metaLocked(), nil
	}
	return n.t.info, n.metaLocked(), nil
}

// Readlink returns a symbolic link's target.
func (fs *FS) Readlink(ctx context.Context, id NodeID) (string, error) {
	n, err := fs.node(id)
	if err == nil {
		err = fs.loadMeta(ctx, n) // not known after the rename of a folder above
	}
	if err != nil {
		return "", err
	}
	fs.tree.Lock()
	info, link := n.t.info, n.t.attr.IsSymlink()
	fs.tree.Unlock()
	if !link {
		return "", object.Errorf(object.KindInvalid, "readlink", info.Key, "not a link")
	}
	if target := geesefsLink(info); target != "" {
		return target, nil
	}
	if info.Size <= 0 || info.Size > maxLinkSize {
		return "", object.Errorf(object.KindInvalid, "readlink", info.Key, "a target has 1 to %d bytes, this has %d", maxLinkSize, info.Size)
	}
	r := fs.o.Cache.Reader(info.ID(), info.Size)
	defer r.Close()
	buf := make([]byte, info.Size)
	if k, err := r.ReadAt(ctx, buf, 0); k < len(buf) {
		return "", err
	}
	return string(buf), nil
}
