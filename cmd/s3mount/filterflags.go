package main

import (
	"fmt"
	"io"
	"os"

	"github.com/spf13/pflag"

	"github.com/s3mount/s3mount/transfer"
)

// filterFlags choose files. Names and order are rclone's.
type filterFlags struct {
	include, includeFrom, exclude, excludeFrom, filter, filterFrom []string
	filesFrom, filesFromRaw                                        []string
	minSize, maxSize                                               kibSize
	minAge, maxAge                                                 age
}

func (o *filterFlags) addFlags(f *pflag.FlagSet) {
	f.StringArrayVar(&o.include, "include", nil, "take only files that match `PATTERN`; may be repeated, as all of these")
	f.StringArrayVar(&o.includeFrom, "include-from", nil, "the same with the patterns in `FILE`, one a line; - is standard input")
	f.StringArrayVar(&o.exclude, "exclude", nil, "leave files out that match `PATTERN`")
	f.StringArrayVar(&o.excludeFrom, "exclude-from", nil, "the same with the patterns in `FILE`")
	f.StringArrayVarP(&o.filter, "filter", "f", nil, "`RULE` + PATTERN or - PATTERN: the first one that matches a file decides")
	f.StringArrayVar(&o.filterFrom, "filter-from", nil, "the same with the rules in `FILE`")
	f.StringArrayVar(&o.filesFrom, "files-from", nil, "take exactly the files listed in `FILE`, and ask for nothing else")
	f.StringArrayVar(&o.filesFromRaw, "files-from-raw", nil, "the same, each line of `FILE` as it is: without comments")
	f.Var(&o.minSize, "min-size", "leave smaller files out: `SIZE` in KiB, or with a unit as in 10M")
	f.Var(&o.maxSize, "max-size", "leave larger files out: `SIZE` in KiB, or with a unit as in 10M")
	f.Var(&o.minAge, "min-age", "leave files out that changed within `AGE`, 30m or 2d or since a date")
	f.Var(&o.maxAge, "max-age", "leave files out that did not change within `AGE`")
}

// build makes the filter that the flags describe. Files are read here.
func (o *filterFlags) build(stdin io.Reader) (*transfer.Filter, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	f := &transfer.Filter{MinAge: o.minAge.Duration, MaxAge: o.maxAge.Duration}
	if o.minSize.set {
		f.MinSize = &o.minSize.bytes
	}
	if o.maxSize.set {
		f.MaxSize = &o.maxSize.bytes
	}
	raw := func(r io.Reader) error { return f.ReadFiles(r, true) }
	plain := func(r io.Reader) error { return f.ReadFiles(r, false) }
	for _, flag := range []struct {
		name   string
		values []string
		add    func(string) error
		read   func(io.Reader) error
	}{
		{"include", o.include, f.Include, nil},
		{"include-from", o.includeFrom, nil, f.ReadIncludes},
		{"exclude", o.exclude, f.Exclude, nil},
		{"exclude-from", o.excludeFrom, nil, f.ReadExcludes},
		{"filter", o.filter, f.AddRule, nil},
		{"filter-from", o.filterFrom, nil, f.ReadRules},
		{"files-from", o.filesFrom, nil, plain},
		{"files-from-raw", o.filesFromRaw, nil, raw},
	} {
		for _, v := range flag.values {
			add := flag.add
			if flag.read != nil {
				add = func(path string) error { return readList(path, stdin, flag.read) }
			}
			if err := add(v); err != nil {
				return nil, usageError{fmt.Errorf("--%s %q: %w", flag.name, v, err)}
			}
		}
	}
	return f, nil
}

// validate refuses flags that contradict each other.
func (o *filterFlags) validate() error {
	rules := len(o.include) + len(o.includeFrom) + len(o.exclude) + len(o.excludeFrom) + len(o.filter) + len(o.filterFrom)
	switch {
	case len(o.filesFrom)+len(o.filesFromRaw) > 0 && rules > 0:
		return usageError{fmt.Errorf("--files-from names the files exactly: it can't go with --include, --exclude or --filter")}
	case o.minSize.set && o.maxSize.set && o.minSize.bytes > o.maxSize.bytes:
		return usageError{fmt.Errorf("--min-size %s is more than --max-size %s: no file is left", o.minSize, o.maxSize)}
	case o.minAge.set && o.maxAge.set && o.minAge.Duration > o.maxAge.Duration:
		return usageError{fmt.Errorf("--min-age %s is more than --max-age %s: no file is left", o.minAge, o.maxAge)}
	}
	return nil
}

func readList(path string, stdin io.Reader, read func(io.Reader) error) error {
	if path == "-" {
		if stdin == nil {
			return fmt.Errorf("there is no standard input")
		}
		return read(stdin)
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return read(f)
}
