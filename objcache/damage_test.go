package objcache

import (
	"bytes"
	"os"
	"testing"

	"github.com/s3mount/s3mount/object"
)

func TestDamageIsFoundAndFetchedAgain(t *testing.T) {
	const blocks = 6
	flip := func(t *testing.T, path string, off int64) {
		t.Helper()
		f, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		var b [1]byte
		f.ReadAt(b[:], off)
		b[0] ^= 0x10
		if _, err := f.WriteAt(b[:], off); err != nil {
			t.Fatal(err)
		}
	}
	overwrite := func(t *testing.T, path string, b []byte, off int64) {
		t.Helper()
		f, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if _, err := f.WriteAt(b, off); err != nil {
			t.Fatal(err)
		}
	}
	const size = blocks * testBlock
	for name, c := range map[string]struct {
		damage func(t *testing.T, data, index string)
		lost   int64 // blocks
	}{
		"flipped bit": {func(t *testing.T, d, i string) { flip(t, d, 2*testBlock+99) }, 1},
		"flipped in each": {func(t *testing.T, d, i string) {
			for b := range int64(blocks) {
				flip(t, d, b*testBlock)
			}
		}, blocks},
		"data truncated":      {func(t *testing.T, d, i string) { os.Truncate(d, 3*testBlock+1) }, 3},
		"data empty":          {func(t *testing.T, d, i string) { os.Truncate(d, 0) }, blocks},
		"data gone":           {func(t *testing.T, d, i string) { os.Remove(d) }, blocks},
		"index gone":          {func(t *testing.T, d, i string) { os.Remove(i) }, blocks},
		"index empty":         {func(t *testing.T, d, i string) { os.Truncate(i, 0) }, blocks},
		"index garbage":       {func(t *testing.T, d, i string) { overwrite(t, i, bytes.Repeat([]byte("garbage!"), 14), 0) }, blocks},
		"records garbage":     {func(t *testing.T, d, i string) { overwrite(t, i, bytes.Repeat([]byte("\xff"), 8*blocks), headerSize) }, blocks},
		"records shifted":     {func(t *testing.T, d, i string) { b, _ := os.ReadFile(i); overwrite(t, i, b[headerSize:], headerSize+8) }, blocks - 1},
		"index truncated":     {func(t *testing.T, d, i string) { os.Truncate(i, headerSize+2*recordSize+3) }, blocks - 2},
		"torn record":         {func(t *testing.T, d, i string) { overwrite(t, i, make([]byte, 4), recordOffset(3)) }, 1},
		"record without data": {func(t *testing.T, d, i string) { overwrite(t, d, make([]byte, testBlock), 4*testBlock) }, 1},
		"data without record": {func(t *testing.T, d, i string) { overwrite(t, i, make([]byte, recordSize), recordOffset(0)) }, 1},
		"index of another":    {func(t *testing.T, d, i string) { overwrite(t, i, encodeHeader(name{1}, testBlock, size), 0) }, blocks},
		"index of another size": {func(t *testing.T, d, i string) {
			overwrite(t, i, encodeHeader(nameOf(object.ID{Key: "k", ETag: "e"}), testBlock, size+1), 0)
		}, blocks},
		"folders in the place": {func(t *testing.T, d, i string) { os.Remove(d); os.Mkdir(d, 0o700) }, blocks},
	} {
		t.Run(name, func(t *testing.T) {
			s, dir := newStore(), t.TempDir()
			id, data := s.add("k", "e", size)
			fillDisk(t, s, dir, id, data)
			c.damage(t, cacheFiles(t, dir, dataSuffix)[0], cacheFiles(t, dir, indexSuffix)[0])
			if asked := rereads(t, s, dir, id, data); asked != c.lost*testBlock {
				t.Errorf("%d blocks were fetched again, want %d", asked/testBlock, c.lost)
			}
			if name == "folders in the place" {
				return // what nobody can remove stays in the way
			}
			if asked := rereads(t, s, dir, id, data); asked > 4*testBlock {
				t.Errorf("%d blocks were fetched once more", asked/testBlock)
			}
		})
	}
}
