package config

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/s3mount/s3mount/object"
)

// DefaultPaths returns the places where a config file is looked for, the first one
// first: s3mount's own, then rclone's.
func DefaultPaths(getenv func(string) string) []string {
	var paths []string
	add := func(dir string, names ...string) {
		if dir != "" {
			paths = append(paths, filepath.Join(append([]string{dir}, names...)...))
		}
	}
	home, xdg := getenv("HOME"), getenv("XDG_CONFIG_HOME")
	dotConfig := ""
	if home != "" {
		dotConfig = filepath.Join(home, ".config")
	}
	if !filepath.IsAbs(xdg) { // the XDG rule: a relative path is to be ignored
		xdg = ""
	}
	if xdg == "" {
		xdg = dotConfig
	}
	add(xdg, "s3mount", "s3mount.conf")
	add(xdg, "rclone", "rclone.conf")
	if dotConfig != xdg {
		add(dotConfig, "rclone", "rclone.conf")
	}
	add(home, ".rclone.conf")
	return paths
}

// Find returns the path of the config file to read. The --config flag goes first,
// then S3MOUNT_CONFIG; either is returned whether or not it exists. Then comes the
// first that exists of s3mount's usual place, RCLONE_CONFIG and rclone's usual
// places. Where there is none, the error is of KindNotFound and names them.
func Find(flag string, getenv func(string) string) (string, error) {
	for _, path := range []string{flag, getenv("S3MOUNT_CONFIG")} {
		if path != "" {
			return path, nil
		}
	}
	paths := DefaultPaths(getenv)
	if rclone := getenv("RCLONE_CONFIG"); rclone != "" {
		paths = slices.Insert(paths, min(1, len(paths)), rclone)
	}
	for _, path := range paths {
		// Only a file that is not there lets the search go on: one that may not be
		// read is to be complained about, not passed over.
		if _, err := os.Stat(path); err == nil || !os.IsNotExist(err) {
			return path, nil
		}
	}
	return "", object.Errorf(object.KindNotFound, "find config", "", "no config file; looked for %s", strings.Join(paths, ", "))
}

// Place returns the path of the config file to change, which may not exist yet: the
// one that Find finds, else RCLONE_CONFIG, else s3mount's usual place.
func Place(flag string, getenv func(string) string) (string, error) {
	path, err := Find(flag, getenv)
	if err == nil {
		return path, nil
	}
	if rclone := getenv("RCLONE_CONFIG"); rclone != "" {
		return rclone, nil
	}
	if paths := DefaultPaths(getenv); len(paths) > 0 {
		return paths[0], nil
	}
	return "", object.Errorf(object.KindNotFound, "find config", "", "neither HOME nor XDG_CONFIG_HOME is set: name a file with --config")
}
