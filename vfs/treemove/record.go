package treemove

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/s3mount/s3mount/internal/durable"
)

// phase is how far a move has come.
type phase string

const (
	copying  phase = "copying"  // not all copies stand: the move is undone
	deleting phase = "deleting" // all copies stand: the move is finished
)

// record is the durable note of a move. Its fields but path are what the file holds.
type record struct {
	path string // empty: it is not kept

	From   []byte    `json:"from"` // prefixes, as bytes: keys need not be UTF-8
	To     []byte    `json:"to"`
	Phase  phase     `json:"phase"`
	Marker bool      `json:"marker"` // the new prefix had a marker, which stays if the move is undone
	Time   time.Time `json:"time"`   // before the first copy
	// Ended is when a process gave the move up and lived on: what is younger is not the
	// move's. Zero: it did not.
	Ended time.Time `json:"ended,omitzero"`
	// Then are the moves that follow, see Chain.
	Then []step `json:"then,omitempty"`
	// Forward: the move is finished in either phase.
	Forward bool `json:"forward,omitempty"`
	// Swap: From and To are two objects that change places, see Mover.Swap.
	Swap *swap `json:"swap,omitempty"`

	Sum string `json:"sum"` // of the rest
}

// step is a move that follows another one.
type step struct {
	From []byte `json:"from"`
	To   []byte `json:"to"`
}

const recordSuffix = ".json"

var errDamaged = errors.New("the record of a folder's rename is damaged")

// sum is the checksum of all but itself.
func (r record) sum() (string, error) {
	r.Sum = ""
	data, err := json.Marshal(r)
	if err != nil {
		return "", err
	}
	s := sha256.Sum256(data)
	return hex.EncodeToString(s[:]), nil
}

// write makes the record durable.
func (m *Mover) write(r *record) (err error) {
	if r.path == "" {
		return nil
	}
	if err := m.sync(); err != nil {
		return err
	}
	if err := m.step("write record"); err != nil {
		return err
	}
	if r.Sum, err = r.sum(); err != nil {
		return err
	}
	data, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return durable.WriteFile(r.path, data)
}

// remove deletes the record. That need not be durable: a record that comes back finds
// nothing to do.
func (m *Mover) remove(r *record) error {
	if r.path == "" {
		return nil
	}
	if err := m.sync(); err != nil {
		return err
	}
	if err := m.step("remove record"); err != nil {
		return err
	}
	if err := os.Remove(r.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// sync makes durable what the store was told before a record says that it was.
func (m *Mover) sync() error {
	if m.o.Sync == nil {
		return nil
	}
	return m.o.Sync(context.Background())
}

func readRecord(path string) (*record, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	r := &record{}
	if err := json.Unmarshal(data, r); err != nil {
		return nil, fmt.Errorf("%w: %w", errDamaged, err)
	}
	if want, err := r.sum(); err != nil || r.Sum != want {
		return nil, fmt.Errorf("%w: its checksum is not right", errDamaged)
	}
	if r.Phase != copying && r.Phase != deleting || len(r.From) == 0 || len(r.To) == 0 {
		return nil, fmt.Errorf("%w: phase %q", errDamaged, r.Phase)
	}
	r.path = path
	return r, nil
}

// recordPaths lists the records in a directory, and deletes what a crash left unfinished.
func recordPaths(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var paths []string
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		switch {
		case strings.HasSuffix(path, durable.TempSuffix):
			if err := os.Remove(path); err != nil {
				return nil, err
			}
		case strings.HasSuffix(path, recordSuffix):
			paths = append(paths, path)
		}
	}
	return paths, nil
}
