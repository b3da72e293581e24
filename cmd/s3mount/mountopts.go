package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/pflag"
)

// mountOptions are the flags of mount, and of what mounts for itself.
type mountOptions struct {
	daemon       bool
	readOnly     bool
	writeback    bool
	serverTime   bool
	allowOther   bool
	nonEmpty     bool
	uid, gid     uint32
	umask        octal
	fileMode     octal
	dirMode      octal
	dirCacheTime time.Duration
	attrTimeout  time.Duration
	retryFor     time.Duration
	memory       size
	cacheSize    size
	cacheMinFree size
	cacheDir     string
	profiles     profiles
	byRequests   bool // no file is passed through, as where the process may not
}

func defaultMountOptions(getenv func(string) string) mountOptions {
	return mountOptions{
		uid: uint32(os.Geteuid()), gid: uint32(os.Getegid()),
		fileMode: 0o644, dirMode: 0o755,
		dirCacheTime: 10 * time.Second, attrTimeout: time.Second, retryFor: 2 * time.Minute,
		memory: 256 << 20, cacheSize: 10 << 30, cacheMinFree: 1 << 30, cacheDir: defaultCacheDir(getenv),
	}
}

func defaultCacheDir(getenv func(string) string) string {
	if d := getenv("XDG_CACHE_HOME"); filepath.IsAbs(d) {
		return filepath.Join(d, "s3mount")
	}
	if home := getenv("HOME"); home != "" {
		return filepath.Join(home, ".cache", "s3mount")
	}
	return "/var/cache/s3mount"
}

func (o *mountOptions) addFlags(f *pflag.FlagSet) {
	f.BoolVar(&o.daemon, "daemon", false, "go to the background once the mount answers")
	f.BoolVar(&o.readOnly, "read-only", false, "refuse every change")
	f.BoolVar(&o.writeback, "writeback", false, "return from writes once they are durable in a local journal, and upload them later")
	f.BoolVar(&o.serverTime, "use-server-modtime", false, "show the time of the upload as mtime, and ask for no attributes")
	f.BoolVar(&o.allowOther, "allow-other", false, "let other users in (file modes still count)")
	f.BoolVar(&o.nonEmpty, "allow-non-empty", false, "mount over a directory that holds files")
	f.Uint32Var(&o.uid, "uid", o.uid, "owner `UID` of objects that name none, and of what root makes")
	f.Uint32Var(&o.gid, "gid", o.gid, "group `GID` of objects that name none, and of what root makes")
	f.Var(&o.umask, "umask", "permission bits to take from --file-mode and --dir-mode")
	f.Var(&o.fileMode, "file-mode", "permissions of objects that name none")
	f.Var(&o.dirMode, "dir-mode", "permissions of folders that name none")
	f.DurationVar(&o.dirCacheTime, "dir-cache-time", o.dirCacheTime, "how long listings and attributes are trusted; 0 asks at every open")
	f.DurationVar(&o.attrTimeout, "attr-timeout", o.attrTimeout, "how long the kernel trusts names and attributes without asking")
	f.DurationVar(&o.retryFor, "retry-for", o.retryFor, "how long a request that fails is repeated before the operation fails")
	f.Var(&o.memory, "memory", "limit of memory for blocks, listings and requests")
	f.Var(&o.cacheSize, "cache-size", "limit of local disk for cached blocks and for files being written")
	f.Var(&o.cacheMinFree, "cache-min-free", "free space that the cache leaves on its disk, at most a twentieth of the disk")
	f.StringVar(&o.cacheDir, "cache-dir", o.cacheDir, "`DIR` for cached blocks and files being written")
	o.profiles.addFlags(f)
	f.BoolVar(&o.byRequests, "no-passthrough", false, "read and write all files by requests, as an ordinary user does")
	f.Lookup("no-passthrough").Hidden = true // for tests
}

const (
	minMemory = 32 << 20
	minCache  = 64 << 20
)

func (o *mountOptions) validate() error {
	switch {
	case o.memory < minMemory:
		return usageError{fmt.Errorf("--memory %s: the least is %s", o.memory, size(minMemory))}
	case o.cacheSize < minCache:
		return usageError{fmt.Errorf("--cache-size %s: the least is %s", o.cacheSize, size(minCache))}
	case o.dirCacheTime < 0:
		return usageError{fmt.Errorf("--dir-cache-time %v is negative: it is %s", o.dirCacheTime, forms["duration"])}
	case o.attrTimeout < 0:
		return usageError{fmt.Errorf("--attr-timeout %v is negative: it is %s", o.attrTimeout, forms["duration"])}
	case o.retryFor <= 0:
		return usageError{fmt.Errorf("--retry-for %v: it must be more than 0", o.retryFor)}
	case o.cacheDir == "":
		return usageError{errors.New("--cache-dir is empty: name a directory")}
	}
	dir, err := filepath.Abs(o.cacheDir)
	o.cacheDir = dir
	return err
}
