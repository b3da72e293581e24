// Package e2e proves s3mount from outside: the built program, real kernel mounts, real
// S3 servers, the programs that people use.
package e2e

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/s3mount/s3mount/object"
	"github.com/s3mount/s3mount/s3remote"
	"github.com/s3mount/s3mount/test/mounts"
	"github.com/s3mount/s3mount/test/servers"
)

var pool = servers.NewPool()

func TestMain(m *testing.M) {
	code := pool.Run(m)
	mounts.RemoveBinary()
	os.Exit(code)
}

// eachServer runs a test on the embedded server, on MinIO and on Ceph.
func eachServer(t *testing.T, f func(t *testing.T, s servers.Server)) {
	for _, c := range []struct {
		name  string
		start func(testing.TB) servers.Server
	}{{"embedded", pool.Embedded}, {"minio", pool.MinIO}, {"ceph", pool.Ceph}} {
		t.Run(c.name, func(t *testing.T) { f(t, c.start(t)) })
	}
}

// newMount mounts a new bucket.
func newMount(t *testing.T, s servers.Server, args ...string) (*mounts.Mount, *s3remote.Bucket) {
	t.Helper()
	name, b := mounts.NewBucket(t, s)
	return mounts.Start(t, mounts.Options{Server: s, Path: name, Args: args}), b
}

// sh runs a program in dir and returns what it printed. It fails the test if the
// program does.
func sh(t testing.TB, dir, name string, args ...string) string {
	t.Helper()
	out, err := try(dir, name, args...)
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return out
}

// try runs a program in dir.
func try(dir, name string, args ...string) (string, error) {
	c := exec.Command(name, args...)
	c.Dir = dir
	c.Env = append(os.Environ(), "LC_ALL=C.UTF-8", "HOME="+dir, "GIT_CONFIG_NOSYSTEM=1")
	out, err := c.CombinedOutput()
	return string(out), err
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// put stores an object behind the mount's back.
func put(t testing.TB, b *s3remote.Bucket, key, data string, meta object.Meta) object.Info {
	t.Helper()
	info, err := b.Put(context.Background(), key, section(data), object.PutOptions{Meta: meta})
	must(t, err)
	return info
}

// get reads an object behind the mount's back.
func get(t testing.TB, b *s3remote.Bucket, key string) string {
	t.Helper()
	info, err := b.Head(context.Background(), key)
	must(t, err)
	if info.Size == 0 {
		return ""
	}
	return readAll(t, b, info)
}

// keys lists all keys of a bucket.
func keys(t testing.TB, b *s3remote.Bucket) (all []string) {
	t.Helper()
	for q := (object.Query{}); ; {
		p, err := b.List(context.Background(), q)
		must(t, err)
		for _, o := range p.Objects {
			all = append(all, o.Key)
		}
		if q.Token = p.Next; q.Token == "" {
			return all
		}
	}
}

// eventually waits until f says true.
func eventually(t testing.TB, what string, f func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for end := time.After(time.Minute); !f(); {
		select {
		case <-end:
			t.Fatalf("%s: not within a minute", what)
		case <-tick.C:
		}
	}
}
