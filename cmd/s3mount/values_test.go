package main

import (
	"testing"
	"time"
)

func TestSizesAreInKiBWithoutAUnit(t *testing.T) {
	for text, want := range map[string]int64{"1": 1 << 10, "0": 0, "1.5": 1536, "100B": 100, "100b": 100, "10K": 10 << 10, "2M": 2 << 20, "1GiB": 1 << 30} {
		var s kibSize
		if err := s.Set(text); err != nil || !s.set || s.bytes != want {
			t.Errorf("%s: %+v, %v", text, s, err)
		}
	}
	var s kibSize
	if err := s.Set("off"); err != nil || s.set {
		t.Errorf("off: %+v, %v", s, err)
	}
	for _, text := range []string{"", "x", "-1", "1X", "B"} {
		if err := new(kibSize).Set(text); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
}

func TestAges(t *testing.T) {
	now := time.Date(2026, 3, 4, 0, 0, 0, 0, time.Local)
	for text, want := range map[string]time.Duration{
		"10": 10 * time.Second, "100ms": 100 * time.Millisecond, "1.5h": 90 * time.Minute, "2d": 48 * time.Hour, "1w": 168 * time.Hour,
		"1M": 720 * time.Hour, "1m": time.Minute, "1y": 8760 * time.Hour, "1h30m": 90 * time.Minute,
		"2026-03-03": 24 * time.Hour, "2026-03-03T23:00:00": time.Hour,
	} {
		a := age{now: func() time.Time { return now }}
		if err := a.Set(text); err != nil || !a.set || a.Duration != want {
			t.Errorf("%s: %v, %v", text, a, err)
		}
	}
	for _, text := range []string{"", "soon", "-1s", "1x", "2026-13-01", "1e30y"} {
		if err := new(age).Set(text); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
}

func TestCountsAndLimits(t *testing.T) {
	for _, text := range []string{"0", "-1", "x", "70000", ""} {
		if err := new(count).Set(text); err == nil {
			t.Errorf("count %q is taken", text)
		}
	}
	var l limit
	if err := l.Set("0"); err != nil || !l.set || l.n != 0 {
		t.Errorf("limit 0: %+v, %v", l, err)
	}
	if err := l.Set("-1"); err != nil || l.set {
		t.Errorf("limit -1: %+v, %v", l, err)
	}
	if err := l.Set("-2"); err == nil {
		t.Error("limit -2 is taken")
	}
}

// --retry-for is a promise to reads, too, however long it is.
func TestAReadIsRepeatedForRetryFor(t *testing.T) {
	for _, retryFor := range []time.Duration{time.Second, 2 * time.Minute, 10 * time.Minute, 24 * time.Hour} {
		if got := fetchTimeout(retryFor); got <= retryFor {
			t.Errorf("--retry-for %v ends a read after %v", retryFor, got)
		}
	}
}
