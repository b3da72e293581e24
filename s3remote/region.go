package s3remote

import (
	"context"
	"errors"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// A bucket's content can be reached only through its own region. Where the configuration
// names none, requests begin in the provider's default one; the store's refusal tells
// the right one, or is asked for it, and that is remembered for the bucket. Where the
// configuration names a region, its word is law, and a bucket elsewhere is an error.

// regionName returns the region that requests are signed for.
func (b *Bucket) regionName() string {
	if r := b.region.Load(); r != nil {
		return *r
	}
	return b.client.quirks.region
}

// fixedRegion reports whether the configuration names a region. The two names of
// signatures are none.
func (c Config) fixedRegion() bool {
	return c.Region != "" && c.Region != regionV2 && c.Region != regionV4
}

// move makes further requests go to the region that the store named instead of the
// one that was signed, where the configuration names none. It reports whether to try
// again there; another goroutine may have moved the bucket meanwhile.
func (b *Bucket) move(signed, region string) bool {
	if b.client.cfg.fixedRegion() || region == "" || region == signed {
		return false
	}
	if region != b.regionName() {
		b.client.cfg.Log.Debug("bucket is in another region", "bucket", b.name, "region", region)
		b.client.regions.Store(b.name, region)
		b.region.Store(&region)
	}
	return true
}

// askRegion asks where the bucket is, for a store that only says where it is not. It
// returns "" if nobody knows.
func (b *Bucket) askRegion(ctx context.Context) string {
	if b.client.cfg.fixedRegion() || b.name == "" {
		return ""
	}
	out, err := b.client.s3.HeadBucket(withTrip(ctx, trip{}), &s3.HeadBucketInput{Bucket: &b.name}, b.inRegion)
	var a *answerError
	switch {
	case errors.As(err, &a):
		return a.region
	case err == nil && plausibleRegion(aws.ToString(out.BucketRegion)):
		return *out.BucketRegion
	}
	return ""
}

// inRegion is the option of each request that sends it to the bucket's region.
func (b *Bucket) inRegion(o *s3.Options) {
	if r := b.region.Load(); r != nil {
		o.Region = *r
	}
}
