package budget

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/s3mount/s3mount/object"
)

func wantNoSpace(t *testing.T, err error) {
	t.Helper()
	if !object.Is(err, object.KindNoSpace) {
		t.Fatalf("got %v, want no space", err)
	}
}

func TestReserveUpToTheLimit(t *testing.T) {
	d := NewDisk(100)
	if err := d.Reserve(100); err != nil {
		t.Fatal(err)
	}
	wantNoSpace(t, d.Reserve(1))
	if d.TryReserve(1) {
		t.Fatal("over the limit")
	}
	d.Release(100)
	if used, limit := d.Usage(); used != 0 || limit != 100 {
		t.Fatalf("used %d of %d", used, limit)
	}
}

func TestReserveReclaimsFirst(t *testing.T) {
	d := NewDisk(100)
	cached := int64(90)
	d.TryReserve(cached)
	d.OnPressure(func(need int64) int64 {
		freed := min(need, cached)
		cached -= freed
		d.Release(freed)
		return freed
	})
	if err := d.Reserve(50); err != nil || cached != 50 {
		t.Fatalf("%v, %d cached", err, cached)
	}
	if err := d.Reserve(50); err != nil || cached != 0 {
		t.Fatalf("%v, %d cached", err, cached)
	}
	wantNoSpace(t, d.Reserve(1))
}

func TestReserveWaitsForARelease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := NewDisk(100)
		d.SetPatience(time.Second)
		d.TryReserve(100)
		done := make(chan error)
		go func() { done <- d.Reserve(60) }()
		synctest.Wait()
		d.Release(50) // not enough yet
		synctest.Wait()
		d.Release(50)
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		wantNoSpace(t, d.Reserve(60))
		if waited := time.Since(begin); waited != time.Second {
			t.Fatalf("gave up after %v", waited)
		}
		begin = time.Now()
		wantNoSpace(t, d.Reserve(101)) // never fits
		if waited := time.Since(begin); waited != 0 {
			t.Fatalf("waited %v for what cannot be", waited)
		}
	})
}
