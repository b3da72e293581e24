package overlay

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/s3mount/s3mount/object"
	"github.com/s3mount/s3mount/test/diskimage"
)

// image copies what the disk has.
func (w *world) image() string {
	to := scratch(w.t)
	for _, dir := range []string{"journal", "sending/uploads"} { // what is staged there counts for nothing
		w.check(diskimage.Copy(filepath.Join(to, dir), filepath.Join(w.dir, dir)))
	}
	return to
}

// crash ends the process at once, perhaps with the loss of what was not synced, and goes on
// with what the disk has.
func (w *world) crash() {
	g, o := w.gate, w.o
	for { // until nothing moves: all that is under way waits in the store
		o.mu.Lock()
		moving := o.mu.running
		if o.mu.deleting {
			moving++
		}
		o.mu.Unlock()
		g.mu.Lock()
		still := g.waiting == moving && g.tokens == 0
		if g.tokens > 0 && g.waiting == 0 {
			g.tokens = 0
		}
		g.mu.Unlock()
		if still {
			break
		}
		time.Sleep(50 * time.Microsecond)
	}
	power := w.rnd.IntN(2) == 0
	to := w.image()
	if power {
		w.loseUnsynced(to)
	}
	g.mu.Lock()
	g.dead = true
	g.changed.Broadcast()
	g.mu.Unlock()
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	w.edits.Close(ended)
	w.o.Close()
	w.send.Close(ended)
	os.RemoveAll(w.dir)
	w.dir = to
	w.count++
	w.start()
	w.settleReference(power)
	w.compare()
}

// loseUnsynced cuts the journal's last segment somewhere behind what was synced.
func (w *world) loseUnsynced(dir string) {
	last, synced, end := w.o.log.Extent()
	if end == synced {
		return
	}
	path := filepath.Join(dir, "journal", "log", filepath.Base(last))
	b, err := os.ReadFile(path)
	w.check(err)
	cut := synced + w.rnd.Int64N(end-synced+1)
	clear(b[cut:])
	w.check(os.WriteFile(path, b, 0o600))
}

// settleReference finds out which of the last deletes got lost.
func (w *world) settleReference(power bool) {
	versions := append(slices.Clone(w.soft), w.want)
	if !power {
		versions = versions[len(versions)-1:]
	}
	got := map[string]string{}
	page, err := w.o.List(context.Background(), object.Query{Max: 1000})
	w.check(err)
	for _, info := range page.Objects {
		head, err := w.o.Head(context.Background(), info.Key)
		w.check(err)
		got[info.Key] = fmt.Sprint(info.Size, head.Meta)
	}
	for _, v := range slices.Backward(versions) {
		same := len(v) == len(got)
		for key, e := range v {
			same = same && got[key] == fmt.Sprint(len(e.data), e.meta)
		}
		if same {
			w.want = maps.Clone(v)
			w.soft = nil
			w.relearn()
			return
		}
	}
	w.fatal("after a crash there are %v, promised was %v (power loss %t)\n%s", slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(w.want)), power, w.pending())
}

// relearn takes the versions' names anew: a mount knows no others.
func (w *world) relearn() {
	for key, e := range w.want {
		info, err := w.o.Head(context.Background(), key)
		if err != nil {
			w.fatal("head %s after a crash: %v\n%s", key, err, w.pending())
		}
		e.id = info.ID()
		w.want[key] = e
	}
}
