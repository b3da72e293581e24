package main

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/s3mount/s3mount/transfer"
)

const (
	redrawEvery = 500 * time.Millisecond
	// speedWindow is over how long the speed is taken that is shown.
	speedWindow = 10 * time.Second
)

// progress shows how far a call of package transfer is: as a block on a terminal that is
// drawn anew, or as a line now and then.
type progress struct {
	stats  *transfer.Stats
	screen *screen
	log    *slog.Logger
	every  time.Duration // of the lines; 0: none
	live   bool
	speed  speedometer
	done   chan struct{}
	ended  sync.WaitGroup
}

// startProgress begins to show; stop ends it.
func startProgress(stats *transfer.Stats, s *screen, log *slog.Logger, live bool, every time.Duration) *progress {
	p := &progress{stats: stats, screen: s, log: log, every: every, live: live, done: make(chan struct{})}
	if live {
		p.every = redrawEvery
	}
	if p.every > 0 {
		p.ended.Go(p.loop)
	}
	return p
}

func (p *progress) loop() {
	tick := time.NewTicker(p.every)
	defer tick.Stop()
	p.speed.add(time.Now(), 0)
	for {
		select {
		case <-p.done:
			return
		case now := <-tick.C:
			snap := p.stats.Snapshot()
			p.speed.add(now, snap.Bytes)
			if p.live {
				p.screen.show(block(snap, p.speed.bytesPerSecond(), p.screen.width()))
			} else {
				p.log.Log(context.Background(), levelNotice, status(snap, p.speed.bytesPerSecond()))
			}
		}
	}
}

// stop ends the display. The block disappears.
func (p *progress) stop() {
	close(p.done)
	p.ended.Wait()
	if p.live {
		p.screen.show(nil)
	}
}

// speedometer takes the speed over the last few seconds.
type speedometer struct{ samples []sample }

type sample struct {
	at    time.Time
	bytes int64
}

func (s *speedometer) add(at time.Time, bytes int64) {
	s.samples = append(s.samples, sample{at, bytes})
	for len(s.samples) > 2 && at.Sub(s.samples[1].at) >= speedWindow {
		s.samples = s.samples[1:]
	}
}

func (s *speedometer) bytesPerSecond() float64 {
	if len(s.samples) < 2 {
		return 0
	}
	first, last := s.samples[0], s.samples[len(s.samples)-1]
	passed := last.at.Sub(first.at).Seconds()
	if passed <= 0 {
		return 0
	}
	return max(0, float64(last.bytes-first.bytes)/passed)
}

// block is what a terminal shows: a line on all, and one on each file under way.
func block(s transfer.Snapshot, speed float64, width int) []string {
	lines := []string{fit(status(s, speed), width)}
	for _, t := range s.Active {
		done := "  0%"
		if t.Size > 0 {
			done = fmt.Sprintf("%3d%%", min(100, t.Bytes*100/t.Size))
		}
		lines = append(lines, fit(fmt.Sprintf("  %s of %11s  %s", done, bytesText(t.Size), printable(t.Path)), width))
	}
	return lines
}

// status is the progress in one line.
func status(s transfer.Snapshot, speed float64) string {
	total, more := s.TotalBytes, ""
	if !s.Listed {
		more = "+" // more may come
	}
	percent := ""
	if total > 0 && s.Listed {
		percent = fmt.Sprintf(" (%d%%)", min(100, s.Bytes*100/total))
	}
	parts := []string{fmt.Sprintf("%s of %s%s%s", bytesText(s.Bytes), bytesText(total), more, percent)}
	parts = append(parts, bytesText(int64(speed))+"/s", "ETA "+eta(s, speed))
	if s.TotalFiles > 0 || s.Copied > 0 { // else nothing is copied: a comparison, or deletes
		parts = append(parts, fmt.Sprintf("%d of %d%s files", s.Copied, s.TotalFiles, more))
	}
	for _, n := range []struct {
		n    int64
		what string
	}{{s.Same, "unchanged"}, {s.Differ, "different"}, {s.Missing + s.Extra, "missing"}, {s.Deleted, "deleted"}, {s.Errors, "failed"}} {
		if n.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n.n, n.what))
		}
	}
	return strings.Join(parts, ", ")
}

// eta is how long it will take; "-" if nobody can tell.
func eta(s transfer.Snapshot, speed float64) string {
	left := s.TotalBytes - s.Bytes
	if !s.Listed || speed < 1 || left < 0 || float64(left)/speed > 1e6 {
		return "-"
	}
	return time.Duration(float64(left) / speed * float64(time.Second)).Round(time.Second).String()
}

// files counts files.
func files(n int64) string {
	if n == 1 {
		return "1 file"
	}
	return fmt.Sprintf("%d files", n)
}

// summaryText tells what a call did, or would have done.
func summaryText(s transfer.Summary, took time.Duration, dry bool) string {
	var parts []string
	for _, n := range []struct {
		n          int64
		done, todo string
	}{
		{s.Copied, "copied", "to copy"}, {s.TimesSet, "with a new time only", "to get a new time only"}, {s.Deleted, "deleted", "to delete"},
		{s.BackedUp, "moved to the backup", "to move to the backup"}, {s.Same, "unchanged", "unchanged"},
		{s.Skipped, "left alone", "left alone"}, {s.Errors, "failed", "failed"},
	} {
		what := n.done
		if dry {
			what = n.todo
		}
		if n.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n.n, what))
		}
	}
	if parts == nil {
		parts = []string{"nothing to do"}
	}
	if s.Bytes > 0 {
		parts = append(parts, bytesText(s.Bytes))
	}
	return fmt.Sprintf("%s in %s", strings.Join(parts, ", "), took.Round(10*time.Millisecond))
}
