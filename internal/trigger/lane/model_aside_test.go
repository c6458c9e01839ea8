package lane

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// asideModel is the part of the model about what is set aside.
type asideModel struct {
	a      *Aside
	rows   asideRows       // on the disk
	held   map[uint64]bool // set aside and not ended, in the machines' eyes
	ending []*Machine      // of shards that have ended; their last rows may not be stored

	// A commit under way: the positions are taken, the rest is not.
	taken    bool
	position map[int]Checkpoint
	changes  []AsideChange
	stored   [][]AsideChange // durable, but nobody was told

	fetches     []modelFetch
	refusedRows int // held records that changed filters have ended

	asideCalls   map[uint64]*modelCall
	asideDeliver []Deliver
	asideTimer   time.Duration
	gone         []uint64 // at the last crash: ended for good
	redriven     map[uint64]bool
	finished     map[uint64]bool // ended, and not by a filter
	sum          Counters        // of earlier lives
}

func (m *model) crashAside() {
	if m.a != nil {
		m.sum.Add(m.a.counters)
	}
	limits := asideLimits{
		records: []int{3, 10, 1000}[m.pick(3)], bytes: 1 << 30, age: []time.Duration{time.Hour, 14 * 24 * time.Hour}[m.pick(2)],
		unsaved: []int{100, 1 << 20}[m.pick(2)],
	}
	m.a = newAside(limits, m.jitter)
	m.a.Load(m.rows.page(AsideKey{}, 1<<30, true))
	m.held = map[uint64]bool{}
	for _, r := range m.rows {
		if r.Kind == Held {
			m.held[r.Ordinal] = true
		}
	}
	m.gone = nil
	for _, r := range m.log {
		if m.finished[r.N] && r.N > m.trimmed && m.stands(r) {
			if row, ok := m.rows[AsideKey{r.KeyHash(), m.shardOf(r.N), r.Seq()}]; !ok || row.Kind != Held {
				m.gone = append(m.gone, r.N)
			}
		}
	}
	m.ending, m.taken, m.stored, m.fetches = nil, false, nil, nil
	m.asideCalls, m.asideDeliver, m.asideTimer = map[uint64]*modelCall{}, nil, never
}

// stands reports whether a stored position covers a record.
func (m *model) stands(r *testRecord) bool {
	for i, cp := range m.durable {
		if r.N > m.starts[i] && (cp.Done && (i+1 == len(m.starts) || r.N <= m.starts[i+1]) || covers(cp, r)) {
			return true
		}
	}
	return false
}

func (m *model) shardOf(n uint64) string {
	i := len(m.starts) - 1
	for i > 0 && n <= m.starts[i] {
		i--
	}
	return fmt.Sprintf("shard-%03d", i)
}

// noteHeld takes note of what the machine has set aside as held.
func (m *model) noteHeld() {
	for _, c := range m.m.changes {
		if c.Put.Kind == Held && !m.settled[c.Put.Ordinal] {
			m.held[c.Put.Ordinal] = true
		}
	}
}

func (m *model) needsCommit() bool {
	if m.taken || len(m.stored) > 0 || len(m.ending) > 0 || len(m.m.changes) > 0 || len(m.a.changes) > 0 {
		return true
	}
	return false
}

// commit begins a commit: it takes the positions, and what was set aside behind them.
func (m *model) commit() {
	if m.taken {
		return
	}
	m.taken, m.position, m.changes = true, map[int]Checkpoint{}, nil
	for i, old := range m.ending {
		m.position[m.shard-len(m.ending)+i] = old.Checkpoint()
		m.changes = append(m.changes, old.TakeChanges()...)
	}
	m.ending = nil
	m.position[m.shard] = m.m.Checkpoint()
	m.changes = append(m.changes, m.m.TakeChanges()...)
}

// finishCommit takes what the other machine has to store, and stores all, in one batch. It checks
// what the disk then says.
func (m *model) finishCommit() error {
	if m.taken {
		m.taken = false
		changes := append(m.changes, m.a.TakeChanges()...)
		m.rows.apply(changes)
		for i := range len(m.starts) {
			if cp, ok := m.position[i]; ok {
				for len(m.durable) <= i {
					m.durable = append(m.durable, Checkpoint{})
				}
				m.durable[i] = cp
			}
		}
		m.stored = append(m.stored, changes)
		for _, r := range m.log {
			if r.N > m.trimmed && m.stands(r) && !m.ended[r.N] {
				if row, ok := m.rows[AsideKey{r.KeyHash(), m.shardOf(r.N), r.Seq()}]; !ok || row.Kind != Held {
					return fmt.Errorf("record %d is behind the stored positions; it has not ended and has no row", r.N)
				}
			}
		}
		return nil
	}
	if len(m.stored) == 0 {
		return nil
	}
	changes := m.stored[0]
	m.stored = m.stored[1:]
	for _, c := range changes {
		if c.Put != nil && c.Put.Event != nil {
			m.m.unsaved = max(0, m.m.unsaved-c.Put.Size) // whichever machine it was
		}
	}
	if err := m.asideStep(Stored{changes}); err != nil {
		return err
	}
	return m.step(Timer{})
}

// modelFetch is a read of rows under way.
type modelFetch struct {
	Fetch
	read bool
	rows []SetAside
}

// answerFetch goes on with one of the reads of rows: it sees what is there at some moment, and is answered later.
func (m *model) answerFetch() error {
	i := m.pick(len(m.fetches))
	f := &m.fetches[i]
	if !f.read {
		f.read, f.rows = true, m.rows.fetch(f.Fetch)
		return nil
	}
	ev := Fetched{Batch: f.Batch, Rows: f.rows}
	m.fetches = slices.Delete(m.fetches, i, i+1)
	return m.asideStep(ev)
}

// rowsEnded notes the held rows that filters refuse, of those that a step removes.
func (m *model) rowsEnded(changes []AsideChange) {
	for _, c := range changes {
		row, ok := m.rows[c.Key]
		if !ok || c.Put != nil || row.Kind != Held && !m.held[row.Ordinal] {
			continue
		}
		if r := m.log[row.Ordinal-1]; m.held[r.N] && !m.wants(r) {
			delete(m.held, r.N)
			m.ended[r.N] = true
			delete(m.finished, r.N)
			m.refusedRows++
		}
	}
}

// asideStep takes an event to the Aside and does what it asks for.
func (m *model) asideStep(ev Event) error {
	a := m.a
	var answers []Event
	n := len(a.changes)
	actions := a.Step(m.now, ev, nil)
	m.rowsEnded(a.changes[n:])
	for _, act := range actions {
		var err error
		switch act := act.(type) {
		case Fetch:
			if act.Max < 1 && len(act.Keys) == 0 {
				return fmt.Errorf("a fetch for nothing")
			}
			if m.pick(2) == 0 {
				m.fetches = append(m.fetches, modelFetch{Fetch: act})
				break
			}
			answers = append(answers, Fetched{Batch: act.Batch, Rows: m.rows.fetch(act)})
		case Invoke:
			err = m.asideInvoked(act)
		case Deliver:
			m.asideDeliver = append(m.asideDeliver, act)
		case SetTimer:
			m.asideTimer = act.At
		case PutAside:
			m.end(act.Records)
		case Room:
			err = m.step(Timer{})
		case Ask:
			a.Asked(act.Hash, 1)
			err = m.step(GoAside(act))
		}
		if err != nil {
			return err
		}
	}
	for _, ev := range answers {
		if err := m.asideStep(ev); err != nil {
			return err
		}
	}
	n = 0
	for _, k := range a.keys {
		n += k.rows
	}
	if n != a.count[Held] || a.count[Held] < 0 || a.count[Telling] < 0 || a.count[Parked] < 0 || a.bytes < 0 {
		return fmt.Errorf("%d held rows counted as %v, %d bytes", n, a.count, a.bytes)
	}
	return nil
}

// alone checks that no call has records of a record's key.
func (m *model) alone(r *testRecord) error {
	for _, calls := range []map[uint64]*modelCall{m.calls, m.asideCalls} {
		for _, c := range calls {
			for _, o := range c.records {
				if o.KeyHash() == r.KeyHash() {
					return fmt.Errorf("record %d: two calls of its key at once", r.N)
				}
			}
		}
	}
	return nil
}

func (m *model) asideInvoked(a Invoke) error {
	if !m.running {
		return fmt.Errorf("a held record is sent while stopped")
	}
	if len(m.asideCalls) >= m.p.Factor {
		return fmt.Errorf("%d calls of held keys with factor %d", len(m.asideCalls)+1, m.p.Factor)
	}
	inBatch := map[uint64]bool{}
	for _, rec := range a.Records {
		r := m.log[rec.Ordinal()-1]
		if r.KeyHash() != rec.KeyHash() || r.Seq() != rec.Seq() || string(r.Event()) != string(rec.Event()) {
			return fmt.Errorf("record %d came back as another", r.N)
		}
		if !m.held[r.N] {
			return fmt.Errorf("record %d is sent, but is not held", r.N)
		}
		if !m.wants(r) {
			return fmt.Errorf("record %d, which is held, is sent, and no filter wants it", r.N)
		}
		inBatch[r.N] = true
		if m.redriven[r.N] {
			if err := m.alone(r); err != nil {
				return err
			}
			continue
		}
		if err := m.inOrder(r, inBatch); err != nil {
			return err
		}
		for _, n := range m.gone {
			if n > r.N && m.log[n-1].Key == r.Key {
				return fmt.Errorf("record %d is sent again after record %d of its key had ended for good", r.N, n)
			}
		}
	}
	m.asideCalls[a.Batch] = &modelCall{Invoke: a, records: a.Records}
	return nil
}

func (m *model) answerAside(outcome Outcome) error {
	ids := make([]uint64, 0, len(m.asideCalls))
	for id := range m.asideCalls {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	id := ids[m.pick(len(ids))]
	call := m.asideCalls[id]
	delete(m.asideCalls, id)
	r := Result{Outcome: outcome, Error: "e"}
	done := 0
	if outcome == Succeeded {
		r.Payload = m.answer(call)
		done = len(call.records)
		var answer struct {
			Failures []struct {
				ID string `json:"itemIdentifier"`
			} `json:"batchItemFailures"`
		}
		_ = json.Unmarshal(r.Payload, &answer)
		for _, f := range answer.Failures {
			if m.p.ReportFailures {
				i := slices.IndexFunc(call.records, func(r Record) bool { return r.Seq().String() == f.ID })
				done = min(done, max(i, 0))
			}
		}
	}
	if !call.abandoned {
		m.end(call.records[:done])
	}
	return m.asideStep(InvocationDone{Batch: id, Result: r})
}

func (m *model) answerAsideDelivery(ok bool) error {
	i := m.pick(len(m.asideDeliver))
	d := m.asideDeliver[i]
	m.asideDeliver = slices.Delete(m.asideDeliver, i, i+1)
	if !ok {
		return m.asideStep(Delivered{Batch: d.Batch, Error: "deaf"})
	}
	return m.asideStep(Delivered{Batch: d.Batch})
}

func (m *model) stopAside() error {
	for _, c := range m.asideCalls {
		c.abandoned = true
	}
	return m.asideStep(Stop{Generation: m.p.Generation + 1})
}

func (m *model) advanceAside() error {
	if m.asideTimer <= m.now.Mono {
		m.asideTimer = never
		return m.asideStep(Timer{})
	}
	return nil
}

// recall brings parked rows back, or removes them.
func (m *model) recall(discard bool) error {
	most := 1 + m.pick(4)
	n := 0
	match := func(r *SetAside) bool {
		if discard {
			return true
		}
		if n++; n <= most {
			m.redriven[r.Ordinal] = true
			m.held[r.Ordinal] = true
			delete(m.settled, r.Ordinal)
		}
		return true
	}
	return m.asideStep(Recall{Match: match, Max: most, Discard: discard})
}

// giveUp has the first held record of some keys given up.
func (m *model) giveUp() error {
	match := func(r *SetAside) bool {
		for n := range m.held {
			if n < r.Ordinal && m.log[n-1].Key == m.log[r.Ordinal-1].Key {
				return false
			}
		}
		return m.held[r.Ordinal] && !m.redriven[r.Ordinal]
	}
	return m.asideStep(Recall{Match: match, Max: 1 + m.pick(4), GiveUp: true})
}

func (m *model) randomAside() error {
	switch k := m.pick(24); {
	case k >= 20:
		if len(m.fetches) > 0 {
			return m.answerFetch()
		}
	case k < 7:
		return m.finishCommit()
	case k < 15:
		if len(m.asideCalls) > 0 {
			return m.answerAside([]Outcome{Succeeded, Succeeded, FunctionError, FunctionError, NotDelivered}[m.pick(5)])
		}
	case k < 17:
		if len(m.asideDeliver) > 0 {
			return m.answerAsideDelivery(m.pick(2) > 0)
		}
	case k < 18:
		if m.pick(4) == 0 {
			return m.giveUp()
		}
		return m.recall(m.pick(3) == 0)
	default:
		m.commit()
	}
	return nil
}
