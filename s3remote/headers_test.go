package s3remote

import (
	"encoding/base64"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/s3mount/s3mount/object"
)

const (
	sseHeader      = "X-Amz-Server-Side-Encryption"
	kmsHeader      = "X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id"
	customerHeader = "X-Amz-Server-Side-Encryption-Customer-"
	sourceHeader   = "X-Amz-Copy-Source-Server-Side-Encryption-Customer-"
	payerHeader    = "X-Amz-Request-Payer"
)

// record does everything that a Bucket does against a store that takes all of it, and
// returns the requests by the name of their operation.
func record(t *testing.T, options map[string]string) map[string]*request {
	t.Helper()
	conf, err := from(options)
	ok(t, err)
	s, b := serve(t, func(c *Config) {
		conf.Provider, conf.Endpoint, conf.Dial = c.Provider, c.Endpoint, c.Dial
		conf.AccessKeyID, conf.SecretAccessKey = c.AccessKeyID, c.SecretAccessKey
		*c = conf
	}, takeAll)
	ctx := t.Context()
	ok(t, b.client.CreateBucket(ctx, "bkt"))
	_, err = b.client.ListBuckets(ctx)
	ok(t, err)
	_, err = b.Put(ctx, "k", section("data"), object.PutOptions{})
	ok(t, err)
	_, err = readAll(b.Get(ctx, object.ID{Key: "k"}, object.Range{Len: 4}))
	ok(t, err)
	_, err = b.Head(ctx, "k")
	ok(t, err)
	ok(t, b.Check(ctx))
	_, err = b.Copy(ctx, object.ID{Key: "k"}, "k2", object.CopyOptions{})
	ok(t, err)
	b.limits = copyLimits{whole: 1, part: 4}
	_, err = b.Copy(ctx, object.ID{Key: "k"}, "k3", object.CopyOptions{Size: 4})
	ok(t, err)
	_, err = b.UploadPart(ctx, "k", "up", 1, section("part"))
	ok(t, err)
	ok(t, b.Delete(ctx, "k"))
	ok(t, b.DeleteMany(ctx, []string{"k"}))
	found := map[string]*request{}
	for n := range s.count() {
		r := s.request(n + 1)
		found[operation(r)] = r
	}
	return found
}

// operation names the operation of a request.
func operation(r *request) string {
	q := r.URL.Query()
	copied := r.Header.Get("X-Amz-Copy-Source") != ""
	switch isObject := strings.Count(r.URL.Path, "/") > 1; {
	case r.URL.Path == "/":
		return "ListBuckets"
	case !isObject && r.Method == http.MethodPut:
		return "CreateBucket"
	case !isObject && r.Method == http.MethodPost:
		return "DeleteObjects"
	case !isObject:
		return "ListObjects"
	case r.Method == http.MethodPut && q.Has("uploadId") && copied:
		return "UploadPartCopy"
	case r.Method == http.MethodPut && q.Has("uploadId"):
		return "UploadPart"
	case r.Method == http.MethodPut && copied:
		return "CopyObject"
	case r.Method == http.MethodPost && q.Has("uploads"):
		return "CreateMultipartUpload"
	case r.Method == http.MethodPost:
		return "CompleteMultipartUpload"
	}
	return map[string]string{"PUT": "PutObject", "GET": "GetObject", "HEAD": "HeadObject", "DELETE": "DeleteObject"}[r.Method]
}

// takeAll answers every request with a success.
func takeAll(w http.ResponseWriter, r *request) {
	switch op := operation(r); op {
	case "ListBuckets":
		_, _ = io.WriteString(w, "<ListAllMyBucketsResult></ListAllMyBucketsResult>")
	case "ListObjects":
		_, _ = io.WriteString(w, listBody(""))
	case "DeleteObjects":
		_, _ = io.WriteString(w, "<DeleteResult></DeleteResult>")
	case "CopyObject":
		_, _ = io.WriteString(w, "<CopyObjectResult><ETag>e</ETag></CopyObjectResult>")
	case "UploadPartCopy":
		_, _ = io.WriteString(w, "<CopyPartResult><ETag>e</ETag></CopyPartResult>")
	case "CreateMultipartUpload":
		_, _ = io.WriteString(w, "<InitiateMultipartUploadResult><UploadId>up</UploadId></InitiateMultipartUploadResult>")
	case "CompleteMultipartUpload":
		_, _ = io.WriteString(w, "<CompleteMultipartUploadResult><ETag>e-1</ETag></CompleteMultipartUploadResult>")
	case "GetObject", "HeadObject":
		serveObject(w, r, "data", "e")
	default:
		put(w, "e")
	}
}

// wantHeader checks that the operations named, and no others, have a header.
func wantHeader(t *testing.T, found map[string]*request, name, value string, ops ...string) {
	t.Helper()
	if len(found) < 12 {
		t.Errorf("only %d operations were recorded", len(found))
	}
	want := map[string]bool{}
	for _, op := range ops {
		want[op] = true
		if found[op] == nil {
			t.Errorf("%s was not recorded", op)
		}
	}
	for op, r := range found {
		got := r.Header.Get(name)
		if want[op] && got != value {
			t.Errorf("%s: %s is %q, want %q", op, name, got, value)
		}
		if !want[op] && got != "" {
			t.Errorf("%s has %s: %q", op, name, got)
		}
		if got != "" && !strings.Contains(r.Header.Get("Authorization"), strings.ToLower(name)) {
			t.Errorf("%s: %s is not signed", op, name)
		}
	}
}

// stores are the operations that make an object; its parts take over what was said then.
var stores = []string{"PutObject", "CopyObject", "CreateMultipartUpload"}

func TestCannedACLs(t *testing.T) {
	for _, acl := range cannedACLs {
		wantHeader(t, record(t, map[string]string{"acl": acl}), "X-Amz-Acl", acl, append(stores, "CreateBucket")...)
	}
	wantHeader(t, record(t, map[string]string{"bucket_acl": "public-read"}), "X-Amz-Acl", "public-read", "CreateBucket")
	found := record(t, map[string]string{"acl": "authenticated-read", "bucket_acl": "private"})
	if got := found["CreateBucket"].Header.Get("X-Amz-Acl"); got != "private" {
		t.Errorf("the bucket's ACL is %q", got)
	}
	wantHeader(t, record(t, nil), "X-Amz-Acl", "")
}

func TestStorageClass(t *testing.T) {
	for _, class := range []string{"STANDARD", "STANDARD_IA", "REDUCED_REDUNDANCY", "GLACIER_IR", "my-class.2"} {
		wantHeader(t, record(t, map[string]string{"storage_class": class}), "X-Amz-Storage-Class", class, stores...)
	}
}

func TestServerSideEncryption(t *testing.T) {
	found := record(t, map[string]string{"server_side_encryption": "AES256"})
	wantHeader(t, found, sseHeader, "AES256", stores...)
	wantHeader(t, found, kmsHeader, "")
	found = record(t, map[string]string{"server_side_encryption": "aws:kms", "sse_kms_key_id": "arn:aws:kms:eu:1:key/x"})
	wantHeader(t, found, sseHeader, "aws:kms", stores...)
	wantHeader(t, found, kmsHeader, "arn:aws:kms:eu:1:key/x", stores...)
}

// The customer's key goes with everything that touches content or metadata, and with
// copies twice: to read the source, and to store the copy.
func TestCustomerKeyHeaders(t *testing.T) {
	const key = "0123456789abcdef0123456789abcdef"
	coded := base64.StdEncoding.EncodeToString([]byte(key))
	for _, options := range []map[string]string{
		{"sse_customer_algorithm": "AES256", "sse_customer_key": key},
		{"sse_customer_algorithm": "AES256", "sse_customer_key_base64": coded},
		{"sse_customer_algorithm": "AES256", "sse_customer_key_base64": coded, "sse_customer_key_md5": base64MD5(key)},
	} {
		found := record(t, options)
		for suffix, value := range map[string]string{"Algorithm": "AES256", "Key": coded, "Key-Md5": base64MD5(key)} {
			wantHeader(t, found, customerHeader+suffix, value,
				append(stores, "GetObject", "HeadObject", "UploadPart", "UploadPartCopy")...)
			wantHeader(t, found, sourceHeader+suffix, value, "CopyObject", "UploadPartCopy")
		}
		wantHeader(t, found, sseHeader, "")
	}
}

func TestRequesterPays(t *testing.T) {
	found := record(t, map[string]string{"requester_pays": "true"})
	wantHeader(t, found, payerHeader, "requester", append(stores, "GetObject", "HeadObject", "UploadPart", "UploadPartCopy",
		"CompleteMultipartUpload", "DeleteObject", "DeleteObjects", "ListObjects")...)
	wantHeader(t, record(t, nil), payerHeader, "")
}

func TestTuningOptions(t *testing.T) {
	c, err := from(map[string]string{
		"upload_cutoff": "200Mi", "chunk_size": "5M", "copy_cutoff": "4.656Gi", "upload_concurrency": "4",
		"disable_checksum": "true", "no_check_bucket": "true", "no_head": "true",
	})
	ok(t, err)
	if c.UploadCutoff != 200<<20 || c.ChunkSize != 5<<20 || c.CopyCutoff>>20 != 4767 || c.UploadConcurrency != 4 ||
		!c.DisableChecksum || !c.NoCheckBucket || !c.NoHead {
		t.Errorf("%+v", c)
	}
	_, b := serve(t, func(cfg *Config) { cfg.CopyCutoff = c.CopyCutoff }, nil)
	if b.limits.whole != c.CopyCutoff {
		t.Errorf("%+v", b.limits)
	}
}

func TestSizes(t *testing.T) {
	for text, want := range map[string]int64{
		"5Mi": 5 << 20, "5M": 5 << 20, "5m": 5 << 20, "5MiB": 5 << 20, "5mib": 5 << 20, "1.5k": 1536, "10": 10 << 10, "7B": 7, "7b": 7,
		"0": 0, "1Gi": 1 << 30, "1T": 1 << 40, "2P": 2 << 50,
	} {
		if got, err := parseSize(text); err != nil || got != want {
			t.Errorf("%q: %d, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "x", "5X", "5 M", "-5M", "5MB", "i", "5i", "5iB", ".", "9999P", "99999999P", "off"} {
		if n, err := parseSize(text); err == nil {
			t.Errorf("%q: %d", text, n)
		}
	}
}
