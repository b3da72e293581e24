package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/s3mount/s3mount/transfer"
)

// pathHelp is what the help of each command on files says about its arguments.
const pathHelp = `

A path is remote:, remote:bucket or remote:bucket/path, where remote is a section of
the config file; :s3,endpoint=…:bucket needs no config file; all else is local. Before
a local name with a colon in it, write ./`

func newLsCmd(g *globals) *cobra.Command {
	var o jobFlags
	var depth limit
	c := &cobra.Command{
		Use:   "ls PATH",
		Short: "List files with their sizes",
		Long:  "Ls lists all files below a path, one a line: size in bytes, and path." + pathHelp,
		Args:  arguments(0, "PATH"),
		RunE: g.onFiles(&o, func(ctx context.Context, j *job, args []string) error {
			return j.list(ctx, args[0], listed{depth: int(depth.n)}, func(_ *place, f transfer.File) error {
				_, err := fmt.Fprintf(j.out, "%9d %s\n", f.Size, j.shown(f.Path))
				return outputError(err)
			})
		}),
	}
	o.addFlags(g, c.Flags())
	o.addFilterFlags(c.Flags())
	addDepth(c, &depth)
	return c
}

func newLslCmd(g *globals) *cobra.Command {
	var o jobFlags
	var depth limit
	c := &cobra.Command{
		Use:   "lsl PATH",
		Short: "List files with their sizes and times",
		Long: "Lsl lists all files below a path, one a line: size in bytes, time of the last\nmodification to the nanosecond, and path. S3 tells those times one by one, which\ncosts a request a file." +
			pathHelp,
		Args: arguments(0, "PATH"),
		RunE: g.onFiles(&o, func(ctx context.Context, j *job, args []string) error {
			return j.list(ctx, args[0], listed{depth: int(depth.n), times: true}, func(_ *place, f transfer.File) error {
				_, err := fmt.Fprintf(j.out, "%9d %s %s\n", f.Size, when(f.ModTime, nanosForm), j.shown(f.Path))
				return outputError(err)
			})
		}),
	}
	o.addFlags(g, c.Flags())
	o.addFilterFlags(c.Flags())
	addDepth(c, &depth)
	return c
}

func newLsdCmd(g *globals) *cobra.Command {
	var o jobFlags
	var depth limit
	var recursive bool
	c := &cobra.Command{
		Use:   "lsd PATH",
		Short: "List folders, or the buckets of a remote",
		Long:  "Lsd lists the folders in a path, or the buckets of remote: with the dates at which\nthey were made." + pathHelp,
		Args:  arguments(0, "PATH"),
		RunE: g.onFiles(&o, func(ctx context.Context, j *job, args []string) error {
			l := listed{depth: 1, dirs: true}
			if recursive {
				l.depth = 0
			}
			if depth.set {
				l.depth = int(depth.n)
			}
			return j.list(ctx, args[0], l, func(p *place, f transfer.File) error {
				if !f.Dir {
					return nil
				}
				_, err := fmt.Fprintf(j.out, "%12d %13s %9d %s\n", folderSize(p, f), when(f.ModTime, secondsForm), -1, j.shown(f.Path))
				return outputError(err)
			})
		}),
	}
	c.Flags().BoolVarP(&recursive, "recursive", "R", false, "list the folders in folders, too")
	o.addFlags(g, c.Flags())
	o.addFilterFlags(c.Flags())
	addDepth(c, &depth)
	return c
}

func addDepth(c *cobra.Command, depth *limit) {
	c.Flags().Var(depth, "max-depth", "go down `N` levels at most; 1 is what is directly in the path")
}

// folderSize is what lsd shows as a folder's size: that of the inode of a local one.
func folderSize(p *place, f transfer.File) int64 {
	if p.local {
		if fi, err := os.Lstat(filepath.Join(p.arg, f.Path)); err == nil {
			return fi.Size()
		}
	}
	return f.Size
}
