package s3remote

import (
	"net/http"
	"strings"
	"testing"

	"github.com/s3mount/s3mount/object"
)

func TestMetaValues(t *testing.T) {
	for plain, wire := range map[string]string{
		"1511424000.123456789": "1511424000.123456789",
		"":                     "",
		"a b":                  "a b",
		"a  b":                 "=?UTF-8?B?YSAgYg==?=",
		" a":                   "=?UTF-8?B?IGE=?=",
		"ü":                    "=?UTF-8?B?w7w=?=",
		"a\r\nX-Evil: 1":       "=?UTF-8?B?YQ0KWC1FdmlsOiAx?=",
		"=?UTF-8?Q?x?=":        "=?UTF-8?B?PT9VVEYtOD9RP3g/PQ==?=",
		"\xff":                 "=?UTF-8?B?/w==?=",
	} {
		if got := encodeValue(plain); got != wire {
			t.Errorf("%q goes as %q, want %q", plain, got, wire)
		}
		if got := decodeMeta(map[string]string{"X": wire})["x"]; got != plain {
			t.Errorf("%q comes as %q, want %q", wire, got, plain)
		}
	}
	// What others wrote: the form of AWS, raw UTF-8, and what only looks encoded.
	for wire, want := range map[string]string{
		"=?UTF-8?Q?=C3=BC_x?=": "ü x", "=?utf-8?b?w7w=?=": "ü", "ü": "ü", "=?x": "=?x", "=?no-such?Q?x?=": "=?no-such?Q?x?=",
	} {
		if got := decodeMeta(map[string]string{"k": wire})["k"]; got != want {
			t.Errorf("%q comes as %q, want %q", wire, got, want)
		}
	}
}

func FuzzMetaValue(f *testing.F) {
	f.Add("plain")
	f.Add(strings.Repeat("日本語", 50) + "\n\xff")
	f.Fuzz(func(t *testing.T, v string) {
		wire := encodeValue(v)
		if strings.ContainsFunc(wire, func(r rune) bool { return r < ' ' || r > '~' }) {
			t.Errorf("%q goes as %q", v, wire)
		}
		if got := decodeMeta(map[string]string{"k": wire})["k"]; got != v {
			t.Errorf("%q comes back as %q", v, got)
		}
	})
}

// A newline in a value is no way to a header of one's own.
func TestHeaderInjection(t *testing.T) {
	s, b := serve(t, nil, func(w http.ResponseWriter, _ *request) { put(w, "e") })
	_, err := b.Put(t.Context(), "k", section("x"), object.PutOptions{Meta: object.Meta{"k": "v\r\nX-Amz-Acl: public-read"}})
	ok(t, err)
	if r := s.request(1); r.Header.Get("X-Amz-Acl") != "" || strings.ContainsAny(r.Header.Get("X-Amz-Meta-K"), "\r\n") {
		t.Errorf("%v", r.Header)
	}
	for _, o := range []object.PutOptions{
		{Meta: object.Meta{"k\r\nX-Evil": "v"}}, {Meta: object.Meta{"": "v"}}, {Meta: object.Meta{"Upper": "v"}}, {Meta: object.Meta{"k:": "v"}},
		{ContentType: "a/b\r\nX-Evil: 1"}, {ContentType: "ü"},
	} {
		_, err := b.Put(t.Context(), "k", section("x"), o)
		wantKind(t, err, object.KindInvalid)
		_, err = b.CreateUpload(t.Context(), "k", o)
		wantKind(t, err, object.KindInvalid)
		_, err = b.Copy(t.Context(), object.ID{Key: "a"}, "k", object.CopyOptions{Meta: o.Meta, ContentType: o.ContentType})
		wantKind(t, err, object.KindInvalid)
	}
	if s.count() != 1 {
		t.Errorf("%q", s.seen())
	}
}

func TestHead(t *testing.T) {
	_, b := serve(t, nil, func(w http.ResponseWriter, r *request) {
		w.Header().Set("X-Amz-Meta-MTime", "1.5")
		w.Header().Set("X-Amz-Storage-Class", "GLACIER")
		w.Header().Set("Content-Type", "text/css")
		w.Header().Set("Last-Modified", "Mon, 06 May 2024 07:08:09 GMT")
		serveObject(w, r, "data", "e1")
	})
	info, err := b.Head(t.Context(), "k")
	ok(t, err)
	if info.Key != "k" || info.ETag != "e1" || info.Size != 4 || info.Meta["mtime"] != "1.5" || info.StorageClass != "GLACIER" || info.ContentType != "text/css" || info.LastModified.Minute() != 8 {
		t.Errorf("%+v", info)
	}
}

// Without a length, a file would seem empty.
func TestHeadWithoutLength(t *testing.T) {
	_, b := serve(t, nil, func(w http.ResponseWriter, _ *request) { put(w, "e") })
	_, err := b.Head(t.Context(), "k")
	wantKind(t, err, object.KindOther)
}
