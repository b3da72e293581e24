package cli

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/s3mount/s3mount/test/mounts"
	"github.com/s3mount/s3mount/test/s3fake"
	"github.com/s3mount/s3mount/test/servers"
)

// archive is a stand-in before which some objects lie in archives, as at AWS: they can't be
// read, POST ?restore asks for them, and HEAD tells how far that is.
type archive struct {
	store http.Handler
	mu    struct {
		sync.Mutex
		state map[string]string // by key: x-amz-restore; "denied" refuses to restore
		asked []string          // key and body of each POST, in order of arrival
	}
}

const (
	underWay = `ongoing-request="true"`
	readable = `ongoing-request="false", expiry-date="Fri, 21 Dec 2029 00:00:00 GMT"`
)

func newArchive(t *testing.T, classes, states map[string]string) (*archive, servers.Server) {
	t.Helper()
	s := s3fake.Start(t, s3fake.Options{})
	b := s.Bucket("bucket")
	for key, class := range classes {
		b.Put(key, []byte(key), nil)
		b.SetStorageClass(key, class)
	}
	back, err := url.Parse(s.URL())
	if err != nil {
		t.Fatal(err)
	}
	a := &archive{store: httputil.NewSingleHostReverseProxy(back)}
	a.mu.state = states
	web := httptest.NewServer(a)
	t.Cleanup(web.Close)
	remote := servers.Of(s)
	remote.Endpoint = web.URL
	return a, remote
}

func (a *archive) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	key := path.Base(r.URL.Path)
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case r.Method == http.MethodPost && r.URL.Query().Has("restore"):
		body, _ := io.ReadAll(r.Body)
		a.mu.asked = append(a.mu.asked, key+" "+string(body))
		switch a.mu.state[key] {
		case "denied":
			refuse(w, http.StatusForbidden, "AccessDenied")
		case underWay:
			refuse(w, http.StatusConflict, "RestoreAlreadyInProgress")
		default:
			a.mu.state[key] = underWay
			w.WriteHeader(http.StatusAccepted)
		}
		return
	case r.Method == http.MethodHead && strings.HasPrefix(a.mu.state[key], "ongoing"):
		w.Header().Set("X-Amz-Restore", a.mu.state[key])
	case r.Method == http.MethodHead && key == "tiered":
		w.Header().Set("X-Amz-Archive-Status", "ARCHIVE_ACCESS")
	}
	a.store.ServeHTTP(w, r)
}

func refuse(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	fmt.Fprintf(w, "<Error><Code>%s</Code><Message>no</Message></Error>", code)
}

// requests are the POSTs since the last call.
func (a *archive) requests() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	defer func() { a.mu.asked = nil }()
	return strings.Join(a.mu.asked, "\n")
}

// said runs s3mount on a store, and returns what it says and its exit code.
func said(t *testing.T, remote servers.Server, dir string, args ...string) (stderr string, code int) {
	t.Helper()
	c := exec.Command(mounts.Binary(t), append(args, "--config", mounts.Config(t, remote))...)
	c.Dir, c.Env = dir, []string{"HOME=" + dir, "PATH=" + os.Getenv("PATH"), "TZ=UTC"}
	out, err := c.CombinedOutput()
	if _, exited := err.(*exec.ExitError); err != nil && !exited {
		t.Fatal(err)
	}
	return string(out), c.ProcessState.ExitCode()
}

func TestRestoreAsksForWhatIsArchived(t *testing.T) {
	a, remote := newArchive(t,
		map[string]string{"cold": "GLACIER", "coming": "DEEP_ARCHIVE", "back": "GLACIER", "warm": "STANDARD", "tiered": "INTELLIGENT_TIERING"},
		map[string]string{"coming": underWay, "back": readable})
	dir := t.TempDir()
	check := func(wantOut string, wantCode int, wantAsked string, args ...string) {
		t.Helper()
		out, code := said(t, remote, dir, args...)
		if out != wantOut || code != wantCode {
			t.Errorf("%q: exit code %d\n%swant %d\n%s", args, code, out, wantCode, wantOut)
		}
		if got := a.requests(); got != wantAsked {
			t.Errorf("%q asks\n%s\nwant\n%s", args, got, wantAsked)
		}
	}
	check("s3mount: would ask for 2 files, 1 on their way, 1 readable\n", 0, "", "restore", "--dry-run", "test:bucket")
	const space = ` xmlns="http://s3.amazonaws.com/doc/2006-03-01/"`
	asked := "cold <RestoreRequest" + space + "><Days>3</Days><GlacierJobParameters><Tier>Bulk</Tier></GlacierJobParameters></RestoreRequest>"
	check("s3mount: asked for 1 file, 0 on their way, 0 readable\n", 0, asked, "restore", "--days", "3", "--tier", "bulk", "test:bucket/cold")
	out, code := said(t, remote, dir, "restore", "-v", "test:bucket")
	for _, want := range []string{`"cold": restore in progress`, `"coming": restore in progress`, `"back": restored until 2029-12-21 00:00:00`, "asked for 1 file, 2 on their way, 1 readable"} {
		if !strings.Contains(out, "s3mount: "+want+"\n") {
			t.Errorf("it does not say %q:\n%s", want, out)
		}
	}
	if got := a.requests(); code != 0 || !strings.HasPrefix(got, "tiered <RestoreRequest") || strings.Contains(got, "Days") || strings.Contains(got, "\n") {
		t.Errorf("exit code %d, it asks %s", code, got)
	}
	check("s3mount: asked for 0 files, 0 on their way, 0 readable\n", 0, "", "restore", "test:bucket/warm")
}

func TestRestoreThatIsRefused(t *testing.T) {
	a, remote := newArchive(t, map[string]string{"cold": "GLACIER", "denied": "GLACIER"}, map[string]string{"denied": "denied"})
	out, code := said(t, remote, t.TempDir(), "restore", "test:bucket")
	lines := strings.Split(out, "\n")
	if code != 1 || len(lines) != 3 || !strings.HasPrefix(lines[0], `s3mount: restore "denied": access denied`) ||
		!strings.HasPrefix(lines[1], "s3mount: 1 file of the archive could not be restored; asked for 1 file, ") {
		t.Errorf("exit code %d:\n%s", code, out)
	}
	if got := a.requests(); strings.Count(got, "\n") != 1 {
		t.Errorf("it asks\n%s", got)
	}
}

// What is archived is one line each that says what to do; the rest is copied.
func TestArchivedFilesAreNamed(t *testing.T) {
	_, remote := newArchive(t, map[string]string{"cold": "GLACIER", "deep": "DEEP_ARCHIVE", "warm": "STANDARD"}, map[string]string{})
	dir := t.TempDir()
	out, code := said(t, remote, dir, "cat", "test:bucket/cold")
	if code != 1 || !strings.Contains(out, "Object in GLACIER, restore first") || strings.Count(out, "\n") != 1 {
		t.Errorf("cat: exit code %d:\n%s", code, out)
	}
	for _, args := range [][]string{{"copy", "test:bucket", "down"}, {"check", "--download", "test:bucket", "test:bucket"}, {"copy", "test:bucket", "test:other"}} {
		out, code = said(t, remote, dir, args...)
		for _, file := range []string{"cold", "deep"} {
			if !strings.Contains(out, fmt.Sprintf("%q", file)) {
				t.Errorf("%q does not name %s:\n%s", args, file, out)
			}
		}
		if code != 1 || strings.Count(out, "\n") != 3 || strings.Count(out, ": s3mount restore makes it readable\n") != 2 {
			t.Errorf("%q: exit code %d:\n%s", args, code, out)
		}
	}
	if entries, err := filepath.Glob(filepath.Join(dir, "down/*")); err != nil || len(entries) != 1 || filepath.Base(entries[0]) != "warm" {
		t.Errorf("copied: %q, %v", entries, err)
	}
}
