package fusefs

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// readAhead is how far the kernel reads ahead of an application, in bytes. With its own
// 128 KiB, it asks for a GiB in 8,192 requests, and an application's read of 128 KiB that
// is not on a page's boundary looks to it like two in order, which it reads ahead of.
const readAhead = 1 << 20

// raiseReadAhead tells the kernel to read ahead in large requests. Only root may; without
// it, reading takes more requests and is as right.
func raiseReadAhead(dir string) {
	var st unix.Stat_t
	if err := unix.Stat(dir, &st); err != nil {
		return
	}
	path := fmt.Sprintf("/sys/class/bdi/%d:%d/read_ahead_kb", unix.Major(st.Dev), unix.Minor(st.Dev))
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return
	}
	defer f.Close()
	fmt.Fprint(f, readAhead>>10) // a hint
}
