package schedule

import (
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/outbox"
)

func (w *world) create(d Definition) string {
	w.t.Helper()
	text, err := w.s.Create(d)
	w.must(err)
	return text
}

func (w *world) expect(target, source string, want ...string) {
	w.t.Helper()
	if got := w.got(target)[source]; !slices.Equal(got, want) {
		w.t.Errorf("%s has sent %v, want %v", source, got, want)
	}
}

// TestSchedules: each kind of schedule starts at its moments, no more and no less.
func TestSchedules(t *testing.T) {
	w := newWorld(t)
	rate := w.create(definition("rate", "rate(2 minutes)")) // at once
	cron := w.create(definition("cron", "cron(0/2 * * * ? *)"))
	d := definition("berlin", "cron(3 1 * * ? *)")
	d.Timezone = "Europe/Berlin"
	berlin := w.create(d)
	d = definition("at", "at(2030-01-01T00:03:07)")
	once := w.create(d)
	d.Name, d.DeleteAfter = "gone", true
	gone := w.create(d)
	d = definition("limits", "rate(1 minute)")
	d.StartMS, d.EndMS = begin.Add(2*time.Minute).UnixMilli(), begin.Add(4*time.Minute).UnixMilli()
	limits := w.create(d)
	d = definition("off", "rate(1 minute)")
	d.Disabled = true
	off := w.create(d)
	past := w.create(definition("past", "at(2029-01-01T00:00:00)"))
	w.advance(5 * time.Minute)

	w.expect(function, rate, "2030-01-01T00:00:30Z", "2030-01-01T00:02:30Z", "2030-01-01T00:04:30Z")
	w.expect(function, cron, "2030-01-01T00:02:00Z", "2030-01-01T00:04:00Z")
	w.expect(function, berlin, "2030-01-01T00:03:00Z")
	w.expect(function, once, "2030-01-01T00:03:07Z")
	w.expect(function, gone, "2030-01-01T00:03:07Z")
	w.expect(function, limits, "2030-01-01T00:02:30Z", "2030-01-01T00:03:30Z", "2030-01-01T00:04:30Z")
	w.expect(function, off)
	w.expect(function, past)
	if _, err := w.s.Schedule(testScope, "", "gone"); err == nil {
		t.Error("a schedule that is to be removed after its end is there")
	}
	if d, err := w.s.Schedule(testScope, "", "at"); err != nil || d.NextMS != 0 || d.LastMS == 0 {
		t.Error("a schedule that has ended is shown as ", d, err)
	}
}

// TestUpdate: a change of when it is due begins anew; any other goes on.
func TestUpdate(t *testing.T) {
	w := newWorld(t)
	source := w.create(definition("s", "rate(10 minutes)"))
	w.advance(time.Minute)
	d := definition("s", "rate(10 minutes)")
	d.Description = "other"
	_, err := w.s.Update(d)
	w.must(err)
	w.advance(9 * time.Minute)
	w.expect(function, source, "2030-01-01T00:00:30Z", "2030-01-01T00:10:30Z")
	d.Disabled = true
	_, err = w.s.Update(d)
	w.must(err)
	w.advance(time.Hour)
	w.expect(function, source, "2030-01-01T00:00:30Z", "2030-01-01T00:10:30Z")
	d.Disabled = false
	_, err = w.s.Update(d)
	w.must(err)
	w.advance(0)
	w.expect(function, source, "2030-01-01T00:00:30Z", "2030-01-01T00:10:30Z", "2030-01-01T01:10:30Z")
	w.must(w.s.Delete(testScope, "", "s"))
	w.advance(time.Hour)
	w.expect(function, source, "2030-01-01T00:00:30Z", "2030-01-01T00:10:30Z", "2030-01-01T01:10:30Z")
}

// TestRules: a rule's rate begins after one rate, each target gets its own input, and a removed one nothing.
func TestRules(t *testing.T) {
	w := newWorld(t)
	rule := Definition{Scope: testScope, Name: "r", Expression: "rate(1 minute)"}
	ruleARN, err := w.s.PutRule(rule)
	w.must(err)
	input, queue := `{"a": 1}`, testScope.QueueARN("q")
	_, err = w.s.PutTargets(testScope, "r", []Target{{ID: "1", ARN: function}, {ID: "2", ARN: queue, Input: &input}})
	w.must(err)
	w.advance(time.Minute)
	w.expect(function, ruleARN+"#1", "2030-01-01T00:01:30Z")
	w.expect(queue, ruleARN+"#2", input)
	if err := w.s.DeleteRule(testScope, "r"); err == nil || err.Error() != awserr.RuleHasTargets().Error() {
		t.Error("a rule with targets is removed: ", err)
	}
	refused, err := w.s.RemoveTargets(testScope, "r", []string{"2", "3"})
	if err != nil || len(refused) != 1 || refused[0].ID != "3" {
		t.Error(refused, err)
	}
	w.must(w.s.EnableRule(testScope, "r", false))
	w.advance(5 * time.Minute)
	w.must(w.s.EnableRule(testScope, "r", true))
	_, err = w.s.PutRule(rule) // the same again changes nothing
	w.must(err)
	w.advance(time.Minute)
	w.expect(function, ruleARN+"#1", "2030-01-01T00:01:30Z", "2030-01-01T00:07:30Z")
	w.expect(queue, ruleARN+"#2", input)
}

// TestInput: a schedule's input has its context in the place of AWS's words; without one there is an event.
func TestInput(t *testing.T) {
	w := newWorld(t)
	input := `{"of":"<aws.scheduler.schedule-arn>","at":"<aws.scheduler.scheduled-time>","n":<aws.scheduler.attempt-number>,"x":"<aws.scheduler.other>"}`
	d := definition("s", "rate(1 minute)")
	d.Targets[0].Input = &input
	source := w.create(d)
	w.advance(0)
	w.expect(function, source, `{"of":"arn:aws:scheduler:eu-west-1:123456789012:schedule/default/s","at":"2030-01-01T00:00:30Z","n":1,"x":"<aws.scheduler.other>"}`)
	for _, c := range []struct {
		kind Kind
		want string
	}{
		{Rule, `{"version":"0","id":"I","detail-type":"Scheduled Event","source":"aws.events","account":"123456789012","time":"2030-01-01T00:00:30Z","region":"eu-west-1",` +
			`"resources":["arn:aws:events:eu-west-1:123456789012:rule/n"],"detail":{}}`},
		{Schedule, `{"version":"0","id":"I","detail-type":"Scheduled Event","source":"aws.scheduler","account":"123456789012","time":"2030-01-01T00:00:30Z","region":"eu-west-1",` +
			`"resources":["arn:aws:scheduler:eu-west-1:123456789012:schedule/g/n"],"detail":"{}"}`},
	} {
		e := &entry{def: &Definition{Kind: c.kind, Scope: testScope, Group: "g", Name: "n"}}
		got, err := e.payload(&Target{}, begin.UnixMilli(), "I")
		if err != nil || string(got) != c.want {
			t.Errorf("the event is %s (%v), want %s", got, err, c.want)
		}
	}
}

// TestInputOfAFunctionIsJSON: as it is once AWS's words are replaced. A queue is sent any text.
func TestInputOfAFunctionIsJSON(t *testing.T) {
	w := newWorld(t)
	for i, c := range []struct {
		input, target string
		ok            bool
	}{
		{`{"n":<aws.scheduler.attempt-number>,"at":"<aws.scheduler.scheduled-time>"}`, function, true},
		{`hello`, function, false},
		{`{"a":1}}`, function, false},
		{`{"n":<aws.scheduler.other>}`, function, false},
		{`hello`, testScope.QueueARN("q"), true},
	} {
		d := definition("s"+itoa(i), "rate(1 minute)")
		d.Targets[0].ARN, d.Targets[0].Input = c.target, &c.input
		_, err := w.s.Create(d)
		if (err == nil) != c.ok || err != nil && !strings.Contains(err.Error(), "must be well-formed JSON") {
			t.Errorf("%s to %s: %v", c.input, c.target, err)
		}
	}
}

// TestWindow: with a flexible window a start is made within it, and the moments stay.
func TestWindow(t *testing.T) {
	w := newWorld(t)
	d := definition("s", "cron(0 * * * ? *)")
	d.WindowMinutes = 15
	source := w.create(d)
	w.advance(time.Hour - 30*time.Second) // 1:00
	w.advance(15*time.Minute - time.Millisecond)
	w.expect(function, source, "2030-01-01T01:00:00Z")
	w.advance(time.Hour)
	w.expect(function, source, "2030-01-01T01:00:00Z", "2030-01-01T02:00:00Z")
}

// TestRetries: what fails is tried again, until it is given up and told to the dead-letter queue with what went wrong.
func TestRetries(t *testing.T) {
	w := newWorld(t)
	dead := testScope.QueueARN("dead")
	retries, age := 2, 60
	d := definition("counted", "at(2030-01-01T00:01:00)")
	d.Targets[0].RetryAttempts, d.Targets[0].DeadLetter = &retries, dead
	counted := w.create(d)
	d = definition("aged", "at(2030-01-01T00:01:00)")
	d.Targets[0].MaxAge, d.Targets[0].DeadLetter = &age, dead
	aged := w.create(d)
	d = definition("missing", "at(2030-01-01T00:01:00)")
	d.Targets[0].DeadLetter = dead
	missing := w.create(d)
	mended := w.create(definition("mended", "at(2030-01-01T00:01:00)"))
	attempts, letters := map[string]int{}, map[string]map[string]string{}
	w.fail = func(d *outbox.Delivery) error {
		w.mu.Lock()
		defer w.mu.Unlock()
		if d.Target == dead {
			letters[d.Source] = map[string]string{}
			for _, a := range d.Attributes {
				letters[d.Source][a.Name] = string(a.Value)
			}
			return nil
		}
		attempts[d.Source]++
		switch {
		case d.Source == missing:
			return &outbox.Permanent{Code: "NotThere", Err: errors.New("there is none")}
		case d.Source == mended && attempts[mended] == 4:
			return nil
		}
		return errBusy
	}
	w.advance(time.Hour)
	w.expect(function, mended, "2030-01-01T00:01:00Z")
	for source, want := range map[string]map[string]string{
		counted: {"SCHEDULE_ARN": counted, "TARGET_ARN": function, "ERROR_MESSAGE": "busy", "EXHAUSTED_RETRY_CONDITION": "MaximumRetryAttempts", "RETRY_ATTEMPTS": "2"},
		aged:    {"SCHEDULE_ARN": aged, "TARGET_ARN": function, "ERROR_MESSAGE": "busy", "EXHAUSTED_RETRY_CONDITION": "MaximumEventAgeInSeconds", "RETRY_ATTEMPTS": "5"},
		missing: {"SCHEDULE_ARN": missing, "TARGET_ARN": function, "ERROR_CODE": "NotThere", "ERROR_MESSAGE": "there is none", "RETRY_ATTEMPTS": "0"},
	} {
		if !maps.Equal(letters[source], want) {
			t.Errorf("the dead letter of %s says %v, want %v", source, letters[source], want)
		}
		w.expect(dead, source, "2030-01-01T00:01:00Z")
		w.expect(function, source)
	}
	if n := w.box.Len(); n != 0 {
		t.Error(n, " deliveries are owed")
	}
}

// TestDowntime: what fell due while the server was down starts once it is up, as far as it is not older than a day, or than the target allows.
func TestDowntime(t *testing.T) {
	w := newWorld(t)
	age := 600
	all := w.create(definition("all", "cron(0 0/6 * * ? *)"))
	d := definition("young", "cron(0/5 * * * ? *)")
	d.Targets[0].MaxAge = &age
	young := w.create(d)
	w.advance(0)
	w.close()
	w.open(time.Date(2030, 1, 3, 0, 1, 0, 0, time.UTC))
	w.advance(0)
	w.expect(function, all, "2030-01-02T06:00:00Z", "2030-01-02T12:00:00Z", "2030-01-02T18:00:00Z", "2030-01-03T00:00:00Z")
	w.expect(function, young, "2030-01-02T23:55:00Z", "2030-01-03T00:00:00Z")
}

// TestClockThatWasAhead: a start that a clock which stood years ahead has made holds nothing up once it is right.
func TestClockThatWasAhead(t *testing.T) {
	w := newWorld(t)
	source := w.create(definition("s", "cron(0 * * * ? *)"))
	w.close()
	w.open(time.Date(2039, 1, 1, 0, 0, 30, 0, time.UTC))
	w.advance(0)
	before := len(w.got(function)[source])
	w.close()
	w.open(begin)
	w.s.fire() // as a clock that goes by itself looks every half minute
	w.advance(2 * time.Hour)
	if got := w.got(function)[source]; len(got) != before+2 {
		t.Errorf("after the clock was set right %v", got[min(before, len(got)):])
	}
}

// TestCrashes is a model test: schedules come, change and go, deliveries fail, and the machine crashes at any moment, also
// around the end of a delivery. At the end each moment at which a schedule was due has had one start.
func TestCrashes(t *testing.T) {
	rounds := 16
	if testing.Short() {
		rounds = 4
	}
	for seed := range uint64(rounds) {
		crashes(t, seed)
		if t.Failed() {
			t.Fatal("seed ", seed)
		}
	}
}

// planned is what the model has of a schedule: its moments are those after from.
type planned struct {
	def  Definition
	from time.Time
}

func crashes(t *testing.T, seed uint64) {
	w := newWorld(t)
	r := rand.New(rand.NewPCG(seed, 1))
	want := map[string][]string{}
	live := map[string]*planned{}
	now := func() time.Time { return w.clock.Wall() }
	end := func(source string) { // its moments until now were due
		p := live[source]
		e, err := newEntry(&p.def)
		w.must(err)
		for at := e.after(p.from.UnixMilli()); at != 0 && at <= now().UnixMilli(); at = e.after(at) {
			want[source] = append(want[source], time.UnixMilli(at).UTC().Format("2006-01-02T15:04:05Z"))
		}
		delete(live, source)
	}
	failing := 0
	w.fail = func(*outbox.Delivery) error {
		w.mu.Lock()
		defer w.mu.Unlock()
		if failing > 0 {
			failing--
			return errBusy
		}
		return nil
	}
	names := []string{"a", "b", "c", "d"}
	expressions := []string{"rate(1 minute)", "rate(7 minutes)", "cron(0/3 * * * ? *)", "cron(0 * * * ? *)"}
	for range 40 {
		name := names[r.IntN(len(names))]
		source := testScope.ARN("scheduler", "schedule/default/"+name)
		switch r.IntN(6) {
		case 0, 1:
			if live[source] != nil {
				end(source)
				w.must(w.s.Delete(testScope, "", name))
				continue
			}
			d := definition(name, expressions[r.IntN(len(expressions))])
			d.Timezone = "America/New_York"
			w.create(d)
			d.Kind, d.Group, d.AnchorMS = Schedule, DefaultGroup, now().UnixMilli()/1000*1000
			from := now()
			if strings.HasPrefix(d.Expression, "rate") {
				from = time.UnixMilli(d.AnchorMS - 1)
			}
			live[source] = &planned{def: d, from: from}
			w.advance(0)
		case 2:
			w.mu.Lock()
			failing = r.IntN(4)
			w.mu.Unlock()
		case 3: // a crash while time passes, around the end of some delivery
			clone, at := w.disk, time.Time{}
			n, chosen := 0, r.IntN(6)
			w.mu.Lock()
			w.hook = func(string) {
				w.mu.Lock()
				defer w.mu.Unlock()
				if n++; n == chosen+1 {
					clone, at = w.disk.Clone(seed), w.clock.Wall()
				}
			}
			w.mu.Unlock()
			w.advance(time.Duration(r.IntN(600)) * time.Second)
			w.mu.Lock()
			w.hook = nil
			w.mu.Unlock()
			if at.IsZero() {
				continue
			}
			w.close()
			w.disk = clone
			w.open(at)
			w.advance(0)
		case 4: // a crash between
			at := now()
			clone := w.disk.Clone(seed)
			w.close()
			w.disk = clone
			w.open(at.Add(time.Duration(r.IntN(300)) * time.Second))
			w.advance(0)
		default:
			w.advance(time.Duration(r.IntN(900_000)) * time.Millisecond)
		}
	}
	for source := range live {
		end(source)
	}
	w.mu.Lock()
	failing = 0
	w.mu.Unlock()
	for _, d := range w.s.All(testScope) {
		w.must(w.s.Delete(testScope, d.Group, d.Name))
	}
	w.advance(time.Hour)
	got := w.got(function)
	for _, source := range slices.Sorted(maps.Keys(want)) {
		slices.Sort(want[source])
		slices.Sort(got[source])
		if !slices.Equal(got[source], want[source]) {
			t.Errorf("%s has started at\n%v, want\n%v", source, got[source], want[source])
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d schedules have started, want %d", len(got), len(want))
	}
}
