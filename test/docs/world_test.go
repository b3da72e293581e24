package docs

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// world is the internet of a session: a proxy through which every host name leads to a
// server on this machine, which has a certificate for each.
type world struct {
	root    string // file with the authority's certificate
	proxy   string // URL
	handler http.Handler
	web     *httptest.Server

	key    *ecdsa.PrivateKey
	issuer *x509.Certificate
	mu     struct {
		sync.Mutex
		issued map[string]*tls.Certificate // by host
	}
}

// newWorld starts one whose hosts are all answered by handler.
func newWorld(t *testing.T, handler http.Handler) *world {
	t.Helper()
	w := &world{handler: handler, root: filepath.Join(t.TempDir(), "authority.pem")}
	w.mu.issued = map[string]*tls.Certificate{}
	if err := w.found(); err != nil {
		t.Fatal(err)
	}
	w.web = httptest.NewUnstartedServer(handler)
	w.web.TLS = &tls.Config{GetCertificate: w.certificate}
	w.web.Config.ErrorLog = log.New(io.Discard, "", 0)
	w.web.StartTLS()
	t.Cleanup(w.web.Close)
	proxy := httptest.NewServer(http.HandlerFunc(w.forward))
	t.Cleanup(proxy.Close)
	w.proxy = proxy.URL
	return w
}

// found makes the authority.
func (w *world) found() error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return err
	}
	w.key = key
	if w.issuer, err = x509.ParseCertificate(raw); err != nil {
		return err
	}
	return os.WriteFile(w.root, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: raw}), 0o600)
}

// certificate makes one for the host that a client wants to talk to.
func (w *world) certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	host := hello.ServerName
	if host == "" {
		return nil, fmt.Errorf("the client names no host")
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if c := w.mu.issued[host]; c != nil {
		return c, nil
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(int64(len(w.mu.issued)) + 2), DNSNames: []string{host},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, w.issuer, &w.key.PublicKey, w.key)
	if err != nil {
		return nil, err
	}
	c := &tls.Certificate{Certificate: [][]byte{raw}, PrivateKey: w.key}
	w.mu.issued[host] = c
	return c, nil
}

// forward is the proxy: it connects whoever wants to talk TLS to the server, and answers
// plain requests itself.
func (w *world) forward(rw http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodConnect {
		w.handler.ServeHTTP(rw, r)
		return
	}
	there, err := net.Dial("tcp", w.web.Listener.Addr().String())
	if err != nil {
		http.Error(rw, err.Error(), http.StatusBadGateway)
		return
	}
	defer there.Close()
	here, buffered, err := http.NewResponseController(rw).Hijack()
	if err != nil {
		return
	}
	defer here.Close()
	if _, err := io.WriteString(here, "HTTP/1.1 200 Connection established\r\n\r\n"); err != nil {
		return
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = io.Copy(there, buffered)
		_ = there.(*net.TCPConn).CloseWrite()
	}()
	_, _ = io.Copy(here, there)
	here.Close() // ends the other direction
	<-done
}
