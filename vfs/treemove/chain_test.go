package treemove

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/s3mount/s3mount/object"
)

// exchanged is an exchange that dies or fails, and what must come of it.
type exchanged struct {
	t      *testing.T
	rnd    *rand.Rand
	b      *bucket
	dir    string
	seed   uint64
	a, z   string // keys, or prefixes
	before map[string]string
	theirs map[string]string
}

func newExchanged(t *testing.T, seed uint64, dir string, a, z string) *exchanged {
	rnd := rand.New(rand.NewPCG(seed, 1))
	x := &exchanged{t: t, rnd: rnd, b: newBucket(rnd), dir: dir, seed: seed, a: a, z: z, theirs: map[string]string{}}
	x.b.page = 1 + rnd.IntN(4)
	x.fill(a, "of a")
	x.fill(z, "of z")
	x.b.put("a-neighbour", "neighbour", nil, false)
	x.before = x.b.bodies()
	return x
}

// fill puts one object, or a folder's.
func (x *exchanged) fill(key, body string) {
	if !strings.HasSuffix(key, "/") {
		x.b.put(key, body, object.Meta{"mtime": body}, x.rnd.IntN(3) == 0)
		return
	}
	x.b.put(key, "", object.Meta{"of": body}, false)
	for i := range x.rnd.IntN(5) {
		x.b.put(fmt.Sprintf("%sf%d", key, i), fmt.Sprint(body, i), object.Meta{"mtime": fmt.Sprint(body, i)}, x.rnd.IntN(4) == 0)
	}
}

func (x *exchanged) mover() *Mover {
	m := New(Options{Store: x.b, Dir: x.dir, Parallel: 1 + x.rnd.IntN(4), Now: x.b.now})
	m.step = x.b.recordStep(x.dir)
	return m
}

// run exchanges, and says whether that worked.
func (x *exchanged) run(m *Mover) error {
	if x.a == "a" && x.z == "z" {
		a, z := x.b.objects[x.a].info, x.b.objects[x.z].info
		_, _, err := m.Swap(context.Background(), a, z, "temp")
		return err
	}
	temp := "temp"
	if strings.HasSuffix(x.a, "/") {
		temp += "/"
	}
	return m.BeginChain([2]string{x.a, temp}, [2]string{x.z, x.a2()}, [2]string{temp, x.z2()}).Run(context.Background())
}

// a2 and z2 are the keys that the other one gets.
func (x *exchanged) a2() string { return like(x.a, x.z) }
func (x *exchanged) z2() string { return like(x.z, x.a) }

func like(key, kind string) string {
	key = strings.TrimSuffix(key, "/")
	if strings.HasSuffix(kind, "/") {
		key += "/"
	}
	return key
}

// wanted is the state after the exchange.
func (x *exchanged) wanted() map[string]string {
	after := map[string]string{}
	for key, body := range x.before {
		switch {
		case key == x.a || strings.HasSuffix(x.a, "/") && strings.HasPrefix(key, x.a):
			key = x.z2() + strings.TrimPrefix(key, x.a)
		case key == x.z || strings.HasSuffix(x.z, "/") && strings.HasPrefix(key, x.z):
			key = x.a2() + strings.TrimPrefix(key, x.z)
		}
		after[key] = body
	}
	return after
}

// nothingLost checks that each content is under some key.
func (x *exchanged) nothingLost() {
	x.t.Helper()
	now := map[string]bool{}
	for _, body := range x.b.bodies() {
		now[body] = true
	}
	for key, body := range x.before {
		if !now[body] && x.theirs[key] == "" {
			x.t.Errorf("seed %d: %q, which was under %q, is gone: %q", x.seed, body, key, x.b.bodies())
		}
	}
	for key, body := range x.theirs {
		if !now[body] {
			x.t.Errorf("seed %d: %q of somebody else, under %q, is gone: %q", x.seed, body, key, x.b.bodies())
		}
	}
}

// kinds of what changes places.
var exchanges = [][2]string{{"a", "z"}, {"a/", "z/"}, {"a", "z/"}, {"a/", "z"}}

// A process that dies at any step of an exchange, and again in the recovery, leaves each
// content under some key; after the recovery both names are as before, or have changed
// places.
func TestCrashesOfAnExchange(t *testing.T) {
	dir := recordDir(t)
	seed := rand.Uint64()
	for i := range *moves / 10 {
		kind := exchanges[i%4]
		x := newExchanged(t, seed+i, dir, kind[0], kind[1])
		x.b.crashAfter(x.rnd.IntN(40))
		err := x.run(x.mover())
		x.nothingLost()
		for range x.rnd.IntN(3) {
			x.b.crashAfter(x.rnd.IntN(15))
			_ = x.mover().Recover(context.Background()) // fails by the crash
			x.nothingLost()
		}
		x.b.crashAfter(-1)
		if err := x.mover().Recover(context.Background()); err != nil {
			t.Errorf("seed %d: recover: %v", x.seed, err)
		}
		now := x.b.bodies()
		if !maps.Equal(now, x.wanted()) && (err == nil || !maps.Equal(now, x.before)) {
			t.Errorf("seed %d: %v (%v)\nbefore %q\nnow    %q", x.seed, kind, err, x.before, now)
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
			t.Errorf("seed %d: records left: %v, %v", x.seed, left, err)
		}
		if t.Failed() {
			return
		}
	}
}

// An exchange of which one copy is refused is undone at once.
func TestRefusedExchangeIsUndone(t *testing.T) {
	for _, kind := range exchanges {
		for seed := range uint64(20) {
			x := newExchanged(t, seed, recordDir(t), kind[0], kind[1])
			var places []string // that are free, so that all can go back to where it was
			for key := range x.wanted() {
				if x.before[key] == "" || x.a == "a" && x.z == "z" {
					places = append(places, key)
				}
			}
			slices.Sort(places)
			if len(places) == 0 {
				continue
			}
			x.b.refuse = places[x.rnd.IntN(len(places))]
			if _, there := x.before[x.b.refuse]; there && x.b.refuse != "a" && x.b.refuse != "z" {
				continue
			}
			var log bytes.Buffer
			m := x.mover()
			m.o.Log = slog.New(slog.NewTextHandler(&log, nil))
			err := x.run(m)
			if now := x.b.bodies(); !object.Is(err, object.KindPermission) || !maps.Equal(now, x.before) {
				t.Errorf("%v, seed %d, %q refused: %v\nbefore %q\nnow    %q\n%s", kind, seed, x.b.refuse, err, x.before, now, log.String())
			}
			x.b.refuse = ""
			if err := x.mover().Recover(t.Context()); err != nil {
				t.Errorf("%v, seed %d: recover: %v", kind, seed, err)
			}
			x.nothingLost()
		}
	}
}

// racing puts an object of somebody else just before a copy to a key.
type racing struct {
	*bucket
	dst, key, body string
}

func (r *racing) Copy(ctx context.Context, src object.ID, dst string, o object.CopyOptions) (object.Info, error) {
	if dst == r.dst {
		r.dst = ""
		r.put(r.key, r.body, object.Meta{"mtime": "theirs"}, false)
	}
	return r.bucket.Copy(ctx, src, dst, o)
}

// Whoever replaces one of two objects that change places has won: the exchange is undone.
func TestSwapThatLosesARace(t *testing.T) {
	for _, c := range []struct {
		dst, key string
		want     string
	}{
		{"temp", "a", `map[a:theirs a-neighbour:neighbour z:of z]`},
		{"a", "a", `map[a:theirs a-neighbour:neighbour z:of z]`},
		{"a", "z", `map[a:of a a-neighbour:neighbour z:theirs]`},
		{"z", "z", `map[a:of a a-neighbour:neighbour z:theirs]`},
		{"z", "a", `map[a:theirs a-neighbour:neighbour z:of a]`}, // as if they had come after it
	} {
		for seed := range uint64(6) {
			x := newExchanged(t, seed, recordDir(t), "a", "z")
			m := New(Options{Store: &racing{x.b, c.dst, c.key, "theirs"}, Dir: x.dir, Now: x.b.now})
			err := x.run(m)
			if after := c.dst == "z" && c.key == "a"; after != (err == nil) || !after && !object.Is(err, object.KindStale) {
				t.Errorf("%s replaced before the copy to %s: %v", c.key, c.dst, err)
			}
			if got := fmt.Sprint(x.b.bodies()); got != c.want {
				t.Errorf("%s replaced before the copy to %s: %s, want %s", c.key, c.dst, got, c.want)
			}
			if left, err := os.ReadDir(x.dir); err != nil || len(left) > 0 {
				t.Errorf("records left: %v, %v", left, err)
			}
		}
	}
}

// What somebody else puts into a folder's name while that is free for a moment stays, and
// the exchange is undone as far as it lets it.
func TestChainLeavesWhatIsInItsWay(t *testing.T) {
	b, dir := newBucket(fixed()), recordDir(t)
	for _, key := range []string{"a/1", "a/2", "z/1", "z/2"} {
		b.put(key, "of "+key, object.Meta{"mtime": key}, false)
	}
	var log bytes.Buffer
	m := New(Options{Store: &racing{b, "a/2", "a/2", "theirs"}, Dir: dir, Parallel: 1, Now: b.now, Log: slog.New(slog.NewTextHandler(&log, nil))})
	err := m.BeginChain([2]string{"a/", "temp/"}, [2]string{"z/", "a/"}, [2]string{"temp/", "z/"}).Run(t.Context())
	if !object.Is(err, object.KindExists) {
		t.Errorf("the error is %v", err)
	}
	if got, want := fmt.Sprint(b.bodies()), "map[a/1:of a/1 a/2:theirs temp/2:of a/2 z/1:of z/1 z/2:of z/2]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if !strings.Contains(log.String(), "temp/") || strings.Count(log.String(), "level=ERROR") != 1 {
		t.Errorf("the log says %q", log.String())
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("records left: %v, %v", left, err)
	}
}
