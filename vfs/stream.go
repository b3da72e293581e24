package vfs

import (
	"context"
	"strings"
	"time"

	"github.com/s3mount/s3mount/internal/keyname"
	"github.com/s3mount/s3mount/internal/pages"
	"github.com/s3mount/s3mount/object"
)

// found is what the store has under a name.
type found struct {
	dir   bool
	piece string
	form  keyname.Form
	// info is the object, if a file. Of a folder: its marker, where hasMarker is markerYes
	// and info.Key is not empty.
	info      object.Info
	hasMarker markerState
	at        time.Time // when the store was asked
}

// listed is one name of a folder as a listing shows it.
type listed struct {
	name string
	found
}

// namer turns the sorted keys and prefixes of a listing into names. A file x is held
// back until the listing has passed "x/": if that is a folder, the folder has the plain
// name and the file its file form. What is held back is always a chain in which each
// begins with the one before, so that there are at most keyname.MaxKey of them.
type namer struct {
	prefix, held string
	emit         func(listed)
	at           time.Time // when the page was asked for
	waiting      []object.Info
	lastPart     string
	marker       markerState // of the folder itself; markerNo after a whole listing without
	markerInfo   object.Info
}

// page takes one page.
func (m *namer) page(p object.Page) {
	o, d := p.Objects, p.Prefixes
	for len(o) > 0 || len(d) > 0 {
		if len(d) == 0 || len(o) > 0 && o[0].Key < d[0] {
			m.object(o[0])
			o = o[1:]
			continue
		}
		m.folder(d[0])
		d = d[1:]
	}
}

// end gives out what was held back, after the last page.
func (m *namer) end() {
	m.passed("")
	if m.marker == markerUnknown {
		m.marker = markerNo
	}
}

func (m *namer) object(info object.Info) {
	rest, ok := strings.CutPrefix(info.Key, m.prefix)
	if !ok || strings.Contains(rest, "/") {
		return // no answer to what was asked
	}
	m.passed(info.Key)
	if rest == "" {
		if m.prefix == "" || m.held != "" {
			return
		}
		m.marker, m.markerInfo = markerYes, info
		if info.Size == 0 {
			return
		}
	}
	m.waiting = append(m.waiting, info)
}

func (m *namer) folder(prefix string) {
	rest, ok := strings.CutPrefix(prefix, m.prefix)
	if !ok || strings.IndexByte(rest, '/') != len(rest)-1 {
		return
	}
	m.passed(prefix)
	comp := rest[:len(rest)-1]
	m.named(comp, false, found{dir: true})
	if n := len(m.waiting); n > 0 && m.waiting[n-1].Key+"/" == prefix {
		info := m.waiting[n-1]
		m.waiting = m.waiting[:n-1]
		m.named(comp, true, found{info: info})
	}
}

// passed gives out the files whose folder would have come before key; "" is the end.
func (m *namer) passed(key string) {
	for n := len(m.waiting); n > 0; n = len(m.waiting) {
		info := m.waiting[n-1]
		if key != "" && info.Key+"/" >= key {
			return
		}
		m.waiting = m.waiting[:n-1]
		m.named(info.Key[len(m.prefix):], false, found{info: info})
	}
}

func (m *namer) named(rest string, clash bool, f found) {
	name, form, n, ok := keyname.First(m.held, rest, clash)
	if !ok {
		return
	}
	f.form, f.piece, f.at = form, rest[:n], m.at
	if form == keyname.Part {
		if name == m.lastPart {
			return
		}
		m.lastPart = name
		f = found{dir: true, form: form, piece: f.piece, at: f.at, hasMarker: markerNo}
	}
	m.emit(listed{name: name, found: f})
}

// lister reads a folder page by page.
type lister struct {
	fs    *FS
	namer namer
	query object.Query
	page  object.Page // the last one
	out   []listed
	done  bool
}

func (fs *FS) newLister(prefix, held string) *lister {
	l := &lister{fs: fs, query: object.Query{Prefix: prefix, Delimiter: "/"}}
	l.namer = namer{prefix: prefix, held: held, emit: func(e listed) { l.out = append(l.out, e) }}
	return l
}

// next returns the names of one more page, and whether that was the last. The slice is
// valid until the next call.
func (l *lister) next(ctx context.Context) ([]listed, bool, error) {
	if l.done {
		return nil, true, nil
	}
	l.namer.at = l.fs.now()
	page, err := l.fs.store.List(ctx, l.query)
	if err != nil {
		return nil, false, err
	}
	l.page, l.out = page, l.out[:0]
	l.namer.page(page)
	l.query.Token = page.Next
	if page.Next == "" {
		l.done = true
		l.namer.end()
	}
	return l.out, l.done, nil
}

// asked is the state of a folder when a page of it was asked for.
type asked struct {
	at  time.Time
	gen uint64
}

// pageLister reads a folder to its end, with several pages on their way. The caller closes
// pages.
type pageLister struct {
	pages *pages.Stream[asked]
	began time.Time // when the first page was asked for
	namer namer
	out   []listed
	done  bool
}

func (fs *FS) newPageLister(n *Inode, prefix, held string) *pageLister {
	l := &pageLister{}
	l.namer = namer{prefix: prefix, held: held, emit: func(e listed) { l.out = append(l.out, e) }}
	l.pages = pages.New(pages.Options[asked]{List: fs.store.List, Prefix: prefix, Delimiter: "/",
		Ahead: max(2, min(16, fs.o.MaxListed/4/pageKeys)),
		Stamp: func() asked {
			fs.tree.Lock()
			defer fs.tree.Unlock()
			return asked{fs.now(), n.t.gen}
		}})
	fs.tree.Lock()
	first, gen := fs.takeFirstLocked(prefix), n.t.gen
	fs.tree.Unlock()
	if first != nil && held == "" {
		l.pages.Begin(first.page, asked{first.stamp.at, gen})
	}
	return l
}

// next returns the names of one more page, when it was asked for, and whether it was the
// last.
func (l *pageLister) next(ctx context.Context) (names []listed, when asked, last bool, err error) {
	if l.done {
		return nil, asked{}, true, nil
	}
	page, err := l.pages.Next(ctx)
	if err != nil {
		return nil, asked{}, false, err
	}
	if l.began.IsZero() {
		l.began = page.Stamp.at
	}
	l.out = nil
	l.namer.at = page.Stamp.at
	l.namer.page(object.Page{Objects: page.Objects, Prefixes: page.Prefixes})
	if page.Last {
		l.done = true
		l.namer.end()
	}
	return l.out, page.Stamp, page.Last, nil
}
