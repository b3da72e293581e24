package vfs

import (
	"context"
	"hash/maphash"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
	"golang.org/x/sys/unix"

	"github.com/s3mount/s3mount/internal/keyname"
	"github.com/s3mount/s3mount/objcache"
	"github.com/s3mount/s3mount/object"
	"github.com/s3mount/s3mount/vfs/treemove"
	"github.com/s3mount/s3mount/writeback"
)

// Options says what a file system stands on and how it shows itself. Store, Cache, Meta
// and Queue are needed; the rest has defaults.
type Options struct {
	Store Store
	Cache *objcache.Cache    // blocks
	Meta  *objcache.Metadata // attributes of known versions
	Queue *writeback.Queue   // staged files and their uploads
	// Promises is the Store, where that sends writes later; the Queue's files go to it, too.
	// nil: S3 has what was written when a call returns.
	Promises Promises
	// UnsentDir is the folder for what an application wrote and S3 did not take, when
	// no application is left to be told.
	UnsentDir string

	ReadOnly bool
	// UID, GID, FileMode and DirMode are those of objects that carry none. The zero
	// modes are 0644 and 0755.
	UID, GID          uint32
	FileMode, DirMode uint32
	// DirCacheTime is how long listings and attributes are trusted; 0: ask each time.
	DirCacheTime time.Duration
	// MaxListed bounds the entries of all cached listings together; default 50,000.
	MaxListed int
	// MaxInodes is how many inodes the table holds before the kernel is asked to forget
	// some; 0: any number. What is open or in use stays beyond.
	MaxInodes int
	// Mover renames folders; default one that keeps no record, so that a rename that the
	// process does not survive stays as it is.
	Mover *treemove.Mover
	// Heads bounds the requests for attributes that run ahead; default 128.
	Heads int
	// ServerModTime shows the time of the upload as mtime, and asks for no attributes:
	// modes, owners and links show only where they are known without a request.
	ServerModTime bool

	// Host is this machine's name, for the names of versions that lost a race.
	Host string

	Log *slog.Logger
	Now func() time.Time // default time.Now
}

// FS is one mounted bucket or prefix. Its methods may be called concurrently.
type FS struct {
	o     Options
	def   defaults
	log   *slog.Logger
	store Store
	mover *treemove.Mover
	inval Invalidator
	// passer has the kernel read local files; nil: nobody does.
	passer Passer

	ns    sync.RWMutex // names against a folder's rename, see doc.go
	heads singleflight.Group
	lists singleflight.Group // by Inode.flight, or the prefix of what was not entered yet
	reads chan struct{}      // bounds the files that are fetched ahead

	ctx    context.Context // ends with Close: background requests run on it
	cancel context.CancelFunc
	wg     sync.WaitGroup // background requests

	// What an application waits for and its signals must not end runs on lasting. It
	// ends when Close gives up.
	lasting context.Context
	giveUp  context.CancelFunc
	unsent  unsentFiles

	tree struct {
		sync.Mutex
		nodes    map[NodeID]*Inode
		inos     map[uint64]*Inode
		numbers  inoNumbers
		lastID   NodeID
		order    inodeOrder
		listed   int // entries in cached listings
		listings listingLRU
		foreseen foreseen
		first    *firstPage // of the large folder that was looked into last
		walks    []*walk
		guesses  guesses
		// absent are names in large folders that the store did not have when it was asked,
		// beside those that a complete listing does not show.
		absent    nameTimes
		contested nameTimes // see contested.go
		kept      int       // inodes that outlive their contested name
		changes   changes
		trails    trails
		queue     aheadQueue
		renames   int // of folders
		stamps    uint64
		links     int // of all inodes
		// lingering are inodes whose file was passed through and may still be mapped.
		lingering map[*Inode]struct{}
		sweeping  bool // a goroutine looks after them
	}
	root *Inode
}

// New makes a file system; it sends no request and starts nothing.
func New(o Options) *FS {
	if o.FileMode == 0 {
		o.FileMode = 0o644
	}
	if o.DirMode == 0 {
		o.DirMode = 0o755
	}
	if o.MaxListed == 0 {
		o.MaxListed = 50_000
	}
	if o.Heads == 0 {
		o.Heads = 128
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Mover == nil {
		o.Mover = treemove.New(treemove.Options{Store: o.Store, Log: o.Log, Now: o.Now})
	}
	fs := &FS{o: o, log: o.Log, store: o.Store, mover: o.Mover, reads: make(chan struct{}, filesAtOnce),
		def: defaults{uid: o.UID, gid: o.GID, fileMode: o.FileMode, dirMode: o.DirMode, serverTime: o.ServerModTime}}
	fs.ctx, fs.cancel = context.WithCancel(context.Background())
	fs.lasting, fs.giveUp = context.WithCancel(context.Background())
	fs.tree.nodes = map[NodeID]*Inode{}
	fs.tree.inos = map[uint64]*Inode{}
	fs.tree.lingering = map[*Inode]struct{}{}
	fs.tree.lastID = RootID
	fs.tree.changes.seed = maphash.MakeSeed()
	now := o.Now()
	fs.root = &Inode{fs: fs, id: RootID, dir: true}
	fs.root.t.node = RootID
	fs.root.t.marker = markerYes // the root is there whatever the bucket holds
	fs.root.t.lookups = 1
	fs.root.t.hasMeta = true
	fs.root.t.attr = Attr{Ino: uint64(RootID), Mode: unix.S_IFDIR | o.DirMode, Nlink: 2, UID: o.UID, GID: o.GID, Mtime: now, Atime: now, Ctime: now}
	fs.tree.nodes[RootID] = fs.root
	fs.tree.inos[uint64(RootID)] = fs.root
	return fs
}

// SetInvalidator names who tells the kernel. Before the first operation.
func (fs *FS) SetInvalidator(i Invalidator) { fs.inval = i }

// Close uploads what open files still hold, and ends the background work. Its error joins
// an *UnsentError for each file that could not be uploaded and nobody was told of, now or
// before: it lies in Options.UnsentDir. When ctx ends, all uploads are given up, also those
// that an application waits for. Nothing may be called afterwards.
func (fs *FS) Close(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() {
		fs.giveUp()
		fs.o.Queue.GiveUp()
	})
	defer stop()
	fs.cancel()
	fs.wg.Wait()
	fs.finishAll(ctx)
	return fs.unsent.all()
}

// An Inode is a file or folder that the kernel knows or that is open.
type Inode struct {
	fs  *FS
	id  NodeID // the first that it had; see inodeState.node
	dir bool

	dirMu sync.RWMutex // folders: the names in it, see doc.go
	mu    sync.Mutex   // files: the content, see doc.go

	t inodeState // guarded by FS.tree
}

// inodeState is what the table knows of an inode. Guarded by FS.tree.
type inodeState struct {
	parent *Inode
	name   string
	piece  string       // what the name stands for in the key
	form   keyname.Form // and how

	links    []*link // a file's names beside this one, see links.go
	children map[string]*Inode
	node     NodeID            // its number towards the kernel
	lookups  uint64            // the kernel's references to it
	former   map[NodeID]uint64 // numbers that it had, with the references, see passthrough.go
	opens    int               // open handles
	writers  int               // of these, for writing
	pins     int               // operations under way
	gone     bool              // no name leads here any more
	removed  bool              // gone, and this mount took the name away: what is written may go nowhere
	kept     bool              // gone or about to be, and may be opened all the same: see contested.go
	aside    *ConflictError    // not nil: gone, and what was written is stored under another name
	leaving  bool              // about to be gone, by an operation that holds mu: who wants to open it waits

	attr    Attr
	hasMeta bool // attr is from the object's metadata, not from a listing

	// info is the remote version, valid if remote. For a folder: its marker, see marker.
	info    object.Info
	remote  bool
	checked time.Time // when info was last confirmed

	staged    *writeback.Staged // not nil: the content is local
	metaDirty bool              // attributes to be stored with the next upload
	meta      object.Meta       // with them, user metadata in place of info.Meta; nil: that
	told      toldFailure       // the last failure of storing staged
	pages     object.ID         // the version that the kernel's page cache may hold
	virgin    bool              // the kernel has no pages of node: it never opened it
	through   *through          // what the kernel reads, or may have mapped, without asking

	marker   markerState
	listing  *listing
	gen      uint64    // counts this mount's changes in the folder
	unlinked time.Time // when this mount last removed a file from the folder

	// walked is the folder in this one that was last asked for alone, and walkedAt when.
	walked   string
	walkedAt time.Time

	guess        *guess // about a name in this folder, under way
	wrongGuesses int    // about unknown names, since one was right

	older, newer *Inode // in the order of use, see forget.go
}

type markerState uint8

const (
	markerUnknown markerState = iota
	markerNo
	markerYes
)

// ID returns the inode's number towards the kernel.
func (n *Inode) ID() NodeID {
	n.fs.tree.Lock()
	defer n.fs.tree.Unlock()
	return n.t.node
}

// errStaleNode is the answer for a NodeID that is not in the table.
func (fs *FS) node(id NodeID) (*Inode, error) {
	fs.tree.Lock()
	defer fs.tree.Unlock()
	n := fs.tree.nodes[id]
	if n == nil {
		return nil, object.Errorf(object.KindStale, "find inode", "", "inode %d is not known", id)
	}
	return n, nil
}

// folder returns the inode of a folder.
func (fs *FS) folder(id NodeID) (*Inode, error) {
	n, err := fs.node(id)
	if err == nil && !n.dir {
		err = object.Errorf(object.KindNotDir, "find folder", fs.keyOf(n), "")
	}
	return n, err
}

// keyOf returns the key of a file, or the prefix of a folder (with its "/").
func (fs *FS) keyOf(n *Inode) string {
	fs.tree.Lock()
	defer fs.tree.Unlock()
	return n.keyLocked()
}

func (n *Inode) keyLocked() string {
	if n.t.parent == nil {
		return ""
	}
	key := n.t.parent.keyLocked() + n.t.piece
	if n.dir && n.t.form != keyname.Part {
		key += "/"
	}
	return key
}

// heldLocked returns how much of a component the prefix of a Part folder holds.
func (n *Inode) heldLocked() string {
	if n.t.form != keyname.Part || n.t.parent == nil {
		return ""
	}
	return n.t.parent.heldLocked() + n.t.piece
}

// place returns a folder's prefix and held bytes.
func (fs *FS) place(n *Inode) (prefix, held string) {
	fs.tree.Lock()
	defer fs.tree.Unlock()
	return n.keyLocked(), n.heldLocked()
}

// addLocked puts a new inode under a name.
func (fs *FS) addLocked(p *Inode, name string, f found) *Inode {
	fs.tree.lastID++
	n := &Inode{fs: fs, id: fs.tree.lastID, dir: f.dir}
	n.t.node, n.t.virgin = n.id, true
	n.t.parent, n.t.name, n.t.piece, n.t.form = p, name, f.piece, f.form
	if p.t.children == nil {
		p.t.children = map[string]*Inode{}
	}
	p.t.children[name] = n
	fs.tree.nodes[n.id] = n
	ino := fs.freeInoLocked(n.keyLocked())
	fs.tree.inos[ino] = n
	n.t.attr.Ino = ino
	fs.tree.order.add(n)
	fs.tree.absent.drop(p.id, name)
	fs.boundInodesLocked()
	return n
}

// freeInoLocked returns the inode number for a file with a key, which becomes known.
func (fs *FS) freeInoLocked(key string) uint64 {
	ino := fs.tree.numbers.of(key)
	fs.tree.numbers.drop(key)
	for {
		if _, taken := fs.tree.numbers.taken[ino]; !taken && fs.tree.inos[ino] == nil {
			return ino
		}
		ino++
	}
}

// detachLocked takes an inode's name away: it was removed, or the name stands for
// another object now. Open handles keep it.
func (fs *FS) detachLocked(n *Inode) {
	if p := n.t.parent; p != nil && p.t.children[n.t.name] == n {
		delete(p.t.children, n.t.name)
	}
	n.t.gone = true
}

// dropLocked frees an inode that nobody refers to, and its parents likewise.
func (fs *FS) dropLocked(n *Inode) {
	for n != nil && n != fs.root && n.t.lookups == 0 && n.t.opens == 0 && n.t.pins == 0 &&
		n.t.staged == nil && len(n.t.children) == 0 && len(n.t.former) == 0 && n.t.through == nil && len(n.t.links) == 0 {
		if fs.tree.nodes[n.t.node] != n {
			return
		}
		if !n.t.gone {
			fs.tree.numbers.keep(n.keyLocked(), n.t.attr.Ino)
		}
		delete(fs.tree.nodes, n.t.node)
		fs.tree.order.remove(n)
		if fs.tree.inos[n.t.attr.Ino] == n {
			delete(fs.tree.inos, n.t.attr.Ino)
		}
		fs.rememberLocked(n)
		fs.setListingLocked(n, nil)
		p := n.t.parent
		if p != nil && p.t.children[n.t.name] == n {
			delete(p.t.children, n.t.name)
		}
		n = p
	}
}

// unpin ends an operation's hold on an inode.
func (fs *FS) unpin(n *Inode) {
	fs.tree.Lock()
	defer fs.tree.Unlock()
	n.t.pins--
	fs.dropLocked(n)
}

// Forget gives back count of the kernel's references to an inode.
func (fs *FS) Forget(id NodeID, count uint64) {
	fs.tree.Lock()
	n := fs.tree.nodes[id]
	if n == nil {
		fs.tree.Unlock()
		return
	}
	n.forgetLocked(id, count)
	n.t.pins++
	fs.tree.Unlock()
	n.endPassing()
	fs.unpin(n)
}

// entry takes a reference for the kernel and makes the answer; it ends the pin.
func (fs *FS) entry(n *Inode) Entry {
	fs.tree.Lock()
	defer fs.tree.Unlock()
	n.t.lookups++
	n.t.pins--
	fs.tree.order.use(n)
	return Entry{Node: n.t.node, Attr: n.attrLocked(), Guessed: n.t.staged == nil && !fs.shownLocked(n)}
}

func (fs *FS) now() time.Time { return fs.o.Now() }

// fresh reports whether what was known at t is still believed. A time to come is none: the
// clock was set back, and nobody can say how old it is.
func (fs *FS) fresh(t time.Time) bool {
	age := fs.now().Sub(t)
	return !t.IsZero() && age >= 0 && age < fs.o.DirCacheTime
}
