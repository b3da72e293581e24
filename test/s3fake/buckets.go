package s3fake

import (
	"encoding/xml"
	"maps"
	"net/http"
	"regexp"
	"slices"
)

var bucketName = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)

type bucketXML struct {
	Name         string
	CreationDate string
}

func (c *call) listBuckets() error {
	var doc struct {
		XMLName xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ ListAllMyBucketsResult"`
		Owner   struct{ ID, DisplayName string }
		Buckets struct{ Bucket []bucketXML }
	}
	doc.Owner.ID, doc.Owner.DisplayName = "s3fake", "s3fake"
	c.s.mu.RLock()
	for _, name := range slices.Sorted(maps.Keys(c.s.mu.buckets)) {
		created := stamp(c.s.mu.buckets[name].created)
		doc.Buckets.Bucket = append(doc.Buckets.Bucket, bucketXML{name, created})
	}
	c.s.mu.RUnlock()
	return c.xml(http.StatusOK, doc)
}

func (c *call) createBucket() error {
	c.drain()
	if !bucketName.MatchString(c.bucket) {
		return fail("InvalidBucketName", "No bucket can have this name.")
	}
	if _, err := c.s.bucket(c.bucket); err == nil {
		return fail("BucketAlreadyOwnedByYou", "You have this bucket already.")
	}
	c.s.Bucket(c.bucket)
	c.w.Header().Set("Location", "/"+c.bucket)
	c.w.WriteHeader(http.StatusOK)
	return nil
}

func (c *call) headBucket() error {
	if _, err := c.s.bucket(c.bucket); err != nil {
		return err
	}
	c.w.Header().Set("X-Amz-Bucket-Region", c.s.opts.Region)
	c.w.WriteHeader(http.StatusOK)
	return nil
}

func (c *call) deleteBucket() error {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	b := c.s.mu.buckets[c.bucket]
	if b == nil {
		return errNoBucket
	}
	b.mu.RLock()
	_, full := b.seekLocked("")
	b.mu.RUnlock()
	if full {
		return fail("BucketNotEmpty", "The bucket is not empty.")
	}
	delete(c.s.mu.buckets, c.bucket)
	c.w.WriteHeader(http.StatusNoContent)
	return nil
}

func (c *call) bucketLocation() error {
	if _, err := c.s.bucket(c.bucket); err != nil {
		return err
	}
	region := c.s.opts.Region
	if region == "us-east-1" {
		region = "" // as AWS has it
	}
	return c.xml(http.StatusOK, struct {
		XMLName xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ LocationConstraint"`
		Region  string   `xml:",chardata"`
	}{Region: region})
}
