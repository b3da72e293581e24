// Package cli runs s3mount as a command, by scripts: what a user types, and the one line
// that answers a mistake. None of them comes to a mount; test/e2e has those that do.
package cli

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/s3mount/s3mount/test/mounts"
	"github.com/s3mount/s3mount/test/s3fake"
	"github.com/s3mount/s3mount/test/servers"
)

var pool = servers.NewPool()

func TestMain(m *testing.M) {
	code := pool.Run(m)
	mounts.RemoveBinary()
	os.Exit(code)
}

func TestScripts(t *testing.T) {
	bin := filepath.Dir(mounts.Binary(t))
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(e *testscript.Env) error {
			e.Values["t"] = t
			e.Setenv("PATH", bin+string(os.PathListSeparator)+e.Getenv("PATH"))
			for name, dir := range map[string]string{"HOME": "home", "XDG_RUNTIME_DIR": "run", "TMPDIR": "tmp"} {
				path := filepath.Join(e.WorkDir, dir)
				if err := os.MkdirAll(path, 0o700); err != nil {
					return err
				}
				e.Setenv(name, path)
			}
			return os.MkdirAll(filepath.Join(e.WorkDir, "mnt"), 0o755)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"refused": refused,
			"store":   startStore,
		},
	})
}

// slow is more than any refusal may take: nobody waits longer for the word that there is
// a mistake.
const slow = 30 * time.Second

// refused runs "refused CODE ARGS...": s3mount with these arguments must exit with that
// code, print nothing but one line on standard error, and leave nothing behind. What the
// line says is left to the command stderr.
func refused(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 {
		ts.Fatalf("usage: refused CODE ARGS...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	before := snapshot(ts)
	began := time.Now()
	err = ts.Exec("s3mount", args[1:]...)
	if took := time.Since(began); took > slow {
		ts.Fatalf("it took %v", took)
	}
	if got := exitCode(err); got != want {
		ts.Fatalf("exit code %d, not %d", got, want)
	}
	stderr := ts.ReadFile("stderr")
	if strings.Count(stderr, "\n") != 1 || !strings.HasPrefix(stderr, "s3mount: ") {
		ts.Fatalf("standard error is not one line of s3mount")
	}
	if ts.ReadFile("stdout") != "" {
		ts.Fatalf("something is on standard output")
	}
	if after := snapshot(ts); after != before {
		ts.Fatalf("something was left behind or changed; before:\n%s\nafter:\n%s", before, after)
	}
}

// exitCode returns what a command of testscript exited with; -1 if it did not.
func exitCode(err error) int {
	if err == nil {
		return 0
	}
	if e, ok := err.(interface{ ExitCode() int }); ok {
		return e.ExitCode()
	}
	return -1
}

// snapshot describes all files below the script's folder, and what is mounted there. The
// cache may have come to be, and the folder of session files.
func snapshot(ts *testscript.TestScript) string {
	root := ts.Getenv("WORK")
	var b strings.Builder
	ts.Check(filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		switch {
		case rel == "home/.cache" || rel == "cache":
			return filepath.SkipDir
		case rel == "run/s3mount" && d.IsDir() || rel == "home" || rel == "run" || rel == "tmp" || rel == ".":
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		fmt.Fprintf(&b, "%s %v %d %v\n", rel, info.Mode(), info.Size(), info.ModTime())
		return nil
	}))
	table, err := os.ReadFile("/proc/self/mountinfo")
	ts.Check(err)
	for line := range strings.Lines(string(table)) {
		if strings.Contains(line, root) {
			b.WriteString(line)
		}
	}
	return b.String()
}

// startStore runs "store KIND": it starts a store of that kind, and writes its remote,
// "r", and the bucket "bucket" into rclone.conf.
func startStore(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: store KIND")
	}
	kind, ok := stores[args[0]]
	if !ok {
		ts.Fatalf("no such kind of store: %s", args[0])
	}
	s := kind(ts)
	text := fmt.Sprintf("[r]\ntype = s3\nprovider = %s\nendpoint = %s\nregion = %s\naccess_key_id = %s\nsecret_access_key = %s\n",
		s.Provider, s.Endpoint, s.Region, s.AccessKey, s.SecretKey)
	ts.Check(os.WriteFile(ts.MkAbs("rclone.conf"), []byte(text), 0o600))
	ts.Setenv("S3MOUNT_CONFIG", ts.MkAbs("rclone.conf"))
}

var stores = map[string]func(*testscript.TestScript) servers.Server{
	"good":    func(ts *testscript.TestScript) servers.Server { return fake(ts) },
	"skewed":  func(ts *testscript.TestScript) servers.Server { return fake(ts, code("RequestTimeTooSkewed")) },
	"denied":  func(ts *testscript.TestScript) servers.Server { return fake(ts, s3fake.Denied()) },
	"moved":   func(ts *testscript.TestScript) servers.Server { return fake(ts, s3fake.Redirect("eu-west-3")) },
	"broken":  func(ts *testscript.TestScript) servers.Server { return fake(ts, s3fake.SlowDown()) },
	"hanging": func(ts *testscript.TestScript) servers.Server { return fake(ts, s3fake.Fault{Act: s3fake.Hang}) },
	"refusing": func(ts *testscript.TestScript) servers.Server {
		s, err := s3fake.New(s3fake.Options{})
		ts.Check(err)
		ts.Defer(func() { s.Close() })
		s.Down()
		return servers.Of(s)
	},
	"website":      func(ts *testscript.TestScript) servers.Server { return site(ts, http.StatusOK) },
	"missing-page": func(ts *testscript.TestScript) servers.Server { return site(ts, http.StatusNotFound) },
	"wrong-key": func(ts *testscript.TestScript) servers.Server {
		s := minio(ts)
		s.AccessKey = "nobody"
		return s
	},
	"wrong-secret": func(ts *testscript.TestScript) servers.Server {
		s := minio(ts)
		s.SecretKey = "wrong-wrong-wrong"
		return s
	},
}

func code(c string) s3fake.Fault { return s3fake.Fault{Act: s3fake.Status, Code: c} }

// fake starts a stand-in with a bucket, that fails in the given ways.
func fake(ts *testscript.TestScript, faults ...s3fake.Fault) servers.Server {
	s, err := s3fake.New(s3fake.Options{})
	ts.Check(err)
	ts.Defer(func() { s.Close() })
	s.Bucket("bucket")
	for _, f := range faults {
		s.Fail(s3fake.Rule{Fault: f})
	}
	return servers.Of(s)
}

// minio is a MinIO with a bucket.
func minio(ts *testscript.TestScript) servers.Server {
	t := ts.Value("t").(*testing.T)
	s := pool.MinIO(t)
	ts.Check(mounts.Client(t, s).CreateBucket(t.Context(), "bucket"))
	return s
}

// site answers everything with a page for people, as a console or a proxy does.
func site(ts *testscript.TestScript, status int) servers.Server {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(status)
		fmt.Fprint(w, "<!DOCTYPE html>\n<html><head><title>Welcome</title><body><p>Hello<br>there</html>\n")
	}))
	ts.Defer(s.Close)
	return servers.Server{Endpoint: s.URL, Provider: "Other", Region: "us-east-1", AccessKey: "key", SecretKey: "secret"}
}
