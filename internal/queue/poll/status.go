package poll

import (
	"time"

	"github.com/millstreamdb/millstream/internal/arn"
	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/backend"
	"github.com/millstreamdb/millstream/internal/counter"
	"github.com/millstreamdb/millstream/internal/trigger/mapping"
)

// Status is a mapping and how far it has got.
type Status struct {
	mapping.View
	// Backlog counts the messages that can be received, and those that were and are not deleted; AgeSeconds is the age of the
	// oldest message of the queue, 0 when there is none.
	Backlog    int
	AgeSeconds float64
	InFlight   int // calls and gatherings under way
	Counters   counter.Mapping
	// Error is why the newest call failed; empty when it did not, or when nothing is left that it could be about.
	Error string
}

// Queue is the name of the mapping's queue.
func (s *Status) Queue() string {
	_, name, _ := arn.Queue(s.StreamARN)
	return name
}

// Statuses tells the state of all mappings by the time of their creation.
func (m *Mappings) Statuses() ([]Status, error) {
	views := m.Views()
	all := make([]Status, 0, len(views))
	for _, v := range views {
		r := m.find(v.UUID)
		if r == nil {
			continue // it was deleted meanwhile
		}
		st, err := r.status()
		if err != nil {
			return nil, err
		}
		all = append(all, st)
	}
	return all, nil
}

// Status tells the state of a mapping, of any account and region; backend.ErrNoMapping when there is none.
func (m *Mappings) Status(uuid string) (Status, error) {
	r := m.find(uuid)
	if r == nil {
		return Status{}, backend.ErrNoMapping
	}
	return r.status()
}

func (r *running) status() (Status, error) {
	st := Status{View: r.view(""), InFlight: int(r.busy.Load())}
	r.mu.Lock()
	st.Counters, st.Error = r.counters, r.failure
	r.mu.Unlock()
	q := r.m.o.Queues.FindARN(st.StreamARN)
	if q == nil {
		st.Error = awserr.QueueMissing().Message
		return st, nil
	}
	c, err := q.Counts()
	if err != nil {
		return Status{}, err
	}
	st.Backlog = c.Visible + c.InFlight
	if st.Backlog == 0 && st.InFlight == 0 {
		st.Error = ""
	}
	sent, some, err := q.Oldest()
	if some {
		st.AgeSeconds = max(0, r.m.o.Clock.Wall().Sub(time.UnixMilli(sent)).Seconds())
	}
	return st, err
}

// count adds to the counters.
func (r *running) count(d counter.Mapping) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.counters.Add(d)
}

// called notes how the newest call ended; failure is empty when all was well.
func (r *running) called(result mapping.LastResult, failure string) {
	r.last.Store(int32(result))
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failure = failure
}

// Pause stops calls without letting go of anything: what is under way ends and counts, the mapping stays enabled for AWS's API, and
// messages stay in their queue. Resume goes on. backend.ErrNoMapping when there is no such mapping.
func (m *Mappings) Pause(uuid string) error { return m.setPaused(uuid, true) }

// Resume ends a Pause.
func (m *Mappings) Resume(uuid string) error { return m.setPaused(uuid, false) }

func (m *Mappings) setPaused(uuid string, paused bool) error {
	m.control.Lock()
	defer m.control.Unlock()
	r := m.find(uuid)
	if r == nil {
		return backend.ErrNoMapping
	}
	def := r.definition()
	if def.Paused == paused {
		return nil
	}
	def.Paused = paused
	def.Modified = m.o.Clock.Wall().UTC().Round(0)
	if err := m.set(&def, false); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	r.change(def)
	return nil
}

// FunctionChanged tells that a function's tags, timeout or concurrency may have changed. functionARN has no qualifier.
func (m *Mappings) FunctionChanged(functionARN string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, r := range m.all {
		if def := r.definition(); arn.FunctionOf(def.FunctionARN) == arn.FunctionOf(functionARN) && r.limits != r.limitsNow(def) {
			r.change(def)
		}
	}
}
