package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/s3mount/s3mount/object"
	"github.com/s3mount/s3mount/transfer"
)

// transferFlags are what the commands take that change files.
type transferFlags struct {
	jobFlags
	dryRun, interactive bool
	progress            bool
	stats               time.Duration
	transfers, retries  count

	sizeOnly, checksum, update, ignoreExisting, ignoreTimes, immutable bool
	modifyWindow                                                       time.Duration
	deleteExcluded                                                     bool
	maxDelete                                                          limit
	backupDir                                                          string
	errorOnNothing                                                     bool
}

// addRunFlags adds what every command takes that changes files.
func (o *transferFlags) addRunFlags(g *globals, f *pflag.FlagSet) {
	o.retries, o.stats = 3, time.Minute
	f.BoolVarP(&o.dryRun, "dry-run", "n", false, "tell what would be done, and do nothing")
	f.BoolVarP(&o.interactive, "interactive", "i", false, "ask before each file")
	f.BoolVarP(&o.progress, "progress", "P", false, "show the progress: on a terminal all the time, else as a line each --stats")
	f.DurationVar(&o.stats, "stats", o.stats, "how often -P or -v write a line with the progress; 0 is never")
	f.Var(&o.retries, "retries", "how often files that failed are tried in all")
	o.addFlags(g, f)
	o.addFilterFlags(f)
}

// addCompareFlags adds what tells how files are compared.
func (o *transferFlags) addCompareFlags(f *pflag.FlagSet) {
	f.BoolVar(&o.sizeOnly, "size-only", false, "files of the same size are the same")
	f.BoolVarP(&o.checksum, "checksum", "c", false, "compare sizes and MD5 sums, not times")
	f.DurationVar(&o.modifyWindow, "modify-window", time.Nanosecond, "differences of times up to this are none")
}

// addCopyFlags adds what tells which files are copied, and how.
func (o *transferFlags) addCopyFlags(f *pflag.FlagSet) {
	o.transfers = defaultTransfers
	f.Var(&o.transfers, "transfers", "how many files are copied at a time; rclone has 4")
	f.BoolVarP(&o.update, "update", "u", false, "leave files alone that are newer in the destination")
	f.BoolVar(&o.ignoreExisting, "ignore-existing", false, "leave every file alone that is in the destination")
	f.BoolVarP(&o.ignoreTimes, "ignore-times", "I", false, "copy every file, whatever its size and time are")
	f.BoolVar(&o.immutable, "immutable", false, "fail for files that are in the destination and differ")
	f.StringVar(&o.backupDir, "backup-dir", "", "move what would be overwritten or deleted to `PATH`")
	f.BoolVar(&o.errorOnNothing, "error-on-no-transfer", false, "exit with 9 if no file had to be copied")
	f.BoolVarP(&o.copyLinks, "copy-links", "L", false, "follow symbolic links; otherwise they are passed over")
	o.addCompareFlags(f)
}

// addDeleteFlags adds what bounds what a command deletes.
func (o *transferFlags) addDeleteFlags(f *pflag.FlagSet) {
	f.Var(&o.maxDelete, "max-delete", "delete nothing if there are more than `N` files to delete")
}

func (o *transferFlags) validate() error {
	switch {
	case o.stats < 0:
		return usageError{fmt.Errorf("--stats %v is negative: it is a time like 10s, or 0 for never", o.stats)}
	case o.modifyWindow < 0:
		return usageError{fmt.Errorf("--modify-window %v is negative: it is a time like 1s", o.modifyWindow)}
	case o.sizeOnly && o.checksum:
		return usageError{errors.New("--size-only and --checksum contradict each other")}
	case o.dryRun && o.interactive:
		return usageError{errors.New("--dry-run and --interactive contradict each other")}
	}
	return nil
}

// options makes the options of package transfer of the flags, for a call on some places.
func (j *job) options(ctx context.Context, o *transferFlags, places ...*place) (transfer.Options, error) {
	filter, err := o.filter.build(j.input())
	if err != nil {
		return transfer.Options{}, err
	}
	t := transfer.Options{
		Transfers: int(o.transfers), Checkers: int(o.checkers), Filter: filter, Fast: o.fastList,
		SizeOnly: o.sizeOnly, Checksum: o.checksum, Update: o.update, IgnoreExisting: o.ignoreExisting,
		IgnoreTimes: o.ignoreTimes, Immutable: o.immutable, ModifyWindow: o.modifyWindow,
		DeleteExcluded: o.deleteExcluded, DryRun: o.dryRun, Retries: int(o.retries),
		Report: func(a transfer.Action) {
			if !j.sideFailed(a, places) {
				j.report(a, o.dryRun)
			}
		},
		Stats: transfer.NewStats(), Log: j.log,
	}
	if o.maxDelete.set {
		t.MaxDelete = &o.maxDelete.n
	}
	if o.interactive {
		t.Confirm = j.confirm(ctx)
	}
	if o.backupDir != "" {
		p, err := j.open(ctx, o.backupDir, wantTarget)
		if err != nil {
			return t, fmt.Errorf("--backup-dir: %w", err)
		}
		t.BackupDir = p.root
	}
	return t, nil
}

// sideFailed keeps the failure to list a whole side for the end of the command.
func (j *job) sideFailed(a transfer.Action, places []*place) bool {
	if a.Op != transfer.OpFailed {
		return false
	}
	for _, p := range places {
		if a.Path == p.String() {
			j.mu.Lock()
			defer j.mu.Unlock()
			j.mu.sides = append(j.mu.sides, p.explain(a.Err))
			return true
		}
	}
	return false
}

// report tells of one action that is done, would be done, or failed.
func (j *job) report(a transfer.Action, dry bool) {
	path := fmt.Sprintf("%q", a.Path)
	switch {
	case a.Op == transfer.OpFailed && a.Err != nil:
		j.log.Error(fmt.Sprintf("%s: %s", path, withHint(brief(a.Err))))
	case a.Err != nil:
		j.log.Error(fmt.Sprintf("%s %s: %s", a.Op, path, withHint(brief(a.Err))))
	case a.Op == transfer.OpSkip || a.Op == transfer.OpSame:
		j.log.Debug(fmt.Sprintf("%s left alone: %s", path, reason(a)))
	case dry:
		j.notice("would %s%s", wouldText(a.Op, path), because(a))
	default:
		j.log.Info(fmt.Sprintf("%s %s%s", pastOf[a.Op], path, because(a)))
	}
}

// pastOf says that an action is done.
var pastOf = map[transfer.Op]string{
	transfer.OpCopy: "copied", transfer.OpSetTime: "set the time of", transfer.OpDelete: "deleted",
	transfer.OpBackup: "moved to the backup", transfer.OpMkdir: "made the folder", transfer.OpRmdir: "removed the folder",
}

// wouldText says what a dry run would do.
func wouldText(op transfer.Op, path string) string {
	switch op {
	case transfer.OpSetTime:
		return "set the time of " + path
	case transfer.OpBackup:
		return "move " + path + " to the backup"
	case transfer.OpMkdir, transfer.OpRmdir:
		return strings.Replace(op.String(), " folder", " the folder "+path, 1)
	}
	return op.String() + " " + path
}

func reason(a transfer.Action) string {
	if a.Why == "" {
		return "the same"
	}
	return a.Why
}

func because(a transfer.Action) string {
	text := ""
	if a.Op == transfer.OpCopy {
		text = " (" + bytesText(a.Src.Size) + ")"
	}
	if a.Why != "" {
		text += ": " + a.Why
	}
	return text
}

// confirm asks before each action.
func (j *job) confirm(ctx context.Context) func(transfer.Action) (bool, error) {
	var in *bufio.Reader
	always := map[transfer.Op]bool{}
	return func(a transfer.Action) (bool, error) {
		if answer, ok := always[a.Op]; ok {
			return answer, nil
		}
		if in == nil {
			if j.stdin == nil {
				return false, errNoAnswer
			}
			r, err := newCancelReader(ctx, j.stdin)
			if err != nil {
				return false, err
			}
			in = bufio.NewReader(r)
		}
		for {
			fmt.Fprintf(j.screen, "s3mount: %s %q%s?\n  y yes, n no, s skip all of this kind, ! do all of this kind, q quit [y]: ", a.Op, a.Path, because(a))
			line, err := in.ReadString('\n')
			if err != nil {
				return false, errNoAnswer
			}
			switch answer := trimAnswer(line); answer {
			case "y", "":
				return true, nil
			case "n":
				return false, nil
			case "s", "!":
				always[a.Op] = answer == "!"
				return answer == "!", nil
			case "q":
				return false, errStopped
			}
		}
	}
}

var (
	errNoAnswer = object.Errorf(object.KindCanceled, "--interactive", "", "there is nobody to answer: standard input is at its end")
	errStopped  = object.Errorf(object.KindCanceled, "--interactive", "", "quit")
)
