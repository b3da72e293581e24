package docs

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/s3mount/s3mount/test/mounts"
)

// patience bounds one command of a document.
const patience = time.Minute

// session is a reader of a document who follows it in a home of his own: he puts the
// pieces of the config file where they belong, and types the commands one after another.
type session struct {
	home  string
	env   []string
	as    *strings.Replacer // what the document shows to what is there: ports, keys
	typed map[string]string // at prompts where nothing is shown, by prompt
}

// newSession makes a new home.
func newSession(t *testing.T, w *world, as []string, typed map[string]string) *session {
	t.Helper()
	home := t.TempDir()
	for _, dir := range []string{"run", "mnt", ".config/s3mount"} {
		if err := os.MkdirAll(filepath.Join(home, dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	bin := filepath.Dir(mounts.Binary(t))
	return &session{
		home: home, as: strings.NewReplacer(append(as, "/mnt/", home+"/mnt/")...), typed: typed,
		env: []string{
			"HOME=" + home, "PATH=" + bin + string(os.PathListSeparator) + os.Getenv("PATH"),
			"XDG_RUNTIME_DIR=" + filepath.Join(home, "run"), "TZ=UTC", "LC_ALL=C.UTF-8", "TERM=dumb",
			"HTTPS_PROXY=" + w.proxy, "SSL_CERT_FILE=" + w.root, "AWS_EC2_METADATA_DISABLED=true",
		},
	}
}

// follow does what a document says, up to the first thing that is not as it says.
func (s *session) follow(t *testing.T, d *document) {
	t.Helper()
	for _, b := range d.blocks {
		b.text = s.as.Replace(b.text)
		switch b.kind {
		case "ini":
			if err := s.configure(b.text); err != nil {
				t.Fatalf("%s:%d: %v", d.path, b.line, err)
			}
		case "console":
			steps, err := parseSession(b)
			if err != nil {
				t.Fatalf("%s: %v", d.path, err)
			}
			for _, step := range steps {
				if err := s.run(t.Context(), step); err != nil {
					t.Fatalf("%s:%d: $ %s\n%v", d.path, step.line, step.command, err)
				}
			}
		}
	}
}

// configure puts remotes into the config file, in the place of those of their names.
func (s *session) configure(text string) error {
	path := filepath.Join(s.home, ".config", "s3mount", "s3mount.conf")
	before, err := os.ReadFile(path)
	if err != nil && !os.IsNotExist(err) {
		return err
	}
	kept := string(before)
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "[") {
			kept = without(kept, strings.TrimSpace(line))
		}
	}
	return os.WriteFile(path, []byte(kept+text), 0o600)
}

// without returns a config file without one of its sections.
func without(file, header string) string {
	var b strings.Builder
	drop := false
	for line := range strings.Lines(file) {
		if strings.HasPrefix(line, "[") {
			drop = strings.TrimSpace(line) == header
		}
		if !drop {
			b.WriteString(line)
		}
	}
	return b.String()
}

// run types one command, and compares what it prints with what the document shows.
func (s *session) run(ctx context.Context, st step) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	c := exec.CommandContext(ctx, "bash", "-c", st.command)
	c.Dir, c.Env = s.home, s.env
	var got string
	var err error
	if st.command == "s3mount config" {
		got, err = converse(ctx, c, answers(st.output), s.typed)
	} else {
		var out bytes.Buffer
		c.Stdout, c.Stderr = &out, &out
		c.WaitDelay = time.Second // a mount in the background has the output, too
		err = c.Run()
		got = out.String()
	}
	if ctx.Err() != nil {
		return fmt.Errorf("does not end; it printed\n%s", got)
	}
	var lines []string
	if got != "" {
		lines = strings.Split(strings.TrimSuffix(got, "\n"), "\n")
	}
	switch {
	case *show:
		fmt.Printf("$ %s\n%s", st.command, got)
		return nil
	case !matches(st.output, lines):
		return fmt.Errorf("should print\n%s\nbut prints (%v)\n%s", strings.Join(st.output, "\n"), err, got)
	case err != nil && !st.fails():
		return fmt.Errorf("%v, which its output does not tell:\n%s", err, got)
	}
	return nil
}
