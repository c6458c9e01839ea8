package store

import (
	"errors"
	"sync"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

// flushFailsFor is how long flushes may fail before the store is poisoned.
const flushFailsFor = 10 * time.Second

// flushWatch listens to the engine's background work. Pebble retries a failed
// flush for ever while every apply hangs behind it, which no caller can see. A full
// disk may be emptied again, so it is only waited for (Admit refuses meanwhile);
// any other failure that lasts is the end.
type flushWatch struct {
	s *Store

	mu    sync.Mutex
	since time.Time // of the first failed flush in a row; zero when the last was well
}

func (w *flushWatch) events() *pebble.EventListener {
	return &pebble.EventListener{
		BackgroundError: w.s.failed,
		DataCorruption:  func(i pebble.DataCorruptionInfo) { w.s.met(i); w.s.pause(i.Path) },
		FlushEnd:        func(i pebble.FlushInfo) { w.ended(i.Err) },
	}
}

func (w *flushWatch) ended(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case err == nil:
		w.since = time.Time{}
	case errors.Is(err, syscall.ENOSPC):
		w.s.space.measure()
	case w.since.IsZero():
		w.since = time.Now()
	case time.Since(w.since) >= flushFailsFor:
		w.s.poison("flush", err)
	}
}
