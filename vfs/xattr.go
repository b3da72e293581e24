package vfs

import (
	"context"
	"time"

	"github.com/s3mount/s3mount/object"
)

// xattrFacts are the extended attributes that show an object's own facts.
var xattrFacts = []struct {
	name string
	of   func(object.Info) string
}{
	{"user.s3mount.etag", func(i object.Info) string { return i.ETag }},
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

// GetXattr returns an extended attribute. Only the object's own facts are there; a file
// that is not in S3 yet has none.
func (fs *FS) GetXattr(ctx context.Context, id NodeID, name string) ([]byte, error) {
	for _, f := range xattrFacts {
		if f.name != name {
			continue
		}
		info, err := fs.facts(ctx, id)
		if err != nil {
			return nil, err
		}
		if v := f.of(info); info.Key != "" && v != "" {
			return []byte(v), nil
		}
	}
	return nil, object.Errorf(object.KindNoAttr, "getxattr", name, "")
}

// ListXattr returns the names of an inode's extended attributes.
func (fs *FS) ListXattr(ctx context.Context, id NodeID) ([]string, error) {
	info, err := fs.facts(ctx, id)
	if err != nil || info.Key == "" {
		return nil, err
	}
	var names []string
	for _, f := range xattrFacts {
		if f.of(info) != "" {
			names = append(names, f.name)
		}
	}
	return names, nil
}

func (fs *FS) facts(ctx context.Context, id NodeID) (object.Info, error) {
	n, err := fs.node(id)
	if err != nil {
		return object.Info{}, err
	}
	if err := fs.loadMeta(ctx, n); err != nil {
		return object.Info{}, err
	}
	fs.tree.Lock()
	defer fs.tree.Unlock()
	if !n.t.remote {
		return object.Info{}, nil
	}
	return n.t.info, nil
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
	if t, ok := info.Meta[metaGeesefsLink]; ok {
		return percentDecode(t), nil
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
