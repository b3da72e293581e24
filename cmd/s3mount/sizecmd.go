package main

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/s3mount/s3mount/transfer"
)

// sizeReport is what size --json prints.
type sizeReport struct {
	Count    int64  `json:"count"`
	Bytes    int64  `json:"bytes"`
	Sizeless int64  `json:"sizeless"` // for rclone's readers: files in S3 all have a size
	Path     string `json:"fs"`
}

func newSizeCmd(g *globals) *cobra.Command {
	var o jobFlags
	var asJSON bool
	c := &cobra.Command{
		Use:   "size PATH",
		Short: "Count files and add up their sizes",
		Long:  "Size tells how many files there are below a path, and how many bytes they have in\nall." + pathHelp,
		Args:  arguments(0, "PATH"),
		RunE: g.onFiles(&o, func(ctx context.Context, j *job, args []string) error {
			return j.size(ctx, args[0], asJSON)
		}),
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	o.addFlags(g, c.Flags())
	o.addFilterFlags(c.Flags())
	return c
}

func (j *job) size(ctx context.Context, arg string, asJSON bool) error {
	var r sizeReport
	err := j.list(ctx, arg, listed{}, func(p *place, f transfer.File) error {
		r.Count++
		r.Bytes += f.Size
		return nil
	})
	if err != nil {
		return err
	}
	if asJSON {
		p, err := parseArg(arg)
		if err != nil {
			return err
		}
		r.Path = p.String()
		return outputError(json.NewEncoder(j.out).Encode(r))
	}
	exact := ""
	if r.Count >= 1000 {
		exact = fmt.Sprintf(" (%d)", r.Count)
	}
	_, err = fmt.Fprintf(j.out, "Total objects: %s%s\nTotal size: %s (%d Byte)\n", countText(r.Count), exact, bytesText(r.Bytes), r.Bytes)
	return outputError(err)
}
