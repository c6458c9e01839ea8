package worker

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
)

// Group runs workers until Stop. Its methods may be called at once.
type Group struct {
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup
	failed chan struct{}

	mu      sync.Mutex // guards the following
	stopped bool
	err     error   // of the first worker that returned early
	late    []error // of workers that failed while they were stopping
}

// NewGroup returns a group whose workers are also asked to stop when ctx ends.
func NewGroup(ctx context.Context) *Group {
	g := &Group{failed: make(chan struct{})}
	g.ctx, g.cancel = context.WithCancel(ctx)
	return g
}

// Start runs a worker. run returns soon after its context has ended; what it
// returns then, other than the context's error, is reported by Stop. A worker that
// returns or panics before that makes the group unhealthy. After Stop, Start does
// nothing.
func (g *Group) Start(name string, run func(ctx context.Context) error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.stopped {
		return
	}
	g.wg.Add(1)
	go func() {
		defer g.wg.Done()
		g.returned(name, guard(run, g.ctx))
	}()
}

// guard turns a panic into an error, so that the group's owner can stop the
// program in order.
func guard(run func(ctx context.Context) error, ctx context.Context) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v\n%s", r, debug.Stack())
		}
	}()
	return run(ctx)
}

func (g *Group) returned(name string, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.ctx.Err() != nil {
		if err != nil && !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) {
			g.late = append(g.late, fmt.Errorf("worker %s: %w", name, err))
		}
		return
	}
	if g.err != nil {
		return
	}
	if err == nil {
		err = errors.New("returned although it was not asked to stop")
	}
	g.err = fmt.Errorf("worker %s: %w", name, err)
	close(g.failed)
}

// Err returns why the group is unhealthy, nil while it is well.
func (g *Group) Err() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.err
}

// Failed is closed when the group becomes unhealthy. The other workers run on.
func (g *Group) Failed() <-chan struct{} { return g.failed }

// Stop asks all workers to return and waits until they have. It returns the error
// that made the group unhealthy, and the errors met while stopping. It may be
// called again.
func (g *Group) Stop() error {
	g.mu.Lock()
	g.stopped = true
	g.mu.Unlock()
	g.cancel()
	g.wg.Wait()
	g.mu.Lock()
	defer g.mu.Unlock()
	return errors.Join(append([]error{g.err}, g.late...)...)
}
