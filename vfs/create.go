package vfs

import (
	"bytes"
	"context"
	"io"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"github.com/s3mount/s3mount/internal/keyname"
	"github.com/s3mount/s3mount/object"
)

// Create makes a new file and opens it for reading and writing, or opens the one that
// is there unless excl. The object comes into being at the first fsync or close.
func (fs *FS) Create(ctx context.Context, parent NodeID, name string, mode uint32, excl bool, who Caller) (Entry, *Handle, error) {
	p, f, done, err := fs.beginMake(ctx, "create", parent, name, excl)
	if err != nil {
		return Entry{}, nil, err
	}
	defer done()
	if f.existing != nil {
		h, err := fs.openNode(ctx, f.existing, 0, true)
		if err != nil {
			fs.unpin(f.existing)
			return Entry{}, nil, err
		}
		return fs.entry(f.existing), h, nil
	}
	staged, err := fs.o.Queue.Stage()
	if err != nil {
		return Entry{}, nil, err
	}
	fs.tree.Lock()
	n := fs.addLocked(p, name, found{piece: f.piece})
	n.t.pins++
	n.t.staged = staged
	n.t.hasMeta = true
	n.t.attr = fs.newAttrLocked(p, n, unix.S_IFREG|mode, who)
	n.t.opens, n.t.writers, n.t.virgin = 1, 1, false
	n.t.checked = n.t.attr.Mtime
	fs.touchLocked(p)
	fs.tree.Unlock()
	n.retarget()
	return fs.entry(n), &Handle{fs: fs, n: n, write: true}, nil
}

// Mkdir makes a folder: a marker, the key with "/" behind it.
func (fs *FS) Mkdir(ctx context.Context, parent NodeID, name string, mode uint32, who Caller) (Entry, error) {
	p, f, done, err := fs.beginMake(ctx, "mkdir", parent, name, true)
	if err != nil {
		return Entry{}, err
	}
	defer done()
	if len(f.key)+1 > keyname.MaxKey {
		return Entry{}, object.Errorf(object.KindNameTooLong, "mkdir", f.key, "keys end at %d bytes", keyname.MaxKey)
	}
	e, err := fs.makeObject(ctx, p, name, f.piece, newNode{mode: unix.S_IFDIR | mode}, who)
	if err == nil {
		fs.knowEmpty(p, name)
	}
	return e, err
}

// knowEmpty makes the listing of a folder that was made just now, as old as the one that
// told that there was none: nothing need be asked about the names in it.
func (fs *FS) knowEmpty(p *Inode, name string) {
	fs.tree.Lock()
	defer fs.tree.Unlock()
	n, of := p.t.children[name], p.t.listing
	if n == nil || n.t.gen > 0 || n.t.listing != nil || of == nil || of.partial || !fs.fresh(of.at) {
		return
	}
	fs.setListingLocked(n, &listing{prefix: n.keyLocked(), at: of.at})
}

// Symlink makes a symbolic link: an object that holds the target, with a link's mode.
func (fs *FS) Symlink(ctx context.Context, parent NodeID, name, target string, who Caller) (Entry, error) {
	if len(target) > maxLinkSize || target == "" {
		return Entry{}, object.Errorf(object.KindNameTooLong, "symlink", name, "a target has 1 to %d bytes", maxLinkSize)
	}
	p, f, done, err := fs.beginMake(ctx, "symlink", parent, name, true)
	if err != nil {
		return Entry{}, err
	}
	defer done()
	return fs.makeObject(ctx, p, name, f.piece, newNode{mode: unix.S_IFLNK | 0o777, body: []byte(target)}, who)
}

// Mknod makes an empty regular file, a FIFO, a socket or a device node: an empty object
// whose mode says what it is. rdev is a device's number, in st_rdev's form.
func (fs *FS) Mknod(ctx context.Context, parent NodeID, name string, mode, rdev uint32, who Caller) (Entry, error) {
	if mode&unix.S_IFMT == 0 {
		mode |= unix.S_IFREG
	}
	if !isSpecial(mode) && mode&unix.S_IFMT != unix.S_IFREG {
		return Entry{}, object.Errorf(object.KindInvalid, "mknod", name, "mode %o is of no file", mode)
	}
	p, f, done, err := fs.beginMake(ctx, "mknod", parent, name, true)
	if err != nil {
		return Entry{}, err
	}
	defer done()
	return fs.makeObject(ctx, p, name, f.piece, newNode{mode: mode, rdev: rdev}, who)
}

// making is a name that is about to be made.
type making struct {
	piece, key string
	existing   *Inode // pinned
}

// beginMake locks the folder and looks whether the name is free. done unlocks.
func (fs *FS) beginMake(ctx context.Context, op string, parent NodeID, name string, excl bool) (p *Inode, m making, done func(), err error) {
	if p, err = fs.writable(op, parent); err != nil {
		return nil, m, nil, err
	}
	fs.ns.RLock()
	p.dirMu.Lock()
	done = func() {
		p.dirMu.Unlock()
		fs.ns.RUnlock()
	}
	if m, err = fs.freeName(ctx, op, p, name, excl); err != nil {
		done()
		return nil, m, nil, err
	}
	return p, m, done, nil
}

// writable returns a folder in which names may change.
func (fs *FS) writable(op string, parent NodeID) (*Inode, error) {
	p, err := fs.folder(parent)
	if err != nil {
		return nil, err
	}
	if fs.o.ReadOnly {
		return nil, object.Errorf(object.KindReadOnly, op, fs.keyOf(p), "mounted with --read-only")
	}
	return p, nil
}

func (fs *FS) freeName(ctx context.Context, op string, p *Inode, name string, excl bool) (making, error) {
	fs.tree.Lock()
	prefix, held, gone := p.keyLocked(), p.heldLocked(), p.t.gone
	fs.tree.Unlock()
	if gone {
		return making{}, object.Errorf(object.KindNotFound, op, prefix, "the folder was removed")
	}
	if len(name) > keyname.MaxName {
		return making{}, object.Errorf(object.KindNameTooLong, op, prefix+name, "names end at %d bytes", keyname.MaxName)
	}
	if !utf8.ValidString(name) {
		return making{}, object.Errorf(object.KindNotUTF8, op, prefix+name, "S3's keys are UTF-8: choose another name")
	}
	piece, form, ok := keyname.Parse(held, name)
	if !ok || form != keyname.Plain {
		return making{}, object.Errorf(object.KindInvalid, op, prefix+name, "names that begin with %%s3- stand for keys that are no file names")
	}
	m := making{piece: piece, key: prefix + piece}
	if len(m.key) > keyname.MaxKey {
		return m, object.Errorf(object.KindNameTooLong, op, m.key, "keys end at %d bytes", keyname.MaxKey)
	}
	n, err := fs.find(ctx, p, name)
	switch {
	case object.Is(err, object.KindNotFound):
		return m, nil
	case err != nil:
		return m, err
	case excl || n.dir:
		kind := object.KindExists
		if n.dir && !excl {
			kind = object.KindIsDir
		}
		fs.unpin(n)
		return m, object.Errorf(kind, op, m.key, "")
	}
	m.existing = n
	return m, nil
}

// newAttrLocked makes the attributes of a new inode. In a folder with the setgid bit
// it belongs to the folder's group.
func (fs *FS) newAttrLocked(p, n *Inode, mode uint32, who Caller) Attr {
	now := fs.now()
	a := Attr{Ino: n.t.attr.Ino, Mode: mode, Nlink: 1, UID: who.UID, GID: who.GID, Atime: now, Mtime: now, Ctime: now}
	if n.dir {
		a.Nlink = 2
	}
	if p.t.attr.Mode&unix.S_ISGID != 0 {
		a.GID = p.t.attr.GID
		if n.dir {
			a.Mode |= unix.S_ISGID
		}
	}
	return a
}

// touchLocked sets a folder's times after a change of its names, in this mount only.
func (fs *FS) touchLocked(p *Inode) {
	now := fs.now()
	p.t.attr.Mtime, p.t.attr.Ctime = now, now
	p.t.gen++
}

// newNode is what is stored when a name is made.
type newNode struct {
	mode, rdev uint32
	body       []byte
}

// makeObject stores a new object or marker, and makes its inode.
func (fs *FS) makeObject(ctx context.Context, p *Inode, name, piece string, what newNode, who Caller) (Entry, error) {
	isDir := what.mode&unix.S_IFMT == unix.S_IFDIR
	fs.tree.Lock()
	n := fs.addLocked(p, name, found{piece: piece, dir: isDir})
	n.t.pins++
	n.t.attr = fs.newAttrLocked(p, n, what.mode, who)
	n.t.attr.Size, n.t.attr.Rdev = int64(len(what.body)), what.rdev
	n.t.hasMeta = true
	n.t.checked = n.t.attr.Mtime
	key, attr := n.keyLocked(), n.t.attr
	fs.tree.Unlock()

	info, err := fs.putObject(ctx, key, what.body, attr, isDir)
	fs.tree.Lock()
	if err != nil {
		if object.Is(err, object.KindConflict) { // somebody else was faster
			err = &object.Error{Op: "create", Key: key, Kind: object.KindExists, Err: err}
			fs.forgetListingLocked(p)
		}
		fs.detachLocked(n)
		fs.tree.Unlock()
		fs.unpin(n)
		return Entry{}, err
	}
	fs.storedLocked(n, info)
	fs.touchLocked(p)
	fs.tree.Unlock()
	return fs.entry(n), nil
}

// putObject stores a new small object with its attributes.
func (fs *FS) putObject(ctx context.Context, key string, body []byte, a Attr, dir bool) (object.Info, error) {
	return fs.putWith(ctx, key, body, putMeta(nil, a), dir, object.Condition{IfAbsent: true})
}

// putWith stores a small object with its metadata.
func (fs *FS) putWith(ctx context.Context, key string, body []byte, meta object.Meta, dir bool, c object.Condition) (object.Info, error) {
	o := object.PutOptions{Meta: meta, Condition: c}
	if dir {
		o.ContentType = dirContentType
	}
	info, err := fs.store.Put(ctx, key, io.NewSectionReader(bytes.NewReader(body), 0, int64(len(body))), o)
	info.Key, info.Meta, info.ContentType, info.Size = key, o.Meta, o.ContentType, int64(len(body))
	return info, err
}

// storedLocked notes the version that this mount has just stored for an inode.
func (fs *FS) storedLocked(n *Inode, info object.Info) {
	n.t.info, n.t.remote, n.t.hasMeta = info, true, true
	n.t.checked = fs.now()
	n.t.metaDirty, n.t.meta = false, nil
	f := found{dir: n.dir, piece: n.t.piece, form: n.t.form, at: n.t.checked, info: info}
	if n.dir {
		n.t.marker, f.hasMarker = markerYes, markerYes
	}
	fs.changedLocked(info.Key)
	fs.o.Meta.Put(info)
	if n.t.parent != nil && !n.t.gone {
		fs.patchLocked(n.t.parent, n.t.name, &f)
	}
}
