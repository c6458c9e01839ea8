package schedule

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/millstreamdb/millstream/internal/arn"
	"github.com/millstreamdb/millstream/internal/outbox"
	"github.com/millstreamdb/millstream/internal/store"
	"github.com/millstreamdb/millstream/internal/store/crashtest"
	"github.com/millstreamdb/millstream/internal/worker"
)

var (
	testScope = arn.Scope{Account: "123456789012", Region: "eu-west-1"}
	function  = testScope.FunctionARN("f")
	begin     = time.Date(2030, 1, 1, 0, 0, 30, 0, time.UTC)
)

// world is a store with schedules, over the lives that crashes end. What is delivered is noted in the store, in the batch that ends the delivery.
type world struct {
	t     testing.TB
	disk  *crashtest.Disk
	store *store.Store
	clock *worker.Clock    // stands still until it is moved
	wall  func() time.Time // nil, or what a clock that goes by itself shows
	box   *outbox.Outbox
	s     *Service

	mu   sync.Mutex
	fail func(d *outbox.Delivery) error // nil: nothing fails
	hook func(when string)              // around the end of a delivery
}

func newWorld(t testing.TB) *world {
	w := &world{t: t, disk: crashtest.New()}
	w.open(begin)
	t.Cleanup(w.close)
	return w
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) open(now time.Time) {
	var err error
	w.store, err = store.Open(store.Options{FS: w.disk.FS(), Dir: "data"})
	w.must(err)
	if w.clock = worker.NewManualClock(now); w.wall != nil {
		w.clock = worker.NewClock(w.wall)
	}
	w.box, err = outbox.Open(outbox.Options{Store: w.store, Clock: w.clock, Send: w.send})
	w.must(err)
	w.s, err = Open(Options{Store: w.store, Clock: w.clock, Outbox: w.box})
	w.must(err)
	w.box.Start()
	w.s.Start()
}

func (w *world) close() {
	w.s.Close()
	w.box.Close()
	w.must(w.store.Close())
}

const noteSpace = 0xf7 // of no room

func (w *world) send(_ context.Context, d *outbox.Delivery, payload []byte, done func(*store.Batch)) error {
	w.mu.Lock()
	fail, hook := w.fail, w.hook
	w.mu.Unlock()
	if fail != nil {
		if err := fail(d); err != nil {
			return err
		}
	}
	if hook != nil {
		hook("before")
	}
	b := w.store.NewBatch()
	defer b.Close()
	done(b)
	b.Set(append([]byte{noteSpace}, d.Target+"|"+d.Source+"|"+fmt.Sprintf("%020d|", d.ID)+uuid.NewString()...), payload)
	err := w.store.Write(b)
	if hook != nil {
		hook("after")
	}
	return err
}

func (w *world) advance(d time.Duration) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	w.must(w.clock.Advance(ctx, d, nil))
}

// got is what was delivered to a target, by source: the times in events, or other payloads as they are.
func (w *world) got(target string) map[string][]string {
	w.t.Helper()
	all := map[string][]string{}
	w.must(w.store.Each([]byte{noteSpace}, func(k, v []byte) error {
		parts := strings.Split(string(k[1:]), "|")
		if parts[0] != target {
			return nil
		}
		var event struct{ Time string }
		text := string(v)
		if json.Unmarshal(v, &event) == nil && event.Time != "" {
			text = event.Time
		}
		all[parts[1]] = append(all[parts[1]], text)
		return nil
	}))
	return all
}

func definition(name, expression string) Definition {
	return Definition{Scope: testScope, Name: name, Expression: expression, Targets: []Target{{ARN: function, RoleARN: "arn:aws:iam::123456789012:role/r"}}}
}

var errBusy = errors.New("busy")
