package contract

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/s3mount/s3mount/object"
	"github.com/s3mount/s3mount/s3remote"
	"github.com/s3mount/s3mount/test/s3fake"
	"github.com/s3mount/s3mount/test/servers"
)

// faulty is a store of its own for one test, that can be made to fail.
type faulty struct {
	*env
	fake *s3fake.Server
	back *s3fake.Bucket // the same bucket, behind the client's back
}

// newFaulty starts an s3fake, and a client that change may set up.
func newFaulty(t *testing.T, o s3fake.Options, change func(*s3remote.Config)) *faulty {
	fake := s3fake.Start(t, o)
	server := servers.Of(fake)
	c := configOf(server)
	c.RetryDeadline = time.Minute
	if change != nil {
		change(&c)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	e := &env{T: t, server: server, ctx: ctx, name: "faulty", client: connect(t, c)}
	back := fake.Bucket(e.name)
	e.bucket = e.open("")
	return &faulty{env: e, fake: fake, back: back}
}

// weather is what a busy store is like on a bad day.
func weather() []s3fake.Rule {
	return []s3fake.Rule{
		{Probability: 0.10, Fault: s3fake.SlowDown()},
		{Probability: 0.03, Fault: s3fake.Fault{Act: s3fake.Reset}},
		{Op: s3fake.GetObject, Probability: 0.02, Fault: s3fake.Fault{Act: s3fake.Reset, After: 300_000}},
		{Op: s3fake.PutObject, Probability: 0.02, Fault: s3fake.Fault{Act: s3fake.Lost}},
		{Probability: 0.03, Fault: s3fake.Fault{Act: s3fake.Truncate}},
	}
}

func TestBadWeatherLosesNoByte(t *testing.T) {
	t.Parallel()
	f := newFaulty(t, s3fake.Options{Seed: 20171123}, nil)
	const size = 64 * mib
	pattern := s3fake.NewPattern(3)
	f.back.PutPattern("big", size, pattern, nil)
	f.fake.Fail(weather()...)

	var g errgroup.Group
	g.SetLimit(8)
	for off := int64(0); off < size; off += mib {
		g.Go(func() error {
			data, err := f.read(object.ID{Key: "big"}, off, mib)
			if err != nil {
				return err
			}
			return pattern.Check([]byte(data), off)
		})
	}
	for i := range 100 {
		g.Go(func() error {
			key := fmt.Sprintf("w/%03d", i)
			_, err := f.bucket.Put(f.ctx, key, pattern.Reader(int64(i)*1000), object.PutOptions{Condition: object.Condition{IfAbsent: true}})
			return err
		})
	}
	f.must(g.Wait())
	if n := f.fake.Stats().Faults; n < 10 {
		t.Errorf("only %d faults: the weather was too good", n)
	}
	f.fake.Heal()
	for i := range 100 {
		data, ok := f.back.Get(fmt.Sprintf("w/%03d", i))
		if !ok || len(data) != i*1000 || pattern.Check(data, 0) != nil {
			t.Errorf("object %d: %v, %d bytes, want %d", i, ok, len(data), i*1000)
		}
	}
}

func TestOneLongReadInBadWeather(t *testing.T) {
	t.Parallel()
	f := newFaulty(t, s3fake.Options{Seed: 1}, nil)
	const size = 64 * mib
	pattern := s3fake.NewPattern(4)
	f.back.PutPattern("big", size, pattern, nil)
	f.fake.Fail(
		s3fake.Rule{Count: 2, Fault: s3fake.Fault{Act: s3fake.Truncate, After: 10 * mib}},
		s3fake.Rule{Count: 1, Fault: s3fake.SlowDown()},
		s3fake.Rule{Count: 2, Fault: s3fake.Fault{Act: s3fake.Reset, After: 7*mib + 1}},
	)
	r, err := f.bucket.Get(f.ctx, object.ID{Key: "big"}, object.Range{Len: size})
	f.must(err)
	defer r.Close()
	data, err := io.ReadAll(r)
	f.must(err)
	if err := pattern.Check(data, 0); err != nil || len(data) != size {
		t.Errorf("%d bytes: %v", len(data), err)
	}
	if got := f.fake.Stats(); got.Faults != 5 || got.BytesOut > size+16*mib {
		t.Errorf("%d faults, %d bytes sent for %d", got.Faults, got.BytesOut, size)
	}
}

// TestOutageIsRiddenOut takes the store away for 20 seconds of real time, while
// requests of each kind are begun.
func TestOutageIsRiddenOut(t *testing.T) {
	t.Parallel()
	f := newFaulty(t, s3fake.Options{}, nil)
	f.back.Put("k", []byte("there before"), nil)
	began := time.Now()
	const outage = 20 * time.Second
	f.fake.Down()
	up := make(chan error, 1)
	time.AfterFunc(outage, func() { up <- f.fake.Up() })
	var g errgroup.Group
	g.Go(func() error {
		_, err := f.bucket.Put(f.ctx, "w", section([]byte("written")), object.PutOptions{})
		return err
	})
	g.Go(func() error {
		got, err := f.read(object.ID{Key: "k"}, 0, 12)
		if err == nil && got != "there before" {
			err = fmt.Errorf("read %q", got)
		}
		return err
	})
	g.Go(func() error {
		_, err := f.bucket.List(f.ctx, object.Query{})
		return err
	})
	f.must(g.Wait())
	f.must(<-up)
	if took := time.Since(began); took < outage || took > outage+15*time.Second {
		t.Errorf("it took %v", took)
	}
	if got, _ := f.back.Get("w"); string(got) != "written" {
		t.Errorf("the object holds %q", got)
	}
}

func TestOutageEndsWithTheDeadline(t *testing.T) {
	t.Parallel()
	f := newFaulty(t, s3fake.Options{}, func(c *s3remote.Config) { c.RetryDeadline = 500 * time.Millisecond })
	f.fake.Down()
	_, err := f.bucket.Head(f.ctx, "k")
	f.kind(err, object.KindUnavailable)
}

func TestErrorWithinASuccess(t *testing.T) {
	t.Parallel()
	f := newFaulty(t, s3fake.Options{}, nil)
	f.back.Put("k", []byte("data"), nil)
	within := s3fake.Fault{Act: s3fake.Within200}
	f.fake.Fail(s3fake.Rule{Op: s3fake.CopyObject, Count: 2, Fault: within}, s3fake.Rule{Op: s3fake.CompleteUpload, Count: 2, Fault: within})
	_, err := f.bucket.Copy(f.ctx, object.ID{Key: "k"}, "copy", object.CopyOptions{Size: 4})
	f.must(err)
	f.holds("copy", "data")
	id, err := f.bucket.CreateUpload(f.ctx, "up", object.PutOptions{})
	f.must(err)
	part, err := f.bucket.UploadPart(f.ctx, "up", id, 1, section([]byte("part")))
	f.must(err)
	_, err = f.bucket.CompleteUpload(f.ctx, "up", id, []object.Part{part}, object.Condition{IfAbsent: true})
	f.must(err)
	f.holds("up", "part")

	f.fake.Fail(s3fake.Rule{Op: s3fake.CopyObject, Fault: s3fake.Fault{Act: s3fake.Within200, Code: "AccessDenied"}})
	_, err = f.bucket.Copy(f.ctx, object.ID{Key: "k"}, "denied", object.CopyOptions{Size: 4})
	f.kind(err, object.KindPermission)
}

func TestLostAnswersAreNoConflicts(t *testing.T) {
	t.Parallel()
	f := newFaulty(t, s3fake.Options{}, nil)
	lost := s3fake.Fault{Act: s3fake.Lost}
	f.fake.Fail(s3fake.Rule{Op: s3fake.PutObject, Count: 1, Fault: lost}, s3fake.Rule{Op: s3fake.CompleteUpload, Count: 1, Fault: lost},
		s3fake.Rule{Op: s3fake.AbortUpload, Count: 1, Fault: lost}, s3fake.Rule{Op: s3fake.DeleteObject, Count: 1, Fault: lost})
	absent := object.Condition{IfAbsent: true}
	info, err := f.bucket.Put(f.ctx, "k", section([]byte("data")), object.PutOptions{Condition: absent})
	f.must(err)
	if head, err := f.bucket.Head(f.ctx, "k"); err != nil || head.ETag != info.ETag {
		t.Errorf("%+v, %v", head, err)
	}
	id, err := f.bucket.CreateUpload(f.ctx, "up", object.PutOptions{})
	f.must(err)
	part, err := f.bucket.UploadPart(f.ctx, "up", id, 1, section([]byte("part")))
	f.must(err)
	info, err = f.bucket.CompleteUpload(f.ctx, "up", id, []object.Part{part}, absent)
	f.must(err)
	if head, err := f.bucket.Head(f.ctx, "up"); err != nil || head.ETag != info.ETag {
		t.Errorf("%+v, %v", head, err)
	}
	id, err = f.bucket.CreateUpload(f.ctx, "up", object.PutOptions{})
	f.must(err)
	f.must(f.bucket.AbortUpload(f.ctx, "up", id))
	f.must(f.bucket.Delete(f.ctx, "k"))
	if got := f.back.Keys(""); !slices.Equal(got, []string{"up"}) {
		t.Errorf("keys %q", got)
	}
}

// An upload whose creation was not confirmed holds nothing, and costs its owner all the same.
func TestLostCreationsLeaveNothing(t *testing.T) {
	t.Parallel()
	f := newFaulty(t, s3fake.Options{}, nil)
	before, err := f.bucket.CreateUpload(f.ctx, "k", object.PutOptions{}) // somebody else's
	f.must(err)
	_, err = f.bucket.UploadPart(f.ctx, "k", before, 1, section([]byte("part")))
	f.must(err)
	f.fake.Fail(s3fake.Rule{Op: s3fake.CreateUpload, Count: 2, Fault: s3fake.Fault{Act: s3fake.Lost}})
	id, err := f.bucket.CreateUpload(f.ctx, "k", object.PutOptions{})
	f.must(err)
	ups, err := f.bucket.ListUploads(f.ctx, "k")
	f.must(err)
	var ids []string
	for _, u := range ups {
		ids = append(ids, u.ID)
	}
	if slices.Sort(ids); len(ids) != 2 || !slices.Contains(ids, before) || !slices.Contains(ids, id) {
		t.Errorf("uploads %q, want %q and %q", ids, before, id)
	}
}

func TestStallsAreBroken(t *testing.T) {
	t.Parallel()
	f := newFaulty(t, s3fake.Options{}, func(c *s3remote.Config) {
		c.Timeouts.Stall, c.Timeouts.FirstByte = 300*time.Millisecond, 300*time.Millisecond
	})
	pattern := s3fake.NewPattern(1)
	f.back.PutPattern("k", 8*mib, pattern, nil)
	f.fake.Fail(
		s3fake.Rule{Op: s3fake.GetObject, Count: 1, Fault: s3fake.Fault{Act: s3fake.Stall}},
		s3fake.Rule{Op: s3fake.PutObject, Count: 1, Fault: s3fake.Fault{Act: s3fake.Stall}},
		s3fake.Rule{Op: s3fake.HeadObject, Count: 1, Fault: s3fake.Fault{Act: s3fake.Hang}},
	)
	data, err := f.read(object.ID{Key: "k"}, 0, 8*mib)
	f.must(err)
	if err := pattern.Check([]byte(data), 0); err != nil || len(data) != 8*mib {
		t.Errorf("%d bytes: %v", len(data), err)
	}
	_, err = f.bucket.Put(f.ctx, "w", pattern.Reader(32*mib), object.PutOptions{})
	f.must(err)
	if info, err := f.bucket.Head(f.ctx, "w"); err != nil || info.Size != 32*mib {
		t.Errorf("%+v, %v", info, err)
	}
	if n := f.fake.Stats().Faults; n != 3 {
		t.Errorf("%d faults, want 3", n)
	}
}

func TestDeniedIsToldAtOnce(t *testing.T) {
	t.Parallel()
	f := newFaulty(t, s3fake.Options{}, nil)
	f.fake.Fail(s3fake.Rule{Op: s3fake.PutObject, Fault: s3fake.Denied()})
	_, err := f.bucket.Put(f.ctx, "k", section([]byte("x")), object.PutOptions{})
	f.kind(err, object.KindPermission)
	if !strings.Contains(fmt.Sprint(err), "S3FAKE") || !strings.Contains(fmt.Sprint(err), `"k"`) {
		t.Errorf("no request id or key in %q", err)
	}
	if n := f.fake.Stats().Requests[s3fake.PutObject]; n != 1 {
		t.Errorf("%d requests, want 1", n)
	}
	f.fake.Heal()
	f.fake.Fail(s3fake.Rule{Op: s3fake.DeleteObjects, Key: "b", Fault: s3fake.Denied()})
	f.back.Put("a", nil, nil)
	f.back.Put("b", nil, nil)
	err = f.bucket.DeleteMany(f.ctx, []string{"a", "b"})
	f.kind(err, object.KindPermission)
	if got := f.back.Keys(""); !slices.Equal(got, []string{"b"}) || !strings.Contains(fmt.Sprint(err), `"b"`) {
		t.Errorf("keys %q, error %q", got, err)
	}
}

func TestWrongRegionIsNamed(t *testing.T) {
	t.Parallel()
	for _, code := range []string{"PermanentRedirect", "AuthorizationHeaderMalformed"} {
		f := newFaulty(t, s3fake.Options{}, nil)
		f.fake.Fail(s3fake.Rule{Fault: s3fake.Fault{Act: s3fake.Status, Code: code, Region: "eu-west-1"}})
		_, err := f.bucket.List(f.ctx, object.Query{})
		f.kind(err, object.KindWrongRegion)
		if !strings.Contains(fmt.Sprint(err), "incorrect region, the bucket is not in 'us-east-1' region") || !strings.Contains(fmt.Sprint(err), "eu-west-1") {
			t.Errorf("%s: %q", code, err)
		}
		f.kind(f.bucket.Check(f.ctx), object.KindWrongRegion)
		_, err = f.bucket.Head(f.ctx, "k")
		f.kind(err, object.KindWrongRegion)
	}
}

func TestClockSkewIsNamed(t *testing.T) {
	t.Parallel()
	f := newFaulty(t, s3fake.Options{}, nil)
	f.fake.Fail(s3fake.Rule{Fault: s3fake.Fault{Act: s3fake.Status, Code: "RequestTimeTooSkewed"}})
	f.kind(f.bucket.Check(f.ctx), object.KindClockSkew)
}

func TestArchivedIsNamed(t *testing.T) {
	t.Parallel()
	f := newFaulty(t, s3fake.Options{}, nil)
	f.back.Put("k", []byte("x"), nil)
	f.back.SetStorageClass("k", "GLACIER")
	_, err := f.read(object.ID{Key: "k"}, 0, 1)
	f.kind(err, object.KindArchived)
	if info, err := f.bucket.Head(f.ctx, "k"); err != nil || info.StorageClass != "GLACIER" {
		t.Errorf("%+v, %v", info, err)
	}
}

// TestObjectChangedWhileItIsRead cuts the first answer short: the rest would come from
// another version.
func TestObjectChangedWhileItIsRead(t *testing.T) {
	t.Parallel()
	f := newFaulty(t, s3fake.Options{}, nil)
	old := f.back.PutPattern("k", mib, s3fake.NewPattern(1), nil)
	f.fake.Fail(s3fake.Rule{Op: s3fake.GetObject, Count: 1, Fault: s3fake.Fault{Act: s3fake.Truncate, After: 1000}})
	for _, id := range []object.ID{{Key: "k", ETag: old}, {Key: "k"}} {
		f.back.PutPattern("k", mib, s3fake.NewPattern(1), nil)
		f.fake.Heal()
		f.fake.Fail(s3fake.Rule{Op: s3fake.GetObject, Count: 1, Fault: s3fake.Fault{Act: s3fake.Truncate, After: 1000}})
		r, err := f.bucket.Get(f.ctx, id, object.Range{Len: mib})
		f.must(err)
		f.back.PutPattern("k", mib, s3fake.NewPattern(2), nil)
		data, err := io.ReadAll(r)
		r.Close()
		f.kind(err, object.KindStale)
		if err := s3fake.NewPattern(1).Check(data, 0); err != nil {
			t.Errorf("a mix of versions: %v", err)
		}
	}
}

func TestConditionsThatAStoreRefuses(t *testing.T) {
	t.Parallel()
	f := newFaulty(t, s3fake.Options{Quirks: s3fake.Quirks{RefuseConditions: true, EmptyCompleteETag: true, BareCopyETag: true}}, nil)
	f.putDepends()
	id, err := f.bucket.CreateUpload(f.ctx, "up", object.PutOptions{})
	f.must(err)
	part, err := f.bucket.UploadPart(f.ctx, "up", id, 1, section([]byte("part")))
	f.must(err)
	info, err := f.bucket.CompleteUpload(f.ctx, "up", id, []object.Part{part}, object.Condition{IfAbsent: true})
	f.must(err)
	if head, _ := f.back.Head("up"); head.ETag != info.ETag {
		t.Errorf("ETag %q, want %q", info.ETag, head.ETag)
	}
}

func (e *faulty) putDepends() {
	e.Helper()
	absent := object.PutOptions{Condition: object.Condition{IfAbsent: true}}
	_, err := e.bucket.Put(e.ctx, "k", section([]byte("first")), absent)
	e.must(err)
	_, err = e.bucket.Put(e.ctx, "k", section([]byte("again")), absent)
	e.kind(err, object.KindConflict)
	e.holds("k", "first")
}

// TestRequestsPerCall is what each call costs: another request is a visible change.
func TestRequestsPerCall(t *testing.T) {
	t.Parallel()
	f := newFaulty(t, s3fake.Options{}, nil)
	calls := []struct {
		name string
		call func() error
		want []string
	}{
		{"Put", func() error {
			_, err := f.bucket.Put(f.ctx, "k", section([]byte("x")), object.PutOptions{Condition: object.Condition{IfAbsent: true}})
			return err
		}, []string{"PutObject k"}},
		{"Head", func() error { _, err := f.bucket.Head(f.ctx, "k"); return err }, []string{"HeadObject k"}},
		{"Get", func() error { _, err := f.read(object.ID{Key: "k"}, 0, 1); return err }, []string{"GetObject k 0-0"}},
		{"List", func() error { _, err := f.bucket.List(f.ctx, object.Query{Delimiter: "/", Max: 10}); return err },
			[]string{"ListObjectsV2  delimiter=/ max=10"}},
		{"Copy", func() error {
			_, err := f.bucket.Copy(f.ctx, object.ID{Key: "k"}, "c", object.CopyOptions{Size: 1})
			return err
		}, []string{"CopyObject c from=k"}},
		{"DeleteMany", func() error { return f.bucket.DeleteMany(f.ctx, []string{"k", "c"}) }, []string{"DeleteObjects "}},
		{"Delete", func() error { return f.bucket.Delete(f.ctx, "k") }, []string{"DeleteObject k"}},
	}
	for _, c := range calls {
		f.fake.StartTrace()
		if err := c.call(); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		got := f.fake.Trace()
		for i := range got {
			got[i] = strings.ReplaceAll(got[i], "from=faulty/", "from=")
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: requests %q, want %q", c.name, got, c.want)
		}
	}
}
