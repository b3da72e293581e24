package docs

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/s3mount/s3mount/test/s3fake"
)

// The keys that the documents show for stores that can't be had here.
const (
	shownAccessKey = "YOUR_ACCESS_KEY"
	publicBucket   = "1000genomes" // a bucket of AWS that everybody may read
)

// clouds are the stores that can't be had here: a stand-in for each answers under the real
// host names.
type clouds struct {
	aws    *s3fake.Server
	open   *s3fake.Server            // that of publicBucket
	others map[string]*s3fake.Server // by host

	mu struct {
		sync.Mutex
		regions  map[string]string // of the buckets of AWS
		restored map[string]bool   // bucket/key that somebody asked to restore
	}
}

func newClouds(t *testing.T) *clouds {
	c := &clouds{others: map[string]*s3fake.Server{}}
	c.mu.regions, c.mu.restored = map[string]string{}, map[string]bool{}
	c.aws = s3fake.Start(t, s3fake.Options{AccessKey: shownAccessKey})
	for _, host := range []string{"nyc3.digitaloceanspaces.com", "s3.wasabisys.com", "objects-us-east-1.dream.io"} {
		c.others[host] = s3fake.Start(t, s3fake.Options{AccessKey: shownAccessKey})
	}
	c.open = s3fake.Start(t, s3fake.Options{})
	c.open.Bucket(publicBucket).AddVirtual(s3fake.Virtual{Prefix: "release/", Suffix: ".vcf.gz", N: 3, Size: 1 << 20})
	return c
}

// through passes requests on to another endpoint as they are.
func through(endpoint string) http.Handler {
	target, err := url.Parse(endpoint)
	if err != nil {
		panic(err) // of the test's own making
	}
	return &httputil.ReverseProxy{Rewrite: func(p *httputil.ProxyRequest) {
		p.SetURL(target)
		p.Out.Host = p.In.Host // it is signed
	}}
}

// awsHost is a host of AWS: a bucket, and its region.
var awsHost = regexp.MustCompile(`^(?:(.+)\.)?s3\.([a-z0-9-]+)\.amazonaws\.com$`)

func (c *clouds) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	if m := awsHost.FindStringSubmatch(host); m != nil {
		c.serveAWS(w, into(r, m[1]), m[2])
		return
	}
	for name, s := range c.others {
		if bucket, ok := strings.CutSuffix("."+host, "."+name); ok {
			through(s.URL()).ServeHTTP(w, into(r, strings.TrimPrefix(bucket, ".")))
			return
		}
	}
	http.Error(w, "no such host: "+host, http.StatusBadGateway)
}

// into moves the bucket from the host's name into the path.
func into(r *http.Request, bucket string) *http.Request {
	if bucket == "" {
		return r
	}
	r = r.Clone(r.Context())
	r.URL.RawPath = "/" + bucket + r.URL.EscapedPath()
	r.URL.Path = "/" + bucket + r.URL.Path
	return r
}

// serveAWS does what the stand-in does not: buckets have regions, archived objects can
// be restored, and one bucket is everybody's.
func (c *clouds) serveAWS(w http.ResponseWriter, r *http.Request, region string) {
	path := strings.TrimPrefix(r.URL.Path, "/")
	bucket, key, _ := strings.Cut(path, "/")
	reads := r.Method == http.MethodGet || r.Method == http.MethodHead
	switch {
	case bucket == publicBucket && !reads:
		refuse(w, http.StatusForbidden, "AccessDenied", "Access Denied")
		return
	case bucket == publicBucket:
		through(c.open.URL()).ServeHTTP(w, r)
		return
	}
	c.mu.Lock()
	home, known := c.mu.regions[bucket]
	if !known && r.Method == http.MethodPut && key == "" {
		c.mu.regions[bucket] = region
	}
	restored := c.mu.restored[path]
	if r.Method == http.MethodPost && r.URL.Query().Has("restore") {
		c.mu.restored[path] = true
	}
	c.mu.Unlock()
	switch {
	case known && home != region:
		w.Header().Set("X-Amz-Bucket-Region", home)
		refuse(w, http.StatusMovedPermanently, "PermanentRedirect", "The bucket you are attempting to access must be addressed using the specified endpoint. Please send all future requests to this endpoint.")
	case r.Method == http.MethodPost && r.URL.Query().Has("restore"):
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusAccepted)
	default:
		if restored {
			w.Header().Set("X-Amz-Restore", `ongoing-request="true"`)
		}
		through(c.aws.URL()).ServeHTTP(w, r)
	}
}

// refuse answers with an error, as S3 does.
func refuse(w http.ResponseWriter, status int, code, message string) {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, "<Error><Code>%s</Code><Message>%s</Message></Error>", code, message)
}
