package mountbench

import "context"

// bucketName is the bucket of all workloads: each one has it for itself.
const bucketName = "bench"

// workload is a row of the table.
type workload struct {
	name, title string
	tree        planting // what is in the bucket at the start
	writes      bool     // the bucket is made anew before each run
	shown       bool     // what the store must have is what the mount shows
	remount     bool     // before, then unmount and mount again with the same cache

	before  func(ctx context.Context, s *session) error // not measured
	run     func(ctx context.Context, s *session) error
	settled func(ctx context.Context, s *session) error // nil once the store has everything
	after   func(ctx context.Context, s *session) error // not measured: is all as it should be?
	limit   func(ctx context.Context, c *client) error

	beforeLimit func(ctx context.Context) error // not measured

	bar  bar // of the strict mount
	back bar // of the mount with --writeback
}

// sizes say how large everything is.
type sizes struct {
	sequential, segment, chunk, reread, write, edit int64
	randomFew, randomMany                           int
	filesFew, filesMany, stat, dirs, find, wide     int
	small, smallDirs, commits                       int
}

var full = sizes{
	sequential: 1 << 30, segment: 96 << 20, chunk: 128 << 10, reread: 256 << 20, write: 512 << 20, edit: 256 << 20,
	randomFew: 100, randomMany: 800,
	filesFew: 400, filesMany: 2000, stat: 10_000, dirs: 100, find: 2000, wide: 100_000,
	small: 500, smallDirs: 20, commits: 20,
}

var tiny = sizes{
	sequential: 8 << 20, segment: 1 << 20, chunk: 128 << 10, reread: 2 << 20, write: 6 << 20, edit: 6 << 20,
	randomFew: 5, randomMany: 32,
	filesFew: 10, filesMany: 40, stat: 50, dirs: 5, find: 20, wide: 2500,
	small: 12, smallDirs: 3, commits: 2,
}

// smallSize is the size of a small file.
const smallSize = 4 << 10

// workloads are all rows.
func (b *bench) workloads() []workload {
	var all []workload
	all = append(all, b.reads()...)
	all = append(all, b.listings()...)
	all = append(all, b.rereads()...)
	all = append(all, b.trees()...)
	all = append(all, b.edits()...)
	return append(all, b.programs()...)
}
