package vfs

import (
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// maxAbsent bounds the names that are known not to be there, beside those that a complete
// listing does not show.
const maxAbsent = 4096

// absentNames are names in large folders that the store did not have when it was asked.
// The zero value is empty. Guarded by FS.tree.
type absentNames struct {
	at *simplelru.LRU[absentName, time.Time]
}

type absentName struct {
	folder NodeID
	name   string
}

func (a *absentNames) add(folder NodeID, name string, at time.Time) {
	if a.at == nil {
		a.at, _ = simplelru.NewLRU[absentName, time.Time](maxAbsent, nil) // fails for sizes below 1 only
	}
	a.at.Add(absentName{folder, name}, at)
}

func (a *absentNames) get(folder NodeID, name string) (at time.Time, ok bool) {
	if a.at == nil {
		return at, false
	}
	return a.at.Get(absentName{folder, name})
}

func (a *absentNames) drop(folder NodeID, name string) {
	if a.at != nil {
		a.at.Remove(absentName{folder, name})
	}
}
