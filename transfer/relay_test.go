package transfer

import (
	"context"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/s3mount/s3mount/object"
)

// heldStore counts the bytes of parts that are on their way.
type heldStore struct {
	Store
	mu        sync.Mutex // guards what follows
	now, peak int64
}

func (h *heldStore) UploadPart(ctx context.Context, key, id string, number int, body *io.SectionReader) (object.Part, error) {
	h.add(body.Size())
	defer h.add(-body.Size())
	return h.Store.UploadPart(ctx, key, id, number, body)
}

func (h *heldStore) add(n int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.now += n
	h.peak = max(h.peak, h.now)
}

// All files between two stores share one limit of memory, whatever the parts' size is; one
// that is less than a part lets them through one by one.
func TestCopiesBetweenStoresAreBoundedInMemory(t *testing.T) {
	for limit, want := range map[int64]int64{12 << 20: 12 << 20, 1 << 20: 5 << 20} {
		from, to := newStore(t), newStore(t)
		for _, name := range []string{"a", "b", "c"} {
			from.b().Put(name, []byte(bigText(17)), nil)
		}
		held := &heldStore{Store: to.bucketStore("bkt")}
		dst := must[Endpoint](t)(NewBucket(held, "", BucketOptions{Cutoff: 6 << 20, PartSize: 5 << 20}))
		dst.(*bucket).setRelay(limit)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		must[Summary](t)(Copy(ctx, from.at(""), dst, Options{}))
		if held.peak > want || held.peak == 0 {
			t.Errorf("with a limit of %d bytes, %d were held", limit, held.peak)
		}
		sum := must[Summary](t)(Check(t.Context(), from.at(""), to.at(""), false, Options{}))
		equal(t, "check", sum, Summary{Same: 3})
	}
}

// damaging is a store whose objects come with a damaged third part.
type damaging struct{ Store }

func (d damaging) Get(ctx context.Context, id object.ID, r object.Range) (io.ReadCloser, error) {
	body, err := d.Store.Get(ctx, id, r)
	if err != nil || r.Off != 10<<20 {
		return body, err
	}
	data, err := io.ReadAll(body)
	data[100] ^= 1
	return io.NopCloser(strings.NewReader(string(data))), err
}

// What is damaged on its way between two stores is seen also where it goes in parts, and
// is never stored with the sum of what it should be.
func TestDamagedPartsBetweenStoresAreSeen(t *testing.T) {
	from, to := newStore(t), newStore(t)
	from.b().Put("whole", []byte(bigText(17)), nil)
	up := newFolder(t)
	up.write("parts", bigText(18))
	must[Summary](t)(Copy(t.Context(), up.ep(), from.at("", small), Options{}))
	src := must[Endpoint](t)(NewBucket(damaging{from.bucketStore("bkt")}, "", BucketOptions{}))
	sum, err := Copy(t.Context(), src, to.at("", small), Options{Retries: 1})
	if !object.Is(err, object.KindCorrupt) || sum.Errors != 2 {
		t.Errorf("%v, %+v", err, sum)
	}
	equal(t, "store", to.tree(""), "")
	equal(t, "uploads", len(to.b().Uploads()), 0)
	must[Summary](t)(Copy(t.Context(), from.at(""), to.at("", small), Options{}))
	for _, name := range []string{"whole", "parts"} {
		want := must[File](t)(from.at("").Stat(t.Context(), name)).MD5
		equal(t, name, must[File](t)(to.at("").Stat(t.Context(), name)).MD5, want)
	}
}

// noETag is a store whose listings tell no ETags.
type noETag struct{ Store }

func (n noETag) List(ctx context.Context, q object.Query) (object.Page, error) {
	page, err := n.Store.List(ctx, q)
	for i := range page.Objects {
		page.Objects[i].ETag = ""
	}
	return page, err
}

// A listing without ETags does not make a file of two versions.
func TestAListingWithoutETags(t *testing.T) {
	s, down := newStore(t), newFolder(t)
	s.b().Put("a", []byte("first"), nil)
	ep := must[Endpoint](t)(NewBucket(noETag{s.bucketStore("bkt")}, "", BucketOptions{}))
	f := File{Path: "a", Size: 5}
	c := must[Content](t)(ep.Content(t.Context(), f))
	s.b().Put("a", []byte("other"), nil)
	if _, err := c.Range(t.Context(), 0, 5); !object.Is(err, object.KindStale) {
		t.Errorf("%v", err)
	}
	must[Summary](t)(Copy(t.Context(), ep, down.ep(), Options{}))
	equal(t, "copied", down.tree(), "a=other")
}
