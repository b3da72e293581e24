package overlay

import (
	"context"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/sync/errgroup"

	"github.com/s3mount/s3mount/object"
)

// A delete is sent later than it was promised, perhaps hours. What somebody else has stored
// under the key meanwhile is not what was to be removed: it stays.

// foundHolds is how long deletes are tried before the store is asked again what is there.
const foundHolds = 30 * time.Second

// nothing is what a delete means where nothing of ours is under the key: it is not sent.
const nothing = "!"

// meantLocked returns the ETag of what a delete means by a version: what the store knows it
// by, or the local one if it is not there yet. Empty: whatever is under the key.
func (o *Overlay) meantLocked(id object.ID) string {
	if !id.Local() {
		return id.ETag
	}
	v := o.mu.versions[id.ETag]
	if v != nil && !v.stands {
		return id.ETag
	}
	if v != nil {
		return v.remote.ETag
	}
	now, _ := o.mu.aliases.Peek(id.ETag)
	return now.ETag
}

// leftLocked returns what is under the key where an operation is left out that was never sent:
// what that would have replaced.
func (p *op) leftLocked() string {
	switch {
	case len(p.maybe) > 0: // or a version that an earlier process has stored
		return ""
	case p.after != nil && p.after.stands:
		return p.after.remote.ETag
	case p.after != nil:
		return p.after.info.ETag
	case p.cond.IfAbsent:
		return nothing
	}
	return p.cond.IfMatch
}

// leftByLocked is leftLocked for all that was left out of a key, the last first.
func leftByLocked(replaced []*op) string {
	for _, p := range replaced {
		if len(p.maybe) > 0 {
			return ""
		}
	}
	return replaced[len(replaced)-1].leftLocked()
}

// becameLocked tells the deletes of a key that a local version stands, as what; nothing: it
// never will.
func (e *entry) becameLocked(local, etag string) {
	for _, p := range e.ops {
		if p.kind == opDelete && p.meant == local {
			p.meant = etag
		}
	}
}

// sortDeletes finds out which deletes are to be sent, and which of them somebody else came
// before.
func (o *Overlay) sortDeletes(ctx context.Context, ops []*op) (send, late, needless []*op, err error) {
	var rest []*op
	meant := map[string]string{}
	o.mu.Lock()
	for _, p := range ops {
		if p.meant == nothing || (object.ID{ETag: p.meant}).Local() { // it was given up, or lost a race
			needless = append(needless, p)
			continue
		}
		rest = append(rest, p)
		if p.meant != "" {
			meant[p.key] = p.meant
		}
	}
	o.mu.Unlock()
	others, err := o.others(ctx, meant)
	if err != nil {
		return nil, nil, nil, err
	}
	for _, p := range rest {
		if others[p.key] {
			late = append(late, p)
		} else {
			send = append(send, p)
		}
	}
	return send, late, needless, nil
}

// others returns the keys under which the store shows something else than is meant. Many keys
// of a folder are found by its listing, few or scattered ones are asked for one by one.
func (o *Overlay) others(ctx context.Context, meant map[string]string) (map[string]bool, error) {
	keys := make([]string, 0, len(meant))
	for key := range meant {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	suspects := keys
	if len(keys) >= listingPays {
		var err error
		if suspects, err = o.suspects(ctx, keys, meant); err != nil {
			return nil, err
		}
	}
	found := make([]object.Info, len(suspects))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(o.Parallel)
	for i, key := range suspects {
		g.Go(func() (err error) {
			if found[i], err = o.Store.Head(ctx, key); refusal(object.KindOf(err)) {
				return nil // it is gone, or may be removed and not looked at
			}
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	others := map[string]bool{}
	for i, key := range suspects {
		others[key] = found[i].ETag != "" && found[i].ETag != meant[key]
	}
	return others, nil
}

// listingPays is how many keys a page of a listing must answer for to be asked for.
const listingPays = 8

// suspects lists keys, and returns those of which a listing does not show what is meant, or
// not nothing. Where its pages show few of them it returns the rest as well.
func (o *Overlay) suspects(ctx context.Context, keys []string, meant map[string]string) (suspects []string, err error) {
	prefix := keys[0][:strings.LastIndexByte(keys[0], '/')+1]
	for len(keys) > 0 {
		for !strings.HasPrefix(keys[len(keys)-1], prefix) {
			prefix = prefix[:strings.LastIndexByte(strings.TrimSuffix(prefix, "/"), '/')+1]
		}
		page, err := o.Store.List(ctx, object.Query{Prefix: prefix, After: before(keys[0])})
		switch {
		case err != nil && refusal(object.KindOf(err)):
			return append(suspects, keys...), nil
		case err != nil:
			return nil, err
		}
		shown := 0
		for _, info := range page.Objects {
			if want, ok := meant[info.Key]; ok && info.ETag != want {
				suspects = append(suspects, info.Key)
			}
		}
		for shown < len(keys) && (page.Next == "" || len(page.Objects) > 0 && keys[shown] <= page.Objects[len(page.Objects)-1].Key) {
			shown++
		}
		keys = keys[shown:]
		if shown < listingPays {
			return append(suspects, keys...), nil
		}
	}
	return suspects, nil
}

// before returns a text that comes before a key, and after nearly all others that do.
func before(key string) string {
	r, n := utf8.DecodeLastRuneInString(key)
	head := key[:len(key)-n]
	switch {
	case r == utf8.RuneError || r <= ' ':
		return head
	case r == 0xE000: // what comes before it is no character
		r = 0xD800
	}
	return head + string(r-1) + "\U0010FFFF"
}
