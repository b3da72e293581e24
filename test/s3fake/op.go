package s3fake

import (
	"net/http"
	"net/url"
	"strings"
)

// Op is an operation by the name that the S3 API gives it.
type Op string

// The operations that the server knows.
const (
	ListBuckets       Op = "ListBuckets"
	CreateBucket      Op = "CreateBucket"
	HeadBucket        Op = "HeadBucket"
	DeleteBucket      Op = "DeleteBucket"
	GetBucketLocation Op = "GetBucketLocation"
	ListObjects       Op = "ListObjects"
	ListObjectsV2     Op = "ListObjectsV2"
	DeleteObjects     Op = "DeleteObjects"
	PutObject         Op = "PutObject"
	GetObject         Op = "GetObject"
	HeadObject        Op = "HeadObject"
	DeleteObject      Op = "DeleteObject"
	CopyObject        Op = "CopyObject"
	CreateUpload      Op = "CreateMultipartUpload"
	UploadPart        Op = "UploadPart"
	UploadPartCopy    Op = "UploadPartCopy"
	CompleteUpload    Op = "CompleteMultipartUpload"
	AbortUpload       Op = "AbortMultipartUpload"
	ListUploads       Op = "ListMultipartUploads"
	ListParts         Op = "ListParts"
	Unknown           Op = "Unknown"
)

// bucketQueries names the operation on a bucket that a query parameter asks for, by
// method. What is missing here is not known.
var bucketQueries = map[string]Op{
	"GET location": GetBucketLocation,
	"GET uploads":  ListUploads,
	"POST delete":  DeleteObjects,
}

// objectQueries is the same for operations on an object.
var objectQueries = map[string]Op{
	"GET uploadId":    ListParts,
	"PUT uploadId":    UploadPart,
	"DELETE uploadId": AbortUpload,
	"POST uploads":    CreateUpload,
	"POST uploadId":   CompleteUpload,
}

var bucketMethods = map[string]Op{
	"PUT": CreateBucket, "HEAD": HeadBucket, "DELETE": DeleteBucket, "GET": ListObjects,
}

var objectMethods = map[string]Op{
	"PUT": PutObject, "HEAD": HeadObject, "DELETE": DeleteObject, "GET": GetObject,
}

// subresources are the query parameters that turn a request into another operation.
var subresources = []string{
	"accelerate", "acl", "analytics", "attributes", "cors", "delete", "encryption",
	"inventory", "legal-hold", "lifecycle", "location", "logging", "metrics",
	"notification", "object-lock", "ownershipControls", "partNumber", "policy",
	"policyStatus", "publicAccessBlock", "replication", "requestPayment", "restore",
	"retention", "select", "tagging", "torrent", "uploadId", "uploads", "versionId",
	"versioning", "versions", "website",
}

// split returns the bucket and the key of a request's path. Both are as the client
// spelled them: nothing is cleaned.
func split(path string) (bucket, key string) {
	bucket, key, _ = strings.Cut(strings.TrimPrefix(path, "/"), "/")
	return bucket, key
}

// operation tells what a request asks for.
func operation(r *http.Request, bucket, key string, q url.Values) Op {
	if bucket == "" {
		if r.Method == "GET" {
			return ListBuckets
		}
		return Unknown
	}
	methods, queries := objectMethods, objectQueries
	if key == "" {
		methods, queries = bucketMethods, bucketQueries
	}
	op := methods[r.Method]
	for _, name := range subresources {
		if q.Has(name) {
			op = queries[r.Method+" "+name]
			if op != "" {
				break
			}
		}
	}
	copies := r.Header.Get("X-Amz-Copy-Source") != ""
	switch {
	case op == "":
		return Unknown
	case op == PutObject && copies:
		return CopyObject
	case op == UploadPart && copies:
		return UploadPartCopy
	case op == ListObjects && q.Get("list-type") == "2":
		return ListObjectsV2
	}
	return op
}
