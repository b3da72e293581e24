package cli

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"

	"github.com/s3mount/s3mount/config"
	"github.com/s3mount/s3mount/internal/secret"
	"github.com/s3mount/s3mount/test/mounts"
	"github.com/s3mount/s3mount/test/s3fake"
)

// step is a prompt and what is typed then.
type step struct{ prompt, answer string }

// terminal is a program on a terminal of its own, and what it has written there.
type terminal struct {
	t      *testing.T
	tty    *os.File
	cmd    *exec.Cmd
	output chan []byte // what was written, piece by piece; closed at the end
	seen   bytes.Buffer
	read   int // how much of seen has been waited for
}

// onTerminal starts s3mount on a terminal of a kind.
func onTerminal(t *testing.T, home, kind string, args ...string) *terminal {
	t.Helper()
	c := exec.Command(mounts.Binary(t), args...)
	c.Env = []string{"HOME=" + home, "PATH=" + os.Getenv("PATH"), "TERM=" + kind}
	tty, err := pty.StartWithSize(c, &pty.Winsize{Rows: 50, Cols: 200})
	if err != nil {
		t.Fatal(err)
	}
	x := &terminal{t: t, tty: tty, cmd: c, output: make(chan []byte)}
	gone := make(chan struct{})
	go x.pump(gone)
	t.Cleanup(func() {
		close(gone)
		c.Process.Kill()
		tty.Close()
		for range x.output { // the pump ends
		}
	})
	return x
}

func (x *terminal) pump(gone chan struct{}) {
	defer close(x.output)
	for {
		p := make([]byte, 4096)
		n, err := x.tty.Read(p)
		if err != nil { // EIO: nobody has the terminal any more
			return
		}
		select {
		case x.output <- p[:n]:
		case <-gone:
			return
		}
	}
}

// expect waits until something is written.
func (x *terminal) expect(text string) {
	x.t.Helper()
	deadline := time.After(slow)
	for {
		if at := strings.Index(x.seen.String()[x.read:], text); at >= 0 {
			x.read += at + len(text)
			return
		}
		select {
		case p, ok := <-x.output:
			if !ok {
				x.t.Fatalf("it ended without %q:\n%s", text, x.seen.String())
			}
			x.seen.Write(p)
		case <-deadline:
			x.t.Fatalf("it did not write %q:\n%s", text, x.seen.String())
		}
	}
}

// enter types a line.
func (x *terminal) enter(line string) {
	x.t.Helper()
	if _, err := io.WriteString(x.tty, line+"\r"); err != nil {
		x.t.Fatal(err)
	}
}

// play answers prompts.
func (x *terminal) play(steps []step) {
	x.t.Helper()
	for _, s := range steps {
		x.expect("\n" + s.prompt)
		x.enter(s.answer)
	}
}

// end waits for the end, and returns the exit code.
func (x *terminal) end() int {
	x.t.Helper()
	deadline := time.After(slow)
	for {
		select {
		case p, ok := <-x.output:
			x.seen.Write(p)
			if !ok {
				x.cmd.Wait()
				return x.cmd.ProcessState.ExitCode()
			}
		case <-deadline:
			x.t.Fatalf("it did not end:\n%s", x.seen.String())
		}
	}
}

// The dialogues of the S3 documentation, answer by answer, and the files that it says
// they lead to. Each file has a type, which the documentation shows once.
var dialogues = map[string]struct {
	steps []step
	file  string
}{
	"amazon": {
		[]step{
			{"n/s/q> ", "n"}, {"name> ", "remote"}, {"Storage> ", "2"}, {"env_auth> ", "1"},
			{"access_key_id> ", "access_key"}, {"secret_access_key> ", "secret_key"}, {"region> ", "1"},
			{"endpoint> ", ""}, {"location_constraint> ", "1"}, {"acl> ", "private"},
			{"server_side_encryption> ", ""}, {"storage_class> ", ""}, {"y/e/d/a> ", "y"}, {"e/n/d/r/c/s/q> ", "q"},
		},
		`[remote]
type = s3
env_auth = false
access_key_id = access_key
secret_access_key = secret_key
region = us-east-1
endpoint =
location_constraint =
acl = private
server_side_encryption =
storage_class =
`},
	"wasabi": {
		[]step{
			{"n/s/q> ", "n"}, {"name> ", "wasabi"}, {"Storage> ", "s3"}, {"env_auth> ", "1"},
			{"access_key_id> ", "YOURACCESSKEY"}, {"secret_access_key> ", "YOURSECRETACCESSKEY"}, {"region> ", "us-east-1"},
			{"endpoint> ", "s3.wasabisys.com"}, {"location_constraint> ", ""}, {"acl> ", ""},
			{"server_side_encryption> ", ""}, {"storage_class> ", ""}, {"y/e/d/a> ", "y"}, {"e/n/d/r/c/s/q> ", "q"},
		},
		`[wasabi]
type = s3
env_auth = false
access_key_id = YOURACCESSKEY
secret_access_key = YOURSECRETACCESSKEY
region = us-east-1
endpoint = s3.wasabisys.com
location_constraint =
acl =
server_side_encryption =
storage_class =
`},
	"digitalocean": {
		[]step{
			{"n/s/q> ", "n"}, {"name> ", "spaces"}, {"Storage> ", "2"}, {"env_auth> ", "1"},
			{"access_key_id> ", "YOUR_ACCESS_KEY"}, {"secret_access_key> ", "YOUR_SECRET_KEY"}, {"region> ", ""},
			{"endpoint> ", "nyc3.digitaloceanspaces.com"}, {"location_constraint> ", ""}, {"acl> ", ""},
			{"server_side_encryption> ", ""}, {"storage_class> ", ""}, {"y/e/d/a> ", "y"}, {"e/n/d/r/c/s/q> ", "q"},
		},
		`[spaces]
type = s3
env_auth = false
access_key_id = YOUR_ACCESS_KEY
secret_access_key = YOUR_SECRET_KEY
region =
endpoint = nyc3.digitaloceanspaces.com
location_constraint =
acl =
server_side_encryption =
storage_class =
`},
	// The documentation's file has neither acl nor storage_class, which were not asked
	// for when it was written. Blank ones mean the same.
	"minio": {
		[]step{
			{"n/s/q> ", "n"}, {"name> ", "minio"}, {"Storage> ", ""}, {"env_auth> ", "1"},
			{"access_key_id> ", "USWUXHGYZQYFYFFIT3RE"}, {"secret_access_key> ", "MOJRH0mkL1IPauahWITSVvyDrQbEEIwljvmxdq03"}, {"region> ", "us-east-1"},
			{"endpoint> ", "http://192.168.1.106:9000"}, {"location_constraint> ", ""}, {"acl> ", ""},
			{"server_side_encryption> ", ""}, {"storage_class> ", ""}, {"y/e/d/a> ", "y"}, {"e/n/d/r/c/s/q> ", "q"},
		},
		`[minio]
type = s3
env_auth = false
access_key_id = USWUXHGYZQYFYFFIT3RE
secret_access_key = MOJRH0mkL1IPauahWITSVvyDrQbEEIwljvmxdq03
region = us-east-1
endpoint = http://192.168.1.106:9000
location_constraint =
acl =
server_side_encryption =
storage_class =
`},
	"anonymous": {
		[]step{
			{"n/s/q> ", "n"}, {"name> ", "anons3"}, {"Storage> ", "10"}, {"env_auth> ", "1"},
			{"access_key_id> ", ""}, {"secret_access_key> ", ""}, {"region> ", ""},
			{"endpoint> ", ""}, {"location_constraint> ", ""}, {"acl> ", ""},
			{"server_side_encryption> ", ""}, {"storage_class> ", ""}, {"y/e/d/a> ", ""}, {"e/n/d/r/c/s/q> ", "q"},
		},
		`[anons3]
type = s3
env_auth = false
access_key_id =
secret_access_key =
region =
endpoint =
location_constraint =
acl =
server_side_encryption =
storage_class =
`},
}

// confFile is where the dialogue puts the file of a user who has none.
func confFile(home string) string {
	return filepath.Join(home, ".config", "s3mount", "s3mount.conf")
}

// wantFile fails unless a file has this text, and is for its owner only.
func wantFile(t *testing.T, path, want string) {
	t.Helper()
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("the file has\n%s\nnot\n%s", got, want)
	}
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o600 {
		t.Errorf("its mode is %v, %v", info.Mode(), err)
	}
}

func TestDialogueOnATerminal(t *testing.T) {
	for name, d := range dialogues {
		for _, kind := range []string{"xterm", "dumb"} {
			t.Run(name+" on "+kind, func(t *testing.T) {
				home := t.TempDir()
				x := onTerminal(t, home, kind, "config")
				x.play(d.steps)
				if code := x.end(); code != 0 {
					t.Errorf("exit code %d", code)
				}
				wantFile(t, confFile(home), d.file)
				if secret := d.steps[5].answer; secret != "" && strings.Contains(x.seen.String(), secret) {
					t.Errorf("the secret is on the terminal:\n%s", x.seen.String())
				}
				if kind == "dumb" && strings.Contains(x.seen.String(), "\x1b") {
					t.Errorf("escape sequences on a dumb terminal:\n%q", x.seen.String())
				}
			})
		}
	}
}

func TestDialogueThroughAPipe(t *testing.T) {
	for name, d := range dialogues {
		t.Run(name, func(t *testing.T) {
			home := t.TempDir()
			var typed strings.Builder
			for _, s := range d.steps {
				typed.WriteString(s.answer + "\n")
			}
			c := exec.Command(mounts.Binary(t), "config")
			c.Env = []string{"HOME=" + home}
			c.Stdin = strings.NewReader(typed.String())
			out, err := c.CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			wantFile(t, confFile(home), d.file)
			if secret := d.steps[5].answer; secret != "" && strings.Contains(string(out), secret) {
				t.Errorf("the secret is in the output:\n%s", out)
			}
		})
	}
}

// Whatever ends the questions, the file is as it was.
func TestDialogueThatIsBrokenOff(t *testing.T) {
	const before = "# mine\n[old]\ntype = s3\n"
	for name, end := range map[string]func(x *terminal){
		"ctrl-C": func(x *terminal) { io.WriteString(x.tty, "\x03") },
		"ctrl-D": func(x *terminal) { io.WriteString(x.tty, "\x04") },
		"a kill": func(x *terminal) { x.cmd.Process.Signal(syscall.SIGTERM) },
	} {
		for _, kind := range []string{"xterm", "dumb"} {
			t.Run(name+" on "+kind, func(t *testing.T) {
				home := t.TempDir()
				path := filepath.Join(home, "x.conf")
				if err := os.WriteFile(path, []byte(before), 0o600); err != nil {
					t.Fatal(err)
				}
				x := onTerminal(t, home, kind, "config", "--config", path)
				x.play([]step{{"e/n/d/r/c/s/q> ", "n"}, {"name> ", "new"}, {"Storage> ", "s3"}, {"env_auth> ", "1"}, {"access_key_id> ", "key"}})
				x.expect("secret_access_key> ")
				end(x)
				if code := x.end(); code != 1 {
					t.Errorf("exit code %d", code)
				}
				if out := x.seen.String(); !strings.Contains(out, "what was not agreed to is not saved") {
					t.Errorf("it says\n%s", out)
				}
				wantFile(t, path, before)
			})
		}
	}
}

// Edit, rename, copy, delete and the password, in one sitting.
func TestDialogueWithRemotes(t *testing.T) {
	home := t.TempDir()
	path := filepath.Join(home, "x.conf")
	if err := os.WriteFile(path, []byte("# mine\n[a]\ntype = s3\n# odd\nunknown = kept\nregion = x\nendpoint = h\nacl = private\n\n[g]\ntype = drive\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	const menu = "e/n/d/r/c/s/q> "
	x := onTerminal(t, home, "xterm", "config", "--config", path)
	x.play([]step{
		{menu, "e"}, {"remote> ", "9"}, {"remote> ", "2"}, // g is not of type s3
		{menu, "e"}, {"remote> ", "a"}, {"env_auth> ", ""}, {"access_key_id> ", "?"}, {"access_key_id> ", "AK"},
		{"secret_access_key> ", `SE\/CRET`}, {"region [x]> ", "99"}, {"region [x]> ", "4"}, {"endpoint [h]> ", `""`},
		{"location_constraint> ", ""}, {"acl [private]> ", "pivate"}, {"acl [private]> ", ""}, {"server_side_encryption> ", "2"},
		{"storage_class> ", "OWN"}, {"y/e/d/a> ", "a"}, {"provider> ", "Ceph"}, {"session_token> ", "TOKEN"},
	})
	for _, o := range config.S3Options() { // the rest of the advanced ones
		if o.Advanced && o.Name != "provider" && o.Name != "session_token" {
			x.expect(o.Name)
			x.enter("")
		}
	}
	x.enter("")
	x.expect("Saved in") // the default of the review
	x.enter("r")
	x.play([]step{
		{"remote> ", "1"}, {"name> ", "g"}, {"name> ", "b"},
		{menu, "c"}, {"remote> ", "b"}, {"name> ", "c"},
		{menu, "d"}, {"remote> ", "g"}, {"y/n> ", ""},
		{menu, "d"}, {"remote> ", "g"}, {"y/n> ", "y"},
		{menu, "s"}, {"a/q> ", "a"}, {"New configuration password: ", "one"}, {"The same once more: ", "two"},
		{"New configuration password: ", "three"}, {"The same once more: ", "three"},
		{menu, "s"}, {"c/u/q> ", "q"}, {menu, "q"},
	})
	if code := x.end(); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	out := x.seen.String()
	for _, want := range []string{"of type \"drive\"", "contains \\/", "the numbers go from 1", "none of private", "The two differ", "There is a remote of this name"} {
		if !strings.Contains(out, want) {
			t.Errorf("it does not say %q:\n%s", want, out)
		}
	}
	for _, secret := range []string{"CRET", "TOKEN", "three"} {
		if strings.Contains(out, secret) {
			t.Errorf("it shows %s:\n%s", secret, out)
		}
	}

	x = onTerminal(t, home, "dumb", "config", "--config", path)
	x.expect("Password of " + path + ": ")
	x.enter("wrong")
	x.play([]step{{"That is not the password.\r\nPassword of " + path + ": ", "three"}, {menu, "s"}, {"c/u/q> ", "u"}, {menu, "q"}})
	if code := x.end(); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	remote := "type = s3\n%unknown = kept\nregion = eu-west-1\nendpoint =\nacl = private\naccess_key_id = AK\nsecret_access_key = SE\\/CRET\nserver_side_encryption = AES256\nstorage_class = OWN\nprovider = Ceph\nsession_token = TOKEN\n"
	wantFile(t, path, "# mine\n[b]\n"+strings.Replace(remote, "%", "# odd\n", 1)+"\n[c]\n"+strings.Replace(remote, "%", "", 1))
}

// encrypted writes a config file with the remote "r" and a password.
func encrypted(t *testing.T, endpoint, password string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "x.conf")
	text := "[r]\ntype = s3\nendpoint = " + endpoint + "\nregion = us-east-1\naccess_key_id = key\nsecret_access_key = secret\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := config.Load(t.Context(), path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.SetPassword(secret.New(password)); err != nil {
		t.Fatal(err)
	}
	if err := f.Save(); err != nil {
		t.Fatal(err)
	}
	return path
}

// A mount asks for the password once, also one that goes to the background, where nobody
// is to be asked.
func TestMountAsksForThePassword(t *testing.T) {
	s, err := s3fake.New(s3fake.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	path := encrypted(t, s.URL(), "pass word")
	for _, args := range [][]string{{"mount"}, {"mount", "--daemon"}} {
		home := t.TempDir()
		if err := os.Mkdir(filepath.Join(home, "mnt"), 0o700); err != nil {
			t.Fatal(err)
		}
		x := onTerminal(t, home, "xterm", append(args, "--config", path, "r:nosuch", filepath.Join(home, "mnt"))...)
		x.expect("Password of " + path + ": ")
		x.enter("pass word")
		x.expect("no such bucket")
		if code := x.end(); code != 1 {
			t.Errorf("%v: exit code %d", args, code)
		}
		if out := x.seen.String(); strings.Contains(out, "pass word") || strings.Count(out, "Password of") != 1 {
			t.Errorf("%v: it shows\n%s", args, out)
		}
	}
}

// Whoever waits for a password can be interrupted.
func TestPasswordPromptThatIsBrokenOff(t *testing.T) {
	path := encrypted(t, "http://127.0.0.1:1", "pass word")
	for name, end := range map[string]func(x *terminal){
		"ctrl-C": func(x *terminal) { io.WriteString(x.tty, "\x03") },
		"a kill": func(x *terminal) { x.cmd.Process.Signal(syscall.SIGTERM) },
	} {
		for _, kind := range []string{"xterm", "dumb"} {
			for _, args := range [][]string{{"config", "show"}, {"config", "delete", "r"}, {"mount", "--daemon", "r:b", t.TempDir()}} {
				x := onTerminal(t, t.TempDir(), kind, append(args, "--config", path)...)
				x.expect("Password of " + path + ": ")
				end(x)
				if code := x.end(); code != 1 {
					t.Errorf("%s on %s, %v: exit code %d\n%s", name, kind, args, code, x.seen.String())
				}
			}
		}
	}
}
