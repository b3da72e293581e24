package main

import (
	"context"
	"errors"
	"fmt"
	"os"
)

// interruptedError is why a context of untilSignal ended.
type interruptedError struct{ signal os.Signal }

func (e *interruptedError) Error() string { return fmt.Sprintf("interrupted (%s)", e.signal) }

// interrupted returns the signal that ended a context of untilSignal, as an error.
func interrupted(ctx context.Context) error {
	var e *interruptedError
	if errors.As(context.Cause(ctx), &e) {
		return e
	}
	return nil
}

// untilSignal returns a context that a signal ends. done gives the signals back, also the
// one that came: whoever waits for signals next gets it.
func (g *globals) untilSignal(ctx context.Context) (_ context.Context, done func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	stop, stopped := make(chan struct{}), make(chan struct{})
	var came os.Signal
	go func() {
		defer close(stopped)
		select {
		case came = <-g.signals:
			cancel(&interruptedError{came})
		case <-stop:
		}
	}()
	return ctx, func() {
		close(stop)
		<-stopped
		cancel(nil)
		if came == nil {
			return
		}
		select {
		case g.signals <- came:
		default: // enough others wait there
		}
	}
}
