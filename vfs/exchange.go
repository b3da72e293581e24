package vfs

import (
	"context"
	"crypto/rand"
	"strings"
	"sync"

	"github.com/s3mount/s3mount/internal/keyname"
	"github.com/s3mount/s3mount/object"
)

// Exchange lets two names change what they stand for, files or folders, each with its content,
// attributes and handles. S3 can't do that at once: see treemove.Swap for two files, and
// treemove.Chain where a folder is one of them; with promises see overlay.Exchange.
func (fs *FS) Exchange(ctx context.Context, aParent NodeID, aName string, bParent NodeID, bName string) error {
	var x exchange
	for i, of := range []struct {
		parent NodeID
		name   string
	}{{aParent, aName}, {bParent, bName}} {
		p, err := fs.writable("rename", of.parent)
		if err != nil {
			return err
		}
		isDir, err := fs.isFolder(ctx, p, of.name)
		if err != nil {
			return err
		}
		x[i] = side{p: p, name: of.name, isDir: isDir}
	}
	if x.folders() {
		fs.ns.Lock()
		defer fs.ns.Unlock()
	} else {
		fs.ns.RLock()
		defer fs.ns.RUnlock()
		defer fs.lockFolders(x[0].p, x[1].p)()
	}
	for i := range x {
		if err := fs.lookSide(ctx, &x[i]); err != nil {
			return err
		}
		defer fs.unpin(x[i].n)
	}
	if x[0].n == x[1].n { // hard links
		return nil
	}
	temp, err := x.allowed(fs)
	switch {
	case err != nil:
		return err
	case x.folders():
		return fs.exchangeFolders(ctx, &x, temp)
	}
	return fs.exchangeFiles(ctx, &x, temp)
}

// exchange is two names that are to change places.
type exchange [2]side

type side struct {
	p     *Inode
	name  string
	isDir bool

	n     *Inode // pinned
	piece string // of the name
	key   string // without a folder's "/"
}

func (x *exchange) folders() bool { return x[0].isDir || x[1].isDir }

// lookSide looks at a name under the locks.
func (fs *FS) lookSide(ctx context.Context, s *side) error {
	m, err := fs.freeName(ctx, "rename", s.p, s.name, false)
	n := m.existing
	if object.Is(err, object.KindIsDir) {
		n, err = fs.find(ctx, s.p, s.name)
	}
	switch {
	case err != nil:
		return err
	case n == nil:
		return object.Errorf(object.KindNotFound, "rename", m.key, "")
	case n.dir != s.isDir:
		fs.unpin(n)
		return object.Errorf(object.KindStale, "rename", m.key, "it changed between folder and file just now")
	}
	s.n, s.piece, s.key = n, m.piece, m.key
	return nil
}

// allowed checks what rename(2) forbids, and makes the temporary key.
func (x *exchange) allowed(fs *FS) (temp string, err error) {
	for i := range x {
		s, other := &x[i], &x[1-i]
		switch {
		case s.isDir && s.n.t.form == keyname.Part:
			return "", object.Errorf(object.KindUnsupported, "rename", s.key, "it is a piece of an over-long name")
		case s.isDir && fs.beneath(other.p, s.n):
			return "", object.Errorf(object.KindLoop, "rename", s.key, "the other name is inside it")
		}
	}
	prefix := strings.TrimSuffix(x[0].key, x[0].piece)
	name := keyname.Exchange(x[0].piece, rand.Text()[:12], keyname.MaxKey-len(prefix)-len("/"))
	if name == "" {
		return "", object.Errorf(object.KindNameTooLong, "rename", x[0].key, "there is no room for a temporary name beside it")
	}
	return prefix + name, nil
}

// exchangeFiles exchanges two files. What was written to them and is not in S3 yet goes there
// first. The caller holds ns and both folders' dirMu.
func (fs *FS) exchangeFiles(ctx context.Context, x *exchange, temp string) error {
	defer lockContents(x[0].n, x[1].n)()
	var was, now [2]object.Info
	for i := range x {
		var err error
		if was[i], err = fs.settledSide(ctx, &x[i]); err != nil {
			return err
		}
	}
	var err error
	if fs.o.Promises != nil {
		now[0], now[1], err = fs.o.Promises.Exchange(ctx, was[0], was[1], temp)
		if object.Is(err, object.KindExists) {
			err = &object.Error{Op: "rename", Key: x[0].key, Kind: object.KindStale, Err: err}
		}
	} else {
		now[0], now[1], err = fs.mover.Swap(ctx, was[0], was[1], temp)
	}
	if err != nil {
		fs.forgetSides(x, temp)
		return err
	}
	for i := range x {
		now[i] = fs.copiedInfo(was[1-i], now[i], x[i].key, object.CopyOptions{})
		fs.o.Cache.Inherit(was[1-i], now[i], nil, nil)
	}
	fs.swapNames(x, temp)
	fs.tree.Lock()
	for i := range x {
		n, info := x[1-i].n, now[i]
		if n.t.pages == n.t.info.ID() {
			n.t.pages = info.ID()
		}
		fs.storedLocked(n, info)
	}
	fs.tree.Unlock()
	for i := range x {
		x[i].n.follow(fs.content(x[i].n).info())
		x[i].n.letGo()
	}
	return nil
}

// settledSide stores what a file holds, lets the name lead, and returns the version that it
// has then. The caller holds the file's mu.
func (fs *FS) settledSide(ctx context.Context, s *side) (object.Info, error) {
	if err := fs.stillNamed(s.n, "rename"); err != nil {
		return object.Info{}, err
	}
	if err := s.n.syncHeld(fs.lasting); err != nil {
		return object.Info{}, err
	}
	fs.tree.Lock()
	dirty := s.n.t.metaDirty && s.n.t.remote
	fs.tree.Unlock()
	if dirty {
		if err := s.n.storeMeta(ctx); err != nil {
			return object.Info{}, err
		}
	}
	if err := s.n.lead(ctx, s.p, s.name); err != nil {
		return object.Info{}, err
	}
	fs.tree.Lock()
	defer fs.tree.Unlock()
	if !s.n.t.remote {
		return object.Info{}, object.Errorf(object.KindStale, "rename", s.key, "the object is gone")
	}
	return s.n.t.info, nil
}

// swapNames shows each inode under the other one's name. The caller holds what keeps names
// from changing.
func (fs *FS) swapNames(x *exchange, temp string) {
	fs.tree.Lock()
	defer fs.tree.Unlock()
	fs.changedLocked(temp)
	now := fs.now()
	for _, s := range x {
		fs.changedLocked(s.n.keyLocked())
		s.n.t.attr.Ctime = now
		fs.touchLocked(s.p)
		fs.patchLocked(s.p, s.name, nil)
	}
	for i, s := range x {
		n := x[1-i].n
		n.t.parent, n.t.name, n.t.piece, n.t.form = s.p, s.name, s.piece, keyname.Plain
		if other := s.p.t.children[s.name]; other != nil && other != x[0].n && other != x[1].n {
			fs.loseLocked(s.p, s.name, other)
		}
		if s.p.t.children == nil {
			s.p.t.children = map[string]*Inode{}
		}
		s.p.t.children[s.name] = n
		fs.changedLocked(n.keyLocked())
		if n.dir {
			fs.patchLocked(s.p, s.name, &found{dir: true, piece: s.piece, at: now})
		}
	}
	prefix := strings.TrimSuffix(x[0].key, x[0].piece)
	fs.patchLocked(x[0].p, strings.TrimSuffix(strings.TrimPrefix(temp, prefix), "/"), nil)
}

// forgetSides makes both names be looked up again, after an exchange that failed.
func (fs *FS) forgetSides(x *exchange, temp string) {
	for _, s := range x {
		fs.expire(s.n)
	}
	fs.tree.Lock()
	defer fs.tree.Unlock()
	fs.changedLocked(temp)
	for _, s := range x {
		fs.changedLocked(s.n.keyLocked())
		fs.forgetListingLocked(s.p)
	}
}

// exchangeFolders exchanges a folder with another one or with a file: by moves of all that is
// in it, over a temporary name. The caller holds ns exclusively.
func (fs *FS) exchangeFolders(ctx context.Context, x *exchange, temp string) error {
	var files []*Inode
	all := []*Inode{}
	for _, s := range x {
		if !s.isDir {
			files = append(files, s.n)
			continue
		}
		files = append(files, fs.liveBeneath(s.n)...)
		all = append(all, fs.linkedBeneath(s.n)...)
	}
	for _, f := range inOrder(append(all, files...)) {
		f.mu.Lock()
		defer f.mu.Unlock()
	}
	for i := range x {
		if !x[i].isDir {
			if _, err := fs.settledSide(ctx, &x[i]); err != nil {
				return err
			}
		}
	}
	t := &crossing{fs: fs, live: fs.versionsOf(files), aside: map[string]bool{}, moved: map[string]object.Info{}}
	t.from = [3]string{fs.keyOf(x[0].n), fs.keyOf(x[1].n), like(temp, &x[0])}
	t.to = [3]string{t.from[2], like(x[0].key, &x[1]), like(x[1].key, &x[0])}
	chain := fs.mover.BeginChain([2]string{t.from[0], t.to[0]}, [2]string{t.from[1], t.to[1]}, [2]string{t.from[2], t.to[2]})
	chain.Copied = t.copied
	if err := chain.Run(ctx); err != nil {
		fs.crossed(x, t, nil)
		fs.forgetSides(x, t.from[2])
		return err
	}
	old := map[*Inode]string{}
	for _, f := range files {
		old[f] = fs.keyOf(f)
	}
	fs.swapNames(x, t.from[2])
	fs.crossed(x, t, old)
	for _, f := range files {
		f.follow(fs.content(f).info())
		if f == x[0].n || f == x[1].n {
			f.letGo()
		}
	}
	return nil
}

// like is the key of a name for what another side has.
func like(key string, of *side) string {
	if of.isDir {
		return key + "/"
	}
	return key
}

// crossing is all that lies under two names, on its way to the other ones.
type crossing struct {
	fs       *FS
	from, to [3]string              // of the moves
	live     map[string]object.Info // the versions of the open files, by old key

	mu    sync.Mutex             // guards what follows while copies run
	aside map[string]bool        // old keys of live, of which the temporary copies are
	moved map[string]object.Info // the copies of live, but of those that somebody replaced
}

// copied notes a copy that stands.
func (t *crossing) copied(move int, old, copied object.Info) {
	dst := t.to[move] + strings.TrimPrefix(old.Key, t.from[move])
	t.fs.o.Meta.Remove(old.Key)
	t.fs.o.Meta.Remove(dst)
	now := t.fs.copiedInfo(old, copied, dst, object.CopyOptions{})
	t.fs.o.Cache.Inherit(old, now, nil, nil)
	t.mu.Lock()
	defer t.mu.Unlock()
	first := old.Key
	if move == 2 {
		first = t.from[0] + strings.TrimPrefix(old.Key, t.from[2])
	}
	had, open := t.live[first]
	switch {
	case !open:
	case move == 0:
		t.aside[first] = t.fs.stillIs(had, old)
	case move == 2 && t.aside[first], move == 1 && t.fs.stillIs(had, old):
		t.moved[first] = now
	}
}

// crossed forgets what is known by key of both folders, and gives open files, by their old
// keys, the copies of their versions.
func (fs *FS) crossed(x *exchange, t *crossing, files map[*Inode]string) {
	fs.tree.Lock()
	defer fs.tree.Unlock()
	fs.tree.renames++
	fs.tree.foreseen.dropAll(fs)
	fs.tree.changes.all()
	for _, s := range x {
		if s.n.dir {
			fs.forgetBeneathLocked(s.n)
			s.n.t.marker = markerUnknown
		}
	}
	for f, old := range files {
		info, ok := t.moved[old]
		fs.goWithLocked(f, info, ok)
		if !ok && (f == x[0].n || f == x[1].n) { // the name stands for somebody else's
			fs.forgetListingLocked(f.t.parent)
		}
	}
}
