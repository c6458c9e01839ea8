package lane

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/millstreamdb/millstream/internal/pattern"
)

// The files of testdata/scenarios are scenarios for one lane machine, in the terms of a
// user: a mapping's parameters, records, a function's behaviour, and the
// invocations that follow, each with its time. Jitter is 1: a wait is never
// shortened.
//
//	mapping batch=N window=D factor=N retries=N age=D   begin, or change with "change"
//	    report bisect tumbling=D destination=ARN        the lines below are filters
//	    on-failure=block-shard|block-key|park
//	write keys=(1,2,1) size=N                           append records; numbers count from 1
//	function                                            rules, one a line, first match counts:
//	    fail R [N]        a batch with record R fails (the first N times)
//	    throttle D        nothing is delivered before time D
//	    slow R D          a batch with record R takes D
//	    report R...       the answer names those of the records that are in the batch
//	    answer R TEXT     a batch with record R (0: every batch) is answered with TEXT
//	    state BYTES       the answer's state is padded to so many bytes
//	    final N           the closing call of a window fails the first N times
//	destination                                         ok, or "fail until=D"; what it was told is printed
//	run for=D                                           let time pass; prints what happens
//	clock by=D                                          the wall clock is set, ahead or back
//	status                                              checkpoint and counters
//	aside                                               the rows of what is set aside
//	limit N                                             so many rows may be set aside
//	redrive, drop                                       all parked records
//	disable, enable, close, changed                     control; close ends the shard
//	child                                               the records that follow are in a child of the shard
//	commit                                              store the checkpoint
//	restart                                             begin again from what was stored
func TestScenarios(t *testing.T) {
	datadriven.Walk(t, "testdata/scenarios", func(t *testing.T, path string) {
		s := &scenario{timer: never, aside: newScenarioAside()}
		s.now.Wall = 1_000_000_000
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			s.out.Reset()
			s.command(t, d)
			return s.out.String()
		})
	})
}

type scenario struct {
	out    strings.Builder
	m      *Machine
	p      Params
	now    Instant
	log    []*testRecord
	closed bool
	timer  time.Duration
	calls  []scenarioCall
	rules  []*rule
	stored Checkpoint
	aside  *scenarioAside
	start  uint64 // of the shard: the number before its first record
	shard  int
	// The destination fails until this moment.
	deaf time.Duration
}

type scenarioCall struct {
	batch   uint64
	at      time.Duration
	result  Result
	records []Record
	aside   bool
}

type rule struct {
	kind    string
	record  uint64
	records []uint64
	times   int
	d       time.Duration
	text    string
}

func (s *scenario) command(t *testing.T, d *datadriven.TestData) {
	switch d.Cmd {
	case "mapping":
		s.p = Params{BatchSize: 100, Factor: 1, MaxRetries: -1, MaxAge: -1}
		s.params(t, d)
		s.calls, s.stored = nil, Checkpoint{}
		s.aside = newScenarioAside()
		s.begin(Checkpoint{})
	case "change":
		s.params(t, d)
		s.asideStep(Change{Params: s.p})
		s.step(Change{Params: s.p})
	case "write":
		size := 0
		d.MaybeScanArgs(t, "size", &size)
		for _, a := range d.CmdArgs {
			if a.Key != "keys" {
				continue
			}
			for _, v := range a.Vals {
				key, err := strconv.Atoi(v)
				if err != nil {
					d.Fatalf(t, "%v", err)
				}
				s.log = append(s.log, newRecord(uint64(len(s.log)+1), key, 0, s.now.Wall, size))
			}
		}
		s.wake()
	case "destination":
		s.deaf = 0
		var until string
		if d.MaybeScanArgs(t, "until", &until); until != "" {
			s.deaf = duration(t, until)
		}
	case "function":
		s.rules = nil
		for line := range strings.Lines(d.Input) {
			s.rules = append(s.rules, parseRule(t, strings.Fields(line)))
		}
	case "run":
		var wait string
		d.ScanArgs(t, "for", &wait)
		s.run(s.now.Mono + duration(t, wait))
	case "clock":
		var by string
		d.ScanArgs(t, "by", &by)
		s.now.Wall += duration(t, by).Milliseconds()
	case "status":
		s.status()
	case "disable":
		s.asideStep(Stop{Generation: s.p.Generation + 1})
		s.step(Stop{Generation: s.p.Generation + 1})
	case "enable":
		s.p.Generation++
		s.asideStep(Start{Params: s.p})
		s.step(Start{Params: s.p})
		s.wake()
	case "close":
		s.closed = true
		s.wake()
	case "changed":
		s.asideStep(Nudge{})
		s.step(Nudge{})
	case "commit":
		s.stored = s.m.Checkpoint()
	case "child":
		s.start, s.shard, s.closed = uint64(len(s.log)), s.shard+1, false
		s.m = NewMachine(s.childPosition(), fmt.Sprint("shard-", s.shard), s.aside.Aside, func() float64 { return 1 })
		s.timer = never
		s.step(Start{Params: s.p})
		s.wake()
	case "aside":
		s.printAside()
	case "limit":
		s.aside.limits.records, _ = strconv.Atoi(d.CmdArgs[0].Key)
	case "redrive", "drop", "give-up":
		all := func(r *SetAside) bool { return len(d.CmdArgs) == 0 || d.CmdArgs[0].Key == fmt.Sprint(r.Ordinal) }
		s.asideStep(Recall{Max: 1000, Match: all, Discard: d.Cmd == "drop", GiveUp: d.Cmd == "give-up"})
	case "restart":
		s.calls = nil
		rows := s.aside.rows
		s.aside = newScenarioAside()
		s.aside.rows = rows
		s.aside.Load(rows.page(AsideKey{}, 1000, true))
		s.begin(s.stored)
	default:
		d.Fatalf(t, "unknown command")
	}
}

func duration(t *testing.T, s string) time.Duration {
	d, err := time.ParseDuration(s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func parseRule(t *testing.T, f []string) *rule {
	r := &rule{kind: f[0], times: 1 << 30}
	switch r.kind {
	case "report":
		for _, n := range f[1:] {
			u, _ := strconv.ParseUint(n, 10, 64)
			r.records = append(r.records, u)
		}
		return r
	case "answer":
		r.text = strings.Join(f[2:], " ")
	case "state", "final":
		r.times, _ = strconv.Atoi(f[1])
		return r
	case "throttle":
		r.d = duration(t, f[1])
		return r
	case "slow":
		r.d = duration(t, f[2])
	case "fail":
		if len(f) > 2 {
			r.times, _ = strconv.Atoi(f[2])
		}
	}
	r.record, _ = strconv.ParseUint(f[1], 10, 64)
	return r
}

func (s *scenario) params(t *testing.T, d *datadriven.TestData) {
	d.MaybeScanArgs(t, "batch", &s.p.BatchSize)
	d.MaybeScanArgs(t, "factor", &s.p.Factor)
	d.MaybeScanArgs(t, "retries", &s.p.MaxRetries)
	var onFailure string
	if d.MaybeScanArgs(t, "on-failure", &onFailure); onFailure != "" {
		s.p.OnFailure = ParseOnFailure(onFailure)
	}
	s.p.ReportFailures = s.p.ReportFailures || d.HasArg("report")
	s.p.Bisect = s.p.Bisect || d.HasArg("bisect")
	if d.MaybeScanArgs(t, "destination", &s.p.Destination); s.p.Destination == "none" {
		s.p.Destination = ""
	}
	if d.Input != "" || d.Cmd == "mapping" {
		s.p.Filters = nil
		for line := range strings.Lines(d.Input) {
			f, err := pattern.Parse(line)
			if err != nil {
				d.Fatalf(t, "%v", err)
			}
			s.p.Filters = append(s.p.Filters, f)
		}
	}
	for name, to := range map[string]*time.Duration{"window": &s.p.Window, "age": &s.p.MaxAge, "tumbling": &s.p.Tumbling} {
		var v string
		if d.MaybeScanArgs(t, name, &v); v != "" {
			*to = duration(t, v)
		}
	}
	s.p.Generation++
}

func (s *scenario) begin(cp Checkpoint) {
	s.m = NewMachine(cp, fmt.Sprint("shard-", s.shard), s.aside.Aside, func() float64 { return 1 })
	s.timer = never
	s.asideStep(Start{Params: s.p})
	s.step(Start{Params: s.p})
	s.wake()
}

func (s *scenario) wake() {
	if s.m != nil {
		s.step(Wake{Head: num(uint64(len(s.log))), Records: uint64(len(s.log)), Closed: s.closed})
	}
}

func (s *scenario) printf(format string, args ...any) {
	fmt.Fprintf(&s.out, "%7s  "+format+"\n", append([]any{s.now.Mono}, args...)...)
}

func (s *scenario) step(ev Event) {
	for _, a := range s.m.Step(s.now, ev, nil) {
		switch a := a.(type) {
		case PutAside:
			s.printPut(a)
		case Poke:
			s.asideStep(Timer{})
		case Commit:
			s.store(s.m.TakeChanges())
		case Read:
			s.step(PageRead{Token: a.Token, Page: pageOf(s.log, 0, s.closed, a.After, a.MaxRecords, a.MaxBytes)})
		case Invoke:
			s.invoke(a, false)
		case SetTimer:
			s.timer = a.At
		case Drop:
			what := list(a.Records)
			if len(a.Records) == 0 {
				what = "the window " + spanOf(a.Window)
			}
			s.printf("give up %s: %s after %d attempts", what, a.Reason, a.Attempts)
		case Deliver:
			s.deliver(a, s.step)
		case Done:
			s.printf("shard done")
		}
	}
}

// deliver tells the destination at once, and prints what it would have read.
func (s *scenario) deliver(a Deliver, step func(Event)) {
	if s.now.Mono < s.deaf {
		s.printf("tell %s of %s: error", a.Destination, list(a.Records))
		step(Delivered{Batch: a.Batch, Error: "deaf"})
		return
	}
	by := "no answer"
	if a.Reason == RetryAttemptsExhausted {
		by = "null"
		if a.Unhandled {
			by = "Unhandled"
		}
	}
	s.printf("tell %s of %s: %s after %d attempts (%s)", a.Destination, list(a.Records), a.Reason, a.Attempts, by)
	step(Delivered{Batch: a.Batch})
}

// spanOf prints a window in seconds since the scenario began.
func spanOf(w *Window) string { return fmt.Sprintf("[%d,%d)", w.Start-1_000_000, w.End-1_000_000) }

// list prints records as 1-3,5.
func list(records []Record) string {
	var out []string
	for i := 0; i < len(records); {
		j := i
		for j+1 < len(records) && records[j+1].Ordinal() == records[j].Ordinal()+1 {
			j++
		}
		text := fmt.Sprint(records[i].Ordinal())
		if j > i {
			text += fmt.Sprint("-", records[j].Ordinal())
		}
		out = append(out, text)
		i = j + 1
	}
	return strings.Join(out, ",")
}

func (s *scenario) invoke(a Invoke, aside bool) {
	call := scenarioCall{batch: a.Batch, at: s.now.Mono, records: a.Records, aside: aside}
	has := func(n uint64) bool {
		return slices.ContainsFunc(a.Records, func(r Record) bool { return r.Ordinal() == n })
	}
	text := "ok"
	for _, r := range s.rules {
		switch {
		case r.kind == "throttle" && s.now.Mono < r.d:
			call.result, text = Result{Outcome: NotDelivered, Error: "throttled"}, "not delivered"
		case r.kind == "slow" && has(r.record):
			call.at += r.d
			text = "ok after " + r.d.String()
		case r.kind == "fail" && has(r.record) && r.times > 0, r.kind == "final" && a.Final && r.times > 0:
			r.times--
			call.result, text = Result{Outcome: FunctionError, Error: "boom"}, "error"
		case r.kind == "report" && slices.ContainsFunc(r.records, has):
			answer := `{"batchItemFailures":[`
			text = "reports"
			for _, n := range r.records {
				if has(n) {
					answer += fmt.Sprintf(`{"itemIdentifier":"%s"},`, num(n))
					text += fmt.Sprintf(" %d", n)
				}
			}
			answer = strings.TrimSuffix(answer, ",") + "]"
			if a.Window != nil {
				answer += `,"state":{"n":"partial"}`
			}
			call.result.Payload = []byte(answer + "}")
		case r.kind == "answer" && (r.record == 0 || has(r.record)):
			call.result.Payload, text = []byte(r.text), r.text
		case r.kind == "state" && a.Window != nil && !a.Final:
			call.result.Payload = fmt.Appendf(nil, `{"state":{"pad":"%s"}}`, strings.Repeat("x", r.times))
			text = fmt.Sprintf("a state of %d bytes", r.times+len(`{"pad":""}`))
		default:
			continue
		}
		break
	}
	what := list(a.Records)
	if w := a.Window; w != nil {
		state := string(w.State)
		if len(state) > 50 {
			state = fmt.Sprintf("of %d bytes", len(state))
		}
		what += " " + spanOf(w) + " " + state
		if a.Final {
			what = "final" + what
		}
		if a.Early {
			what += " early"
		}
		if call.result.Outcome == Succeeded && call.result.Payload == nil && !a.Final {
			call.result.Payload = nextState(w.State, a.Records)
		}
	}
	if n := len(a.Payload("arn")); n > 100_000 {
		text += fmt.Sprintf(" (%d bytes)", n)
	}
	kind := ""
	if aside {
		kind = " held"
	}
	s.printf("invoke%s %s: %s", kind, what, text)
	s.calls = append(s.calls, call)
}

// nextState counts the records of a window.
func nextState(state []byte, records []Record) []byte {
	var v struct {
		State struct {
			N int `json:"n"`
		} `json:"state"`
	}
	_ = json.Unmarshal(state, &v.State)
	v.State.N += len(records)
	answer, _ := json.Marshal(v)
	return answer
}

// run lets time pass until the moment, event by event.
func (s *scenario) run(until time.Duration) {
	for {
		next := min(s.timer, s.aside.timer)
		i := -1
		for j, c := range s.calls {
			if c.at <= next {
				next, i = c.at, j
				break
			}
		}
		for j, c := range s.calls {
			if c.at < next {
				next, i = c.at, j
			}
		}
		if next > until {
			s.advance(until)
			return
		}
		s.advance(next)
		if i < 0 {
			if s.aside.timer <= s.now.Mono {
				s.aside.timer = never
				s.asideStep(Timer{})
			}
			if s.timer <= s.now.Mono {
				s.timer = never
				s.step(Timer{})
			}
			continue
		}
		c := s.calls[i]
		s.calls = slices.Delete(s.calls, i, i+1)
		if c.aside {
			s.asideStep(InvocationDone{Batch: c.batch, Result: c.result})
			continue
		}
		s.step(InvocationDone{Batch: c.batch, Result: c.result})
	}
}

func (s *scenario) advance(to time.Duration) {
	to = max(to, s.now.Mono)
	s.now.Wall += (to - s.now.Mono).Milliseconds()
	s.now.Mono = to
}

func (s *scenario) status() {
	cp := s.m.Checkpoint()
	fmt.Fprintf(&s.out, "low-water mark %d", cp.Low.Lo)
	for _, a := range cp.Ahead {
		fmt.Fprintf(&s.out, ", lane %d at %d", a.Lane, a.Seq.Lo)
	}
	if cp.Done {
		s.out.WriteString(", done")
	}
	if w := cp.Window; w != nil {
		fmt.Fprintf(&s.out, ", window %s %.50s", spanOf(w), w.State)
	}
	c := s.m.counters
	c.Add(s.aside.counters)
	fmt.Fprintf(&s.out, "\npolled %d, invoked %d, failed %d, dropped %d", c.Polled, c.Invoked, c.FailedInvoke, c.Dropped)
	for _, n := range []struct {
		name string
		n    uint64
	}{{"filtered out", c.FilteredOut}, {"bisected", c.Bisected}, {"delivered", c.Delivered}, {"destination failures", c.DestinationFailures},
		{"held", c.Held}, {"parked", c.Parked}} {
		if n.n > 0 {
			fmt.Fprintf(&s.out, ", %s %d", n.name, n.n)
		}
	}
	s.out.WriteString("\n")
}
