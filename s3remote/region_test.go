package s3remote

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/s3mount/s3mount/object"
)

// signedFor returns the region that a request is signed for.
func signedFor(r *request) string {
	_, scope, _ := strings.Cut(r.Header.Get("Authorization"), "Credential=")
	parts := strings.Split(scope, "/")
	if len(parts) < 4 {
		return ""
	}
	return parts[2]
}

// elsewhere answers as AWS does for a bucket in another region: with 400 where the
// signature names a region that is not the endpoint's, else with 301.
func elsewhere(w http.ResponseWriter, r *request, status int, tells bool) {
	if tells {
		w.Header().Set("X-Amz-Bucket-Region", "eu-central-1")
	}
	w.WriteHeader(status)
	if r.Method == http.MethodHead {
		return
	}
	if status == 400 {
		region := ""
		if tells {
			region = "<Region>eu-central-1</Region>"
		}
		fmt.Fprintf(w, "<Error><Code>AuthorizationHeaderMalformed</Code><Message>the region 'us-east-1' is wrong</Message>%s<RequestId>r</RequestId></Error>", region)
		return
	}
	_, _ = io.WriteString(w, "<Error><Code>PermanentRedirect</Code><Message>must be addressed using the specified endpoint</Message><Bucket>bkt</Bucket><Endpoint>bkt.s3.eu-central-1.amazonaws.com</Endpoint></Error>")
}

// Every operation finds its way to a bucket elsewhere, if no region is configured, and
// the second one on the bucket goes there at once.
func TestRightRegionIsFoundAndRemembered(t *testing.T) {
	for name, do := range map[string]func(*Bucket) error{
		"list": func(b *Bucket) error { return b.Check(t.Context()) },
		"head": func(b *Bucket) error { _, err := b.Head(t.Context(), "k"); return err },
		"get": func(b *Bucket) error {
			_, err := readAll(b.Get(t.Context(), object.ID{Key: "k"}, object.Range{Len: 9}))
			return err
		},
		"put": func(b *Bucket) error {
			_, err := b.Put(t.Context(), "k", section("data"), object.PutOptions{})
			return err
		},
	} {
		for _, status := range []int{301, 400} {
			for _, region := range []string{"", regionV4} {
				s, b := serve(t, func(c *Config) { c.Provider, c.Region = "AWS", region }, func(w http.ResponseWriter, r *request) {
					switch {
					case signedFor(r) != "eu-central-1":
						elsewhere(w, r, status, true)
					case r.URL.Query().Has("list-type"):
						_, _ = io.WriteString(w, listBody(""))
					default:
						serveObject(w, r, "data", "e")
					}
				})
				if err := do(b); err != nil {
					t.Errorf("%s, %d: %v", name, status, err)
				}
				again, err := b.client.Bucket("bkt", "folder")
				ok(t, err)
				if err := do(again); err != nil || s.count() != 3 {
					t.Errorf("%s, %d: %v, %q", name, status, err, s.seen())
				}
				other, err := b.client.Bucket("another", "")
				ok(t, err)
				if got := other.regionName(); got != "us-east-1" {
					t.Errorf("another bucket's region is %s", got)
				}
			}
		}
	}
}

// A store may say only that the bucket is not here. HeadBucket is asked then.
func TestRegionIsAskedFor(t *testing.T) {
	s, b := serve(t, func(c *Config) { c.Provider = "AWS" }, func(w http.ResponseWriter, r *request) {
		switch {
		case signedFor(r) == "eu-central-1":
			serveObject(w, r, "data", "e")
		default:
			elsewhere(w, r, 301, r.Method == http.MethodHead && r.URL.Path == "/")
		}
	})
	if _, err := b.Put(t.Context(), "k", section("data"), object.PutOptions{}); err != nil {
		t.Errorf("%v, %q", err, s.seen())
	}
	if got := s.seen(); len(got) != 3 || !strings.HasPrefix(got[1], "HEAD / ") && got[1] != "HEAD /" {
		t.Errorf("%q", got)
	}
}

// A region that the configuration names is not left, and the error is the documented one.
func TestConfiguredRegionIsKept(t *testing.T) {
	for _, status := range []int{301, 400} {
		s, b := serve(t, func(c *Config) { c.Provider, c.Region = "AWS", "ap-south-1" }, func(w http.ResponseWriter, r *request) {
			elsewhere(w, r, status, true)
		})
		_, err := b.List(t.Context(), object.Query{})
		e := wantKind(t, err, object.KindWrongRegion)
		if !strings.Contains(e.Error(), "incorrect region, the bucket is not in 'ap-south-1' region") || !strings.Contains(e.Error(), "eu-central-1") {
			t.Errorf("%v", e)
		}
		_, err = b.Head(t.Context(), "k")
		if e := wantKind(t, err, object.KindWrongRegion); !strings.Contains(e.Error(), "incorrect region, the bucket is not in 'ap-south-1' region") {
			t.Errorf("%v", e)
		}
		if s.count() != 2 {
			t.Errorf("%q", s.seen())
		}
	}
}

// Two requests may learn of the right region at once. The one that learns it second
// used to fail, as it found the bucket moved there already.
func TestTwoRequestsLearnTheRegionAtOnce(t *testing.T) {
	var both sync.WaitGroup
	both.Add(2)
	_, b := serve(t, func(c *Config) { c.Provider = "AWS" }, func(w http.ResponseWriter, r *request) {
		if signedFor(r) == "eu-central-1" {
			serveObject(w, r, "data", "e")
			return
		}
		both.Done()
		both.Wait()
		elsewhere(w, r, 400, true)
	})
	errs := make(chan error, 2)
	for range 2 {
		go func() {
			_, err := b.Head(t.Context(), "k")
			errs <- err
		}()
	}
	for range 2 {
		ok(t, <-errs)
	}
}
