package objcache

import (
	"fmt"
	"strings"
	"testing"

	"github.com/s3mount/s3mount/object"
)

func TestMetadataIsBounded(t *testing.T) {
	m := NewMetadata(10)
	for i := range 100 {
		m.Put(object.Info{Key: fmt.Sprint(i), Size: int64(i)})
	}
	if m.Len() != 10 {
		t.Errorf("%d entries", m.Len())
	}
	if _, ok := m.Get("89"); ok {
		t.Error("an old entry is there")
	}
	if i, ok := m.Get("90"); !ok || i.Size != 90 {
		t.Error("a recent entry is gone")
	}
	m.Put(object.Info{Key: "new"})
	if _, ok := m.Get("90"); !ok {
		t.Error("the entry that was used last went first")
	}
	m.Remove("90")
	if _, ok := m.Get("90"); ok {
		t.Error("a removed entry is there")
	}
}

func TestMetadataIsBoundedInBytes(t *testing.T) {
	m := NewMetadata(10)
	for i := range 100 {
		m.Put(object.Info{Key: fmt.Sprint(i), Meta: object.Meta{"a": strings.Repeat("x", 1000)}})
		if m.mu.bytes > 10*bytesPerEntry {
			t.Fatalf("%d bytes", m.mu.bytes)
		}
	}
	m.Put(object.Info{Key: "99", Size: 7})
	m.Put(object.Info{Key: "huge", ContentType: strings.Repeat("x", 10*bytesPerEntry)})
	if _, ok := m.Get("huge"); ok {
		t.Error("an entry over the whole limit was kept")
	}
	if i, ok := m.Get("99"); !ok || i.Size != 7 {
		t.Error("it pushed another out")
	}
	for i := range 100 {
		m.Remove(fmt.Sprint(i))
	}
	if m.Len() != 0 || m.mu.bytes != 0 {
		t.Errorf("empty: %d entries, %d bytes", m.Len(), m.mu.bytes)
	}
}
