package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"
)

func newUmountCmd(g *globals) *cobra.Command {
	var timeout time.Duration
	c := &cobra.Command{
		Use:     "umount DIR",
		Aliases: []string{"unmount"},
		Short:   "Unmount, once everything is in S3",
		Long:    "Umount takes an s3mount away, and returns when its process has uploaded\neverything and ended; it fails if something could not be uploaded, and names it.\nWhile programs have files open there it fails, too, and changes nothing. The\nmount of a process that died is removed.",
		Args:    arguments(0, "DIR"),
		RunE: func(c *cobra.Command, args []string) error {
			ctx, done := g.untilSignal(c.Context())
			defer done()
			ctx, cancel := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("not ended within %v", timeout))
			defer cancel()
			return g.umount(ctx, args[0])
		},
	}
	c.Flags().DurationVar(&timeout, "timeout", 10*time.Minute, "how long to wait for the uploads")
	return c
}

func (g *globals) umount(ctx context.Context, dir string) error {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	// A mount that died can't be looked at: only its parent can.
	parent, err := filepath.EvalSymlinks(filepath.Dir(abs))
	if err != nil {
		return fmt.Errorf("%s is not a mount point: %w", dir, err)
	}
	real := filepath.Join(parent, filepath.Base(abs))
	if !isOurs(real) {
		if r, err := filepath.EvalSymlinks(real); err == nil {
			real = r
		}
	}
	switch kind := mountedOn(real); {
	case kind == "":
		return fmt.Errorf("%s is not a mount point: mount lists those that are", dir)
	case !isOurs(real):
		return fmt.Errorf("%s is a mount of %s, not of s3mount: use umount", dir, kind)
	}
	process, err := watchSession(real, g.getenv)
	if err != nil {
		return err
	}
	defer process.close()
	if err := unmount(real); err != nil {
		if errors.Is(err, unix.EBUSY) {
			return fmt.Errorf("%s is in use: close the files in it and leave the directory, then try again", dir)
		}
		return fmt.Errorf("unmount %s: %w", dir, err)
	}
	return process.wait(ctx)
}

// unmount takes a mount away, by itself or by fusermount3 where that needs a privilege.
func unmount(dir string) error {
	err := unix.Unmount(dir, unix.UMOUNT_NOFOLLOW)
	if !errors.Is(err, unix.EPERM) {
		return err
	}
	return fusermount("-u", dir)
}

// detachMount frees a mount's name while files in it are open.
func detachMount(dir string) error {
	err := unix.Unmount(dir, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW)
	if !errors.Is(err, unix.EPERM) {
		return err
	}
	return fusermount("-uz", dir)
}

func fusermount(flag, dir string) error {
	out, err := exec.Command("fusermount3", flag, "--", dir).CombinedOutput()
	if err != nil && strings.Contains(string(out), "busy") {
		return unix.EBUSY // fusermount3 tells by words only
	}
	if err != nil {
		return fmt.Errorf("fusermount3: %s", strings.TrimSpace(string(out)))
	}
	return nil
}
