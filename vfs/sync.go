package vfs

import (
	"context"
	"errors"
	"time"

	"github.com/s3mount/s3mount/object"
	"github.com/s3mount/s3mount/writeback"
)

// syncHeld uploads an inode's content and attributes if they differ from what S3 has.
// Callers on behalf of an application pass a context that its signals don't end: an
// upload is of one state, and n.mu, which the caller holds, keeps that state.
// A lost race is a ConflictError; the content is stored then, but under another name.
func (n *Inode) syncHeld(ctx context.Context) error {
	if err := n.syncContent(ctx); err != nil {
		return err
	}
	key, _, s := n.target()
	n.fs.tree.Lock()
	dirty := n.t.metaDirty
	n.fs.tree.Unlock()
	if s != nil && key != "" && dirty {
		if err := n.storeMeta(ctx); err != nil {
			return err
		}
	}
	return n.storeLinks(ctx)
}

// syncContent uploads an inode's content, and with it the attributes, if it differs from
// what S3 has. The context and the lock are as for syncHeld.
func (n *Inode) syncContent(ctx context.Context) error {
	err := n.storeContent(ctx)
	if !object.Is(err, object.KindConflict) || n.lost() != nil {
		return err
	}
	_, o, s := n.target()
	return n.lostRace(ctx, s, o, err)
}

// storeContent is syncContent, but a lost race is KindConflict, and changes nothing.
func (n *Inode) storeContent(ctx context.Context) error {
	key, o, s := n.target()
	n.fs.tree.Lock()
	remote := n.t.remote
	n.fs.tree.Unlock()
	if s == nil || key == "" || !s.Modified() && remote {
		return nil
	}
	return n.upload(ctx, s, key, o)
}

func (n *Inode) upload(ctx context.Context, s *writeback.Staged, key string, o object.PutOptions) error {
	fs := n.fs
	info, err := s.Upload(key, o).Wait(ctx)
	if err != nil {
		return err
	}
	info.Key, info.Meta, info.ContentType = key, o.Meta, o.ContentType
	fs.tree.Lock()
	defer fs.tree.Unlock()
	fs.storedLocked(n, info)
	n.leftBehindLocked()
	n.t.pages = info.ID()
	return nil
}

// storeMeta stores an inode's attributes on the object it has, by a copy onto itself.
// The caller holds n.mu.
func (n *Inode) storeMeta(ctx context.Context) error {
	fs := n.fs
	fs.tree.Lock()
	info, attr, meta := n.t.info, n.t.attr, n.metaLocked()
	key := n.keyLocked()
	if n.t.aside != nil {
		key = n.t.aside.Kept
	}
	fs.tree.Unlock()
	o := object.CopyOptions{Meta: putMeta(meta, attr), ContentType: info.ContentType, Size: info.Size}
	now, err := fs.store.Copy(ctx, info.ID(), key, o)
	if err != nil {
		fs.expire(n)
		return err
	}
	now.Key, now.Meta, now.ContentType, now.Size = key, o.Meta, o.ContentType, info.Size
	now.StorageClass = info.StorageClass
	fs.o.Cache.Inherit(info, now, nil, nil)
	fs.tree.Lock()
	if n.t.pages == n.t.info.ID() {
		n.t.pages = now.ID() // the bytes are the same, whatever ETag the copy has
	}
	fs.storedLocked(n, now)
	n.leftBehindLocked()
	fs.tree.Unlock()
	n.follow(now)
	return nil
}

// expire makes the next look at an inode ask the store.
func (fs *FS) expire(n *Inode) {
	fs.tree.Lock()
	defer fs.tree.Unlock()
	n.t.checked = n.t.checked.AddDate(-1, 0, 0)
	if n.t.parent != nil {
		fs.forgetListingLocked(n.t.parent)
	}
}

// settle ends the staged state of an inode that nobody has open for writing: the file
// goes into the block cache, so that reading back what was written downloads nothing.
// A failed upload is an *UnsentError. The caller holds n.mu.
func (n *Inode) settle(ctx context.Context) error {
	fs := n.fs
	fs.tree.Lock()
	s, writers, gone, aside := n.t.staged, n.t.writers, n.t.gone, n.t.aside != nil
	needed := n.t.opens > 0 || n.t.kept
	fs.tree.Unlock()
	switch {
	case s == nil || writers > 0 || gone && needed:
	case gone && !aside:
		n.unstage()
		s.Discard()
	default:
		err := n.knownFailure(s)
		if err == nil {
			err = n.syncHeld(ctx)
		}
		switch {
		case err == nil, errors.As(err, new(*ConflictError)):
			n.adopt(s)
		case n.isOpen(): // again meanwhile: the last one to close it settles it
			return err
		default:
			return n.giveUp(s, err)
		}
	}
	return nil
}

// adopt hands the file of a clean staged inode to the block cache, or what there is of it.
func (n *Inode) adopt(s *writeback.Staged) {
	fs := n.fs
	defer n.unstage()
	fs.tree.Lock()
	info := n.t.info
	fs.tree.Unlock()
	if s.MissingBytes() > 0 || info.ID().Local() || info.ETag == "" || info.Size == 0 {
		s.Offer(info)
		s.Discard()
		return
	}
	path, reserved, err := s.Detach()
	if err != nil {
		s.Discard()
		return
	}
	if err := fs.o.Cache.Adopt(info.ID(), info.Size, path, reserved); err != nil {
		fs.log.Warn("a written file is not cached, reading it will download it", "key", info.Key, "err", err)
		fs.o.Queue.Dispose(path, reserved)
		return
	}
	n.adoptPassed(info.ID())
}

// toldFailure is the error of storing a generation of a staged file that an application
// was told; nil: none.
type toldFailure struct {
	err        error
	generation uint64
}

// tell notes what an application is told of storing the content as it is now.
func (n *Inode) tell(err error) {
	fs := n.fs
	fs.tree.Lock()
	defer fs.tree.Unlock()
	n.t.told = toldFailure{}
	if err != nil && n.t.staged != nil {
		n.t.told = toldFailure{err, n.t.staged.Generation()}
	}
}

// knownFailure returns the error of storing the content as it is now, if an application
// was told already and it was not stored since, by a rename or chmod.
func (n *Inode) knownFailure(s *writeback.Staged) error {
	n.fs.tree.Lock()
	defer n.fs.tree.Unlock()
	unsent := s.Modified() || n.t.metaDirty
	if told := n.t.told; unsent && told.err != nil && told.generation == s.Generation() {
		return told.err
	}
	return nil
}

// unstage makes the inode's content the remote version's.
func (n *Inode) unstage() {
	n.fs.tree.Lock()
	defer n.fs.tree.Unlock()
	n.t.staged, n.t.told = nil, toldFailure{}
}

func (n *Inode) isOpen() bool {
	n.fs.tree.Lock()
	defer n.fs.tree.Unlock()
	return n.t.opens > 0
}

// giveUp keeps what could not be uploaded where no application is left to be told, and
// makes the inode show what S3 has.
func (n *Inode) giveUp(s *writeback.Staged, cause error) error {
	fs := n.fs
	key := fs.keyOf(n)
	path, err := s.Keep(fs.o.UnsentDir, key)
	unsent := &UnsentError{Key: key, Kept: path, Err: cause}
	gen := s.Generation()
	if err != nil {
		unsent.Keep = err
		fs.log.Error("a file could not be uploaded, and not be kept either", "op", "close", "key", key, "err", cause, "keep", err)
		s.Discard()
	} else {
		fs.log.Error("a file could not be uploaded: its content is kept locally, copy it back once the store takes it",
			"op", "close", "key", key, "kept", path, "err", cause)
	}
	if told := n.forsake(gen); !told || fs.ctx.Err() != nil { // at the end all are named
		fs.unsent.add(unsent)
	}
	return unsent
}

// forsake makes an inode show what S3 has, when its staged file of generation gen was
// given up. told reports whether an application had the error.
func (n *Inode) forsake(gen uint64) (told bool) {
	fs := n.fs
	fs.tree.Lock()
	told = n.t.told.err != nil && n.t.told.generation == gen
	n.t.staged, n.t.metaDirty, n.t.meta, n.t.told, n.t.pages = nil, false, nil, toldFailure{}, object.ID{}
	p, name, ino, node := n.t.parent, n.t.name, n.t.attr.Ino, n.t.node
	stays := true
	switch {
	case n.t.remote:
		n.t.attr = fs.def.attrOf(n.t.info, false)
		n.t.attr.Ino = ino
		n.t.checked = time.Time{} // it may be why this one was not taken
	case n.t.writers > 0:
		// Opened for writing since settle looked: it must keep its name, or what is
		// written now would go nowhere.
		n.t.attr.Size = 0
		defer n.stage() // a failure shows at the next write
	default:
		stays = false
		fs.detachLocked(n)
		fs.forgetListingLocked(p)
	}
	fs.tree.Unlock()
	if fs.inval != nil {
		fs.wg.Go(func() { // the kernel may hold a lock that waits for this operation's answer
			if stays {
				fs.inval.InvalidateContent(node)
			} else {
				fs.inval.InvalidateEntry(p.id, name) // a folder keeps its number
			}
		})
	}
	return told
}

// finishAll uploads and settles what is still open at the end.
func (fs *FS) finishAll(ctx context.Context) {
	fs.tree.Lock()
	var left []*Inode
	for _, n := range fs.tree.nodes {
		if n.t.staged != nil {
			n.t.pins++
			left = append(left, n)
		}
	}
	fs.tree.Unlock()
	for _, n := range left {
		n.finish(ctx)
		fs.unpin(n)
	}
}

// finish uploads and settles an inode whatever is still open. A failure is in FS.unsent.
func (n *Inode) finish(ctx context.Context) {
	fs := n.fs
	n.mu.Lock()
	defer n.mu.Unlock()
	fs.tree.Lock()
	n.t.writers, n.t.opens, n.t.told = 0, 0, toldFailure{} // once more, whoever was told
	fs.tree.Unlock()
	n.settle(ctx)
}
