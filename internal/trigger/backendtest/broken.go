package backendtest

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/millstreamdb/millstream/internal/backend"
)

// bug is a way in which a backend may break a promise.
type bug struct {
	name string
	// seen are the cases that must fail for it.
	seen []string
	// plant changes a backend. It is called for every one that the world has; s is one for all of them.
	plant func(h *hooks, s *state)
}

// state is what a bug knows of its world.
type state struct {
	mu      sync.Mutex
	crashed bool
	kept    any
	steps   int
}

// untilCrash is called between the two steps of what should be one. The first three calls return at once, so that the
// case has its answers; the fourth waits for the crash, and the crash for it: the case meets the bug, whatever the
// scheduler does.
func (s *state) untilCrash() {
	s.mu.Lock()
	s.steps++
	s.mu.Unlock()
	s.wait(func() bool { return s.steps <= 3 || s.crashed })
}

// wait returns when something holds that is read under the lock.
func (s *state) wait(holds func() bool) {
	for {
		s.mu.Lock()
		ok := holds()
		s.mu.Unlock()
		if ok {
			return
		}
		runtime.Gosched()
	}
}

// RunBroken shows that each case of the suite fails for a backend that breaks its promise: it runs the cases against
// bugs that are planted into a world that keeps all promises.
func RunBroken(t *testing.T, open func() World) {
	cases, seen := map[string]Case{}, map[string]bool{}
	for _, c := range Cases() {
		cases[c.Name] = c
	}
	for _, b := range bugs {
		t.Run(b.name, func(t *testing.T) {
			for _, name := range b.seen {
				c, ok := cases[name]
				if !ok {
					t.Fatalf("there is no case %q", name)
				}
				if fails(t, c, func() World { return &brokenWorld{World: open(), bug: b} }) {
					seen[name] = true
				} else {
					t.Errorf("%q does not see it", name)
				}
			}
		})
	}
	for name := range cases {
		if !seen[name] {
			t.Errorf("%q was never seen to fail: break its promise", name)
		}
	}
}

// brokenWorld is a world with a bug.
type brokenWorld struct {
	World
	bug   bug
	state state
}

func (w *brokenWorld) Backend() backend.Backend {
	h := &hooks{Backend: w.World.Backend()}
	w.bug.plant(h, &w.state)
	return h
}

func (w *brokenWorld) Crash() {
	w.state.wait(func() bool { return w.state.steps == 0 || w.state.steps > 3 })
	w.World.Crash()
	w.state.mu.Lock()
	defer w.state.mu.Unlock()
	w.state.crashed = true
}

// fails runs a case, and reports whether it has failed.
func fails(t *testing.T, c Case, open func() World) (failed bool) {
	run := func(t *testing.T) {
		w, r := open(), &recorder{ctx: t.Context()}
		var done sync.WaitGroup
		done.Go(func() {
			defer func() {
				if p := recover(); p != nil {
					r.Errorf("panic: %v", p)
				}
			}()
			c.Run(r, w)
		})
		done.Wait()
		if failed = len(r.said) > 0; failed {
			t.Logf("%s: %.200s", c.Name, r.said[0])
		}
	}
	if c.Sleeps {
		synctest.Test(t, run)
	} else {
		run(t)
	}
	return failed
}

// recorder is a T that keeps what is said.
type recorder struct {
	ctx  context.Context
	mu   sync.Mutex
	said []string
}

func (r *recorder) Helper()                  {}
func (r *recorder) Context() context.Context { return r.ctx }

func (r *recorder) Error(args ...any) { r.say(fmt.Sprint(args...)) }

func (r *recorder) Errorf(format string, args ...any) { r.say(fmt.Sprintf(format, args...)) }

func (r *recorder) Fatalf(format string, args ...any) {
	r.say(fmt.Sprintf(format, args...))
	runtime.Goexit()
}

func (r *recorder) say(text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.said = slices.Concat(r.said, []string{text})
}
