package worker

import "sync"

// Waits has requests that wait for something wait no longer while a server ends. It is made with NewWaits, and safe for concurrent use.
type Waits struct {
	mu     sync.Mutex
	over   chan struct{}
	ending int // servers that are ending
}

// NewWaits returns Waits of which none is over.
func NewWaits() *Waits { return &Waits{over: make(chan struct{})} }

// Over is closed once those who wait now, or begin to, are to wait no longer.
func (w *Waits) Over() <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.over
}

// End ends all waits, also those that begin before resume is called, which is to be called once: when the server has ended.
func (w *Waits) End() (resume func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ending++; w.ending == 1 {
		close(w.over)
	}
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.ending--; w.ending == 0 {
			w.over = make(chan struct{})
		}
	}
}
