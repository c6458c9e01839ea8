package trigger

import (
	"context"
	"sync"
	"time"

	"github.com/millstreamdb/millstream/internal/worker"
)

// gate holds the calls of a mapping's function to its caps (tags millstream:max-in-flight and
// millstream:rate), over all shards and held records. Lanes know nothing of it: for them a call that waits
// is under way. Without caps it costs a lock.
type gate struct {
	mu       sync.Mutex
	inFlight int     // at most; 0: no cap
	rate     float64 // calls a second; 0: no cap
	inside   int
	next     time.Duration // no call before, by rate; monotonic
	changed  chan struct{} // closed when a call that waits may have its turn; nil: nobody waits
}

// limit sets the caps.
func (g *gate) limit(inFlight int, rate float64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.inFlight, g.rate = inFlight, rate
	g.wakeLocked()
}

// wake has those who wait look whether they still want to.
func (g *gate) wake() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.wakeLocked()
}

func (g *gate) wakeLocked() {
	if g.changed != nil {
		close(g.changed)
		g.changed = nil
	}
}

// enter waits for a call's turn; false when wanted says that it is not to be made any more, or ctx has ended. After
// true, leave ends it.
func (g *gate) enter(ctx context.Context, clock *worker.Clock, wanted func() bool) bool {
	for {
		g.mu.Lock()
		var now time.Duration
		if g.rate > 0 {
			now, _, _ = clock.Instant()
		}
		free := g.inFlight == 0 || g.inside < g.inFlight
		wait := g.next - now
		if free && (g.rate == 0 || wait <= 0) {
			g.inside++
			if g.rate > 0 {
				g.next = now + time.Duration(float64(time.Second)/g.rate)
			}
			g.mu.Unlock()
			return true
		}
		if g.changed == nil {
			g.changed = make(chan struct{})
		}
		changed := g.changed
		g.mu.Unlock()
		if !wanted() {
			return false
		}
		if free {
			if clock.Wait(ctx, wait, changed) != nil {
				return false
			}
		} else {
			select {
			case <-changed:
			case <-ctx.Done():
				return false
			}
		}
		if !wanted() {
			return false
		}
	}
}

func (g *gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.inside--
	if g.inFlight > 0 {
		g.wakeLocked()
	}
}
