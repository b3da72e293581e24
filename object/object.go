// Package object holds the words that every other package shares: how a remote
// object is named, which version of it is meant, what is known about it, and in
// which way an operation on it failed.
//
// A version is an ID: a key and the ETag that the store gave to the bytes. Bytes
// never change under an ID, so everything cached by ID is right for ever; what
// changes is which ID a key stands for. An empty ETag means "whatever is there".
//
// The package imports the standard library only, and knows neither S3's protocol
// nor FUSE. The store's answers become these types in s3remote, and a Kind becomes
// an errno in fusefs; nothing in between translates.
package object

import (
	"crypto/md5"
	"encoding/base64"
	"encoding/hex"
	"maps"
	"strings"
	"time"
)

// ID names one version of an object.
type ID struct {
	Key string
	// ETag is the store's tag of the bytes, without quotes. Empty: any version.
	ETag string
}

// localTag begins the ETags of versions that no store has: in those of stores there is no
// blank (RFC 9110, 8.8.3).
const localTag = "not stored: "

// LocalETag makes the ETag of a version that is on this machine only, of a name that no
// other such version has.
func LocalETag(name string) string { return localTag + name }

// Local reports whether the version is one of LocalETag.
func (id ID) Local() bool { return strings.HasPrefix(id.ETag, localTag) }

// Info is what is known about one version of an object.
type Info struct {
	Key  string
	ETag string // without quotes
	Size int64  // bytes
	// LastModified is the store's own time of the upload (whole seconds on most stores).
	LastModified time.Time
	StorageClass string // empty: the store's default
	ContentType  string // empty where the source (a listing) does not tell it
	// Meta is the user metadata. It is nil where the source does not tell it (a
	// listing), and empty but not nil where the object has none.
	Meta Meta
	// OtherETag says that the ETag is not the MD5 of the content, whatever it looks
	// like: the object is encrypted with a key of the customer's or of a key service.
	OtherETag bool
}

// ID returns the name of the version that i describes.
func (i Info) ID() ID { return ID{Key: i.Key, ETag: i.ETag} }

// SameVersion reports whether i and o describe the same bytes and metadata: the user
// metadata of a key can only change together with ETag, Size or LastModified. Times are
// compared in whole seconds, since HEAD tells no more, and a zero time is not known:
// the answer to a PUT has none.
func (i Info) SameVersion(o Info) bool {
	return i.SameBytes(o) && (i.LastModified.IsZero() || o.LastModified.IsZero() || i.LastModified.Unix() == o.LastModified.Unix())
}

// SameBytes reports whether i and o have the same content.
func (i Info) SameBytes(o Info) bool { return i.ETag == o.ETag && i.Size == o.Size }

// MetaMD5 is the name of the metadata under which rclone, and s3mount's commands, keep
// the MD5 of content whose ETag is none, in base64.
const MetaMD5 = "md5chksum"

// MD5 returns the sum of the content in hexadecimal, where it is known: from the ETag
// of an object of one part, else from MetaMD5.
func (i Info) MD5() (sum string, ok bool) {
	if raw, err := hex.DecodeString(i.ETag); err == nil && len(raw) == md5.Size && !i.OtherETag {
		return strings.ToLower(i.ETag), true
	}
	raw, err := base64.StdEncoding.DecodeString(i.Meta[MetaMD5])
	if err != nil || len(raw) != md5.Size {
		return "", false
	}
	return hex.EncodeToString(raw), true
}

// Meta is user metadata: names in lower case, without the "x-amz-meta-" in front.
type Meta map[string]string

// Clone returns a copy that can be changed. The copy of nil is empty, not nil.
func (m Meta) Clone() Meta {
	if m == nil {
		return Meta{}
	}
	return maps.Clone(m)
}

// Range is a range of bytes of an object.
type Range struct {
	Off, Len int64 // bytes; Len > 0
}

// End returns the offset behind the last byte.
func (r Range) End() int64 { return r.Off + r.Len }

// Query asks for one page of a listing. Keys come in the order of their bytes.
type Query struct {
	Prefix    string
	Delimiter string // "" or "/"
	// After lists only keys (and common prefixes) behind this one. Used for the
	// first page only; later pages carry Token.
	After string
	// Token continues a listing: Page.Next of the page before.
	Token string
	// Max bounds the number of keys and prefixes in the page; 0: the store's default.
	Max int
}

// Page is one page of a listing, in the order of keys' bytes within each slice.
type Page struct {
	Objects  []Info   // Meta is nil in each
	Prefixes []string // common prefixes, ending in the delimiter
	// Next continues the listing; empty on the last page.
	Next string
}

// Condition makes a write depend on what is under the key. The zero value is
// unconditional. A condition that does not hold is an Error of KindConflict.
type Condition struct {
	IfAbsent bool   // nothing may be under the key
	IfMatch  string // the ETag that must be under the key
}

// PutOptions is what is stored beside the bytes of a new version.
type PutOptions struct {
	Meta        Meta
	ContentType string // empty: application/octet-stream
	Condition   Condition
	// MD5 is the sum of the body in hexadecimal; empty: not known. Put refuses other
	// bytes, as KindCorrupt; uploads in parts pass it over.
	MD5 string
	// Summed asks CreateUpload for parts that the store checks by their CRC32C, if it can.
	// No part of such an upload may be copied; Put passes it over.
	Summed bool
}

// CopyOptions tells how a server-side copy differs from its source.
type CopyOptions struct {
	// Meta replaces the user metadata; nil keeps the source's metadata and content type.
	Meta        Meta
	ContentType string // used only where Meta is not nil
	// Size is the size of the source in bytes. Copies over the store's limit for one
	// request are done in parts.
	Size int64
	// Ours says that the source was stored by the same Bucket, by Put, Copy or an upload, so
	// that it has no headers but those that a Bucket gives to all, and the content type, which
	// ContentType has to tell.
	Ours bool
	// IfAbsent refuses, as KindExists, to copy over an object.
	IfAbsent bool
	// Unlooked says that IfAbsent is worth no question of its own: where the store does not
	// refuse by itself, the object is copied over.
	Unlooked bool
	// IfMatch refuses, as KindExists, to replace anything but the version with this ETag;
	// nothing under the key is refused likewise.
	IfMatch string
}

// Part is one uploaded part of a multipart upload.
type Part struct {
	Number int // from 1
	ETag   string
	Size   int64  // bytes
	CRC32C string // in base64, where the store has checked it; CompleteUpload wants it back
}

// Upload is a multipart upload that is neither completed nor aborted.
type Upload struct {
	Key, ID   string
	Initiated time.Time
}
