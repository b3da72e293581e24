package treemove

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/s3mount/s3mount/internal/keyname"
	"github.com/s3mount/s3mount/object"
)

// Store is what a move asks of a bucket. Every method retries by itself, ends by a deadline
// of its own or with ctx, and fails with an *object.Error.
type Store interface {
	List(ctx context.Context, q object.Query) (object.Page, error)
	Head(ctx context.Context, key string) (object.Info, error)
	// Copy makes dst from one version of src within the store, whole or not at all.
	Copy(ctx context.Context, src object.ID, dst string, o object.CopyOptions) (object.Info, error)
	// DeleteMany removes any number of keys; on an error some may be gone.
	DeleteMany(ctx context.Context, keys []string) error
}

// AtOnce is a Store that moves several objects so that a crash finds all of them moved, or
// none: one that promises it, and does it later.
type AtOnce interface {
	// MoveMany makes each key of to what from tells of the key in its place, removes the keys of
	// from, and returns what is under the new ones. KindTooLarge: they are too many for it,
	// and nothing has changed.
	MoveMany(ctx context.Context, from []object.Info, to []string) ([]object.Info, error)
}

// Versions is a Store that deletes later, and then no other versions than these; one without
// an ETag is whatever is under the key.
type Versions interface {
	DeleteVersions(ctx context.Context, ids []object.ID) error
}

// delete removes objects right after they were looked at.
func (m *Mover) delete(ctx context.Context, ids []object.ID) error {
	if s, ok := m.o.Store.(Versions); ok {
		return s.DeleteVersions(ctx, ids)
	}
	keys := make([]string, len(ids))
	for i, id := range ids {
		keys[i] = id.Key
	}
	return m.o.Store.DeleteMany(ctx, keys)
}

// Options says what a Mover works on. Store is needed.
type Options struct {
	Store Store
	// Dir is the folder of the records, made when needed; empty: none are written, and a
	// move that the process does not survive stays as it is.
	Dir string
	// Sync, if set, makes durable what Store was told, where that is so only later.
	Sync func(ctx context.Context) error
	// Parallel bounds the copies at a time; default 64.
	Parallel int
	// Keep bounds the keys of one move that are held in memory; default 10,000. Of more,
	// the old keys are listed again to be deleted.
	Keep int
	Log  *slog.Logger
	Now  func() time.Time // default time.Now
}

// Mover moves prefixes of one bucket. Its methods may be called concurrently.
type Mover struct {
	o Options
	// step is called before each change of a record; an error is what the change fails
	// with: a test's crash.
	step func(what string) error

	mu    sync.Mutex // guards what follows
	count int        // of the records that were made
}

// New makes a Mover; it sends no request.
func New(o Options) *Mover {
	if o.Parallel == 0 {
		o.Parallel = 64
	}
	if o.Keep == 0 {
		o.Keep = 10_000
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Mover{o: o, step: func(string) error { return nil }}
}

// Move is one move: Copy, then Delete. It is for one goroutine.
type Move struct {
	// Copied, if set, is called for each copy that stands, from several goroutines. old is
	// the object that was copied, as it was listed.
	Copied func(old, copied object.Info)
	// Before, if set, is called before old keys go together with their copies: by Copy then,
	// not by Delete. An error ends the move.
	Before func(ctx context.Context) error

	m        *Mover
	rec      record
	from, to string
	absent   bool // nothing may be under the new keys, on any store
	lenient  bool // what is under one of them stays, and so does the old key
	moved    bool // the old keys are gone

	first *object.Page // of the old prefix, if it was listed ahead

	mu     sync.Mutex        // guards what follows while copies run
	keys   keyList           // the old keys that were found
	etags  map[string]string // of these, as they were found
	copied keyList           // the new ones that stand, or may stand after a failure
	left   map[string]bool   // old keys that stay, since something else is under the new one
	failed error             // the first failure: no more copies begin
	stayed int               // objects that are no longer those that were copied
}

// keyList is keys up to a number of them. The rest is known by listing only.
type keyList struct {
	keys []string
	more bool // there were more, and keys is empty
}

func (l *keyList) add(key string, most int) {
	if l.more = l.more || len(l.keys) >= most; l.more {
		l.keys = nil
		return
	}
	l.keys = append(l.keys, key)
}

func (l *keyList) remove(key string) {
	l.keys = slices.DeleteFunc(l.keys, func(k string) bool { return k == key })
}

// Begin makes a move. Both prefixes end in "/", or both are the keys of one object, and
// neither is inside the other. Nothing is under the new one but perhaps its marker, see
// KeepMarker. It sends no request.
func (m *Mover) Begin(from, to string) *Move {
	return &Move{m: m, from: from, to: to, rec: record{From: []byte(from), To: []byte(to), Phase: copying}}
}

// KeepMarker says that the new prefix has a marker, which stays until the move is decided.
func (v *Move) KeepMarker() { v.rec.Marker = true }

// Look lists the first page of what is to be moved, for Copy to begin with: while the caller
// looks at something else.
func (v *Move) Look(ctx context.Context) error {
	page, err := v.m.list(ctx, object.Query{Prefix: v.from})
	if err == nil {
		v.first = &page
	}
	return err
}

// Keys returns the old keys, once Copy has returned; ok is false if they are too many.
func (v *Move) Keys() (keys []string, ok bool) { return v.keys.keys, !v.keys.more }

// NewKey returns the new key of an old one.
func (v *Move) NewKey(old string) string { return v.to + strings.TrimPrefix(old, v.from) }

// Copy copies every object. When it returns nil, all copies stand and the move is decided,
// whatever becomes of the process. On an error nothing of the copies is left; if they could
// not all be removed the error says so, and Recover goes on with it.
func (v *Move) Copy(ctx context.Context) error {
	if tried, err := v.atOnce(ctx); tried {
		return err
	}
	if err := v.record(); err != nil {
		return err
	}
	err := v.decide(ctx)
	if err == nil {
		return nil
	}
	return errors.Join(err, v.undo(context.WithoutCancel(ctx)))
}

// decide copies every object, and notes that all copies stand.
func (v *Move) decide(ctx context.Context) error {
	if err := v.copyAll(ctx); err != nil {
		return err
	}
	decided := v.rec
	decided.Phase = deleting
	if err := v.m.write(&decided); err != nil {
		return v.recordError(err)
	}
	v.rec = decided
	return nil
}

// record notes the move on disk before anything is done.
func (v *Move) record() error {
	dir := v.m.o.Dir
	if dir == "" {
		return nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return v.recordError(err)
	}
	v.rec.Time = v.m.o.Now()
	v.m.mu.Lock()
	v.m.count++
	v.rec.path = filepath.Join(dir, fmt.Sprintf("%d-%d%s", v.rec.Time.UnixNano(), v.m.count, recordSuffix))
	v.m.mu.Unlock()
	if err := v.m.write(&v.rec); err != nil {
		return v.recordError(err)
	}
	return nil
}

func (v *Move) recordError(err error) error {
	kind := object.KindOther
	if noSpace(err) {
		kind = object.KindNoSpace
	}
	return object.Errorf(kind, "rename", v.from, "what is to be done can't be noted in %s: %w", v.m.o.Dir, err)
}

// copyAll copies every object. After a failure no more copies begin, but those under way
// are waited for: a copy that is given up may still come to stand in the store.
func (v *Move) copyAll(ctx context.Context) error {
	var g errgroup.Group
	g.SetLimit(v.m.o.Parallel)
	for q := (object.Query{Prefix: v.from}); v.failure() == nil; {
		if v.first == nil {
			page, err := v.m.list(ctx, q)
			if err != nil {
				v.fail(err)
				break
			}
			v.first = &page
		}
		page := *v.first
		v.first = nil
		for _, info := range page.Objects {
			v.found(info)
			if v.rec.Marker && info.Key == v.from {
				continue // the one that is there stays until the move is decided
			}
			g.Go(func() error {
				v.copy(context.WithoutCancel(ctx), info)
				return nil
			})
		}
		if q.Token = page.Next; q.Token == "" {
			break
		}
	}
	g.Wait() // the failures are in v
	return v.failure()
}

// found notes an old key.
func (v *Move) found(info object.Info) {
	if v.keys.add(info.Key, v.m.o.Keep); v.keys.more {
		v.etags = nil
		return
	}
	if v.etags == nil {
		v.etags = map[string]string{}
	}
	v.etags[info.Key] = info.ETag
}

func (v *Move) failure() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.failed
}

func (v *Move) fail(err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.failed == nil {
		v.failed = err
	}
}

func (v *Move) copy(ctx context.Context, info object.Info) {
	dst := v.NewKey(info.Key)
	if len(dst) > keyname.MaxKey {
		v.fail(object.Errorf(object.KindNameTooLong, "rename", dst, "keys end at %d bytes", keyname.MaxKey))
	}
	if !v.begin(dst) {
		return
	}
	copied, err := v.m.o.Store.Copy(ctx, info.ID(), dst, object.CopyOptions{Size: info.Size, IfAbsent: true, Unlooked: !v.absent})
	if object.Is(err, object.KindExists) {
		copied, err = v.taken(ctx, info, dst, err)
	}
	if err != nil {
		v.fail(err)
		return
	}
	if v.Copied != nil && copied.ETag != "" {
		v.Copied(info, copied)
	}
}

// taken is for a copy that was refused because something is under its key. In a move that
// goes on all the same that may be the copy itself, made by an earlier try; else it stays,
// and so does the old key: the zero Info.
func (v *Move) taken(ctx context.Context, info object.Info, dst string, cause error) (object.Info, error) {
	if !v.lenient {
		v.mu.Lock()
		defer v.mu.Unlock()
		v.copied.remove(dst)
		return object.Info{}, cause
	}
	found, err := v.m.o.Store.Head(ctx, dst)
	if err != nil {
		return object.Info{}, err
	}
	same := found.Size == info.Size && found.ETag == info.ETag
	if !same && found.Size == info.Size {
		_, same, err = v.m.alike(ctx, found, info)
	}
	if same || err != nil {
		return found, err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.left == nil {
		v.left = map[string]bool{}
	}
	if len(v.left) < v.m.o.Keep {
		v.left[info.Key] = true
	}
	return object.Info{}, nil
}

// begin notes a copy that is about to be made, unless one has failed.
func (v *Move) begin(dst string) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.failed != nil {
		return false
	}
	v.copied.add(dst, v.m.o.Keep)
	return true
}

// undo deletes the copies of a move that failed. What it can't delete stays noted.
func (v *Move) undo(ctx context.Context) error {
	err := v.uncopy(ctx)
	if err == nil {
		return v.m.remove(&v.rec)
	}
	v.giveUp()
	return object.Errorf(object.KindOf(err), "rename", v.to, "not all copies could be removed again%s: %w", v.later(), err)
}

func (v *Move) uncopy(ctx context.Context) error {
	if v.copied.more {
		return v.m.rollBack(ctx, &v.rec)
	}
	return v.m.o.Store.DeleteMany(ctx, v.copied.keys)
}

// Delete deletes the old keys. On an error all is under the new prefix, and some also under
// the old one, until Recover goes on with it.
func (v *Move) Delete(ctx context.Context) error {
	if v.moved {
		return nil
	}
	err := v.deleteOld(context.WithoutCancel(ctx))
	if err == nil {
		return v.m.remove(&v.rec)
	}
	v.giveUp()
	return object.Errorf(object.KindOf(err), "rename", v.from,
		"all of it is under %q now, but the old names could not all be deleted%s: %w", v.to, v.later(), err)
}

func (v *Move) deleteOld(ctx context.Context) error {
	if err := v.m.moveMarker(ctx, &v.rec); err != nil {
		return err
	}
	if v.keys.more {
		return v.m.finish(ctx, &v.rec)
	}
	old, err := v.unchanged(ctx)
	if err != nil {
		return err
	}
	if v.stayed > 0 {
		v.m.o.Log.Warn("a folder's rename leaves under the old name what somebody else has stored there meanwhile",
			"op", "rename", "from", v.from, "to", v.to, "objects", v.stayed)
	}
	return v.m.delete(ctx, old)
}

// Stayed is how many objects Delete has left under the old prefix, since they are not those
// that were copied.
func (v *Move) Stayed() int { return v.stayed }

// unchanged lists the old keys once more, right before they are deleted, and returns those
// whose object is still the one that was copied: in a large folder that was a while ago.
func (v *Move) unchanged(ctx context.Context) (same []object.ID, err error) {
	for q := (object.Query{Prefix: v.from}); ; {
		page, err := v.m.list(ctx, q)
		if err != nil {
			return nil, err
		}
		for _, info := range page.Objects {
			etag, ok := v.etags[info.Key]
			marker := info.Key == v.from && strings.HasSuffix(v.from, "/") // moveMarker took it as it is
			// A local version may have come to be the store's meanwhile.
			local := object.ID{ETag: etag}.Local()
			switch {
			case v.left[info.Key]:
			case marker, ok && (etag == info.ETag || local):
				same = append(same, info.ID())
			default:
				v.stayed++
			}
		}
		if q.Token = page.Next; q.Token == "" {
			return same, nil
		}
	}
}

// giveUp notes that what comes to be under the new prefix from now on is not the move's.
func (v *Move) giveUp() {
	v.rec.Ended = v.m.o.Now()
	if err := v.m.write(&v.rec); err != nil {
		v.m.o.Log.Warn("the end of a folder's rename could not be noted", "op", "rename", "from", v.from, "to", v.to, "err", err)
	}
}

func (v *Move) later() string {
	if v.rec.path == "" {
		return ""
	}
	return ", which the next mount tries again"
}
