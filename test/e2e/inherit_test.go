package e2e

import (
	"crypto/sha256"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/s3mount/s3mount/test/s3fake"
	"github.com/s3mount/s3mount/test/semantics"
)

func TestWhatIsCachedStaysSo(t *testing.T) {
	semantics.Claim(t, "What is cached of a file stays so when it is changed in part, renamed, or given other attributes in this mount: only bytes that were not here are downloaded.")
	for name, args := range map[string][]string{"strict": nil, "writeback": {"--writeback"}} {
		t.Run(name, func(t *testing.T) {
			m, fake, _ := fakeMount(t, args...)
			const size = 24 << 20
			data := make([]byte, size)
			s3fake.NewPattern(3).ReadAt(data, 0)
			must(t, os.Mkdir(m.Dir+"/d", 0o755))
			file := m.Dir + "/d/f"
			write(t, file, string(data))
			at := func(p string, places ...int) {
				f, err := os.OpenFile(file, os.O_WRONLY, 0)
				must(t, err)
				for _, off := range places {
					_, err = f.WriteAt([]byte(p), int64(off))
					must(t, err)
					data = append(data, make([]byte, max(0, off+len(p)-len(data)))...)
					copy(data[off:], p)
				}
				must(t, f.Close())
			}
			reread := func(what string) {
				t.Helper()
				if len(args) > 0 {
					code, _, stderr := s3mount(t, nil, "flush", m.Dir)
					same(t, "exit code of flush: "+stderr, code, 0)
				}
				f, err := os.Open(file)
				must(t, err)
				must(t, unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED))
				must(t, f.Close())
				same(t, what+": the file", sha256.Sum256([]byte(read(t, file))), sha256.Sum256(data))
				if got := fake.Stats().BytesOut; got != 0 {
					t.Errorf("%s: %d bytes were downloaded", what, got)
					fake.ResetStats()
				}
			}
			reread("written")
			at("edited", 1000, 9<<20+7, 17<<20)
			reread("edited")
			at("more", len(data))
			reread("appended")
			at("more", len(data))
			reread("appended again")
			must(t, os.Chmod(file, 0o600))
			reread("with another mode")
			must(t, os.Rename(file, m.Dir+"/d/g"))
			file = m.Dir + "/d/g"
			reread("renamed")
			must(t, os.Rename(m.Dir+"/d", m.Dir+"/e"))
			file = m.Dir + "/e/g"
			reread("with its folder renamed")
			must(t, os.Truncate(file, 20<<20+5))
			data = data[:20<<20+5]
			reread("cut off")
			at("once more", 3<<20)
			reread("edited at last")
		})
	}
}
