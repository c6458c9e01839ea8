package table

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/millstreamdb/millstream/internal/store"
	"github.com/millstreamdb/millstream/internal/store/crashtest"
	"github.com/millstreamdb/millstream/internal/stream"
)

// startExpiring runs the workers of time to live until the test ends.
func (w *world) startExpiring(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for _, run := range []func() error{
		func() error { return w.db.Fill(ctx) },
		func() error { return w.db.SweepTimeToLive(ctx, w.db.log) },
	} {
		wg.Go(func() {
			if err := run(); err != nil {
				t.Error(err)
			}
		})
	}
	t.Cleanup(func() {
		cancel()
		wg.Wait()
	})
}

func (w *world) setTimeToLive(t *testing.T, table string, enabled bool, attribute string) error {
	_, err := w.call("UpdateTimeToLive", fmt.Sprintf(`{"TableName":%q,"TimeToLiveSpecification":{"Enabled":%v,"AttributeName":%q}}`, table, enabled, attribute))
	return err
}

func (w *world) timeToLive(t *testing.T) TimeToLive {
	t.Helper()
	return *w.must(t, "DescribeTimeToLive", `{"TableName":"tab"}`).(*TimeToLive)
}

// putExpiring puts an item with an attribute "t", given as JSON.
func (w *world) putExpiring(t *testing.T, key, value string) {
	t.Helper()
	w.must(t, "PutItem", fmt.Sprintf(`{"TableName":"tab","Item":{"pk":{"S":%q},"t":%s}}`, key, value))
}

// keys are those of a table's items, sorted by nothing in particular.
func (w *world) keys(t *testing.T) string {
	t.Helper()
	have := map[string]bool{}
	for _, it := range w.must(t, "Scan", `{"TableName":"tab","ConsistentRead":true}`).(*QueryResult).Items {
		have[it.Get("pk").Text()] = true
	}
	var names []string
	for _, key := range []string{"before", "soon", "fraction", "exponent", "extended", "moved", "later", "text", "list", "old", "negative", "zero", "huge", "none"} {
		if have[key] {
			names = append(names, key)
		}
	}
	return strings.Join(names, " ")
}

// TestTimeToLive: items go within two seconds of their time, those that were there
// before it was enabled as well, and nothing else does. The records of their
// deletion say whose it was.
func TestTimeToLive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.createTable(t, "tab", 1, "OLD_IMAGE")
		w.startExpiring(t)
		at := func(d time.Duration) string { return fmt.Sprintf(`{"N":"%d"}`, time.Now().Add(d).Unix()) }
		w.putExpiring(t, "before", at(10*time.Second))
		if err := w.setTimeToLive(t, "tab", true, "t"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if ttl := w.timeToLive(t); ttl != (TimeToLive{"ENABLED", "t"}) {
			t.Errorf("%+v", ttl)
		}
		w.putExpiring(t, "soon", at(10*time.Second))
		w.putExpiring(t, "fraction", fmt.Sprintf(`{"N":"%d.75"}`, time.Now().Add(10*time.Second).Unix()))
		w.putExpiring(t, "exponent", fmt.Sprintf(`{"N":"%de-3"}`, time.Now().Add(10*time.Second).UnixMilli()))
		w.putExpiring(t, "extended", at(10*time.Second))
		w.putExpiring(t, "moved", at(10*time.Second))
		w.putExpiring(t, "later", at(time.Hour))
		w.putExpiring(t, "text", fmt.Sprintf(`{"S":"%d"}`, time.Now().Unix()))
		w.putExpiring(t, "list", `{"L":[{"N":"1"}]}`)
		w.putExpiring(t, "old", at(-sweepBack-time.Minute))
		w.putExpiring(t, "negative", `{"N":"-5"}`)
		w.putExpiring(t, "zero", `{"N":"0"}`)
		w.putExpiring(t, "huge", `{"N":"9e125"}`)
		w.must(t, "PutItem", `{"TableName":"tab","Item":{"pk":{"S":"none"}}}`)
		time.Sleep(9 * time.Second)
		const rest = "later text list old negative zero huge none"
		if got, want := w.keys(t), "before soon fraction exponent extended moved "+rest; got != want {
			t.Errorf("before the time: %s\nwant %s", got, want)
		}
		w.putExpiring(t, "extended", at(time.Hour))
		w.must(t, "UpdateItem", `{"TableName":"tab","Key":{"pk":{"S":"moved"}},"UpdateExpression":"SET u = t REMOVE t"}`)
		time.Sleep(3 * time.Second)
		if got, want := w.keys(t), "extended moved "+rest; got != want {
			t.Errorf("after the time: %s\nwant %s", got, want)
		}
		w.must(t, "DeleteItem", `{"TableName":"tab","Key":{"pk":{"S":"none"}}}`)
		all, err := w.records("tab")
		if err != nil {
			t.Fatal(err)
		}
		expired := map[string]bool{}
		for _, r := range all[0] {
			if r.Name() == stream.Remove {
				expired[r.Keys().Get("pk").Text()] = r.Expired()
			}
			const api, lambda = `"userIdentity":{"PrincipalId":"dynamodb.amazonaws.com","Type":"Service"}`, `"userIdentity":{"type":"Service","principalId":"dynamodb.amazonaws.com"}`
			if bytes.Contains(r.AppendJSON(nil), []byte(api)) != r.Expired() || bytes.Contains(r.Event(), []byte(lambda)) != r.Expired() {
				t.Errorf("%s %s", r.AppendJSON(nil), r.Event())
			}
		}
		if got, want := fmt.Sprint(expired), "map[before:true exponent:true fraction:true none:false soon:true]"; got != want {
			t.Errorf("removed, by time to live: %s\nwant %s", got, want)
		}
		w.checkExpiries(t)
		time.Sleep(time.Hour)
		if got, want := w.keys(t), "moved text list old negative zero huge"; got != want {
			t.Errorf("an hour later: %s\nwant %s", got, want)
		}
	})
}

// TestTimeToLiveStates holds AWS's texts, and that each enabling begins anew.
func TestTimeToLiveStates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.createTable(t, "tab", 1, "")
		try := func(want string, enabled bool, attribute string) {
			t.Helper()
			got := ""
			if err := w.setTimeToLive(t, "tab", enabled, attribute); err != nil {
				got = err.Error()
			}
			if got != want {
				t.Errorf("enabled %v by %s: %q\nwant %q", enabled, attribute, got, want)
			}
		}
		if ttl := w.timeToLive(t); ttl != (TimeToLive{Status: "DISABLED"}) {
			t.Errorf("%+v", ttl)
		}
		try("ValidationException: TimeToLive is already disabled", false, "t")
		try("", true, "t")
		if ttl := w.timeToLive(t); ttl != (TimeToLive{"ENABLING", "t"}) {
			t.Errorf("before its back-fill: %+v", ttl)
		}
		try("ValidationException: TimeToLive is already enabled", true, "t")
		const other = "ValidationException: TimeToLive is active on a different AttributeName: current AttributeName is t"
		try(other, true, "u")
		try(other, false, "u")
		w.startExpiring(t)
		synctest.Wait()
		w.putExpiring(t, "soon", fmt.Sprintf(`{"N":"%d"}`, time.Now().Add(time.Minute).Unix()))
		w.must(t, "UpdateItem", `{"TableName":"tab","Key":{"pk":{"S":"soon"}},"UpdateExpression":"SET u = t"}`)
		try("", false, "t")
		if ttl := w.timeToLive(t); ttl != (TimeToLive{Status: "DISABLED"}) {
			t.Errorf("%+v", ttl)
		}
		w.checkExpiries(t)
		time.Sleep(2 * time.Minute)
		if got := w.keys(t); got != "soon" {
			t.Errorf("after it was disabled: %s", got)
		}
		try("", true, "u")
		time.Sleep(2 * time.Second)
		if got := w.keys(t); got != "" {
			t.Errorf("after it was enabled again: %s", got)
		}
		w.checkExpiries(t)
		for _, op := range []string{"UpdateTimeToLive", "DescribeTimeToLive"} {
			_, err := w.call(op, `{"TableName":"gone","TimeToLiveSpecification":{"Enabled":true,"AttributeName":"t"}}`)
			if err == nil || err.Error() != "ResourceNotFoundException: Requested resource not found: Table: gone not found" {
				t.Errorf("%s of no table: %v", op, err)
			}
		}
		w.must(t, "DeleteTable", `{"TableName":"tab"}`)
		w.checkExpiries(t)
	})
}

// TestTimeToLiveMeetsAJumpOfTheClock: a clock that jumps deletes nothing, until it
// is accepted.
func TestTimeToLiveMeetsAJumpOfTheClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ahead atomic.Int64
		now := func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
		w := &world{disk: crashtest.New()}
		var err error
		if w.store, err = store.Open(store.Options{FS: w.disk.FS(), Dir: "data", Durability: store.Sync}); err != nil {
			t.Fatal(err)
		}
		defer w.store.Close()
		if w.streams, err = stream.Open(w.store, now); err != nil {
			t.Fatal(err)
		}
		if w.db, err = Open(Options{Store: w.store, Streams: w.streams, Now: now}); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			if err := w.db.SweepTimeToLive(ctx, w.db.log); err != nil {
				t.Error(err)
			}
		}()
		defer func() { cancel(); <-done }()
		w.createTable(t, "tab", 1, "")
		if err := w.setTimeToLive(t, "tab", true, "t"); err != nil {
			t.Fatal(err)
		}
		w.putExpiring(t, "later", fmt.Sprintf(`{"N":"%d"}`, time.Now().Add(24*time.Hour).Unix()))
		time.Sleep(3 * time.Second)
		ahead.Store(int64(365 * 24 * time.Hour))
		time.Sleep(23 * time.Hour)
		if got := w.keys(t); got != "later" {
			t.Errorf("after the jump: %q", got)
		}
		ahead.Store(0)
		time.Sleep(time.Minute)
		ahead.Store(int64(365 * 24 * time.Hour))
		time.Sleep(2 * time.Second)
		w.streams.Clock().Accept()
		time.Sleep(2 * time.Second)
		if got := w.keys(t); got != "" {
			t.Errorf("after a person accepted it: %q", got)
		}
	})
}

// expiries returns the entries that are, and those that the items ask for.
func (w *world) expiries() (are, want map[string]bool, err error) {
	are, want = map[string]bool{}, map[string]bool{}
	it, err := w.store.NewIter([]byte{store.SpaceTTL}, []byte{store.SpaceTTL + 1})
	if err != nil {
		return nil, nil, err
	}
	defer it.Close()
	for ok := it.First(); ok; ok = it.Next() {
		are[string(it.Key())] = true
	}
	for _, t := range *w.db.tables.Load() {
		ttl := t.desc.Load().def.TTL
		if ttl == nil {
			continue
		}
		items, err := w.store.NewIter(t.itemPrefix(), store.PrefixEnd(t.itemPrefix()))
		if err != nil {
			return nil, nil, err
		}
		defer items.Close()
		for ok := items.First(); ok; ok = items.Next() {
			v, err := items.Value()
			if err != nil {
				return nil, nil, err
			}
			if second, expires := ttl.expiry(v); expires {
				want[string(ttl.appendExpiryKey(nil, second, items.Key()))] = true
			}
		}
	}
	return are, want, nil
}

func (w *world) checkExpiries(t *testing.T) {
	t.Helper()
	are, want, err := w.expiries()
	if err != nil {
		t.Fatal(err)
	}
	for key := range are {
		if !want[key] {
			t.Errorf("an entry that no item asks for: %x", key)
		}
	}
	for key := range want {
		if !are[key] {
			t.Errorf("an entry is missing: %x", key)
		}
	}
}

// TestExpiriesAreExact: while writers change items and time to live is turned on
// and off, and after crashes in between, the index is what a recomputation from the
// items gives, once its back-fill is done.
func TestExpiriesAreExact(t *testing.T) {
	for seed := range uint64(crashes(t, 60)) {
		w, err := openWorld(crashtest.New(), store.Sync)
		if err != nil {
			t.Fatal(err)
		}
		w.createTable(t, "tab", 1+int(seed%2), []string{"", "KEYS_ONLY"}[seed%2])
		for i := range 3 * fillPiece / 2 {
			w.putExpiring(t, fmt.Sprint("k", i), `{"N":"4000000000"}`)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() {
			if err := w.db.Fill(ctx); err != nil {
				t.Error(err)
			}
		})
		var writers sync.WaitGroup
		for n := range 4 {
			rng := rand.New(rand.NewPCG(seed, uint64(n)))
			writers.Go(func() {
				for range 40 {
					key := fmt.Sprint("k", rng.IntN(3*fillPiece/2))
					op, body := "PutItem", fmt.Sprintf(`{"TableName":"tab","Item":{"pk":{"S":%q},"t":{"N":"40000000%02d.5"}}}`, key, rng.IntN(100))
					switch rng.IntN(4) {
					case 0:
						op, body = "DeleteItem", fmt.Sprintf(`{"TableName":"tab","Key":{"pk":{"S":%q}}}`, key)
					case 1:
						op, body = "UpdateItem", fmt.Sprintf(`{"TableName":"tab","Key":{"pk":{"S":%q}},"UpdateExpression":"REMOVE t"}`, key)
					}
					if _, err := w.call(op, body); err != nil {
						t.Error(err)
					}
				}
			})
		}
		for i := range 1 + seed%4 {
			if err := w.setTimeToLive(t, "tab", i%2 == 0, "t"); err != nil {
				t.Fatal(err)
			}
		}
		disk := w.disk.Clone(seed)
		writers.Wait()
		cancel()
		wg.Wait()
		for range 2 { // what goes on, and what is left of the crash
			if ttl := w.db.find(scope, "tab").desc.Load().def.TTL; ttl != nil {
				if err := w.db.fillAll(t.Context()); err != nil {
					t.Fatal(err)
				}
				if ttl := w.timeToLive(t); ttl.Status != "ENABLED" {
					t.Fatalf("seed %d: %+v", seed, ttl)
				}
			}
			w.checkExpiries(t)
			if err := w.store.Close(); err != nil {
				t.Fatal(err)
			}
			if t.Failed() {
				t.Fatalf("seed %d", seed)
			}
			if w, err = openWorld(disk, store.Sync); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.store.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// extendUnderSweep lets a client extend an item's life while it is being swept. If
// the client was told that the item was there and lives longer, it must live.
func extendUnderSweep(w *world, i int) error {
	ctx := context.Background()
	key := fmt.Sprint("k", i)
	if _, err := w.call("PutItem", fmt.Sprintf(`{"TableName":"tab","Item":{"pk":{"S":%q},"t":{"N":"%d"}}}`, key, time.Now().Unix()-60)); err != nil {
		return err
	}
	swept := make(chan error, 1)
	go func() { swept <- w.db.sweep(ctx, w.db.find(scope, "tab"), time.Now()) }()
	for range i % 4 {
		runtime.Gosched() // the sweep is ahead of the update also on one processor
	}
	_, err := w.call("UpdateItem", fmt.Sprintf(`{"TableName":"tab","Key":{"pk":{"S":%q}},"UpdateExpression":"SET t = :t","ConditionExpression":"attribute_exists(pk)","ExpressionAttributeValues":{":t":{"N":"%d"}}}`, key, time.Now().Unix()+3600))
	if e := <-swept; e != nil {
		return e
	}
	if isCode(err, "ConditionalCheckFailedException") {
		return nil
	}
	if err != nil {
		return err
	}
	a, err := w.call("GetItem", fmt.Sprintf(`{"TableName":"tab","Key":{"pk":{"S":%q}},"ConsistentRead":true}`, key))
	if err == nil && !a.(*GetResult).Found {
		return fmt.Errorf("%s was deleted after its life was extended", key)
	}
	return err
}

func TestSweepSparesExtendedItems(t *testing.T) {
	w := newWorld(t)
	w.createTable(t, "tab", 1, "")
	if err := w.setTimeToLive(t, "tab", true, "t"); err != nil {
		t.Fatal(err)
	}
	for i := range 300 {
		if err := extendUnderSweep(w, i); err != nil {
			t.Fatal(err)
		}
	}
	w.checkExpiries(t)
}
