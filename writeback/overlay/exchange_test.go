package overlay

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/s3mount/s3mount/object"
)

// stored puts an object into the store behind the Overlay.
func (s *simple) stored(key, data string) object.Info {
	s.store.mu.Lock()
	defer s.store.mu.Unlock()
	return s.store.putLocked(key, []byte(data), object.Meta{"of": data}, "")
}

func (s *simple) exchange(a, b object.Info) (nowA, nowB object.Info) {
	s.t.Helper()
	nowA, nowB, err := s.Exchange(context.Background(), a, b, "temp")
	s.check(err)
	return nowA, nowB
}

// The store has both contents at each moment, under some key, from when it first has them.
func TestExchange(t *testing.T) {
	put := func(s *simple, key string) object.Info { return s.put(key, "of "+key, fresh) }
	stored := func(s *simple, key string) object.Info { return s.stored(key, "of "+key) }
	for name, c := range map[string]struct {
		a, b func(s *simple, key string) object.Info
		want string
	}{
		"both are stored":      {stored, stored, "copy temp, copy a, copy b, delete temp"},
		"neither is stored":    {put, put, "put a, put b"},
		"the first is stored":  {stored, put, "copy b, put a"},
		"the second is stored": {put, stored, "copy a, put b"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSimple(t, func(o *Options) { o.Parallel = 1 })
			a, b := c.a(s, "a"), c.b(s, "b")
			nowA, nowB := s.exchange(a, b)
			for key, now := range map[string]object.Info{"a": nowA, "b": nowB} {
				if got, err := s.Head(context.Background(), key); err != nil || got.ETag != now.ETag || now.Key != key {
					t.Errorf("%s is %+v, %v; told was %+v", key, got, err, now)
				}
			}
			seen := map[string]bool{}
			s.store.fail = func(op, key string) outcome {
				now := map[string]bool{}
				for _, o := range s.store.objects {
					now[string(o.data)] = true
				}
				for data := range seen {
					if !now[data] {
						t.Errorf("before %s %s the store no longer has %q", op, key, data)
					}
				}
				maps.Copy(seen, now)
				return works
			}
			got := strings.Split(s.sent(), ", ")
			if c.want == "put a, put b" {
				slices.Sort(got) // in any order
			}
			if got := strings.Join(got, ", "); got != c.want {
				t.Errorf("sent: %s; want %s", got, c.want)
			}
			meta := func(key string) object.Meta { return object.Meta{"of": "of " + key} }
			want := map[string]string{"a": describe([]byte("of b"), meta("b")), "b": describe([]byte("of a"), meta("a"))}
			if got := s.store.content(); !maps.Equal(got, want) {
				t.Errorf("the store has %v, want %v", got, want)
			}
			if n := len(s.mu.versions); n > 0 || !s.log.Empty() {
				t.Errorf("%d versions are left, the journal is empty: %t", n, s.log.Empty())
			}
		})
	}
}

func TestExchangeOfOtherVersionsIsRefused(t *testing.T) {
	s := newSimple(t, nil)
	a, b := s.put("a", "1", fresh), s.put("b", "2", fresh)
	now := s.put("a", "3", object.Condition{})
	if _, _, err := s.Exchange(context.Background(), a, b, "temp"); !object.Is(err, object.KindStale) {
		t.Errorf("an old version of a: %v", err)
	}
	if _, _, err := s.Exchange(context.Background(), b, a, "temp"); !object.Is(err, object.KindStale) {
		t.Errorf("an old version of a, as the second: %v", err)
	}
	s.exchange(now, b)
	s.sent()
	if got, want := fmt.Sprint(s.store.content()), `map[a:"2" map[of:2] b:"3" map[of:3]]`; got != want {
		t.Errorf("the store has %s, want %s", got, want)
	}
}

// Who replaces one of two exchanged objects before the store hears of it loses nothing, and
// neither does the other.
func TestExchangeThatLosesARace(t *testing.T) {
	for name, c := range map[string]struct {
		theirs string
		want   []string // contents that the store has at the end, somewhere
	}{
		"for the first key":  {"a", []string{"of b", "theirs"}}, // they have replaced what a had
		"for the second key": {"b", []string{"of a", "theirs"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSimple(t, func(o *Options) { o.Unsent = t.TempDir() })
			s.exchange(s.stored("a", "of a"), s.stored("b", "of b"))
			s.stored(c.theirs, "theirs")
			s.sent()
			s.check(s.Flush(context.Background()))
			got := fmt.Sprint(s.store.content())
			for _, data := range c.want {
				if !strings.Contains(got, fmt.Sprintf("%q", data)) {
					t.Errorf("%q is gone: %s", data, got)
				}
			}
			if !strings.Contains(got, c.theirs+`:"theirs"`) {
				t.Errorf("%s was overwritten: %s", c.theirs, got)
			}
			if s.Pending() > 0 {
				t.Errorf("%d are pending", s.Pending())
			}
		})
	}
}

// Names that change places again and again, while nothing can be sent, take no more memory
// and no more of the journal than once.
func TestExchangedAgainAndAgain(t *testing.T) {
	s := newSimple(t, func(o *Options) { o.Quiet = time.Hour })
	a, b := s.put("a", "1", fresh), s.put("b", "2", fresh)
	c := s.put("c", "3", fresh)
	for range 100 {
		a, b = s.exchange(a, b)
		for _, to := range []string{"d", "c"} {
			now, err := s.Copy(context.Background(), c.ID(), to, object.CopyOptions{Size: c.Size, IfAbsent: true})
			s.check(err)
			s.check(s.Delete(context.Background(), c.Key))
			c = now
		}
	}
	if n := len(s.mu.versions); n > 12 {
		t.Errorf("%d versions", n)
	}
	if n := s.Pending(); n > 6 {
		t.Errorf("%d operations are pending", n)
	}
	s.sent()
	if got, want := fmt.Sprint(s.store.content()), `map[a:"1" map[of:1] b:"2" map[of:2] c:"3" map[of:3]]`; got != want {
		t.Errorf("the store has %s, want %s", got, want)
	}
}
