package s3remote

import (
	"context"
	"encoding/hex"
	"io"

	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/smithy-go/middleware"

	"github.com/s3mount/s3mount/object"
)

// UploadSummedPart is UploadPart of a body whose SHA-256 the caller knows, so that it is
// read once less. A body that has another sum is refused by the store. Where requests
// are signed in another way, the sum is not used.
func (b *Bucket) UploadSummedPart(ctx context.Context, key, uploadID string, number int, body *io.SectionReader, sum [32]byte) (object.Part, error) {
	return b.UploadPart(context.WithValue(ctx, payloadSumKey{}, sum), key, uploadID, number, body)
}

type payloadSumKey struct{}

// payloadSum is the SDK's stage that computes the SHA-256 of a body, but for parts whose
// sum is in the context. Other requests that are made on the way, as for a bucket's
// region, have a body of their own.
type payloadSum struct{ v4.ComputePayloadSHA256 }

func (p *payloadSum) HandleFinalize(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (middleware.FinalizeOutput, middleware.Metadata, error) {
	if sum, known := ctx.Value(payloadSumKey{}).([32]byte); known && middleware.GetOperationName(ctx) == "UploadPart" {
		ctx = v4.SetPayloadHash(ctx, hex.EncodeToString(sum[:]))
	}
	return p.ComputePayloadSHA256.HandleFinalize(ctx, in, next)
}
