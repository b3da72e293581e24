package s3remote

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"

	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// customerKeyUse says which requests carry a customer's key, and in which headers.
var customerKeyUse = map[string]struct{ object, source bool }{
	"GetObject": {object: true}, "HeadObject": {object: true}, "PutObject": {object: true},
	"CreateMultipartUpload": {object: true}, "UploadPart": {object: true},
	"CopyObject": {object: true, source: true}, "UploadPartCopy": {object: true, source: true},
}

// notForPayers are the requests that nobody else can be asked to pay for.
var notForPayers = map[string]bool{"ListBuckets": true, "CreateBucket": true, "DeleteBucket": true}

// extraHeaders adds what Config asks for on every request that takes it.
func (c *Client) extraHeaders(stack *middleware.Stack) error {
	if !c.cfg.RequesterPays && c.cfg.SSECustomerKey.Empty() {
		return nil
	}
	return stack.Build.Add(middleware.BuildMiddlewareFunc("s3mountHeaders", func(
		ctx context.Context, in middleware.BuildInput, next middleware.BuildHandler,
	) (middleware.BuildOutput, middleware.Metadata, error) {
		req, ok := in.Request.(*smithyhttp.Request)
		if !ok {
			return middleware.BuildOutput{}, middleware.Metadata{}, fmt.Errorf("unknown request type %T", in.Request)
		}
		c.addHeaders(awsmiddleware.GetOperationName(ctx), req.Header)
		return next.HandleBuild(ctx, in)
	}), middleware.After)
}

// addHeaders adds what Config asks for on the requests of an operation.
func (c *Client) addHeaders(op string, h http.Header) {
	if c.cfg.RequesterPays && !notForPayers[op] {
		h.Set("X-Amz-Request-Payer", "requester")
	}
	use := customerKeyUse[op]
	if use.object {
		c.cfg.addCustomerKey(h, "X-Amz-Server-Side-Encryption-Customer-")
	}
	if use.source {
		c.cfg.addCustomerKey(h, "X-Amz-Copy-Source-Server-Side-Encryption-Customer-")
	}
}

// addCustomerKey adds the three headers of SSE-C.
func (c *Config) addCustomerKey(h http.Header, prefix string) {
	if c.SSECustomerKey.Empty() {
		return
	}
	key := c.SSECustomerKey.Reveal()
	h.Set(prefix+"Algorithm", c.SSECustomerAlgorithm)
	h.Set(prefix+"Key", base64.StdEncoding.EncodeToString([]byte(key)))
	h.Set(prefix+"Key-Md5", base64MD5(key))
}
