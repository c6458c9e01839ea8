package console

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/millstreamdb/millstream/internal/admin/wire"
)

const (
	// lookedAt and alone are how often the server is asked while somebody looks at the page, and while nobody does.
	lookedAt = time.Second
	alone    = 30 * time.Second
	// remembered is how far the charts go back.
	remembered = 15 * time.Minute
	// maxPoints bounds what is remembered of a trigger, and maxTriggers those of which anything is: 43 MB.
	maxPoints   = int(remembered / lookedAt)
	maxTriggers = 500
	// writeTime is how long a viewer may take to read a state.
	writeTime = 20 * time.Second
)

// point is what a trigger had done at a moment. It goes to the page as a list.
type point struct {
	at                                   time.Time
	lag                                  uint64
	lagSeconds                           float64
	calls, errors, records, failed, lost uint64 // since the server started
	// median and slow are the milliseconds that half of the calls since the point before have taken, and 99 of 100; below 0: there was none.
	median, slow float32
}

// MarshalJSON is [milliseconds, lag, lag in seconds, calls, errors, records, failed records, records lost, median of calls, 99 of 100 of them].
func (p point) MarshalJSON() ([]byte, error) {
	of := func(ms float32) any {
		if ms < 0 {
			return nil
		}
		return ms
	}
	return json.Marshal([]any{p.at.UnixMilli(), p.lag, p.lagSeconds, p.calls, p.errors, p.records, p.failed, p.lost, of(p.median), of(p.slow)})
}

// history is what the server was last seen to do, and before.
type history struct {
	viewers atomic.Int32
	wake    chan struct{}          // a viewer came
	status  json.RawMessage        // as it was last asked for, by Run alone
	before  map[string]wire.Counts // of each trigger at its newest point, by Run alone

	mu          sync.Mutex // guards the following
	past        map[string][]point
	state       []byte // newest, as it goes to the page
	newestState state  // the same
	number      uint64 // of state, from 1
	changed     chan struct{}
}

func (h *history) init() {
	h.wake = make(chan struct{}, 1)
	h.past = map[string][]point{}
	h.changed = make(chan struct{})
}

// Run asks the server for its state until ctx ends: every second while somebody looks at the page, else every thirty.
func (c *Console) Run(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		case <-c.history.wake:
		}
		if err := c.look(ctx); err != nil && ctx.Err() == nil {
			c.Logger.Warn("the console did not learn how the triggers are", "error", err)
		}
		wait := alone
		if c.history.viewers.Load() > 0 {
			wait = lookedAt
		}
		timer.Reset(wait)
	}
}

// state is what the page is sent each second.
type state struct {
	At       int64            `json:"at"`       // milliseconds since 1970
	Endpoint string           `json:"endpoint"` // of the AWS protocols, for commands that are copied
	Status   json.RawMessage  `json:"status"`
	Triggers []wire.Trigger   `json:"triggers"`
	Points   map[string]point `json:"points"`            // the newest of each trigger, by its UUID
	Account  string           `json:"account,omitempty"` // that may be seen; absent: all
	Problem  string           `json:"problem,omitempty"` // why the rest is not there
}

// look asks the server how it is.
func (c *Console) look(ctx context.Context) error {
	now := c.Now()
	s := state{At: now.UnixMilli(), Endpoint: c.Endpoint(), Triggers: []wire.Trigger{}}
	var list struct{ Triggers []wire.Trigger }
	var err error
	if c.history.viewers.Load() > 0 || c.history.status == nil { // else nobody sees it, and it costs as much as all the rest
		err = c.ask(ctx, "status", &c.history.status)
	}
	s.Status = c.history.status
	if err == nil {
		err = c.ask(ctx, "triggers", &list)
	}
	if err != nil {
		s.Problem = err.Error()
	} else if list.Triggers != nil {
		s.Triggers = list.Triggers
	}
	s.Points = c.history.points(now, s.Triggers)
	text, marshalErr := json.Marshal(s)
	if marshalErr != nil {
		return marshalErr
	}
	c.history.add(now, s, text)
	return err
}

// ask reads a document of Millstream's own protocol.
func (c *Console) ask(ctx context.Context, path string, v any) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://localhost"+ownPath+path, http.NoBody)
	if err != nil {
		return err
	}
	answer, err := c.Ask(r)
	if err != nil {
		return err
	}
	text, err := io.ReadAll(answer.Body)
	if err := errors.Join(err, answer.Body.Close()); err != nil {
		return err
	}
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: status %d: %.200s", path, answer.StatusCode, text)
	}
	return json.Unmarshal(text, v)
}

// points are what the triggers have done, as of now.
func (h *history) points(now time.Time, triggers []wire.Trigger) map[string]point {
	points, counts := make(map[string]point, len(triggers)), make(map[string]wire.Counts, len(triggers)) // without triggers that are gone
	for i := range min(len(triggers), maxTriggers) {
		t := &triggers[i]
		calls := t.Counts.CallTimes.Sub(h.before[t.UUID].CallTimes)
		points[t.UUID] = point{
			at: now, lag: t.LagRecords, lagSeconds: t.LagSeconds,
			calls: t.Counts.Invocations, errors: t.Counts.Errors + t.Counts.PartialFailures + t.Counts.NotDelivered,
			records: t.Counts.Invoked, failed: t.Counts.FailedInvoke, lost: t.Counts.Dropped + t.Counts.Expired, // losses of unknown size are times, and no records
			median: millis(calls.At(0.5)), slow: millis(calls.At(0.99)),
		}
		counts[t.UUID] = t.Counts
	}
	h.before = counts
	return points
}

func millis(d time.Duration) float32 { return float32(d) / float32(time.Millisecond) }

// add remembers a state, and tells those who wait for it.
func (h *history) add(now time.Time, s state, text []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	next := make(map[string][]point, len(s.Points))
	for uuid, p := range s.Points {
		points := h.past[uuid]
		for len(points) > 0 && (now.Sub(points[0].at) > remembered || len(points) >= maxPoints) {
			points = points[1:]
		}
		next[uuid] = append(points, p)
	}
	h.past, h.state, h.newestState = next, text, s
	h.number++
	close(h.changed)
	h.changed = make(chan struct{})
}

// newest returns the newest state, its number, and what is closed when there is a newer one.
func (h *history) newest() (text []byte, number uint64, changed <-chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.state, h.number, h.changed
}

// live sends states as server-sent events. A viewer who is slow is sent the newest one when the one before is read, and told how many
// were left out.
func (c *Console) live(w http.ResponseWriter, r *http.Request) {
	h, by := &c.history, whoIs(r)
	h.viewers.Add(1)
	defer h.viewers.Add(-1)
	select {
	case h.wake <- struct{}{}:
	default:
	}
	w.Header().Set("Content-Type", "text/event-stream")
	control := http.NewResponseController(w)
	seen := uint64(0)
	for {
		text, number, changed := h.newest()
		if by, ok := c.still(by); number > seen && !ok {
			return // its key is gone
		} else if number > seen {
			if !by.all() {
				text = h.textOf(by.Account)
			}
			if missed := number - seen - 1; seen > 0 && missed > 0 {
				fmt.Fprintf(w, "event: missed\ndata: %d\n\n", missed)
			}
			seen = number
			_ = control.SetWriteDeadline(time.Now().Add(writeTime)) // a connection that has none is embedded
			if _, err := fmt.Fprintf(w, "event: state\ndata: %s\n\n", text); err != nil {
				return
			}
			if err := control.Flush(); err != nil {
				return
			}
		}
		select {
		case <-r.Context().Done():
			return
		case <-changed:
		}
	}
}

// past answers with the points of all triggers, the oldest first: {"UUID":[[...],...]}.
func (c *Console) past(w http.ResponseWriter, r *http.Request) {
	c.history.mu.Lock()
	past := maps.Clone(c.history.past) // points that are there do not change
	c.history.mu.Unlock()
	if by := whoIs(r); !by.all() {
		maps.DeleteFunc(past, func(uuid string, _ []point) bool { return c.history.accountOf(uuid) != by.Account })
	}
	text, err := json.Marshal(past)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(text) // the reader has gone
}
