package transfer

import (
	"strings"

	"github.com/s3mount/s3mount/object"
)

// shard is a part of a listing that one request begins.
//
// A flat shard lists all keys below some folders that follow each other, a thousand a
// request, however many folders there are. Where one request is not enough, the last key
// tells how dense the keys are: the folder in which the page ended is gone on with, its
// neighbours become shards of about as many folders as fitted into the page, and a folder
// that is alone is listed with a delimiter from there on, which finds the folders to
// make shards of. So a small tree costs one request, a large one hardly more than a
// flat listing, and its parts come at the same time.
type shard struct {
	flat bool
	// prefixes are the folders of a flat shard, in order, each ending in "/" (or "", the
	// bucket). With several, they have the same folder above, and nothing between them.
	prefixes []string
	// prefix is the folder of a shard that is listed with a delimiter.
	prefix string
	after  string // keys up to here are known
	token  string // continues a listing
	// dense is how many folders fitted into a page here; 0: not known.
	dense int
}

// beyond is behind all keys that begin with a folder's prefix, or nearly all.
func beyond(dir string) string { return dir + "\U0010FFFF" }

// before is before all keys that begin with a folder's prefix, and hardly before others.
func before(dir string) string {
	return strings.TrimSuffix(dir, "/") + ".\U0010FFFF" // "." comes before "/"
}

// list makes one request for a shard.
func (w *bucketWalk) list(s shard) page {
	switch {
	case w.o.Fast && s.flat:
		return w.listFast(s)
	case s.flat:
		return w.listFlat(s)
	}
	return w.listFolder(s)
}

// listFast lists page by page.
func (w *bucketWalk) listFast(s shard) page {
	got, err := w.ask(object.Query{Prefix: s.prefixes[0], After: s.after, Token: s.token})
	if err != nil {
		return page{err: err}
	}
	items := w.objects(got.Objects)
	if got.Next != "" {
		next := s
		next.token = got.Next
		items = append(items, item{shard: &next})
	}
	return page{items: items}
}

func (w *bucketWalk) objects(objects []object.Info) []item {
	items := make([]item, 0, len(objects)+2)
	for _, o := range objects {
		items = append(items, item{file: w.b.file(o)})
	}
	return items
}

// listFlat lists the folders of a flat shard.
func (w *bucketWalk) listFlat(s shard) page {
	q := object.Query{Prefix: s.prefixes[0], After: s.after}
	end := ""
	if n := len(s.prefixes); n > 1 {
		q.Prefix = folderOf(s.prefixes[0])
		end = s.prefixes[n-1]
		if q.After == "" {
			q.After = before(s.prefixes[0])
		}
	}
	got, err := w.ask(q)
	if err != nil {
		return page{err: err}
	}
	more := got.Next != ""
	from, to := 0, len(got.Objects)
	for from < to && got.Objects[from].Key < s.prefixes[0] {
		from++
	}
	for end != "" && to > from && got.Objects[to-1].Key > end && !strings.HasPrefix(got.Objects[to-1].Key, end) {
		to--
		more = false
	}
	items := w.objects(got.Objects[from:to])
	if !more {
		return page{items: items}
	}
	lastKey := ""
	if n := len(got.Objects); n > 0 {
		lastKey = got.Objects[n-1].Key
	}
	if len(s.prefixes) == 1 {
		return page{items: append(items, w.split(s.prefixes[0], max(lastKey, s.after), dense(got.Objects, s.prefixes[0]))...)}
	}
	return page{items: append(items, w.rest(s, max(lastKey, s.after))...)}
}

// dense counts the folders right below dir that a page went through to their ends.
func dense(objects []object.Info, dir string) int {
	n, last := 0, ""
	for _, o := range objects {
		if sub, _, inside := strings.Cut(strings.TrimPrefix(o.Key, dir), "/"); inside && sub != last {
			n, last = n+1, sub
		}
	}
	return max(1, n-1)
}

// folderOf returns the prefix of the folder that holds the one of a prefix.
func folderOf(dir string) string {
	dir = strings.TrimSuffix(dir, "/")
	return dir[:strings.LastIndexByte(dir, '/')+1]
}

// rest returns the shards for what a flat shard of several folders has behind a key.
func (w *bucketWalk) rest(s shard, after string) []item {
	at := 0
	for at+1 < len(s.prefixes) && after >= s.prefixes[at+1] {
		at++
	}
	var items []item
	if strings.HasPrefix(after, s.prefixes[at]) {
		items = w.continued(s.prefixes[at], after)
		at++
	} else if after > s.prefixes[at] {
		at++
	}
	return append(items, group(s.prefixes[at:], max(1, at))...)
}

// continued goes on in a folder behind a key, unless it is passed over.
func (w *bucketWalk) continued(dir, after string) []item {
	if w.skipped(strings.TrimPrefix(dir, w.b.prefix)) != "" {
		return nil
	}
	return []item{{shard: &shard{flat: true, prefixes: []string{dir}, after: after}}}
}

// split cuts what a folder has behind a key: the folder in it that the key is in, and
// then what a delimiter finds.
func (w *bucketWalk) split(dir, after string, dense int) []item {
	sub, _, inside := strings.Cut(strings.TrimPrefix(after, dir), "/")
	if !inside || !strings.HasPrefix(after, dir) {
		return []item{{shard: &shard{prefix: dir, after: after, dense: dense}}}
	}
	sub = dir + sub + "/"
	return append(w.continued(sub, after), item{shard: &shard{prefix: dir, after: beyond(sub), dense: dense}})
}

// group makes flat shards of n folders each.
func group(dirs []string, n int) []item {
	var items []item
	for len(dirs) > 0 {
		k := min(n, len(dirs))
		items = append(items, item{shard: &shard{flat: true, prefixes: dirs[:k:k]}})
		dirs = dirs[k:]
	}
	return items
}

// listFolder lists a folder with a delimiter.
func (w *bucketWalk) listFolder(s shard) page {
	got, err := w.ask(object.Query{Prefix: s.prefix, Delimiter: "/", After: s.after, Token: s.token})
	if err != nil {
		return page{err: err}
	}
	var items []item
	var run []string // folders with nothing between them
	flush := func() {
		items = append(items, w.folderItems(run, s)...)
		run = nil
	}
	objects, prefixes := got.Objects, got.Prefixes
	for len(objects) > 0 || len(prefixes) > 0 {
		if len(prefixes) == 0 || len(objects) > 0 && objects[0].Key < prefixes[0] {
			flush()
			items = append(items, item{file: w.b.file(objects[0])})
			objects = objects[1:]
			continue
		}
		if dir := prefixes[0]; dir > s.after || s.after == "" {
			if w.skip(strings.TrimSuffix(strings.TrimPrefix(dir, w.b.prefix), "/")) {
				flush()
			} else {
				run = append(run, dir)
			}
		}
		prefixes = prefixes[1:]
	}
	flush()
	if got.Next != "" {
		next := s
		next.token = got.Next
		items = append(items, item{shard: &next})
	}
	return page{items: items}
}

// folderItems says how folders are gone into.
func (w *bucketWalk) folderItems(dirs []string, s shard) []item {
	if w.o.Depth == 0 {
		return group(dirs, max(1, s.dense))
	}
	var items []item
	for _, dir := range dirs {
		path := strings.TrimSuffix(strings.TrimPrefix(dir, w.b.prefix), "/")
		items = append(items, item{file: File{Path: path, Dir: true}})
		if depth := strings.Count(dir[len(w.root):], "/"); depth < w.o.Depth {
			items = append(items, item{shard: &shard{prefix: dir}})
		}
	}
	return items
}
