package s3remote

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/s3mount/s3mount/internal/secret"
	"github.com/s3mount/s3mount/object"
)

// crcOf is the header's form of a CRC32C.
func crcOf(data []byte) string {
	return base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, crc32.Checksum(data, crc32.MakeTable(crc32.Castagnoli))))
}

// summing answers the requests of an upload as a store that checks sums.
func summing(w http.ResponseWriter, r *request) {
	switch {
	case r.URL.Query().Has("uploads"):
		w.Header().Set("X-Amz-Checksum-Algorithm", r.Header.Get("X-Amz-Checksum-Algorithm"))
		fmt.Fprint(w, "<InitiateMultipartUploadResult><UploadId>id</UploadId></InitiateMultipartUploadResult>")
	case r.Method == http.MethodPut:
		w.Header().Set("Etag", `"part"`)
	default:
		fmt.Fprint(w, `<CompleteMultipartUploadResult><ETag>"whole-1"</ETag></CompleteMultipartUploadResult>`)
	}
}

// TestSummedPartsTellTheirSum to the store, in the part and at the end, and their bytes are
// not hashed for the signature.
func TestSummedPartsTellTheirSum(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, b := serve(t, nil, summing)
		data := strings.Repeat("x", 300_000)
		id, err := b.CreateUpload(t.Context(), "k", object.PutOptions{Summed: true})
		ok(t, err)
		part, err := b.UploadPart(t.Context(), "k", id, 1, section(data))
		ok(t, err)
		want := crcOf([]byte(data))
		if part.CRC32C != want || part.Size != int64(len(data)) {
			t.Errorf("%+v, want the sum %s", part, want)
		}
		_, err = b.CompleteUpload(t.Context(), "k", id, []object.Part{part}, object.Condition{})
		ok(t, err)
		put, complete := s.request(2), s.request(3)
		if h := put.Header; string(put.body) != data || h.Get("X-Amz-Checksum-Crc32c") != want || h.Get("X-Amz-Content-Sha256") != "UNSIGNED-PAYLOAD" ||
			!strings.Contains(h.Get("Authorization"), "x-amz-checksum-crc32c") {
			t.Errorf("the part has %v", h)
		}
		if !strings.Contains(string(complete.body), "<ChecksumCRC32C>"+want+"</ChecksumCRC32C>") {
			t.Errorf("completed with %s", complete.body)
		}
		if b.isSummed(id) {
			t.Error("a completed upload is remembered")
		}
	})
}

// TestSumsAreNotForced on a store that passes them over or refuses them, on one whose
// signatures are to cover everything, and on signatures of version 2. It is asked once.
func TestSumsAreNotForced(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Config)
		old    bool // the answer tells no algorithm
		refuse bool
		asked  int
	}{
		"passes over":  {old: true, asked: 1},
		"refuses":      {refuse: true, asked: 1},
		"not wanted":   {change: func(c *Config) { c.SignPayload = true }},
		"signature v2": {change: func(c *Config) { c.V2Auth = true }},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				asked := 0
				_, b := serve(t, c.change, func(w http.ResponseWriter, r *request) {
					if r.Header.Get("X-Amz-Checksum-Algorithm") != "" {
						asked++
						if c.refuse {
							refuse(w, 400, "InvalidArgument")
							return
						}
					}
					if c.old {
						r.Header.Del("X-Amz-Checksum-Algorithm")
					}
					if r.Header.Get("X-Amz-Content-Sha256") == "UNSIGNED-PAYLOAD" {
						t.Error("a body without a sum")
					}
					summing(w, r)
				})
				for range 2 {
					id, err := b.CreateUpload(t.Context(), "k", object.PutOptions{Summed: true})
					ok(t, err)
					if part, err := b.UploadPart(t.Context(), "k", id, 1, section("data")); err != nil || part.CRC32C != "" {
						t.Fatalf("%+v, %v", part, err)
					}
				}
				if asked != c.asked {
					t.Errorf("asked for sums %d times, want %d", asked, c.asked)
				}
			})
		})
	}
}

// overTCP is a bucket on a store that is reached by a real connection.
func overTCP(t *testing.T, handle http.HandlerFunc) *Bucket {
	t.Helper()
	web := httptest.NewServer(handle)
	client, err := New(t.Context(), Config{Provider: "Minio", Endpoint: web.URL, AccessKeyID: "id", SecretAccessKey: secret.New("key")})
	ok(t, err)
	t.Cleanup(func() {
		client.Close()
		web.Close()
	})
	b, err := client.Bucket("bkt", "")
	ok(t, err)
	return b
}

// TestAPartOfAFile is sent from the kernel's memory, at an offset, and in full; a file that
// became shorter is our failure, not the store's.
func TestAPartOfAFile(t *testing.T) {
	data := bytes.Repeat([]byte("0123456789abcdef"), 300_000)
	path := filepath.Join(t.TempDir(), "f")
	ok(t, os.WriteFile(path, data, 0o600))
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	ok(t, err)
	defer f.Close()
	var got []byte
	b := overTCP(t, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err == nil && r.Method == http.MethodPut {
			got = body
		}
		summing(w, &request{Request: r})
	})
	id, err := b.CreateUpload(t.Context(), "k", object.PutOptions{Summed: true})
	ok(t, err)
	const off, n = 1_000_003, 3_000_000
	_, err = b.UploadPart(t.Context(), "k", id, 1, io.NewSectionReader(f, off, n))
	ok(t, err)
	if !bytes.Equal(got, data[off:off+n]) {
		t.Errorf("%d other bytes were sent", len(got))
	}
	ok(t, f.Truncate(off+n-1))
	if part, err := b.UploadPart(t.Context(), "k", id, 1, io.NewSectionReader(f, off, n)); !object.Is(err, object.KindOther) {
		t.Errorf("%+v, %v", part, err)
	}
}

// TestSendFileEndsAtTheBody and tells a file that is cut off while it is sent.
func TestSendFileEndsAtTheBody(t *testing.T) {
	f, err := os.CreateTemp(t.TempDir(), "")
	ok(t, err)
	defer f.Close()
	_, err = f.Write(bytes.Repeat([]byte("x"), 3<<20))
	ok(t, err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ok(t, err)
	defer l.Close()
	received := make(chan int64)
	go func() {
		there, err := l.Accept()
		if err != nil {
			received <- -1
			return
		}
		n, _ := io.Copy(io.Discard, there)
		there.Close()
		received <- n
	}()
	here, err := net.Dial("tcp", l.Addr().String())
	ok(t, err)
	w := &writeLimit{Conn: here, limit: time.Minute}
	body := newSendBody(io.NewSectionReader(f, 100, 2<<20))
	n, err := w.ReadFrom(&io.LimitedReader{R: body, N: 2 << 20})
	if err != nil || n != 2<<20 {
		t.Errorf("sent %d, %v", n, err)
	}
	body = newSendBody(io.NewSectionReader(f, 2<<20, 2<<20)) // half of it is there
	n, err = w.ReadFrom(&io.LimitedReader{R: body, N: 2 << 20})
	if n != 1<<20 || err == nil || body.fail.Load() == nil {
		t.Errorf("sent %d of a file that is too short, %v", n, err)
	}
	here.Close()
	if all := <-received; all != 3<<20 {
		t.Errorf("%d bytes came", all)
	}
}
