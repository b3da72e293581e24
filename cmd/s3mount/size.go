package main

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// size is a flag's value in bytes: a number with a unit, 64K, 256M, 10G, 1.5T.
type size int64

var units = []struct {
	suffix string
	bytes  float64
}{{"K", 1 << 10}, {"M", 1 << 20}, {"G", 1 << 30}, {"T", 1 << 40}, {"P", 1 << 50}}

func (s *size) Set(v string) error {
	text := strings.ToUpper(strings.TrimSpace(v))
	text = strings.TrimSuffix(strings.TrimSuffix(text, "IB"), "B")
	factor := 1.0
	for _, u := range units {
		if rest, ok := strings.CutSuffix(text, u.suffix); ok {
			text, factor = rest, u.bytes
			break
		}
	}
	n, err := strconv.ParseFloat(text, 64)
	if err != nil || n < 0 || n*factor >= math.MaxInt64 || math.IsNaN(n) {
		return fmt.Errorf("%q is no size", v)
	}
	*s = size(n * factor)
	return nil
}

func (s size) String() string {
	for i := len(units) - 1; i >= 0; i-- {
		if u := units[i]; float64(s) >= u.bytes && int64(s)%int64(u.bytes) == 0 {
			return strconv.FormatInt(int64(s)/int64(u.bytes), 10) + u.suffix
		}
	}
	return strconv.FormatInt(int64(s), 10)
}

func (s size) Type() string { return "SIZE" }

// octal is a flag's value: permission bits in octal.
type octal uint32

func (o *octal) Set(v string) error {
	n, err := strconv.ParseUint(strings.TrimPrefix(v, "0o"), 8, 32)
	if err != nil || n > 0o7777 {
		return fmt.Errorf("%q is no octal mode", v)
	}
	*o = octal(n)
	return nil
}

func (o octal) String() string { return fmt.Sprintf("%04o", uint32(o)) }
func (o octal) Type() string   { return "MODE" }
