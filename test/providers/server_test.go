// Package providers holds what the big providers see of s3mount: to which host, with
// which path and for which region each kind of request goes, when the remote is
// configured as the provider's documentation says. A server on loopback with a
// certificate authority of its own answers under the providers' real host names.
package providers

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// authority signs certificates for whatever host a client asks for.
type authority struct {
	key   *ecdsa.PrivateKey
	root  *x509.Certificate
	roots *x509.CertPool
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	root, err := x509.ParseCertificate(raw)
	if err != nil {
		t.Fatal(err)
	}
	a := &authority{key: key, root: root, roots: x509.NewCertPool()}
	a.roots.AddCert(root)
	return a
}

// certificate makes one for the host that the client wants to talk to, as a provider
// has it: for the endpoint itself, or with a wildcard for one label before it.
func (a *authority) certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	host := hello.ServerName
	if host == "" {
		return nil, fmt.Errorf("the client names no host")
	}
	_, parent, _ := strings.Cut(host, ".")
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), DNSNames: []string{host, "*." + parent},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, a.root, &a.key.PublicKey, a.key)
	if err != nil {
		return nil, err
	}
	return &tls.Certificate{Certificate: [][]byte{raw}, PrivateKey: a.key}, nil
}

// seen is what a request looked like from the provider's side.
type seen struct {
	Method, Host, Path string // the path with the parameters that are not the SDK's own
	Region             string // of the signature; "v2" for signatures of version 2
	TLS                bool
	Body               string
}

// world is all hosts there are: every name leads to the one server.
type world struct {
	roots   *x509.CertPool
	address string
	answer  http.HandlerFunc // nil: takeAll

	mu struct {
		sync.Mutex
		seen    []seen
		dialled []string // host:port
	}
}

func newWorld(t *testing.T, answer http.HandlerFunc) *world {
	t.Helper()
	ca := newAuthority(t)
	w := &world{roots: ca.roots, answer: answer}
	web := httptest.NewUnstartedServer(w)
	web.TLS = &tls.Config{GetCertificate: ca.certificate}
	web.Config.ErrorLog = log.New(io.Discard, "", 0)
	web.StartTLS()
	t.Cleanup(web.Close)
	w.address = web.Listener.Addr().String()
	return w
}

// dial leads every name to the server.
func (w *world) dial(ctx context.Context, network, address string) (net.Conn, error) {
	w.mu.Lock()
	w.mu.dialled = append(w.mu.dialled, address)
	w.mu.Unlock()
	return (&net.Dialer{}).DialContext(ctx, network, w.address)
}

func (w *world) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	q := r.URL.Query()
	q.Del("x-id")
	path := r.URL.EscapedPath()
	if len(q) > 0 {
		path += "?" + q.Encode()
	}
	w.mu.Lock()
	w.mu.seen = append(w.mu.seen, seen{Method: r.Method, Host: r.Host, Path: path, Region: region(r), TLS: r.TLS != nil, Body: string(body)})
	w.mu.Unlock()
	if w.answer != nil {
		w.answer(rw, r)
		return
	}
	takeAll(rw, r)
}

// region returns the region that a request is signed for.
func region(r *http.Request) string {
	auth := r.Header.Get("Authorization")
	if strings.HasPrefix(auth, "AWS ") {
		return "v2"
	}
	_, scope, _ := strings.Cut(auth, "Credential=")
	if parts := strings.Split(scope, "/"); len(parts) > 3 {
		return parts[2]
	}
	return ""
}

// takeAll answers every request with a success.
func takeAll(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	switch {
	case r.Method == http.MethodGet && (q.Has("list-type") || q.Has("max-keys")):
		_, _ = io.WriteString(w, "<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>")
	case r.Method == http.MethodGet && r.URL.Path == "/":
		_, _ = io.WriteString(w, "<ListAllMyBucketsResult></ListAllMyBucketsResult>")
	case r.Method == http.MethodGet:
		w.Header().Set("ETag", `"e"`)
		_, _ = io.WriteString(w, "data")
	default:
		w.Header().Set("ETag", `"8d777f385d3dfec8815d20f7496026dc"`)
	}
}

// requests returns what came in since the last call.
func (w *world) requests() []seen {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := w.mu.seen
	w.mu.seen = nil
	return all
}
