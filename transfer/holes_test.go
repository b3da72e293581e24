package transfer

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// Whatever the pieces are in which bytes come, the file is what came.
func TestHolesReadAsZeros(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for i := range 200 {
		data := make([]byte, random.IntN(10*holeSize))
		for range random.IntN(4) {
			if len(data) > 0 {
				data[random.IntN(len(data))] = 1
			}
		}
		path := filepath.Join(t.TempDir(), "f")
		f := must[*os.File](t)(os.Create(path))
		const before = 3 * holeSize / 2
		h := &holeWriter{w: f, off: before}
		for rest := data; len(rest) > 0; {
			n := 1 + random.IntN(len(rest))
			equal(t, "written", must[int](t)(h.Write(rest[:n])), n)
			rest = rest[n:]
		}
		if err := h.end(); err != nil {
			t.Fatal(err)
		}
		f.Close()
		got := must[[]byte](t)(os.ReadFile(path))
		if len(data) > 0 && !bytes.Equal(got[before:], data) {
			t.Fatalf("%d: %d bytes came out as %d others", i, len(data), len(got)-before)
		}
	}
}

func TestZerosTakeNoRoomOnTheDisk(t *testing.T) {
	s, down := newStore(t), newFolder(t)
	const size = 2*rangeSize + 5
	s.b().Put("zeros", make([]byte, size), nil)
	s.b().Put("few", make([]byte, 100_000), nil)
	must[Summary](t)(Copy(t.Context(), s.at(""), down.ep(), Options{}))
	for name, want := range map[string]int64{"zeros": size, "few": 100_000} {
		fi := must[os.FileInfo](t)(os.Stat(filepath.Join(down.dir, name)))
		if room := fi.Sys().(*syscall.Stat_t).Blocks * 512; fi.Size() != want || room > 64<<10+want/8 {
			t.Errorf("%s: %d bytes take %d on the disk", name, fi.Size(), room)
		}
	}
	must[Summary](t)(Check(t.Context(), s.at(""), down.ep(), false, Options{Download: true}))
}
