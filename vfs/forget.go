package vfs

// The table of inodes is as large as what the kernel remembers of names, and the kernel
// forgets them by itself only when the machine's memory is short. So beyond
// Options.MaxInodes it is asked to forget those that were used least recently. It does not
// forget what it uses: open files, working directories, folders of which it knows a name.

// inodeOrder is the order in which inodes were last used. Guarded by FS.tree.
type inodeOrder struct {
	oldest, newest *Inode
	asking         bool // somebody asks the kernel to forget
	// next is how large the table is when the kernel is asked again: it may have kept what
	// it was asked to forget.
	next int
}

func (o *inodeOrder) add(n *Inode) {
	n.t.older, n.t.newer = o.newest, nil
	if o.newest != nil {
		o.newest.t.newer = n
	} else {
		o.oldest = n
	}
	o.newest = n
}

func (o *inodeOrder) remove(n *Inode) {
	switch {
	case n.t.older != nil:
		n.t.older.t.newer = n.t.newer
	case o.oldest == n:
		o.oldest = n.t.newer
	default:
		return // it is not in
	}
	if n.t.newer != nil {
		n.t.newer.t.older = n.t.older
	} else {
		o.newest = n.t.older
	}
	n.t.older, n.t.newer = nil, nil
}

func (o *inodeOrder) use(n *Inode) {
	if o.newest != n && (n.t.older != nil || o.oldest == n) {
		o.remove(n)
		o.add(n)
	}
}

// forgetBatch is how many inodes the kernel is asked to forget at a time.
const forgetBatch = 512

// boundInodesLocked makes the kernel forget inodes when there are too many.
func (fs *FS) boundInodesLocked() {
	limit := fs.o.MaxInodes
	o := &fs.tree.order
	if limit == 0 || o.asking || fs.inval == nil || fs.ctx.Err() != nil || len(fs.tree.nodes) <= max(limit, o.next) {
		return
	}
	o.asking = true
	fs.wg.Go(fs.askToForget)
}

// askToForget asks for as many as are too many, and an eighth. What the kernel forgets, it
// tells by Forget.
func (fs *FS) askToForget() {
	fs.tree.Lock()
	defer fs.tree.Unlock()
	o, limit := &fs.tree.order, fs.o.MaxInodes
	for left := len(fs.tree.nodes) - limit + limit/8; left > 0 && fs.ctx.Err() == nil; {
		batch := fs.unusedLocked(min(left, forgetBatch))
		if len(batch) == 0 {
			break
		}
		left -= len(batch)
		fs.tree.Unlock()
		fs.inval.Forget(batch)
		fs.tree.Lock()
	}
	o.asking = false
	o.next = len(fs.tree.nodes) + limit/8
	if len(fs.tree.nodes) <= limit {
		o.next = limit
	}
}

// unusedLocked returns up to count inodes that nothing here uses, the least recently used
// first, and passes over those that are in use. All of them count as used now.
func (fs *FS) unusedLocked(count int) (names []Forgettable) {
	o := &fs.tree.order
	for looked := 0; len(names) < count && looked < 8*forgetBatch && o.oldest != nil; looked++ {
		n := o.oldest
		o.use(n)
		if n.t.lookups > 0 && n.t.opens == 0 && n.t.pins == 0 && n.t.staged == nil && len(n.t.children) == 0 && len(n.t.links) == 0 && n.t.parent != nil {
			names = append(names, Forgettable{Node: n.t.node, Parent: n.t.parent.t.node, Name: n.t.name, Dir: n.dir})
		}
	}
	return names
}

// Forgettable is an inode that the kernel need not remember.
type Forgettable struct {
	Node   NodeID
	Parent NodeID
	Name   string // in Parent
	Dir    bool
}
