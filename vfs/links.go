package vfs

import (
	"context"
	"slices"
	"time"

	"github.com/s3mount/s3mount/internal/keyname"
	"github.com/s3mount/s3mount/object"
)

// An object has one key. A hard link is a second object: Link copies the file under the
// second name, and from then on both names are one Inode of this mount, which stores
// whatever changes under all of its names before the change returns. To other clients
// they are two files that happen to be the same, and so they are to the next mount.
//
// One name leads: it is the inode's parent, name and info, and the others are links.
// Everything that removes or renames a name lets it lead first, so that the rest of the
// package knows inodes of one name only. A name whose object somebody else replaces or
// removes ends being a name of the inode.

// link is a name of a file beside the leading one. Guarded by FS.tree.
type link struct {
	parent      *Inode
	name, piece string
	info        object.Info // its object; no Key: not known since a folder above was renamed
	checked     time.Time   // when info was last confirmed
	behind      bool        // the object is not what the inode stored last
}

func (l *link) keyLocked() string { return l.parent.keyLocked() + l.piece }

// What is linked stays in the table while the mount lasts, and each change of a file is
// one more request for each of its names.
const (
	maxLinksOfOne = 1000
	maxLinksOfAll = 65_536
)

// maxLinks is how many links a mount has: a quarter of the table at most.
func (fs *FS) maxLinks() int {
	if fs.o.MaxInodes > 0 {
		return min(maxLinksOfAll, fs.o.MaxInodes/4)
	}
	return maxLinksOfAll
}

// Link gives a file another name. What was written to it is stored first.
func (fs *FS) Link(ctx context.Context, id, parent NodeID, name string) (Entry, error) {
	n, err := fs.node(id)
	if err != nil {
		return Entry{}, err
	}
	switch {
	case fs.o.Promises != nil:
		return Entry{}, object.Errorf(object.KindNoLinks, "link", fs.keyOf(n), "not with --writeback")
	case n.dir:
		return Entry{}, object.Errorf(object.KindIsDir, "link", fs.keyOf(n), "")
	}
	p, m, done, err := fs.beginMake(ctx, "link", parent, name, true)
	if err != nil {
		return Entry{}, err
	}
	defer done()
	n.mu.Lock()
	defer n.mu.Unlock()
	if err := n.mayLink(ctx); err != nil {
		return Entry{}, err
	}
	fs.tree.Lock()
	src := n.t.info
	fs.tree.Unlock()
	o := object.CopyOptions{Size: src.Size, IfAbsent: true}
	copied, err := fs.store.Copy(fs.lasting, src.ID(), m.key, o)
	if err != nil {
		fs.expire(n)
		return Entry{}, err
	}
	fs.tree.Lock()
	l := &link{parent: p, name: name, piece: m.piece}
	n.t.links = append(n.t.links, l)
	fs.tree.links++
	if p.t.children == nil {
		p.t.children = map[string]*Inode{}
	}
	p.t.children[name] = n
	fs.tree.absent.drop(p.id, name)
	fs.storedLinkLocked(l, fs.copiedInfo(src, copied, m.key, o))
	n.t.attr.Ctime = fs.now()
	n.t.pins++
	fs.touchLocked(p)
	fs.tree.Unlock()
	return fs.entry(n), nil
}

// mayLink stores what a file holds, and reports whether it can have one more name. The
// caller holds ns and n.mu.
func (n *Inode) mayLink(ctx context.Context) error {
	fs := n.fs
	if err := fs.loadMeta(ctx, n); err != nil {
		return err
	}
	if err := n.syncHeld(fs.lasting); err != nil {
		return err
	}
	fs.tree.Lock()
	defer fs.tree.Unlock()
	switch {
	case n.t.gone || !n.t.remote:
		return object.Errorf(object.KindNotFound, "link", n.keyLocked(), "the name was removed")
	case len(n.t.links) >= maxLinksOfOne:
		return object.Errorf(object.KindTooManyLinks, "link", n.keyLocked(), "a file has at most %d names", maxLinksOfOne+1)
	case fs.tree.links >= fs.maxLinks():
		return object.Errorf(object.KindTooManyLinks, "link", n.keyLocked(), "a mount of this --memory has at most %d hard links", fs.maxLinks())
	}
	return nil
}

// storedLinkLocked notes the version that this mount has just stored under a link's name.
func (fs *FS) storedLinkLocked(l *link, info object.Info) {
	l.info, l.checked, l.behind = info, fs.now(), false
	fs.changedLocked(info.Key)
	fs.o.Meta.Put(info)
	fs.patchLocked(l.parent, l.name, &found{piece: l.piece, at: l.checked, info: info})
}

// leftBehindLocked notes that the leading name has a new version, which the others want.
func (n *Inode) leftBehindLocked() {
	for _, l := range n.t.links {
		l.behind = true
	}
}

// storeLinks copies what the leading name has to those that are left behind. After an
// error some are; the next storing of the file tries again. A name whose object somebody else
// has replaced or removed is no link any more, and stays as it is. The caller holds n.mu.
func (n *Inode) storeLinks(ctx context.Context) error {
	fs := n.fs
	for {
		fs.tree.Lock()
		i := slices.IndexFunc(n.t.links, func(l *link) bool { return l.behind })
		if i < 0 || n.t.gone {
			fs.tree.Unlock()
			return nil
		}
		l, src, key := n.t.links[i], n.t.info, n.t.links[i].keyLocked()
		fs.tree.Unlock()
		o := object.CopyOptions{Size: src.Size, IfMatch: l.info.ETag} // empty where it is not known: any version
		copied, err := fs.store.Copy(ctx, src.ID(), key, o)
		if object.Is(err, object.KindExists) {
			n.endLink(l, key)
			continue
		}
		if err != nil {
			n.doubtLink(l, err)
			return object.Errorf(object.KindOf(err), "store hard link", key, "%q has it: %w", src.Key, err)
		}
		fs.tree.Lock()
		fs.storedLinkLocked(l, fs.copiedInfo(src, copied, key, o))
		fs.tree.Unlock()
	}
}

// doubtLink forgets the version of a link that could not be stored with err, where the store
// may have a new one all the same.
func (n *Inode) doubtLink(l *link, err error) {
	if !mayBeStored(err) {
		return
	}
	n.fs.tree.Lock()
	defer n.fs.tree.Unlock()
	l.info = object.Info{}
}

// endLink takes a name from a file, as its object is somebody else's, or gone.
func (n *Inode) endLink(l *link, key string) {
	fs := n.fs
	fs.tree.Lock()
	fs.changedLocked(key)
	n.dropNameLocked(l.parent, l.name)
	fs.patchLocked(l.parent, l.name, nil)
	fs.forgetListingLocked(l.parent)
	parent, name := l.parent.id, l.name
	fs.tree.Unlock()
	fs.log.Info("somebody else changed a hard link of a file: the two are files of their own now", "op", "store", "key", key)
	if fs.inval != nil {
		fs.wg.Go(func() { fs.inval.InvalidateEntry(parent, name) }) // see forsake
	}
}

// linkLocked returns the link that a name is; nil: the name leads, or is another inode's.
func (n *Inode) linkLocked(p *Inode, name string) *link {
	for _, l := range n.t.links {
		if l.parent == p && l.name == name {
			return l
		}
	}
	return nil
}

// checkedLocked is when the object under one of the inode's names was last confirmed.
func (n *Inode) checkedLocked(p *Inode, name string) time.Time {
	if l := n.linkLocked(p, name); l != nil {
		return l.checked
	}
	return n.t.checked
}

// lead makes a name of a linked file the leading one, and all its names as new as that.
// KindStale: it turned out to be no name of the file any more. The caller holds ns and n.mu.
func (n *Inode) lead(ctx context.Context, p *Inode, name string) error {
	if err := n.storeLinks(ctx); err != nil {
		return err
	}
	if err := n.confirmLinks(ctx); err != nil {
		return err
	}
	fs := n.fs
	fs.tree.Lock()
	l := n.linkLocked(p, name)
	if l != nil {
		n.swapLocked(l)
	}
	info, ours := n.t.info, n.t.parent == p && n.t.name == name
	fs.tree.Unlock()
	if !ours {
		return object.Errorf(object.KindStale, "find hard link", info.Key, "the name %q stands for something else now", name)
	}
	if l != nil {
		n.follow(info)
	}
	return nil
}

// confirmLinks finds out which version each link's object has, where a rename of a folder
// has left that open. A name that has other bytes by now is no link any more.
func (n *Inode) confirmLinks(ctx context.Context) error {
	fs := n.fs
	for {
		fs.tree.Lock()
		i := slices.IndexFunc(n.t.links, func(l *link) bool { return l.info.Key == "" })
		if i < 0 {
			fs.tree.Unlock()
			return nil
		}
		l, size, key := n.t.links[i], n.t.info.Size, n.t.links[i].keyLocked()
		fs.tree.Unlock()
		began := fs.now()
		got, err := fs.headOnce(ctx, key)
		if got.asked.Before(began) && (err == nil || object.Is(err, object.KindNotFound)) {
			continue // somebody else's question, from before the rename perhaps
		}
		if err != nil && !object.Is(err, object.KindNotFound) {
			return err
		}
		fs.tree.Lock()
		ends := err != nil || n.t.remote && got.info.Size != size
		if !ends {
			l.info, l.checked = got.info, got.asked
		}
		fs.tree.Unlock()
		if ends {
			n.endLink(l, key)
		}
	}
}

// swapLocked makes a link the leading name, and the leading name a link.
func (n *Inode) swapLocked(l *link) {
	was := link{parent: n.t.parent, name: n.t.name, piece: n.t.piece, info: n.t.info, checked: n.t.checked}
	if !n.t.remote {
		was.info = object.Info{}
	}
	n.t.parent, n.t.name, n.t.piece, n.t.form = l.parent, l.name, l.piece, keyname.Plain
	if l.info.Key == "" { // found out by its next look
		n.t.info, n.t.remote, n.t.hasMeta, n.t.checked = object.Info{}, false, false, time.Time{}
	} else {
		info := l.info
		if info.Meta == nil {
			info.Meta, info.ContentType = n.t.info.Meta, n.t.info.ContentType
		}
		if n.t.pages == n.t.info.ID() {
			n.t.pages = info.ID()
		}
		n.t.info, n.t.remote, n.t.checked = info, true, l.checked
	}
	*l = was
}

// dropNameLocked takes one of several names from an inode; false: it has no other.
func (n *Inode) dropNameLocked(p *Inode, name string) bool {
	if len(n.t.links) == 0 {
		return false
	}
	if n.t.parent == p && n.t.name == name {
		next := n.t.links[0]
		for _, l := range n.t.links {
			if l.info.Key != "" && !l.behind {
				next = l
				break
			}
		}
		n.swapLocked(next)
	}
	l := n.linkLocked(p, name)
	if l == nil {
		return true
	}
	n.t.links = slices.DeleteFunc(n.t.links, func(x *link) bool { return x == l })
	n.fs.tree.links--
	if p.t.children[name] == n {
		delete(p.t.children, name)
	}
	return true
}

// loseLocked takes a name away that stands for something else now, or for nothing.
func (fs *FS) loseLocked(p *Inode, name string, n *Inode) {
	if !n.dropNameLocked(p, name) {
		fs.detachLocked(n)
	}
}

// linksOf returns the keys of the links of files whose versions are known.
func (fs *FS) linksOf(files []*Inode) map[*link]string {
	fs.tree.Lock()
	defer fs.tree.Unlock()
	of := map[*link]string{}
	for _, n := range files {
		for _, l := range n.t.links {
			if l.info.Key != "" {
				of[l] = l.keyLocked()
			}
		}
	}
	return of
}

// linkedBeneath returns the files that have several names, one of them beneath a folder.
func (fs *FS) linkedBeneath(top *Inode) (files []*Inode) {
	fs.tree.Lock()
	defer fs.tree.Unlock()
	if fs.tree.links == 0 {
		return nil
	}
	var walk func(*Inode)
	walk = func(n *Inode) {
		for _, c := range n.t.children {
			if len(c.t.links) > 0 {
				files = append(files, c)
			}
			walk(c)
		}
	}
	walk(top)
	return files
}
