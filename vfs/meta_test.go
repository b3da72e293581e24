package vfs

import (
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/s3mount/s3mount/object"
)

func TestModeForms(t *testing.T) {
	for _, c := range []struct {
		text string
		want uint32
		ok   bool
	}{
		{"33188", 0o100644, true},   // s3fs, geesefs, ours
		{"0100644", 0o100644, true}, // rclone
		{"100644", 0o100644, true},
		{"41471", 0o120777, true},
		{"40755", 0o40755, true}, // octal: in decimal the type bits make no sense
		{"0644", 0o644, true},
		{"644", 0o644, true},
		{"99999999999", 0, false},
		{"rw-r--r--", 0, false},
		{"-1", 0, false},
		{"", 0, false},
	} {
		if got, ok := parseMode(c.text); got != c.want || ok != c.ok {
			t.Errorf("parseMode(%q) = %o, %v, want %o, %v", c.text, got, ok, c.want, c.ok)
		}
	}
}

func TestAttributesOfOtherPrograms(t *testing.T) {
	d := defaults{uid: 7, gid: 8, fileMode: 0o644, dirMode: 0o755}
	at := time.Unix(1_600_000_000, 0)
	for _, c := range []struct {
		what string
		info object.Info
		dir  bool
		mode uint32
		size int64
	}{
		{"none", object.Info{Size: 3}, false, unix.S_IFREG | 0o644, 3},
		{"s3fs link", object.Info{Size: 3, Meta: object.Meta{"mode": "41471"}}, false, unix.S_IFLNK | 0o777, 3},
		{"geesefs link", object.Info{Meta: object.Meta{"--symlink-target": "a%2fb"}}, false, unix.S_IFLNK | 0o777, 3},
		{"rclone", object.Info{Size: 3, Meta: object.Meta{"mode": "0100600"}}, false, unix.S_IFREG | 0o600, 3},
		{"a file that says it is a folder", object.Info{Size: 3, Meta: object.Meta{"mode": "16877"}}, false, unix.S_IFREG | 0o755, 3},
		{"a marker that says it is a file", object.Info{Meta: object.Meta{"mode": "33188"}}, true, unix.S_IFDIR | 0o644, 0},
		{"a device", object.Info{Size: 3, Meta: object.Meta{"mode": "8612"}}, false, unix.S_IFREG | 0o644, 3},
		{"a link to nowhere", object.Info{Meta: object.Meta{"mode": "41471"}}, false, unix.S_IFREG | 0o777, 0},
		{"a geesefs link to nowhere", object.Info{Meta: object.Meta{"--symlink-target": ""}}, false, unix.S_IFREG | 0o644, 0},
		{"a geesefs link that is too long", object.Info{Meta: object.Meta{"--symlink-target": strings.Repeat("x", 4096)}}, false, unix.S_IFREG | 0o644, 0},
		{"nonsense", object.Info{Size: 3, Meta: object.Meta{"mode": "x", "uid": "-1", "gid": "99999999999", "mtime": "\n"}}, false, unix.S_IFREG | 0o644, 3},
	} {
		c.info.LastModified = at
		a := d.attrOf(c.info, c.dir)
		if a.Mode != c.mode || a.Size != c.size || a.UID != 7 || a.GID != 8 || !a.Mtime.Equal(at) {
			t.Errorf("%s: mode %o size %d uid %d gid %d mtime %v, want mode %o size %d", c.what, a.Mode, a.Size, a.UID, a.GID, a.Mtime, c.mode, c.size)
		}
	}
}
