package vfs

import (
	"io"
	"strings"
	"testing"
	"testing/synctest"
)

// localText is content of a size that is kept whole in the cache.
func localText(c string) string { return strings.Repeat(c, 2<<20) }

// view reads through View, and says whether the answer was a place in a local file.
func (w *world) view(h *Handle, n int, off int64) (data string, local bool) {
	w.t.Helper()
	v, err := h.View(w.ctx(), make([]byte, n), off)
	if err != nil && err != io.EOF {
		w.t.Fatal(err)
	}
	defer v.Release()
	if v.File != nil {
		p := make([]byte, v.Size)
		_, err := v.File.ReadAt(p, v.Off)
		w.must(err)
		return string(p), true
	}
	var b strings.Builder
	for _, part := range v.Parts {
		b.Write(part)
	}
	return b.String(), false
}

// localHandle opens f, which has been read, when it is whole in the cache.
func (w *world) localHandle(want string) *Handle {
	w.t.Helper()
	h := w.open("f", false)
	if got, _ := w.view(h, len(want), 0); got != want {
		w.t.Fatal("the first read differs")
	}
	h.Release()
	synctest.Wait() // until the blocks are written
	h = w.open("f", false)
	if got, local := w.view(h, 1<<20, 5); !local || got != want[5:5+1<<20] {
		w.t.Fatalf("answered from the cache's file: %v, %d bytes", local, len(got))
	}
	return h
}

// local runs f in a world in which the kernel reads no files by itself.
func local(t *testing.T, f func(w *world)) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemStore()
		m.put("f", localText("a"), nil)
		f(newWorld(t, m))
	})
}

func TestAWholeFileIsReadFromTheCachesFile(t *testing.T) {
	local(t, func(w *world) {
		h := w.localHandle(localText("a"))
		defer h.Release()
		gets := w.m.requests("Get")
		end := int64(len(localText("a")))
		if got, is := w.view(h, 100, end-10); !is || got != "aaaaaaaaaa" {
			t.Errorf("at the end: %q, %v", got, is)
		}
		if got, is := w.view(h, 100, end); is || got != "" {
			t.Errorf("behind the end: %q, %v", got, is)
		}
		if n := w.m.requests("Get"); n != gets {
			t.Errorf("%d GETs for what is in the cache", n-gets)
		}
	})
}

// What this mount writes is seen at once through a handle that was answered from the
// cache's file, before and after it is stored, and an answer under way keeps its bytes.
func TestWritesAreSeenPastTheCachesFile(t *testing.T) {
	local(t, func(w *world) {
		h := w.localHandle(localText("a"))
		defer h.Release()
		under, err := h.View(w.ctx(), make([]byte, 10), 0)
		w.must(err)
		writer := w.open("f", true)
		w.writeAt(writer, "xyz", 1)
		if got, is := w.view(h, 5, 0); is || got != "axyza" {
			t.Errorf("while it is written: %q, %v", got, is)
		}
		w.closeFile(writer)
		if got, _ := w.view(h, 5, 0); got != "axyza" {
			t.Errorf("after close: %q", got)
		}
		p := make([]byte, under.Size)
		if _, err := under.File.ReadAt(p, under.Off); err != nil || string(p) != "aaaaaaaaaa" {
			t.Errorf("an answer from before: %q, %v", p, err)
		}
		under.Release()
	})
}

// A handle keeps its version when another one is stored elsewhere; its end gives the
// cache's file back.
func TestAHandleOnTheCachesFileKeepsItsVersion(t *testing.T) {
	local(t, func(w *world) {
		h := w.localHandle(localText("a"))
		under, err := h.View(w.ctx(), make([]byte, 10), 0)
		w.must(err)
		w.m.put("f", localText("b"), nil)
		if got, is := w.view(h, 3, 7); !is || got != "aaa" {
			t.Errorf("the old version: %q, %v", got, is)
		}
		h.Release()
		if _, err := under.File.Stat(); err != nil {
			t.Errorf("closed under an answer: %v", err)
		}
		file := under.File
		under.Release()
		if _, err := file.Stat(); err == nil {
			t.Error("the file is still open")
		}
	})
}
