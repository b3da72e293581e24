package s3remote

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/s3mount/s3mount/object"
)

// HEAD has no body to tell a code; the status and a header must do.
func TestHeadWithoutBody(t *testing.T) {
	for _, c := range []struct {
		status int
		region string
		kind   object.Kind
	}{
		{400, "", object.KindInvalid}, {403, "", object.KindPermission}, {404, "", object.KindNotFound},
		{301, "eu-west-1", object.KindWrongRegion}, {400, "eu-west-1", object.KindWrongRegion},
		{403, "us-east-1", object.KindPermission}, {405, "", object.KindUnsupported}, {401, "", object.KindCredentials},
		{301, "", object.KindWrongRegion},
	} {
		_, b := serve(t, func(cfg *Config) { cfg.Region = "us-east-1" }, func(w http.ResponseWriter, _ *request) {
			if c.region != "" {
				w.Header().Set("X-Amz-Bucket-Region", c.region)
			}
			w.WriteHeader(c.status)
		})
		_, err := b.Head(t.Context(), "k")
		wantKind(t, err, c.kind)
	}
}

func TestWrongRegionIsNamed(t *testing.T) {
	_, b := serve(t, func(c *Config) { c.Region = "us-east-1" }, func(w http.ResponseWriter, _ *request) {
		w.WriteHeader(400)
		fmt.Fprint(w, "<Error><Code>AuthorizationHeaderMalformed</Code><Message>expecting 'eu-1'</Message><Region>eu-1</Region></Error>")
	})
	e := wantKind(t, b.Check(t.Context()), object.KindWrongRegion)
	for _, want := range []string{"incorrect region, the bucket is not in 'us-east-1' region", "it is in 'eu-1'", "region = eu-1", "AuthorizationHeaderMalformed"} {
		if !strings.Contains(e.Error(), want) {
			t.Errorf("%v lacks %q", e, want)
		}
	}
	_, b = serve(t, func(c *Config) { c.Region = "here" }, func(w http.ResponseWriter, _ *request) { refuse(w, 301, "PermanentRedirect") })
	e = wantKind(t, b.Check(t.Context()), object.KindWrongRegion)
	if !strings.Contains(e.Error(), "the bucket is not in 'here' region: told so") {
		t.Errorf("%v", e)
	}
}

// Where the configuration names no region, the store's word is taken.
func TestRegionIsFollowed(t *testing.T) {
	s, b := serve(t, nil, func(w http.ResponseWriter, r *request) {
		if !strings.Contains(r.Header.Get("Authorization"), "/eu-1/s3/") {
			w.Header().Set("X-Amz-Bucket-Region", "eu-1")
			w.WriteHeader(400)
			return
		}
		serveObject(w, r, "data", "e")
	})
	for range 2 {
		_, err := b.Head(t.Context(), "k")
		ok(t, err)
	}
	if s.count() != 3 {
		t.Errorf("%q", s.seen())
	}
}

// A region is part of host names: what a store says may not lead elsewhere.
func TestRegionThatIsNoneIsNotFollowed(t *testing.T) {
	s, b := serve(t, nil, func(w http.ResponseWriter, _ *request) {
		w.Header().Set("X-Amz-Bucket-Region", "evil.example/")
		w.WriteHeader(301)
	})
	_, err := b.Head(t.Context(), "k")
	wantKind(t, err, object.KindWrongRegion)
	if got := strings.Join(s.seen(), ", "); got != "HEAD /bkt/k, HEAD /bkt" {
		t.Errorf("%q", s.seen())
	}
}

func TestClockSkewIsMeasured(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, b := serve(t, nil, func(w http.ResponseWriter, _ *request) {
			w.Header().Set("Date", time.Now().Add(-3*time.Hour).UTC().Format(http.TimeFormat))
			refuse(w, 403, "RequestTimeTooSkewed")
		})
		e := wantKind(t, b.Check(t.Context()), object.KindClockSkew)
		if !strings.Contains(e.Error(), "3h0m0s ahead of the store's") {
			t.Errorf("%v", e)
		}
	})
}

func TestCheckTellsBucketFromKey(t *testing.T) {
	_, b := serve(t, nil, func(w http.ResponseWriter, _ *request) { refuse(w, 404, "NoSuchBucket") })
	wantKind(t, b.Check(t.Context()), object.KindNoBucket)
	_, b = serve(t, nil, func(w http.ResponseWriter, _ *request) { w.WriteHeader(404) })
	wantKind(t, b.Check(t.Context()), object.KindNoBucket)
	_, b = serve(t, nil, func(w http.ResponseWriter, _ *request) { refuse(w, 403, "SignatureDoesNotMatch") })
	wantKind(t, b.Check(t.Context()), object.KindCredentials)
	_, b = serve(t, nil, pages(listBody("")))
	ok(t, b.Check(t.Context()))
}

// Ceph's messages are empty; a store's text may not spoil a terminal.
func TestErrorTexts(t *testing.T) {
	_, b := serve(t, nil, func(w http.ResponseWriter, _ *request) {
		w.WriteHeader(403)
		fmt.Fprint(w, "<Error><Code>AccessDenied</Code><Message></Message><RequestId>tx1</RequestId></Error>")
	})
	_, err := b.Put(t.Context(), "k", section(""), object.PutOptions{})
	if want := `PutObject "k": access denied (AccessDenied) [request tx1]: Forbidden (HTTP 403)`; err == nil || err.Error() != want {
		t.Errorf("%v\nwant %s", err, want)
	}
	_, b = serve(t, nil, func(w http.ResponseWriter, _ *request) {
		w.WriteHeader(403)
		fmt.Fprint(w, "<Error><Code>AccessDenied</Code><Message>a\n\x1b[31mred&#x07;\t "+strings.Repeat("long ", 1000)+"</Message></Error>")
	})
	_, err = b.Put(t.Context(), "k", section(""), object.PutOptions{})
	if text := fmt.Sprint(err); strings.ContainsAny(text, "\x1b\a\n") || len(text) > 700 || !strings.Contains(text, "a [31mred") {
		t.Errorf("%q", text)
	}
}

func TestEndpointWithoutTLS(t *testing.T) {
	web := httptest.NewServer(http.NotFoundHandler())
	defer web.Close()
	_, b := serve(t, func(c *Config) { c.Endpoint, c.Dial = "https://"+web.Listener.Addr().String(), nil }, nil)
	start := time.Now()
	e := wantKind(t, b.Check(t.Context()), object.KindUnavailable)
	if !strings.Contains(e.Error(), "http://") || time.Since(start) > checkTimeout/2 {
		t.Errorf("%v after %v", e, time.Since(start))
	}
}

func TestUntrustedCertificateFailsAtOnce(t *testing.T) {
	web := httptest.NewUnstartedServer(http.NotFoundHandler())
	web.Config.ErrorLog = log.New(io.Discard, "", 0)
	web.StartTLS()
	defer web.Close()
	_, b := serve(t, func(c *Config) { c.Endpoint, c.Dial = web.URL, nil }, nil)
	start := time.Now()
	e := wantKind(t, b.Check(t.Context()), object.KindUnavailable)
	if !strings.Contains(e.Error(), "certificate") || time.Since(start) > checkTimeout/2 {
		t.Errorf("%v after %v", e, time.Since(start))
	}
}

// Over TLS the SDK would leave the body unsigned.
func TestPayloadIsSignedOverTLS(t *testing.T) {
	var header http.Header
	web := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header = r.Header
		put(w, "e")
	}))
	defer web.Close()
	_, b := serve(t, func(c *Config) { c.Endpoint, c.Dial = web.URL, nil }, nil)
	b.client.wire.transport.TLSClientConfig = web.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
	_, err := b.Put(t.Context(), "k", section("data"), object.PutOptions{})
	ok(t, err)
	if got := header.Get("X-Amz-Content-Sha256"); len(got) != 64 || header.Get("X-Amz-Trailer") != "" {
		t.Errorf("%v", header)
	}
}

func TestEveryCodeHasAKind(t *testing.T) {
	for code, m := range codes {
		if m.kind == object.KindOther {
			t.Errorf("%s says nothing", code)
		}
	}
	for _, c := range []struct {
		status int
		code   string
		want   meaning
	}{
		{200, "Odd", meaning{object.KindUnavailable, always}}, {599, "", meaning{object.KindUnavailable, always}},
		{418, "", meaning{object.KindInvalid, never}}, {304, "", meaning{object.KindOther, never}},
		{503, "NoSuchKey", meaning{object.KindNotFound, never}}, {404, "Odd", meaning{object.KindNotFound, never}},
	} {
		if got := meaningOf(c.status, c.code); got != c.want {
			t.Errorf("%d %s: %v", c.status, c.code, got)
		}
	}
}
