package vfs

import (
	"testing"

	"github.com/s3mount/s3mount/object"
)

func TestWhatIsClosedIsStored(t *testing.T) {
	w := newWorld(t, newMemStore())
	h := w.create("a")
	w.writeAt(h, "hello", 0)
	if _, ok := w.m.get("a"); ok {
		t.Error("the object is there before close")
	}
	if got, _ := w.readHandle(h); got != "hello" {
		t.Errorf("read %q before close", got)
	}
	w.must(h.Flush(w.ctx()))
	w.stored("a", "hello")
	h.Release()
	gets := w.m.requests("Get")
	if got := w.read("a"); got != "hello" {
		t.Errorf("read back %q", got)
	}
	if n := w.m.requests("Get") - gets; n != 0 {
		t.Errorf("reading back what was written sent %d GETs", n)
	}
	info, err := w.m.Head(w.ctx(), "a")
	w.must(err)
	want := object.Meta{"mtime": "1800000000.000000000", "mode": "33184", "uid": "10", "gid": "20"}
	for k, v := range want {
		if info.Meta[k] != v {
			t.Errorf("metadata %s is %q, want %q", k, info.Meta[k], v)
		}
	}
}

func TestEmptyFileIsStoredAtClose(t *testing.T) {
	w := newWorld(t, newMemStore())
	w.write("empty", "")
	w.stored("empty", "")
}

func TestEditOfAnExistingObject(t *testing.T) {
	m := newMemStore()
	m.put("f", "0123456789", nil)
	w := newWorld(t, m)
	h := w.open("f", true)
	w.writeAt(h, "AB", 3)
	w.closeFile(h)
	w.stored("f", "012AB56789")
	h = w.open("f", true)
	w.writeAt(h, "end", 10)
	w.closeFile(h)
	w.stored("f", "012AB56789end")
	if got := w.read("f"); got != "012AB56789end" {
		t.Errorf("read %q", got)
	}
}

func TestTruncate(t *testing.T) {
	m := newMemStore()
	m.put("f", "0123456789", nil)
	w := newWorld(t, m)
	e, err := w.lookup("f")
	w.must(err)
	for _, c := range []struct {
		size int64
		want string
	}{{4, "0123"}, {6, "0123\x00\x00"}, {0, ""}, {2, "\x00\x00"}} {
		a, err := w.fs.SetAttr(w.ctx(), e.Node, SetAttr{Size: &c.size})
		w.must(err)
		w.stored("f", c.want)
		if a.Size != c.size {
			t.Errorf("size %d, want %d", a.Size, c.size)
		}
	}
	negative := int64(-1)
	_, err = w.fs.SetAttr(w.ctx(), e.Node, SetAttr{Size: &negative})
	w.want(err, object.KindInvalid)
}

func TestOverwriteKeepsTheOldObjectUntilClose(t *testing.T) {
	m := newMemStore()
	m.put("f", "old", nil)
	w := newWorld(t, m)
	h := w.open("f", true)
	zero := int64(0)
	_, err := w.fs.SetAttr(w.ctx(), h.Node(), SetAttr{Size: &zero}) // open(O_TRUNC)
	w.must(err)
	w.writeAt(h, "new", 0)
	w.stored("f", "old")
	w.closeFile(h)
	w.stored("f", "new")
}

func TestRefusedUploadIsAnErrorOfClose(t *testing.T) {
	m := newMemStore()
	w := newWorld(t, m)
	h := w.create("f")
	w.writeAt(h, "data", 0)
	no := object.Errorf(object.KindPermission, "PutObject", "f", "")
	m.fail = func(op, _ string) error {
		if op == "Put" {
			return no
		}
		return nil
	}
	w.want(h.Flush(w.ctx()), object.KindPermission)
	h.Release()
	if _, err := w.lookup("f"); !object.Is(err, object.KindNotFound) {
		t.Errorf("a file that S3 refused still shows: %v", err)
	}
	m.fail = nil
}

// rclone keeps an object's MD5 in its metadata where the ETag is none.
func TestSumOfTheOldContentIsNotStoredWithTheNew(t *testing.T) {
	m := newMemStore()
	m.put("f", "old content", object.Meta{object.MetaMD5: "1B2M2Y8AsgTpgAmY7PhCfg==", "other": "kept"})
	w := newWorld(t, m)
	w.setMode("f", 0o600)
	if info, _ := m.Head(w.ctx(), "f"); info.Meta[object.MetaMD5] == "" {
		t.Error("the sum of the same content is gone after chmod")
	}
	h := w.open("f", true)
	w.writeAt(h, "new", 0)
	w.closeFile(h)
	info, _ := m.Head(w.ctx(), "f")
	if sum, ok := info.Meta[object.MetaMD5]; ok || info.Meta["other"] != "kept" {
		t.Errorf("the sum is %q in %v", sum, info.Meta)
	}
}
