package s3remote

import "strings"

// The two regions that rclone knows as names of signatures.
const (
	regionV2 = "other-v2-signature" // signature version 2
	regionV4 = "other-v4-signature" // signature version 4 for us-east-1
)

// support says how far a store honours a condition.
type support uint8

const (
	honoured support = iota // the store refuses the write
	checked                 // the store may pass it over: look before, unless it was seen to refuse
)

// quirks is how one provider's store differs from S3 as AWS has it.
type quirks struct {
	name          string
	needsEndpoint bool
	mayClean      bool   // may take keys for paths, and "a//b" for "a/b"
	verify        bool   // may say that an upload was completed although it was not
	pathStyle     bool   // endpoint/bucket/key instead of bucket.endpoint/key
	region        string // what an empty region means
	v2            bool   // sign with version 2
	listV1        bool   // ask for the first form of listings
	rawMarkers    bool   // a marker in a listing is not URL-encoded where keys are
	plainKeys     bool   // can't list keys in URL encoding
	plainUploads  bool   // encodes keys in a listing of uploads if asked to, but does not say so
	bareMatch     bool   // wants ETags in conditions of writes without quotes

	putCond      support // conditions on PutObject
	completeCond support // conditions on CompleteMultipartUpload
	copyCond     support // the condition on the source of a copy
	copyAbsent   support // the condition that a copy replaces nothing
}

// providers is the one table of differences. What it says of Ceph was measured on
// 16.2; DigitalOcean and Dreamhost run Ceph too, in versions of their own, so that
// only what is harmless elsewhere is taken over. Other may be any store, so that
// nothing is taken for granted there: versitygw 1.8 with its posix backend cleans keys
// as paths, and completes uploads that it does not know. MinIO takes "/a" for "a".
// Quotes are found out at run time wherever the table is wrong.
var providers = []quirks{
	{name: "AWS", region: "us-east-1"},
	{name: "Ceph", needsEndpoint: true, region: "us-east-1", pathStyle: true, listV1: true, rawMarkers: true, plainUploads: true, bareMatch: true, completeCond: checked, copyCond: checked, copyAbsent: checked},
	{name: "Minio", needsEndpoint: true, region: "us-east-1", pathStyle: true, mayClean: true, copyAbsent: checked},
	{name: "DigitalOcean", needsEndpoint: true, region: "us-east-1", plainUploads: true, completeCond: checked, copyCond: checked, copyAbsent: checked},
	{name: "Wasabi", needsEndpoint: true, region: "us-east-1", putCond: checked, completeCond: checked, copyCond: checked, copyAbsent: checked},
	{name: "Dreamhost", needsEndpoint: true, region: "us-east-1", plainUploads: true, completeCond: checked, copyCond: checked, copyAbsent: checked},
	{name: "Other", needsEndpoint: true, region: "us-east-1", pathStyle: true, mayClean: true, verify: true, plainUploads: true, putCond: checked, completeCond: checked, copyCond: checked, copyAbsent: checked},
}

// Providers returns the names of the known providers.
func Providers() []string {
	names := make([]string, len(providers))
	for i, p := range providers {
		names[i] = p.name
	}
	return names
}

// provider finds the quirks that c asks for. A provider of rclone's that is not in
// the table counts as Other: its stores speak S3.
func (c Config) provider() quirks {
	want := c.Provider
	if want == "" {
		want = "Other"
		if c.Endpoint == "" {
			want = "AWS"
		}
	}
	found := providers[len(providers)-1]
	for _, p := range providers {
		if strings.EqualFold(p.name, want) {
			found = p
		}
	}
	if c.fixedRegion() {
		found.region = c.Region
	}
	found.v2 = c.V2Auth || c.Region == regionV2
	if c.ForcePathStyle != nil {
		found.pathStyle = *c.ForcePathStyle
	}
	if c.ListVersion != 0 {
		found.listV1 = c.ListVersion == 1
	}
	found.plainKeys = c.PlainListings
	found.plainUploads = found.plainUploads || c.PlainListings
	found.verify = found.verify && !c.NoHead
	return found
}
