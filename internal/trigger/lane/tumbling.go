package lane

import "time"

// Tumbling windows. With them the shard has one lane, and a batch holds records of
// one window only. The function's answer to a batch is the state that the next batch is
// sent with; state and position move together, so that what a crash gives
// back fits. When the window is over a closing call hands the last state
// over, and only its success (or the end of its attempts) lets later records go.

// windowOver reports whether the window under way is to be closed.
func (s *step) windowOver() bool {
	w := s.window
	switch {
	case w == nil:
		return false
	case w.tooLarge(), w.outlived(s.p.Tumbling):
		return true
	case len(s.pending) > 0:
		return !w.holds(s.pending[0].rec.Time())
	case s.closed, s.readPast(w):
		return true
	}
	return s.pastEnd(w) && s.settled == w.End && s.headKnown && !s.reading && !s.frontier.seq.Less(s.head.seq)
}

// readPast reports whether the shard was read up to a record that was written after the window, be it one that the filter has refused:
// times never fall along a shard, and what is read is durable, so no record of the window is still to come. A busy shard shows nothing else:
// one of its records is always on its way to the disk.
func (s *step) readPast(w *Window) bool { return !w.holds(s.frontier.time) }

// settlePause is the time between reads that look for records that are still to become durable.
const settlePause = 100 * time.Millisecond

// settling reports whether the window under way is over but for a read that shows that none of its records is still to become durable:
// one may have been written in time, and its sync take longer than the grace.
func (s *step) settling() bool {
	w := s.window
	return w != nil && s.settled != w.End && !s.closed && len(s.pending)+len(s.batches)+len(s.abandoned) == 0 && s.now.Mono >= s.settleAt && s.pastEnd(w)
}

// settle notes what a read has shown of that.
func (s *step) settle(empty, coming bool) {
	switch {
	case !empty:
		s.settled = 0
	case !coming:
		s.settled = s.settleRead
	case s.settleRead != 0:
		s.settleAt = s.now.Mono + settlePause
	}
}

// windowEnding is when a window ends in elapsed time. It is set when the machine first sees the window, so
// that a clock that goes back holds no window open.
type windowEnding struct {
	end int64 // the window's End; 0: of none
	at  time.Duration
}

// endsAt is the moment (Instant.Mono) at which no record of the window can come any more.
func (s *step) endsAt(w *Window) time.Duration {
	if s.ending.end != w.End {
		length := (w.End - w.Start) * 1000
		left := min(max(w.End*1000-s.now.Wall, 0), length)
		s.ending = windowEnding{w.End, s.now.Mono + time.Duration(left)*time.Millisecond + windowGrace}
	}
	return s.ending.at
}

// pastEnd reports whether no record of the window can come any more: by elapsed time, or because the clock
// has gone forward, by which later records are stamped.
func (s *step) pastEnd(w *Window) bool {
	return s.now.Mono >= s.endsAt(w) || s.now.Wall >= w.End*1000+windowGrace.Milliseconds()
}

// windowEnd is the moment at which a window that waits for records is closed.
func (s *step) windowEnd() time.Duration {
	end := s.currentWindow()
	if end == nil || len(s.batches) > 0 {
		return never
	}
	return s.endsAt(end)
}

// currentWindow is the window under way, or else that of the first record that
// waits; nil without either.
func (s *step) currentWindow() *Window {
	switch {
	case s.window != nil:
		return s.window
	case s.p.Tumbling > 0 && len(s.pending) > 0:
		return windowOf(s.pending[0].rec.Time(), s.p.Tumbling)
	}
	return nil
}

// dispatchWindow begins what is due of the windows: the closing call, or a batch.
// It reports false when there are no windows (any more), and the lanes are to be
// served.
func (s *step) dispatchWindow() bool {
	for s.p.Tumbling > 0 || s.window != nil {
		switch {
		case len(s.batches)+len(s.abandoned) > 0:
			return true
		case s.p.Tumbling > 0 && s.aside.holds.Load() > 0:
			return true // held records are sent without a window: they end first
		case s.behind(^uint64(0)) != 0 && !s.window.outlived(s.p.Tumbling):
			return true // earlier records of some lane are still to be read again
		case s.windowOver():
			s.lastBatch++
			b := &batch{id: s.lastBatch, closing: true, window: s.window, mask: ^uint64(0)}
			s.batches = append(s.batches, b)
			s.retry(b)
		case len(s.pending) > 0 && s.windowRipe() && s.begin(0, ^uint64(0)):
		default:
			return true
		}
	}
	return false
}

// windowRipe reports whether the records of the window under way are to be sent now:
// as without windows, or because no more of them will come.
func (s *step) windowRipe() bool {
	w := s.currentWindow()
	last := s.pending[len(s.pending)-1].rec.Time()
	return s.ripe(0, ^uint64(0)) || !w.holds(last) || s.closed || s.pastEnd(w)
}

// windowMoved gives the window the state that the answer to a batch has, after its first
// n records.
func (m *Machine) windowMoved(b *batch, n int, state []byte) {
	w := *b.window
	w.State = state
	w.Newest = b.entries[n-1].rec.Time()
	m.window = &w
	b.window = m.window
}

// windowClosed ends the window after its closing call, which may have been
// given up.
func (s *step) windowClosed(b *batch) {
	s.window, s.ending, s.settled = nil, windowEnding{}, 0
	s.moved = true
	s.remove(b)
}

// windowTooOld reports whether a closing call that fails is given up because of
// its records' age.
func (s *step) windowTooOld(b *batch) bool {
	return b.closing && b.calls > 0 && s.p.tooOld(s.now, b.window.Newest)
}
