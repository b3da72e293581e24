package e2e

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/s3mount/s3mount/test/fstest"
	"github.com/s3mount/s3mount/test/mounts"
	"github.com/s3mount/s3mount/test/s3fake"
	"github.com/s3mount/s3mount/test/servers"
)

// setting is a number of the environment: make fsx and make soak set more than a test has.
func setting(t testing.TB, name string, usual int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return usual
	}
	n, err := strconv.Atoi(text)
	must(t, err)
	return n
}

// roughWeather fails one request in eight, in each way that the mount gets over.
var roughWeather = []s3fake.Rule{
	{Probability: 0.05, Fault: s3fake.SlowDown()},
	{Probability: 0.03, Fault: s3fake.Fault{Act: s3fake.Reset}},
	{Probability: 0.02, Fault: s3fake.Fault{Act: s3fake.Truncate}},
	{Probability: 0.03, Fault: s3fake.Fault{Act: s3fake.Lost}},
}

// TestFSX has a file survive random operations through the kernel, under faults, and
// compares the object at the end. S3MOUNT_FSX_STEPS and _SEED make it longer and other.
func TestFSX(t *testing.T) {
	steps, seed := setting(t, "S3MOUNT_FSX_STEPS", 3000), setting(t, "S3MOUNT_FSX_SEED", 1)
	for i, mode := range []struct {
		name      string
		writeback bool
		args      []string
		size      int64
		share     int // of the steps, as one in so many: parts are 5 MiB at least
	}{
		{name: "strict", size: 2 << 20, share: 1},
		{name: "strict, by requests", size: 300_000, args: []string{"--no-passthrough"}, share: 1},
		{name: "strict, in parts", size: 14 << 20, args: []string{"--s3-chunk-size=5Mi", "--s3-upload-cutoff=5Mi"}, share: 8},
		{name: "writeback", size: 2 << 20, writeback: true, share: 1},
		{name: "writeback, by requests", size: 300_000, writeback: true, args: []string{"--no-passthrough"}, share: 1},
	} {
		t.Run(mode.name, func(t *testing.T) {
			t.Parallel()
			fake := s3fake.Start(t, s3fake.Options{Seed: uint64(seed + i)})
			b := fake.Bucket("bucket")
			args := mode.args
			if mode.writeback {
				args = append(args, "--writeback")
			}
			m := mounts.Start(t, mounts.Options{Server: servers.Of(fake), Path: "bucket", Args: args})
			fake.Fail(roughWeather...)
			fstest.FSX{
				Seed: uint64(seed + i), Steps: steps / mode.share, Target: m.Dir, Reference: t.TempDir(), MaxSize: mode.size,
				StoredEvery: 10,
				Stored: func(key string, want []byte) error {
					for begin := time.Now(); ; time.Sleep(10 * time.Millisecond) {
						got, ok := b.Get(key)
						if ok && bytes.Equal(got, want) {
							return nil
						}
						if !mode.writeback || time.Since(begin) > 2*time.Minute { // it comes when it comes
							return fmt.Errorf("%s: %d bytes, %t, not the %d that were written", key, len(got), ok, len(want))
						}
					}
				},
			}.Run(t)
			if faults := fake.Stats().Faults; faults < 3 {
				t.Errorf("only %d requests failed: this proves nothing", faults)
			}
			fake.Heal()
			m.Unmount()
			if left := b.Uploads(); len(left) > 0 {
				t.Errorf("uploads are left: %v", left)
			}
		})
	}
}
