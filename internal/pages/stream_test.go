package pages

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/s3mount/s3mount/object"
)

// store lists sorted keys, as S3 does.
type store struct {
	keys    []string
	max     int
	latency time.Duration

	mu    sync.Mutex // guards what follows
	count int
	fail  func() error
}

func newStore(keys []string, max int) *store {
	slices.Sort(keys)
	return &store{keys: slices.Compact(keys), max: max}
}

func (s *store) list(ctx context.Context, q object.Query) (p object.Page, err error) {
	time.Sleep(s.latency) // of a synctest's bubble, or none
	s.mu.Lock()
	defer s.mu.Unlock()
	s.count++
	if s.fail != nil {
		if err := s.fail(); err != nil {
			return p, err
		}
	}
	after := cmp.Or(q.Token, q.After)
	at, _ := slices.BinarySearch(s.keys, max(after, q.Prefix))
	for n := 0; at < len(s.keys); at++ {
		key := s.keys[at]
		if key <= after {
			continue
		}
		rest, ok := strings.CutPrefix(key, q.Prefix)
		if !ok {
			break
		}
		name := key
		if i := strings.Index(rest, "/"); q.Delimiter != "" && i >= 0 {
			name = q.Prefix + rest[:i+1]
			if len(p.Prefixes) > 0 && p.Prefixes[len(p.Prefixes)-1] == name || strings.HasPrefix(after, name) {
				continue
			}
		}
		if n == s.max {
			p.Next = lastOf(p)
			break
		}
		n++
		if name != key {
			p.Prefixes = append(p.Prefixes, name)
		} else {
			p.Objects = append(p.Objects, object.Info{Key: key})
		}
	}
	return p, nil
}

func (s *store) stream(prefix, delimiter string) *Stream[int] {
	return New(Options[int]{List: s.list, Prefix: prefix, Delimiter: delimiter, Stamp: func() int { return 1 }})
}

// read reads a whole stream, and fails if it is out of order.
func read(t *testing.T, s *Stream[int]) (names []string) {
	t.Helper()
	defer s.Close()
	for {
		p, err := s.Next(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		var page []string
		for _, o := range p.Objects {
			page = append(page, o.Key)
		}
		page = append(page, p.Prefixes...)
		slices.Sort(page)
		names = append(names, page...)
		if p.Last {
			break
		}
	}
	if !slices.IsSorted(names) {
		t.Fatal("out of order")
	}
	return names
}

// sequential is the listing as one request after the other makes it.
func (s *store) sequential(prefix, delimiter string) (names []string, requests int) {
	for q := (object.Query{Prefix: prefix, Delimiter: delimiter}); ; {
		p, _ := s.list(context.Background(), q)
		requests++
		for _, o := range p.Objects {
			names = append(names, o.Key)
		}
		names = append(names, p.Prefixes...)
		if q.Token = p.Next; q.Token == "" {
			slices.Sort(names)
			return names, requests
		}
	}
}

// shapes are ways in which keys are made.
var shapes = map[string]func(r *rand.Rand, i int) string{
	"decimal":  func(_ *rand.Rand, i int) string { return fmt.Sprintf("d/name-%06d.jpg", i) },
	"unpadded": func(_ *rand.Rand, i int) string { return fmt.Sprint("d/", i) },
	"hex":      func(r *rand.Rand, _ int) string { return fmt.Sprintf("d/%016x", r.Uint64()) },
	"words": func(r *rand.Rand, _ int) string {
		b := []byte("d/")
		for range 2 + r.IntN(6) {
			b = append(b, byte('a'+min(r.IntN(30), 25)))
		}
		return string(b)
	},
	"dates": func(r *rand.Rand, i int) string {
		return "d/" + time.Unix(1_700_000_000+int64(i)*600, 0).UTC().Format("2006/01/02/15-04") + ".log"
	},
	"folders": func(r *rand.Rand, i int) string { return fmt.Sprintf("d/%03d/%04d", i%100, i) },
	"odd": func(r *rand.Rand, i int) string {
		const set = "/ab0é%\x01\n~.-"
		runes := []rune(set)
		var b strings.Builder
		b.WriteString("d/")
		for range r.IntN(9) {
			b.WriteRune(runes[r.IntN(len(runes))])
		}
		return b.String()
	},
}

func keysOf(shape string, n int, seed uint64) []string {
	r := rand.New(rand.NewPCG(seed, 0))
	var keys []string
	for i := range n {
		keys = append(keys, shapes[shape](r, i))
	}
	return keys
}

func TestAStreamIsTheListing(t *testing.T) {
	for shape := range shapes {
		for seed, n := range []int{0, 1, 999, 1000, 1001, 5000} {
			for _, page := range []int{1000, 317} {
				s := newStore(append(keysOf(shape, n, uint64(seed)), "c", "d", "d0", "e/x"), page)
				for _, delimiter := range []string{"", "/"} {
					want, requests := s.sequential("d/", delimiter)
					s.count = 0
					got := read(t, s.stream("d/", delimiter))
					if !slices.Equal(got, want) {
						t.Fatalf("%s, %d keys, pages of %d, delimiter %q: %d names, want %d", shape, n, page, delimiter, len(got), len(want))
					}
					if s.count > 2*requests+10 {
						t.Errorf("%s, %d keys, pages of %d, delimiter %q: %d requests, one after the other it is %d", shape, n, page, delimiter, s.count, requests)
					}
				}
			}
		}
	}
}

func TestAStreamIsFasterThanItsRequestsInTurn(t *testing.T) {
	for shape, most := range map[string]time.Duration{"decimal": 45, "hex": 45, "words": 45, "folders": 65, "unpadded": 45} {
		synctest.Test(t, func(t *testing.T) {
			s := newStore(keysOf(shape, 100_000, 1), 1000)
			s.latency = time.Second
			began := time.Now()
			got := read(t, s.stream("d/", ""))
			took := time.Since(began)
			t.Logf("%s: %d keys, %d requests in the time of %d", shape, len(got), s.count, took/time.Second)
			if took > most*time.Second {
				t.Errorf("%s: 100 pages took the time of %d requests", shape, took/time.Second)
			}
			if shape == "decimal" && s.count > 110 {
				t.Errorf("%s: 100 pages took %d requests: the ends of the parts were not foreseen", shape, s.count)
			}
		})
	}
}

func TestAStreamGoesOnFromAPageThatItIsGiven(t *testing.T) {
	for shape := range shapes {
		for _, delimiter := range []string{"", "/"} {
			s := newStore(keysOf(shape, 5000, 1), 1000)
			want, requests := s.sequential("d/", delimiter)
			page, err := s.list(t.Context(), object.Query{Prefix: "d/", Delimiter: delimiter})
			if err != nil {
				t.Fatal(err)
			}
			s.count = 0
			st := s.stream("d/", delimiter)
			st.Begin(page, 7)
			if !st.Ready() {
				t.Error("not ready with a page")
			}
			if got := read(t, st); !slices.Equal(got, want) {
				t.Errorf("%s, delimiter %q: %d names, want %d", shape, delimiter, len(got), len(want))
			}
			if requests == 1 && s.count > 0 {
				t.Errorf("%s, delimiter %q: %d requests after the only page", shape, delimiter, s.count)
			}
		}
	}
}

func TestTheFirstPageIsOneRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(keysOf("decimal", 10_000, 1), 1000)
		st := s.stream("d/", "")
		defer st.Close()
		if st.Ready() {
			t.Error("ready before the first request")
		}
		if _, err := st.Next(t.Context()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if s.count != 1 {
			t.Errorf("%d requests", s.count)
		}
	})
}

func TestWhatIsHeldIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(keysOf("decimal", 100_000, 1), 1000)
		st := s.stream("d/", "")
		defer st.Close()
		for taken := range 30 {
			if _, err := st.Next(t.Context()); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			held := 0
			st.mu.Lock()
			for _, seg := range st.mu.segments {
				held += len(seg.pages)
			}
			st.mu.Unlock()
			if held > st.o.Ahead+1 {
				t.Fatalf("%d pages are held after %d were taken", held, taken+1)
			}
		}
	})
}

func TestAFailureIsReturnedAndTheListingGoesOn(t *testing.T) {
	s := newStore(keysOf("decimal", 30_000, 1), 1000)
	want, _ := s.sequential("d/", "")
	n := 0
	s.fail = func() error {
		if n++; n%3 == 0 {
			return errors.New("no")
		}
		return nil
	}
	st := s.stream("d/", "")
	defer st.Close()
	var got []string
	failures := 0
	for last := false; !last; {
		p, err := st.Next(t.Context())
		if err != nil {
			failures++
			continue
		}
		for _, o := range p.Objects {
			got = append(got, o.Key)
		}
		last = p.Last
	}
	if !slices.Equal(got, want) || failures == 0 {
		t.Errorf("%d names of %d after %d failures", len(got), len(want), failures)
	}
}

func TestTheCallersContextEndsTheWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(keysOf("decimal", 10, 1), 1000)
		s.latency = time.Hour
		st := s.stream("d/", "")
		defer st.Close()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := st.Next(ctx); !object.Is(err, object.KindTimeout) {
			t.Errorf("got %v", err)
		}
	})
}

// With the delimiter behind them, names of folders are in another order than without: b.5/
// comes before b/. A cut that did not heed that made two segments list the same keys.
func TestNoNameComesTwiceWhereTheDelimiterChangesTheOrder(t *testing.T) {
	keys := []string{"0/x", "a/x"}
	for i := range 4000 {
		keys = append(keys, fmt.Sprintf("a.%04d/x", i), fmt.Sprintf("b.%04d/x", i))
	}
	check := func(s *store, what string) {
		t.Helper()
		want, _ := s.sequential("", "/")
		if got := read(t, s.stream("", "/")); !slices.Equal(got, want) {
			t.Errorf("%s: %d names, want %d", what, len(got), len(want))
		}
	}
	check(newStore(keys, 1000), "folders")
	for seed := range uint64(100) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		between, tail := string(" -._"[rnd.IntN(4)]), []string{"", "/x"}
		keys := []string{"a", "a/x", "b/x"}
		for range 1000 + rnd.IntN(3000) {
			keys = append(keys, fmt.Sprintf("%c%s%05d%s", 'a'+rune(rnd.IntN(3)), between, rnd.IntN(1e5), tail[rnd.IntN(2)]))
		}
		check(newStore(keys, 300+rnd.IntN(700)), fmt.Sprint("seed ", seed))
	}
}
