package s3remote

import "cmp"

// String returns where the bucket is: its endpoint (or region), name and prefix. Two
// buckets with the same String hold the same objects.
func (b *Bucket) String() string {
	return cmp.Or(b.client.cfg.Endpoint, b.regionName()) + "/" + b.name + "/" + b.prefix
}

// Config returns what the Client was made with.
func (b *Bucket) Config() Config { return b.client.cfg }
