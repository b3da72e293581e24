package s3remote

import (
	"context"
	"strings"
	"unicode/utf8"

	"github.com/s3mount/s3mount/object"
)

// maxKey is the length of a key in bytes that S3 allows, the prefix included.
const maxKey = 1024

// checkKey refuses what no store takes: an empty key, which would be a request on
// the bucket itself, and one that is too long, for which stores have various codes.
// It refuses as well a key that this store takes for another one.
func (b *Bucket) checkKey(ctx context.Context, op, key string) error {
	if key == "" {
		return object.Errorf(object.KindInvalid, op, key, "the key is empty")
	}
	if n := len(b.prefix) + len(key); n > maxKey {
		return object.Errorf(object.KindNameTooLong, op, key, "the key has %d bytes; S3 allows %d", n, maxKey)
	}
	if b.client.quirks.mayClean && unclean(b.prefix+key) && !b.client.learned.exactKeys.Load() {
		return b.isItself(ctx, op, key)
	}
	return nil
}

// checkNewKey is checkKey for what is to be stored. S3's keys are UTF-8; what stores
// do with others goes from a wrong signature to another name.
func (b *Bucket) checkNewKey(ctx context.Context, op, key string) error {
	if !utf8.ValidString(key) {
		return object.Errorf(object.KindNotUTF8, op, key, "the key is not UTF-8")
	}
	return b.checkKey(ctx, op, key)
}

// unclean reports whether a program that takes a key for a path would change it. A
// "/" at the end does not count: it marks a directory.
func unclean(key string) bool {
	for part := range strings.SplitSeq(strings.TrimSuffix(key, "/"), "/") {
		if part == "" || part == "." || part == ".." {
			return true
		}
	}
	return false
}

// isItself is for stores that may clean keys as paths. It fails if the store has an
// object under an unclean key, but does not list it: then it takes the key for
// another, which may even lie outside of the prefix. One that is listed proves that
// the store keeps keys as they are, which is remembered.
func (b *Bucket) isItself(ctx context.Context, op, key string) error {
	_, err := b.head(ctx, key)
	if object.Is(err, object.KindNotFound) {
		return nil // there is nothing that could be taken for it
	}
	if err != nil {
		return err
	}
	// Asked for one name, MinIO looks the key up and shows it as it was asked for.
	page, err := b.listOnce(ctx, nil, object.Query{Prefix: key, Max: 2}, cursor{})
	if err != nil {
		return err
	}
	if len(page.Objects) == 0 || page.Objects[0].Key != key {
		return object.Errorf(object.KindInvalid, op, key, "the store takes this key for another one")
	}
	b.client.learned.exactKeys.Store(true)
	return nil
}
