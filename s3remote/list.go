package s3remote

import (
	"context"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/s3mount/s3mount/object"
)

// opList is the name of listings in errors: stores differ in the form they get.
const opList = "ListObjects"

// maxEmptyPages bounds how many pages without an entry are passed over in a row:
// they are legal, e.g. over deleted versions, but a store could send them for ever.
const maxEmptyPages = 1000

// List returns one page. A page with Next set has at least one entry. A listing
// that does not advance is an error, never an endless loop. The key that is the
// Bucket's prefix itself is left out, as its relative name would be empty.
func (b *Bucket) List(ctx context.Context, q object.Query) (object.Page, error) {
	cur := cursor{}
	if q.After != "" {
		cur.last = b.prefix + q.After
	}
	if q.Token != "" {
		var err error
		if cur, err = parseCursor(q.Token); err != nil {
			return object.Page{}, &object.Error{Op: opList, Key: q.Prefix, Kind: object.KindInvalid, Err: err}
		}
	}
	for range maxEmptyPages {
		page, err := b.listOnce(ctx, nil, q, cur)
		if err != nil || page.Next == "" || len(page.Objects)+len(page.Prefixes) > 0 {
			return page, err
		}
		if cur, err = parseCursor(page.Next); err != nil {
			return object.Page{}, &object.Error{Op: opList, Key: q.Prefix, Err: err}
		}
	}
	return object.Page{}, b.stuck(q)
}

func (b *Bucket) stuck(q object.Query) error {
	return object.Errorf(object.KindOther, opList, q.Prefix, "the store's listing does not advance")
}

// cursor is where a listing goes on. It travels in Page.Next.
type cursor struct {
	last  string // full key or prefix behind which to go on
	token string // of the second form of listings; empty: last is the marker
}

func (c cursor) String() string {
	return strconv.Itoa(len(c.last)) + ":" + c.last + c.token
}

func parseCursor(s string) (cursor, error) {
	digits, rest, _ := strings.Cut(s, ":")
	n, err := strconv.Atoi(digits)
	if err != nil || n < 0 || n > len(rest) {
		return cursor{}, &oddAnswerError{"this is no token of a listing"}
	}
	return cursor{last: rest[:n], token: rest[n:]}, nil
}

// listing is an answer of either form, decoded.
type listing struct {
	objects   []types.Object
	prefixes  []string
	truncated bool
	token     string // of the second form
	marker    string // of the first form, where the store sends it
	last      string // the greatest key or prefix in the answer
}

// listOnce gets one page, which may be empty.
func (b *Bucket) listOnce(ctx context.Context, p *patience, q object.Query, cur cursor) (object.Page, error) {
	second := cur.token != "" || !b.client.quirks.listV1 && !b.client.learned.listV1.Load()
	var l listing
	err := b.do(ctx, call{op: opList, key: q.Prefix, trip: trip{xml: true, root: "ListBucketResult"}, patience: p, try: func(ctx context.Context, _ bool) (err error) {
		if second {
			l, err = b.listV2(ctx, q, cur)
		} else {
			l, err = b.listV1(ctx, q, cur)
		}
		return err
	}})
	if err != nil {
		return object.Page{}, err
	}
	if second && cur.token == "" && l.passesOver(cur.last) {
		// The store knows the first form only, and so not where to start.
		b.client.learned.listV1.Store(true)
		return b.listOnce(ctx, p, q, cur)
	}
	if cur.token != "" && l.goesBack(cur.last) {
		return object.Page{}, object.Errorf(object.KindOther, opList, q.Prefix, "the store's listing is not in order: keys before %q come behind it", cur.last)
	}
	next, err := b.next(q, cur, &l)
	if err != nil {
		return object.Page{}, err
	}
	return b.page(q, cur, &l, next)
}

// passesOver reports whether l has an entry before last, where it should begin.
func (l *listing) passesOver(last string) bool {
	if last == "" {
		return false
	}
	for _, p := range l.prefixes {
		if p < last {
			return true
		}
	}
	for _, o := range l.objects {
		if aws.ToString(o.Key) <= last {
			return true
		}
	}
	return false
}

// goesBack reports whether l has a key before last, which was the greatest one so far. A
// common prefix may come again.
func (l *listing) goesBack(last string) bool {
	return slices.ContainsFunc(l.objects, func(o types.Object) bool { return aws.ToString(o.Key) < last })
}

// next returns the token of the page after l.
func (b *Bucket) next(q object.Query, cur cursor, l *listing) (string, error) {
	if !l.truncated {
		return "", nil
	}
	if l.token == "" {
		// Either this is the first form, or the store knows no other.
		b.client.learned.listV1.Store(true)
		if l.last == "" {
			l.last = l.marker
		}
		if l.last <= cur.last {
			return "", b.stuck(q)
		}
		return cursor{last: l.last}.String(), nil
	}
	if l.token == cur.token || (cur.token != "" && l.last != "" && l.last <= cur.last) {
		return "", b.stuck(q)
	}
	return cursor{last: max(l.last, cur.last), token: l.token}.String(), nil
}

// page makes l's entries relative, each once and in order, and drops what was not asked for.
func (b *Bucket) page(q object.Query, cur cursor, l *listing, next string) (object.Page, error) {
	page := object.Page{Objects: make([]object.Info, 0, len(l.objects)), Next: next}
	for _, o := range l.objects {
		key, ok := b.relative(q, cur, aws.ToString(o.Key))
		if !ok {
			continue
		}
		if o.Size == nil || *o.Size < 0 {
			return object.Page{}, object.Errorf(object.KindOther, opList, key, "odd answer: the size is missing")
		}
		page.Objects = append(page.Objects, object.Info{
			Key:          key,
			ETag:         bareETag(o.ETag),
			Size:         *o.Size,
			LastModified: wholeSeconds(o.LastModified),
			StorageClass: storageClass(string(o.StorageClass)),
			OtherETag:    b.client.cfg.otherETags(),
		})
	}
	for _, p := range l.prefixes {
		if key, ok := b.relative(q, cur, p); ok {
			page.Prefixes = append(page.Prefixes, key)
		}
	}
	byKey := func(x, y object.Info) int { return strings.Compare(x.Key, y.Key) }
	if !slices.IsSortedFunc(page.Objects, byKey) {
		slices.SortStableFunc(page.Objects, byKey)
	}
	slices.Sort(page.Prefixes)
	page.Objects = slices.CompactFunc(page.Objects, func(x, y object.Info) bool { return x.Key == y.Key })
	page.Prefixes = slices.Compact(page.Prefixes)
	return page, nil
}

// relative takes the Bucket's prefix off a key; it is false for what is outside of
// what was asked for, which a store has no business to send.
func (b *Bucket) relative(q object.Query, cur cursor, full string) (string, bool) {
	if !strings.HasPrefix(full, b.prefix+q.Prefix) {
		if !b.warned.Swap(true) {
			b.client.cfg.Log.Warn("the store lists keys outside of the prefix; they are ignored", "bucket", b.name, "prefix", b.prefix+q.Prefix, "key", full)
		}
		return "", false
	}
	key := full[len(b.prefix):]
	// Some stores send a common prefix again.
	if key == "" || cur.last != "" && full <= cur.last {
		return "", false
	}
	return key, true
}

func (b *Bucket) listV2(ctx context.Context, q object.Query, cur cursor) (listing, error) {
	in := &s3.ListObjectsV2Input{
		Bucket: &b.name, Prefix: optional(b.prefix + q.Prefix), Delimiter: optional(q.Delimiter),
		EncodingType: b.encoding(), MaxKeys: b.pageSize(q.Max),
	}
	if cur.token != "" {
		in.ContinuationToken = &cur.token
	} else {
		in.StartAfter = optional(cur.last)
	}
	out, err := b.client.s3.ListObjectsV2(ctx, in, b.inRegion)
	if err != nil {
		return listing{}, err
	}
	l := listing{objects: out.Contents, truncated: aws.ToBool(out.IsTruncated), token: plainText(aws.ToString(out.NextContinuationToken))}
	l.decode(out.CommonPrefixes, out.EncodingType)
	return l, nil
}

func (b *Bucket) listV1(ctx context.Context, q object.Query, cur cursor) (listing, error) {
	in := &s3.ListObjectsInput{
		Bucket: &b.name, Prefix: optional(b.prefix + q.Prefix), Delimiter: optional(q.Delimiter),
		EncodingType: b.encoding(), MaxKeys: b.pageSize(q.Max), Marker: optional(cur.last),
	}
	out, err := b.client.s3.ListObjects(ctx, in, b.inRegion)
	if err != nil {
		return listing{}, err
	}
	l := listing{objects: out.Contents, truncated: aws.ToBool(out.IsTruncated), marker: plainText(aws.ToString(out.NextMarker))}
	l.decode(out.CommonPrefixes, out.EncodingType)
	if !b.client.quirks.rawMarkers {
		l.marker = decodeKey(l.marker, out.EncodingType)
	}
	return l, nil
}

// decode undoes the encoding of keys, and finds the greatest one.
func (l *listing) decode(prefixes []types.CommonPrefix, encoding types.EncodingType) {
	for i := range l.objects {
		key := decodeKey(aws.ToString(l.objects[i].Key), encoding)
		l.objects[i].Key = &key
		l.last = max(l.last, key)
	}
	for _, p := range prefixes {
		key := decodeKey(aws.ToString(p.Prefix), encoding)
		l.prefixes = append(l.prefixes, key)
		l.last = max(l.last, key)
	}
}

// decodeKey undoes encoding-type=url where the store says that it did it. Stores
// write a blank as "+" or "%20", and a plus always as "%2B".
func decodeKey(key string, encoding types.EncodingType) string {
	key = plainText(key)
	if encoding != types.EncodingTypeUrl {
		return key
	}
	if plain, err := url.QueryUnescape(key); err == nil {
		return plain
	}
	return key
}

// optional leaves out a parameter that is empty.
func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// pageSize returns the max-keys parameter; stores cut it to 1,000.
func (b *Bucket) pageSize(n int) *int32 {
	if chunk := b.client.cfg.ListChunk; chunk > 0 && (n <= 0 || n > chunk) {
		n = chunk
	}
	if n <= 0 {
		return nil
	}
	return aws.Int32(int32(min(n, 1000)))
}

// encoding returns the encoding-type parameter: without it, keys with control characters
// can't be listed.
func (b *Bucket) encoding() types.EncodingType {
	if b.client.quirks.plainKeys {
		return ""
	}
	return types.EncodingTypeUrl
}
