package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/s3mount/s3mount/object"
	"github.com/s3mount/s3mount/transfer"
)

type catOptions struct {
	jobFlags
	head, tail    limit
	offset, count int64
	separator     string
}

func newCatCmd(g *globals) *cobra.Command {
	o := catOptions{count: -1}
	c := &cobra.Command{
		Use:   "cat PATH",
		Short: "Print files",
		Long: `Cat writes a file to standard output or, of a folder, all files in it one after another,
in order. Of a large file in S3 only what is asked for is fetched.` + pathHelp,
		Args: arguments(0, "PATH"),
		RunE: g.onFiles(&o.jobFlags, func(ctx context.Context, j *job, args []string) error {
			return j.cat(ctx, args[0], &o)
		}),
	}
	f := c.Flags()
	f.Var(&o.head, "head", "print the first `N` bytes of each file")
	f.Var(&o.tail, "tail", "print the last `N` bytes of each file")
	f.Int64Var(&o.offset, "offset", 0, "begin at byte `N`; from the end if negative")
	f.Int64Var(&o.count, "count", -1, "print at most `N` bytes of each file")
	f.StringVar(&o.separator, "separator", "", "`TEXT` to print between files")
	o.addFlags(g, f)
	o.addFilterFlags(f)
	return c
}

func (o *catOptions) validate() error {
	ways := 0
	for _, used := range []bool{o.head.set, o.tail.set, o.offset != 0 || o.count >= 0} {
		if used {
			ways++
		}
	}
	if ways > 1 {
		return usageError{errors.New("--head, --tail and --offset with --count exclude each other")}
	}
	return nil
}

// part returns which bytes of a file of a size are printed.
func (o *catOptions) part(size int64) object.Range {
	from, n := o.offset, o.count
	switch {
	case o.head.set:
		from, n = 0, o.head.n
	case o.tail.set:
		from, n = max(0, size-o.tail.n), o.tail.n
	case from < 0:
		from = max(0, size+from)
	}
	from = min(from, size)
	if n < 0 || n > size-from {
		n = size - from
	}
	return object.Range{Off: from, Len: n}
}

func (j *job) cat(ctx context.Context, arg string, o *catOptions) error {
	if err := o.validate(); err != nil {
		return err
	}
	first := true
	return j.list(ctx, arg, listed{}, func(p *place, f transfer.File) error {
		if !first {
			if _, err := io.WriteString(j.out, o.separator); err != nil {
				return outputError(err)
			}
		}
		first = false
		if err := j.catFile(ctx, p, f, o.part(f.Size)); err != nil {
			return fmt.Errorf("%q: %w", f.Path, withHint(brief(err)))
		}
		return nil
	})
}

func (j *job) catFile(ctx context.Context, p *place, f transfer.File, r object.Range) error {
	if r.Len == 0 {
		return nil
	}
	body, err := p.root.Open(ctx, f, r)
	if err != nil {
		return err
	}
	defer body.Close()
	_, err = io.Copy(outputWriter{j.out}, body)
	return err
}

// outputWriter names standard output in its errors.
type outputWriter struct{ w io.Writer }

func (o outputWriter) Write(p []byte) (int, error) {
	n, err := o.w.Write(p)
	return n, outputError(err)
}
