package vfs

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/s3mount/s3mount/object"
	"github.com/s3mount/s3mount/vfs/treemove"
)

// renameFolder moves a folder and all that is beneath it: every key is copied, in
// parallel; then the table shows the new name; then the old keys are deleted. If a copy
// fails, the copies that were made are deleted again and the folder is as it was; treemove
// says what becomes of it if the process dies. The caller holds ns exclusively, so that no
// name changes meanwhile.
func (fs *FS) renameFolder(ctx context.Context, r rename, newPrefix string) error {
	files := fs.liveBeneath(r.n)
	linked := fs.linkedBeneath(r.n)
	for _, f := range inOrder(append(slices.Clone(linked), files...)) {
		f.mu.Lock()
		defer f.mu.Unlock()
	}
	t := &tree{fs: fs, move: fs.mover.Begin(fs.keyOf(r.n), newPrefix), live: fs.versionsOf(files), links: fs.linksOf(linked), moved: map[string]object.Info{}}
	for l, key := range t.links {
		t.live[key] = l.info
	}
	t.move.Copied = t.copied
	t.move.Before = func(ctx context.Context) error {
		if r.from == r.to { // it does not become empty
			return nil
		}
		return fs.keepFolder(ctx, r.from, r.oldName)
	}
	if err := t.look(ctx, r, newPrefix); err != nil {
		return err
	}
	if err := t.move.Copy(ctx); err != nil {
		fs.forgetListing(r.to) // somebody else may have taken the new name
		return err
	}
	t.inherit()
	fs.movedFolder(r, t, files)
	err := fs.keepFolder(ctx, r.from, r.oldName)
	if err == nil {
		if err = t.move.Delete(ctx); err != nil {
			fs.expire(r.n)
		}
	}
	fs.leftFolder(r, t, err == nil && t.move.Stayed() == 0)
	return err
}

// mayReplace reports whether nothing but a marker is under a prefix, and whether that is.
// target is its folder, nil if none is known: then somebody may have made one since that
// was learned, and what is in it is neither to be copied over nor to be deleted.
func (fs *FS) mayReplace(ctx context.Context, target *Inode, prefix string) (empty, marker bool, err error) {
	if target != nil {
		empty, err = fs.isEmpty(ctx, target)
		fs.tree.Lock()
		defer fs.tree.Unlock()
		return empty, target.t.marker == markerYes, err
	}
	page, err := fs.store.List(ctx, object.Query{Prefix: prefix, Max: 2})
	for _, info := range page.Objects {
		if info.Key != prefix || info.Size > 0 {
			return false, false, err
		}
	}
	return true, len(page.Objects) > 0, err
}

// liveBeneath returns the files beneath a folder that are open or staged, or led by a name in
// there and have others, in the order in which their contents are to be locked.
func (fs *FS) liveBeneath(top *Inode) []*Inode {
	fs.tree.Lock()
	defer fs.tree.Unlock()
	var files []*Inode
	var walk func(*Inode)
	walk = func(n *Inode) {
		if n.liveLocked() {
			files = append(files, n)
		}
		for name, c := range n.t.children {
			if c.linkLocked(n, name) == nil {
				walk(c)
			}
		}
	}
	walk(top)
	return inOrder(files)
}

// liveLocked reports whether a file keeps its version when a folder above gets another name:
// the others are looked up again.
func (n *Inode) liveLocked() bool {
	return !n.dir && (n.t.opens > 0 || n.t.staged != nil || len(n.t.links) > 0)
}

// inOrder sorts files as their contents are to be locked, each once.
func inOrder(files []*Inode) []*Inode {
	slices.SortFunc(files, func(a, b *Inode) int { return cmp.Compare(a.id, b.id) })
	return slices.Compact(files)
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
	fs   *FS
	move *treemove.Move
	live map[string]object.Info // the versions of the open files and of links, by old key
	// links are those of the files that have a name in there, with their old keys.
	links map[*link]string

	mu    sync.Mutex             // guards what follows while copies run
	moved map[string]object.Info // the copies of live, but of those that somebody replaced
	heirs []heir
}

// heir is a copy that takes the place of a version.
type heir struct {
	old, now object.ID
	size     int64 // bytes
}

// look asks at the same time what is to be moved and what is under the new name.
func (t *tree) look(ctx context.Context, r rename, newPrefix string) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return t.move.Look(ctx) })
	g.Go(func() error {
		empty, marker, err := t.fs.mayReplace(ctx, r.target, newPrefix)
		if err == nil && !empty {
			err = object.Errorf(object.KindNotEmpty, "rename", newPrefix, "the new name is a folder with content")
		}
		if marker {
			t.move.KeepMarker()
		}
		return err
	})
	return g.Wait()
}

// copied notes a copy that stands.
func (t *tree) copied(old, copied object.Info) {
	dst := t.move.NewKey(old.Key)
	t.fs.o.Meta.Remove(old.Key)
	t.fs.o.Meta.Remove(dst)
	now := t.fs.copiedInfo(old, copied, dst, object.CopyOptions{})
	t.mu.Lock()
	defer t.mu.Unlock()
	had, open := t.live[old.Key]
	if open && t.fs.stillIs(had, old) {
		t.moved[old.Key] = now
	}
	if open || len(t.heirs) < maxHeirs {
		t.heirs = append(t.heirs, heir{old.ID(), now.ID(), old.Size})
	}
}

// maxHeirs bounds the files of one renamed folder, but for open ones, whose content stays in
// the cache: what is held of each until all copies stand.
const maxHeirs = 10_000

// inherit makes what is cached of the old versions that of the copies. Until all of these
// stand they may be undone, and the old ones be what is read.
func (t *tree) inherit() {
	var g errgroup.Group
	g.SetLimit(8)
	for _, h := range t.heirs {
		old := object.Info{Key: h.old.Key, ETag: h.old.ETag, Size: h.size}
		now := object.Info{Key: h.now.Key, ETag: h.now.ETag, Size: h.size}
		g.Go(func() error {
			t.fs.o.Cache.Inherit(old, now, nil, nil)
			return nil
		})
	}
	g.Wait() // nothing fails
	t.heirs = nil
}

// stillIs reports whether a version that is listed now is one that was known before: with
// promises it may have come to stand in the store meanwhile, under another ETag.
func (fs *FS) stillIs(known, listed object.Info) bool {
	return known.SameBytes(listed) || fs.newest(known).SameBytes(listed)
}

// changedLocked forgets what is known of all keys that were moved.
func (t *tree) changedLocked() {
	keys, all := t.move.Keys()
	if !all { // too many to be told one by one
		t.fs.tree.changes.all()
	}
	for _, key := range keys {
		t.fs.changedLocked(key)
		t.fs.changedLocked(t.move.NewKey(key))
	}
}

// movedFolder shows the new name, and gives the inodes beneath their new keys. Closed
// files are looked up again; live ones go on with the copy of the version they have. One
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
	t.changedLocked()
	for _, f := range files {
		info, ok := t.moved[old[f]]
		fs.goWithLocked(f, info, ok)
	}
	for l, key := range t.links {
		if info, ok := t.moved[key]; ok {
			l.info, l.checked = info, fs.now()
		} else if l.info.Key == "" { // somebody replaced it: its next look finds that out
			l.info = t.live[key]
		}
	}
	r.n.t.marker = markerUnknown
	fs.patchLocked(r.to, r.newName, &found{dir: true, piece: r.piece, at: fs.now()})
	fs.tree.Unlock()
	for _, f := range files {
		f.follow(fs.content(f).info())
	}
}

// goWithLocked gives a file that was moved with its folder the copy of its version; ok is
// false where there is none, since somebody replaced or removed that.
func (fs *FS) goWithLocked(f *Inode, info object.Info, ok bool) {
	if !ok && f.t.staged == nil {
		fs.loseLocked(f.t.parent, f.t.name, f)
	}
	if ok && f.t.remote {
		info.Meta, info.ContentType = f.t.info.Meta, f.t.info.ContentType
		same, dirty, meta, known := f.t.pages == f.t.info.ID(), f.t.metaDirty, f.t.meta, f.t.hasMeta
		fs.storedLocked(f, info)
		f.t.metaDirty, f.t.meta = dirty, meta // the copy has the attributes that were stored
		f.t.hasMeta = known
		if same {
			f.t.pages = info.ID()
		}
	}
}

// leftFolder forgets what was learned of the old name since movedFolder: a listing that ran
// ahead, or that somebody read, may have shown it once more. whole says that it is gone.
func (fs *FS) leftFolder(r rename, t *tree, whole bool) {
	fs.tree.Lock()
	defer fs.tree.Unlock()
	fs.tree.renames++
	fs.tree.foreseen.dropAll(fs)
	keys, all := t.move.Keys()
	if !all {
		fs.tree.changes.all()
	}
	for _, key := range keys {
		fs.changedLocked(key)
	}
	fs.changedLocked(r.n.keyLocked())
	if n := r.from.t.children[r.oldName]; n != nil {
		fs.loseLocked(r.from, r.oldName, n)
		fs.dropLocked(n)
	}
	fs.patchLocked(r.from, r.oldName, nil)
	if !whole {
		fs.forgetListingLocked(r.from)
	}
}

func (c content) info() object.Info { return object.Info{Key: c.id.Key, ETag: c.id.ETag, Size: c.size} }

// forgetBeneathLocked drops what is known by key of a folder's descendants, but for live
// files.
func (fs *FS) forgetBeneathLocked(n *Inode) {
	fs.setListingLocked(n, nil)
	n.t.gen++
	if !n.liveLocked() {
		n.t.checked = fs.now().AddDate(-1, 0, 0)
		n.t.info, n.t.remote, n.t.hasMeta = object.Info{}, false, false
	}
	for name, c := range n.t.children {
		if l := c.linkLocked(n, name); l != nil {
			l.info, l.checked = object.Info{}, time.Time{}
			continue
		}
		fs.forgetBeneathLocked(c)
	}
}
