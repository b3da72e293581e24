// Package s3remote speaks S3 to one account, and returns only the words of package
// object. The AWS SDK is used here and nowhere else.
//
// A Client is an account at an endpoint; a Bucket is a bucket of it, or a prefix
// within one. Keys that go into a Bucket and come out of it are relative to the
// prefix, so that nothing outside of it can be reached.
//
// # What is promised
//
// Bytes: what is uploaded carries its SHA-256 in the signed request (its MD5 with
// signature version 2, which does not cover bodies), so that the store refuses what
// arrives damaged. Where the caller knows the MD5 beforehand, the store is told it, and
// its ETag is compared with it. What is downloaded is pinned to one version by
// If-Match, and its length is checked; a body that ends early, breaks or stalls is
// continued where it stopped, from the same version or not at all (KindStale).
//
// Failures: every error is an *object.Error with the operation, the key, the store's
// own code and its request id. codes.go is the only table from S3's codes to Kinds.
//
// Patience: what may pass is tried again, with pauses that grow and jitter, until
// Config.RetryDeadline has gone by since the first failure in a row. What cannot
// pass (no such key, access denied) fails at once. Each stage of a request has its
// own time limit: connect, TLS, first byte, and the gap between two bytes of a body
// in either direction. A retried call may find that its first try had worked and
// only the answer was lost: conditional writes and CompleteMultipartUpload compare
// what is stored with what was sent before they report success or failure.
//
// Places: a bucket's region is learned from the store's refusal where the configuration
// names none, and remembered. A configured region is never left.
//
// Access: keys of the configuration, or with EnvAuth the sources of the AWS tools (see
// findCredentials), or none. Nothing is needed beyond ListBucket, GetObject, PutObject,
// PutObjectAcl and DeleteObject, but for what has its own method here: ListUploads,
// AbortUpload, Restore, and those of Client.
//
// Stores differ: providers.go is the one table of how. What a store turns out not to
// understand (conditions, quotes around an ETag, the second form of listings) is
// found out once and remembered for the life of the Client.
//
// # What can go wrong still
//
// A store that ignores conditions silently loses the protection from lost updates to
// a race as long as one request, since all that can be done is a look just before;
// CompleteMultipartUpload on Ceph is known for it. Which stores do is in providers.go,
// and found out by a probe where it says checked. A CreateMultipartUpload whose answer
// is lost leaves an empty upload behind, which ListUploads shows.
//
// # Metadata
//
// Names are in lower case. Values of printable ASCII travel as they are; anything
// else (other characters, control characters, blanks at either end, and text that
// looks like an encoded word) travels as RFC 2047 encoded words in UTF-8, which is
// also the form that AWS gives to what others stored. No value can start a header of
// its own. Reading undoes it.
package s3remote
