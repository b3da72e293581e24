package contract

import (
	"testing"

	"github.com/s3mount/s3mount/internal/secret"
	"github.com/s3mount/s3mount/object"
	"github.com/s3mount/s3mount/s3remote"
	"github.com/s3mount/s3mount/test/servers"
)

// What the configuration asks for when something is stored is what the store has then:
// MinIO knows storage classes, Ceph canned ACLs and location constraints.
func TestWhatIsAskedForIsStored(t *testing.T) {
	put := func(e *env, change func(*s3remote.Config)) (*s3remote.Client, object.Info) {
		t.Helper()
		c := configOf(e.server)
		change(&c)
		client := connect(t, c)
		b, err := client.Bucket(e.name, "")
		e.must(err)
		_, err = b.Put(e.ctx, "k", section([]byte("data")), object.PutOptions{})
		e.must(err)
		info, err := b.Head(e.ctx, "k")
		e.must(err)
		return client, info
	}

	e := minio(t)
	if _, info := put(e, func(c *s3remote.Config) { c.StorageClass = "REDUCED_REDUNDANCY" }); info.StorageClass != "REDUCED_REDUNDANCY" {
		t.Errorf("the storage class is %q", info.StorageClass)
	}

	e = newEnv(t, store{name: "ceph", start: (*servers.Pool).Ceph})
	anonymous := configOf(e.server)
	anonymous.AccessKeyID, anonymous.SecretAccessKey = "", secret.String{}
	public, err := connect(t, anonymous).Bucket(e.name, "")
	e.must(err)
	put(e, func(c *s3remote.Config) { c.ACL = "private" })
	_, err = public.Head(e.ctx, "k")
	e.kind(err, object.KindPermission)
	client, _ := put(e, func(c *s3remote.Config) { c.ACL, c.LocationConstraint = "public-read", "nowhere" })
	if got, err := readRange(e.ctx, public, object.ID{Key: "k"}, 0, 4); err != nil || got != "data" {
		t.Errorf("what everybody may read: %q, %v", got, err)
	}
	if err := client.CreateBucket(e.ctx, e.name+"-elsewhere"); err == nil {
		t.Error("the location constraint was not sent")
	}
}

// MinIO has STS at its own endpoint: a role is taken on there, and its keys work.
func TestRoleOfAStore(t *testing.T) {
	e := minio(t)
	c := configOf(e.server)
	c.RoleARN, c.STSEndpoint = "arn:minio:iam:::role/any", e.server.Endpoint
	b, err := connect(t, c).Bucket(e.name, "")
	e.must(err)
	_, err = b.Put(e.ctx, "k", section([]byte("data")), object.PutOptions{})
	e.must(err)
	if got, err := readRange(e.ctx, b, object.ID{Key: "k"}, 0, 4); err != nil || got != "data" {
		t.Errorf("%q, %v", got, err)
	}
	c.SecretAccessKey = secret.New("wrong-wrong-wrong")
	_, err = s3remote.New(e.ctx, c)
	e.kind(err, object.KindCredentials)
}
