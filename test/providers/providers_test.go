package providers

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/s3mount/s3mount/object"
	"github.com/s3mount/s3mount/s3remote"
)

// remote makes a client of the options of a config file's section, as users write it.
func (w *world) remote(t *testing.T, section string) *s3remote.Client {
	t.Helper()
	options := map[string]string{}
	for line := range strings.Lines(section) {
		if name, value, ok := strings.Cut(line, "="); ok {
			options[strings.TrimSpace(name)] = strings.TrimSpace(value)
		}
	}
	c, err := s3remote.FromRemote(func(key string) string { return options[key] })
	if err != nil {
		t.Fatal(err)
	}
	c.RootCAs, c.Dial = w.roots, w.dial
	client, err := s3remote.New(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

func section(data string) *io.SectionReader {
	return io.NewSectionReader(strings.NewReader(data), 0, int64(len(data)))
}

// use does what a user's first session does: lsd, mkdir, ls, copy there and back.
func use(t *testing.T, client *s3remote.Client) {
	t.Helper()
	ctx := t.Context()
	if _, err := client.ListBuckets(ctx); err != nil {
		t.Error("lsd:", err)
	}
	if err := client.CreateBucket(ctx, "my-new-space"); err != nil {
		t.Error("mkdir:", err)
	}
	b, err := client.Bucket("my-new-space", "")
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Check(ctx); err != nil {
		t.Error("ls:", err)
	}
	if _, err := b.Put(ctx, "dir/a b+c.txt", section("data"), object.PutOptions{}); err != nil {
		t.Error("put:", err)
	}
	r, err := b.Get(ctx, object.ID{Key: "dir/a b+c.txt"}, object.Range{Len: 4})
	if err != nil {
		t.Fatal("get:", err)
	}
	defer r.Close()
	if data, err := io.ReadAll(r); err != nil || string(data) != "data" {
		t.Errorf("get: %q, %v", data, err)
	}
}

// form is how a request is expected to look.
type form struct{ method, host, path string }

func (w *world) check(t *testing.T, region, body string, want []form) {
	t.Helper()
	got := w.requests()
	if len(got) != len(want) {
		t.Errorf("%d requests instead of %d: %+v", len(got), len(want), got)
		return
	}
	for i, s := range got {
		if (form{s.Method, s.Host, s.Path}) != want[i] {
			t.Errorf("request %d: %s %s %s, want %+v", i+1, s.Method, s.Host, s.Path, want[i])
		}
		if s.Region != region || !s.TLS {
			t.Errorf("request %d: signed for %q instead of %q, TLS %v", i+1, s.Region, region, s.TLS)
		}
		if i == 1 && !strings.Contains(s.Body, body) || body == "" && i == 1 && s.Body != "" {
			t.Errorf("mkdir sends %q, want %q", s.Body, body)
		}
	}
}

// atHost are the requests of use to a store that is told the bucket in the host's name.
func atHost(endpoint, list string) []form {
	host := "my-new-space." + endpoint
	return []form{
		{"GET", endpoint, "/"}, {"PUT", host, "/"}, {"GET", host, list},
		{"PUT", host, "/dir/a%20b%2Bc.txt"}, {"GET", host, "/dir/a%20b%2Bc.txt"},
	}
}

// atPath are the requests of use to a store that is told the bucket in the path.
func atPath(endpoint, list string) []form {
	return []form{
		{"GET", endpoint, "/"}, {"PUT", endpoint, "/my-new-space"}, {"GET", endpoint, "/my-new-space" + list},
		{"PUT", endpoint, "/my-new-space/dir/a%20b%2Bc.txt"}, {"GET", endpoint, "/my-new-space/dir/a%20b%2Bc.txt"},
	}
}

const keys = "env_auth = false\naccess_key_id = YOUR_ACCESS_KEY\nsecret_access_key = YOUR/SECRET+KEY\n"

// listed is the query of a listing that Check sends, in its second form.
const listed = "?encoding-type=url&list-type=2&max-keys=1"

func TestRequestForms(t *testing.T) {
	for name, c := range map[string]struct {
		section, region string
		body            string // part of that of mkdir
		want            []form
	}{
		"DigitalOcean Spaces": {
			"provider = DigitalOcean\n" + keys + "region =\nendpoint = nyc3.digitaloceanspaces.com\nlocation_constraint =\nacl =\nserver_side_encryption =\nstorage_class =\n",
			"us-east-1", "", atHost("nyc3.digitaloceanspaces.com", "/"+listed),
		},
		"DigitalOcean Spaces, provider not told": {
			keys + "region =\nendpoint = nyc3.digitaloceanspaces.com\n",
			"us-east-1", "", atPath("nyc3.digitaloceanspaces.com", listed),
		},
		"Wasabi": {
			"provider = Wasabi\n" + keys + "region = us-east-1\nendpoint = s3.wasabisys.com\nlocation_constraint =\n",
			"us-east-1", "", atHost("s3.wasabisys.com", "/"+listed),
		},
		"Wasabi, provider not told": {
			keys + "region = us-east-1\nendpoint = s3.wasabisys.com\n",
			"us-east-1", "", atPath("s3.wasabisys.com", listed),
		},
		"DreamHost, version 2": {
			keys + "region = other-v2-signature\nendpoint = objects-us-east-1.dream.io\n",
			"v2", "", atPath("objects-us-east-1.dream.io", listed),
		},
		"DreamHost, version 2, by its name": {
			"provider = Dreamhost\n" + keys + "region = other-v2-signature\nendpoint = objects-us-east-1.dream.io\n",
			"v2", "", atHost("objects-us-east-1.dream.io", "/"+listed),
		},
		"DreamHost, version 4": {
			keys + "region = other-v4-signature\nendpoint = objects-us-east-1.dream.io\n",
			"us-east-1", "", atPath("objects-us-east-1.dream.io", listed),
		},
		"Ceph": {
			"provider = Ceph\n" + keys + "endpoint = https://ceph.endpoint.goes.here/\nregion = other-v2-signature\n",
			"v2", "", atPath("ceph.endpoint.goes.here", "?encoding-type=url&max-keys=1"),
		},
		"AWS": {
			keys + "region =\n", "us-east-1", "", atHost("s3.us-east-1.amazonaws.com", "/"+listed),
		},
		"AWS in another region": {
			"provider = AWS\n" + keys + "region = eu-central-1\n",
			"eu-central-1", "<LocationConstraint>eu-central-1<", atHost("s3.eu-central-1.amazonaws.com", "/"+listed),
		},
		"AWS with a location constraint": {
			keys + "region = eu-west-1\nlocation_constraint = EU\n",
			"eu-west-1", "<LocationConstraint>EU<", atHost("s3.eu-west-1.amazonaws.com", "/"+listed),
		},
		"AWS with path style": {
			keys + "region = eu-west-1\nforce_path_style = true\n",
			"eu-west-1", "<LocationConstraint>eu-west-1<", atPath("s3.eu-west-1.amazonaws.com", listed),
		},
		"AWS with IPv6": {
			keys + "region = eu-west-1\nuse_dual_stack = true\n",
			"eu-west-1", "<LocationConstraint>eu-west-1<", atHost("s3.dualstack.eu-west-1.amazonaws.com", "/"+listed),
		},
		"AWS in China": {
			keys + "region = cn-north-1\n",
			"cn-north-1", "<LocationConstraint>cn-north-1<", atHost("s3.cn-north-1.amazonaws.com.cn", "/"+listed),
		},
		"an endpoint of AWS with path style": {
			"provider = AWS\n" + keys + "region = eu-west-1\nendpoint = https://s3.eu-west-1.amazonaws.com\nforce_path_style = true\n",
			"eu-west-1", "", atPath("s3.eu-west-1.amazonaws.com", listed),
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil)
			use(t, w.remote(t, c.section))
			w.check(t, c.region, c.body, c.want)
		})
	}
}

// The accelerated endpoint is for content; what is about buckets goes to the usual one.
func TestAcceleratedEndpoint(t *testing.T) {
	w := newWorld(t, nil)
	use(t, w.remote(t, keys+"region = eu-west-1\nuse_accelerate_endpoint = true\n"))
	want := atHost("s3.eu-west-1.amazonaws.com", "/"+listed)
	for i := 2; i < len(want); i++ {
		want[i].host = "my-new-space.s3-accelerate.amazonaws.com"
	}
	w.check(t, "eu-west-1", "<LocationConstraint>eu-west-1<", want)
}

// With the region left blank, a bucket elsewhere moves requests to the host of its
// region, with a signature for it.
func TestBlankRegionOnAWS(t *testing.T) {
	w := newWorld(t, func(rw http.ResponseWriter, r *http.Request) {
		if r.Host == "my-new-space.s3.ap-south-1.amazonaws.com" && region(r) == "ap-south-1" {
			takeAll(rw, r)
			return
		}
		rw.Header().Set("X-Amz-Bucket-Region", "ap-south-1")
		rw.WriteHeader(http.StatusMovedPermanently)
	})
	client := w.remote(t, keys)
	for _, prefix := range []string{"", "folder"} {
		b, err := client.Bucket("my-new-space", prefix)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.Put(t.Context(), "k", section("data"), object.PutOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	var hosts []string
	for _, s := range w.requests() {
		hosts = append(hosts, s.Host)
	}
	if got := strings.Join(hosts, " "); got != "my-new-space.s3.us-east-1.amazonaws.com my-new-space.s3.ap-south-1.amazonaws.com my-new-space.s3.ap-south-1.amazonaws.com" {
		t.Error(got)
	}
}

// A bucket with a dot in its name has no wildcard certificate: it goes into the path.
func TestDottedBucketOverTLS(t *testing.T) {
	w := newWorld(t, nil)
	b, err := w.remote(t, keys+"region = eu-west-1\n").Bucket("my.bucket", "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Put(t.Context(), "k", section("x"), object.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	if got := w.requests(); len(got) != 1 || got[0].Host != "s3.eu-west-1.amazonaws.com" || got[0].Path != "/my.bucket/k" {
		t.Errorf("%+v", got)
	}
}

// Nobody else's certificate will do.
func TestOtherAuthorityIsRefused(t *testing.T) {
	w, other := newWorld(t, nil), newWorld(t, nil)
	w.address = other.address
	b, err := w.remote(t, keys+"endpoint = s3.wasabisys.com\n").Bucket("bkt", "")
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Check(t.Context()); !object.Is(err, object.KindUnavailable) || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("%v", err)
	}
	if got := other.requests(); len(got) != 0 {
		t.Errorf("%+v", got)
	}
}
