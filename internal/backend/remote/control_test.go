package remote

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/millstreamdb/millstream/internal/backend"
	"github.com/millstreamdb/millstream/internal/trigger"
	"github.com/millstreamdb/millstream/internal/trigger/lane"
	"github.com/millstreamdb/millstream/internal/trigger/mapping"
)

// People may ask any node: what one has stored the others show, and the owner does.
func TestAnyNodeIsAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newBase()
		d.calm.Store(true)
		rng := rand.New(rand.NewPCG(1, 2))
		var nodes []*machine
		for range 3 {
			nodes = append(nodes, boot(t, d, rng, slog.New(slog.DiscardHandler), ""))
		}
		soon := func() { time.Sleep(10 * time.Second) } // of the bubble
		soon()
		ctx := t.Context()
		request := func(function string, change func(*mapping.CreateRequest)) mapping.CreateRequest {
			r := mapping.CreateRequest{EventSourceArn: new(d.arn), StartingPosition: new("TRIM_HORIZON"), Settings: mapping.Settings{FunctionName: new(function)}}
			if change != nil {
				change(&r)
			}
			return r
		}
		refused := func(what, text string, err error) {
			t.Helper()
			if err == nil || !strings.Contains(err.Error(), text) {
				t.Errorf("%s: %v, want %q", what, err, text)
			}
		}
		nodes[2].b.o.Polled = true // as over another engine, while nothing runs
		_, err := nodes[2].engine().Create(ctx, simScope, request("f00000001", func(r *mapping.CreateRequest) { r.Tags = map[string]string{"millstream:start": "snapshot"} }))
		refused("a mapping that cannot run", "The tag millstream:start", err)
		nodes[2].b.o.Polled = false
		v, err := nodes[0].engine().Create(ctx, simScope, request("f00000001", nil))
		if err != nil {
			t.Fatal(err)
		}
		soon()
		_, err = nodes[1].engine().Create(ctx, simScope, request("f00000001", nil))
		refused("a pair that is taken", v.UUID, err)
		for i, n := range nodes {
			if got, err := n.engine().Get(ctx, simScope, v.UUID); err != nil || got.BatchSize != 100 {
				t.Errorf("node %d: %+v, %v", i, got, err)
			}
		}
		ended := func() int {
			d.mu.Lock()
			defer d.mu.Unlock()
			return len(d.ended[v.UUID])
		}
		d.write(1)
		soon()
		if ended() != 1 {
			t.Errorf("%d records have ended, want 1", ended())
		}
		if _, err := nodes[1].engine().Update(ctx, simScope, v.UUID, mapping.Settings{BatchSize: new(7)}); err != nil {
			t.Error(err)
		}
		_, err = nodes[2].engine().Update(ctx, simScope, v.UUID, mapping.Settings{BatchSize: new(8)}) // it has not heard of the other
		refused("a change that meets another", "ResourceConflictException", err)
		_, err = nodes[1].engine().Update(ctx, simScope, v.UUID, mapping.Settings{FunctionName: new("f00000002")})
		refused("another function", "FunctionName", err)
		soon()
		if _, err := nodes[2].engine().Update(ctx, simScope, v.UUID, mapping.Settings{BatchSize: new(8)}); err != nil {
			t.Error(err)
		}
		soon()
		for i, n := range nodes {
			if got, _ := n.engine().Get(ctx, simScope, v.UUID); got.BatchSize != 8 {
				t.Errorf("node %d shows the batch size %d", i, got.BatchSize)
			}
			here := n.b.claimOn(d.arn) != nil
			st, err := n.engine().Status(ctx, v.UUID)
			if err != nil || st.Elsewhere == here || here != (len(st.Shards) == 1) {
				t.Errorf("node %d has the stream: %t, and shows %+v, %v", i, here, st, err)
			}
			if err := n.engine().Settle(ctx, v.UUID); here != (err == nil) || !here && !errors.Is(err, backend.ErrElsewhere) {
				t.Errorf("node %d has the stream: %t, and settles with %v", i, here, err)
			}
		}

		for i, n := range nodes { // the owner is one of them
			if err := n.engine().Pause(ctx, v.UUID); err != nil {
				t.Error(err)
			}
			soon()
			before := ended()
			d.write(i)
			soon()
			if ended() != before {
				t.Errorf("paused by node %d, it goes on", i)
			}
			if err := nodes[(i+1)%3].engine().Resume(ctx, v.UUID); err != nil {
				t.Error(err)
			}
			soon()
			if ended() != before+1 {
				t.Errorf("resumed by node %d, it does not go on", (i+1)%3)
			}
		}

		if _, err := nodes[2].engine().Delete(ctx, simScope, v.UUID); err != nil {
			t.Error(err)
		}
		soon()
		before := ended()
		d.write(5)
		soon()
		for i, n := range nodes {
			if _, err := n.engine().Get(ctx, simScope, v.UUID); err == nil {
				t.Errorf("node %d has it still", i)
			}
		}
		if ended() != before || len(d.query("millstream-progress", checkpointKey(v.UUID), "")) > 0 {
			t.Error("a mapping that was deleted goes on, or has left positions")
		}
		if _, err := nodes[1].engine().Create(ctx, simScope, request("f00000001", nil)); err != nil {
			t.Errorf("made again: %v", err)
		}
		for _, w := range d.wrong {
			t.Error(w)
		}
		for _, n := range nodes {
			n.stop()
		}
		for _, n := range nodes {
			<-n.done
		}
		close(d.over)
		d.late.Wait()
	})
}

// More rows than are read at once are all there, in order.
func TestEachKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newBase()
		d.calm.Store(true)
		n := boot(t, d, rand.New(rand.NewPCG(1, 2)), slog.New(slog.DiscardHandler), "")
		var want, got []string
		for i := range 2*keptAtOnce + 1 {
			want = append(want, fmt.Sprintf("k%04d", i))
			if _, err := n.b.Keep(t.Context(), Kept{Set: "a set", Key: want[i], Data: "x"}); err != nil {
				t.Fatal(err)
			}
		}
		err := n.b.EachKept(t.Context(), "a set", func(rows []Kept) error {
			for _, r := range rows {
				got = append(got, r.Key)
			}
			return nil
		})
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%d of %d rows: %v", len(got), len(want), err)
		}
		n.stop()
		<-n.done
		close(d.over)
		d.late.Wait()
	})
}

// What is set aside is listed, tried again and dropped at any node.
func TestAnyNodeHasWhatIsSetAside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newBase()
		d.calm.Store(true)
		rng := rand.New(rand.NewPCG(1, 2))
		var nodes []*machine
		for range 3 {
			nodes = append(nodes, boot(t, d, rng, slog.New(slog.DiscardHandler), ""))
		}
		soon := func() { time.Sleep(10 * time.Second) } // of the bubble
		soon()
		ctx := t.Context()
		retries := 0
		v, err := nodes[0].engine().Create(ctx, simScope, mapping.CreateRequest{
			EventSourceArn: new(d.arn), StartingPosition: new("TRIM_HORIZON"), Tags: map[string]string{"millstream:on-failure": "park"},
			Settings: mapping.Settings{FunctionName: new("f00000001"), MaximumRetryAttempts: &retries, BatchSize: new(1)},
		})
		if err != nil {
			t.Fatal(err)
		}
		d.mu.Lock()
		d.retries[v.UUID] = 0
		d.broken = true
		d.mu.Unlock()
		for i := range 9 {
			d.write(i)
		}
		soon()
		d.mu.Lock()
		d.broken = false
		d.mu.Unlock()
		left := 9
		for i, n := range nodes {
			rows, _, more, err := n.engine().ListAside(ctx, v.UUID, trigger.AsideFilter{Kind: lane.Parked}, lane.AsideKey{}, 100)
			if err != nil || len(rows) != left || more {
				t.Fatalf("node %d lists %d rows of %d, %v", i, len(rows), left, err)
			}
			if whole, err := n.engine().AsideRecord(ctx, v.UUID, rows[0].AsideKey); err != nil || len(whole.Event) == 0 {
				t.Errorf("node %d shows %+v, %v", i, whole, err)
			}
			before := d.endedOf(v.UUID)
			if got, _, err := n.engine().Redrive(ctx, v.UUID, trigger.Redrive{Limit: 2}); err != nil || got != 2 {
				t.Errorf("node %d: %d are tried again, %v", i, got, err)
			}
			soon()
			if got := d.endedOf(v.UUID); got != before+2 {
				t.Errorf("node %d: %d have ended, want %d", i, got, before+2)
			}
			rows, _, _, err = n.engine().ListAside(ctx, v.UUID, trigger.AsideFilter{}, lane.AsideKey{}, 100)
			if err != nil || len(rows) != left-2 {
				t.Fatalf("node %d lists %d rows, want %d, %v", i, len(rows), left-2, err)
			}
			d.mu.Lock()
			d.ended[v.UUID][rows[0].Seq.Lo] = true // since a person says so
			d.mu.Unlock()
			if got, _, err := n.engine().Redrive(ctx, v.UUID, trigger.Redrive{Discard: true, AsideFilter: trigger.AsideFilter{ID: rows[0].AsideKey}, Reason: "known"}); err != nil || got != 1 {
				t.Errorf("node %d: %d are dropped, %v", i, got, err)
			}
			left -= 3
			soon()
		}
		if got, err := nodes[2].engine().Get(ctx, simScope, v.UUID); err != nil || len(got.Notes) != 1 || got.Notes[0].Records != 3 {
			t.Errorf("the notes that are kept with the mapping are %+v, %v", got.Notes, err)
		}
		if rows := d.query("millstream-control", clusterKey, ""); slices.ContainsFunc(rows, func(r Row) bool { return strings.HasPrefix(r.S, askPrefix) }) {
			t.Error("what was asked for is still there")
		}
		for _, n := range nodes { // it is of nobody
			n.stop()
		}
		for _, n := range nodes {
			<-n.done
		}
		for _, w := range d.wrong {
			t.Error(w)
		}
		close(d.over)
		d.late.Wait()
	})
}

// Of a mapping that was deleted nothing stays but a row that the database may remove a day later, and of a stream without mappings nothing. What is made
// there after that begins as ever.
func TestTheNodesTablesAreTidied(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newBase()
		d.calm.Store(true)
		rng := rand.New(rand.NewPCG(1, 2))
		nodes := []*machine{boot(t, d, rng, slog.New(slog.DiscardHandler), ""), boot(t, d, rng, slog.New(slog.DiscardHandler), "")}
		soon := func() { time.Sleep(10 * time.Second) } // of the bubble
		soon()
		ctx := t.Context()
		for round := range 3 {
			v, err := nodes[0].engine().Create(ctx, simScope, mapping.CreateRequest{
				EventSourceArn: new(d.arn), StartingPosition: new("TRIM_HORIZON"), Settings: mapping.Settings{FunctionName: new(fmt.Sprintf("f%08d", round+1))},
			})
			if err != nil {
				t.Fatal(err)
			}
			d.write(1)
			soon()
			if got := d.endedOf(v.UUID); got != round+1 {
				t.Errorf("round %d: %d records have ended", round, got)
			}
			if _, err := nodes[(round+1)%2].engine().Delete(ctx, simScope, v.UUID); err != nil {
				t.Fatal(err)
			}
			soon()
			for _, r := range d.query("millstream-control", clusterKey, "") {
				if strings.HasPrefix(r.S, slicePrefix) && (r.Until == 0 || strings.Contains(r.Data, "owner")) {
					t.Errorf("round %d: a stream without mappings has an owner, or a row for ever: %+v", round, r)
				}
				if round == 1 && strings.HasPrefix(r.S, slicePrefix) {
					_ = d.remove("millstream-control", r.P, r.S, 0) // a day later
				}
			}
			if left := d.query("millstream-control", pairKey, ""); len(left) > 0 {
				t.Errorf("round %d: pairs are left: %+v", round, left)
			}
			for _, r := range d.query("millstream-control", definitionKey, "") {
				if r.Until == 0 {
					t.Errorf("round %d: a row stays for ever: %+v", round, r)
				}
				_ = d.remove("millstream-control", r.P, r.S, 0) // a day later
			}
			soon()
		}
		for _, n := range nodes {
			n.stop()
			<-n.done
		}
		for _, w := range d.wrong {
			t.Error(w)
		}
		close(d.over)
		d.late.Wait()
	})
}

type idleNode struct{}

func (idleNode) Defined(mapping.Definition)                       {}
func (idleNode) Deleted(string)                                   {}
func (idleNode) Do(context.Context, backend.Claim, []byte) []byte { return nil }
func (idleNode) Begin(backend.Claim)                              {}
func (idleNode) End(context.Context, backend.Claim)               {}

// A node that was silent for longer than a lease, so that a change was not waited for at it, has the change before it answers.
func TestANodeThatWasSilentIsFreshBeforeItAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newBase()
		d.calm.Store(true)
		ctx, stop := context.WithCancel(t.Context())
		var told atomic.Uint64
		var work sync.WaitGroup
		var nodes []*machine
		for i := range 2 {
			n := &machine{d: d, rng: rand.New(rand.NewPCG(1, uint64(i)))}
			start := time.Now()
			n.b = New(Options{Endpoint: n, Log: slog.New(slog.DiscardHandler), Elapsed: func() time.Duration { n.gate(); return time.Since(start) }, Told: func(r Document) {
				if i == 1 {
					told.Store(r.Version)
				}
			}})
			nodes = append(nodes, n)
			work.Go(func() { _ = n.b.Run(ctx, idleNode{}) })
		}
		time.Sleep(10 * time.Second)
		nodes[1].b.Fresh(ctx)
		nodes[1].pause(30 * time.Second)
		time.Sleep(20 * time.Second)
		v, err := nodes[0].b.PutDocument(ctx, Document{Key: "f#f", Body: []byte("{}")})
		if err != nil {
			t.Fatal(err)
		}
		nodes[0].b.Agree(ctx)
		time.Sleep(10*time.Second + time.Millisecond) // it is awake
		before := time.Now()
		nodes[1].b.Fresh(ctx)
		if told.Load() != v || time.Since(before) > tryFor {
			t.Errorf("it answers after %v with version %d, not %d", time.Since(before), told.Load(), v)
		}
		stop()
		work.Wait()
		close(d.over)
		d.late.Wait()
	})
}

// away is an endpoint that is not reached for a while: it refuses at once, or does not answer.
type away struct {
	Endpoint
	refuses, hangs atomic.Bool
}

func (a *away) gone(ctx context.Context) error {
	if a.hangs.Load() {
		<-ctx.Done()
	}
	if a.hangs.Load() || a.refuses.Load() {
		return errNetwork
	}
	return nil
}

func (a *away) Put(ctx context.Context, table string, r Row, v uint64) error {
	if err := a.gone(ctx); err != nil {
		return err
	}
	return a.Endpoint.Put(ctx, table, r, v)
}

func (a *away) Part(ctx context.Context, table, p, from string, limit int, heads bool) ([]Row, string, error) {
	if err := a.gone(ctx); err != nil {
		return nil, "", err
	}
	return a.Endpoint.Part(ctx, table, p, from, limit, heads)
}

func (a *away) Query(ctx context.Context, table, p, s string) ([]Row, error) {
	if err := a.gone(ctx); err != nil {
		return nil, err
	}
	return a.Endpoint.Query(ctx, table, p, s)
}

// While the tables' server is not reached nobody waits for what cannot come, and once it is the node has what was changed before it answers.
func TestNobodyWaitsForAServerThatIsAway(t *testing.T) {
	for name, out := range map[string]func(a *away, is bool){
		"it refuses":         func(a *away, is bool) { a.refuses.Store(is) },
		"it does not answer": func(a *away, is bool) { a.hangs.Store(is) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newBase()
				d.calm.Store(true)
				ctx, stop := context.WithCancel(t.Context())
				var told atomic.Uint64
				e := &away{Endpoint: &machine{d: d, rng: rand.New(rand.NewPCG(1, 1))}}
				b := New(Options{Endpoint: e, Log: slog.New(slog.DiscardHandler), Told: func(r Document) { told.Store(r.Version) }})
				other := New(Options{Endpoint: &machine{d: d, rng: rand.New(rand.NewPCG(1, 2))}, Log: slog.New(slog.DiscardHandler)})
				var work sync.WaitGroup
				for _, one := range []*Backend{b, other} {
					work.Go(func() { _ = one.Run(ctx, idleNode{}) })
				}
				time.Sleep(10 * time.Second)
				out(e, true)
				time.Sleep(2 * b.o.Lease)
				for range 20 {
					before := time.Now()
					if b.Fresh(ctx); time.Since(before) > 0 {
						t.Errorf("a call waits %v for a server that is away", time.Since(before))
					}
					time.Sleep(time.Second)
				}
				v, err := other.PutDocument(ctx, Document{Key: "f#f", Body: []byte("{}")})
				if err != nil {
					t.Fatal(err)
				}
				out(e, false)
				for !b.valid() { // its first beat
					time.Sleep(time.Millisecond)
				}
				if b.Fresh(ctx); told.Load() != v {
					t.Errorf("it answers with version %d, not %d", told.Load(), v)
				}
				stop()
				work.Wait()
				close(d.over)
				d.late.Wait()
			})
		})
	}
}

// A mapping on a stream that a node has taken, and whose positions it has not read yet, is not settled.
func TestWhatIsNotLoadedIsNotSettled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newBase()
		d.calm.Store(true)
		rng := rand.New(rand.NewPCG(1, 2))
		n := boot(t, d, rng, slog.New(slog.DiscardHandler), "")
		loads := make(chan struct{})
		n.mu.Lock()
		n.loads = loads
		n.mu.Unlock()
		time.Sleep(10 * time.Second) // of the bubble
		ctx := t.Context()
		v, err := n.engine().Create(ctx, simScope, mapping.CreateRequest{EventSourceArn: new(d.arn), StartingPosition: new("TRIM_HORIZON"), Settings: mapping.Settings{FunctionName: new("f00000001")}})
		if err != nil {
			t.Fatal(err)
		}
		d.write(1)
		time.Sleep(10 * time.Second)
		if mine, err := n.b.Mine(ctx); err != nil || len(mine) != 1 || len(n.b.Held()) != 1 {
			t.Fatalf("the node has %v, %v", mine, err)
		}
		settled := make(chan error, 1)
		go func() { settled <- n.engine().SettleHere(ctx) }()
		time.Sleep(2 * time.Second)
		select {
		case err := <-settled:
			t.Errorf("settled before its positions are read: %v", err)
			settled <- err
		default:
		}
		close(loads)
		if err := <-settled; err != nil {
			t.Error(err)
		}
		d.mu.Lock()
		if len(d.ended[v.UUID]) != 1 {
			t.Errorf("settled when %d records had ended", len(d.ended[v.UUID]))
		}
		d.mu.Unlock()
		n.stop()
		<-n.done
		close(d.over)
		d.late.Wait()
	})
}

// A stream is on one of the nodes, and a node that comes or goes moves none but its own.
func TestStreamsSpread(t *testing.T) {
	nodes := []string{"a", "b", "c", "d"}
	counts := map[string]int{}
	moved := 0
	for i := range 1000 {
		stream := fmt.Sprint("arn:", i)
		at := best(stream, nodes)
		counts[at]++
		if now := best(stream, nodes[:3]); at != "d" && now != at {
			t.Fatalf("without d, %s moves from %s to %s", stream, at, now)
		}
		if best(stream, []string{"d", "c", "b", "a"}) != at {
			moved++
		}
	}
	for _, n := range nodes {
		if counts[n] < 200 || counts[n] > 300 {
			t.Errorf("of 1000 streams %s has %d", n, counts[n])
		}
	}
	if moved > 0 {
		t.Errorf("%d streams depend on the order of the nodes", moved)
	}
}
