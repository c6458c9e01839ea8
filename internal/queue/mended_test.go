package queue

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/store"
	"github.com/millstreamdb/millstream/internal/store/crashtest"
	"github.com/millstreamdb/millstream/internal/worker"
)

func openWorld(t *testing.T) *world {
	t.Helper()
	w := &world{fatal: t.Fatal, disk: crashtest.New()}
	w.open()
	t.Cleanup(func() { w.close() })
	return w
}

func (w *world) create(name string, attributes map[string]string) *Queue {
	if strings.HasSuffix(name, ".fifo") {
		attributes["FifoQueue"], attributes["ContentBasedDeduplication"] = "true", "true"
	}
	q, err := w.s.Create(testScope, name, attributes, nil)
	w.must(err)
	return q
}

// put sends messages; to a FIFO queue in a group.
func (w *world) put(q *Queue, group string, bodies ...string) {
	for _, body := range bodies {
		e := Entry{Body: &body}
		if group != "" {
			e.Group = &group
		}
		sent, err := q.Send(testScope.Account, false, []Entry{e})
		w.must(err)
		w.must(sent[0].Err)
	}
}

// take receives without a wait, and returns the bodies too.
func (w *world) take(q *Queue, most, visibility int) ([]*Received, string) {
	no := time.Duration(0)
	got, err := q.Receive(context.Background(), ReceiveRequest{Max: most, Visibility: &visibility, Wait: &no})
	w.must(err)
	var bodies []string
	for _, g := range got {
		bodies = append(bodies, g.Body)
	}
	return got, strings.Join(bodies, ",")
}

func (w *world) counted(t *testing.T, q *Queue, want Counts) {
	t.Helper()
	got, err := q.Counts()
	w.must(err)
	if got != want {
		t.Errorf("%s has %+v, not %+v", q.Name(), got, want)
	}
}

func redrive(to string, most int) map[string]string {
	return map[string]string{"RedrivePolicy": fmt.Sprintf(`{"deadLetterTargetArn":%q,"maxReceiveCount":%d}`, testScope.QueueARN(to), most)}
}

// Whoever lists queues, moves messages to a dead-letter queue and makes queues does not wait for another for ever.
func TestLocksInOrder(t *testing.T) {
	w := openWorld(t)
	w.create("dead", nil)
	q := w.create("q", redrive("dead", 1))
	w.put(q, "", "a")
	w.take(q, 1, 0)
	var all sync.WaitGroup
	until := time.Now().Add(time.Second)
	for _, f := range []func(){
		func() { w.s.All(testScope) },
		func() { w.s.All(testScope) },
		func() {
			q.mu.Lock()
			w.s.FindARN(testScope.QueueARN("dead")) // as a receive does
			q.mu.Unlock()
		},
		func() {
			o, err := w.s.Create(testScope, "other", nil, nil)
			w.must(err)
			w.must(w.s.Delete(o))
		},
	} {
		all.Go(func() {
			for time.Now().Before(until) {
				f()
			}
		})
	}
	done := make(chan struct{})
	go func() { all.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(time.Minute):
		panic("the queues wait for each other")
	}
}

// What goes to a dead-letter queue goes in batches of a bounded size, and a receive goes on to what is behind.
func TestManyDeadLetters(t *testing.T) {
	for _, kind := range []string{"", ".fifo"} {
		w := openWorld(t)
		dead := w.create("dead"+kind, map[string]string{})
		q := w.create("q"+kind, redrive("dead"+kind, 1))
		group, other := "", ""
		if kind != "" {
			group, other = "g", "h"
		}
		many := 2*movePiece + 5
		for i := range many {
			w.put(q, group, fmt.Sprint("m", i))
		}
		for i := range 9 {
			w.put(q, group, strings.Repeat(fmt.Sprint(i), MaxMessage))
		}
		if got, _ := w.take(q, 1000, 0); len(got) != many+9 {
			t.Fatal(len(got))
		}
		w.put(q, other, "last")
		// One batch.
		if _, c, _, err := q.take(t.Context(), ReceiveRequest{Max: 10}, 0, false); err != nil || c == nil {
			t.Fatal(c, err)
		}
		w.counted(t, dead, Counts{Visible: movePiece})
		// The whole.
		if _, got := w.take(q, 10, 30); got != "last" {
			t.Errorf("got %.20q", got)
		}
		w.counted(t, dead, Counts{Visible: many + 9})
		w.counted(t, q, Counts{InFlight: 1})
		got, _ := w.take(dead, 1000, 0)
		for i, m := range got {
			if want := fmt.Sprint("m", i); i < many && m.Body != want || i >= many && m.Body[:1] != fmt.Sprint(i-many) {
				t.Fatalf("%.10q is number %d", m.Body, i)
			}
		}
	}
}

// A batch that fails leaves no trace: what it would have changed can be had as before.
func TestFailedBatchLeavesNoTrace(t *testing.T) {
	w := openWorld(t)
	garble := func(q *Queue, row byte, seq uint64) (mend func()) {
		key := q.numbered(row, seq)
		was, found, err := w.store.Get(nil, key)
		if err != nil || !found {
			t.Fatal(found, err)
		}
		set := func(v []byte) {
			b := w.store.NewBatch()
			defer b.Close()
			b.Delete(key) // it is deleted as what was set once
			b.Set(key, v)
			w.must(w.store.Write(b))
		}
		set([]byte("?"))
		_ = w.s.recent.take(seq) // it is read
		return func() { set(was) }
	}
	nth := func(q *Queue, n int) (seq uint64) {
		w.must(w.s.each(q.key(rowMessage), func(rest, _ []byte) error {
			if n == 0 {
				seq = binary.BigEndian.Uint64(rest)
			}
			n--
			return nil
		}))
		return seq
	}
	no := time.Duration(0)
	t.Run("receive", func(t *testing.T) {
		q := w.create("r.fifo", map[string]string{})
		for _, g := range []string{"a", "b", "c"} {
			w.put(q, g, g+"1", g+"2")
		}
		mend := garble(q, rowMessage, nth(q, 2))
		if got, err := q.Receive(t.Context(), ReceiveRequest{Max: 10, Wait: &no}); !errors.Is(err, errMessageRow) {
			t.Fatal(got, err)
		}
		mend()
		w.counted(t, q, Counts{Visible: 6})
		if _, got := w.take(q, 10, 30); got != "a1,a2,b1,b2,c1,c2" {
			t.Error(got)
		}
	})
	t.Run("dead letter", func(t *testing.T) {
		dead := w.create("dead", nil)
		q := w.create("d", redrive("dead", 1))
		w.put(q, "", "a", "b", "c")
		got, _ := w.take(q, 10, 0)
		mend := garble(q, rowMessage, got[1].Seq)
		if got, err := q.Receive(t.Context(), ReceiveRequest{Max: 10, Wait: &no}); !errors.Is(err, errMessageRow) {
			t.Fatal(got, err)
		}
		mend()
		w.counted(t, q, Counts{Visible: 3})
		w.counted(t, dead, Counts{})
		w.put(dead, "", "x")
		if _, got := w.take(dead, 10, 30); got != "x" {
			t.Error(got)
		}
		w.take(q, 10, 30)
		if _, got := w.take(dead, 10, 30); got != "a,b,c" {
			t.Error(got)
		}
	})
	t.Run("visibility and delete", func(t *testing.T) {
		q := w.create("v", nil)
		w.put(q, "", "a", "b")
		got, _ := w.take(q, 10, 30)
		mend := garble(q, rowState, got[1].Seq)
		if _, err := q.ChangeVisibility([]Visibility{{got[0].Handle, 0}, {got[1].Handle, 0}}); !errors.Is(err, errStateRow) {
			t.Fatal(err)
		}
		if _, err := q.Delete([]string{got[0].Handle, got[1].Handle}); err == nil {
			t.Fatal("no error")
		}
		mend()
		w.counted(t, q, Counts{InFlight: 2})
		if _, got := w.take(q, 10, 30); got != "" {
			t.Error(got)
		}
		w.sleep(30 * time.Second)
		if _, got := w.take(q, 10, 30); got != "a,b" {
			t.Error(got)
		}
	})
	t.Run("move", func(t *testing.T) {
		to := w.create("to", nil)
		q := w.create("from", nil)
		w.create("source", redrive("from", 1))
		w.put(q, "", "a", "b", "c")
		mend := garble(q, rowMessage, nth(q, 1))
		_, err := w.s.StartMove(q.ARN(), to.ARN(), nil)
		w.must(err)
		w.s.tasks.wait()
		mend()
		w.counted(t, q, Counts{Visible: 3})
		w.counted(t, to, Counts{})
		moves, err := w.s.Moves(q.ARN(), 1)
		w.must(err)
		if moves[0].Status != taskFailed || moves[0].Failure == "" {
			t.Errorf("a task that met an error is %+v", moves[0])
		}
		_, err = w.s.StartMove(q.ARN(), to.ARN(), nil)
		w.must(err)
		w.s.tasks.wait()
		w.counted(t, q, Counts{})
		if _, got := w.take(to, 10, 30); got != "a,b,c" {
			t.Error(got)
		}
	})
}

// A clock that was ahead, and is right again after a restart, hides nothing that could be had, and nothing for longer than it was to be.
func TestClockThatWasAhead(t *testing.T) {
	for _, name := range []string{"q", "f.fifo"} {
		for _, flies := range []bool{false, true} {
			w := openWorld(t)
			right, group := w.now(), ""
			w.sleep(time.Hour)
			q := w.create(name, map[string]string{})
			if q.FIFO() {
				group = "g"
			}
			w.put(q, group, "a")
			if flies {
				w.take(q, 10, 20)
				// What was sent tells nothing any more.
				w.sleep(25 * time.Second)
				w.take(q, 10, 20)
			}
			w.close()
			var err error
			w.store, err = store.Open(store.Options{FS: w.disk.FS(), Dir: "data"})
			w.must(err)
			w.clock = worker.NewManualClock(right)
			w.s, err = Open(Options{Store: w.store, Clock: w.clock})
			w.must(err)
			if flies {
				if _, got := w.take(w.queue(name), 10, 20); got != "" {
					t.Errorf("%s: got %q although it was in flight", name, got)
				}
				w.sleep(20 * time.Second)
			}
			if _, got := w.take(w.queue(name), 10, 20); got != "a" {
				t.Errorf("%s, in flight %v: got %q", name, flies, got)
			}
		}
	}
}

// A receive that may be asked for again keeps no bodies, and is forgotten when its time is over.
func TestAttemptsAreForgotten(t *testing.T) {
	w := openWorld(t)
	q := w.create("f.fifo", map[string]string{})
	w.put(q, "g", "a")
	no, visibility := time.Duration(0), 1000
	receive := func(id string) string {
		got, err := q.Receive(t.Context(), ReceiveRequest{Max: 1, Visibility: &visibility, Wait: &no, Attempt: id})
		w.must(err)
		if len(got) == 0 {
			return ""
		}
		return got[0].Body
	}
	if a, b := receive("1"), receive("1"); a != "a" || b != "a" {
		t.Fatal(a, b)
	}
	if q.attempts["1"].taken[0].m != nil {
		t.Error("a body is kept")
	}
	w.sleep(5 * time.Minute)
	w.put(q, "h", "b")
	if got := receive("2"); got != "b" {
		t.Fatal(got)
	}
	if len(q.attempts) != 1 {
		t.Errorf("%d receives are remembered, not 1", len(q.attempts))
	}
}

// Who waits at a queue with as many messages in flight as may be is woken when there is room, and not before.
func TestWaitWhileFull(t *testing.T) {
	w := openWorld(t)
	q := w.create("q", nil)
	w.put(q, "", "a", "b")
	got, _ := w.take(q, 1, 30)
	q.mu.Lock()
	due := q.s.now() + 20_000
	for i := range uint64(MaxInFlight - 1) {
		q.flights.add(1<<60+i, flight{due: due})
	}
	q.mu.Unlock()
	forever, visibility := Forever, 30
	came := make(chan string, 1)
	go func() {
		all, err := q.Receive(t.Context(), ReceiveRequest{Max: 1, Wait: &forever, Visibility: &visibility})
		if err != nil || len(all) != 1 {
			came <- fmt.Sprint(all, err)
			return
		}
		came <- all[0].Body
	}()
	for waits := false; !waits; {
		q.mu.Lock()
		waits = len(q.waiters) == 1
		if waits && q.due() != due {
			t.Errorf("the one who waits is woken at %d, not at %d", q.due(), due)
		}
		q.mu.Unlock()
	}
	_, err := q.Delete([]string{got[0].Handle})
	w.must(err)
	if got := <-came; got != "b" {
		t.Error(got)
	}
}

// Who is woken when its client has gone takes nothing.
func TestWokenAfterTheEnd(t *testing.T) {
	w := openWorld(t)
	q := w.create("q", nil)
	w.put(q, "", "a")
	for i := range 100 {
		hidden, _ := w.take(q, 1, 1000)
		ctx, cancel := context.WithCancel(t.Context())
		t.Cleanup(cancel)
		wait := Forever
		done := make(chan int)
		go func() {
			got, _ := q.Receive(ctx, ReceiveRequest{Max: 1, Wait: &wait})
			done <- len(got)
		}()
		for waits := false; !waits; {
			q.mu.Lock()
			if waits = len(q.waiters) == 1; waits {
				b := w.store.NewBatch()
				_, err := q.changeLocked(b, []Visibility{{hidden[0].Handle, 0}}, make([]error, 1), 0)
				b.Close()
				w.must(err)
				cancel() // before the lock is free
			}
			q.mu.Unlock()
		}
		if n := <-done; n != 0 {
			t.Fatalf("round %d: a message was given to who is gone", i)
		}
	}
}

// A message that was moved keeps its age: it is removed in time although it comes after a younger one.
func TestOldBehindYoung(t *testing.T) {
	w := openWorld(t)
	dead := w.create("dead", map[string]string{"MessageRetentionPeriod": "3600"})
	q := w.create("q", redrive("dead", 1))
	w.put(q, "", "old")
	w.take(q, 1, 0)
	w.sleep(30 * time.Minute)
	w.put(dead, "", "young")
	w.take(q, 1, 0)
	w.counted(t, dead, Counts{Visible: 2})
	w.sleep(31 * time.Minute)
	w.must(dead.sweep())
	w.counted(t, dead, Counts{Visible: 1})
	if _, got := w.take(dead, 10, 0); got != "young" {
		t.Error(got)
	}
	w.sleep(30 * time.Minute)
	w.must(dead.sweep())
	w.counted(t, dead, Counts{})
}

// Sequence numbers have 20 digits, and rise as texts.
func TestSequenceText(t *testing.T) {
	last := ""
	for _, seq := range []uint64{0, 1, 1 << 40, 9094 << 40, 1e16 - 1, 1e16, 9095 << 40, 1<<64 - 1} {
		s := SequenceText(seq)
		if len(s) != 20 || s <= last {
			t.Errorf("%d: %s after %s", seq, s, last)
		}
		last = s
	}
	if got := SequenceText(42); got != "18850000000000000042" {
		t.Error(got)
	}
}

// What is given back can be received at once, as if it had not been received: it goes to no dead-letter queue for that, also over a restart, and
// keeps its place in its group. Handles of earlier deliveries give nothing back.
func TestRelease(t *testing.T) {
	for _, kind := range []string{"", ".fifo"} {
		w := openWorld(t)
		dead := w.create("dead"+kind, map[string]string{})
		q := w.create("q"+kind, redrive("dead"+kind, 1))
		group := ""
		if kind != "" {
			group = "g"
		}
		w.put(q, group, "a", "b")
		for range 3 {
			got, bodies := w.take(q, 10, 30)
			if bodies != "a,b" || got[0].Count != 1 || got[1].Count != 1 {
				t.Fatalf("%s: %s", q.Name(), bodies)
			}
			w.must(q.Release([]string{got[0].Handle, got[1].Handle}))
			w.counted(t, q, Counts{Visible: 2})
			w.counted(t, dead, Counts{})
			w.must(q.Release([]string{got[0].Handle})) // not in flight any more
			w.close()
			w.open()
			q, dead = w.queue("q"+kind), w.queue("dead"+kind)
			w.counted(t, q, Counts{Visible: 2})
		}
		got, _ := w.take(q, 10, 30)
		_, err := q.Delete([]string{got[0].Handle, got[1].Handle})
		w.must(err)
		if n := w.rows(q); n != 0 {
			t.Errorf("%s: %d rows are left", q.Name(), n)
		}
	}
}

// rows counts the rows of messages.
func (w *world) rows(q *Queue) (n int) {
	for _, row := range []byte{rowMessage, rowState, rowReady, rowDelayed, rowOrder, rowGroup} {
		w.must(w.s.each(q.key(row), func(_, _ []byte) error { n++; return nil }))
	}
	return n
}

// The messages with a delay are counted as they were at the moment, without the lock, which others need meanwhile.
func TestCountWithoutLock(t *testing.T) {
	for _, kind := range []string{"", ".fifo"} {
		w := openWorld(t)
		q := w.create("q"+kind, map[string]string{"DelaySeconds": "60"})
		group := ""
		if kind != "" {
			group = "g"
		}
		w.put(q, group, "a", "b")
		q.mu.Lock()
		n, err := q.counts()
		q.mu.Unlock()
		w.must(err)
		w.put(q, group, "c")
		if n.it == nil {
			t.Fatal("nothing is left to count")
		}
		if got, err := n.whole(); err != nil || got != (Counts{Delayed: 2}) {
			t.Errorf("%+v %v", got, err)
		}
		w.counted(t, q, Counts{Delayed: 3})
	}
}

// A queue whose memory was given up is read anew before an outbox locks anything.
func TestOutboxReadsAnewFirst(t *testing.T) {
	w := openWorld(t)
	q := w.create("q", nil)
	w.put(q, "", "a")
	q.mu.Lock()
	q.giveUp()
	q.mu.Unlock()
	_, err := w.s.NewOutbox(testScope.Account, []Outgoing{{q, Entry{Body: new("x")}}})
	w.must(err)
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.stale || q.total != 1 {
		t.Errorf("stale %v with %d messages", q.stale, q.total)
	}
}

// Who is woken and gets what an earlier attempt took wakes the next: what it was woken for is still there.
func TestRepeatedAttemptWakesTheNext(t *testing.T) {
	w := openWorld(t)
	q := w.create("f.fifo", map[string]string{})
	w.put(q, "g", "a")
	taken, _, _, err := q.take(t.Context(), ReceiveRequest{Max: 1}, 30_000, false)
	w.must(err)
	got := [2]chan string{make(chan string, 1), make(chan string, 1)}
	for i, attempt := range []string{"again", ""} {
		go func() {
			wait := time.Minute
			all, err := q.Receive(t.Context(), ReceiveRequest{Max: 1, Wait: &wait, Attempt: attempt})
			text := fmt.Sprint(err)
			for _, m := range all {
				text = m.Body
			}
			got[i] <- text
		}()
		for waiting := 0; waiting <= i; {
			q.mu.Lock()
			waiting = len(q.waiters)
			q.mu.Unlock()
		}
	}
	// Another receive of the same attempt was quicker.
	q.mu.Lock()
	q.note("again", taken)
	q.mu.Unlock()
	w.put(q, "h", "b")
	if first, second := <-got[0], <-got[1]; first != "a" || second != "b" {
		t.Errorf("got %q and %q", first, second)
	}
}

// A queue that is made again with what it was made with is the same queue, also when an earlier release has stored its attributes as they were given.
func TestMadeAgain(t *testing.T) {
	w := openWorld(t)
	w.create("dead", nil)
	policy := `{"maxReceiveCount":"3", "deadLetterTargetArn":"` + testScope.QueueARN("dead") + `"}`
	first := map[string]map[string]string{
		"as given":           {"RedrivePolicy": policy},
		"period without key": {"KmsDataKeyReusePeriodSeconds": "600", "KmsMasterKeyId": ""},
		"empty key":          {"KmsMasterKeyId": ""},
		"key":                {"KmsDataKeyReusePeriodSeconds": "600", "KmsMasterKeyId": "k"},
	}
	queues := map[string]*Queue{}
	for name, attributes := range first {
		queues[name] = w.create(strings.ReplaceAll(name, " ", "-"), attributes)
	}
	// The row of an earlier release.
	old := *queues["as given"].definition()
	old.Attributes = map[string]string{"RedrivePolicy": policy}
	w.must(w.s.storeDefinition(&old))
	w.close()
	w.open()
	for name, attributes := range first {
		if q, err := w.s.Create(testScope, strings.ReplaceAll(name, " ", "-"), attributes, nil); err != nil || q.id != queues[name].id {
			t.Errorf("%s: made again: %v", name, err)
		}
	}
	for _, c := range []struct{ queue, attribute, value string }{
		{"as-given", "RedrivePolicy", strings.Replace(policy, "3", "4", 1)}, {"key", "KmsDataKeyReusePeriodSeconds", "700"}, {"key", "KmsMasterKeyId", ""},
		{"empty-key", "KmsMasterKeyId", "k"},
	} {
		_, err := w.s.Create(testScope, c.queue, map[string]string{c.attribute: c.value}, nil)
		if want := awserr.QueueExists(c.attribute); err == nil || err.Error() != want.Error() {
			t.Errorf("%s made again with %s %q: %v", c.queue, c.attribute, c.value, err)
		}
	}
	// With a key for a queue that has none, that is what differs.
	_, err := w.s.Create(testScope, "empty-key", first["key"], nil)
	if want := awserr.QueueExists("KmsMasterKeyId"); err == nil || err.Error() != want.Error() {
		t.Errorf("made again with a key: %v", err)
	}
}

// A task that moves messages is known by the handle that earlier releases gave, too.
func TestEarlierTaskHandle(t *testing.T) {
	w := openWorld(t)
	dead := w.create("dead", nil)
	w.create("q", redrive("dead", 1))
	w.create("to", nil)
	w.put(dead, "", "a")
	w.full(200 << 20) // it waits
	task, err := w.s.StartMove(testScope.QueueARN("dead"), testScope.QueueARN("to"), nil)
	w.must(err)
	handle := func(id uint64) string {
		return base64.StdEncoding.EncodeToString(fmt.Appendf(nil, `{"sourceArn":%q,"taskId":"%d"}`, task.Source, id))
	}
	if _, err := w.s.CancelMove(handle(task.ID + 1)); err == nil {
		t.Error("another task was cancelled")
	}
	if _, err := w.s.CancelMove(handle(task.ID)); err != nil {
		t.Error(err)
	}
	w.full(1 << 39)
	w.s.tasks.wait()
	all, err := w.s.Moves(task.Source, 1)
	w.must(err)
	if all[0].Status != taskCancelled || all[0].Moved != 0 {
		t.Errorf("the task is %+v", all[0])
	}
}

// A server that ends lets go who waits by a request, and only until it has ended. The program's own receivers wait on.
func TestWaitsEndWithAServer(t *testing.T) { synctest.Test(t, waitsEndWithAServer) }

func waitsEndWithAServer(t *testing.T) {
	w := openWorld(t)
	q := w.create("q", map[string]string{})
	receive := func(ctx context.Context, worker bool) ([]*Received, error) {
		wait := Forever
		return q.Receive(ctx, ReceiveRequest{Max: 1, Wait: &wait, Worker: worker})
	}
	waiting := func(n int) {
		t.Helper()
		synctest.Wait()
		if now := len(q.waiters); now != n {
			t.Fatalf("%d wait, not %d", now, n)
		}
	}
	type outcome struct {
		got []*Received
		err error
	}
	begin := func(worker bool) chan outcome {
		done := make(chan outcome, 1)
		w.s.clock.Begin() // as all work of the program does
		go func() {
			defer w.s.clock.End()
			got, err := receive(context.Background(), worker)
			done <- outcome{got, err}
		}()
		return done
	}
	client, own := begin(false), begin(true)
	waiting(2)
	resume, other := w.s.EndWaits(), w.s.EndWaits() // two servers end
	if o := <-client; len(o.got) > 0 || o.err != nil {
		t.Errorf("%+v", o)
	}
	waiting(1)
	resume()
	if o := <-begin(false); len(o.got) > 0 || o.err != nil {
		t.Errorf("while the other ends: %+v", o)
	}
	other()
	client = begin(false)
	waiting(2)
	w.put(q, "", "a", "b")
	for _, done := range []chan outcome{client, own} {
		if o := <-done; len(o.got) != 1 || o.err != nil {
			t.Errorf("%+v", o)
		}
	}
}

// Of a FIFO queue's group all messages can be received that are before the first in flight, as at AWS: those behind it wait, and those before it do not.
// So it is over a restart.
func TestGroupUpToTheFirstInFlight(t *testing.T) {
	for changed, want := range []string{"", "a", "a,b"} {
		w := openWorld(t)
		q := w.create("q.fifo", map[string]string{})
		w.put(q, "g", "a", "b", "c")
		got, _ := w.take(q, 10, 1)
		errs, err := q.ChangeVisibility([]Visibility{{got[changed].Handle, 40}})
		w.must(errors.Join(append(errs, err)...))
		w.sleep(2 * time.Second)
		w.close()
		w.open()
		q = w.queue("q.fifo")
		w.counted(t, q, Counts{Visible: 2, InFlight: 1})
		if _, bodies := w.take(q, 10, 0); bodies != want {
			t.Errorf("with the message %d in flight: %q, not %q", changed, bodies, want)
		}
		w.sleep(40 * time.Second)
		if _, bodies := w.take(q, 10, 30); bodies != "a,b,c" {
			t.Errorf("in the end: %q", bodies)
		}
	}
	// What is given back has its group wait from then on, whatever else of it is in flight.
	w := openWorld(t)
	q := w.create("q.fifo", map[string]string{})
	w.put(q, "g", "a", "b")
	w.put(q, "h", "c")
	got, _ := w.take(q, 2, 30)
	w.sleep(time.Second)
	errs, err := q.ChangeVisibility([]Visibility{{got[0].Handle, 0}})
	w.must(errors.Join(append(errs, err)...))
	if _, bodies := w.take(q, 10, 30); bodies != "c,a" {
		t.Errorf("got %q", bodies)
	}
}

// The receiver of a standard queue's message may make it invisible again after its timeout, as long as nobody else has received it.
func TestVisibilityAfterItsEnd(t *testing.T) {
	w := openWorld(t)
	q := w.create("q", map[string]string{})
	w.put(q, "", "a")
	got, _ := w.take(q, 1, 1)
	w.sleep(2 * time.Second)
	change := func(handle string) error {
		errs, err := q.ChangeVisibility([]Visibility{{handle, 5}})
		w.must(err)
		return errs[0]
	}
	w.must(change(got[0].Handle))
	w.counted(t, q, Counts{InFlight: 1})
	w.sleep(6 * time.Second)
	again, _ := w.take(q, 1, 1)
	w.sleep(2 * time.Second)
	if change(got[0].Handle) == nil {
		t.Error("the handle of an earlier delivery counts after the end of a later one")
	}
	size := 0
	q.mu.Lock()
	e, _, err := q.first(q.s.now())
	q.lineOf(e.row).put(e)
	q.mu.Unlock()
	w.must(err)
	w.must(change(again[0].Handle))
	for _, fl := range q.flights.all {
		size += int(fl.size)
	}
	if size == 0 || size != int(e.size) {
		t.Errorf("its row has %d bytes, not %d", size, e.size)
	}
	_, err = q.Delete([]string{again[0].Handle})
	w.must(err)
	if n := w.rows(q); n != 0 {
		t.Errorf("%d rows are left", n)
	}
}

// A deduplication id from before a change of DeduplicationScope is compared in the scope in which it was sent.
func TestIDsOverAChangeOfScope(t *testing.T) {
	w := openWorld(t)
	send := func(q *Queue, group, id, body string) {
		sent, err := q.Send(testScope.Account, false, []Entry{{Body: &body, Group: &group, Dedup: &id}})
		w.must(err)
		w.must(sent[0].Err)
	}
	for _, c := range []struct{ from, to, want string }{
		{"queue", "messageGroup", "a,c,d"}, // the other groups' ids are others only from the change on
		{"messageGroup", "queue", "a,b,c"},
	} {
		q := w.create(c.from+".fifo", map[string]string{"DeduplicationScope": c.from})
		send(q, "g", "1", "a")
		w.must(w.s.SetAttributes(q, map[string]string{"DeduplicationScope": c.to}))
		send(q, "g", "1", "again")
		send(q, "h", "1", "b")
		send(q, "g", "2", "c")
		send(q, "h", "2", "d")
		if _, bodies := w.take(q, 10, 30); strings.Join(slices.Sorted(slices.Values(strings.Split(bodies, ","))), ",") != c.want {
			t.Errorf("from %s to %s: %s", c.from, c.to, bodies)
		}
		w.sleep(301 * time.Second)
		send(q, "g", "1", "e")
		if _, bodies := w.take(q, 10, 0); !strings.Contains(bodies, "e") {
			t.Errorf("from %s to %s: after five minutes it is remembered still: %s", c.from, c.to, bodies)
		}
	}
}

// What is remembered of deduplication ids is all forgotten, also of an id whose time is over in one DeduplicationScope while it holds in the other.
func TestDeduplicationIDsAreForgotten(t *testing.T) {
	w := openWorld(t)
	q := w.create("q.fifo", map[string]string{"DeduplicationScope": "queue"})
	scope := func(is string) { w.must(w.s.SetAttributes(q, map[string]string{"DeduplicationScope": is})) }
	for i := range 2*trimPiece + 1 { // more than are forgotten by the two sends that follow, and before x
		w.put(q, "g", fmt.Sprint("first", i))
	}
	w.put(q, "g", "x")
	w.sleep(6 * time.Minute)
	scope("messageGroup")
	w.put(q, "g", "x")
	scope("queue")
	x, other, group := "x", "other", "g"
	_, err := q.Send(testScope.Account, true, []Entry{{Body: &x, Group: &group}, {Body: &other, Group: &group}}) // the second, since nothing is written for the first
	w.must(err)
	w.sleep(6 * time.Minute)
	w.put(q, "g", "last 1")
	w.put(q, "g", "last 2")
	for kind, name := range map[byte]string{rowDedup: "ids", rowExpiry: "ends"} {
		n := 0
		w.must(w.store.Each(q.key(kind), func(_, _ []byte) error { n++; return nil }))
		if n != 2 {
			t.Errorf("%d %s are remembered, not those of the last two", n, name)
		}
	}
}
