package contract

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/s3mount/s3mount/internal/secret"
	"github.com/s3mount/s3mount/object"
	"github.com/s3mount/s3mount/s3remote"
	"github.com/s3mount/s3mount/test/mounts"
	"github.com/s3mount/s3mount/test/servers"
)

// minio returns a bucket of one's own on MinIO, as env does for a test on every store.
func minio(t *testing.T) *env {
	return newEnv(t, store{name: "minio", start: (*servers.Pool).MinIO})
}

// A public bucket can be listed and read without keys. An upload is one clear error,
// not tried again.
func TestAnonymousOnAPublicBucket(t *testing.T) {
	e := minio(t)
	e.put("path/to/file", "data")
	c := configOf(e.server)
	c.AccessKeyID, c.SecretAccessKey = "", secret.String{}
	public, err := connect(t, c).Bucket(e.name, "")
	e.must(err)
	e.kind(public.Check(e.ctx), object.KindPermission) // not public yet
	setPolicy(t, e.server, e.name, publicPolicy(e.name))
	e.must(public.Check(e.ctx))
	found, _, _, err := names(e.ctx, public, object.Query{})
	if e.must(err); len(found) != 1 || found[0] != "path/to/file" {
		t.Errorf("%q", found)
	}
	info, err := public.Head(e.ctx, "path/to/file")
	e.must(err)
	if got, err := readRange(e.ctx, public, info.ID(), 0, 4); err != nil || got != "data" {
		t.Errorf("%q, %v", got, err)
	}
	start := time.Now()
	_, err = public.Put(e.ctx, "new", section([]byte("x")), object.PutOptions{})
	if e.kind(err, object.KindPermission); strings.Contains(fmt.Sprint(err), "\n") || !strings.Contains(fmt.Sprint(err), "access denied") {
		t.Errorf("%q", err)
	}
	_, err = public.CreateUpload(e.ctx, "new", object.PutOptions{})
	e.kind(err, object.KindPermission)
	e.kind(public.Delete(e.ctx, "path/to/file"), object.KindPermission)
	if d := time.Since(start); d > 5*time.Second {
		t.Errorf("it took %v to be refused", d)
	}
}

// limited returns a client, and e's bucket, for temporary keys that may do what the
// documentation says that sync needs, and nothing else.
func (e *env) limited() (servers.Server, string, *s3remote.Client, *s3remote.Bucket) {
	e.Helper()
	server, token := temporary(e.T, e.server, documentedPolicy(e.name))
	c := configOf(server)
	c.SessionToken, c.ACL = secret.New(token), "private"
	client := connect(e.T, c)
	b, err := client.Bucket(e.name, "")
	e.must(err)
	return server, token, client, b
}

// Whatever copying, syncing and mounting ask of a bucket works with the five permissions
// of the documentation: nothing asks where the bucket is, or for its own settings.
func TestDocumentedPermissionsSuffice(t *testing.T) {
	e := minio(t)
	_, _, client, b := e.limited()
	ctx := e.ctx
	e.must(b.Check(ctx))
	info, err := b.Put(ctx, "k", section([]byte("data")), object.PutOptions{Meta: object.Meta{"mtime": "1.5"}, Condition: object.Condition{IfAbsent: true}})
	e.must(err)
	_, err = b.Put(ctx, "k", section([]byte("dada")), object.PutOptions{Condition: object.Condition{IfMatch: info.ETag}})
	e.must(err)
	_, err = b.Head(ctx, "k")
	e.must(err)
	_, err = b.Head(ctx, "none")
	e.kind(err, object.KindNotFound)
	_, err = b.Copy(ctx, object.ID{Key: "k"}, "copy", object.CopyOptions{Meta: object.Meta{"mtime": "2.5"}})
	e.must(err)
	id, err := b.CreateUpload(ctx, "big", object.PutOptions{})
	e.must(err)
	data := bytes.Repeat([]byte("x"), 5<<20+1)
	first, err := b.UploadPart(ctx, "big", id, 1, section(data[:5<<20]))
	e.must(err)
	second, err := b.UploadPart(ctx, "big", id, 2, section(data[5<<20:]))
	e.must(err)
	_, err = b.CompleteUpload(ctx, "big", id, []object.Part{first, second}, object.Condition{})
	e.must(err)
	found, _, _, err := names(ctx, b, object.Query{})
	if e.must(err); strings.Join(found, " ") != "big copy k" {
		t.Errorf("%q", found)
	}
	if got, err := readRange(ctx, b, object.ID{Key: "k"}, 0, 4); err != nil || got != "dada" {
		t.Errorf("%q, %v", got, err)
	}
	e.must(b.Delete(ctx, "k"))
	e.must(b.DeleteMany(ctx, []string{"copy", "big"}))
	// The policy does bind: what it does not grant is refused.
	if _, err := b.ListUploads(ctx, "big"); !object.Is(err, object.KindPermission) {
		t.Errorf("ListUploads: %v", err)
	}
	elsewhere, err := client.Bucket(minio(t).name, "")
	e.must(err)
	e.kind(elsewhere.Check(ctx), object.KindPermission)
}

// A mount works with these permissions, too: files are made, written in one piece and
// in parts, renamed, read and removed.
func TestDocumentedPermissionsSufficeForAMount(t *testing.T) {
	t.Cleanup(mounts.RemoveBinary)
	e := minio(t)
	server, token, _, b := e.limited()
	config := filepath.Join(t.TempDir(), "rclone.conf")
	text := fmt.Sprintf("[test]\ntype = s3\nprovider = Minio\nendpoint = %s\nregion = us-east-1\naccess_key_id = %s\nsecret_access_key = %s\nsession_token = %s\nacl = private\n",
		server.Endpoint, server.AccessKey, server.SecretKey, token)
	e.must(os.WriteFile(config, []byte(text), 0o600))
	m := mounts.Start(t, mounts.Options{Path: e.name, Config: config})
	at := func(name string) string { return filepath.Join(m.Dir, name) }
	big := bytes.Repeat([]byte("0123456789abcdef"), 2<<20) // 32 MiB
	e.must(os.Mkdir(at("dir"), 0o755))
	e.must(os.WriteFile(at("dir/small"), []byte("data"), 0o600))
	e.must(os.WriteFile(at("dir/big"), big, 0o600))
	e.must(os.Rename(at("dir/small"), at("dir/moved")))
	e.must(os.Chtimes(at("dir/moved"), time.Time{}, time.Unix(1e9, 0)))
	e.must(os.WriteFile(at("gone"), nil, 0o600))
	e.must(os.Remove(at("gone")))
	m.Remount(true)
	if got, err := os.ReadFile(at("dir/big")); err != nil || !bytes.Equal(got, big) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if got, err := os.ReadFile(at("dir/moved")); err != nil || string(got) != "data" {
		t.Errorf("%q, %v", got, err)
	}
	if st, err := os.Stat(at("dir/moved")); err != nil || st.ModTime().Unix() != 1e9 {
		t.Errorf("%v, %v", st, err)
	}
	m.Unmount()
	if log := m.Log(); strings.Contains(log, "access denied") {
		t.Errorf("something was refused:\n%s", log)
	}
	found, _, _, err := names(context.WithoutCancel(e.ctx), b, object.Query{})
	if e.must(err); !strings.Contains(strings.Join(found, " "), "dir/big dir/moved") {
		t.Errorf("%q", found)
	}
}

// Version 2 covers the bucket's name where the host has it, too.
func TestSignatureV2WithTheBucketInTheHost(t *testing.T) {
	e := newEnv(t, store{name: "ceph-v2", start: cephV2})
	here, err := url.Parse(e.server.Endpoint)
	e.must(err)
	c := configOf(e.server)
	c.Endpoint = "http://localhost:" + here.Port() // the name that the gateway knows itself by
	no := false
	c.ForcePathStyle = &no
	c.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		if want := e.name + ".localhost:" + here.Port(); address != want {
			t.Errorf("a connection to %s instead of %s", address, want)
		}
		return (&net.Dialer{}).DialContext(ctx, network, here.Host)
	}
	b, err := connect(t, c).Bucket(e.name, "")
	e.must(err)
	e.must(b.Check(e.ctx))
	_, err = b.Put(e.ctx, "a b/c+d", section([]byte("data")), object.PutOptions{})
	e.must(err)
	_, err = b.Copy(e.ctx, object.ID{Key: "a b/c+d"}, "copy", object.CopyOptions{})
	e.must(err)
	if got, err := readRange(e.ctx, b, object.ID{Key: "copy"}, 0, 4); err != nil || got != "data" {
		t.Errorf("%q, %v", got, err)
	}
	id, err := b.CreateUpload(e.ctx, "k", object.PutOptions{})
	e.must(err)
	e.must(b.AbortUpload(e.ctx, "k", id))
	e.must(b.DeleteMany(e.ctx, []string{"copy", "a b/c+d"}))
}

// The name that configurations have for version 4 on a clone works on every store, whatever its region.
func TestOtherV4Signature(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		c := configOf(e.server)
		c.Region = "other-v4-signature"
		b, err := connect(t, c).Bucket(e.name, "")
		e.must(err)
		_, err = b.Put(e.ctx, "k", section([]byte("data")), object.PutOptions{})
		e.must(err)
		e.must(b.Check(e.ctx))
		if got, err := readRange(e.ctx, b, object.ID{Key: "k"}, 0, 4); err != nil || got != "data" {
			t.Errorf("%q, %v", got, err)
		}
	})
}
