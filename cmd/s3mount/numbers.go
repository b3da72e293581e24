package main

import (
	"fmt"
	"math"
	"strconv"
)

// bytesText writes a number of bytes as rclone does: 0 B, 1 KiB, 1.431 MiB.
func bytesText(n int64) string {
	text, unit := scale(n, 1<<10)
	if unit > 0 {
		return text + " " + string("KMGTPE"[unit-1]) + "iB"
	}
	return text + " B"
}

// countText writes a number of things as rclone does: 999, 1.234k.
func countText(n int64) string {
	text, unit := scale(n, 1000)
	if unit > 0 {
		return text + string("kMGTPE"[unit-1])
	}
	return text
}

// scale divides n by step until it is less than that, and says how often.
func scale(n int64, step float64) (text string, unit int) {
	v := float64(n)
	for v >= step && unit < 6 {
		v /= step
		unit++
	}
	if v == math.Floor(v) {
		return strconv.FormatFloat(v, 'f', 0, 64), unit
	}
	return fmt.Sprintf("%.3f", v), unit
}
