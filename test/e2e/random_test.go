package e2e

import (
	"fmt"
	"testing"

	"github.com/s3mount/s3mount/test/fstest"
	"github.com/s3mount/s3mount/test/mounts"
	"github.com/s3mount/s3mount/test/servers"
)

// TestRandomOperationsThroughTheKernel compares random operations on a mount with a local
// folder, and then the bucket as a new mount sees it. The same bodies run on vfs in one
// process, many more of them, in test/fstest.
func TestRandomOperationsThroughTheKernel(t *testing.T) {
	for name, server := range map[string]func(testing.TB) servers.Server{
		"embedded": pool.Embedded, "MinIO": pool.MinIO, "Ceph": pool.Ceph,
	} {
		for seed, args := range [][]string{{}, {"--dir-cache-time", "0", "--attr-timeout", "0"}} {
			t.Run(fmt.Sprintf("%s, seed %d", name, seed), func(t *testing.T) {
				s := server(t)
				bucket, _ := mounts.NewBucket(t, s)
				local := fstest.OS{Root: t.TempDir()}
				m := mounts.Start(t, mounts.Options{Server: s, Path: bucket, Args: args})
				fstest.Random(t, uint64(seed), 600, fstest.OS{Root: m.Dir}, local)
				again := mounts.Start(t, mounts.Options{Server: s, Path: bucket})
				fstest.Compare(t, fstest.OS{Root: again.Dir}, local)
			})
		}
	}
}
