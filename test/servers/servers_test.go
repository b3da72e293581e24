package servers

import (
	"bufio"
	"context"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"
)

var pool = NewPool()

func TestMain(m *testing.M) {
	if dir := os.Getenv("S3MOUNT_TEST_SUPERVISED"); dir != "" {
		beSupervisor(dir)
	}
	os.Exit(pool.Run(m))
}

func TestEachServerAnswersAndEnds(t *testing.T) {
	all := map[string]func(testing.TB) Server{
		"s3fake": pool.Fake, "embedded": pool.Embedded, "minio": pool.MinIO,
		"versitygw": pool.VersityGW, "ceph": pool.Ceph,
	}
	for name, get := range all {
		t.Run(name, func(t *testing.T) {
			server := get(t)
			if again := get(t); again.Endpoint != server.Endpoint {
				t.Errorf("the second is at %s, the first at %s", again.Endpoint, server.Endpoint)
			}
			if server.AccessKey == "" || server.SecretKey == "" || server.Region == "" || server.Provider == "" {
				t.Error("a field is empty")
			}
			client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
			resp, err := client.Get(server.Endpoint + "/")
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if err := server.Stop(); err != nil {
				t.Error(err)
			}
			if resp, err := client.Get(server.Endpoint + "/"); err == nil {
				resp.Body.Close()
				t.Error("it answers after Stop")
			}
			if err := server.Stop(); err != nil {
				t.Errorf("second Stop: %v", err)
			}
		})
	}
}

// beSupervisor starts something that would run for ever, and waits to be killed.
func beSupervisor(dir string) {
	command := []string{"bash", "-c", superviseScript, "supervise", dir, "sh", "-c", "echo up; exec tail -f /dev/null"}
	if _, err := launch(command, nil, os.Stdout); err != nil {
		println(err.Error())
		os.Exit(1)
	}
	select {}
}

func TestServersDieWithAKilledTest(t *testing.T) {
	dir := t.TempDir() + "/data"
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), "S3MOUNT_TEST_SUPERVISED="+dir)
	cmd.Stderr = os.Stderr
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	cmd.Stdout = w
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	out := bufio.NewReader(r)
	if line, err := out.ReadString('\n'); line != "up\n" {
		t.Fatalf("%q, %v", line, err)
	}
	cmd.Process.Kill()
	cmd.Wait()
	// The pipe ends when the last process that holds it does.
	if _, err := io.Copy(io.Discard, out); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the data is still there: %v", err)
	}
}

// TestServerOfATestThatIsGone begins with a standard input that has ended.
func TestServerOfATestThatIsGone(t *testing.T) {
	for range 20 {
		dir := t.TempDir() + "/data"
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		cmd := exec.CommandContext(ctx, "bash", "-c", superviseScript, "supervise", dir, "tail", "-f", "/dev/null")
		cmd.WaitDelay = time.Second
		if err := cmd.Run(); ctx.Err() != nil {
			t.Fatalf("it runs on: %v", err)
		}
	}
}

func TestMissingToolNamesTheCommand(t *testing.T) {
	t.Setenv("S3MOUNT_TOOLS", t.TempDir())
	_, err := StartMinIO()
	if err == nil || !strings.Contains(err.Error(), "make -C ") || !strings.Contains(err.Error(), " tools") {
		t.Errorf("%v", err)
	}
}

func TestServerThatEndsTellsItsLog(t *testing.T) {
	p, err := supervise(t.TempDir(), nil, "sh", "-c", "echo what went wrong; exit 3")
	if err != nil {
		t.Fatal(err)
	}
	port, err := freePort(1)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.answers("http://127.0.0.1:" + strconv.Itoa(port)); err == nil || !strings.Contains(err.Error(), "what went wrong") {
		t.Errorf("%v", err)
	}
}
