package s3remote

import (
	"bytes"
	"context"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// Listings are most of what a store says, and the SDK's general XML decoder takes ten
// times as long for them as the store for making them. quickListing reads the plain XML
// that stores write. Whatever is out of the ordinary (a comment, CDATA, a prefix in a name,
// a number that is none) is not for it: the SDK then reads the document, and judges it.

// quickListings makes the SDK read listings by quickListing where that can.
func quickListings(stack *middleware.Stack) error {
	if op := stack.ID(); op != "ListObjectsV2" && op != "ListObjects" {
		return nil
	}
	const id = "OperationDeserializer"
	sdk, ok := stack.Deserialize.Get(id)
	if !ok {
		return nil
	}
	_, err := stack.Deserialize.Swap(id, &listingReader{sdk, stack.ID() == "ListObjectsV2"})
	return err
}

// listingReader stands in the place of the SDK's deserializer of listings.
type listingReader struct {
	middleware.DeserializeMiddleware
	second bool // form of listings
}

func (r *listingReader) HandleDeserialize(ctx context.Context, in middleware.DeserializeInput, next middleware.DeserializeHandler) (
	out middleware.DeserializeOutput, meta middleware.Metadata, err error,
) {
	out, meta, err = next.HandleDeserialize(ctx, in)
	resp, ok := out.RawResponse.(*smithyhttp.Response)
	if err != nil || !ok || resp.StatusCode/100 != 2 {
		return r.bySDK(ctx, in, out, meta, err)
	}
	doc, err := io.ReadAll(resp.Body) // wire has read it whole, within its bounds
	resp.Body.Close()
	if err != nil {
		return out, meta, err
	}
	var l quickListing
	if !l.parse(doc) {
		resp.Body = io.NopCloser(bytes.NewReader(doc))
		return r.bySDK(ctx, in, out, meta, nil)
	}
	if out.Result = any(l.first()); r.second {
		out.Result = l.second()
	}
	return out, meta, nil
}

// bySDK hands an answer that is here already to the SDK's deserializer.
func (r *listingReader) bySDK(ctx context.Context, in middleware.DeserializeInput, out middleware.DeserializeOutput, meta middleware.Metadata, err error) (
	middleware.DeserializeOutput, middleware.Metadata, error,
) {
	return r.DeserializeMiddleware.HandleDeserialize(ctx, in, middleware.DeserializeHandlerFunc(
		func(context.Context, middleware.DeserializeInput) (middleware.DeserializeOutput, middleware.Metadata, error) {
			return out, meta, err
		}))
}

// quickListing is what a listing's document says, as far as it is used.
type quickListing struct {
	objects   []types.Object
	prefixes  []types.CommonPrefix
	truncated *bool
	encoding  string
	token     *string // NextContinuationToken
	marker    *string // NextMarker
}

func (l *quickListing) second() *s3.ListObjectsV2Output {
	return &s3.ListObjectsV2Output{Contents: l.objects, CommonPrefixes: l.prefixes, IsTruncated: l.truncated,
		EncodingType: types.EncodingType(l.encoding), NextContinuationToken: l.token}
}

func (l *quickListing) first() *s3.ListObjectsOutput {
	return &s3.ListObjectsOutput{Contents: l.objects, CommonPrefixes: l.prefixes, IsTruncated: l.truncated,
		EncodingType: types.EncodingType(l.encoding), NextMarker: l.marker}
}

// parse reads doc. It is false where the SDK is to do it.
func (l *quickListing) parse(doc []byte) bool {
	x := &quickXML{doc: doc}
	x.prolog()
	if name, empty := x.open(); name != "ListBucketResult" || empty {
		return false
	}
	x.children("ListBucketResult", func(name string) {
		switch name {
		case "Contents":
			l.objects = append(l.objects, x.object())
		case "CommonPrefixes":
			l.prefixes = append(l.prefixes, x.commonPrefix())
		case "IsTruncated":
			text := x.text(name)
			if text != "true" && text != "false" {
				x.bad = true
			}
			truncated := text == "true"
			l.truncated = &truncated
		case "EncodingType":
			l.encoding = x.text(name)
		case "NextContinuationToken":
			l.token = x.textPointer(name)
		case "NextMarker":
			l.marker = x.textPointer(name)
		default:
			x.pass(name, 0)
		}
	})
	x.space()
	return !x.bad && x.at == len(x.doc)
}

func (x *quickXML) object() (o types.Object) {
	x.children("Contents", func(name string) {
		switch name {
		case "Key":
			o.Key = x.textPointer(name)
		case "ETag":
			o.ETag = x.textPointer(name)
		case "Size":
			n, err := strconv.ParseInt(x.text(name), 10, 64)
			x.bad = x.bad || err != nil
			o.Size = &n
		case "LastModified":
			t, err := time.Parse(time.RFC3339Nano, x.text(name))
			x.bad = x.bad || err != nil
			o.LastModified = &t
		case "StorageClass":
			o.StorageClass = types.ObjectStorageClass(x.text(name))
		default:
			x.pass(name, 0)
		}
	})
	return o
}

func (x *quickXML) commonPrefix() (p types.CommonPrefix) {
	x.children("CommonPrefixes", func(name string) {
		if name == "Prefix" {
			p.Prefix = x.textPointer(name)
		} else {
			x.pass(name, 0)
		}
	})
	return p
}

// usedNames are the elements that are read. The SDK takes them in any case of letters.
var usedNames = []string{"Contents", "CommonPrefixes", "IsTruncated", "EncodingType", "NextContinuationToken", "NextMarker",
	"Key", "ETag", "Size", "LastModified", "StorageClass", "Prefix"}

// commonNames makes the names that come again and again without an allocation.
var commonNames = func() map[string]string {
	all := map[string]string{}
	for _, name := range append([]string{"Owner", "ID", "DisplayName", "ChecksumAlgorithm", "ChecksumType"}, usedNames...) {
		all[name] = name
	}
	return all
}()

// quickXML walks through a document of elements and texts. Anything else makes it bad, and
// what is returned from there on means nothing.
type quickXML struct {
	doc []byte
	at  int
	bad bool
	// empty says that the element that was opened last is <Name/>, which has its end in
	// itself.
	empty bool
}

// declaration is what documents begin with that are worth to be read quickly.
var declaration = regexp.MustCompile(`^<\?xml version="1\.0"( encoding="[Uu][Tt][Ff]-8")?( standalone="(yes|no)")? ?\?>`)

// prolog passes over the declaration, if there is one.
func (x *quickXML) prolog() {
	x.at = len(declaration.Find(x.doc))
	x.space()
}

func (x *quickXML) space() {
	for x.at < len(x.doc) {
		switch x.doc[x.at] {
		case ' ', '\n', '\t', '\r':
			x.at++
		default:
			return
		}
	}
}

// namespaces are the attributes of a listing, which say nothing here.
var namespaces = regexp.MustCompile(`^(xmlns(:[a-z]+)?="[^"<>&]*" ?)*$`)

// open reads a start tag; empty says that it is an end tag as well.
func (x *quickXML) open() (name string, empty bool) {
	rest := x.doc[x.at:]
	end := bytes.IndexByte(rest, '>')
	if x.bad || end < 2 || rest[0] != '<' {
		x.bad = true
		return "", false
	}
	tag := rest[1:end]
	x.at += end + 1
	if tag[len(tag)-1] == '/' {
		tag, empty = tag[:len(tag)-1], true
	}
	tag, attributes, _ := bytes.Cut(tag, []byte(" "))
	for i, c := range tag {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !letter && (i == 0 || c < '0' || c > '9') {
			x.bad = true
		}
	}
	if len(attributes) > 0 && !namespaces.Match(attributes) {
		x.bad = true
	}
	if x.empty = empty; len(tag) == 0 {
		x.bad = true
	}
	if known, ok := commonNames[string(tag)]; ok {
		return known, empty
	}
	return string(tag), empty
}

// children calls visit behind the start tag of each element that is in the one that was
// opened last, up to its end. visit reads the element to its end.
func (x *quickXML) children(name string, visit func(name string)) {
	if x.empty {
		x.empty = false
		return
	}
	for !x.bad {
		if x.space(); x.closes(name) {
			return
		}
		if child, _ := x.open(); !x.bad {
			visit(child)
		}
	}
}

// closes reads the end tag of an element, if that comes next.
func (x *quickXML) closes(name string) bool {
	rest := x.doc[x.at:]
	n := len(name) + 3
	if len(rest) < n || rest[0] != '<' || rest[1] != '/' || rest[n-1] != '>' || string(rest[2:n-1]) != name {
		return false
	}
	x.at += n
	return true
}

// text reads the text of the element that was opened last, and its end.
func (x *quickXML) text(name string) string {
	if x.empty {
		x.empty = false
		return ""
	}
	rest := x.doc[x.at:]
	end := bytes.IndexByte(rest, '<')
	if end < 0 || x.bad {
		x.bad = true
		return ""
	}
	x.at += end
	if !x.closes(name) {
		x.bad = true
		return ""
	}
	return x.unescape(rest[:end])
}

func (x *quickXML) textPointer(name string) *string {
	s := x.text(name)
	return &s
}

// unescape undoes the references to characters. A carriage return would have to become a
// line feed; none is written as itself.
func (x *quickXML) unescape(raw []byte) string {
	if bytes.IndexByte(raw, '\r') >= 0 || bytes.Contains(raw, []byte("]]>")) {
		x.bad = true
		return ""
	}
	amp := bytes.IndexByte(raw, '&')
	if amp < 0 {
		return string(raw)
	}
	out := make([]byte, 0, len(raw))
	for amp >= 0 {
		out = append(out, raw[:amp]...)
		raw = raw[amp:]
		c, size, ok := named(raw)
		if !ok {
			c, size, ok = reference(raw)
		}
		if !ok || c == 0 {
			x.bad = true
			return ""
		}
		out = append(out, string(c)...)
		raw = raw[size:]
		amp = bytes.IndexByte(raw, '&')
	}
	return string(append(out, raw...))
}

// named reads a reference by name at the start of raw.
func named(raw []byte) (c rune, size int, ok bool) {
	for _, e := range []struct {
		text string
		c    rune
	}{{"&quot;", '"'}, {"&amp;", '&'}, {"&lt;", '<'}, {"&gt;", '>'}, {"&apos;", '\''}} {
		if bytes.HasPrefix(raw, []byte(e.text)) {
			return e.c, len(e.text), true
		}
	}
	return 0, 0, false
}

// maxDepth bounds how deep the elements that are passed over may nest.
const maxDepth = 16

// pass reads an element that is not used to its end.
func (x *quickXML) pass(name string, depth int) {
	if depth > maxDepth || slices.ContainsFunc(usedNames, func(used string) bool { return depth == 0 && used != name && strings.EqualFold(used, name) }) {
		x.bad = true
		return
	}
	if x.empty {
		x.empty = false
		return
	}
	for !x.bad {
		end := bytes.IndexByte(x.doc[x.at:], '<')
		if end < 0 {
			x.bad = true
			return
		}
		if end > 0 {
			x.unescape(x.doc[x.at : x.at+end])
		}
		x.at += end
		if x.closes(name) {
			return
		}
		if child, _ := x.open(); !x.bad {
			x.pass(child, depth+1)
		}
	}
}
