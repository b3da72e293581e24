// Package docs follows the documentation: it types what the pages show, in order, in a
// new home, and compares what is printed with what they show.
//
// In a page,
//
//   - a block marked "console" is a session: a line that begins with "$ " is a command, the
//     lines after it are all that it prints, on both outputs. "⋮" on a line of its own
//     stands for any lines, and "…" for any text within a line. Times in whole seconds and
//     "in 340ms" at the end of a line may differ, and so may the order of lines that say
//     the same of several files. A command may fail only if its last line begins with
//     "s3mount: ". "s3mount config" runs on a terminal: what is behind a prompt is typed.
//   - a block marked "ini" is put into the config file.
//   - a comment that begins with "<!-- console" is a session that readers don't see: it
//     makes the files that the page talks about.
//
// MinIO, Ceph and the embedded server are real; their addresses and keys are put in the
// place of those that a page shows. AWS and other services are a stand-in that answers
// under their real names, through a proxy and with certificates that the sessions trust.
package docs

import (
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/s3mount/s3mount/test/mounts"
	"github.com/s3mount/s3mount/test/servers"
)

var show = flag.Bool("show", false, "print the sessions as they are, and compare nothing")

func TestMain(m *testing.M) {
	code := m.Run()
	mounts.RemoveBinary()
	os.Exit(code)
}

// pages are the documents that have sessions.
var pages = []string{"README.md", "docs/OPERATIONS.md", "docs/CONFIG.md", "docs/COMMANDS.md", "docs/S3.md"}

func TestPages(t *testing.T) {
	for _, path := range pages {
		t.Run(path, func(t *testing.T) {
			d, err := readDocument(path)
			if err != nil {
				t.Fatal(err)
			}
			clouds := newClouds(t)
			as, typed := stores(t, d)
			newSession(t, newWorld(t, clouds), as, typed).follow(t, d)
		})
	}
}

// stores starts the real stores that a page shows, and returns what it shows of them with
// what it is, and what is typed where it shows nothing.
func stores(t *testing.T, d *document) (as []string, typed map[string]string) {
	pool := servers.NewPool()
	t.Cleanup(func() {
		if err := pool.Close(); err != nil {
			t.Error(err)
		}
	})
	typed = map[string]string{"New configuration password:": "a long pass phrase", "The same once more:": "a long pass phrase"}
	if shown := "http://127.0.0.1:9000"; strings.Contains(d.text, shown) {
		s := pool.MinIO(t)
		as = append(as, shown, s.Endpoint)
		for _, sep := range []string{" = ", "> ", "="} {
			as = append(as, "secret_access_key"+sep+"minioadmin", "secret_access_key"+sep+s.SecretKey,
				"access_key_id"+sep+"minioadmin", "access_key_id"+sep+s.AccessKey)
		}
		typed["secret_access_key>"] = s.SecretKey
	}
	if shown := "http://127.0.0.1:8333"; strings.Contains(d.text, shown) {
		s := pool.Embedded(t)
		as = append(as, shown, s.Endpoint, "MY_STORES_KEY", s.AccessKey, "MY_STORES_SECRET", s.SecretKey)
	}
	if shown := "https://ceph.example.org"; strings.Contains(d.text, shown) {
		s := pool.Ceph(t)
		as = append(as, shown, s.Endpoint, "CEPH_ACCESS_KEY", s.OtherAccessKey, "CEPH/SECRET/KEY", s.OtherSecretKey)
	}
	return as, typed
}
