package trigger

import (
	"github.com/millstreamdb/millstream/internal/backend"

	"errors"
	"slices"
	"sync"
	"sync/atomic"
)

// streamWatch takes the wakes of one stream to its mappings. The backend's wake
// costs one atomic operation, and the start of a goroutine when none is at work;
// wakes that come meanwhile are merged.
type streamWatch struct {
	e    *Engine
	arn  string
	stop func()
	// state: 0 nobody at work, 1 at work, 2 at work and to look again.
	state atomic.Int32

	mu       sync.Mutex
	mappings []*running // replaced, never changed
}

// watch begins to wake a mapping when its stream moves.
func (e *Engine) watch(m *running) {
	arn := m.stream
	e.mu.Lock()
	defer e.mu.Unlock()
	w := e.streams[arn]
	if w == nil {
		w = &streamWatch{e: e, arn: arn}
		e.streams[arn] = w
		w.stop = e.opts.Backend.Watch(arn, w.wake)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if !slices.Contains(w.mappings, m) {
		w.mappings = append(slices.Clip(w.mappings), m)
	}
}

// unwatch ends it, and the watch of the stream with its last mapping.
func (e *Engine) unwatch(m *running) {
	arn := m.stream
	e.mu.Lock()
	w := e.streams[arn]
	if w == nil {
		e.mu.Unlock()
		return
	}
	w.mu.Lock()
	w.mappings = slices.DeleteFunc(slices.Clone(w.mappings), func(o *running) bool { return o == m })
	last := len(w.mappings) == 0
	w.mu.Unlock()
	if last {
		delete(e.streams, arn)
	}
	e.mu.Unlock()
	if last {
		w.stop()
	}
}

func (w *streamWatch) wake() {
	if w.state.Swap(2) == 0 && !w.e.spawn(w.run) {
		w.state.Store(0)
	}
}

func (w *streamWatch) run() {
	growStack()
	for {
		w.state.Store(1)
		w.look()
		if w.state.CompareAndSwap(1, 0) {
			return
		}
	}
}

func (w *streamWatch) look() {
	// The mappings are taken before the shards: no mapping may see a list that is
	// older than its own first checkpoints.
	w.mu.Lock()
	mappings := w.mappings
	w.mu.Unlock()
	shards, err := w.e.opts.Backend.Shards(w.e.ctx, w.arn)
	if err != nil {
		if !errors.Is(err, backend.ErrNoStream) && w.e.ctx.Err() == nil {
			w.e.log.Error("cannot list the shards of a stream; its mappings go on with the next change", "stream", w.arn, "error", err)
		}
		w.e.progress.notify()
		return
	}
	for _, m := range mappings {
		m.see(shards)
	}
}
