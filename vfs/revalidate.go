package vfs

import (
	"context"
	"time"

	"github.com/s3mount/s3mount/object"
)

// GetAttr returns an inode's attributes, asking again once they are older than
// Options.DirCacheTime. What is open keeps the attributes of the version it has.
func (fs *FS) GetAttr(ctx context.Context, id NodeID) (Attr, error) {
	n, err := fs.node(id)
	if err != nil {
		return Attr{}, err
	}
	if _, err := fs.revalidate(ctx, n); err != nil {
		return Attr{}, err
	}
	fs.tree.Lock()
	unknown := n.dir && !n.t.gone && !fs.shownLocked(n) // since a folder above was renamed
	was := n.t.attr
	fs.tree.Unlock()
	if unknown {
		if err := fs.loadMeta(ctx, n); err != nil {
			return Attr{}, err
		}
	}
	fs.tree.Lock()
	defer fs.tree.Unlock()
	if unknown && was.Ctime.After(n.t.attr.Ctime) { // what this mount did to it is not stored
		n.t.attr.Mtime, n.t.attr.Ctime = was.Mtime, was.Ctime
	}
	return n.attrLocked(), nil
}

// attrLocked returns what stat shows. A folder's links count the folders in it while its
// listing is known, as local disks do; else nobody is asked.
func (n *Inode) attrLocked() Attr {
	a := n.t.attr
	switch l := n.t.listing; {
	case n.t.gone:
		a.Nlink = 0
	case !n.dir:
		a.Nlink += uint32(len(n.t.links))
	case n.dir && l != nil && !l.partial && n.fs.fresh(l.at):
		a.Nlink = 2 + uint32(l.dirs)
	}
	return a
}

// revalidate asks for a file's version again if what is known is too old. replaced says
// that the name stands for other bytes now, while open handles keep these.
func (fs *FS) revalidate(ctx context.Context, n *Inode) (replaced bool, err error) {
	for {
		if replaced, err = fs.revalidateOnce(ctx, n); err != errOvertaken {
			return replaced, err
		}
	}
}

// overtakenLocked is what becomes of an answer that is no news: it is not needed, unless
// nothing else has told the attributes.
func (fs *FS) overtakenLocked(n *Inode) error {
	if fs.shownLocked(n) {
		return nil
	}
	return errOvertaken
}

func (fs *FS) revalidateOnce(ctx context.Context, n *Inode) (replaced bool, err error) {
	fs.tree.Lock()
	skip := n.dir || n.t.gone || n.t.staged != nil || fs.shownLocked(n) && (fs.fresh(n.t.checked) || len(n.t.links) > 0)
	key, opens := n.keyLocked(), n.t.opens
	currentLocked, began := fs.askingLocked(key), fs.now()
	fs.tree.Unlock()
	if skip {
		return false, nil
	}
	got, err := fs.headOnce(ctx, key)
	if err != nil {
		if !object.Is(err, object.KindNotFound) {
			return false, err
		}
		if opens > 0 {
			return true, nil
		}
		return false, fs.lost(n, currentLocked, got.asked, err)
	}
	fs.tree.Lock()
	defer fs.tree.Unlock()
	got.info = fs.catchUpLocked(n, got.info)
	switch {
	case n.t.gone || n.t.staged != nil:
		return false, nil
	case n.checkedAfterLocked(n.t.parent, n.t.name, began) || !currentLocked():
		return false, fs.overtakenLocked(n) // later news came by another way
	case n.checkedAfterLocked(n.t.parent, n.t.name, got.asked):
		return false, errOvertaken // by what was known before: ask again
	}
	if n.t.opens > 0 && !n.t.info.SameBytes(got.info) {
		return true, nil
	}
	n.t.checked = got.asked
	fs.setInfoLocked(n, got.info)
	return false, nil
}

// lost takes the name away from a file that nobody has open and that the store no longer
// had at the time asked, and returns cause; nil if this mount has made the name stand for
// something since, or errOvertaken if nothing is known of that, or of later.
func (fs *FS) lost(n *Inode, currentLocked func() bool, asked time.Time, cause error) error {
	fs.tree.Lock()
	defer fs.tree.Unlock()
	switch {
	case n.t.gone:
		return cause
	case n.t.staged != nil || n.t.opens > 0:
		return nil
	case !currentLocked():
		return fs.overtakenLocked(n)
	case n.checkedAfterLocked(n.t.parent, n.t.name, asked):
		return errOvertaken
	}
	p, name := n.t.parent, n.t.name
	fs.detachLocked(n)
	fs.patchLocked(p, name, nil)
	fs.dropLocked(n)
	return cause
}
