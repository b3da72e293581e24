package mountbench

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/s3mount/s3mount/test/s3fake"
)

// circumstancesKey is what on what was measured has in the raw figures.
const circumstancesKey = "circumstances"

// report collects the rows and writes them.
type report struct {
	b     *bench
	names []string // of the contenders, the limit first
	rows  []row
}

func newReport(b *bench, all []contender) *report {
	r := &report{b: b, names: []string{limitName}}
	for _, c := range all {
		r.names = append(r.names, c.name)
	}
	r.names = b.earlier.names(r.names)
	fmt.Fprintf(b.out, "%s\n\n", b.circumstances())
	return r
}

// circumstances says on what was measured.
func (b *bench) circumstances() string {
	var u unix.Utsname
	_ = unix.Uname(&u) // an empty name says it
	return fmt.Sprintf("%s: Linux %s, %d CPUs, %s. The store: first byte %v, LIST %v, writes %v, %d MB/s a connection. Medians of %d runs (peers: %d), each on a new mount.",
		time.Now().UTC().Format(time.DateOnly), unix.ByteSliceToString(u.Release[:]), runtime.NumCPU(), runtime.Version(),
		b.firstByte, b.listing, b.put, b.megabytes, b.runs, b.peerRuns)
}

// add reports a row at once, in a few lines.
func (r *report) add(w row) {
	r.rows = append(r.rows, w)
	fmt.Fprintf(r.b.out, "%s (%s)\n", w.workload.title, w.workload.name)
	for _, name := range r.names {
		f, ok := w.median(name)
		if !ok {
			continue
		}
		fmt.Fprintf(r.b.out, "    %-8s %s\n", name, f.line())
		if isOurs(name) {
			fmt.Fprintf(r.b.out, "             bar %s %s\n", w.barWord(name), w.verdict(name))
		}
	}
}

// line is everything about a run.
func (f figure) line() string {
	if f.Failed != "" {
		return "failed: " + f.Failed
	}
	s := fmt.Sprintf("%s s", number(f.Seconds))
	if f.Settled > 0 {
		s += fmt.Sprintf(" (all in S3: %s s)", number(f.Settled))
	}
	s += fmt.Sprintf("; CPU %.2f s", f.CPU)
	if f.Peak > 0 {
		s += fmt.Sprintf(", peak %d MB", f.Peak/1e6)
	}
	s += fmt.Sprintf("; %s; %s", requestWord(f.Requests), trafficWord(f))
	if f.Note != "" {
		s += "; " + f.Note
	}
	if f.Others >= 0.05 {
		s += fmt.Sprintf("; others used %.1f CPUs", f.Others)
	}
	return s
}

func requestWord(requests map[s3fake.Op]int64) string {
	var words []string
	for _, op := range slices.Sorted(maps.Keys(requests)) {
		words = append(words, fmt.Sprintf("%d %s", requests[op], op))
	}
	if len(words) == 0 {
		return "no requests"
	}
	return strings.Join(words, ", ")
}

func trafficWord(f figure) string {
	s := fmt.Sprintf("%.1f MB received", float64(f.Out)/1e6)
	if f.In > 0 {
		s += fmt.Sprintf(", %.1f MB sent", float64(f.In)/1e6)
	}
	return s
}

// number shows seconds with two or three digits.
func number(v float64) string {
	switch {
	case v < 1:
		return fmt.Sprintf("%.3f", v)
	case v < 10:
		return fmt.Sprintf("%.2f", v)
	}
	return fmt.Sprintf("%.1f", v)
}

// finish writes the table, the plot and the raw figures.
func (r *report) finish() error {
	var table strings.Builder
	r.markdown(&table)
	fmt.Fprintf(r.b.out, "\n%s", table.String())
	var errs []error
	if r.b.md != "" {
		errs = append(errs, os.WriteFile(r.b.md, []byte(r.b.circumstances()+"\n\n"+table.String()), 0o644))
	}
	if r.b.svg != "" {
		errs = append(errs, os.WriteFile(r.b.svg, []byte(r.plot()), 0o644))
	}
	if r.b.json != "" {
		raw := map[string]any{circumstancesKey: r.b.circumstances()}
		for _, w := range r.rows {
			raw[w.workload.name] = w.runs
		}
		text, err := json.MarshalIndent(raw, "", "\t")
		errs = append(errs, err, os.WriteFile(r.b.json, append(text, '\n'), 0o644))
	}
	return errors.Join(errs...)
}

// markdown writes two tables: the seconds, and what they cost.
func (r *report) markdown(out io.Writer) {
	fmt.Fprintf(out, "| workload |")
	columns := 1
	for _, n := range r.names {
		if isOurs(n) {
			fmt.Fprintf(out, " bar | |")
			columns += 2
		}
		fmt.Fprintf(out, " %s |", n)
		columns++
	}
	fmt.Fprintf(out, "\n|%s\n", strings.Repeat("---|", columns))
	for _, w := range r.rows {
		fmt.Fprintf(out, "| %s |", w.workload.title)
		for _, n := range r.names {
			if isOurs(n) {
				fmt.Fprintf(out, " %s | %s |", w.barWord(n), w.verdict(n))
			}
			fmt.Fprintf(out, " %s |", w.cell(n))
		}
		fmt.Fprintln(out)
	}
	fmt.Fprintf(out, "\n| workload | | seconds | all in S3 | × limit | CPU s | peak MB | requests | MB received | MB sent |\n|%s\n", strings.Repeat("---|", 10))
	for _, w := range r.rows {
		for _, n := range r.names {
			f, ok := w.median(n)
			if !ok || f.Failed != "" {
				continue
			}
			fmt.Fprintf(out, "| %s | %s | %s | %s | %s | %.2f | %s | %s | %.1f | %.1f |\n", w.workload.name, n, number(f.Seconds),
				orDash(f.Settled > 0, number(f.Settled)), w.timesLimit(f),
				f.CPU, orDash(f.Peak > 0, fmt.Sprint(f.Peak/1e6)), requestWord(f.Requests), float64(f.Out)/1e6, float64(f.In)/1e6)
		}
	}
}

func orDash(ok bool, s string) string {
	if ok {
		return s
	}
	return "–"
}

// cell is what the first table says of a contender.
func (w row) cell(name string) string {
	f, ok := w.median(name)
	switch {
	case !ok:
		return ""
	case f.Failed != "":
		return "failed"
	}
	s := number(f.Seconds) + " s"
	if f.Settled > f.Seconds*1.1+0.05 {
		s += fmt.Sprintf(" / %s s", number(f.Settled))
	}
	if f.Note != "" {
		s += " (" + f.Note + ")"
	}
	return s
}

func (w row) timesLimit(f figure) string {
	limit, ok := w.median(limitName)
	if !ok || limit.Failed != "" {
		return "–"
	}
	return fmt.Sprintf("%.2f", f.Seconds/limit.Seconds)
}

// verdict says whether a contender of ours reaches the bar, and by what it misses it.
func (w row) verdict(name string) string {
	f, ok := w.median(name)
	if !ok {
		return ""
	}
	limit, _ := w.median(limitName)
	return w.workload.barOf(name).verdict(f, limit.Seconds)
}

func (w row) barWord(name string) string {
	limit, _ := w.median(limitName)
	return w.workload.barOf(name).word(limit.Seconds)
}
