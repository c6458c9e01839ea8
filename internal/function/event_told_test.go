package function

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/millstreamdb/millstream/internal/store"
	"github.com/millstreamdb/millstream/internal/store/crashtest"
)

// ownQueues are queues in the service's own store, each with one row that says that it was told.
type ownQueues struct {
	noDestination
	store *store.Store
	apart bool // a bug: what is told and who is still to be told are two commits
}

var toldSpace = []byte{store.SpaceQueue, 'z'}

func (q *ownQueues) Here(string) bool { return true }

func (q *ownQueues) Tell(b *store.Batch, arn, _, _ string, _ map[string]string) error {
	key := append(append([]byte(nil), toldSpace...), arn...)
	if !q.apart {
		b.Set(key, []byte("told"))
		return q.store.Write(b)
	}
	other := q.store.NewBatch()
	defer other.Close()
	other.Set(key, []byte("told"))
	return errors.Join(q.store.Write(other), q.store.Write(b))
}

// judgeTelling fails an event, with a dead-letter queue and a destination, and looks at what a crash at each write to the disk
// would have left: both counts queues that were told and are still to be told, neither those of which both is false.
func judgeTelling(t *testing.T, apart bool) (crashes, both, neither int) {
	disk := crashtest.New()
	st, err := store.Open(store.Options{FS: disk.FS(), Dir: "data"})
	if err != nil {
		t.Fatal(err)
	}
	s, err := Open(Options{Store: st, Destination: &ownQueues{store: st, apart: apart}})
	if err != nil {
		t.Fatal(err)
	}
	begin := make(chan struct{}) // so that nothing happens to the event before it is known what its acceptance has written
	if err := s.RegisterGo(scope, "g", func(context.Context, []byte) ([]byte, error) {
		<-begin
		return nil, errors.New("broken")
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.UpdateConfiguration(scope, "g", UpdateConfigurationRequest{Settings: Settings{DeadLetterConfig: json.RawMessage(`{"TargetArn":"` + deadARN + `"}`)}}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.PutEventConfig(scope, "g", "", EventConfigRequest{
		MaximumRetryAttempts: ptr(0), DestinationConfig: &DestinationTable{OnFailure: DestinationName{queueARN}},
	}); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex // guards clones
	var clones []*crashtest.Disk
	disk.Fail(func(_, file string) error {
		if strings.HasSuffix(file, ".log") {
			mu.Lock()
			defer mu.Unlock()
			clones = append(clones, disk.Clone(uint64(len(clones))))
		}
		return nil
	})
	if _, err := s.InvokeEvent(scope, Invocation{Name: "g", Payload: []byte(`1`)}); err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	accepted := len(clones)
	mu.Unlock()
	close(begin)
	time.Sleep(time.Minute)
	synctest.Wait()
	disk.Fail(nil)
	closeBoth(t, s, st)
	mu.Lock() // nobody writes any more
	defer mu.Unlock()
	clones = append(clones, disk.Clone(0))
	for _, clone := range clones[accepted:] {
		st, err := store.Open(store.Options{FS: clone.FS(), Dir: "data"})
		if err != nil {
			t.Fatal(err)
		}
		told := map[string]bool{}
		if err := st.Each(toldSpace, func(k, _ []byte) error { told[string(k[len(toldSpace):])] = true; return nil }); err != nil {
			t.Fatal(err)
		}
		events, err := eventRows{store: st}.all()
		if err != nil {
			t.Fatal(err)
		}
		left := map[string]bool{}
		for _, e := range events {
			for _, to := range e.head.Tell {
				left[to.ARN] = true
			}
			if e.head.EndedMS == 0 { // it will be tried again, and then told
				left[deadARN], left[queueARN] = true, true
			}
		}
		for _, arn := range []string{deadARN, queueARN} {
			switch {
			case told[arn] && left[arn]:
				both++
			case !told[arn] && !left[arn]:
				neither++
			}
		}
		crashes++
		if err := st.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return crashes, both, neither
}

// A crash never has a queue of the own store told of an event's end twice, or not at all. With two commits it would.
func TestCrashesTellOwnQueuesOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		if crashes, both, neither := judgeTelling(t, false); crashes < 4 || both+neither > 0 {
			t.Errorf("of %d crashes, %d would tell a queue twice, and %d not at all", crashes, both, neither)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		if crashes, both, _ := judgeTelling(t, true); both == 0 {
			t.Errorf("two commits are not seen in %d crashes: the detector is blind", crashes)
		}
	})
}

// hanging is a destination that accepts calls to one ARN and never answers them.
type hanging struct {
	mailbox
	silent string
	calls  int
}

func (h *hanging) Deliver(ctx context.Context, account, arn, key string, document []byte) error {
	h.mu.Lock()
	silent := arn == h.silent
	h.mu.Unlock()
	if !silent {
		return h.mailbox.Deliver(ctx, account, arn, key, document)
	}
	h.mu.Lock()
	h.calls++
	h.mu.Unlock()
	<-ctx.Done()
	return ctx.Err()
}

// A destination that never answers holds up no other for ever.
func TestSilentDestination(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &hanging{silent: "arn:aws:s3:::silent"}
		s := open(t, Options{Destination: h})
		for name, to := range map[string]string{"f": h.silent, "g": "arn:aws:s3:::b"} {
			if err := s.RegisterGo(scope, name, func(context.Context, []byte) ([]byte, error) { return nil, nil }); err != nil {
				t.Fatal(err)
			}
			if _, err := s.PutEventConfig(scope, name, "", EventConfigRequest{DestinationConfig: &DestinationTable{OnSuccess: DestinationName{to}}}); err != nil {
				t.Fatal(err)
			}
		}
		for range 20 { // more than there are tellers
			if _, err := s.InvokeEvent(scope, Invocation{Name: "f"}); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Second)
		if _, err := s.InvokeEvent(scope, Invocation{Name: "g"}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Minute)
		if told := h.take(); !strings.Contains(told, `"condition":"Success"`) {
			t.Errorf("the other destination was told %q", told)
		}
		h.mu.Lock()
		defer h.mu.Unlock()
		if h.calls <= 20 {
			t.Errorf("the silent one was called %d times: not again", h.calls)
		}
	})
}

// away is a destination that cannot be reached until it is mended.
type away struct {
	noDestination
	mended atomic.Bool
	told   atomic.Int64
}

func (a *away) Deliver(context.Context, string, string, string, []byte) error {
	if !a.mended.Load() {
		return errNoDestination
	}
	a.told.Add(1)
	return nil
}

// A destination that is away for a week is told when it is back.
func TestDestinationThatIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &away{}
		s := open(t, Options{Destination: a})
		if err := s.RegisterGo(scope, "f", func(context.Context, []byte) ([]byte, error) { return nil, errors.New("broken") }); err != nil {
			t.Fatal(err)
		}
		if _, err := s.PutEventConfig(scope, "f", "", EventConfigRequest{DestinationConfig: &DestinationTable{OnFailure: DestinationName{"arn:aws:s3:::b"}}}); err != nil {
			t.Fatal(err)
		}
		if _, err := s.InvokeEvent(scope, Invocation{Name: "f"}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(7 * 24 * time.Hour)
		synctest.Wait()
		a.mended.Store(true)
		time.Sleep(2 * eventMaxBackoff)
		synctest.Wait()
		if n := a.told.Load(); n != 1 || s.Stats().Queued != 0 {
			t.Errorf("told %d times, %d events are left", n, s.Stats().Queued)
		}
	})
}

// An event that is no JSON, as earlier versions took from schedules, is told of as a string.
func TestEventThatIsNoJSON(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		box := &mailbox{}
		s := open(t, Options{Destination: box})
		if err := s.RegisterGo(scope, "g", func(context.Context, []byte) ([]byte, error) { return nil, errors.New("broken") }); err != nil {
			t.Fatal(err)
		}
		if _, err := s.PutEventConfig(scope, "g", "", EventConfigRequest{
			MaximumRetryAttempts: ptr(0), DestinationConfig: &DestinationTable{OnFailure: DestinationName{queueARN}},
		}); err != nil {
			t.Fatal(err)
		}
		if _, err := s.InvokeEvent(scope, Invocation{Name: "g", Payload: []byte("he\"llo"), Trusted: true}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if told := box.take(); !strings.Contains(told, `"requestPayload":"he\"llo"`) {
			t.Errorf("told %q", told)
		}
		if n := s.Stats().Queued; n != 0 {
			t.Errorf("%d events are left", n)
		}
	})
}

// countLog counts what is logged.
type countLog struct {
	slog.Handler
	warned, failed *atomic.Int64
}

func (countLog) Enabled(context.Context, slog.Level) bool { return true }

func (c countLog) Handle(_ context.Context, r slog.Record) error {
	switch r.Level {
	case slog.LevelWarn:
		c.warned.Add(1)
	case slog.LevelError:
		c.failed.Add(1)
	}
	return nil
}

// A destination that is gone, or never answers, has its function refuse no events: what is told about the oldest is dropped, from the disk as
// well, and the log says so, seldom.
func TestGoneDestinationRefusesNoEvents(t *testing.T) {
	for name, silent := range map[string]string{"gone": "", "silent": "arn:aws:s3:::silent"} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const events, kept = 300, 100
				box := &hanging{silent: silent}
				box.down = true
				to := "arn:aws:s3:::b"
				if silent != "" {
					to = silent
				}
				st, err := store.Open(store.Options{FS: crashtest.New().FS(), Dir: "data"})
				if err != nil {
					t.Fatal(err)
				}
				log := countLog{slog.DiscardHandler, new(atomic.Int64), new(atomic.Int64)}
				s, err := Open(Options{Store: st, Destination: box, Logger: slog.New(log)})
				if err != nil {
					t.Fatal(err)
				}
				defer closeBoth(t, s, st)
				s.events.toRun.maxCount, s.events.toTell.maxCount = 2*kept, 2*kept
				if err := s.RegisterGo(scope, "f", func(context.Context, []byte) ([]byte, error) { return nil, nil }); err != nil {
					t.Fatal(err)
				}
				if _, err := s.PutEventConfig(scope, "f", "", EventConfigRequest{DestinationConfig: &DestinationTable{OnSuccess: DestinationName{to}}}); err != nil {
					t.Fatal(err)
				}
				for n := range events {
					if _, err := s.InvokeEvent(scope, Invocation{Name: "f", Payload: []byte(strconv.Itoa(n))}); err != nil {
						t.Fatalf("event %d: %v", n, err)
					}
					time.Sleep(time.Second)
					synctest.Wait()
				}
				rows, err := eventRows{store: st}.all()
				if err != nil {
					t.Fatal(err)
				}
				stats := s.Stats()
				if len(rows) != kept || stats.Queued != kept || stats.Untold != events-kept {
					t.Errorf("%d events on the disk, %d in memory, %d dropped", len(rows), stats.Queued, stats.Untold)
				}
				if warned, failed := log.warned.Load(), log.failed.Load(); warned < 1 || warned > 2 || failed < 1 || failed > 2 {
					t.Errorf("%d warnings and %d errors are logged in five minutes", warned, failed)
				}
				box.mu.Lock()
				box.silent, box.down = "", false
				box.mu.Unlock()
				time.Sleep(2 * eventMaxBackoff)
				synctest.Wait()
				told := box.take()
				if n := strings.Count(told, `"condition":"Success"`); n < kept || s.Stats().Queued != 0 {
					t.Errorf("%d ends are told, %d events are left", n, s.Stats().Queued)
				}
				if !strings.Contains(told, `"requestPayload":299,`) || strings.Contains(told, `"requestPayload":150,`) {
					t.Error("the newest is not told, or one that is older than what is kept")
				}
			})
		})
	}
}
