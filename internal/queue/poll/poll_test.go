package poll

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/millstreamdb/millstream/internal/arn"
	"github.com/millstreamdb/millstream/internal/queue"
	"github.com/millstreamdb/millstream/internal/store"
	"github.com/millstreamdb/millstream/internal/store/crashtest"
	"github.com/millstreamdb/millstream/internal/trigger/lane"
	"github.com/millstreamdb/millstream/internal/trigger/mapping"
	"github.com/millstreamdb/millstream/internal/worker"
)

var testScope = arn.Scope{Account: "123456789012", Region: "eu-west-1"}

// world is a queue with a mapping, and a function that does what the test says. The clock stands still until it is moved.
type world struct {
	*testing.T
	clock *worker.Clock
	q     *queue.Queue
	m     *Mappings
	uuid  string

	mu     sync.Mutex
	answer lane.Outcome
	takes  time.Duration // by the clock
	full   bool          // the function has no place for a call
	places int           // that it has; 0: not known
	calls  []string      // when each was made, and for which bodies with how many receives
	busy   int
	most   int // calls at once
}

func (w *world) Resolve(_ context.Context, scope arn.Scope, name string) (string, error) {
	return "arn:aws:lambda:" + scope.Region + ":" + scope.Account + ":function:" + name, nil
}

func (w *world) InvokeUnlessLate(ctx context.Context, _ string, payload []byte, late <-chan struct{}) lane.Result {
	var e struct {
		Records []struct {
			Body       string
			Attributes struct{ ApproximateReceiveCount string }
		}
	}
	if err := json.Unmarshal(payload, &e); err != nil {
		w.Error(err)
	}
	now, _, _ := w.clock.Instant()
	call := now.String()
	for _, r := range e.Records {
		call += fmt.Sprintf(" %.5s:%s", r.Body, r.Attributes.ApproximateReceiveCount)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.full {
		w.mu.Unlock()
		for !closed(late) {
			if w.clock.Wait(ctx, 100*time.Millisecond, nil) != nil {
				break
			}
		}
		w.mu.Lock()
		return lane.Result{Outcome: lane.NotDelivered, Error: "no place"}
	}
	w.calls = append(w.calls, call)
	w.busy++
	w.most = max(w.most, w.busy)
	if takes := w.takes; takes > 0 {
		w.mu.Unlock()
		_ = w.clock.Wait(ctx, takes, nil)
		w.mu.Lock()
	}
	w.busy--
	return lane.Result{Outcome: w.answer, Error: "not today"}
}

func newWorld(t *testing.T, attributes map[string]string, r mapping.CreateRequest) *world {
	t.Helper()
	w := &world{T: t, clock: worker.NewManualClock(time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC))}
	st, err := store.Open(store.Options{FS: crashtest.New().FS(), Dir: "data"})
	w.must(err)
	queues, err := queue.Open(queue.Options{Store: st, Clock: w.clock})
	w.must(err)
	name := "q"
	if attributes["FifoQueue"] != "" {
		name += ".fifo"
	}
	w.q, err = queues.Create(testScope, name, attributes, nil)
	w.must(err)
	w.m, err = Open(Options{
		Store: st, Queues: queues, Invoker: w, Clock: w.clock,
		IsMissing: func(error) bool { return false }, Timeout: func(string) int { return 3 },
		Places: func(string) int {
			w.mu.Lock()
			defer w.mu.Unlock()
			return w.places
		},
	})
	w.must(err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- w.m.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		queues.Close()
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	<-w.m.Ready()
	source := w.q.ARN()
	r.EventSourceArn, r.FunctionName = &source, new("f")
	v, err := w.m.Create(t.Context(), testScope, r)
	w.must(err)
	w.uuid = v.UUID
	return w
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

func (w *world) send(bodies ...string) {
	w.Helper()
	for _, body := range bodies {
		sent, err := w.q.Send(testScope.Account, false, []queue.Entry{{Body: &body}})
		w.must(err)
		w.must(sent[0].Err)
	}
}

// advance moves the clock, and returns the calls since the last time.
func (w *world) advance(d time.Duration) string {
	w.Helper()
	ctx, cancel := context.WithTimeout(w.Context(), time.Minute)
	defer cancel()
	w.must(w.clock.Advance(ctx, d, nil))
	w.mu.Lock()
	defer w.mu.Unlock()
	calls := strings.Join(w.calls, ", ")
	w.calls = nil
	return calls
}

func (w *world) answers(o lane.Outcome, takes time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.answer, w.takes = o, takes
}

func (w *world) tag(key, value string) {
	w.Helper()
	w.must(w.m.Retag(testScope, w.uuid, func(tags map[string]string) { tags[key] = value }))
}

// A pause ends the calls that do not reach the function: their messages can be received at once, and it does not count that they were.
func TestPauseGivesBack(t *testing.T) {
	w := newWorld(t, map[string]string{"VisibilityTimeout": "43200"}, mapping.CreateRequest{})
	w.answers(lane.NotDelivered, 0)
	w.send("a")
	if got := w.advance(500 * time.Millisecond); got != "0s a:1, 200ms a:1" {
		t.Fatal(got)
	}
	w.must(w.m.Pause(w.uuid))
	if got := w.advance(time.Hour); got != "" {
		t.Errorf("calls although the mapping is paused: %s", got)
	}
	w.must(w.m.Settle(t.Context()))
	if c, err := w.q.Counts(); err != nil || c != (queue.Counts{Visible: 1}) {
		t.Errorf("%+v %v", c, err)
	}
	w.answers(lane.Succeeded, 0)
	w.must(w.m.Resume(w.uuid))
	if got := w.advance(0); got != "1h0m0.5s a:1" {
		t.Errorf("calls: %s", got)
	}
	if c, err := w.q.Counts(); err != nil || c != (queue.Counts{}) {
		t.Errorf("%+v %v", c, err)
	}
}

// The parts of a batch for which no call was made yet go back, too, when the mapping is disabled.
func TestDisabledBetweenParts(t *testing.T) {
	w := newWorld(t, map[string]string{"VisibilityTimeout": "600"}, mapping.CreateRequest{})
	w.tag("millstream:rate", "0.1")
	w.must(w.m.Pause(w.uuid))
	large := strings.Repeat(`"`, 1<<20-10) // twice as large in an event
	w.send("one"+large, "two"+large, "tri"+large, "for"+large)
	w.must(w.m.Resume(w.uuid))
	if got := strings.ReplaceAll(w.advance(0), `"`, ""); got != "0s one:1 two:1" {
		t.Fatal(got)
	}
	enabled := false
	_, err := w.m.Update(t.Context(), testScope, w.uuid, mapping.Settings{Enabled: &enabled})
	w.must(err)
	if got := w.advance(time.Minute); got != "" {
		t.Errorf("calls although the mapping is disabled: %s", got)
	}
	if c, err := w.q.Counts(); err != nil || c != (queue.Counts{Visible: 2}) {
		t.Errorf("%+v %v", c, err)
	}
}

// However often a mapping is changed while its function is busy, no more calls run at once than it allows.
func TestChangesAddNoCalls(t *testing.T) {
	w := newWorld(t, map[string]string{"VisibilityTimeout": "43200"}, mapping.CreateRequest{Settings: mapping.Settings{
		BatchSize: new(1), ScalingConfig: &mapping.ScalingConfig{MaximumConcurrency: new(2)},
	}})
	w.answers(lane.Succeeded, time.Hour)
	w.send("a", "b", "c", "d", "e", "f", "g", "h")
	w.advance(0)
	for range 3 {
		w.tag("team", "x")
		w.advance(0)
		w.must(w.m.Pause(w.uuid))
		w.must(w.m.Resume(w.uuid))
		w.advance(0)
	}
	w.mu.Lock()
	most := w.most
	w.mu.Unlock()
	if most != 2 {
		t.Errorf("%d calls ran at once, not 2", most)
	}
	w.advance(4 * time.Hour)
	if c, err := w.q.Counts(); err != nil || c != (queue.Counts{}) {
		t.Errorf("%+v %v", c, err)
	}
}

// A rate holds over changes of the mapping, and what filters drop takes no turn.
func TestRateOverChanges(t *testing.T) {
	w := newWorld(t, map[string]string{"VisibilityTimeout": "43200"}, mapping.CreateRequest{Settings: mapping.Settings{
		BatchSize:      new(1),
		FilterCriteria: &mapping.FilterCriteria{Filters: []struct{ Pattern *string }{{Pattern: new(`{"body":[{"prefix":"a"}]}`)}}},
	}})
	w.tag("millstream:rate", "0.1")
	w.advance(0)
	w.send("b", "b", "b", "a1")
	if got := w.advance(0); got != "0s a1:1" {
		t.Errorf("calls: %s", got)
	}
	w.send("a2", "a3")
	w.tag("team", "x")
	if got := w.advance(9 * time.Second); got != "" {
		t.Errorf("calls: %s", got)
	}
	w.tag("team", "y")
	if got := w.advance(12 * time.Second); got != "10s a2:1, 20s a3:1" {
		t.Errorf("calls: %s", got)
	}
}

// A failure is told as long as there is something that it can be about.
func TestFailureEndsWithItsMessages(t *testing.T) {
	w := newWorld(t, map[string]string{"VisibilityTimeout": "30"}, mapping.CreateRequest{})
	w.answers(lane.FunctionError, 0)
	w.send("a")
	w.advance(0)
	failure := func() string {
		st, err := w.m.Status(w.uuid)
		w.must(err)
		return st.Error
	}
	if failure() != "not today" {
		t.Errorf("the failure is not told, but %q", failure())
	}
	w.must(w.q.Purge())
	if failure() != "" {
		t.Errorf("a failure is told of nothing: %q", failure())
	}
}

// What the function has no place for goes back before others could receive it beside the call that waits: it is called once, in order, and
// it does not count that it was received.
func TestWaitForAPlace(t *testing.T) {
	for _, attributes := range []map[string]string{
		{"VisibilityTimeout": "30"},
		{"VisibilityTimeout": "30", "FifoQueue": "true", "ContentBasedDeduplication": "true"},
		{"VisibilityTimeout": "3"},
	} {
		fifo := attributes["FifoQueue"] != ""
		t.Run(fmt.Sprint(attributes["VisibilityTimeout"], fifo), func(t *testing.T) {
			w := newWorld(t, attributes, mapping.CreateRequest{Settings: mapping.Settings{BatchSize: new(1)}})
			w.answers(lane.Succeeded, time.Second)
			w.mu.Lock()
			w.full = true
			w.mu.Unlock()
			var group *string
			if fifo {
				group = new("g")
			}
			for _, body := range []string{"a", "b", "c"} {
				sent, err := w.q.Send(testScope.Account, false, []queue.Entry{{Body: &body, Group: group}})
				w.must(err)
				w.must(sent[0].Err)
			}
			if got := w.advance(10 * time.Minute); got != "" {
				t.Errorf("calls that have no place: %s", got)
			}
			w.mu.Lock()
			w.full = false
			w.mu.Unlock()
			got := w.advance(time.Minute)
			for _, body := range []string{"a", "b", "c"} {
				if strings.Count(got, body+":1") != 1 {
					t.Errorf("%s was not called once, with its first receive: %s", body, got)
				}
			}
			if strings.Count(got, ":") != 3 || fifo && strings.Index(got, "a") > strings.Index(got, "b") || fifo && strings.Index(got, "b") > strings.Index(got, "c") {
				t.Errorf("calls: %s", got)
			}
			if c, err := w.q.Counts(); err != nil || c != (queue.Counts{}) {
				t.Errorf("%+v %v", c, err)
			}
		})
	}
}

// The function's whole timeout is left to a call that begins late, as far as there is that much.
func TestLateBeginLeavesTheTimeout(t *testing.T) {
	for visibility, want := range map[string]time.Duration{"30": 27 * time.Second, "4": 2 * time.Second, "6": 3 * time.Second} {
		w := newWorld(t, map[string]string{"VisibilityTimeout": visibility}, mapping.CreateRequest{})
		w.mu.Lock()
		w.full = true
		w.mu.Unlock()
		w.send("a")
		late := func() uint64 {
			st, err := w.m.Status(w.uuid)
			w.must(err)
			return st.Counters.NotDelivered
		}
		w.advance(want - 200*time.Millisecond)
		if n := late(); n != 0 {
			t.Errorf("with %s s: gave up before %v", visibility, want)
		}
		w.advance(400 * time.Millisecond)
		if n := late(); n != 1 {
			t.Errorf("with %s s: %d calls were given up after %v", visibility, n, want)
		}
	}
}

// No more messages are taken than the function has places for, also when it has fewer later.
func TestCallsAsManyAsPlaces(t *testing.T) {
	w := newWorld(t, map[string]string{"VisibilityTimeout": "43200"}, mapping.CreateRequest{Settings: mapping.Settings{
		BatchSize: new(1), ScalingConfig: &mapping.ScalingConfig{MaximumConcurrency: new(50)},
	}})
	w.answers(lane.Succeeded, time.Hour)
	for _, places := range []int{3, 2} {
		w.mu.Lock()
		w.places, w.most = places, 0
		w.mu.Unlock()
		w.m.FunctionChanged("arn:aws:lambda:eu-west-1:123456789012:function:f")
		w.send("a", "b", "c", "d", "e", "f")
		w.advance(0)
		if c, err := w.q.Counts(); err != nil || c != (queue.Counts{Visible: 6 - places, InFlight: places}) {
			t.Errorf("%d places: %+v %v", places, c, err)
		}
		w.advance(12 * time.Hour)
		w.mu.Lock()
		most := w.most
		w.mu.Unlock()
		if most != places {
			t.Errorf("%d calls ran at once, of %d places", most, places)
		}
	}
}

// After a window the function has its whole timeout: no message is visible again, and taken for another call, while the function has it.
func TestWindowLeavesTheTimeout(t *testing.T) {
	w := newWorld(t, map[string]string{"VisibilityTimeout": "5"}, mapping.CreateRequest{Settings: mapping.Settings{BatchSize: new(10), MaximumBatchingWindowInSeconds: new(30)}})
	w.answers(lane.Succeeded, 2900*time.Millisecond) // of 3 s
	w.send("a")
	if got := w.advance(time.Minute); got != "2.5s a:1" {
		t.Errorf("calls: %s", got)
	}
	if c, err := w.q.Counts(); err != nil || c != (queue.Counts{}) {
		t.Errorf("%+v %v", c, err)
	}
}

// A message that is removed while a window gathers is not handed over.
func TestRemovedInTheWindow(t *testing.T) {
	w := newWorld(t, map[string]string{"VisibilityTimeout": "5"}, mapping.CreateRequest{Settings: mapping.Settings{BatchSize: new(10), MaximumBatchingWindowInSeconds: new(30)}})
	w.answers(lane.Succeeded, 2900*time.Millisecond)
	w.send("a", "b")
	if got := w.advance(time.Second); got != "" {
		t.Fatalf("calls in the window: %s", got)
	}
	w.must(w.q.Purge())
	if got := w.advance(time.Minute); got != "" {
		t.Errorf("calls for what was removed: %s", got)
	}
	w.send("c")
	if got := w.advance(time.Minute); got != "1m3.5s c:1" {
		t.Errorf("calls: %s", got)
	}
}
