package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/s3mount/s3mount/s3remote"
	"github.com/s3mount/s3mount/transfer"
)

type restoreOptions struct {
	jobFlags
	days   count
	tier   string
	dryRun bool
}

func newRestoreCmd(g *globals) *cobra.Command {
	o := restoreOptions{days: 1, tier: "Standard"}
	c := &cobra.Command{
		Use:   "restore remote:bucket/path",
		Short: "Make archived files readable",
		Long: `Restore asks the store to bring files back from an archive (GLACIER, DEEP_ARCHIVE), so
that they can be read for some days. That takes minutes to days, by the tier: Expedited,
Standard or Bulk. Files in no archive are left alone; running it again tells how far
those are that are on their way, with -v.`,
		Example: "  s3mount restore --days 7 --tier Bulk aws:backup/2019",
		Args:    arguments(0, "remote:bucket/path"),
		RunE: g.onFiles(&o.jobFlags, func(ctx context.Context, j *job, args []string) error {
			return j.restore(ctx, args[0], &o)
		}),
	}
	f := c.Flags()
	f.Var(&o.days, "days", "for how many `DAYS` they can be read then")
	f.StringVar(&o.tier, "tier", o.tier, "how fast: Expedited, Standard or Bulk")
	addDryRun(c, &o.dryRun)
	o.addFlags(g, f)
	o.addFilterFlags(f)
	return c
}

// tiers are the values of --tier.
var tiers = []string{"Expedited", "Standard", "Bulk"}

func (o *restoreOptions) validate() error {
	for _, t := range tiers {
		if strings.EqualFold(t, o.tier) {
			return nil
		}
	}
	return usageError{fmt.Errorf("--tier %q is wrong: it is Expedited, Standard or Bulk", o.tier)}
}

func (j *job) restore(ctx context.Context, arg string, o *restoreOptions) error {
	if err := o.validate(); err != nil {
		return err
	}
	if isLocal(arg) {
		return usageError{fmt.Errorf("%s is a local path: only what is in S3 can be archived", arg)}
	}
	if p, err := parseArg(arg); err == nil && p.remote.Bucket == "" {
		return usageError{fmt.Errorf("%s names no bucket: write %sbucket", p, p)}
	}
	var asked, underWay, readable, failed atomic.Int64
	group, _ := errgroup.WithContext(ctx)
	group.SetLimit(int(o.checkers))
	err := j.list(ctx, arg, listed{}, func(p *place, f transfer.File) error {
		if !archived(f.Info.StorageClass) {
			return nil
		}
		key := f.Info.Key
		group.Go(func() error {
			what, err := j.restoreOne(ctx, p, key, o)
			switch {
			case err != nil:
				failed.Add(1)
				j.log.Error(fmt.Sprintf("restore %q: %s", f.Path, withHint(brief(err))))
			case what == asking:
				asked.Add(1)
			case what == s3remote.Restoring.String():
				underWay.Add(1)
				j.log.Info(fmt.Sprintf("%q: %s", f.Path, what))
			default:
				readable.Add(1)
				j.log.Info(fmt.Sprintf("%q: %s", f.Path, what))
			}
			return nil
		})
		return nil
	})
	if err := errors.Join(err, group.Wait()); err != nil {
		return err
	}
	verb := "asked for"
	if o.dryRun {
		verb = "would ask for"
	}
	summary := fmt.Sprintf("%s %s, %d on their way, %d readable", verb, files(asked.Load()), underWay.Load(), readable.Load())
	if n := failed.Load(); n > 0 {
		return fmt.Errorf("%s of the archive could not be restored; %s", files(n), summary)
	}
	j.notice("%s", summary)
	return nil
}

// archived reports whether files of a storage class can't be read at once.
func archived(class string) bool {
	switch class {
	case "GLACIER", "DEEP_ARCHIVE", "INTELLIGENT_TIERING":
		return true
	}
	return false
}

// asking is what restoreOne says of a file that it asked for.
const asking = "asked"

func (j *job) restoreOne(ctx context.Context, p *place, key string, o *restoreOptions) (string, error) {
	st, err := p.bucket.RestoreStatus(ctx, key)
	if err != nil {
		return "", err
	}
	switch st.State {
	case s3remote.Archived:
	case s3remote.Restored:
		if st.Until.IsZero() {
			return st.State.String(), nil
		}
		return fmt.Sprintf("%s until %s", st.State, when(st.Until, secondsForm)), nil
	default:
		return st.State.String(), nil
	}
	if o.dryRun {
		return asking, nil
	}
	options := s3remote.RestoreOptions{Days: int(o.days), Tier: o.tier}
	if st.Class == "INTELLIGENT_TIERING" {
		options.Days = 0 // the store moves it back by itself
	}
	_, err = p.bucket.Restore(ctx, key, options)
	return asking, err
}
