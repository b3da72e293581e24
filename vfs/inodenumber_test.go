package vfs

import (
	"testing"

	"github.com/s3mount/s3mount/test/semantics"
)

// inoIn returns the number that a listing of a folder shows for a name.
func (w *world) inoIn(dir, name string) (ino uint64) {
	w.t.Helper()
	e, err := w.lookup(dir)
	w.must(err)
	d, err := w.fs.OpenDir(w.ctx(), e.Node)
	w.must(err)
	defer w.fs.ReleaseDir(d)
	w.must(d.Read(w.ctx(), 0, false, func(e DirEntry) bool {
		if e.Name == name {
			ino = e.Ino
		}
		return true
	}))
	return ino
}

// forget has the kernel forget a file.
func (w *world) forget(e Entry) {
	w.fs.Forget(e.Node, 1000)
	w.fs.tree.Lock()
	defer w.fs.tree.Unlock()
	if w.fs.tree.nodes[e.Node] != nil {
		w.t.Fatal("it is not forgotten")
	}
}

// git takes a file with another inode number for a changed one.
func TestRegressionInodeNumbersOutliveTheKernelsMemory(t *testing.T) {
	semantics.Claim(t, "A file's inode number is made from its key, and the same at each mount; a file that was renamed, or took the name of one that was open, keeps the number that it had while the mount lasts, also when the kernel has forgotten it.")
	m := newMemStore()
	m.put("d/f", "old", nil)
	w := newWorld(t, m)
	h := w.open("d/f", false)
	if ino := w.inoIn("d", "f"); ino != inoOf("d/f") {
		t.Errorf("the number is %d", ino)
	}
	w.must(w.unlink("d/f"))
	w.write("d/f", "new")
	made, err := w.lookup("d/f")
	w.must(err)
	if made.Attr.Ino == inoOf("d/f") {
		t.Error("two files have the same number")
	}
	h.Release()
	w.must(w.rename("d/f", "d/g"))
	for range 2 {
		e, err := w.lookup("d/g")
		w.must(err)
		if e.Attr.Ino != made.Attr.Ino {
			t.Errorf("the file's number is %d, it was %d", e.Attr.Ino, made.Attr.Ino)
		}
		w.forget(e)
		if ino := w.inoIn("d", "g"); ino != made.Attr.Ino {
			t.Errorf("readdir says %d, it was %d", ino, made.Attr.Ino)
		}
	}
	w.write("d/f", "another")
	if e, err := w.lookup("d/f"); err != nil || e.Attr.Ino == made.Attr.Ino {
		t.Errorf("another file has the number %d of the first: %v", e.Attr.Ino, err)
	}
}

func TestInodeNumbersThatAreRememberedAreBounded(t *testing.T) {
	var o inoNumbers
	for i := range uint64(maxInoNumbers + 100) {
		o.keep("k"+string(rune('a'+i%26))+string(rune(i)), i)
	}
	if n := o.byKey.Len(); n > maxInoNumbers {
		t.Errorf("%d numbers", n)
	}
	o.keep("ka\x00", inoOf("ka\x00"))
	if ino := o.of("ka\x00"); ino != inoOf("ka\x00") {
		t.Errorf("a file with its key's number has %d", ino)
	}
}
