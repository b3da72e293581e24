package s3remote

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/s3mount/s3mount/object"
)

// archivedError is the refusal to read an object that is in an archive.
type archivedError struct {
	class string // the archive, as the store calls it: GLACIER, DEEP_ARCHIVE
	key   string
	err   error
}

func (e *archivedError) Error() string {
	return fmt.Sprintf("Object in %s, restore first: %s: %v", e.class, e.key, e.err)
}
func (e *archivedError) Unwrap() error { return e.err }

// RestoreOptions tells how an archived object is to be made readable.
type RestoreOptions struct {
	// Days is how long the readable copy stays. Zero: no time is named, as objects want
	// it that move between tiers by themselves (INTELLIGENT_TIERING).
	Days int
	// Tier is how fast: "Expedited", "Standard" or "Bulk", in any case. Empty: the
	// store's default.
	Tier string
}

// RestoreState is how far the way out of an archive is.
type RestoreState uint8

// The states of an object towards its archive.
const (
	NotArchived RestoreState = iota // it can be read, and always could
	Archived                        // it cannot be read, and nobody asked to restore it
	Restoring                       // it will be readable; it takes minutes to days
	Restored                        // it can be read for a time
)

func (s RestoreState) String() string {
	return [...]string{"not archived", "archived", "restore in progress", "restored"}[s]
}

// RestoreStatus is what a store tells about an object and its archive.
type RestoreStatus struct {
	State RestoreState
	Class string    // the storage class; empty: the default
	Until time.Time // with Restored: when the readable copy goes; zero if not told
}

const opRestore = "RestoreObject"

// Restore asks the store to make an archived object readable, and returns what it said:
// Restoring, also where somebody else asked before, or Restored where it was readable
// already, and now is for longer. An object that is in no archive is an error of the
// store's choice, mostly KindArchived or KindInvalid.
func (b *Bucket) Restore(ctx context.Context, key string, o RestoreOptions) (RestoreState, error) {
	if err := b.checkKey(ctx, opRestore, key); err != nil {
		return NotArchived, err
	}
	in, err := b.restoreInput(key, o)
	if err != nil {
		return NotArchived, err
	}
	state := Restoring
	err = b.do(ctx, call{op: opRestore, key: key, try: func(ctx context.Context, _ bool) error {
		out, err := b.client.s3.RestoreObject(ctx, in, b.inRegion)
		if err == nil && statusOf(out.ResultMetadata) == http.StatusOK {
			state = Restored
		}
		var a *answerError
		if errors.As(err, &a) && a.code == "RestoreAlreadyInProgress" {
			return nil
		}
		return err
	}})
	if err != nil {
		return NotArchived, err
	}
	return state, nil
}

// statusOf returns the status of the answer that metadata is of; 0 if it has none.
func statusOf(metadata middleware.Metadata) int {
	if raw, ok := awsmiddleware.GetRawResponse(metadata).(*smithyhttp.Response); ok {
		return raw.StatusCode
	}
	return 0
}

func (b *Bucket) restoreInput(key string, o RestoreOptions) (*s3.RestoreObjectInput, error) {
	if o.Days < 0 || o.Days > 1<<30 {
		return nil, object.Errorf(object.KindInvalid, opRestore, key, "the days must be 0 or more, not %d", o.Days)
	}
	request := &types.RestoreRequest{}
	if o.Days > 0 {
		request.Days = aws.Int32(int32(o.Days))
	}
	if o.Tier != "" {
		tier, err := restoreTier(key, o.Tier)
		if err != nil {
			return nil, err
		}
		request.GlacierJobParameters = &types.GlacierJobParameters{Tier: tier}
	}
	return &s3.RestoreObjectInput{Bucket: &b.name, Key: b.full(key), RestoreRequest: request}, nil
}

func restoreTier(key, name string) (types.Tier, error) {
	for _, tier := range types.Tier("").Values() {
		if strings.EqualFold(name, string(tier)) {
			return tier, nil
		}
	}
	return "", object.Errorf(object.KindInvalid, opRestore, key, "the tier %q is none of Expedited, Standard and Bulk", name)
}

// RestoreStatus asks whether an object can be read, or is in an archive.
func (b *Bucket) RestoreStatus(ctx context.Context, key string) (RestoreStatus, error) {
	if err := b.checkKey(ctx, opHead, key); err != nil {
		return RestoreStatus{}, err
	}
	out, err := b.headAll(ctx, key)
	if err != nil {
		return RestoreStatus{}, err
	}
	return restoreStatus(out), nil
}

// archives are the storage classes whose objects cannot be read at once. GLACIER_IR is
// none of them. INTELLIGENT_TIERING says it in a header of its own.
var archives = map[types.StorageClass]bool{types.StorageClassGlacier: true, types.StorageClassDeepArchive: true}

// restoreStatus reads the headers of a HEAD. That of a restored object is
//
//	x-amz-restore: ongoing-request="false", expiry-date="Fri, 21 Dec 2012 00:00:00 GMT"
func restoreStatus(out *s3.HeadObjectOutput) RestoreStatus {
	st := RestoreStatus{Class: storageClass(string(out.StorageClass))}
	if archives[out.StorageClass] || out.ArchiveStatus != "" {
		st.State = Archived
	}
	text := aws.ToString(out.Restore)
	switch {
	case strings.Contains(text, `ongoing-request="true"`):
		st.State = Restoring
	case strings.Contains(text, `ongoing-request="false"`):
		st.State = Restored
		_, date, _ := strings.Cut(text, `expiry-date="`)
		date, _, _ = strings.Cut(date, `"`)
		st.Until, _ = http.ParseTime(date)
	}
	return st
}
