package queue

import (
	"context"
	"encoding/binary"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/millstreamdb/millstream/internal/arn"
	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/store"
	"github.com/millstreamdb/millstream/internal/worker"
)

// Options of Open. Store and Clock are required.
type Options struct {
	Store *store.Store
	Clock *worker.Clock
	// Apart has functions' answers send to queues of their own account only, as SendMessage does where signatures are verified.
	Apart  bool
	Logger *slog.Logger // nil: nothing is logged
}

// Service has all queues. Its methods may be called by many goroutines at once.
//
// Locks, in the order in which they are taken: Service.control, those of queues by ascending id, Service.mu.
type Service struct {
	store *store.Store
	clock *worker.Clock
	log   *slog.Logger
	apart bool

	refused atomic.Uint64 // sends, for want of room on the disk
	recent  recent

	unique atomic.Uint64 // numbers that rise, over restarts too
	base   int64         // what queues take for the time when the clock began, in ms since 1970

	control sync.Mutex // held over changes of definitions

	mu     sync.RWMutex // guards what follows
	byName map[name]*Queue
	byID   map[uint64]*Queue

	tasks tasks

	waits  *worker.Waits   // of requests for messages
	ending context.Context // everything that waits ends with it
	end    context.CancelFunc
}

// name names a queue.
type name struct {
	scope arn.Scope
	name  string
}

// Open brings the queues up.
func Open(o Options) (*Service, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Service{store: o.Store, clock: o.Clock, log: o.Logger, apart: o.Apart, byName: map[name]*Queue{}, byID: map[uint64]*Queue{}, waits: worker.NewWaits()}
	s.unique.Store(o.Store.Incarnation() << 40)
	s.ending, s.end = context.WithCancel(context.Background())
	definitions, err := s.definitions()
	if err != nil {
		return nil, err
	}
	// A clock that is not believed must not end waits and forget deduplication ids.
	newest := s.clock.Believed()
	mono, _, _ := s.clock.Instant()
	s.base = newest - mono.Milliseconds()
	var queues []*Queue
	for _, d := range definitions {
		q := newQueue(s, d)
		if err := q.count(&newest); err != nil {
			return nil, err
		}
		queues = append(queues, q)
	}
	// What was sent is visible, also when the clock was ahead at the time.
	s.base = newest - mono.Milliseconds()
	for _, q := range queues {
		if err := q.load(s.now()); err != nil {
			return nil, err
		}
		s.byName[name{q.def.Scope, q.def.Name}], s.byID[q.id] = q, q
	}
	return s, s.tasks.open(s)
}

// definitions reads all definitions.
func (s *Service) definitions() (all []*definition, err error) {
	err = s.each([]byte{store.SpaceQueue, kindDefinition}, func(_, v []byte) error {
		d := &definition{}
		if err := decodeJSON("a queue", v, d); err != nil {
			return err
		}
		d.load()
		all = append(all, d)
		return nil
	})
	return all, err
}

// each calls f with all rows whose keys begin with prefix; what follows it is rest. Both hold until f returns.
func (s *Service) each(prefix []byte, f func(rest, value []byte) error) error {
	return s.store.Each(prefix, func(key, value []byte) error { return f(key[len(prefix):], value) })
}

// Close ends waits and tasks.
func (s *Service) Close() {
	s.end()
	s.tasks.wait()
}

// EndWaits has requests that wait for messages get none, until resume is called: a server is about to end. Receivers that are part of the program
// (ReceiveRequest.Worker) wait on.
func (s *Service) EndWaits() (resume func()) { return s.waits.End() }

// now is the time by which messages become visible, in ms. It never steps, since it goes by the monotonic clock.
func (s *Service) now() int64 {
	mono, _, _ := s.clock.Instant()
	return s.base + mono.Milliseconds()
}

// wall is the time that is shown.
func (s *Service) wall() int64 { return s.clock.Wall().UnixMilli() }

// number gives a number that is above all that were given before, in earlier runs too.
func (s *Service) number() uint64 { return s.unique.Add(1) }

// Find returns a queue.
func (s *Service) Find(scope arn.Scope, queue string) (*Queue, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if q := s.byName[name{scope, queue}]; q != nil {
		return q, nil
	}
	return nil, awserr.QueueMissing()
}

// FindARN returns the queue of an ARN, nil when there is none.
func (s *Service) FindARN(text string) *Queue {
	scope, n, ok := arn.Queue(text)
	if !ok {
		return nil
	}
	q, _ := s.Find(scope, n)
	return q
}

// All returns the queues of a scope by ascending name; those of all scopes when it is the zero one.
func (s *Service) All(scope arn.Scope) []*Queue {
	s.mu.RLock()
	var all []*Queue
	for n, q := range s.byName {
		if n.scope == scope || scope == (arn.Scope{}) {
			all = append(all, q)
		}
	}
	s.mu.RUnlock() // before the locks of queues, which ARN takes
	slices.SortFunc(all, func(a, b *Queue) int { return strings.Compare(a.ARN(), b.ARN()) })
	return all
}

// Create makes a queue, or returns the one that is there with the attributes that are given.
func (s *Service) Create(scope arn.Scope, queue string, attributes, tags map[string]string) (*Queue, error) {
	attributes = normal(attributes)
	fifo := attributes["FifoQueue"] == "true"
	if err := checkName(queue, fifo); err != nil {
		return nil, err
	}
	if err := checkAttributes(fifo, true, attributes); err != nil {
		return nil, err
	}
	if err := checkTags(queue, nil, tags); err != nil {
		return nil, err
	}
	s.control.Lock()
	defer s.control.Unlock()
	if q, err := s.Find(scope, queue); err == nil {
		if name := q.definition().differs(attributes); name != "" {
			return nil, awserr.QueueExists(name)
		}
		return q, q.settled()
	}
	if err := s.admit(); err != nil {
		return nil, err
	}
	now := s.wall()
	d := &definition{ID: s.number(), Scope: scope, Name: queue, Tags: maps.Clone(tags), CreatedMS: now, ModifiedMS: now}
	d.set(attributes)
	if err := s.checkDefinition(d); err != nil {
		return nil, err
	}
	q := newQueue(s, d)
	if err := s.storeDefinition(d); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.byName[name{scope, queue}], s.byID[q.id] = q, q
	return q, nil
}

// storeDefinition stores a definition, synced.
func (s *Service) storeDefinition(d *definition) error {
	row, err := encodeJSON("a queue", d)
	if err != nil {
		return err
	}
	b := s.store.NewBatch()
	defer b.Close()
	b.Set(definitionKey(d.ID), row)
	return s.store.Write(b)
}

// checkDefinition is about attributes that need each other, or another queue.
func (s *Service) checkDefinition(d *definition) error {
	if err := checkTogether(d.Attributes); err != nil {
		return err
	}
	r := d.settings.redrive
	if r == nil {
		return nil
	}
	bad := func(reason string) error {
		return awserr.QueueParameterValue(d.Attributes["RedrivePolicy"], "RedrivePolicy", reason)
	}
	if _, other := arn.OfOther(d.Scope.Account, r.target); other {
		return bad("Dead letter target owner should be same as the source.")
	}
	target := s.FindARN(r.target)
	if target == nil {
		return bad("Dead letter target does not exist.")
	}
	t := target.definition()
	if t.settings.fifo != d.settings.fifo {
		return bad("Dead-letter queue must be same type of queue as the source.")
	}
	if allow, _ := parseAllow(t.Attributes["RedriveAllowPolicy"]); !allow.allows(d.arn()) {
		return bad("Queue " + d.arn() + " does not have permission to use " + r.target + " as a dead-letter queue.")
	}
	return nil
}

// change stores what f makes of a queue's definition.
func (s *Service) change(q *Queue, f func(d *definition) error) error {
	s.control.Lock()
	defer s.control.Unlock()
	d := *q.definition()
	if err := f(&d); err != nil {
		return err
	}
	if q.gone() {
		return awserr.QueueMissing()
	}
	if err := s.storeDefinition(&d); err != nil {
		return err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.define(&d)
	return nil
}

// SetAttributes changes attributes.
func (s *Service) SetAttributes(q *Queue, attributes map[string]string) error {
	attributes = normal(attributes)
	return s.change(q, func(d *definition) error {
		if err := checkAttributes(d.settings.fifo, false, attributes); err != nil {
			return err
		}
		d.set(attributes)
		d.ModifiedMS = s.wall()
		return s.checkDefinition(d)
	})
}

// Tag gives a queue tags.
func (s *Service) Tag(q *Queue, tags map[string]string) error {
	return s.change(q, func(d *definition) error {
		if err := checkTags(d.Name, d.Tags, tags); err != nil {
			return err
		}
		d.Tags = maps.Clone(d.Tags)
		if d.Tags == nil {
			d.Tags = map[string]string{}
		}
		maps.Copy(d.Tags, tags)
		return nil
	})
}

// Untag takes tags away.
func (s *Service) Untag(q *Queue, keys []string) error {
	return s.change(q, func(d *definition) error {
		d.Tags = maps.Clone(d.Tags)
		for _, k := range keys {
			delete(d.Tags, k)
		}
		return nil
	})
}

func checkTags(queue string, have, tags map[string]string) error {
	all := maps.Clone(have)
	if all == nil {
		all = map[string]string{}
	}
	for k, v := range tags {
		if k == "" || len(k) > 128 || len(v) > 256 {
			return awserr.QueueParameter("Tag keys must be between 1 and 128 characters in length, and tag values at most 256.")
		}
		all[k] = v
	}
	if len(all) > MaxTags {
		return awserr.QueueParameter("Too many tags added for queue " + queue + ".")
	}
	return nil
}

// Delete removes a queue with its messages.
func (s *Service) Delete(q *Queue) error {
	s.control.Lock()
	defer s.control.Unlock()
	q.mu.Lock()
	if q.deleted {
		q.mu.Unlock()
		return awserr.QueueMissing()
	}
	b := s.store.NewBatch()
	defer b.Close()
	b.Delete(definitionKey(q.id))
	all := binary.BigEndian.AppendUint64([]byte{store.SpaceQueue, kindMessages}, q.id)
	b.DeleteRange(all, store.PrefixEnd(all))
	tasks := binary.BigEndian.AppendUint64([]byte{store.SpaceQueue, kindTask}, q.id)
	b.DeleteRange(tasks, store.PrefixEnd(tasks))
	c, err := q.apply(b)
	if err == nil {
		q.deleted = true
		q.forget()
		for _, w := range q.waiters {
			s.wake(w)
		}
		q.waiters = nil
	}
	q.mu.Unlock()
	if err != nil {
		return err
	}
	s.mu.Lock()
	delete(s.byName, name{q.def.Scope, q.def.Name})
	delete(s.byID, q.id)
	s.mu.Unlock()
	return s.store.Sync(c)
}

// Sources returns the queues that name q as their dead-letter queue, by ascending name.
func (s *Service) Sources(q *Queue) []*Queue {
	return slices.DeleteFunc(s.All(arn.Scope{}), func(o *Queue) bool {
		r := o.definition().settings.redrive
		return r == nil || r.target != q.ARN()
	})
}

// Sweep removes messages that are older than their queue keeps them, once a minute, until ctx ends. It counts as work under way but
// while it waits (worker.Clock.Begin).
func (s *Service) Sweep(ctx context.Context) error {
	return s.clock.Every(ctx, time.Minute, s.nextSweep, func() error {
		for _, q := range s.All(arn.Scope{}) {
			if err := q.sweep(); err != nil {
				return err
			}
		}
		return nil
	})
}

// nextSweep is when the oldest message expires; false: there is none.
func (s *Service) nextSweep() (time.Time, bool) {
	next, some := int64(0), false
	for _, q := range s.All(arn.Scope{}) {
		if at, ok := q.expiry(); ok && (!some || at < next) {
			next, some = at, true
		}
	}
	return time.UnixMilli(next), some
}

// Now is the time by which messages become visible, in ms; Received.DueMS is of it.
func (s *Service) Now() int64 { return s.now() }
