// Package storm has nodes work a table's stream while items are written, and nodes are killed and cut off, and judges what their functions were called with. It
// does not know how nodes run: the test of internal/backend/remote has them as processes, `millstream verify` has them in its own.
package storm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/millstreamdb/millstream/internal/backend"
	"github.com/millstreamdb/millstream/internal/trigger"
	"github.com/millstreamdb/millstream/internal/trigger/lane"
	"github.com/millstreamdb/millstream/internal/trigger/mapping"
)

// Keys of items: calls with one in twenty fail for good, until the storm is over.
const keys = 100

// Faulty reports whether calls with a record of this item fail.
func Faulty(key string) bool {
	k, err := strconv.Atoi(key)
	return err == nil && k%20 == k/20
}

// Names of the functions.
const (
	Holds  = "holds"  // the records of faulty items are held until it is mended
	Parks  = "parks"  // they are parked, until a person sends them again
	Counts = "counts" // counts all records, by writes that are made with the position
)

// Settings are those of a function's mapping.
func Settings(function string) (s mapping.Settings, tags map[string]string) {
	s.FunctionName, s.BatchSize = &function, new(10)
	switch function {
	case Holds:
		return s, map[string]string{"millstream:on-failure": "block-key"}
	case Parks:
		s.MaximumRetryAttempts = new(0)
		return s, map[string]string{"millstream:on-failure": "block-key"}
	}
	s.BatchSize = new(100)
	return s, map[string]string{"millstream:exactly-once": "true"}
}

// Nodes are what the storm goes over.
type Nodes interface {
	IDs() []int         // none is zero
	Kill(id int) error  // and another begins in its place
	Pause(id int) error // until Resume it stores nothing
	Resume(id int) error
	Asked() *trigger.Engine // of a node that a person asks when the storm is over
}

// Options of New. Length, Lease and Put are required.
type Options struct {
	Length, Lease time.Duration
	Rate          int           // writes a second; default 500
	Patience      time.Duration // without a record that is new, while some are still to come; default three minutes, since held ones are tried once a minute, or four leases
	Put           func(ctx context.Context, key string, n int) error
	// Counted reads a counter that the function Counts writes. nil: there is no such function.
	Counted  func(ctx context.Context, counter string) (int, error)
	Progress func(Progress)
	Over     func() // is called when nothing is written any more, and no node killed
}

// Progress is told every few seconds.
type Progress struct {
	For              time.Duration
	Written, Handled int
	Kills, Pauses    int
	Over             bool // nothing is written any more
}

// Storm is one.
type Storm struct {
	o         Options
	functions map[string]*Function

	mu            sync.Mutex
	written       map[string]int
	kills, pauses atomic.Int64
}

// New returns a storm. It has the functions Holds, Parks, and Counts if what that one counts can be read.
func New(o Options) *Storm {
	if o.Rate == 0 {
		o.Rate = 500
	}
	if o.Patience == 0 {
		o.Patience = max(3*time.Minute, 4*o.Lease)
	}
	s := &Storm{o: o, written: map[string]int{}, functions: map[string]*Function{
		Holds: {Fails: 20, Fault: Faulty}, Parks: {Fault: Faulty, Loose: true},
	}}
	if o.Counted != nil {
		s.functions[Counts] = &Function{}
	}
	return s
}

// Functions are the names of the functions. Each is to have one mapping on the stream of the items' table.
func (s *Storm) Functions() []string {
	if s.functions[Counts] == nil {
		return []string{Holds, Parks}
	}
	return []string{Holds, Parks, Counts}
}

// counters are the items that Counts writes: a transaction has not room for each item's own.
const counters = 10

// Call is a call of a function by a node. counts is the table of counters.
func (s *Storm) Call(function string, by int, event []byte, counts string) (answer []byte, err error) {
	f := s.functions[function]
	if f == nil {
		return nil, fmt.Errorf("there is no function %q", function)
	}
	n, err := f.Call(by, event)
	if err != nil || function != Counts {
		return nil, err
	}
	sums := map[string]int{}
	for key, n := range n {
		k, _ := strconv.Atoi(key)
		sums[strconv.Itoa(k%counters)] += n
	}
	var writes []any
	for counter, n := range sums {
		writes = append(writes, map[string]any{"Update": map[string]any{
			"TableName": counts, "Key": map[string]any{"pk": map[string]string{"S": counter}}, "UpdateExpression": "ADD n :n",
			"ExpressionAttributeValues": map[string]any{":n": map[string]string{"N": strconv.Itoa(n)}},
		}})
	}
	return json.Marshal(map[string]any{"transactItems": writes})
}

// Item is the input of a PutItem by which an item is written the nth time: one that comes late, or twice, is refused.
func Item(table, key string, n int) map[string]any {
	number := map[string]string{"N": strconv.Itoa(n)}
	return map[string]any{
		"TableName": table, "Item": map[string]any{"pk": map[string]string{"S": key}, "n": number},
		"ConditionExpression": "attribute_not_exists(pk) OR n < :n", "ExpressionAttributeValues": map[string]any{":n": number},
	}
}

// Get is the input of a GetItem of a counter.
func Get(table, counter string) map[string]any {
	return map[string]any{"TableName": table, "Key": map[string]any{"pk": map[string]string{"S": counter}}, "ConsistentRead": true}
}

// Report is what a storm has found. It went well if there are no Faults.
type Report struct {
	Seconds    float64 `json:"seconds"` // of writing
	Records    int     `json:"records"`
	Lost       int     `json:"lost"`       // that some function was never called with
	OutOfOrder int     `json:"outOfOrder"` // that came after a later one of their item
	Again      int     `json:"again"`      // times that one came again to the function that is looked at for takeovers
	MostAgain  int     `json:"mostAgain"`  // the most of them by one takeover
	Kills      int     `json:"kills"`
	Pauses     int     `json:"pauses"`
	// Takeovers are times that the node that worked the stream was killed or stopped, and calls have gone on since.
	Takeovers       int     `json:"takeovers"`
	MedianTakeover  float64 `json:"medianTakeoverSeconds"`
	LongestTakeover float64 `json:"longestTakeoverSeconds"`
	LongestGap      float64 `json:"longestGapSeconds"` // between two calls
	Faulty          int     `json:"faulty"`            // records of items whose calls fail
	Held            int     `json:"held"`
	Parked          int     `json:"parked"`
	Counted         *int    `json:"counted"` // by exactly-once writes; null: the endpoint has no transactions

	Faults []string `json:"faults"`
}

// worst is how many faults of one kind are told.
const worst = 5

func (r *Report) fault(format string, args ...any) {
	r.Faults = append(r.Faults, fmt.Sprintf(format, args...))
}

// Run is the storm, and the judgement. uuids are the functions' mappings. An error says that it could not be carried out.
func (s *Storm) Run(ctx context.Context, nodes Nodes, uuids map[string]string) (*Report, error) {
	began := time.Now()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var over atomic.Bool
	var telling sync.WaitGroup
	defer telling.Wait()
	defer stop()
	if s.o.Progress != nil {
		telling.Go(func() { s.tell(ctx, began, &over) })
	}
	if err := s.weather(ctx, nodes); err != nil {
		return nil, err
	}
	over.Store(true)
	if s.o.Over != nil {
		s.o.Over()
	}
	r := &Report{Seconds: s.o.Length.Seconds(), Kills: int(s.kills.Load()), Pauses: int(s.pauses.Load()), LongestGap: s.functions[Holds].Gap().Seconds(), Faults: []string{}}
	sound := map[string]int{}
	for key, n := range s.written {
		if r.Records += n; Faulty(key) {
			r.Faulty += n
		} else {
			sound[key] = n
		}
	}
	// All that does not fail comes, and what fails is set aside.
	missing := 0
	wait := func(more int) error {
		return s.handled(ctx, func(name string) int {
			if name == Counts {
				return r.Records - missing
			}
			return r.Records - r.Faulty + more - missing
		})
	}
	if err := wait(0); err != nil {
		return nil, err
	}
	for _, name := range s.Functions() {
		lost, _ := s.functions[name].judge(sound)
		missing = max(missing, len(lost))
	}
	e := nodes.Asked()
	deaf := false // the endpoint does not even tell what is set aside
	aside := func(name string, kind lane.AsideKind, want int, hopeless bool) int {
		n, err := s.aside(ctx, e, uuids[name], kind, want, hopeless || deaf)
		if err != nil {
			deaf = true
			r.fault("what the function %s has set aside cannot be listed: %v", name, err)
		}
		return n
	}
	r.Held, r.Parked = aside(Holds, lane.Held, r.Faulty, missing > 0), aside(Parks, lane.Parked, r.Faulty, missing > 0)
	if r.Held != r.Faulty {
		r.fault("%d records are held of %d that fail", r.Held, r.Faulty)
	}
	if r.Parked != r.Faulty {
		r.fault("%d records are parked of %d that fail", r.Parked, r.Faulty)
	}
	// Then the functions are mended, and a person sends again what is parked.
	for _, f := range s.functions {
		f.Mend()
	}
	if err := redrive(ctx, e, uuids[Parks], s.patience(deaf)); err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		r.fault("what is parked cannot be sent again: %v", err)
	}
	if err := wait(min(r.Held, r.Parked)); err != nil {
		return nil, err
	}
	for name, what := range map[string]string{Holds: "held", Parks: "parked"} {
		if left := aside(name, 0, 0, len(r.Faults) > 0); left > 0 {
			r.fault("%d records are %s still, though they do not fail any more", left, what)
		}
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	s.judge(r)
	if s.o.Counted != nil {
		sum, err := s.sum(ctx, r.Records, len(r.Faults) > 0)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err != nil {
			r.fault("what exactly-once writes have counted cannot be read: %v", err)
		}
		if r.Counted = &sum; sum != r.Records {
			r.fault("exactly-once writes have counted %d records of %d", sum, r.Records)
		}
	}
	return r, nil
}

// sum is what exactly-once writes have counted. It waits until that is what is wanted, or does not grow any more: the writes of a call are made after it.
func (s *Storm) sum(ctx context.Context, want int, hopeless bool) (sum int, err error) {
	patience := s.patience(hopeless)
	for late := time.Now().Add(patience); ; {
		n := 0
		try, cancel := context.WithDeadline(ctx, late)
		for i := range counters {
			var one int
			if one, err = s.o.Counted(try, strconv.Itoa(i)); err != nil {
				break
			}
			n += one
		}
		cancel()
		if err == nil && n > sum {
			sum, late = n, time.Now().Add(patience)
		}
		if err == nil && sum >= want || !time.Now().Before(late) {
			return sum, err
		}
		if err := sleep(ctx, 20*time.Millisecond); err != nil {
			return sum, err
		}
	}
}

// judge looks at what functions were called with, and when.
func (s *Storm) judge(r *Report) {
	lost, late := map[record]bool{}, map[record]bool{}
	for _, name := range s.Functions() {
		l, o := s.functions[name].judge(s.written)
		for i, one := range l {
			if lost[one] = true; i < worst {
				r.fault("lost: %s has not come to the function %s", one, name)
			}
		}
		for i, one := range o {
			if late[one] = true; i < worst {
				r.fault("out of order: %s came to the function %s after a later one", one, name)
			}
		}
	}
	r.Lost, r.OutOfOrder = len(lost), len(late)
	f := s.functions[Holds]
	f.mu.Lock()
	defer f.mu.Unlock()
	r.Again, r.Takeovers = f.again, len(f.resumed)
	if len(f.repeats) > 0 {
		r.MostAgain = slices.Max(f.repeats)
	}
	if slices.Sort(f.resumed); len(f.resumed) > 0 {
		r.MedianTakeover, r.LongestTakeover = f.resumed[len(f.resumed)/2].Seconds(), f.resumed[len(f.resumed)-1].Seconds()
	}
}

// tell tells of the progress.
func (s *Storm) tell(ctx context.Context, began time.Time, over *atomic.Bool) {
	tick := time.NewTicker(10 * time.Second)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		p := Progress{For: time.Since(began), Kills: int(s.kills.Load()), Pauses: int(s.pauses.Load()), Over: over.Load()}
		p.Handled, _, _ = s.functions[Holds].Look()
		s.mu.Lock()
		for _, n := range s.written {
			p.Written += n
		}
		s.mu.Unlock()
		s.o.Progress(p)
	}
}

// handled waits until each function has had so many records, or nothing new comes.
func (s *Storm) handled(ctx context.Context, want func(function string) int) error {
	var all sync.WaitGroup
	for name, f := range s.functions {
		all.Go(func() { f.Await(ctx, want(name), s.o.Patience) })
	}
	all.Wait()
	return ctx.Err()
}

// aside waits until a mapping has set aside so many records, all of a kind, if it is one, and returns how many it has. hopeless: it is not waited long for.
func (s *Storm) aside(ctx context.Context, e *trigger.Engine, uuid string, kind lane.AsideKind, want int, hopeless bool) (n int, err error) {
	for late := time.Now().Add(s.patience(hopeless)); ; {
		try, cancel := context.WithDeadline(ctx, late) // a node reads for as long as it may
		all, _, _, err := e.ListAside(try, uuid, trigger.AsideFilter{}, lane.AsideKey{}, want+1000)
		cancel()
		if err == nil {
			n = 0
		}
		for i := range all {
			if err == nil && (want == 0 || all[i].Kind == kind) {
				n++
			}
		}
		switch {
		case err == nil && n == want && len(all) == want:
			return n, nil
		case ctx.Err() != nil:
			return n, ctx.Err()
		case !time.Now().Before(late):
			return n, err
		}
		if err := sleep(ctx, 100*time.Millisecond); err != nil {
			return n, err
		}
	}
}

// patience is how long something is waited for.
func (s *Storm) patience(hopeless bool) time.Duration {
	if hopeless {
		return min(s.o.Patience, 5*time.Second)
	}
	return s.o.Patience
}

// redrive sends again what is parked. A stream that changes hands meanwhile is asked again.
func redrive(ctx context.Context, e *trigger.Engine, uuid string, patience time.Duration) error {
	for late := time.Now().Add(patience); ; {
		try, cancel := context.WithDeadline(ctx, late)
		done := make(chan error, 1)
		go func() { // it ends with the node: what a machine has been asked for is waited for, whoever has left
			_, _, err := e.Redrive(try, uuid, trigger.Redrive{})
			done <- err
		}()
		var err error
		select {
		case err = <-done:
		case <-try.Done():
			err = try.Err()
		}
		cancel()
		again := errors.Is(err, trigger.ErrMoved) || errors.Is(err, backend.ErrUnknown) || errors.Is(err, backend.ErrNobody)
		if !again || !time.Now().Before(late) {
			return err
		}
		if err := sleep(ctx, 100*time.Millisecond); err != nil {
			return err
		}
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// weather is the writing, and the killing.
func (s *Storm) weather(ctx context.Context, nodes Nodes) error {
	over := time.Now().Add(s.o.Length)
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	writers := min(max(s.o.Rate/50, 1), keys/5)
	var all sync.WaitGroup
	for k := range writers {
		all.Go(func() {
			tick := time.NewTicker(time.Second * time.Duration(writers) / time.Duration(s.o.Rate))
			defer tick.Stop()
			for ctx.Err() == nil && time.Now().Before(over) {
				if err := s.write(ctx, k+writers*rand.IntN(keys/writers)); err != nil {
					stop(err)
				}
				select {
				case <-tick.C:
				case <-ctx.Done():
				}
			}
		})
	}
	for ctx.Err() == nil && time.Now().Before(over) {
		if err := s.strike(ctx, nodes); err != nil {
			stop(err)
		}
	}
	all.Wait()
	return context.Cause(ctx)
}

// writeFor is how long a write is tried again.
const writeFor = 30 * time.Second

// write writes an item once more.
func (s *Storm) write(ctx context.Context, k int) error {
	key := strconv.Itoa(k)
	s.mu.Lock()
	n := s.written[key] + 1 // nobody else writes it
	s.mu.Unlock()
	for late := time.Now().Add(writeFor); ; {
		try, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second) // a write that has begun is not left open
		err := s.o.Put(try, key, n)
		cancel()
		if err == nil {
			break
		}
		if time.Now().After(late) || ctx.Err() != nil {
			return fmt.Errorf("an item cannot be written: %w", err)
		}
		if err := sleep(ctx, 100*time.Millisecond); err != nil {
			return err
		}
	}
	s.mu.Lock()
	s.written[key] = n
	s.mu.Unlock()
	return nil
}

// strike waits, and kills or stops the node that works the stream, and another one.
func (s *Storm) strike(ctx context.Context, nodes Nodes) error {
	some := func(most time.Duration) time.Duration { return s.o.Lease/2 + rand.N(max(most, 1)) }
	if err := sleep(ctx, some(min(2*s.o.Lease, s.o.Length/2))); err != nil {
		return err
	}
	f, ids := s.functions[Holds], nodes.IDs()
	rand.Shuffle(len(ids), func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
	_, _, owner := f.Look() // whoever has called last, if it is there
	if i := slices.Index(ids, owner); i >= 0 {
		ids[0], ids[i] = ids[i], ids[0]
	}
	two := ids[:min(2, len(ids))]
	f.away(two)
	var stopped []int
	defer func() { f.back(stopped) }()
	for _, id := range two {
		if rand.IntN(2) == 0 {
			s.kills.Add(1)
			if err := nodes.Kill(id); err != nil {
				return err
			}
			continue
		}
		s.pauses.Add(1)
		if err := nodes.Pause(id); err != nil {
			return err
		}
		stopped = append(stopped, id)
	}
	var err error
	if len(stopped) > 0 {
		err = sleep(ctx, some(2*s.o.Lease))
	}
	for _, id := range stopped {
		err = errors.Join(err, nodes.Resume(id))
	}
	return err
}
