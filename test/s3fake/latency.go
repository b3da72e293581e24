package s3fake

import (
	"context"
	"time"
)

// Latency is how long the server takes until it begins to answer, by kind of request.
// A body is taken in before the wait begins.
type Latency struct {
	FirstByte time.Duration // GetObject
	Head      time.Duration // HeadObject
	List      time.Duration // all listings of objects, uploads and parts
	Put       time.Duration // PutObject
	Part      time.Duration // UploadPart, UploadPartCopy
	Create    time.Duration // CreateMultipartUpload
	Complete  time.Duration // CompleteMultipartUpload
	Copy      time.Duration // CopyObject
	Delete    time.Duration // DeleteObject, DeleteObjects, AbortMultipartUpload
	Other     time.Duration // everything on buckets
}

// Uniform is the same latency for every request.
func Uniform(d time.Duration) Latency {
	return Latency{
		FirstByte: d, Head: d, List: d, Put: d, Part: d, Create: d, Complete: d, Copy: d,
		Delete: d, Other: d,
	}
}

func (l *Latency) of(op Op) time.Duration {
	switch op {
	case GetObject:
		return l.FirstByte
	case HeadObject:
		return l.Head
	case ListObjects, ListObjectsV2, ListUploads, ListParts:
		return l.List
	case PutObject:
		return l.Put
	case UploadPart, UploadPartCopy:
		return l.Part
	case CreateUpload:
		return l.Create
	case CompleteUpload:
		return l.Complete
	case CopyObject:
		return l.Copy
	case DeleteObject, DeleteObjects, AbortUpload:
		return l.Delete
	}
	return l.Other
}

// pause waits for d, or until one of the contexts ends.
func pause(d time.Duration, client, server context.Context) {
	if d <= 0 {
		return
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-client.Done():
	case <-server.Done():
	}
}
