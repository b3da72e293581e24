package contract

import (
	"strings"
	"testing"

	"github.com/s3mount/s3mount/object"
	"github.com/s3mount/s3mount/test/servers"
)

// oddKeys are keys that some program or store stumbles over. Each must work in every
// way, or be refused clearly.
var oddKeys = map[string]string{
	"space":        "with space",
	"plus":         "a+b",
	"percent":      "100%41",
	"ampersand":    "a&b<c>\"d'",
	"question":     "what?x=y#z",
	"unicode":      "日本語/äöü",
	"decomposed":   "a\u0308",
	"backslash":    `back\slash`,
	"colon":        "c:d*e|f",
	"tilde":        "~$!@^()[]{};,=`",
	"newline":      "new\nline",
	"return":       "carriage\rreturn",
	"control":      "bell\a",
	"nul":          "nul\x00",
	"double slash": "a//b",
	"lead":         "/lead",
	"trail":        "dir/",
	"dot":          "a/./b",
	"dotdot":       "a/../b",
	"only dots":    "..",
	"trail blank":  "blank ",
	"component":    "long/" + repeat("c", 300),
	"longest":      repeat("0123456789abcde/", 64)[:1023] + "k",
	"too long":     repeat("0123456789abcde/", 64) + "k",
	"not utf-8":    "\xff\xfe",
}

// everywhere are keys that no store takes.
var everywhere = map[string][]object.Kind{
	"too long":  {object.KindNameTooLong}, // 1025 bytes
	"not utf-8": {object.KindNotUTF8},
}

// invalid is how most stores refuse a key.
var invalid = []object.Kind{object.KindInvalid}

// stores is the table.
var stores = []store{
	{
		name: "s3fake", start: (*servers.Pool).Fake,
		anySecret: true,
	},
	{
		name: "embedded", start: (*servers.Pool).Embedded,
		anyonesBuckets: true,
	},
	{
		// Keys are paths of folders, with a check of what may be in one.
		name: "minio", start: (*servers.Pool).MinIO,
		refuses: map[string][]object.Kind{
			"double slash": invalid, "dot": invalid, "dotdot": invalid, "only dots": invalid, "nul": invalid,
			"component": {object.KindInvalid, object.KindNameTooLong}, // 255 bytes between slashes
		},
		becomes:      map[string]string{"lead": "lead"},
		noUpload:     map[string]bool{"trail": true},
		hidesBelow:   true, // "a/b" beside "a" can be read, but no listing shows it
		uploadsOfKey: true,
	},
	{
		// Keys are paths of files, cleaned and not checked.
		name: "versitygw", start: (*servers.Pool).VersityGW,
		refuses: map[string][]object.Kind{
			"only dots": invalid,
			"trail":     invalid, // a key with a slash at its end is a folder, and has no bytes
			"nul":       {object.KindUnavailable},
			// Over 255 bytes between slashes, and the code is of something else.
			"component": {object.KindIsDir, object.KindNameTooLong},
		},
		becomes: map[string]string{
			"double slash": "a/b", "lead": "lead", "dot": "a/b", "dotdot": "b",
		},
		// It does not know encoding-type, and XML has no such character.
		garbled:      map[string]string{"control": "bell\ufffd"},
		fileOrFolder: true,
		hidesUsers:   true,
	},
	{
		name: "ceph", start: (*servers.Pool).Ceph,
		refuses:      map[string][]object.Kind{"nul": invalid},
		customerKeys: true,
	},
	{
		// The same gateway, with signatures of version 2 and a secret with "/" and "+".
		name: "ceph-v2", start: cephV2,
		refuses:      map[string][]object.Kind{"nul": invalid},
		customerKeys: true,
	},
}

// cephV2 returns the Ceph gateway as its other user sees it.
func cephV2(p *servers.Pool, t testing.TB) servers.Server {
	t.Helper()
	server := p.Ceph(t)
	server.AccessKey, server.SecretKey = server.OtherAccessKey, server.OtherSecretKey
	server.Region = "other-v2-signature"
	if !strings.Contains(server.SecretKey, "/") || !strings.Contains(server.SecretKey, "+") {
		t.Fatal("the secret has no / and +")
	}
	return server
}
