package s3remote

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/s3mount/s3mount/object"
)

// CreateBucket makes a bucket. One that the account has already is no error.
func (c *Client) CreateBucket(ctx context.Context, name string) error {
	if err := c.checkName("CreateBucket", name); err != nil {
		return err
	}
	b := &Bucket{client: c, name: name}
	in := &s3.CreateBucketInput{Bucket: &name, ACL: types.BucketCannedACL(cmp.Or(c.cfg.BucketACL, c.cfg.ACL))}
	if c.cfg.BucketObjectLock {
		in.ObjectLockEnabledForBucket = aws.Bool(true)
	}
	where := c.cfg.LocationConstraint
	if where == "" && c.cfg.Endpoint == "" { // AWS wants it named outside of us-east-1
		where = c.quirks.region
	}
	if where != "" && where != "us-east-1" {
		in.CreateBucketConfiguration = &types.CreateBucketConfiguration{LocationConstraint: types.BucketLocationConstraint(where)}
	}
	err := b.do(ctx, call{op: "CreateBucket", key: name, try: func(ctx context.Context, _ bool) error {
		_, err := c.s3.CreateBucket(ctx, in, b.inRegion, notAccelerated)
		return err
	}})
	if e, ok := err.(*object.Error); ok && e.Code == "BucketAlreadyOwnedByYou" {
		return nil
	}
	return err
}

// DeleteBucket removes an empty bucket: KindNotEmpty if it is not, KindNoBucket if there
// is none.
func (c *Client) DeleteBucket(ctx context.Context, name string) error {
	const op = "DeleteBucket"
	if err := c.checkName(op, name); err != nil {
		return err
	}
	b, err := c.Bucket(name, "")
	if err != nil {
		return err
	}
	lostOne := false
	err = b.do(ctx, call{op: op, key: name, try: func(ctx context.Context, lost bool) error {
		lostOne = lost
		_, err := c.s3.DeleteBucket(ctx, &s3.DeleteBucketInput{Bucket: &name}, b.inRegion, notAccelerated)
		return err
	}})
	err = withKind(err, object.KindNotFound, object.KindNoBucket)
	if lostOne && object.Is(err, object.KindNoBucket) {
		return nil // the first try worked, and its answer was lost
	}
	return err
}

// notAccelerated is for requests about buckets, which the accelerated endpoint does not
// take.
func notAccelerated(o *s3.Options) { o.UseAccelerate = false }

// BucketInfo is a bucket of the account.
type BucketInfo struct {
	Name    string
	Created time.Time // whole seconds; zero if the store does not tell
}

// ListBuckets returns the account's buckets in the order of their names.
func (c *Client) ListBuckets(ctx context.Context) ([]BucketInfo, error) {
	const op = "ListBuckets"
	b := &Bucket{client: c}
	var infos []BucketInfo
	in := &s3.ListBucketsInput{}
	for {
		var out *s3.ListBucketsOutput
		err := b.do(ctx, call{op: op, trip: trip{xml: true, root: "ListAllMyBucketsResult"}, try: func(ctx context.Context, _ bool) (err error) {
			out, err = c.s3.ListBuckets(ctx, in, b.inRegion)
			return err
		}})
		if err != nil {
			return nil, err
		}
		for _, x := range out.Buckets {
			infos = append(infos, BucketInfo{Name: plainText(aws.ToString(x.Name)), Created: wholeSeconds(x.CreationDate)})
		}
		next := aws.ToString(out.ContinuationToken)
		if next == "" {
			break
		}
		if next == aws.ToString(in.ContinuationToken) || len(out.Buckets) == 0 {
			return nil, object.Errorf(object.KindOther, op, "", "the store's listing does not advance")
		}
		in.ContinuationToken = &next
	}
	slices.SortFunc(infos, func(a, b BucketInfo) int { return strings.Compare(a.Name, b.Name) })
	return infos, nil
}

// wholeSeconds cuts a time to what HEAD tells: some stores list fractions too, and a
// version would seem to have two times.
func wholeSeconds(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.UTC().Truncate(time.Second)
}
