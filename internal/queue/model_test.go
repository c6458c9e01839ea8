package queue

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/millstreamdb/millstream/internal/arn"
	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/store"
	"github.com/millstreamdb/millstream/internal/store/crashtest"
	"github.com/millstreamdb/millstream/internal/worker"
)

var testScope = arn.Scope{Account: "123456789012", Region: "eu-west-1"}

// world is a store with queues, over the lives that crashes end.
type world struct {
	fatal func(args ...any)
	disk  *crashtest.Disk
	store *store.Store
	s     *Service
	clock *worker.Clock // stands still until it is moved
}

func (w *world) now() time.Time { return w.clock.Wall() }

func (w *world) sleep(d time.Duration) { w.must(w.clock.Advance(context.Background(), d, nil)) }

func (w *world) must(err error) {
	if err != nil {
		w.fatal(err)
	}
}

func (w *world) open() {
	var err error
	w.store, err = store.Open(store.Options{FS: w.disk.FS(), Dir: "data"})
	w.must(err)
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	if w.clock != nil {
		now = w.clock.Wall()
	}
	w.clock = worker.NewManualClock(now)
	w.s, err = Open(Options{Store: w.store, Clock: w.clock})
	w.must(err)
}

func (w *world) close() {
	w.s.Close()
	w.must(w.store.Close())
}

// crash goes on with what a crash of the machine at this moment leaves.
func (w *world) crash(seed uint64) {
	clone := w.disk.Clone(seed)
	w.close()
	w.disk = clone
	w.open()
}

func (w *world) queue(name string) *Queue {
	q, err := w.s.Find(testScope, name)
	w.must(err)
	return q
}

// model is what a queue has to do.
type model struct {
	name     string
	fifo     bool
	max      int // receives before a message goes to dead
	dead     *model
	delay    time.Duration
	messages []*modelMessage // in the order in which they were sent or came
	dedup    map[string]modelDedup
	since    map[string]time.Time // by group: since when it waits, of those with messages
}

type modelMessage struct {
	body, group, id string
	initial         time.Time // when it was first due
	due             time.Time // visible from then on
	count           int
	handle          string // the newest
	old             string // one from before
	earlier         int    // how often it was received before it was moved here
	first           time.Time
	gone            bool
	source          string
}

type modelDedup struct {
	id string
	at time.Time
}

// visible are the messages of a standard queue that can be received, in order.
func (m *model) visible(now time.Time) (list []*modelMessage) {
	for _, msg := range m.messages {
		if !msg.due.After(now) {
			list = append(list, msg)
		}
	}
	slices.SortStableFunc(list, func(a, b *modelMessage) int { return a.due.Compare(b.due) })
	return list
}

// of are the messages of a group, in order.
func (m *model) of(group string) (list []*modelMessage) {
	for _, msg := range m.messages {
		if msg.group == group {
			list = append(list, msg)
		}
	}
	return list
}

// regroup says since when a group waits, after something was done to it: since its first is visible.
func (m *model) regroup(group string) {
	delete(m.since, group)
	if all := m.of(group); len(all) > 0 {
		m.since[group] = all[0].due
	}
}

func (m *model) remove(msg *modelMessage) {
	msg.gone = true
	m.messages = slices.DeleteFunc(m.messages, func(o *modelMessage) bool { return o == msg })
	if m.fifo {
		m.regroup(msg.group)
	}
}

func (m *model) append(msg *modelMessage) {
	m.messages = append(m.messages, msg)
	if _, there := m.since[msg.group]; m.fifo && !there {
		m.since[msg.group] = msg.initial
	}
}

// receive is what a receive of at most n has to give, with messages that are moved to the dead-letter queue on the way.
func (m *model) receive(n int, visibility time.Duration, now time.Time, got []*Received) error {
	var want []*modelMessage
	if m.fifo {
		want = m.receiveGroups(n, visibility, now)
	} else {
		for _, msg := range m.visible(now) {
			if len(want) == n {
				break
			}
			if !m.bury(msg, now) {
				want = append(want, msg)
			}
		}
	}
	if len(got) != len(want) {
		return fmt.Errorf("%s: got %d messages, not %d", m.name, len(got), len(want))
	}
	for i, msg := range want {
		if err := m.took(msg, got[i], visibility, now); err != nil {
			return err
		}
	}
	return nil
}

// receiveGroups takes the groups that have waited the longest, each with as many of its messages as fit, up to one that is in flight.
func (m *model) receiveGroups(n int, visibility time.Duration, now time.Time) (want []*modelMessage) {
	var groups []string
	for group, since := range m.since {
		if !since.After(now) {
			groups = append(groups, group)
		}
	}
	slices.SortFunc(groups, func(a, b string) int {
		return cmp.Or(m.since[a].Compare(m.since[b]), cmp.Compare(slices.Index(m.messages, m.of(a)[0]), slices.Index(m.messages, m.of(b)[0])))
	})
	for _, group := range groups {
		if len(want) == n {
			break
		}
		before := len(want)
		for _, msg := range m.of(group) {
			if len(want) == n || msg.due.After(now) {
				break
			}
			if !m.bury(msg, now) {
				want = append(want, msg)
			}
		}
		if len(want) > before {
			m.since[group] = now.Add(visibility)
		} else {
			m.regroup(group)
		}
	}
	return want
}

func (m *model) took(msg *modelMessage, g *Received, visibility time.Duration, now time.Time) error {
	if msg.count == 0 {
		msg.first = now
	}
	msg.count++
	if g.Body != msg.body || g.IDText() != msg.id || g.Count != msg.count || int(g.Earlier) != msg.earlier || g.Group != msg.group || g.FirstMS != msg.first.UnixMilli() || g.Source != msg.source {
		return fmt.Errorf("%s: got %q (%s) for the %dth time, not %q (%s) for the %dth", m.name, g.Body, g.IDText(), g.Count, msg.body, msg.id, msg.count)
	}
	msg.old, msg.handle = msg.handle, g.Handle
	msg.due = now.Add(visibility)
	return nil
}

// bury moves a message that was received too often.
func (m *model) bury(msg *modelMessage, now time.Time) bool {
	if m.max == 0 || msg.count < m.max || msg.gone {
		return false
	}
	m.remove(msg)
	m.dead.append(&modelMessage{
		body: msg.body, group: msg.group, id: msg.id, initial: now, due: now, source: testScope.QueueARN(m.name), earlier: msg.earlier + msg.count,
	})
	return true
}

func (m *model) create(w *world) {
	attributes := map[string]string{"VisibilityTimeout": "20", "DelaySeconds": strconv.Itoa(int(m.delay / time.Second))}
	if m.fifo {
		attributes["FifoQueue"] = "true"
	}
	if m.dead != nil {
		attributes["RedrivePolicy"] = `{"deadLetterTargetArn":"` + testScope.QueueARN(m.dead.name) + `","maxReceiveCount":` + strconv.Itoa(m.max) + `}`
	}
	_, err := w.s.Create(testScope, m.name, attributes, nil)
	w.must(err)
}

// TestModel has queues do what a plain model says, from seeds, over crashes: what was acknowledged is there, what was deleted is not, counts,
// handles, orders, delays, deduplication and dead letters are exact.
func TestModel(t *testing.T) {
	rapid.Check(t, runModel)
}

func runModel(t *rapid.T) {
	w := &world{fatal: t.Fatal, disk: crashtest.New()}
	w.open()
	defer func() { w.close() }() // also of one that has failed
	dead := &model{name: "dead"}
	deadFIFO := &model{name: "dead.fifo", fifo: true, dedup: map[string]modelDedup{}, since: map[string]time.Time{}}
	models := []*model{
		{name: "q", max: 2, dead: dead}, {name: "slow", delay: 7 * time.Second}, dead,
		{name: "f.fifo", fifo: true, max: 2, dead: deadFIFO, dedup: map[string]modelDedup{}, since: map[string]time.Time{}},
		{name: "late.fifo", fifo: true, delay: 7 * time.Second, dedup: map[string]modelDedup{}, since: map[string]time.Time{}}, deadFIFO,
	}
	for _, m := range slices.Backward(models) {
		m.create(w)
	}
	n := 0
	pick := func() *model { return rapid.SampledFrom(models).Draw(t, "queue") }
	send := func(t *rapid.T, m *model, entries []Entry) {
		sent, err := w.queue(m.name).Send(testScope.Account, true, entries)
		w.must(err)
		now := w.now()
		for i, e := range entries {
			w.must(sent[i].Err)
			delay := m.delay
			if e.Delay != nil {
				delay = time.Duration(*e.Delay) * time.Second
			}
			msg := &modelMessage{body: *e.Body, id: sent[i].IDText(), initial: now.Add(delay), due: now.Add(delay)}
			if m.fifo {
				msg.group = *e.Group
				if d, ok := m.dedup[*e.Dedup]; ok && now.Before(d.at.Add(5*time.Minute)) {
					if d.id != msg.id {
						t.Fatalf("%s: a duplicate was answered with %s, not %s", m.name, msg.id, d.id)
					}
					continue
				}
				m.dedup[*e.Dedup] = modelDedup{msg.id, now}
			}
			m.append(msg)
		}
	}
	receive := func(m *model, most, visibility int) {
		no := time.Duration(0)
		got, err := w.queue(m.name).Receive(context.Background(), ReceiveRequest{Max: most, Visibility: &visibility, Wait: &no})
		w.must(err)
		w.must(m.receive(most, time.Duration(visibility)*time.Second, w.now(), got))
	}
	fault := rapid.SampledFrom([]int{0, 0, 1, 5, 20, 40})
	t.Repeat(map[string]func(*rapid.T){
		"send": func(t *rapid.T) {
			m := pick()
			var entries []Entry
			for range rapid.IntRange(1, 5).Draw(t, "messages") {
				n++
				body := fmt.Sprint("message ", n)
				e := Entry{Body: &body}
				if m.fifo {
					group := fmt.Sprint("g", rapid.IntRange(0, 2).Draw(t, "group"))
					dedup := fmt.Sprint("d", rapid.IntRange(0, 30).Draw(t, "dedup"))
					e.Group, e.Dedup = &group, &dedup
				} else if d := fault.Draw(t, "delay"); d > 0 {
					e.Delay = &d
				}
				entries = append(entries, e)
			}
			send(t, m, entries)
		},
		"send an id again": func(t *rapid.T) {
			m := models[rapid.IntRange(3, 5).Draw(t, "queue")] // a FIFO queue
			group, dedup := "g0", fmt.Sprint("d", rapid.IntRange(0, 30).Draw(t, "dedup"))
			for range 3 {
				n++
				body := fmt.Sprint("message ", n)
				send(t, m, []Entry{{Body: &body, Group: &group, Dedup: &dedup}})
				if rapid.Bool().Draw(t, "late") {
					w.sleep(301 * time.Second)
				}
			}
		},
		"receive": func(t *rapid.T) {
			receive(pick(), rapid.IntRange(1, 12).Draw(t, "most"), fault.Draw(t, "visibility"))
		},
		"give a part of a group back": func(t *rapid.T) {
			m := models[rapid.IntRange(3, 5).Draw(t, "queue")] // a FIFO queue
			for range 3 {
				n++
				body, group, dedup := fmt.Sprint("message ", n), "g1", fmt.Sprint("part", n)
				send(t, m, []Entry{{Body: &body, Group: &group, Dedup: &dedup}})
			}
			w.sleep(m.delay)
			receive(m, 12, 20)
			for _, msg := range m.of("g1") {
				if msg.due.After(w.now()) && msg.count > 0 && rapid.Bool().Draw(t, "back") {
					errs, err := w.queue(m.name).ChangeVisibility([]Visibility{{msg.handle, 0}})
					w.must(errors.Join(append(errs, err)...))
					msg.due = w.now()
					m.regroup("g1")
				}
			}
			receive(m, 12, fault.Draw(t, "visibility"))
		},
		"delete": func(t *rapid.T) {
			m := pick()
			var handles []string
			var gone []*modelMessage
			for _, msg := range m.messages {
				if msg.handle == "" || rapid.IntRange(0, 2).Draw(t, "delete") > 0 {
					continue
				}
				handles = append(handles, msg.handle)
				gone = append(gone, msg)
			}
			errs, err := w.queue(m.name).Delete(handles)
			w.must(err)
			for i, msg := range gone {
				if expired := m.fifo && !msg.due.After(w.now()); expired != (errs[i] != nil) {
					t.Fatalf("%s: deleting %q: %v", m.name, msg.body, errs[i])
				}
				if errs[i] == nil {
					m.remove(msg)
				}
			}
		},
		"delete with an old handle": func(t *rapid.T) {
			m := pick()
			for _, msg := range slices.Clone(m.messages) {
				if msg.old == "" || rapid.Bool().Draw(t, "leave") {
					continue
				}
				errs, err := w.queue(m.name).Delete([]string{msg.old})
				w.must(err)
				if (errs[0] != nil) != m.fifo {
					t.Fatalf("%s: an old handle of %q: %v", m.name, msg.body, errs[0])
				}
				if !m.fifo {
					m.remove(msg)
				}
			}
		},
		"visibility": func(t *rapid.T) {
			m := pick()
			for _, msg := range m.messages {
				if msg.handle == "" || rapid.Bool().Draw(t, "leave") {
					continue
				}
				seconds := fault.Draw(t, "visibility")
				handle, good := msg.handle, true
				if msg.old != "" && rapid.Bool().Draw(t, "old") {
					handle, good = msg.old, !m.fifo
				}
				errs, err := w.queue(m.name).ChangeVisibility([]Visibility{{handle, seconds}})
				w.must(err)
				if flying := msg.due.After(w.now()); (flying && good || !m.fifo && handle == msg.handle) != (errs[0] == nil) {
					t.Fatalf("%s: the visibility of %q: %v", m.name, msg.body, errs[0])
				}
				if errs[0] == nil {
					msg.due = w.now().Add(time.Duration(seconds) * time.Second)
					if m.fifo {
						m.regroup(msg.group)
					}
				}
			}
		},
		"time": func(t *rapid.T) {
			w.sleep(time.Duration(rapid.SampledFrom([]int{1, 500, 1000, 7000, 21000, 301000}).Draw(t, "ms")) * time.Millisecond)
		},
		"crash": func(t *rapid.T) { w.crash(rapid.Uint64().Draw(t, "seed")) },
		"purge": func(t *rapid.T) {
			if rapid.IntRange(0, 9).Draw(t, "purge") > 0 {
				return
			}
			m := pick()
			err := w.queue(m.name).Purge()
			var e *awserr.Error
			if errors.As(err, &e) && strings.Contains(e.Code, "PurgeQueueInProgress") {
				return
			}
			w.must(err)
			m.messages = nil
			clear(m.since)
			clear(m.dedup)
		},
		"": func(t *rapid.T) {
			now := w.now()
			for _, m := range models {
				var want Counts
				for _, msg := range m.messages {
					switch {
					case !msg.due.After(now):
						want.Visible++
					case msg.count > 0:
						want.InFlight++
					default:
						want.Delayed++
					}
				}
				got, err := w.queue(m.name).Counts()
				w.must(err)
				if got != want {
					t.Fatalf("%s has %+v, not %+v", m.name, got, want)
				}
			}
		},
	})
	// In the end everything that was not deleted comes, to the last.
	w.sleep(time.Hour)
	for _, m := range models {
		for {
			visibility, no := 3600, time.Duration(0)
			got, err := w.queue(m.name).Receive(context.Background(), ReceiveRequest{Max: 7, Visibility: &visibility, Wait: &no})
			w.must(err)
			w.must(m.receive(7, time.Hour, w.now(), got))
			if len(got) == 0 {
				break
			}
			var handles []string
			for _, g := range got {
				handles = append(handles, g.Handle)
			}
			errs, err := w.queue(m.name).Delete(handles)
			w.must(err)
			for i, g := range got {
				w.must(errs[i])
				m.remove(m.messages[slices.IndexFunc(m.messages, func(msg *modelMessage) bool { return msg.id == g.IDText() })])
			}
		}
		if m != dead && m != deadFIFO && len(m.messages) > 0 {
			t.Fatalf("%s: %d messages never came", m.name, len(m.messages))
		}
	}
}
