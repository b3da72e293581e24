package mountbench

import (
	"fmt"
	"html"
	"math"
	"slices"
	"strings"
)

// The plot's measures, in pixels.
const (
	plotLeft   = 420 // of the titles
	plotWidth  = 640 // of the scale
	plotRow    = 26
	plotTop    = 60
	plotMargin = 30
)

// plotColors are the contenders' colors by name.
var plotColors = map[string]string{
	limitName: "#222222", ours: "#d62728", oursBack: "#e377c2", "rclone": "#1f77b4", "s3fs": "#2ca02c", "goofys": "#9467bd", "geesefs": "#ff7f0e", "tigrisfs": "#8c564b",
}

// plot draws the seconds of all rows on a logarithmic scale: a dot for each contender, a
// stroke where the bar is.
func (r *report) plot() string {
	least, most := r.span()
	x := func(seconds float64) float64 {
		return plotLeft + plotWidth*(math.Log10(seconds)-least)/(most-least)
	}
	height := plotTop + plotRow*len(r.rows) + plotMargin
	var s strings.Builder
	fmt.Fprintf(&s, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-family="sans-serif" font-size="12">`+"\n", plotLeft+plotWidth+plotMargin, height)
	fmt.Fprintf(&s, `<rect width="100%%" height="100%%" fill="white"/>`+"\n")
	r.legend(&s)
	for e := math.Ceil(least); e <= most; e++ {
		fmt.Fprintf(&s, `<line x1="%.1f" x2="%.1f" y1="%d" y2="%d" stroke="#dddddd"/><text x="%.1f" y="%d" text-anchor="middle" fill="#666666">%g s</text>`+"\n",
			x(math.Pow(10, e)), x(math.Pow(10, e)), plotTop-6, height-plotMargin, x(math.Pow(10, e)), height-plotMargin+16, math.Pow(10, e))
	}
	for i, w := range r.rows {
		y := float64(plotTop + plotRow*i + plotRow/2)
		fmt.Fprintf(&s, `<text x="%d" y="%.1f" text-anchor="end">%s</text>`+"\n", plotLeft-12, y+4, html.EscapeString(w.workload.title))
		fmt.Fprintf(&s, `<line x1="%d" x2="%d" y1="%.1f" y2="%.1f" stroke="#eeeeee"/>`+"\n", plotLeft, plotLeft+plotWidth, y, y)
		limit, _ := w.median(limitName)
		if allowed := w.workload.bar.allowed(limit.Seconds); allowed > 0 {
			fmt.Fprintf(&s, `<line x1="%.1f" x2="%.1f" y1="%.1f" y2="%.1f" stroke="#d62728" stroke-width="2"/>`+"\n", x(allowed), x(allowed), y-9, y+9)
		}
		for _, n := range slices.Backward(r.names) { // ours and the limit on top
			if f, ok := w.median(n); ok && f.Failed == "" {
				fmt.Fprintf(&s, `<circle cx="%.1f" cy="%.1f" r="5" fill="%s"><title>%s: %s</title></circle>`+"\n", x(f.Seconds), y, plotColors[n], n, html.EscapeString(f.line()))
			}
		}
	}
	s.WriteString("</svg>\n")
	return s.String()
}

// span is the range of the scale, as powers of ten.
func (r *report) span() (least, most float64) {
	low, high := math.Inf(1), math.Inf(-1)
	note := func(v float64) {
		if v > 0 {
			low, high = min(low, v), max(high, v)
		}
	}
	for _, w := range r.rows {
		limit, _ := w.median(limitName)
		note(w.workload.bar.allowed(limit.Seconds))
		for _, n := range r.names {
			if f, ok := w.median(n); ok && f.Failed == "" {
				note(f.Seconds)
			}
		}
	}
	if math.IsInf(low, 1) {
		return -1, 1
	}
	return math.Log10(low) - 0.1, math.Log10(high) + 0.1
}

func (r *report) legend(s *strings.Builder) {
	at := plotLeft
	for _, n := range r.names {
		fmt.Fprintf(s, `<circle cx="%d" cy="22" r="5" fill="%s"/><text x="%d" y="26">%s</text>`+"\n", at, plotColors[n], at+9, n)
		at += 30 + 8*len(n)
	}
	fmt.Fprintf(s, `<line x1="%d" x2="%d" y1="13" y2="31" stroke="#d62728" stroke-width="2"/><text x="%d" y="26">bar</text>`+"\n", at, at, at+9)
}
