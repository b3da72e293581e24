package main

import (
	"slices"

	"github.com/s3mount/s3mount/config"
)

// draft is a remote while its questions are asked. Nothing of it is in the file before it
// is applied.
type draft struct {
	name   string
	exists bool // in the file
	keys   []string
	values map[string]string
}

// newDraft is a remote that is not in the file yet.
func newDraft(name string) *draft {
	d := &draft{name: name, values: map[string]string{}}
	d.set("type", "s3")
	return d
}

// draftOf is a remote of the file, with all its options, known or not.
func draftOf(f *config.File, name string) *draft {
	d := &draft{name: name, exists: true, values: map[string]string{}}
	for _, p := range f.Pairs(name) {
		d.set(p.Key, p.Value.Reveal())
	}
	return d
}

func (d *draft) set(key, value string) {
	if !slices.Contains(d.keys, key) {
		d.keys = append(d.keys, key)
	}
	d.values[key] = value
}

func (d *draft) isSet(key string) bool { return slices.Contains(d.keys, key) }

// apply brings the draft into the file, in memory. On an error the file is not to be
// saved.
func (d *draft) apply(f *config.File) error {
	if !d.exists {
		if err := f.Create(d.name); err != nil {
			return err
		}
	}
	before := map[string]string{}
	for _, p := range f.Pairs(d.name) {
		before[p.Key] = p.Value.Reveal()
	}
	for _, key := range d.keys {
		if old, ok := before[key]; ok && old == d.values[key] {
			continue
		}
		if err := f.Set(d.name, key, d.values[key]); err != nil {
			return err
		}
	}
	return nil
}
