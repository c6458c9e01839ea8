package queue

import (
	"bytes"
	"context"
	"errors"
	"runtime"
	"slices"
	"strconv"
	"time"

	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/store"
)

// Forever is a Wait without an end.
const Forever = time.Duration(-1)

// ReceiveRequest asks for messages.
type ReceiveRequest struct {
	Max int // at least 1
	// MaxBytes ends the messages of a standard queue before the one with which their rows are more; one is always taken. 0: no bound.
	MaxBytes int
	// Visibility is how long the messages are invisible then, in seconds; nil: the queue's.
	Visibility *int
	// Wait is how long a queue without messages is waited for; nil: the queue's. It goes by the machine's clock.
	Wait *time.Duration
	// Attempt is the ReceiveRequestAttemptId.
	Attempt string
	// Taken, unless nil, is called once when messages were taken, before they can be seen to be in flight. Receive may fail after it.
	Taken func()
	// Worker says that the receiver is part of the server, and counts as work under way (worker.Clock.Begin) but for the time
	// that it waits here.
	Worker bool
}

// attempt is a receive that may be asked for again.
type attempt struct {
	at    int64
	taken []taken
}

// noted says when an attempt was made.
type noted struct {
	id string
	at int64
}

// taken is a message that a receive has put in flight.
type taken struct {
	seq   uint64
	state state
	m     *Message // nil: not read yet
}

// Receive takes messages. It returns when their delivery is durable, or with none after the wait.
func (q *Queue) Receive(ctx context.Context, r ReceiveRequest) ([]*Received, error) {
	d := q.definition()
	wait := time.Duration(d.settings.wait) * time.Second
	if r.Wait != nil {
		wait = *r.Wait
	}
	visibility := d.settings.visibility
	if r.Visibility != nil {
		visibility = *r.Visibility
	}
	var timeout <-chan time.Time
	if wait > 0 {
		t := time.NewTimer(wait)
		defer t.Stop()
		timeout = t.C
	}
	var over <-chan struct{}
	if !r.Worker {
		over = q.s.waits.Over()
	}
	for {
		got, c, w, err := q.take(ctx, r, int64(visibility)*1000, wait != 0)
		if err != nil {
			return nil, err
		}
		if c != nil || len(got) > 0 {
			if err := q.finish(c); err != nil {
				if w != nil {
					q.leave(w)
				}
				return nil, err
			}
			received, err := q.read(got)
			if err != nil || len(received) > 0 {
				if w != nil {
					q.leave(w)
				}
				return received, err
			}
		}
		if c != nil && len(got) == 0 && w == nil {
			continue // some went to the dead-letter queue, and there may be more
		}
		if w == nil {
			return nil, nil
		}
		select {
		case <-w.woken:
			runtime.Gosched() // who is about to send does so first: one receive takes what they all send
			continue
		case <-timeout:
		case <-ctx.Done():
		case <-over:
		case <-q.s.ending.Done():
		}
		q.leave(w)
		return nil, ctx.Err()
	}
}

// read reads the messages that were taken. One that a purge has taken away meanwhile is left out.
func (q *Queue) read(got []taken) ([]*Received, error) {
	if err := q.readRows(got); err != nil {
		return nil, err
	}
	fifo := q.definition().settings.fifo
	received := make([]*Received, 0, len(got))
	all := make([]Received, len(got))
	for i, t := range got {
		if t.m == nil {
			continue
		}
		all[i] = Received{
			Message: t.m, Handle: handle{q.id, t.seq, t.state.nonce}.String(), Count: int(t.state.count),
			FirstMS: t.state.first, DueMS: t.state.due, Seq: t.seq, fifo: fifo,
		}
		received = append(received, &all[i])
	}
	return received, nil
}

// readRows reads those that were not in memory, which mostly lie side by side.
func (q *Queue) readRows(got []taken) (err error) {
	var it *store.Iter
	for i := range got {
		t := &got[i]
		if t.m != nil {
			continue
		}
		if it == nil {
			if it, err = q.s.store.NewIter(q.key(rowMessage), q.key(rowMessage+1)); err != nil {
				return err
			}
			defer func() { err = errors.Join(err, it.Close()) }()
		}
		k := q.numbered(rowMessage, t.seq)
		if !it.SeekGE(k) || !bytes.Equal(it.Key(), k) {
			continue
		}
		v, err := it.Value()
		if err != nil {
			return err
		}
		if t.m, err = decodeMessage(v); err != nil {
			return err
		}
	}
	return nil
}

// take puts messages in flight. When there are none and it may wait, w is told when that may have changed. With a commit, but neither
// messages nor a waiter, it has moved as many to the dead-letter queue as go into one batch, and is to be called again.
func (q *Queue) take(ctx context.Context, r ReceiveRequest, visibility int64, mayWait bool) (got []taken, c *store.Commit, w *waiter, err error) {
	b := q.s.store.NewBatch()
	defer b.Close()
	q.mu.Lock()
	defer func() { q.mu.Unlock() }()
	var dead *Queue // the dead-letter queue, when its lock is held
	defer func() {
		if dead != nil {
			dead.mu.Unlock()
		}
	}()
	if err := ctx.Err(); err != nil { // who is gone takes nothing, and wakes the next
		q.rouse(q.s.now())
		return nil, nil, nil, err
	}
	more := false
	for {
		if q.deleted {
			return nil, nil, nil, awserr.QueueMissing()
		}
		if err := q.current(); err != nil {
			return nil, nil, nil, err
		}
		now := q.s.now()
		q.flights.expire(now)
		if again, err := q.again(b, r.Attempt, now, visibility); err != nil || again != nil {
			if err == nil {
				c, err = q.apply(b)
			}
			if err != nil {
				q.giveUp()
				return nil, nil, nil, err
			}
			q.rouse(now) // it takes nothing from the line: who was woken wakes the next
			if r.Taken != nil {
				r.Taken()
			}
			return again, c, nil, nil
		}
		if len(q.flights.all) >= MaxInFlight {
			if !mayWait && !q.def.settings.fifo {
				return nil, nil, nil, awserr.OverLimit(MaxInFlight)
			}
			got = nil
		} else {
			t := &taking{q: q, b: b, now: now, visibility: visibility, max: min(r.Max, MaxInFlight-len(q.flights.all)), maxBytes: r.MaxBytes, dead: dead}
			err := t.run()
			if errors.Is(err, errNeedsDead) {
				// Some are for the dead-letter queue: once more from the beginning, with both locks.
				t.undo()
				b.Reset()
				dead = q.both()
				continue
			}
			if err != nil {
				t.undo()
				q.rouse(now)
				return nil, nil, nil, err
			}
			got, more = t.got, t.full()
		}
		break
	}
	if !b.Empty() {
		queues := []*Queue{q}
		if dead != nil && dead != q {
			queues = append(queues, dead)
		}
		if c, err = q.s.applyTo(b, queues...); err != nil {
			for _, o := range queues {
				o.giveUp()
			}
			return nil, nil, nil, err
		}
		now := q.s.now()
		q.rouse(now)
		if dead != nil {
			dead.rouse(now)
		}
	}
	if len(got) == 0 && mayWait && !more {
		w = q.wait(r.Worker)
	}
	if len(got) > 0 && r.Taken != nil {
		r.Taken()
	}
	if r.Attempt != "" && q.def.settings.fifo && len(got) > 0 {
		q.note(r.Attempt, got)
	}
	return got, c, w, nil
}

// both takes the lock of the dead-letter queue too, in the order of locks, so that q's is not held for a moment. It returns the queue; nil when there
// is none.
func (q *Queue) both() *Queue {
	for {
		target := ""
		if r := q.def.settings.redrive; r != nil {
			target = r.target
		}
		q.mu.Unlock()
		dead := q.s.FindARN(target)
		if dead == nil || dead == q {
			q.mu.Lock()
			return nil
		}
		lockBoth(q, dead)
		if r := q.def.settings.redrive; r != nil && r.target == target && !dead.deleted {
			return dead
		}
		dead.mu.Unlock()
	}
}

func lockBoth(a, b *Queue) {
	if a.id > b.id {
		a, b = b, a
	}
	a.mu.Lock()
	b.mu.Lock()
}

var errNeedsDead = errors.New("the lock of the dead-letter queue is needed")

// taking is one receive under the lock.
type taking struct {
	q          *Queue
	b          *store.Batch
	now        int64
	visibility int64
	max        int
	maxBytes   int    // of what is taken; 0: no bound
	dead       *Queue // locked; nil: not, or there is none

	got    []taken
	size   int // of got
	popped []entry
	fresh  map[string]bool // groups of the dead-letter queue
	moved  int             // messages that go to the dead-letter queue
	bytes  int             // of them
}

// moveBytes is how much goes to a dead-letter queue in one batch: once it is more, no further message does.
const moveBytes = 4 << 20

// full says that no more goes to the dead-letter queue in this batch, which is held in memory, under both locks.
func (t *taking) full() bool { return t.moved >= movePiece || t.bytes >= moveBytes }

func (t *taking) run() error {
	q := t.q
	for len(t.got) < t.max && !t.full() {
		e, ok, err := q.first(t.now)
		if err != nil || !ok {
			return err
		}
		if size := e.bytes(); t.maxBytes > 0 && len(t.got) > 0 && t.size+size > t.maxBytes {
			q.lineOf(e.row).put(e)
			return nil
		}
		t.popped = append(t.popped, e)
		if q.def.settings.fifo {
			err = t.group(e)
		} else {
			err = t.message(e)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// first takes the entry of the index that is due first, if it is due.
func (q *Queue) first(now int64) (entry, bool, error) {
	for _, l := range []*line{&q.ready, &q.delayed} {
		if err := q.fill(l, now); err != nil {
			return entry{}, false, err
		}
	}
	var from *line
	for _, l := range []*line{&q.ready, &q.delayed} {
		if len(l.entries) > 0 && l.entries[0].due <= now && (from == nil || l.entries[0].before(from.entries[0])) {
			from = l
		}
	}
	if from == nil {
		return entry{}, false, nil
	}
	return from.pop(), true, nil
}

// undo puts back what was popped, and what else was changed before the batch was to be applied.
func (t *taking) undo() {
	for _, e := range t.popped {
		t.q.lineOf(e.row).put(e)
	}
	for _, g := range t.got {
		t.q.flights.remove(g.seq)
	}
	t.q.puts = t.q.puts[:0]
	t.q.total += t.moved
	if t.dead != nil {
		t.dead.puts = t.dead.puts[:0]
		t.dead.total -= t.moved
	}
}

// bytes is how large an entry's message is; as large as one may be when that is not known.
func (e entry) bytes() int {
	if e.size == 0 {
		return MaxMessage
	}
	return int(e.size)
}

// message takes a message of a standard queue.
func (t *taking) message(e entry) error {
	q := t.q
	done, err := t.tooOften(e.seq, e.count, nil)
	if err != nil {
		return err
	}
	if done {
		q.dropRow(t.b, e)
		return nil
	}
	m := q.s.recent.take(e.seq) // what is here was never received
	st, err := t.deliver(e.seq, e.count, m, flight{size: e.size, once: m != nil})
	if err != nil {
		return err
	}
	t.size += e.bytes()
	q.dropRow(t.b, e)
	q.put(t.b, entry{row: rowReady, due: st.due, seq: e.seq, count: st.count, size: e.size})
	return nil
}

// group takes messages of a group of a FIFO queue, as many as fit and are due, from the first on up to one that is in flight.
func (t *taking) group(e entry) error {
	q := t.q
	next := entry{group: e.group, row: rowReady}
	err := q.eachOf(e.group, e.seq, func(seq uint64, due int64) (bool, error) {
		full := len(t.got) >= t.max || t.full()
		if _, flying := q.flights.all[seq]; flying || due > t.now || full {
			var err error
			if next.seq == 0 {
				next, err = q.ofGroup(e.group, seq, due, t.now)
			}
			return false, err
		}
		st, _, err := q.state(seq)
		if err != nil {
			return false, err
		}
		m := q.s.recent.take(seq)
		if m == nil {
			if m, err = q.message(seq); err != nil {
				return false, err
			}
		}
		if m == nil {
			return false, errMessageRow
		}
		if done, err := t.tooOften(seq, st.count, m); err != nil || done {
			return err == nil, err
		}
		st, err = t.deliver(seq, st.count, m, flight{group: e.group})
		if err != nil {
			return false, err
		}
		if next.seq == 0 {
			next.seq, next.due = seq, st.due
		}
		return true, nil
	})
	if err != nil {
		return err
	}
	t.b.Delete(q.entryKey(e))
	if next.seq == 0 {
		t.b.Delete(append(q.key(rowGroup), e.group...))
		return nil
	}
	q.setGroup(t.b, next)
	return nil
}

// deliver puts a message in flight. m is nil when it is still to be read.
func (t *taking) deliver(seq uint64, count uint32, m *Message, fl flight) (state, error) {
	q := t.q
	st := state{first: t.now}
	if count > 0 {
		var err error
		if st, _, err = q.state(seq); err != nil {
			return state{}, err
		}
	}
	st.due, st.received, st.count, st.nonce = t.now+t.visibility, t.now, count+1, q.s.number()
	t.b.Set(q.numbered(rowState, seq), st.encode())
	if t.visibility > 0 {
		fl.due = st.due
		q.flights.add(seq, fl)
	}
	t.got = append(t.got, taken{seq: seq, state: st, m: m})
	return st, nil
}

// tooOften moves a message that was received as often as the redrive policy allows to the dead-letter queue. m may be nil.
func (t *taking) tooOften(seq uint64, count uint32, m *Message) (done bool, err error) {
	q := t.q
	r := q.def.settings.redrive
	if r == nil || int(count) < r.max {
		return false, nil
	}
	if t.dead == nil {
		// There may be no such queue any more: then the message stays.
		if dead := q.s.FindARN(r.target); dead == nil || dead == q {
			return false, nil
		}
		return false, errNeedsDead
	}
	if m == nil {
		if m, err = q.message(seq); err != nil {
			return false, err
		}
		if m == nil {
			return false, errMessageRow
		}
	}
	if t.fresh == nil {
		t.fresh = map[string]bool{}
	}
	t.moved++
	t.bytes += m.size()
	return true, q.moveTo(t.b, t.dead, seq, m, t.now, q.def.arn(), m.Earlier+count, t.fresh)
}

// moveTo writes a message to another queue, and takes its rows away but for those of the index. Of a FIFO queue the time at which it was
// sent begins anew, as at AWS. earlier is how often it was received so far, which SQS goes on counting in a dead-letter queue. Both locks are held.
func (q *Queue) moveTo(b *store.Batch, to *Queue, seq uint64, m *Message, now int64, source string, earlier uint32, fresh map[string]bool) error {
	b.Delete(q.numbered(rowMessage, seq))
	b.Delete(q.numbered(rowState, seq))
	if q.def.settings.fifo {
		b.Delete(q.ordered(m.Group, seq))
	}
	q.flights.remove(seq)
	q.total--
	moved := *m
	moved.DueMS, moved.Source, moved.Earlier = now, source, earlier
	if to.def.settings.fifo {
		moved.SentMS = q.s.clock.Stamp()
	}
	_, err := to.add(b, &moved, now, fresh)
	return err
}

// attemptWindow is how long a receive may be asked for again, in ms; keepAttempts, how many are remembered.
const (
	attemptWindow = 5 * 60_000
	keepAttempts  = 10_000
)

// again answers a receive of a FIFO queue that is asked for again with the same messages, as long as nothing has been done to
// them. They are invisible for their time from now on.
func (q *Queue) again(b *store.Batch, id string, now, visibility int64) ([]taken, error) {
	a, ok := q.attempts[id]
	if id == "" || !ok || now >= a.at+attemptWindow {
		return nil, nil
	}
	got := slices.Clone(a.taken)
	groups := map[string]bool{}
	for i := range got {
		fl, ok := q.flights.all[got[i].seq]
		if !ok {
			delete(q.attempts, id)
			return nil, nil
		}
		st, found, err := q.state(got[i].seq)
		if err != nil {
			return nil, err
		}
		if !found || st.nonce != got[i].state.nonce {
			delete(q.attempts, id)
			return nil, nil
		}
		groups[fl.group] = true
	}
	for i := range got {
		st := got[i].state
		st.due = now + visibility
		b.Set(q.numbered(rowState, got[i].seq), st.encode())
		q.flights.add(got[i].seq, flight{due: st.due, group: q.flights.all[got[i].seq].group})
		got[i].state = st
	}
	for group := range groups {
		if err := q.regroup(b, group, now, nil); err != nil {
			return nil, err
		}
	}
	return got, nil
}

// note remembers a receive, without the messages themselves.
func (q *Queue) note(id string, got []taken) {
	now := q.s.now()
	for len(q.noted) > 0 && now >= q.noted[0].at+attemptWindow {
		if old := q.noted[0]; q.attempts[old.id].at == old.at {
			delete(q.attempts, old.id)
		}
		q.noted = q.noted[1:]
	}
	if len(q.noted) >= keepAttempts {
		return
	}
	got = slices.Clone(got)
	for i := range got {
		got[i].m = nil
	}
	q.attempts[id] = attempt{now, got}
	q.noted = append(q.noted, noted{id, now})
}

// CheckReceive is about the numbers of a request.
func CheckReceive(most int, visibility *int, wait *int, attempt string) error {
	switch {
	case most < 1 || most > 10:
		return awserr.QueueParameterValue(strconv.Itoa(most), "MaxNumberOfMessages", "Must be between 1 and 10, if provided.")
	case wait != nil && (*wait < 0 || *wait > MaxWait):
		return awserr.QueueParameterValue(strconv.Itoa(*wait), "WaitTimeSeconds", "Must be >= 0 and <= 20, if provided.")
	case visibility != nil && (*visibility < 0 || *visibility > MaxVisibility):
		return awserr.QueueParameterValue(strconv.Itoa(*visibility), "VisibilityTimeout", "Must be >= 0 and <= 43200, if provided.")
	case attempt != "" && !validID(attempt):
		return invalidID(attempt, "ReceiveRequestAttemptId")
	}
	return nil
}
