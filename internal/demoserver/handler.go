package demoserver

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/rclone/gofakes3"
)

// front stands before gofakes3 and sets right where v0.0.12 differs from S3 in ways
// that a careful client sees:
//   - the hash of the body that a request is signed with is not compared with the body;
//   - a key that is not UTF-8 fails as a wrong signature, which misleads;
//   - the ETag that a copy is conditional on is compared before the source is opened;
//   - listing the uploads of a bucket that never had one is "404 NoSuchUpload".
func front(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !utf8.ValidString(r.URL.Path) {
			refuse(w, http.StatusBadRequest, "InvalidURI", "The key is not valid UTF-8.")
			return
		}
		if sum, err := hex.DecodeString(r.Header.Get("X-Amz-Content-Sha256")); err == nil && len(sum) == sha256.Size && r.ContentLength > 0 {
			r.Body = &verifiedBody{ReadCloser: r.Body, left: r.ContentLength, hash: sha256.New(), want: sum}
		}
		if etag := r.Header.Get("X-Amz-Copy-Source-If-Match"); etag != "" {
			r = r.WithContext(context.WithValue(r.Context(), copyCondition{}, strings.Trim(etag, `"`)))
		}
		if r.Method == http.MethodGet && r.URL.Query().Has("uploads") {
			answerUploads(w, r, next)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func refuse(w http.ResponseWriter, status int, code, message string) {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	fmt.Fprintf(w, "<Error><Code>%s</Code><Message>%s</Message></Error>", code, message)
}

// verifiedBody fails the read of its last byte where the bytes are not those that the
// request was signed for. It counts, because the library stops at the announced size
// and never sees the end of the body.
type verifiedBody struct {
	io.ReadCloser
	left int64
	hash hash.Hash
	want []byte
}

func (b *verifiedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.hash.Write(p[:n])
	b.left -= int64(n)
	if n > 0 && b.left == 0 && !bytes.Equal(b.hash.Sum(nil), b.want) {
		return n, gofakes3.ErrorMessage(gofakes3.ErrBadDigest, "The body is not the one that was signed.")
	}
	return n, err
}

// copyCondition is the context key of the ETag that the source of a copy must have.
type copyCondition struct{}

// checkCopyCondition compares the condition in ctx, if any, with the version that was
// opened as the source of a copy.
func checkCopyCondition(ctx context.Context, etag string) error {
	if want, ok := ctx.Value(copyCondition{}).(string); ok && want != "*" && want != etag {
		return gofakes3.ErrPreconditionFailed
	}
	return nil
}

// answerUploads turns "no such upload" into the empty list that S3 answers. A page of
// uploads is small (1000 at most), so it can be held back until its status is known.
func answerUploads(w http.ResponseWriter, r *http.Request, next http.Handler) {
	held := &heldAnswer{header: w.Header(), status: http.StatusOK}
	next.ServeHTTP(held, r)
	body := held.body.Bytes()
	if held.status == http.StatusNotFound && bytes.Contains(body, []byte("<Code>NoSuchUpload</Code>")) {
		held.status, body = http.StatusOK, []byte("<ListMultipartUploadsResult><IsTruncated>false</IsTruncated></ListMultipartUploadsResult>")
	}
	w.WriteHeader(held.status)
	// The client is gone where this fails; there is nobody to tell.
	_, _ = w.Write(body)
}

// heldAnswer is an http.ResponseWriter that keeps status and body.
type heldAnswer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (h *heldAnswer) Header() http.Header         { return h.header }
func (h *heldAnswer) WriteHeader(status int)      { h.status = status }
func (h *heldAnswer) Write(p []byte) (int, error) { return h.body.Write(p) }
