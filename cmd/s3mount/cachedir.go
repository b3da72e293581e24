package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// maxMounts bounds how many mounts of one bucket have a folder in one cache.
const maxMounts = 64

// cacheFolder is a mount's own folder in --cache-dir. A second mount of the same bucket
// takes another one, so that no two processes write to one.
type cacheFolder struct {
	path string
	lock *os.File
}

// openCache finds or makes the folder of a mount and locks it. id names what is mounted.
func openCache(dir, id string) (*cacheFolder, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, cacheError(dir, err)
	}
	for _, path := range folderPaths(dir, folderName(id)) {
		c, err := lockFolder(path)
		if errors.Is(err, unix.EWOULDBLOCK) {
			continue
		}
		if err != nil {
			return nil, cacheError(dir, err)
		}
		return c, nil
	}
	return nil, fmt.Errorf("--cache-dir %s: %d mounts of this bucket use it already", dir, maxMounts)
}

// folderName is the name of the folder of what id names; others have a number behind it.
func folderName(id string) string {
	sum := sha256.Sum256([]byte(id))
	return hex.EncodeToString(sum[:8])
}

// folderPaths lists the folders that mounts of one bucket may have, those first in which
// changes wait to be uploaded.
func folderPaths(dir, name string) (paths []string) {
	var others []string
	for i := range maxMounts {
		path := filepath.Join(dir, "mounts", name)
		if i > 0 {
			path += fmt.Sprintf("-%d", i)
		}
		if hasJournal(path) {
			paths = append(paths, path)
		} else {
			others = append(others, path)
		}
	}
	return append(paths, others...)
}

func lockFolder(path string) (*cacheFolder, error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(path, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		return nil, err
	}
	return &cacheFolder{path: path, lock: f}, nil
}

func cacheError(dir string, err error) error {
	var p *os.PathError
	if errors.As(err, &p) {
		err = p.Err
	}
	switch {
	case errors.Is(err, unix.ENOSPC), errors.Is(err, unix.EDQUOT):
		return fmt.Errorf("--cache-dir %s: its disk is full: free space there, or choose another directory", dir)
	default:
		return fmt.Errorf("--cache-dir %s can't be written: %w: choose another directory", dir, err)
	}
}

// Close unlocks the folder; what is cached stays for the next mount.
func (c *cacheFolder) Close() { c.lock.Close() }

// folderOwner is what a mount writes into its folder for s3mount cache.
type folderOwner struct {
	Remote string `json:"remote"`
	Dir    string `json:"mountpoint"`
}

const ownerFile = "mount.json"

// describe notes what the folder is for. Without that, s3mount cache shows less.
func (c *cacheFolder) describe(o folderOwner) error {
	b, err := json.Marshal(o)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(c.path, ownerFile), append(b, '\n'), 0o600)
}

// floorShare is the part of a disk that the default floor takes at most: one in so many.
const floorShare = 20

// floor is how much free space the cache leaves on the folder's disk, of which want were
// asked for. On a small disk that would be no cache at all.
func (c *cacheFolder) floor(want size) int64 {
	var st unix.Statfs_t
	if err := unix.Statfs(c.path, &st); err != nil {
		return int64(want)
	}
	return min(int64(want), int64(st.Blocks)*st.Frsize/floorShare)
}

// probe finds out whether the folder's disk takes data at all.
func (c *cacheFolder) probe() error {
	path := filepath.Join(c.path, "probe")
	defer os.Remove(path)
	if err := os.WriteFile(path, make([]byte, 64<<10), 0o600); err != nil {
		return cacheError(c.path, err)
	}
	return nil
}
