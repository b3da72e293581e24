package parts

import "testing"

func TestSize(t *testing.T) {
	for _, c := range []struct{ size, least, want int64 }{
		{0, 8 << 20, 8 << 20}, {1, MinSize, MinSize}, {Max * MinSize, MinSize, MinSize},
		{Max*MinSize + 1, MinSize, 6 << 20}, {5 << 40, 64 << 20, 525 << 20}, {5 << 40, MaxSize, MaxSize},
	} {
		got := Size(c.size, c.least)
		if got != c.want || (c.size+got-1)/got > Max {
			t.Errorf("Size(%d, %d) = %d, want %d", c.size, c.least, got, c.want)
		}
	}
}
