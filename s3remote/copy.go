package s3remote

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/s3mount/s3mount/object"
)

const opCopy = "CopyObject"

// copyLimits are S3's limits of copies.
type copyLimits struct {
	whole int64 // the greatest object that one request copies
	part  int64 // the size of a part of a greater one
}

var defaultCopyLimits = copyLimits{whole: 5 << 30, part: 512 << 20}

// copyLimits are S3's, or lower where the configuration says so.
func (c *Client) copyLimits() copyLimits {
	limits := defaultCopyLimits
	if c.cfg.CopyCutoff > 0 {
		limits.whole = c.cfg.CopyCutoff
	}
	return limits
}

// Copy makes the store copy an object to dst, within the Bucket, all of it or
// nothing. With src.ETag set, it is of that version or an error of KindStale.
//
// With o.Meta set, the user metadata is replaced; the content type, unless o has
// one, and the other headers kept with the object stay. Where src.Key is dst, that
// is the way to change metadata. A copy over 5 GiB goes in parts, in parallel, and
// loses the object's tags.
//
// Those headers are asked for, unless o.Ours says that there are none.
//
// With o.IfAbsent, an object under dst is an error of KindExists. A store that is not
// known to refuse by itself is looked at before, unless o.Unlooked. With o.IfMatch, so is
// anything but that version.
//
// Stores that pass over the condition on the source are looked at before and after.
// If such a store's object changed in between, dst has the newer version and the
// error is of KindStale.
func (b *Bucket) Copy(ctx context.Context, src object.ID, dst string, o object.CopyOptions) (object.Info, error) {
	return b.copyFrom(ctx, b, src, dst, o)
}

// CopyFrom is Copy from another Bucket of the same Client. Of anything else that it is
// given, ok is false, and nothing is done.
func (b *Bucket) CopyFrom(ctx context.Context, from any, src object.ID, dst string, o object.CopyOptions) (_ object.Info, ok bool, err error) {
	other, ok := from.(*Bucket)
	if !ok || other.client != b.client {
		return object.Info{}, false, nil
	}
	info, err := b.copyFrom(ctx, other, src, dst, o)
	return info, true, err
}

func (b *Bucket) copyFrom(ctx context.Context, from *Bucket, src object.ID, dst string, o object.CopyOptions) (object.Info, error) {
	c, err := b.planCopy(ctx, from, src, dst, o)
	if err != nil {
		return object.Info{}, err
	}
	if err := c.freeTarget(ctx); err != nil {
		return object.Info{}, err
	}
	var info object.Info
	if c.size > b.limits.whole {
		info, err = c.inParts(ctx)
	} else {
		info, err = c.whole(ctx)
	}
	if err != nil {
		return object.Info{}, withKind(err, object.KindConflict, object.KindStale)
	}
	if info.ETag == "" {
		return b.Head(ctx, dst)
	}
	return info, nil
}

// copying is a copy under way.
type copying struct {
	b      *Bucket // of the copy
	from   *Bucket // of the source
	src    object.ID
	dst    string
	o      object.CopyOptions
	size   int64
	source *s3.HeadObjectOutput // nil: there was no need to look
	meta   map[string]string    // of the copy, encoded; unused where the source's stays
}

// planCopy checks the arguments, and looks at the source where that is needed.
func (b *Bucket) planCopy(ctx context.Context, from *Bucket, src object.ID, dst string, o object.CopyOptions) (*copying, error) {
	if err := from.checkKey(ctx, opCopy, src.Key); err != nil {
		return nil, err
	}
	if err := b.checkNewKey(ctx, opCopy, dst); err != nil {
		return nil, err
	}
	if err := checkContentType(opCopy, dst, o.ContentType); err != nil {
		return nil, err
	}
	meta, err := encodeMeta(opCopy, dst, o.Meta)
	if err != nil {
		return nil, err
	}
	c := &copying{b: b, from: from, src: src, dst: dst, o: o, size: o.Size, meta: meta}
	if o.Meta != nil && !o.Ours || o.Size > b.limits.whole || c.unguarded() {
		if err := c.look(ctx); err != nil {
			return nil, err
		}
		c.size = aws.ToInt64(c.source.ContentLength)
	}
	return c, nil
}

// freeTarget looks whether what is under the copy's key may be replaced, unless the store
// does.
func (c *copying) freeTarget(ctx context.Context) error {
	switch {
	case c.b.client.quirks.copyAbsent == honoured:
		return nil
	case c.o.IfMatch != "":
		return c.replaced(ctx)
	case !c.o.IfAbsent || c.o.Unlooked || c.b.client.learned.refusesCopy.Load():
		return nil
	}
	return c.taken(ctx)
}

// replaced returns an error of KindExists unless what is under the copy's key is the
// version that it may replace.
func (c *copying) replaced(ctx context.Context) error {
	found, err := c.b.Head(ctx, c.dst)
	switch {
	case object.Is(err, object.KindNotFound):
		return object.Errorf(object.KindExists, opCopy, c.dst, "it is gone")
	case err == nil && found.ETag != c.o.IfMatch:
		return object.Errorf(object.KindExists, opCopy, c.dst, "its ETag is %q instead of %q", found.ETag, c.o.IfMatch)
	}
	return err
}

// taken returns an error of KindExists if there is an object under the copy's key.
func (c *copying) taken(ctx context.Context) error {
	found, err := c.b.Head(ctx, c.dst)
	switch {
	case err == nil:
		return object.Errorf(object.KindExists, opCopy, c.dst, "there is one already, with the ETag %q", found.ETag)
	case object.Is(err, object.KindNotFound):
		return nil
	}
	return err
}

// unguarded reports whether the store may copy another version than the one asked for.
func (c *copying) unguarded() bool {
	return c.src.ETag != "" && c.b.client.quirks.copyCond == checked
}

// ontoItself reports whether the source is what the copy replaces.
func (c *copying) ontoItself() bool {
	return c.from.name == c.b.name && c.from.prefix+c.src.Key == c.b.prefix+c.dst
}

// look asks for the source, and checks that it is the version asked for.
func (c *copying) look(ctx context.Context) error {
	out, err := c.from.headAll(ctx, c.src.Key)
	if err != nil {
		return err
	}
	if etag := bareETag(out.ETag); c.src.ETag != "" && etag != c.src.ETag {
		return object.Errorf(object.KindStale, opCopy, c.src.Key, "its ETag is %q instead of %q", etag, c.src.ETag)
	}
	c.source = out
	return nil
}

// whole copies with one request.
func (c *copying) whole(ctx context.Context) (object.Info, error) {
	in := c.input()
	info := object.Info{Key: c.dst, Size: c.size, Meta: c.finalMeta()}
	if in.ContentType != nil {
		info.ContentType = *in.ContentType
	}
	c.conditionsTarget(in)
	send := func(ctx context.Context, ifMatch *string) error {
		in.CopySourceIfMatch = ifMatch
		out, err := c.b.client.s3.CopyObject(ctx, in, c.b.inRegion)
		if err == nil {
			info.OtherETag = c.b.client.cfg.otherETags() || !plainETag(out.ServerSideEncryption, out.SSECustomerAlgorithm)
		}
		if err == nil && out.CopyObjectResult != nil {
			info.ETag, info.LastModified = bareETag(out.CopyObjectResult.ETag), wholeSeconds(out.CopyObjectResult.LastModified)
		}
		return err
	}
	err := c.b.do(ctx, call{op: opCopy, key: c.dst, trip: trip{xml: true, slow: true}, try: func(ctx context.Context, lost bool) error {
		err := c.sendIf(ctx, send)
		if lost && refusal(err) == object.KindConflict && c.ontoItself() {
			// A copy onto itself may change the ETag, and so stand in its own way.
			if found, herr := c.b.Head(ctx, c.dst); herr == nil && found.Size == c.size && maps.Equal(found.Meta, c.o.Meta) {
				info, err = found, nil
			}
		}
		if c.o.IfMatch != "" && in.IfMatch != nil && refusedIfMatch(refusal(err)) && c.replaced(ctx) == nil {
			in.IfMatch = nil // the condition holds: it is the store that doesn't know it
			err = c.sendIf(ctx, send)
		}
		if (c.o.IfAbsent || c.o.IfMatch != "") && (refusal(err) == object.KindConflict || c.o.IfMatch != "" && refusal(err) == object.KindNotFound) {
			return c.refusedTarget(ctx, err, lost, &info)
		}
		return err
	}})
	if err == nil && c.unguarded() && info.ETag != c.src.ETag && !c.ontoItself() {
		err = c.look(ctx)
	}
	return info, err
}

// conditionsTarget puts the conditions on what the copy replaces into its request.
func (c *copying) conditionsTarget(in *s3.CopyObjectInput) {
	switch {
	case c.o.IfAbsent:
		in.IfNoneMatch = aws.String("*")
	case c.o.IfMatch != "" && c.b.client.quirks.bareMatch:
		in.IfMatch = &c.o.IfMatch
	case c.o.IfMatch != "":
		in.IfMatch = quoted(c.o.IfMatch)
	}
}

// refusedIfMatch reports whether a store that does not know If-Match on a copy may have
// answered so.
func refusedIfMatch(k object.Kind) bool {
	return k == object.KindConflict || k == object.KindUnsupported
}

// refusedTarget tells what a refused copy found in its way: an object that may not be
// there, or the copy itself, made by an earlier try whose answer was lost.
func (c *copying) refusedTarget(ctx context.Context, cause error, lost bool, info *object.Info) error {
	source, err := c.from.Head(ctx, c.src.Key)
	if err != nil || c.src.ETag != "" && source.ETag != c.src.ETag {
		return cause
	}
	found, err := c.b.Head(ctx, c.dst)
	switch {
	case c.o.IfMatch != "" && object.Is(err, object.KindNotFound):
		return object.Errorf(object.KindExists, opCopy, c.dst, "it is gone")
	case err != nil:
		return cause
	case c.o.IfAbsent:
		c.b.client.learned.refusesCopy.Store(true)
	}
	meta := c.o.Meta
	if meta == nil {
		meta = source.Meta
	}
	if lost && found.Size == source.Size && maps.Equal(found.Meta, meta) && (found.ETag == source.ETag || !isMD5(source.ETag)) {
		*info = found
		return nil
	}
	if c.o.IfMatch != "" && found.ETag == c.o.IfMatch {
		return cause
	}
	return object.Errorf(object.KindExists, opCopy, c.dst, "there is another one, with the ETag %q", found.ETag)
}

// sendIf sends a copy request with the condition on its source. A store that refuses
// it although it holds may want the ETag without quotes, which is remembered.
func (c *copying) sendIf(ctx context.Context, send func(context.Context, *string) error) error {
	if c.src.ETag == "" {
		return c.aboutSource(send(ctx, nil))
	}
	bare := &c.b.client.learned.bareCopy
	form := func(bare bool) *string {
		if bare {
			return &c.src.ETag
		}
		return quoted(c.src.ETag)
	}
	now := bare.Load()
	err := c.aboutSource(send(ctx, form(now)))
	if refusal(err) != object.KindConflict {
		return err
	}
	if found, herr := c.from.Head(ctx, c.src.Key); herr != nil || found.ETag != c.src.ETag {
		return err
	}
	err = send(ctx, form(!now))
	if err == nil {
		bare.Store(!now)
	}
	return err
}

// aboutSource marks the answers that are about the source: that it is archived.
func (c *copying) aboutSource(err error) error {
	var a *answerError
	if errors.As(err, &a) && meaningOf(a.status, a.code).kind == object.KindArchived {
		a.about = c.src.Key
	}
	return err
}

// input is the request for a whole copy.
func (c *copying) input() *s3.CopyObjectInput {
	cfg := &c.b.client.cfg
	in := &s3.CopyObjectInput{
		Bucket: &c.b.name, Key: c.b.full(c.dst), CopySource: c.copySource(),
		ACL: types.ObjectCannedACL(cfg.ACL), StorageClass: types.StorageClass(cfg.StorageClass),
		ServerSideEncryption: types.ServerSideEncryption(cfg.ServerSideEncryption), SSEKMSKeyId: optional(cfg.SSEKMSKeyID),
	}
	if c.o.Meta == nil {
		return in
	}
	// Replacing the metadata replaces these headers too, so that they are sent again.
	in.MetadataDirective, in.Metadata = types.MetadataDirectiveReplace, c.meta
	in.ContentType = c.contentType()
	s := c.source
	if s == nil {
		return in
	}
	in.CacheControl, in.ContentDisposition = s.CacheControl, s.ContentDisposition
	in.ContentEncoding, in.ContentLanguage = s.ContentEncoding, s.ContentLanguage
	in.WebsiteRedirectLocation = s.WebsiteRedirectLocation
	if t, err := http.ParseTime(aws.ToString(s.ExpiresString)); err == nil {
		in.Expires = &t
	}
	if in.StorageClass == "" {
		in.StorageClass = s.StorageClass
	}
	return in
}

// contentType returns the copy's content type. The source was looked at, or is ours.
func (c *copying) contentType() *string {
	if c.o.Meta != nil && (c.o.ContentType != "" || c.o.Ours) {
		return aws.String(orDefaultType(c.o.ContentType))
	}
	return aws.String(orDefaultType(aws.ToString(c.source.ContentType)))
}

// finalMeta returns the copy's metadata, or nil if it is not known.
func (c *copying) finalMeta() object.Meta {
	switch {
	case c.o.Meta != nil:
		return c.o.Meta.Clone()
	case c.source != nil:
		return decodeMeta(c.source.Metadata)
	}
	return nil
}

// copySource returns the header that names the source.
func (c *copying) copySource() *string {
	s := c.from.name + "/" + escapeKey(c.from.prefix+c.src.Key)
	return &s
}

// escapeKey writes a key as a URL's path: every byte but the unreserved ones and "/"
// in hexadecimal, as signatures have it.
func escapeKey(key string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(key) {
		c := key[i]
		if (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || strings.IndexByte("-._~/", c) >= 0 {
			b.WriteByte(c)
		} else {
			b.Write([]byte{'%', hex[c>>4], hex[c&15]})
		}
	}
	return b.String()
}

// span returns the n-th part's range as a header, n from 0, and its length.
func span(n int, part, size int64) (header string, length int64) {
	from := int64(n) * part
	to := min(from+part, size)
	return fmt.Sprintf("bytes=%d-%d", from, to-1), to - from
}
