package vfs

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/s3mount/s3mount/internal/keyname"
	"github.com/s3mount/s3mount/object"
)

// maxRenamed bounds the keys beneath a folder that one rename moves: they are held in
// memory until all copies stand.
const maxRenamed = 1_000_000

// renameFolder moves a folder and all that is beneath it: every key is copied, in
// parallel; then the table shows the new name; then the old keys are deleted. If a copy
// fails, the copies that were made are deleted again and the folder is as it was. The
// caller holds ns exclusively, so that no name changes meanwhile.
func (fs *FS) renameFolder(ctx context.Context, r rename, newPrefix string) error {
	empty, err := fs.mayReplace(ctx, r.target, newPrefix)
	if err != nil {
		return err
	}
	if !empty {
		return object.Errorf(object.KindNotEmpty, "rename", newPrefix, "the new name is a folder with content")
	}
	files := fs.liveBeneath(r.n)
	for _, f := range files {
		f.mu.Lock()
		defer f.mu.Unlock()
	}
	t := &tree{fs: fs, oldPrefix: fs.keyOf(r.n), newPrefix: newPrefix,
		live: fs.versionsOf(files), moved: map[string]object.Info{}}
	if err := t.copyAll(ctx); err != nil {
		return errors.Join(err, t.undo(ctx))
	}
	fs.movedFolder(r, t, files)
	if err := fs.keepFolder(ctx, r.from, r.oldName); err != nil {
		return err
	}
	if err := fs.store.DeleteMany(ctx, t.keys); err != nil {
		fs.expire(r.n)
		return object.Errorf(object.KindOf(err), "rename", t.oldPrefix,
			"all of it is under %q now, but the old names could not all be deleted: %w", newPrefix, err)
	}
	return nil
}

// mayReplace reports whether nothing but a marker is under a prefix. target is its folder,
// nil if none is known: then somebody may have made one since that was learned, and what
// is in it is neither to be copied over nor to be deleted by undo.
func (fs *FS) mayReplace(ctx context.Context, target *Inode, prefix string) (bool, error) {
	if target != nil {
		return fs.isEmpty(ctx, target)
	}
	page, err := fs.store.List(ctx, object.Query{Prefix: prefix, Max: 2})
	for _, info := range page.Objects {
		if info.Key != prefix {
			return false, err
		}
	}
	return true, err
}

// liveBeneath returns the files beneath a folder that are open or staged, in the order
// in which their contents are to be locked.
func (fs *FS) liveBeneath(top *Inode) []*Inode {
	fs.tree.Lock()
	defer fs.tree.Unlock()
	var files []*Inode
	var walk func(*Inode)
	walk = func(n *Inode) {
		if !n.dir && (n.t.opens > 0 || n.t.staged != nil) {
			files = append(files, n)
		}
		for _, c := range n.t.children {
			walk(c)
		}
	}
	walk(top)
	slices.SortFunc(files, func(a, b *Inode) int { return cmp.Compare(a.id, b.id) })
	return files
}

// versionsOf returns the versions that files have, by key.
func (fs *FS) versionsOf(files []*Inode) map[string]object.Info {
	fs.tree.Lock()
	defer fs.tree.Unlock()
	of := map[string]object.Info{}
	for _, f := range files {
		of[f.keyLocked()] = f.t.info
	}
	return of
}

// tree is all that lies under a prefix, on its way to another.
type tree struct {
	fs                   *FS
	oldPrefix, newPrefix string
	keys                 []string               // the old keys
	live                 map[string]object.Info // the versions of the open files, by old key

	mu     sync.Mutex             // guards what follows while copies run
	copied []string               // new keys that stand, or may stand after a failure
	moved  map[string]object.Info // the copies of live, but of those that somebody replaced
	failed error                  // the first failure: no more copies begin
}

// copyAll copies every key. After a failure no more copies begin, but those under way
// are waited for: a copy that is given up may still come to stand in the store.
func (t *tree) copyAll(ctx context.Context) error {
	var g errgroup.Group
	g.SetLimit(t.fs.o.Parallel)
	for q := (object.Query{Prefix: t.oldPrefix}); t.failure() == nil; {
		page, err := t.fs.store.List(ctx, q)
		if err == nil && len(t.keys)+len(page.Objects) > maxRenamed {
			err = object.Errorf(object.KindTooLarge, "rename", t.oldPrefix, "more than %d files; rename its folders one by one", maxRenamed)
		}
		if err != nil {
			t.fail(err)
			break
		}
		for _, info := range page.Objects {
			t.keys = append(t.keys, info.Key)
			g.Go(func() error {
				t.copy(context.WithoutCancel(ctx), info)
				return nil
			})
		}
		if q.Token = page.Next; q.Token == "" {
			break
		}
	}
	g.Wait() // the failures are in t
	return t.failure()
}

func (t *tree) newKey(old string) string { return t.newPrefix + strings.TrimPrefix(old, t.oldPrefix) }

func (t *tree) failure() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.failed
}

func (t *tree) fail(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.failed == nil {
		t.failed = err
	}
}

func (t *tree) copy(ctx context.Context, info object.Info) {
	dst := t.newKey(info.Key)
	if len(dst) > keyname.MaxKey {
		t.fail(object.Errorf(object.KindNameTooLong, "rename", dst, "keys end at %d bytes", keyname.MaxKey))
	}
	if !t.begin(dst) {
		return
	}
	copied, err := t.fs.store.Copy(ctx, info.ID(), dst, object.CopyOptions{Size: info.Size})
	if err != nil {
		t.fail(err)
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if had, open := t.live[info.Key]; open && had.SameBytes(info) {
		t.moved[info.Key] = t.fs.copiedInfo(info, copied, dst, object.CopyOptions{})
	}
}

// begin notes a copy that is about to be made, unless one has failed.
func (t *tree) begin(dst string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.failed != nil {
		return false
	}
	t.copied = append(t.copied, dst)
	return true
}

// undo deletes the copies of a rename that failed. The new prefix held nothing but
// perhaps a marker, which is deleted as well only if it was copied over.
func (t *tree) undo(ctx context.Context) error {
	if len(t.copied) == 0 {
		return nil
	}
	return t.fs.store.DeleteMany(context.WithoutCancel(ctx), t.copied)
}

// movedFolder shows the new name, and gives the inodes beneath their new keys. Closed
// files are looked up again; open ones go on with the copy of the version they have. One
// whose version somebody replaced or removed keeps that, and loses its name to the new
// one; but what is staged keeps its name, to be stored under it.
func (fs *FS) movedFolder(r rename, t *tree, files []*Inode) {
	old := map[*Inode]string{}
	for _, f := range files {
		old[f] = fs.keyOf(f)
	}
	fs.moved(r, object.Info{}, false)
	fs.tree.Lock()
	fs.tree.renames++
	fs.tree.foreseen.dropAll(fs)
	fs.forgetBeneathLocked(r.n)
	for _, key := range t.keys {
		fs.changedLocked(key)
		fs.changedLocked(t.newKey(key))
	}
	for _, f := range files {
		info, ok := t.moved[old[f]]
		if !ok && f.t.staged == nil {
			fs.detachLocked(f)
		}
		if ok && f.t.remote {
			info.Meta, info.ContentType = f.t.info.Meta, f.t.info.ContentType
			same, dirty, meta := f.t.pages == f.t.info.ID(), f.t.metaDirty, f.t.meta
			fs.storedLocked(f, info)
			f.t.metaDirty, f.t.meta = dirty, meta // the copy has the attributes that were stored
			if same {
				f.t.pages = info.ID()
			}
		}
	}
	r.n.t.marker = markerUnknown
	fs.patchLocked(r.to, r.newName, &found{dir: true, piece: r.piece, at: fs.now()})
	fs.tree.Unlock()
	for _, f := range files {
		f.follow(fs.content(f).info())
	}
}

func (c content) info() object.Info { return object.Info{Key: c.id.Key, ETag: c.id.ETag, Size: c.size} }

// forgetBeneathLocked drops what is known by key of a folder's descendants, but for open
// files.
func (fs *FS) forgetBeneathLocked(n *Inode) {
	fs.setListingLocked(n, nil)
	n.t.gen++
	if n.dir || n.t.opens == 0 && n.t.staged == nil {
		n.t.checked = fs.now().AddDate(-1, 0, 0)
		n.t.info, n.t.remote, n.t.hasMeta = object.Info{}, false, false
	}
	for _, c := range n.t.children {
		fs.forgetBeneathLocked(c)
	}
}
