package main

import (
	"context"
	"encoding/csv"
	"fmt"
	"mime"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/s3mount/s3mount/transfer"
)

type lsfOptions struct {
	jobFlags
	format, separator, hash, timeFormat        string
	dirsOnly, filesOnly, recursive, csv, slash bool
	absolute                                   bool
	depth                                      limit
}

func newLsfCmd(g *globals) *cobra.Command {
	var o lsfOptions
	c := &cobra.Command{
		Use:   "lsf PATH",
		Short: "List files and folders in a form for programs",
		Long: `Lsf lists what is in a path, one a line, in the order of the bytes of the names.
Folders end in "/". --format says what a line has:

  p  path         s  size in bytes, -1 for folders     t  time of the last modification
  h  MD5 sum      m  content type                      T  storage class, if it is not the default

t and m cost a request a file.` + pathHelp,
		Example: "  s3mount lsf -R --files-only --format tsp minio:photos",
		Args:    arguments(0, "PATH"),
		RunE: g.onFiles(&o.jobFlags, func(ctx context.Context, j *job, args []string) error {
			return j.lsf(ctx, args[0], &o)
		}),
	}
	f := c.Flags()
	f.StringVarP(&o.format, "format", "F", "p", "the `LETTERS` of what to show")
	f.StringVarP(&o.separator, "separator", "s", ";", "what stands between them")
	f.StringVar(&o.hash, "hash", "md5", "the sum that h shows: only md5 is there")
	f.StringVarP(&o.timeFormat, "time-format", "t", "", "`FORM` of times, by Go's reference time 2006-01-02 15:04:05, or RFC3339, max, …")
	f.BoolVar(&o.dirsOnly, "dirs-only", false, "list folders only")
	f.BoolVar(&o.filesOnly, "files-only", false, "list files only")
	f.BoolVarP(&o.recursive, "recursive", "R", false, "list what is in folders, too")
	f.BoolVar(&o.csv, "csv", false, "quote as CSV does; the separator is , then")
	f.BoolVarP(&o.slash, "dir-slash", "d", true, "end folders with /")
	f.BoolVar(&o.absolute, "absolute", false, "begin paths with /")
	o.addFlags(g, f)
	o.addFilterFlags(f)
	addDepth(c, &o.depth)
	return c
}

func (o *lsfOptions) validate() error {
	for _, letter := range o.format {
		if !strings.ContainsRune("psthmT", letter) {
			return usageError{fmt.Errorf("--format %q is wrong: it has a %q, and may have p, s, t, h, m and T", o.format, letter)}
		}
	}
	switch {
	case o.format == "":
		return usageError{fmt.Errorf("--format is empty: it may have p, s, t, h, m and T")}
	case !strings.EqualFold(o.hash, "md5"):
		return usageError{fmt.Errorf("--hash %q is wrong: it is md5", o.hash)}
	case o.dirsOnly && o.filesOnly:
		return usageError{fmt.Errorf("--dirs-only and --files-only together leave nothing")}
	}
	return nil
}

// timeForms are the names of forms that --time-format knows.
var timeForms = map[string]string{
	"max": "2006-01-02 15:04:05.000000000", "RFC3339": time.RFC3339, "RFC3339Nano": time.RFC3339Nano,
	"DateTime": time.DateTime, "DateOnly": time.DateOnly, "TimeOnly": time.TimeOnly, "ANSIC": time.ANSIC,
	"UnixDate": time.UnixDate, "RFC822": time.RFC822, "RFC1123": time.RFC1123, "": secondsForm,
}

func (j *job) lsf(ctx context.Context, arg string, o *lsfOptions) error {
	if err := o.validate(); err != nil {
		return err
	}
	form, ok := timeForms[o.timeFormat]
	if !ok {
		form = o.timeFormat
	}
	l := listed{depth: 1, dirs: !o.filesOnly, times: strings.ContainsAny(o.format, "tm")}
	if o.recursive {
		l.depth = 0
	}
	if o.depth.set {
		l.depth = int(o.depth.n)
	}
	var table *csv.Writer
	if o.csv {
		table = csv.NewWriter(j.out)
		if len(o.separator) == 1 && o.separator != ";" {
			table.Comma = rune(o.separator[0])
		}
	}
	return j.list(ctx, arg, l, func(p *place, f transfer.File) error {
		if o.dirsOnly && !f.Dir {
			return nil
		}
		cells, err := o.cells(ctx, p, f, form)
		if err != nil {
			return err
		}
		for i := range cells {
			cells[i] = j.shown(cells[i])
		}
		if table == nil {
			_, err = fmt.Fprintln(j.out, strings.Join(cells, o.separator))
			return outputError(err)
		}
		table.Write(cells) // what fails is in Error
		table.Flush()
		return outputError(table.Error())
	})
}

// cells are what a line shows.
func (o *lsfOptions) cells(ctx context.Context, p *place, f transfer.File, form string) (cells []string, err error) {
	for _, letter := range o.format {
		text := ""
		switch letter {
		case 'p':
			text = o.pathText(f)
		case 's':
			text = strconv.FormatInt(f.Size, 10)
			if f.Dir {
				text = "-1"
			}
		case 't':
			text = when(f.ModTime, form)
			if o.timeFormat == "unix" {
				text = strconv.FormatInt(f.ModTime.Unix(), 10)
			}
		case 'h':
			if text, err = md5Of(ctx, p, f); err != nil {
				return nil, err
			}
		case 'm':
			text = contentType(f)
		case 'T':
			text = f.Info.StorageClass
		}
		cells = append(cells, text)
	}
	return cells, nil
}

func (o *lsfOptions) pathText(f transfer.File) string {
	text := f.Path
	if f.Dir && o.slash {
		text += "/"
	}
	if o.absolute {
		text = "/" + text
	}
	return text
}

func contentType(f transfer.File) string {
	switch {
	case f.Dir:
		return "inode/directory"
	case f.Info.ContentType != "":
		return f.Info.ContentType
	}
	if t := mime.TypeByExtension(path.Ext(f.Path)); t != "" {
		return t
	}
	return "application/octet-stream"
}
