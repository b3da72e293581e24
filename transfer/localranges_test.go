package transfer

import "testing"

// TestCutOfLargeDownloads counts the requests of a file: never more than rclone's, which
// are a HEAD and one for each 64 MiB from 256 MiB on.
func TestCutOfLargeDownloads(t *testing.T) {
	const mib = 1 << 20
	for _, c := range []struct{ size, streams, want int64 }{
		{0, 8, 1}, {1, 8, 1}, {64 * mib, 8, 1}, {64*mib + 1, 8, 2}, {255 * mib, 8, 2}, {256 * mib, 8, 4},
		{512*mib - 1, 8, 7}, {512 * mib, 8, 8}, {1000 * mib, 8, 8}, {2048 * mib, 8, 32}, {5 << 40, 8, 81920},
		{2048 * mib, 1, 1}, {2048*mib + 1, 3, 30},
	} {
		length := cut(c.size, int(c.streams))
		got := int64(1)
		if c.size > 0 {
			got = (c.size + length - 1) / length
		}
		if got != c.want {
			t.Errorf("%d bytes in %d streams: %d ranges of %d bytes, want %d", c.size, c.streams, got, length, c.want)
		}
	}
}
