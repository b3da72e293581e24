package vfs

import (
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// maxNameTimes bounds the names of which a nameTimes knows.
const maxNameTimes = 4096

// nameTimes are names of which something was learned at a time: those that were learned
// last. The zero value is empty. Guarded by FS.tree.
type nameTimes struct {
	at *simplelru.LRU[nameIn, time.Time]
}

type nameIn struct {
	folder NodeID
	name   string
}

func (a *nameTimes) add(folder NodeID, name string, at time.Time) {
	if a.at == nil {
		a.at, _ = simplelru.NewLRU[nameIn, time.Time](maxNameTimes, nil) // fails for sizes below 1 only
	}
	a.at.Add(nameIn{folder, name}, at)
}

func (a *nameTimes) get(folder NodeID, name string) (at time.Time, ok bool) {
	if a.at == nil {
		return at, false
	}
	return a.at.Get(nameIn{folder, name})
}

func (a *nameTimes) drop(folder NodeID, name string) {
	if a.at != nil {
		a.at.Remove(nameIn{folder, name})
	}
}
