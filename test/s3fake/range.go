package s3fake

import (
	"strconv"
	"strings"
)

func contentRange(off, n, size int64) string {
	return "bytes " + strconv.FormatInt(off, 10) + "-" + strconv.FormatInt(off+n-1, 10) + "/" + strconv.FormatInt(size, 10)
}

// parseRange reads a Range header against a size. What is not one legal range of bytes
// means the whole object, as HTTP has it.
func parseRange(header string, size int64) (off, n int64, partial bool, err error) {
	spec, ok := strings.CutPrefix(header, "bytes=")
	first, last, dash := strings.Cut(spec, "-")
	if !ok || !dash || strings.Contains(spec, ",") {
		return 0, size, false, nil
	}
	outside := fail("InvalidRange", "The range lies outside of the object.")
	end := size - 1
	if first == "" { // the last so many bytes
		count, bad := strconv.ParseInt(last, 10, 64)
		if bad != nil {
			return 0, size, false, nil
		}
		if count == 0 || size == 0 {
			return 0, 0, false, outside
		}
		off = max(0, size-count)
		return off, size - off, true, nil
	}
	off, bad := strconv.ParseInt(first, 10, 64)
	if bad != nil {
		return 0, size, false, nil
	}
	if last != "" {
		if end, bad = strconv.ParseInt(last, 10, 64); bad != nil || end < off {
			return 0, size, false, nil
		}
	}
	if off >= size {
		return 0, 0, false, outside
	}
	return off, min(end, size-1) - off + 1, true, nil
}
