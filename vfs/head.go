package vfs

import (
	"context"
	"errors"
	"time"

	"github.com/s3mount/s3mount/object"
)

// loadMeta gets an inode's attributes by a HEAD, if only a listing was seen of it.
func (fs *FS) loadMeta(ctx context.Context, n *Inode) error {
	for {
		if _, err := fs.loadMetaOnce(ctx, n); err != errOvertaken {
			return err
		}
	}
}

// loadMetaOnce is loadMeta, but errOvertaken if what the HEAD told, perhaps one that somebody
// else sent, is older than what is known. asked is when it was sent.
func (fs *FS) loadMetaOnce(ctx context.Context, n *Inode) (asked time.Time, err error) {
	fs.tree.Lock()
	need := !n.t.hasMeta && n.t.staged == nil && n != fs.root
	key, shown, shownAt := n.keyLocked(), object.Info{}, n.t.checked
	if n.t.remote && n.t.info.Key == key {
		shown = n.t.info
	}
	fs.tree.Unlock()
	if !need {
		return asked, nil
	}
	got, err := fs.headUnless(ctx, key, shown)
	if err == errKnown {
		var ok bool
		if got.info, ok = fs.o.Meta.Recall(shown); !ok {
			return fs.loadMetaOnce(ctx, n) // forgotten meanwhile
		}
		err, got.asked = nil, shownAt
	}
	fs.tree.Lock()
	defer fs.tree.Unlock()
	return got.asked, fs.loadedLocked(n, key, got, err)
}

// loadedLocked gives an inode what a HEAD of its key told.
func (fs *FS) loadedLocked(n *Inode, key string, got headAnswer, err error) error {
	if n.t.staged != nil || n.t.hasMeta {
		return nil // newer news came by another way
	}
	got.info = fs.catchUpLocked(n, got.info)
	gone := object.Is(err, object.KindNotFound)
	differs := gone || err == nil && !(n.t.remote && n.t.info.SameVersion(got.info))
	late := n.checkedAfterLocked(n.t.parent, n.t.name, got.asked)
	switch {
	case differs && late && (n.t.remote || n.dir):
		return errOvertaken
	case n.dir && gone:
		fs.noMarkerLocked(n)
		return nil
	case err != nil:
		return err
	case !n.dir && n.t.opens > 0 && n.t.remote && !n.t.info.SameBytes(got.info):
		return object.Errorf(object.KindStale, "lookup", key, "the object was replaced")
	}
	if n.dir {
		n.t.marker = markerYes
	}
	fs.setInfoLocked(n, got.info)
	if !late {
		n.t.checked = got.asked
	}
	return nil
}

// headAnswer is what a HEAD told, and when it was asked for: what others store later it may
// not know.
type headAnswer struct {
	info  object.Info
	asked time.Time
}

// headOnce sends one HEAD for a key however many ask at the same time.
func (fs *FS) headOnce(ctx context.Context, key string) (headAnswer, error) {
	return fs.headUnless(ctx, key, object.Info{})
}

// errKnown says that a HEAD is not needed: what it would tell is known by now.
var errKnown = errors.New("known already")

// headUnless is headOnce, but errKnown once the attributes of the version shown are known.
func (fs *FS) headUnless(ctx context.Context, key string, shown object.Info) (headAnswer, error) {
	for {
		select {
		case <-ctx.Done():
			return headAnswer{}, object.Errorf(object.KindOf(ctx.Err()), "lookup", key, "%w", ctx.Err())
		case r := <-fs.heads.DoChan(key, fs.head(key, shown)):
			if r.Err == errKnown && shown.Key == "" {
				continue // somebody else's question
			}
			got, _ := r.Val.(headAnswer)
			return got, r.Err
		}
	}
}

// headHere is headUnless in the caller's goroutine, which waits to the end.
func (fs *FS) headHere(key string, shown object.Info) (headAnswer, error) {
	v, err, _ := fs.heads.Do(key, fs.head(key, shown))
	got, _ := v.(headAnswer)
	return got, err
}

// head sends a HEAD, and keeps the answer unless this mount has changed the key meanwhile.
func (fs *FS) head(key string, shown object.Info) func() (any, error) {
	return func() (any, error) {
		if shown.Key != "" {
			if _, ok := fs.o.Meta.Recall(shown); ok {
				return headAnswer{}, errKnown
			}
		}
		currentLocked, asked := fs.asking(key), fs.now()
		info, err := fs.store.Head(fs.ctx, key)
		return fs.answered(fs.newest(info), asked, currentLocked, err)
	}
}

// answered makes an answer of what a request told of a key, and keeps that unless this mount
// has changed the key meanwhile.
func (fs *FS) answered(info object.Info, asked time.Time, currentLocked func() bool, err error) (headAnswer, error) {
	if err != nil {
		return headAnswer{info, asked}, err
	}
	if info.Meta == nil {
		info.Meta = object.Meta{}
	}
	fs.tree.Lock()
	defer fs.tree.Unlock()
	if currentLocked() {
		fs.o.Meta.Learn(info)
	}
	return headAnswer{info, asked}, nil
}
