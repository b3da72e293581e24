package fusefs

import (
	"context"
	"errors"
	"os/exec"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"
)

// deadProcess is the number of a process that is gone.
func deadProcess(t *testing.T) uint32 {
	t.Helper()
	cmd := exec.Command("true")
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	return uint32(cmd.Process.Pid)
}

func beginRequest(tid uint32) (ctx context.Context, interrupt, end func()) {
	s := newServer(Options{})
	cancel := make(chan struct{})
	ctx, end = s.begin(cancel, &fuse.InHeader{Caller: fuse.Caller{Pid: tid}})
	return ctx, func() { close(cancel) }, end
}

// TestInterruptedRequest: who waits learns of a signal that ends the caller, whether he waits
// for the request's own context, asks it now and then, or waits for one that was made from it.
func TestInterruptedRequest(t *testing.T) {
	dead := deadProcess(t)
	for name, wait := range map[string]func(ctx context.Context){
		"done": func(ctx context.Context) { <-ctx.Done() },
		"err": func(ctx context.Context) {
			for ctx.Err() == nil {
				time.Sleep(time.Millisecond)
			}
		},
		"derived": func(ctx context.Context) {
			ctx, stop := context.WithTimeout(ctx, time.Hour)
			defer stop()
			<-ctx.Done()
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, interrupt, end := beginRequest(dead)
				if err := ctx.Err(); err != nil {
					t.Fatalf("before the interrupt: %v", err)
				}
				interrupt()
				wait(ctx)
				if !errors.Is(ctx.Err(), context.Canceled) {
					t.Errorf("the error is %v", ctx.Err())
				}
				end()
			})
		})
	}
}

// TestInterruptOfALivingCaller: a caller who takes the signal himself waits for his answer, and
// nothing of the request is left behind it.
func TestInterruptOfALivingCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, interrupt, end := beginRequest(0)
		child, stop := context.WithCancel(ctx)
		defer stop()
		interrupt()
		time.Sleep(time.Second)
		if ctx.Err() != nil || child.Err() != nil {
			t.Errorf("ended: %v, %v", ctx.Err(), child.Err())
		}
		end()
		synctest.Wait()
		if ctx.Err() == nil || child.Err() == nil {
			t.Error("the contexts go on behind the request")
		}
	})
}

// TestRequestThatNobodyWaitsFor ends without having been looked at.
func TestRequestThatNobodyWaitsFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, _, end := beginRequest(0)
		end()
		if ctx.Err() == nil {
			t.Error("no error behind the end")
		}
		<-ctx.Done()
	})
}
