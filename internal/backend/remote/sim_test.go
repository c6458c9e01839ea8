package remote

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/millstreamdb/millstream/internal/backend"
	"github.com/millstreamdb/millstream/internal/schema"
	"github.com/millstreamdb/millstream/internal/seqnum"
	"github.com/millstreamdb/millstream/internal/trigger"
	"github.com/millstreamdb/millstream/internal/trigger/lane"
	"github.com/millstreamdb/millstream/internal/trigger/mapping"
)

// The simulation: real engines over real Backends, in faked time, over a database that loses, delays and doubles requests. Nodes stop
// for a while and die, by seed. The database and the functions judge every write and every call.

var simScope = schema.Scope{Account: "000000000000", Region: "us-east-1"}

// base is one database: rows, one stream, and the books.
type base struct {
	mu     sync.Mutex
	tables map[string]map[string]map[string]Row // by table and both keys
	arn    string
	shards []*baseShard
	last   uint64 // record
	moved  chan struct{}
	broken bool          // functions fail
	calm   atomic.Bool   // nothing goes wrong any more
	over   chan struct{} // the test has ended
	late   sync.WaitGroup
	all    []*machine

	// The books, of records by number.
	records              map[uint64]*booked
	ended                map[string]map[uint64]bool // by function
	failed               map[string]map[uint64]int  // calls with a record that failed
	retries              map[string]int             // of a function whose records are parked after so many; -1: never
	taken                map[uint64]map[string]checkpoint
	held                 map[uint64]map[string]bool // rows set aside that counted at a take, by epoch
	written              map[string]int             // writes of functions, by function and record
	sent                 map[string]int             // their messages
	once                 map[string]bool            // functions whose records end with their writes
	skipped              map[string]bool            // functions of which records were skipped
	windows              map[string]int             // windows that were closed, by function
	moves, notMoved      int                        // by people, and askings that failed
	told                 int                        // records of which a destination was told
	lent                 map[string]map[uint64]bool // by mapping: the newest records of its items, when it was made
	since                map[string]uint64          // by mapping: the newest record then
	kept                 map[string]bool            // mappings whose items are kept still
	removed              map[string]bool            // rows set aside whose end is stored
	aside                int                        // the most records that were set aside
	redriven, unredriven int                        // records, and askings that failed
	wrong                []string
	calls                int
	again                int // calls with a record that had ended
	refused              int // conditions that did not hold
}

type booked struct {
	key, nth int
	shard    string
	at       int64 // seconds since 1970
}

type baseShard struct {
	id, parent string
	start      uint64 // number of its first record
	past       uint64 // records up to this one were trimmed
	log        []json.RawMessage
	numbers    []uint64
	closed     bool
}

func simNumber(n uint64) seqnum.Num { return seqnum.Num{Hi: 1 << 40, Lo: n} }

func newBase() *base {
	d := &base{
		tables: map[string]map[string]map[string]Row{}, arn: simScope.StreamARN("t", "2026-01-01T00:00:00.000"), moved: make(chan struct{}), over: make(chan struct{}),
		records: map[uint64]*booked{}, ended: map[string]map[uint64]bool{}, taken: map[uint64]map[string]checkpoint{},
		lent: map[string]map[uint64]bool{}, since: map[string]uint64{}, kept: map[string]bool{},
		failed: map[string]map[uint64]int{}, retries: map[string]int{}, held: map[uint64]map[string]bool{}, removed: map[string]bool{}, written: map[string]int{}, sent: map[string]int{}, once: map[string]bool{}, skipped: map[string]bool{}, windows: map[string]int{},
	}
	d.shards = []*baseShard{{id: "s0", start: 1}}
	return d
}

// later does something after a while, unless the test has ended.
func (d *base) later(wait time.Duration, f func()) {
	d.late.Go(func() {
		t := time.NewTimer(wait)
		defer t.Stop()
		select {
		case <-t.C:
			f()
		case <-d.over:
		}
	})
}

func (d *base) fault(format string, args ...any) {
	if len(d.wrong) < 5 {
		d.wrong = append(d.wrong, fmt.Sprintf(format, args...))
	}
}

// write appends a record of a key to its shard.
func (d *base) write(key int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.last++
	var open []*baseShard
	for _, s := range d.shards {
		if !s.closed {
			open = append(open, s)
		}
	}
	s := open[key%len(open)]
	nth := 1
	for _, r := range d.records {
		if r.key == key {
			nth++
		}
	}
	d.records[d.last] = &booked{key: key, nth: nth, shard: s.id, at: time.Now().Unix()}
	s.numbers = append(s.numbers, d.last)
	s.log = append(s.log, fmt.Appendf(nil, `{"eventID":"%d","eventName":"INSERT","eventVersion":"1.1","awsRegion":"us-east-1","dynamodb":{"ApproximateCreationDateTime":%d,"Keys":{"pk":{"S":"%d"}},"SequenceNumber":"%s","SizeBytes":3,"StreamViewType":"KEYS_ONLY"}}`,
		d.last, time.Now().Unix(), key, simNumber(d.last)))
	d.wakeLocked()
}

func (d *base) lastNow() uint64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.last
}

// movedBy has a node rewind a mapping to a record or to the horizon, or skip to the newest record.
func (d *base) movedBy(n *machine, uuid string, back bool, record uint64) {
	d.late.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		var err error
		switch to := (backend.Place{Horizon: true}); {
		case !back:
			d.mu.Lock()
			d.skipped[uuid] = true
			d.mu.Unlock()
			_, err = n.engine().Skip(ctx, uuid, backend.Place{Latest: true})
		case record > 0:
			to = backend.Place{Record: simNumber(record)}
			fallthrough
		default:
			_, err = n.engine().Rewind(ctx, uuid, to)
		}
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.moves++; err != nil {
			d.notMoved++
		}
	})
}

func (d *base) endedOf(uuid string) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.ended[uuid])
}

// split closes the first open shard and opens two.
func (d *base) split() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, s := range d.shards {
		if !s.closed {
			s.closed = true
			for range 2 {
				d.shards = append(d.shards, &baseShard{id: fmt.Sprintf("s%d", len(d.shards)), parent: s.id, start: d.last + 1})
			}
			break
		}
	}
	d.wakeLocked()
}

func (d *base) wakeLocked() {
	close(d.moved)
	d.moved = make(chan struct{})
}

func (d *base) put(table string, r Row, v uint64, plant string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.tables[table] == nil {
		d.tables[table] = map[string]map[string]Row{}
	}
	if d.tables[table][r.P] == nil {
		d.tables[table][r.P] = map[string]Row{}
	}
	now, found := d.tables[table][r.P][r.S]
	if found && strings.HasPrefix(r.P, "c#") {
		var at, was checkpoint
		_ = json.Unmarshal([]byte(r.Data), &at)
		_ = json.Unmarshal([]byte(now.Data), &was)
		switch plant {
		case "unconditional":
			v, r.V = now.V, now.V+1
		case "unclaimed":
			if claims := at.Epoch > was.Epoch && at.Low == was.Low; claims {
				return nil // it writes no epoch, but goes by that of the positions
			}
			if at.Epoch >= was.Epoch {
				v, r.V = now.V, now.V+1
			}
		}
	}
	if found != (v > 0) || now.V != v {
		d.refused++
		if !found {
			return &Refused{}
		}
		return &Refused{Now: &now}
	}
	if r.KeepBody {
		r.Body, r.KeepBody = now.Body, false
	}
	d.judge(r, now, found)
	d.change(table, r.P, r.S, func() { d.tables[table][r.P][r.S] = r })
	return nil
}

// change makes a change, and looks at what it means for what is set aside.
func (d *base) change(table, p, s string, change func()) {
	uuid, is := strings.CutPrefix(p, "a#")
	if !is {
		change()
		return
	}
	k, err := asideKeyOf(s)
	if err != nil {
		panic(err)
	}
	n := k.Seq.Lo
	before := d.isAside(uuid, k.Shard, d.position(uuid, k.Shard))[n]
	change()
	after := d.isAside(uuid, k.Shard, d.position(uuid, k.Shard))[n]
	cp, _ := d.position(uuid, k.Shard).lane()
	if covers := cp.Covers(k.Hash, k.Seq); !covers {
		before = false // it comes again
	}
	if before && !after && !d.ended[uuid][n] {
		d.fault("I1: record %d is not set aside any more, and has not ended", n)
	}
	row := fmt.Sprint(uuid, n)
	if after && d.removed[row] {
		d.fault("I3: record %d is set aside again, after its end was stored", n)
	}
	d.removed[row] = d.removed[row] || before && !after
}

func (d *base) position(uuid, shard string) (at checkpoint) {
	if row, ok := d.tables["millstream-progress"]["c#"+uuid][shard]; ok {
		_ = json.Unmarshal([]byte(row.Data), &at)
	}
	return at
}

// isAside are the records of a shard that are set aside, if its position is this one.
func (d *base) isAside(uuid, shard string, at checkpoint) map[uint64]bool {
	all := map[uint64]bool{}
	for s, row := range d.tables["millstream-progress"]["a#"+uuid] {
		var a asideRow
		_ = json.Unmarshal([]byte(row.Data), &a)
		if k, err := asideKeyOf(s); err == nil && k.Shard == shard && a.counts(at) {
			all[k.Seq.Lo] = true
		}
	}
	return all
}

// transact makes a function's items and sends its messages, which are records that count once more, and rows.
func (d *base) transact(items []json.RawMessage, messages json.RawMessage, rows []Written, plant string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if plant == "apart" {
		d.send(messages)
		messages = nil
	}
	c := &Cancelled{Reasons: make([]Reason, len(items)+len(rows))}
	for i := range c.Reasons {
		c.Reasons[i].Code = noReason
	}
	fails := false
	for i := range rows {
		w := &rows[i]
		now, found := d.tables[w.Table][w.Row.P][w.Row.S]
		if found && plant == "unfenced" {
			w.V, w.Row.V = now.V, now.V+1
		}
		if !found || now.V != w.V {
			d.refused++
			fails = true
			c.Reasons[len(items)+i] = Reason{Code: conditionFailed}
			if found {
				c.Reasons[len(items)+i].Now = &now
			}
		}
	}
	if fails {
		return c
	}
	for _, i := range items {
		var item struct {
			Put struct {
				Item struct{ PK struct{ S string } }
			}
		}
		if err := json.Unmarshal(i, &item); err != nil {
			panic(err)
		}
		function, number, _ := strings.Cut(item.Put.Item.PK.S, "/")
		n, _ := strconv.ParseUint(number, 10, 64)
		if d.written[item.Put.Item.PK.S]++; d.written[item.Put.Item.PK.S] > 1 {
			d.fault("I4: the writes of record %d are made twice", n)
		}
		d.end(function, n)
	}
	d.send(messages)
	for i := range rows {
		w := &rows[i]
		now := d.tables[w.Table][w.Row.P][w.Row.S]
		d.judge(w.Row, now, true)
		d.change(w.Table, w.Row.P, w.Row.S, func() { d.tables[w.Table][w.Row.P][w.Row.S] = w.Row })
	}
	return nil
}

// send is called with mu held.
func (d *base) send(messages json.RawMessage) {
	if messages == nil {
		return
	}
	var all []struct{ MessageBody string }
	if err := json.Unmarshal(messages, &all); err != nil {
		panic(err)
	}
	for _, m := range all {
		if d.sent[m.MessageBody]++; d.sent[m.MessageBody] > 1 {
			d.fault("I4: the message %s is sent twice", m.MessageBody)
		}
		function, number, _ := strings.Cut(m.MessageBody, "/")
		n, _ := strconv.ParseUint(number, 10, 64)
		d.end(function, n)
	}
}

// end is called with mu held.
func (d *base) end(uuid string, n uint64) {
	if d.ended[uuid] == nil {
		d.ended[uuid], d.failed[uuid] = map[uint64]bool{}, map[uint64]int{}
	}
	d.ended[uuid][n] = true
}

func (d *base) remove(table, p, s string, v uint64) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	now, found := d.tables[table][p][s]
	if found && v > 0 && now.V != v {
		d.refused++
		return &Refused{Now: &now}
	}
	if found {
		d.change(table, p, s, func() { delete(d.tables[table][p], s) })
	}
	return nil
}

func (d *base) part(table, p, from string, limit int, heads bool) (rows []Row, next string) {
	for _, r := range d.query(table, p, "") {
		if r.S < from {
			continue
		}
		if len(rows) == limit {
			return rows, r.S
		}
		if heads {
			r.Body = ""
		}
		rows = append(rows, r)
	}
	return rows, ""
}

// judge looks at a write that is accepted.
func (d *base) judge(r, old Row, found bool) {
	if r.S == slicePrefix+d.arn {
		var s sliceRow
		_ = json.Unmarshal([]byte(r.Data), &s)
		if s.Owner != "" {
			positions := map[string]checkpoint{} // stored at the take: nobody who has it from now on calls with these again
			for p, rows := range d.tables["millstream-progress"] {
				for shard, row := range rows {
					var at checkpoint
					_ = json.Unmarshal([]byte(row.Data), &at)
					positions[p+"/"+shard] = at
				}
			}
			d.taken[s.Epoch], d.held[s.Epoch] = positions, map[string]bool{}
			for p, rows := range d.tables["millstream-progress"] {
				if uuid, is := strings.CutPrefix(p, "c#"); is {
					for shard := range rows {
						for n := range d.isAside(uuid, shard, positions[p+"/"+shard]) {
							d.held[s.Epoch][fmt.Sprint(uuid, n)] = true
						}
					}
				}
			}
		}
	}
	if !strings.HasPrefix(r.P, "c#") {
		return
	}
	var at, was checkpoint
	_ = json.Unmarshal([]byte(r.Data), &at)
	cp, _ := at.lane()
	function := strings.TrimPrefix(r.P, "c#")
	_ = json.Unmarshal([]byte(old.Data), &was)
	before, _ := was.lane()
	if found && at.Generation > was.Generation { // it was moved, or there is another shard that was
		maps.DeleteFunc(d.removed, func(row string, _ bool) bool { return strings.HasPrefix(row, function) })
		for n, rec := range d.records {
			if h := keyHash(rec.key); d.skipped[function] && rec.shard == r.S && cp.Covers(h, simNumber(n)) && !before.Covers(h, simNumber(n)) {
				d.end(function, n)
			}
		}
	}
	set := d.isAside(function, r.S, at)
	d.aside = max(d.aside, len(set))
	for n := range d.lent[function] {
		if backend.IsSnapshot(r.S) && cp.Covers(keyHash(d.records[n].key), itemNumber(n)) && !d.ended[function][n] && !set[n] {
			d.fault("I1: a position of %s passes the item of record %d, which has neither ended nor is set aside", r.S, n)
		}
	}
	for n, rec := range d.records {
		if rec.shard == r.S && n > d.since[function] && cp.Covers(keyHash(rec.key), simNumber(n)) && !d.ended[function][n] && !set[n] {
			d.fault("I1: a position of %s passes record %d of key %d, which has neither ended nor is set aside", r.S, n, rec.key)
		}
	}
	if !found {
		return
	}
	if w := at.Window; w != nil {
		whole := *w
		for i := range w.Pieces {
			piece, err := base64.StdEncoding.DecodeString(d.tables["millstream-progress"]["w#"+function][pieceSort(w.Under, i)].Body)
			if err != nil {
				panic(err)
			}
			whole.State = append(whole.State, piece...)
		}
		d.judgeWindow(function, r.S, whole, "stored", func(n uint64, key int) bool { return cp.Covers(keyHash(key), simNumber(n)) })
	}
	if at.Epoch < was.Epoch {
		d.fault("I5: epoch %d writes over epoch %d", at.Epoch, was.Epoch)
	}
	if at.Generation == was.Generation && (cp.Low.Less(before.Low) || before.Done && !cp.Done) {
		d.fault("I3: a stored position goes back from %s to %s", before.Low, cp.Low)
	}
}

// judgeWindow wants the state of a window to be of those of its records that it is to be of.
func (d *base) judgeWindow(function, shard string, w windowRow, what string, of func(n uint64, key int) bool) {
	var state struct{ N []uint64 }
	if err := json.Unmarshal(w.State, &state); err != nil {
		d.fault("I6: the state of a window: %v", err)
	}
	for n, rec := range d.records {
		in := rec.shard == shard && rec.at >= w.Start && rec.at < w.End && of(n, rec.key)
		if in != slices.Contains(state.N, n) {
			d.fault("I6: the state of the window that begins at %d of %s, %s, has record %d: %t, want %t", w.Start, shard, what, n, !in, in)
		}
	}
}

var hashes sync.Map

func keyHash(key int) uint64 {
	if h, ok := hashes.Load(key); ok {
		return h.(uint64)
	}
	r, err := newRecord(fmt.Appendf(nil, `{"dynamodb":{"ApproximateCreationDateTime":1,"Keys":{"pk":{"S":"%d"}},"SequenceNumber":"1"}}`, key), "")
	if err != nil {
		panic(err)
	}
	hashes.Store(key, r.hash)
	return r.hash
}

func (d *base) query(table, p, s string) (rows []Row) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, k := range slices.Sorted(maps.Keys(d.tables[table][p])) {
		if s == "" || k == s {
			rows = append(rows, d.tables[table][p][k])
		}
	}
	return rows
}

func (d *base) describe() (out Described) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, s := range d.shards {
		out.Shards = append(out.Shards, DescribedShard{ID: s.id, Parent: s.parent, Start: simNumber(s.start).String(), Closed: s.closed})
	}
	return out
}

func (d *base) iterator(shard, at string) (string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, s := range d.shards {
		if s.id != shard {
			continue
		}
		after := max(s.start-1, s.past)
		if ms, is := strings.CutPrefix(at, timePrefix); is {
			at = ""
			for n := range d.records {
				if t, _ := strconv.ParseInt(ms, 10, 64); d.records[n].shard == shard && d.records[n].at*1000 < t {
					after = max(after, n)
				}
			}
		}
		switch at {
		case TrimHorizon, "":
		case Latest:
			if len(s.numbers) > 0 {
				after = s.numbers[len(s.numbers)-1]
			}
		default:
			n, err := number(at)
			if err != nil {
				return "", err
			}
			if after = n.Lo; after < s.past {
				return "", ErrTrimmed
			}
		}
		return shard + "|" + strconv.FormatUint(after, 10), nil
	}
	return "", ErrGone
}

// page is empty: what is there is to be waited for.
func (d *base) page(iterator string, limit int) (out Records, moved chan struct{}) {
	d.mu.Lock()
	defer d.mu.Unlock()
	shard, text, _ := strings.Cut(iterator, "|")
	after, _ := strconv.ParseUint(text, 10, 64)
	for _, s := range d.shards {
		if s.id != shard {
			continue
		}
		if after < s.past {
			return out, d.moved
		}
		out.After = simNumber(after).String()
		i, _ := slices.BinarySearch(s.numbers, after+1)
		for ; i < len(s.numbers) && len(out.Records) < limit; i++ {
			out.Records, after = append(out.Records, s.log[i]), s.numbers[i]
		}
		if !s.closed || i < len(s.numbers) {
			out.Next = shard + "|" + strconv.FormatUint(after, 10)
		}
	}
	return out, d.moved
}

// machine is one process: an engine over a Backend.
type machine struct {
	plant   string
	d       *base
	rng     *rand.Rand // of its link; guarded by mu
	b       *Backend
	e       *trigger.Engine
	stop    context.CancelFunc
	stopped atomic.Bool
	done    chan struct{}

	mu     sync.Mutex
	paused chan struct{} // closed when it goes on; nil: it runs
	dead   bool
	loads  chan struct{} // if there is one, positions are read once it is closed
	atBeat time.Duration // it is to stop for so long once its next beat has arrived, before it knows
}

// pause stops a process for a while.
func (n *machine) pause(wait time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.paused != nil {
		return
	}
	n.paused = make(chan struct{})
	n.d.later(wait, func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		close(n.paused)
		n.paused = nil
	})
}

func (n *machine) draw(k int) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.rng.IntN(k)
}

// gate holds whoever comes while the process is stopped, and for ever when it is dead. It reports whether the process lives, and whether
// it was held.
func (n *machine) gate() (lives, held bool) {
	for {
		n.mu.Lock()
		paused, dead := n.paused, n.dead
		n.mu.Unlock()
		switch {
		case dead:
			<-n.d.over
			return false, held
		case paused == nil:
			return true, held
		}
		held = true
		select {
		case <-paused:
		case <-n.d.over:
			return false, held
		}
	}
}

var errNetwork = errors.New("the network lost it")

// do sends a request. do is called when it arrives, perhaps twice, or after the sender has died.
func (n *machine) do(ctx context.Context, writes bool, request func() error) error {
	if lives, _ := n.gate(); !lives {
		return errNetwork
	}
	defer n.gate()
	ms := func(k int) time.Duration { return time.Duration(n.draw(k)) * time.Millisecond }
	lose := func() error {
		select {
		case <-ctx.Done():
		case <-n.d.over:
		}
		return errNetwork
	}
	if !n.d.calm.Load() {
		switch n.draw(30) {
		case 0: // it is lost
			return lose()
		case 1: // it arrives late
			if writes {
				n.d.later(ms(15000), func() { _ = request() })
			}
			return lose()
		case 2: // its answer is lost
			time.Sleep(ms(20))
			_ = request()
			return lose()
		case 3: // it is doubled
			if writes {
				n.d.later(ms(15000), func() { _ = request() })
			}
		}
	}
	time.Sleep(ms(20))
	err := request()
	time.Sleep(ms(20))
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

func (n *machine) Put(ctx context.Context, table string, r Row, v uint64) error {
	if strings.HasPrefix(r.P, "a#") && !n.d.calm.Load() && n.draw(20) == 0 { // it arrives when another has the work
		n.d.later(time.Duration(10000+n.draw(20000))*time.Millisecond, func() { _ = n.d.put(table, r, v, n.plant) })
		n.pause(time.Duration(15000+n.draw(15000)) * time.Millisecond)
	}
	return n.do(ctx, true, func() error {
		err := n.d.put(table, r, v, n.plant)
		if strings.HasPrefix(r.S, nodePrefix) {
			n.mu.Lock()
			pause := n.atBeat
			n.atBeat = 0
			n.mu.Unlock()
			if pause > 0 {
				n.pause(pause)
			}
		}
		return err
	})
}

func (n *machine) Delete(ctx context.Context, table, p, s string, v uint64) error {
	return n.do(ctx, true, func() error { return n.d.remove(table, p, s, v) })
}

func (n *machine) Transact(ctx context.Context, items []json.RawMessage, rows []Written) error {
	return n.TransactSending(ctx, items, nil, rows)
}

func (n *machine) TransactSending(ctx context.Context, items []json.RawMessage, messages json.RawMessage, rows []Written) error {
	return n.do(ctx, true, func() error { return n.d.transact(items, messages, slices.Clone(rows), n.plant) })
}

func (n *machine) Part(ctx context.Context, table, p, from string, limit int, heads bool) (rows []Row, next string, err error) {
	if err := n.waitsToLoad(ctx, p); err != nil {
		return nil, "", err
	}
	err = n.do(ctx, false, func() error { rows, next = n.d.part(table, p, from, limit, heads); return nil })
	return rows, next, err
}

func (n *machine) Query(ctx context.Context, table, p, s string) (rows []Row, err error) {
	if err := n.waitsToLoad(ctx, p); err != nil {
		return nil, err
	}
	err = n.do(ctx, false, func() error { rows = n.d.query(table, p, s); return nil })
	return rows, err
}

func (n *machine) waitsToLoad(ctx context.Context, p string) error {
	n.mu.Lock()
	loads := n.loads
	n.mu.Unlock()
	if loads != nil && strings.HasPrefix(p, "c#") {
		select {
		case <-loads:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

func (n *machine) Describe(ctx context.Context, _ string) (out Described, err error) {
	err = n.do(ctx, false, func() error { out = n.d.describe(); return nil })
	return out, err
}

func (n *machine) Iterator(ctx context.Context, _, shard, at string) (out string, err error) {
	err = n.do(ctx, false, func() (err error) { out, err = n.d.iterator(shard, at); return err })
	return out, err
}

func (n *machine) Records(ctx context.Context, iterator string, limit int, wait time.Duration) (out Records, err error) {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for {
		page, moved := n.d.page(iterator, 1)
		if wait == 0 || len(page.Records) > 0 || page.Next == "" {
			break
		}
		select {
		case <-moved:
			continue
		case <-timer.C:
		case <-ctx.Done():
			return out, ctx.Err()
		case <-n.d.over:
			return out, errNetwork
		}
		break
	}
	err = n.do(ctx, false, func() error {
		if out, _ = n.d.page(iterator, limit); out.After == "" {
			return ErrTrimmed
		}
		return nil
	})
	return out, err
}

// itemNumber is that of the item whose newest record is this one.
func itemNumber(n uint64) seqnum.Num { return seqnum.Num{Hi: 1, Lo: n} }

// Lend, Items and EndLent are those of a server that keeps the items. Those of a mapping's books are their newest records; older ones are over.
func (n *machine) Lend(ctx context.Context, uuid, _, _ string) (l Lent, err error) {
	err = n.do(ctx, true, func() error {
		d := n.d
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.lent[uuid] != nil {
			return errors.New("there are some")
		}
		d.lent[uuid], d.since[uuid], d.kept[uuid] = map[uint64]bool{}, d.last, true
		newest := map[int]uint64{}
		for num, r := range d.records {
			newest[r.key] = max(newest[r.key], num)
		}
		for num, r := range d.records {
			if newest[r.key] == num {
				d.lent[uuid][num] = true
				l.Items, l.Last = l.Items+1, later(l.Last, itemNumber(num))
			} else {
				d.end(uuid, num)
			}
		}
		l.Places = map[string]LentPlace{}
		for _, s := range d.shards {
			after := s.start - 1
			if len(s.numbers) > 0 && n.plant != "older" {
				after = s.numbers[len(s.numbers)-1]
			}
			l.Places[s.id] = LentPlace{After: simNumber(after), Done: s.closed}
		}
		return nil
	})
	return l, err
}

func (n *machine) Items(ctx context.Context, uuid, _ string, after uint64, limit int) (out Items, err error) {
	err = n.do(ctx, false, func() error {
		d := n.d
		d.mu.Lock()
		defer d.mu.Unlock()
		if !d.kept[uuid] {
			return ErrNotKept
		}
		out = Items{}
		for _, num := range slices.Sorted(maps.Keys(d.lent[uuid])) {
			if num <= after {
				continue
			}
			if len(out.Records) == min(limit, 2) {
				return nil
			}
			r := d.records[num]
			out.Records = append(out.Records, fmt.Appendf(nil, `{"eventID":"%d","eventName":"INSERT","eventVersion":"1.1","awsRegion":"us-east-1","dynamodb":{"ApproximateCreationDateTime":%d,"Keys":{"pk":{"S":"%d"}},"SequenceNumber":"%s","SizeBytes":3,"StreamViewType":"KEYS_ONLY"}}`,
				num, r.at, r.key, itemNumber(num)))
		}
		out.End = true
		return nil
	})
	return out, err
}

func (n *machine) EndLent(ctx context.Context, uuid string) error {
	return n.do(ctx, true, func() error {
		n.d.mu.Lock()
		defer n.d.mu.Unlock()
		delete(n.d.kept, uuid)
		return nil
	})
}

// Resolve and Invoke are the functions'. A function is known by its mapping's id, so that the books have it.
func (n *machine) Resolve(_ context.Context, scope schema.Scope, name string) (string, error) {
	return scope.FunctionARN(name), nil
}

func (n *machine) Invoke(ctx context.Context, arn string, payload []byte) lane.Result {
	lives, held := n.gate()
	withdrawn := lane.Result{Outcome: lane.NotDelivered, Error: "dead"}
	if !lives {
		return withdrawn
	}
	uuid := functionUUID(arn)
	var event struct {
		Records []struct {
			EventID  string
			DynamoDB struct{ SequenceNumber string } `json:"dynamodb"`
		}
		Window *struct{ Start, End time.Time }
		State  json.RawMessage
		Shard  string `json:"shardId"`
		Final  bool   `json:"isFinalInvokeForWindow"`
	}
	if err := json.Unmarshal(payload, &event); err != nil {
		panic(err)
	}
	d := n.d
	d.mu.Lock()
	if w := event.Window; w != nil && event.Final {
		d.judgeWindow(uuid, event.Shard, windowRow{Start: w.Start.Unix(), End: w.End.Unix(), State: event.State}, "closed", func(uint64, int) bool { return true })
		d.windows[uuid]++
	}
	d.calls++
	c := n.b.claimOn(d.arn)
	var mine []uint64
	for _, r := range event.Records {
		num, _ := strconv.ParseUint(r.EventID, 10, 64)
		mine = append(mine, num)
		rec, shard, seq := d.records[num], d.records[num].shard, simNumber(num)
		if r.DynamoDB.SequenceNumber == itemNumber(num).String() {
			shard, seq = backend.SnapshotShard(uuid), itemNumber(num)
		} else if num <= d.since[uuid] {
			d.fault("a call with record %d of key %d, which is older than the items that the mapping begins with", num, rec.key)
		}
		if d.ended[uuid][num] {
			d.again++
		}
		for o, other := range d.records {
			givenUp := d.retries[uuid] >= 0 && d.failed[uuid][o] > d.retries[uuid]
			if other.key == rec.key && other.nth < rec.nth && !d.ended[uuid][o] && !slices.Contains(mine, o) && !givenUp {
				d.fault("I2: a call with record %d of key %d begins before record %d has ended", num, rec.key, o)
			}
		}
		if c == nil {
			continue
		}
		if at, ok := d.taken[c.epoch]["c#"+uuid+"/"+shard]; ok && at.Generation == d.position(uuid, shard).Generation {
			if cp, _ := at.lane(); (cp.Done || cp.Covers(keyHash(rec.key), seq)) && !d.held[c.epoch][fmt.Sprint(uuid, num)] {
				d.fault("I3: the owner of epoch %d calls with record %d, whose end was stored when it took the stream", c.epoch, num)
			}
		}
		var at checkpoint
		if row, ok := d.tables["millstream-progress"]["c#"+uuid][shard]; ok && !held {
			_ = json.Unmarshal([]byte(row.Data), &at)
			if at.Epoch > c.epoch {
				d.fault("a call with record %d begins by the owner of epoch %d, after epoch %d has claimed", num, c.epoch, at.Epoch)
			}
		}
	}
	d.mu.Unlock()
	time.Sleep(time.Duration(n.draw(200)) * time.Millisecond)
	fails := !d.calm.Load() && n.draw(6) == 0
	d.mu.Lock()
	fails = fails || d.broken
	if d.failed[uuid] == nil {
		d.ended[uuid], d.failed[uuid] = map[uint64]bool{}, map[uint64]int{}
	}
	once := d.once[uuid]
	items, messages := "", ""
	for _, num := range mine {
		if fails {
			d.failed[uuid][num]++
		} else if !once {
			d.end(uuid, num)
		}
		items += fmt.Sprintf(`,{"Put":{"TableName":"out","Item":{"pk":{"S":"%s/%d"}}}}`, uuid, num)
		messages += fmt.Sprintf(`,{"MessageBody":"%s/%d"}`, uuid, num)
	}
	d.mu.Unlock()
	if lives, _ := n.gate(); !lives {
		return withdrawn
	}
	if fails {
		return lane.Result{Outcome: lane.FunctionError, Error: "boom"}
	}
	if event.Window != nil {
		var state struct{ N []uint64 }
		if err := json.Unmarshal(event.State, &state); err != nil {
			panic(err)
		}
		state.N = append(state.N, mine...)
		return lane.Result{Payload: []byte(`{"state":` + encode(map[string]any{"N": state.N, "pad": strings.Repeat("x", n.draw(3)*20000)}) + `}`)}
	}
	if once { // writes, messages, or both
		if mine[0]%3 == 1 {
			items = " "
		} else if mine[0]%3 == 2 {
			messages = " "
		}
		return lane.Result{Payload: []byte(`{"transactItems":[` + items[1:] + `],"sendMessages":[` + messages[1:] + `]}`)}
	}
	return lane.Result{}
}

// Deliver is the on-failure destination's, a bucket: whose documents have the records.
func (n *machine) Deliver(_ context.Context, _, _, key string, document []byte) error {
	if lives, _ := n.gate(); !lives {
		return errNetwork
	}
	defer n.gate()
	time.Sleep(time.Duration(n.draw(200)) * time.Millisecond)
	fails := !n.d.calm.Load() && n.draw(6) == 0
	if fails && n.draw(2) == 0 {
		return errNetwork
	}
	var notice struct{ Payload string }
	var event struct {
		Records []struct{ EventID string }
	}
	if err := errors.Join(json.Unmarshal(document, &notice), json.Unmarshal([]byte(notice.Payload), &event)); err != nil {
		panic(err)
	}
	n.d.mu.Lock()
	for _, r := range event.Records {
		num, _ := strconv.ParseUint(r.EventID, 10, 64)
		n.d.end(strings.Split(key, "/")[2], num)
		n.d.told++
	}
	n.d.mu.Unlock()
	if fails {
		return errNetwork
	}
	return nil
}

func functionUUID(arn string) string {
	return fmt.Sprintf("%s-1111-4222-8333-444444444444", arn[strings.LastIndex(arn, ":f")+2:])
}

// boot starts a process.
func boot(t *testing.T, d *base, rng *rand.Rand, log *slog.Logger, plant string) *machine {
	n := &machine{d: d, rng: rand.New(rand.NewPCG(rng.Uint64(), 1)), done: make(chan struct{})}
	rate := 0.9 + float64(rng.IntN(21))/100
	start := time.Now()
	n.b = New(Options{Endpoint: n, Drain: 2 * time.Second, Log: log, Elapsed: func() time.Duration {
		n.gate() // else it would see its deadline pass while it is stopped
		return time.Duration(float64(time.Since(start)) * rate)
	}})
	n.plant = plant
	n.b.bugs = bugs{revives: plant == "revives", early: plant == "early", unsealed: plant == "unsealed", forgets: plant == "forgets", renews: plant == "renews", stale: plant == "stale", thaws: plant == "thaws"}
	n.b.bugs.older = rng.IntN(3) == 0
	d.all = append(d.all, n)
	made := 0
	ctx, cancel := context.WithCancel(context.Background())
	n.stop = func() { n.stopped.Store(true); cancel() }
	go func() {
		defer close(n.done)
		e, err := trigger.New(ctx, trigger.Options{
			Backend: n.b, Invoker: n, Destination: n, Log: log, CommitInterval: 500 * time.Millisecond, Jitter: func() float64 { return 1 },
			NewUUID: func() string { made++; return functionUUID(fmt.Sprintf(":f%08d", made)) },
		})
		if err != nil {
			if ctx.Err() == nil {
				t.Error(err)
			}
			return
		}
		n.mu.Lock()
		n.e = e
		n.mu.Unlock()
		_ = e.Run(ctx)
	}()
	return n
}

// simulate runs one schedule and returns what went wrong.
func simulate(t *testing.T, seed uint64, plant string) (d *base) {
	rng := rand.New(rand.NewPCG(seed, 7))
	log := slog.New(slog.DiscardHandler)
	d = newBase()
	d.calm.Store(true)
	var all []*machine
	for range 2 + rng.IntN(2) {
		all = append(all, boot(t, d, rng, log, plant))
	}
	synctest.Wait()
	time.Sleep(2 * time.Second)
	mappings := 1 + rng.IntN(2)
	items := seed%3 == 1 || plant == "thaws" || plant == "older" // the last mapping begins with those that there are
	for i := range 12 {
		if items {
			d.write(i * 5 % 6)
		}
	}
	var movable []string
	for i := range mappings {
		start, on := mapping.StartTrimHorizon, []string{"", "block-key", "park", "tell", "window"}[rng.IntN(5)]
		if i == 1 {
			start = mapping.StartLatest
		}
		begins := items && i == mappings-1
		if (i == 1 || begins) && on == "window" {
			on = ""
		}
		r := mapping.CreateRequest{
			EventSourceArn: new(d.arn), StartingPosition: new(string(start)),
			Settings: mapping.Settings{
				FunctionName: new(fmt.Sprintf("f%08d", i+1)), BatchSize: new(1 + rng.IntN(5)), ParallelizationFactor: new(1 + rng.IntN(3)), BisectBatchOnFunctionError: new(rng.IntN(2) == 0),
			},
		}
		retries := -1
		r.Tags = map[string]string{}
		if begins {
			r.Tags["millstream:start"] = "snapshot"
		}
		if on == "park" || on == "tell" || on == "block-key" && rng.IntN(2) == 0 {
			retries = rng.IntN(2)
			r.MaximumRetryAttempts = &retries
		}
		if on == "window" {
			r.TumblingWindowInSeconds, r.ParallelizationFactor = new(2+rng.IntN(5)), nil
		} else if on == "tell" {
			r.DestinationConfig = &mapping.DestinationConfig{OnFailure: &struct{ Destination *string }{new("arn:aws:s3:::lost")}}
		} else if on != "" {
			r.Tags["millstream:on-failure"] = on
		}
		if on != "window" && rng.IntN(3) == 0 || plant == "unfenced" || plant == "renews" || plant == "apart" {
			r.Tags["millstream:exactly-once"] = "true"
			d.once[functionUUID(fmt.Sprintf(":f%08d", i+1))] = true
		}
		d.retries[functionUUID(fmt.Sprintf(":f%08d", i+1))] = retries
		if on != "window" && r.Tags["millstream:exactly-once"] == "" && !begins {
			movable = append(movable, functionUUID(fmt.Sprintf(":f%08d", i+1)))
		}
		if _, err := all[0].engine().Create(context.Background(), simScope, r); err != nil {
			t.Fatal(err)
		}
	}
	d.calm.Store(false)
	splitAt := rng.IntN(120)
	for i := range 60 {
		for range 1 + rng.IntN(3) {
			d.write(rng.IntN(6))
		}
		if i == splitAt {
			d.split()
		}
		time.Sleep(time.Duration(rng.IntN(600)) * time.Millisecond)
		if n := all[rng.IntN(len(all))]; rng.IntN(25) == 0 && len(movable) > 0 && n.lives() { // a person moves a trigger, at some node
			d.movedBy(n, movable[rng.IntN(len(movable))], rng.IntN(3) > 0, rng.Uint64N(d.lastNow()+1))
		}
		if rng.IntN(6) > 0 {
			continue
		}
		n := all[rng.IntN(len(all))]
		for _, o := range all { // mostly the owner
			if o.b.claimOn(d.arn) != nil && rng.IntN(4) > 0 {
				n = o
			}
		}
		switch rng.IntN(4) {
		case 0: // it dies, and another is started
			n.mu.Lock()
			n.dead = true
			n.mu.Unlock()
			all = append(all, boot(t, d, rng, log, plant))
		case 1: // it is told to end, and another is started
			n.stop()
			all = append(all, boot(t, d, rng, log, plant))
		case 2:
			n.mu.Lock()
			n.atBeat = time.Duration(rng.IntN(25000)) * time.Millisecond
			n.mu.Unlock()
		default:
			n.pause(time.Duration(rng.IntN(25000)) * time.Millisecond)
		}
	}
	time.Sleep(30 * time.Second) // what is late arrives
	d.calm.Store(true)
	done := func() bool {
		d.mu.Lock()
		defer d.mu.Unlock()
		for i := range mappings {
			if len(d.ended[functionUUID(fmt.Sprintf(":f%08d", i+1))]) < len(d.records) {
				return false
			}
		}
		return true
	}
	for i := range 300 {
		if done() {
			break
		}
		time.Sleep(time.Second)
		if n := all[rng.IntN(len(all))]; i%10 == 5 && n.lives() { // a person has what is parked tried again, at some node
			for m := range mappings {
				ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
				redriven, _, err := n.engine().Redrive(ctx, functionUUID(fmt.Sprintf(":f%08d", m+1)), trigger.Redrive{})
				cancel()
				if d.redriven += redriven; err != nil {
					d.unredriven++
				}
			}
		}
	}
	if !done() {
		d.mu.Lock()
		d.fault("I7: after five minutes without trouble, not every record has ended: %d, %d of %d", len(d.ended[functionUUID(":f00000001")]), len(d.ended[functionUUID(":f00000002")]), len(d.records))
		d.mu.Unlock()
	}
	time.Sleep(5 * time.Second) // the last positions
	for _, n := range all {
		n.stop()
	}
	close(d.over)
	for _, n := range all {
		n.b.dropAll() // of the dead, whose beats do not do it with a planted bug
		<-n.done
	}
	d.late.Wait()
	return d
}

// schedules are those to run: MILLSTREAM_SCHEDULES says how many, or from which seed up to which (10000-20000, without the last).
func schedules() (from, to uint64) {
	text := os.Getenv("MILLSTREAM_SCHEDULES")
	if first, last, is := strings.Cut(text, "-"); is {
		from, _ = strconv.ParseUint(first, 10, 64)
		text = last
	}
	to, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		to = from + 100
	}
	return from, to
}

func TestSimulation(t *testing.T) {
	from, to := schedules()
	var calls, again, refused, aside, redriven, unredriven, told, written, sent, windows, moves, notMoved int
	for seed := from; seed < to; seed++ {
		began := time.Now()
		synctest.Test(t, func(t *testing.T) {
			d := simulate(t, seed, "")
			calls, again, refused, aside = calls+d.calls, again+d.again, refused+d.refused, aside+d.aside
			redriven, unredriven, told, written = redriven+d.redriven, unredriven+d.unredriven, told+d.told, written+len(d.written)
			moves, notMoved, sent = moves+d.moves, notMoved+d.notMoved, sent+len(d.sent)
			for _, n := range d.windows {
				windows += n
			}
			for _, w := range d.wrong {
				t.Errorf("seed %d: %s", seed, w)
			}
		})
		if t.Failed() {
			break
		}
		if took := time.Since(began); took > 3*time.Second {
			t.Logf("seed %d took %v", seed, took)
		}
	}
	if refused == 0 || again == 0 || aside == 0 || redriven == 0 || told == 0 || written == 0 || sent == 0 || windows == 0 || moves == notMoved {
		t.Error("no condition was refused, or nothing was delivered again: the schedules are too easy")
	}
	t.Logf("%d schedules, %d calls, %d with a record that had ended, %d conditions that did not hold, %d set aside, %d tried again by a person (%d askings failed), %d told to a destination, %d written and %d sent exactly once, %d windows, %d moves (%d failed)",
		to-from, calls, again, refused, aside, redriven, unredriven, told, written, sent, windows, moves, notMoved)
}

// The simulation has to notice what the rules are for.
func TestPlantedBugsAreFound(t *testing.T) {
	for name, plant := range map[string]string{
		"a late beat revives": "revives", "a position without condition": "unconditional", "without a claim": "unclaimed",
		"a position before the rows set aside": "early", "rows that count by the position": "unsealed", "no stones": "forgets",
		"exactly-once writes without the position's condition": "unfenced", "exactly-once writes tried again with a new version": "renews", "messages that are not in the transaction": "apart",
		"a position with the window before it": "stale", "items that are given up too early": "thaws", "a stream that goes on before its items": "older",
	} {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(2000) {
				var found string
				synctest.Test(t, func(t *testing.T) {
					if d := simulate(t, seed, plant); len(d.wrong) > 0 {
						found = d.wrong[0]
					}
				})
				if found != "" {
					t.Logf("seed %d: %s", seed, found)
					return
				}
			}
			t.Error("it was not found")
		})
	}
}

// lives reports whether the process can be asked.
func (n *machine) lives() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return !n.dead && n.e != nil && n.stopped.Load() == false
}

// engine is there once the process has begun.
func (n *machine) engine() *trigger.Engine {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.e
}
