package lane

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/millstreamdb/millstream/internal/pattern"
	"github.com/millstreamdb/millstream/internal/seqnum"
)

// The model test drives one lane machine with everything that can happen to it, in
// every order, and keeps books of its own about each record. It asserts:
//
//   - order per key: a record is delivered only when the earlier records of its
//     key have ended, or come before it in the same batch;
//   - one batch of a virtual lane at a time, never more than ParallelizationFactor
//     invocations, across changes of the factor and restarts of the mapping;
//   - P4, nothing skipped: a checkpoint covers only records that have ended, and
//     in the end all have;
//   - redelivery: a record that the last restart's checkpoint covered, or that has
//     ended since, is not delivered again;
//   - generations: the end of an abandoned invocation does not move the position;
//   - filters: only records that the filters want are delivered, and what ends undelivered they have refused;
//   - partial answers end what lies before the lowest number that they name, and no more;
//   - tumbling windows: a batch holds records of one window, is sent with the state that
//     the last answer returned (or the stored one, after a crash), and no state is
//     left without a closing call;
//   - bounded memory;
//   - what is set aside: a stored checkpoint covers only records that have ended or have a row; no record
//     of a key overtakes a held one, in whatever shard of the lineage; no call of a key runs
//     beside another; what was ended for good is not delivered again after a later record of its key;
//     limits hold.
type model struct {
	pick func(n int) int // 0..n-1

	log     []*testRecord
	trimmed uint64
	starts  []uint64 // of the shards: the number before their first records; each is the child of the one before
	closed  bool     // the last shard is
	shard   int      // that m is at work on

	m       *Machine
	p       Params
	running bool
	done    bool
	unheard bool // the shard has got further than the machine was told
	spared  int  // heads that the machine was not told at once
	now     Instant
	timer   time.Duration
	read    *Read
	calls   map[uint64]*modelCall
	durable []Checkpoint // by shard

	ended   map[uint64]bool // ever
	settled map[uint64]bool // ended in the machine's eyes since its last crash
	floor   Checkpoint      // of the last crash
	shed    int             // steps with records let go

	rejudged int // records in memory that changed filters have ended

	wanted   map[uint64]bool // by a filter, when read
	deliver  []Deliver       // under way
	state    string          // that the next windowed call is to be sent with; empty: none
	opened   int64           // start of the window of state
	windowed int             // calls with a window

	asideModel
}

type modelCall struct {
	Invoke
	records   []Record
	abandoned bool
}

func newModel(pick func(n int) int) *model {
	m := &model{pick: pick, timer: never, ended: map[uint64]bool{}, wanted: map[uint64]bool{}, starts: []uint64{0}}
	m.rows, m.redriven, m.finished = asideRows{}, map[uint64]bool{}, map[uint64]bool{}
	m.now.Wall = 1_000_000
	m.p = m.params(1)
	m.crash()
	return m
}

func (m *model) params(generation uint64) Params {
	p := Params{
		Generation: generation, BatchSize: []int{1, 2, 3, 10}[m.pick(4)], Factor: []int{1, 1, 2, 3, 10}[m.pick(5)],
		MaxRetries: []int{-1, 0, 1, 3}[m.pick(4)], MaxAge: []time.Duration{-1, -1, -1, time.Minute}[m.pick(4)],
		Window:         []time.Duration{0, 0, 2 * time.Second}[m.pick(3)],
		ReportFailures: m.pick(2) == 0, Bisect: m.pick(2) == 0, Destination: []string{"", "", "sqs"}[m.pick(3)],
		OnFailure: []OnFailure{BlockShard, BlockKey, BlockKey, Park}[m.pick(4)],
	}
	if m.pick(3) == 0 {
		p.Filters = pattern.Filters{modelFilters[m.pick(len(modelFilters))]}
	}
	if m.pick(3) == 0 {
		p.Tumbling, p.Factor = []time.Duration{time.Second, 10 * time.Second, time.Minute}[m.pick(3)], 1
	}
	return p
}

var modelFilters = []*pattern.Pattern{
	mustParse(`{"dynamodb":{"NewImage":{"key":{"N":[{"anything-but":["0","3"]}]}}}}`),
	mustParse(`{"dynamodb":{"NewImage":{"n":{"N":[{"suffix":"1"},{"suffix":"4"},{"suffix":"7"}]}}}}`),
	mustParse(`{"dynamodb":{"NewImage":{"n":{"N":[{"exists":false}]}}}}`),
}

func mustParse(text string) *pattern.Pattern {
	p, err := pattern.Parse(text)
	if err != nil {
		panic(err)
	}
	return p
}

// crash loses everything but what is durable.
func (m *model) crash() {
	m.crashAside()
	m.unheard = false
	m.shard = 0
	for m.shard < len(m.durable) && m.durable[m.shard].Done && m.shard+1 < len(m.starts) {
		m.shard++
	}
	m.running = false
	m.calls = map[uint64]*modelCall{}
	m.settled = map[uint64]bool{}
	m.state, m.opened = "", 0
	m.begin()
	m.floor = m.m.Checkpoint()
	if w := m.floor.Window; w != nil {
		m.state, m.opened = string(w.State), w.Start
	}
}

// begin makes the machine of the shard at hand.
func (m *model) begin() {
	cp := Checkpoint{Low: num(m.starts[m.shard]), Ordinal: m.starts[m.shard]}
	if m.shard == 0 {
		cp = Checkpoint{}
	}
	if m.shard < len(m.durable) {
		cp = m.durable[m.shard]
	}
	m.m = NewMachine(cp, m.shardID(), m.a, m.jitter)
	m.m.bounds = bounds{minRecords: 8, maxRecords: 12, bytes: []int{300, 2000}[m.pick(2)]}
	m.read, m.timer, m.done = nil, never, cp.Done
	m.deliver = nil
}

func (m *model) shardID() string { return fmt.Sprintf("shard-%03d", m.shard) }

func (m *model) jitter() float64 { return float64(m.pick(100)) / 100 }

// end tells where the shard at hand ends, so far.
func (m *model) shardEnd() (end uint64, closed bool) {
	if m.shard+1 < len(m.starts) {
		return m.starts[m.shard+1], true
	}
	return uint64(len(m.log)), m.closed
}

// next goes on to the child of a shard that has ended.
func (m *model) next() error {
	m.ending = append(m.ending, m.m)
	m.shard++
	m.begin()
	if !m.running {
		return nil
	}
	if err := m.step(Start{Params: m.p}); err != nil {
		return err
	}
	return m.wake()
}

func covers(cp Checkpoint, r *testRecord) bool {
	if !cp.Low.Less(r.Seq()) {
		return true
	}
	for _, a := range cp.Ahead {
		if uint64(a.Lane) == r.KeyHash()%VirtualLanes && !a.Seq.Less(r.Seq()) {
			return true
		}
	}
	return false
}

func (m *model) step(ev Event) error {
	if _, timer := ev.(Timer); timer {
		if err := m.heard(); err != nil {
			return err
		}
	}
	if err := m.stepped(ev); err != nil {
		return err
	}
	if m.m.Heed() > 0 && m.timer == never && !slices.ContainsFunc(slices.Collect(maps.Values(m.calls)), func(c *modelCall) bool { return !c.abandoned }) {
		return fmt.Errorf("the machine heeds no head below %d, and nothing is to come", m.m.Heed())
	}
	return m.heard()
}

func (m *model) stepped(ev Event) error {
	before, memory := m.m.Checkpoint(), m.inMemory()
	if page, ok := ev.(PageRead); ok {
		m.filter(page.Page.Records)
	}
	machine := m.m
	actions := m.m.Step(m.now, ev, nil)
	m.noteHeld()
	if _, stopped := ev.(Stop); !stopped {
		m.refused(memory)
	}
	if d, ok := ev.(InvocationDone); ok {
		call := m.calls[d.Batch]
		delete(m.calls, d.Batch)
		if !call.abandoned {
			m.answered(call, d.Result)
		}
		if call.abandoned && !m.running {
			if after := m.m.Checkpoint(); after.Low != before.Low || !slices.Equal(after.Ahead, before.Ahead) {
				return fmt.Errorf("the end of an abandoned invocation moved the position from %v to %v", before, after)
			}
		}
	}
	commit := false
	for _, a := range actions {
		switch a := a.(type) {
		case Read:
			if m.read != nil && m.read.Token == a.Token {
				return fmt.Errorf("one read asked for twice")
			}
			if a.MaxRecords < 1 || a.MaxBytes < 1 {
				return fmt.Errorf("a read for nothing: %+v", a)
			}
			m.read = &a
		case Invoke:
			if err := m.invoked(a); err != nil {
				return err
			}
		case SetTimer:
			if a.At < m.now.Mono {
				return fmt.Errorf("a timer in the past")
			}
			m.timer = a.At
		case Drop:
			m.end(a.Records)
			if len(a.Records) == 0 {
				m.state = ""
			}
		case Deliver:
			if m.p.Destination == "" || !m.running {
				return fmt.Errorf("a destination is told without being set")
			}
			m.deliver = append(m.deliver, a)
		case PutAside:
			m.end(a.Records)
		case Poke:
			if err := m.asideStep(Timer{}); err != nil {
				return err
			}
		case Done:
			m.done = true
		case Commit:
			commit = true
		}
	}
	if m.m != machine {
		return fmt.Errorf("one step within another")
	}
	cp := m.m.Checkpoint()
	for _, r := range m.log {
		if r.N > m.trimmed && covers(cp, r) && !m.ended[r.N] && !m.held[r.N] {
			return fmt.Errorf("checkpoint %v covers record %d, which has not ended", cp, r.N)
		}
	}
	if len(cp.Ahead) > VirtualLanes {
		return fmt.Errorf("%d lanes ahead", len(cp.Ahead))
	}
	if cp.Low.Less(before.Low) {
		return fmt.Errorf("the low-water mark went back from %v to %v", before.Low, cp.Low)
	}
	if w := cp.Window; w == nil && m.state != "" || w != nil && string(w.State) != m.state {
		return fmt.Errorf("checkpoint %v has not the state %q", cp, m.state)
	}
	moved := !cp.Window.equal(before.Window) || cp.Low != before.Low || cp.Done != before.Done || !slices.Equal(cp.Ahead, before.Ahead)
	if moved && !commit {
		if _, stopped := ev.(Stop); !stopped {
			return fmt.Errorf("the position moved without a Commit, by %T", ev)
		}
	}
	if n := len(m.m.pending); n > m.m.bounds.maxRecords+1 && n > m.m.pendingLimit()+1 {
		return fmt.Errorf("%d records pending", n)
	}
	if m.m.shed != 0 {
		m.shed++
	}
	sum := 0
	for i := range m.m.pending {
		sum += m.m.pending[i].size
		if i > 0 && !m.m.pending[i-1].seq.Less(m.m.pending[i].seq) {
			return fmt.Errorf("pending records out of order")
		}
	}
	if sum != m.m.pendingBytes {
		return fmt.Errorf("pending bytes %d, counted %d", m.m.pendingBytes, sum)
	}
	if m.done && m.shard+1 < len(m.starts) {
		return m.next()
	}
	return nil
}

func (m *model) end(records []Record) {
	for _, r := range records {
		m.ended[r.Ordinal()] = true
		m.settled[r.Ordinal()] = true
		m.finished[r.Ordinal()] = true
		delete(m.held, r.Ordinal())
	}
}

// filter notes which records of a page the filters want; the others have ended.
func (m *model) filter(records []Record) {
	for _, r := range records {
		if n := r.(*testRecord).N; m.wants(r) {
			m.wanted[n] = true
		} else {
			m.ended[n] = true
			delete(m.finished, n)
		}
	}
}

// inMemory are the records that the machine has.
func (m *model) inMemory() map[uint64]Record {
	all := map[uint64]Record{}
	note := func(entries []entry) {
		for i := range entries {
			all[entries[i].rec.Ordinal()] = entries[i].rec
		}
	}
	note(m.m.pending)
	for _, b := range m.m.batches {
		note(b.entries)
		for _, part := range b.rest {
			note(part)
		}
	}
	return all
}

// wants reports whether the filters want a record now.
func (m *model) wants(r Record) bool { return len(m.p.Filters) == 0 || m.p.Filters.Match(r) }

// refused notes what the machine has forgotten because the filters do not want it any more.
func (m *model) refused(before map[uint64]Record) {
	after := m.inMemory()
	for n, r := range before {
		if after[n] == nil && !m.wants(r) {
			m.ended[n] = true
			delete(m.finished, n)
			m.rejudged++
		}
	}
}

// answered takes note of what an answer ends.
func (m *model) answered(call *modelCall, r Result) {
	if r.Outcome != Succeeded {
		return
	}
	if call.Final {
		m.state = ""
		return
	}
	done := len(call.records)
	var answer struct {
		Failures []struct {
			ID string `json:"itemIdentifier"`
		} `json:"batchItemFailures"`
		State json.RawMessage `json:"state"`
	}
	_ = json.Unmarshal(r.Payload, &answer)
	if call.Window != nil && len(answer.State) == 0 {
		return
	}
	for _, f := range answer.Failures {
		if !m.p.ReportFailures {
			break
		}
		i := slices.IndexFunc(call.records, func(r Record) bool { return r.Seq().String() == f.ID })
		done = min(done, max(i, 0))
	}
	m.end(call.records[:done])
	if call.Window != nil && done > 0 {
		m.state, m.opened = string(answer.State), call.Window.Start
	}
}

// answer is what a function returns to a call.
func (m *model) answer(call *modelCall) []byte {
	var answer struct {
		Failures []map[string]string `json:"batchItemFailures,omitempty"`
		State    map[string]int      `json:"state,omitempty"`
	}
	if n := len(call.records); n > 0 && m.pick(3) == 0 {
		for range 1 + m.pick(2) {
			answer.Failures = append(answer.Failures, map[string]string{"itemIdentifier": call.records[m.pick(n)].Seq().String()})
		}
		if m.pick(8) == 0 {
			answer.Failures = append(answer.Failures, map[string]string{"itemIdentifier": ""})
		}
	}
	if call.Window != nil && m.pick(10) > 0 {
		m.windowed++
		answer.State = map[string]int{"n": m.windowed}
	}
	out, _ := json.Marshal(answer)
	return out
}

// inWindow checks a call of a tumbling window.
func (m *model) inWindow(a Invoke) error {
	w := a.Window
	if w == nil {
		return nil // begun, perhaps, when the mapping had no windows
	}
	if m.state != "" && (w.Start != m.opened || string(w.State) != m.state) {
		return fmt.Errorf("window %d is called with %s, but %d with %s is under way", w.Start, w.State, m.opened, m.state)
	}
	if m.state == "" && (a.Final || string(w.State) != "{}") {
		return fmt.Errorf("window %d begins with %s", w.Start, w.State)
	}
	for _, r := range a.Records {
		if ms := r.Time(); ms < w.Start*1000 || ms >= w.End*1000 {
			return fmt.Errorf("a record of %d ms in the window %d to %d s", ms, w.Start, w.End)
		}
	}
	if a.Final != (len(a.Records) == 0) {
		return fmt.Errorf("a closing call with %d records", len(a.Records))
	}
	return nil
}

func (m *model) invoked(a Invoke) error {
	if !m.running {
		return fmt.Errorf("invoked while stopped")
	}
	if err := m.inWindow(a); err != nil {
		return err
	}
	lanes := map[uint64]bool{}
	for _, c := range m.calls {
		for _, r := range c.records {
			lanes[r.KeyHash()%VirtualLanes] = true
		}
	}
	if len(m.calls) >= m.p.Factor {
		return fmt.Errorf("%d invocations with factor %d", len(m.calls)+1, m.p.Factor)
	}
	inBatch := map[uint64]bool{}
	for i, rec := range a.Records {
		r := rec.(*testRecord)
		if i > 0 && r.N <= a.Records[i-1].(*testRecord).N {
			return fmt.Errorf("batch out of order")
		}
		if lanes[r.KeyHash()%VirtualLanes] {
			return fmt.Errorf("record %d: two batches of its virtual lane at once", r.N)
		}
		if !m.wanted[r.N] || !m.wants(r) {
			return fmt.Errorf("record %d delivered that no filter wants", r.N)
		}
		if m.settled[r.N] || m.held[r.N] || covers(m.floor, r) {
			return fmt.Errorf("record %d delivered again", r.N)
		}
		if err := m.inOrder(r, inBatch); err != nil {
			return err
		}
		inBatch[r.N] = true
	}
	if _, ok := m.calls[a.Batch]; ok {
		return fmt.Errorf("batch %d invoked twice at once", a.Batch)
	}
	m.calls[a.Batch] = &modelCall{Invoke: a, records: a.Records}
	return nil
}

func (m *model) write(n int) {
	for range n {
		if m.closed {
			return
		}
		key := m.pick(12)
		if m.pick(2) == 0 {
			key = 0 // a hot key
		} else if m.pick(4) == 0 {
			key += VirtualLanes // another key of the same lane
		}
		m.log = append(m.log, newRecord(uint64(len(m.log)+1), key, 0, m.now.Wall, 0))
	}
}

// inOrder checks that the earlier records of a record's key have ended, and that no call
// has any of the key.
func (m *model) inOrder(r *testRecord, inBatch map[uint64]bool) error {
	for _, o := range m.log[:r.N-1] {
		if o.Key == r.Key && o.N > m.trimmed && !m.ended[o.N] && !inBatch[o.N] {
			return fmt.Errorf("record %d of key %d delivered before record %d", r.N, r.Key, o.N)
		}
		if o.Key == r.Key && m.held[o.N] && !inBatch[o.N] && !m.redriven[o.N] {
			return fmt.Errorf("record %d of key %d delivered beside record %d, which is held", r.N, r.Key, o.N)
		}
	}
	return m.alone(r)
}

func (m *model) wake() error {
	end, closed := m.shardEnd()
	if m.unheard = !closed && end < m.m.Heed(); m.unheard {
		m.spared++
		return nil
	}
	return m.step(Wake{Head: num(end), Records: end, Closed: closed})
}

// heard tells of a head that waits for the machine's next event.
func (m *model) heard() error {
	if !m.unheard {
		return nil
	}
	m.unheard = false
	end, closed := m.shardEnd()
	return m.step(Wake{Head: num(end), Records: end, Closed: closed})
}

func (m *model) head() seqnum.Num { return num(uint64(len(m.log))) }
