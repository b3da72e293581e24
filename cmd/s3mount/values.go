package main

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// kibSize is a flag's value in bytes as rclone writes it: a number without a unit is in
// KiB, and "off" is none.
type kibSize struct {
	bytes int64
	set   bool
}

func (s *kibSize) Set(v string) error {
	text := strings.TrimSpace(v)
	if strings.EqualFold(text, "off") {
		*s = kibSize{}
		return nil
	}
	if _, err := strconv.ParseFloat(text, 64); err == nil {
		text += "K"
	}
	text = strings.TrimSuffix(text, "i") // 16Mi
	var n size
	if err := n.Set(text); err != nil {
		return err
	}
	*s = kibSize{bytes: int64(n), set: true}
	return nil
}

func (s kibSize) String() string {
	if !s.set {
		return "off"
	}
	if s.bytes < 1<<10 {
		return strconv.FormatInt(s.bytes, 10) + "B"
	}
	return size(s.bytes).String()
}

func (kibSize) Type() string { return "KIBSIZE" }

// rate is a flag's value in bytes per second; 0 is no bound.
type rate struct{ kibSize }

func (rate) Type() string { return "RATE" }

func (r *rate) Set(v string) error {
	if err := r.kibSize.Set(v); err != nil {
		return err
	}
	if r.set && r.bytes == 0 {
		*r = rate{} // rclone's other word for off
	}
	return nil
}

// age is a flag's value: how long ago something was, or since when.
type age struct {
	time.Duration
	set bool
	now func() time.Time // nil: time.Now
}

var ageUnits = []struct {
	suffix string
	length time.Duration
}{
	{"ms", time.Millisecond}, {"s", time.Second}, {"m", time.Minute}, {"h", time.Hour}, {"d", 24 * time.Hour},
	{"w", 7 * 24 * time.Hour}, {"M", 30 * 24 * time.Hour}, {"y", 365 * 24 * time.Hour},
}

// ageDates are the forms of a point in time.
var ageDates = []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02"}

func (a *age) Set(v string) error {
	if v == "off" {
		*a = age{now: a.now}
		return nil
	}
	d, err := a.parse(v)
	if err != nil {
		return err
	}
	a.Duration, a.set = d, true
	return nil
}

func (a *age) parse(v string) (time.Duration, error) {
	if n, err := strconv.ParseFloat(v, 64); err == nil {
		return scaled(v, n, time.Second)
	}
	for _, u := range ageUnits {
		if digits, ok := strings.CutSuffix(v, u.suffix); ok {
			if n, err := strconv.ParseFloat(digits, 64); err == nil {
				return scaled(v, n, u.length)
			}
		}
	}
	if d, err := time.ParseDuration(v); err == nil && d >= 0 {
		return d, nil
	}
	now := time.Now
	if a.now != nil {
		now = a.now
	}
	for _, form := range ageDates {
		if t, err := time.ParseInLocation(form, v, time.Local); err == nil {
			return now().Sub(t), nil
		}
	}
	return 0, fmt.Errorf("%q is no age", v)
}

func scaled(text string, n float64, unit time.Duration) (time.Duration, error) {
	d := n * float64(unit)
	if math.IsNaN(d) || d < 0 || d >= math.MaxInt64 {
		return 0, fmt.Errorf("%q is no age", text)
	}
	return time.Duration(d), nil
}

func (a age) String() string {
	if !a.set {
		return "off"
	}
	return a.Duration.String()
}

func (age) Type() string { return "AGE" }

// count is a flag's value: a number of 1 or more.
type count int

func (c *count) Set(v string) error {
	n, err := strconv.ParseUint(v, 10, 16)
	if err != nil || n < 1 {
		return fmt.Errorf("%q is no count", v)
	}
	*c = count(n)
	return nil
}

func (c count) String() string { return strconv.Itoa(int(c)) }
func (count) Type() string     { return "COUNT" }

// limit is a flag's value: a number of 0 or more, or none (-1).
type limit struct {
	n   int64
	set bool
}

func (l *limit) Set(v string) error {
	if v == "-1" || v == "off" {
		*l = limit{}
		return nil
	}
	n, err := strconv.ParseUint(v, 10, 63)
	if err != nil {
		return fmt.Errorf("%q is no limit", v)
	}
	*l = limit{n: int64(n), set: true}
	return nil
}

func (l limit) String() string {
	if !l.set {
		return "off"
	}
	return strconv.FormatInt(l.n, 10)
}

func (limit) Type() string { return "LIMIT" }
