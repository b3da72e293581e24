package main

import (
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/s3mount/s3mount/object"
	"github.com/s3mount/s3mount/transfer"
)

// account is the endpoint of all buckets of a remote.
func (j *job) account(p place) transfer.Endpoint {
	return transfer.NewAccount(transfer.AccountOptions{
		Name: p.String(),
		List: func(ctx context.Context) ([]transfer.File, error) {
			found, err := p.client.ListBuckets(ctx)
			if err != nil {
				return nil, err
			}
			list := make([]transfer.File, 0, len(found))
			for _, b := range found {
				list = append(list, transfer.File{Path: b.Name, Dir: true, Size: -1, ModTime: b.Created})
			}
			return list, nil
		},
		Open: func(name string) (transfer.Endpoint, error) {
			b, err := p.client.Bucket(name, "")
			if err != nil {
				return nil, err
			}
			return j.endpoint(&p, b, "")
		},
	})
}

// listed is what a listing command asks for.
type listed struct {
	depth int // 0: all
	dirs  bool
	times bool // true times, also where each costs a request
}

// list walks what the argument of a listing command names, and calls show for each file
// and folder in order.
func (j *job) list(ctx context.Context, arg string, l listed, show func(p *place, f transfer.File) error) error {
	p, err := j.open(ctx, arg, wantAccount)
	if err != nil {
		return err
	}
	filter, err := j.flags.filter.build(j.input())
	if err != nil {
		return err
	}
	if p.file != "" {
		filter.Files(p.file)
	}
	var all iter.Seq2[transfer.File, error] = transfer.List(ctx, p.root, transfer.WalkOptions{
		Depth: l.depth, Dirs: l.dirs, Fast: j.flags.fastList,
	}, filter)
	if l.times {
		all = transfer.WithTimes(ctx, p.root, all, int(j.flags.checkers))
	}
	var failed int64
	for f, err := range all {
		switch {
		case err != nil:
			return p.explain(err)
		case f.Err != nil:
			failed++
			j.log.Error(fmt.Sprintf("%q: %s", f.Path, withHint(brief(f.Err))))
			continue
		}
		if err := show(&p, f); err != nil {
			return err
		}
	}
	if failed > 0 {
		what := "1 file or folder"
		if failed > 1 {
			what = fmt.Sprintf("%d files or folders", failed)
		}
		return fmt.Errorf("%s: %s could not be listed", &p, what)
	}
	return nil
}

// defaultTime is shown where a folder has no time, as rclone does.
var defaultTime = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

const (
	secondsForm = "2006-01-02 15:04:05"
	nanosForm   = "2006-01-02 15:04:05.000000000"
)

// when writes a time for people, in the local zone.
func when(t time.Time, form string) string {
	if t.IsZero() {
		t = defaultTime
	}
	return t.Local().Format(form)
}

// md5Of returns the MD5 sum of a file, empty where there is none.
func md5Of(ctx context.Context, p *place, f transfer.File) (string, error) {
	if f.Dir || f.MD5 != "" || !p.local && p.bucket == nil {
		return f.MD5, nil
	}
	sum, err := transfer.MD5(ctx, p.root, f)
	if object.Is(err, object.KindNotFound) { // gone since it was listed
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("MD5 of %q: %w", f.Path, err)
	}
	return sum, nil
}
