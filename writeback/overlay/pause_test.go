package overlay

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// TestSmallOnesWaitForAPause: what the application does now goes before what can be sent later,
// but not for ever.
func TestSmallOnesWaitForAPause(t *testing.T) {
	for name, c := range map[string]struct {
		while time.Duration // how long something is promised, without a pause
		early bool          // whether the first one is sent meanwhile
	}{
		"a second":   {while: time.Second},
		"two":        {while: 2 * time.Second, early: true},
		"not at all": {while: 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSimple(t, func(o *Options) { o.Quiet = 150 * time.Millisecond })
				s.Start()
				s.put("first", "1", fresh)
				n := 0
				for began := time.Now(); time.Since(began) < c.while; n++ {
					time.Sleep(20 * time.Millisecond)
					s.put(fmt.Sprint(n), "1", fresh)
				}
				if got := s.wrote(); slices.Contains(got, "put first") != c.early || len(got) > n/2 {
					t.Errorf("after %v of %d promises the store has got %v", c.while, n, got)
				}
				time.Sleep(200 * time.Millisecond)
				if got := s.wrote(); len(got) != n+1 {
					t.Errorf("after a pause the store has got %d of %d", len(got), n+1)
				}
				s.check(s.Flush(context.Background()))
			})
		})
	}
}

// wrote is what the store has got so far.
func (s *simple) wrote() []string {
	s.store.mu.Lock()
	defer s.store.mu.Unlock()
	return slices.Clone(s.store.log)
}
