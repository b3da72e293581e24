// Package parts cuts objects into the parts of multipart uploads.
//
// S3 takes 10,000 parts of 5 MiB to 5 GiB; only the last one may be smaller. Parts of
// a fixed size limit the object's, so that the size of parts grows with that of the
// object where it must. Who does not know the size beforehand needs another rule: see
// package writeback, whose parts grow while the object does.
package parts

const (
	// Max is how many parts an upload may have.
	Max = 10_000
	// MinSize is the least size of all parts but the last, in bytes.
	MinSize = 5 << 20
	// MaxSize is the greatest size of a part, in bytes.
	MaxSize = 5 << 30
)

// step is what sizes are rounded up to.
const step = 1 << 20

// Size returns the size of each part but the last for an object of size bytes: least,
// or the smallest whole number of MiB above it with which Max parts suffice.
func Size(size, least int64) int64 {
	need := (size + Max - 1) / Max
	if need <= least {
		return least
	}
	return (need + step - 1) / step * step
}
