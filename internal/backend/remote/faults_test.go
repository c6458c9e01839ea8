package remote

import (
	"context"
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
	"github.com/millstreamdb/millstream/internal/trigger/lane"
	"github.com/millstreamdb/millstream/internal/trigger/mapping"
)

// between is an endpoint on whose way something happens.
type between struct {
	Endpoint
	put     func(r Row, put func() error) error
	records func(p Records, wait time.Duration)
}

func (e between) Put(ctx context.Context, table string, r Row, v uint64) error {
	put := func() error { return e.Endpoint.Put(ctx, table, r, v) }
	if e.put == nil {
		return put()
	}
	return e.put(r, put)
}

func (e between) Records(ctx context.Context, iterator string, limit int, wait time.Duration) (Records, error) {
	p, err := e.Endpoint.Records(ctx, iterator, limit, wait)
	if e.records != nil {
		e.records(p, wait)
	}
	return p, err
}

// slowNode needs a second to begin.
type slowNode struct {
	mu     sync.Mutex
	heard  []string
	begins chan struct{}
}

func (n *slowNode) hear(what string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.heard = append(n.heard, what)
}

func (n *slowNode) Defined(mapping.Definition)                       {}
func (n *slowNode) Deleted(string)                                   {}
func (n *slowNode) Do(context.Context, backend.Claim, []byte) []byte { return nil }
func (n *slowNode) Begin(backend.Claim) {
	close(n.begins)
	time.Sleep(time.Second)
	n.hear("begin")
}
func (n *slowNode) End(context.Context, backend.Claim) { n.hear("end") }

// A claim that begins while its node is told to end is let go of in order, like the others.
func TestAClaimThatHasJustBegunIsDrained(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newBase()
		d.calm.Store(true)
		b := New(Options{Endpoint: &machine{d: d, rng: rand.New(rand.NewPCG(1, 1))}, Log: slog.New(slog.DiscardHandler)})
		if err := d.put(b.control, Row{P: clusterKey, S: slicePrefix + d.arn, V: 1, Data: encode(sliceRow{Owner: "one that is gone"})}, 0, ""); err != nil {
			t.Fatal(err)
		}
		n := &slowNode{begins: make(chan struct{})}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- b.Run(ctx, n) }()
		<-n.begins
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if !slices.Equal(n.heard, []string{"begin", "end"}) {
			t.Errorf("the engine was told %v", n.heard)
		}
		close(d.over)
		d.late.Wait()
	})
}

// A node that has told that it is no more is not sure of itself: others take what it accepts events in, and deal its share of calls anew, at once.
func TestANodeThatHasLeftIsNotSure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newBase()
		d.calm.Store(true)
		ctx, stop := context.WithCancel(t.Context())
		var b *Backend
		beats := 0
		b = New(Options{Log: slog.New(slog.DiscardHandler), Endpoint: between{Endpoint: &machine{d: d, rng: rand.New(rand.NewPCG(1, 1))}, put: func(r Row, put func() error) error {
			var n nodeRow
			if !strings.HasPrefix(r.S, nodePrefix) {
				return put()
			}
			if err := decode(&r, &n); err != nil {
				t.Error(err)
			}
			switch {
			case n.State == over:
				if _, sure := b.Self(); sure {
					t.Error("it is sure when others may take what it has")
				}
				err := put()
				time.Sleep(2 * time.Second)
				if _, sure := b.Self(); sure {
					t.Error("a beat that was on its way has made it sure again")
				}
				return err
			case beats == 3: // the answer comes when it has left
				if _, sure := b.Self(); !sure {
					t.Error("it is not sure while it lives")
				}
				err := put()
				stop()
				time.Sleep(time.Second)
				return err
			}
			beats++
			return put()
		}}})
		if err := b.Run(ctx, idleNode{}); err != nil {
			t.Error(err)
		}
		if _, sure := b.Self(); sure || beats != 3 {
			t.Errorf("after %d beats and its end it is sure: %t", beats, sure)
		}
		close(d.over)
		d.late.Wait()
	})
}

// A claimer that is late removes no pieces of the claim after it.
func TestALateClaimerLeavesLaterPieces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newBase()
		d.calm.Store(true)
		b := New(Options{Endpoint: &machine{d: d, rng: rand.New(rand.NewPCG(1, 1))}, Log: slog.New(slog.DiscardHandler)})
		event, state := strings.Repeat("x", asideInline+1), make([]byte, 2*windowPiece)
		for epoch := range uint64(3) { // 0 is the one before, whose pieces nothing has any more
			c := newClaim(b, d.arn, epoch, 1)
			if err := c.putPieces("m", &asideRow{}, asideSort(lane.AsideKey{Shard: "s#0"}), event); err != nil {
				t.Fatal(err)
			}
			if _, err := c.putWindow("m", "s#0", &lane.Window{State: state}); err != nil {
				t.Fatal(err)
			}
		}
		late := newClaim(b, d.arn, 1, 1)
		if _, err := late.takeAside("m", nil); err != nil {
			t.Error(err)
		}
		if err := late.tidyWindows("m", nil); err != nil {
			t.Error(err)
		}
		for p, want := range map[string]int{piecePartition("m"): 1, windowPartition("m"): 2} {
			left := d.query(b.progress, p, "")
			if len(left) != want || slices.ContainsFunc(left, func(r Row) bool { return !strings.Contains(r.S, "#2#") }) {
				t.Errorf("%d pieces are left of %s, want the %d of the later claim: %+v", len(left), p, want, left)
			}
		}
		close(d.over)
		d.late.Wait()
	})
}

// renewer is an engine that finds each claim wanting.
type renewer struct {
	idleNode
	b     *Backend
	times atomic.Int64
}

func (n *renewer) Begin(c backend.Claim) {
	n.times.Add(1)
	time.AfterFunc(10*time.Millisecond, func() { n.b.Renew(c) })
}

// A stream that is begun anew again and again costs a few requests a second.
func TestRenewingTakesItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newBase()
		d.calm.Store(true)
		b := New(Options{Endpoint: &machine{d: d, rng: rand.New(rand.NewPCG(1, 1))}, Log: slog.New(slog.DiscardHandler)})
		if _, err := b.CreateMapping(t.Context(), mapping.Definition{UUID: "m", StreamARN: d.arn, FunctionARN: simScope.FunctionARN("f"), Start: mapping.StartTrimHorizon}); err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		n := &renewer{b: b}
		ended := make(chan error)
		go func() { ended <- b.Run(ctx, n) }()
		time.Sleep(time.Minute)
		if got := n.times.Load(); got < 20 || got > 60 {
			t.Errorf("in a minute it is begun %d times", got)
		}
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		close(d.over)
		d.late.Wait()
	})
}

// A node that is slow between the pair and the definition, and dies right after it, makes no second mapping.
func TestASlowNodeMakesNoSecondMapping(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newBase()
		d.calm.Store(true)
		n := &machine{d: d, rng: rand.New(rand.NewPCG(1, 1))}
		dead := make(chan struct{})
		var slept atomic.Bool
		slow := New(Options{Log: slog.New(slog.DiscardHandler), Endpoint: between{Endpoint: n, put: func(r Row, put func() error) error {
			if r.P != definitionKey || slept.Swap(true) {
				return put()
			}
			time.Sleep(2 * pairGrace)
			err := put()
			<-dead
			return err
		}}})
		quick := New(Options{Endpoint: n, Log: slog.New(slog.DiscardHandler)})
		def := func(uuid string) mapping.Definition {
			return mapping.Definition{UUID: uuid, StreamARN: d.arn, FunctionARN: simScope.FunctionARN("f"), Start: mapping.StartTrimHorizon}
		}
		d.late.Go(func() { _, _ = slow.CreateMapping(t.Context(), def("one")) })
		time.Sleep(time.Second)
		if _, err := quick.CreateMapping(t.Context(), def("two")); err != nil {
			t.Error(err)
		}
		time.Sleep(4 * pairGrace)
		all, err := quick.Mappings(t.Context())
		if err != nil || len(all) != 1 || all[0].UUID != "two" {
			t.Errorf("there are %d mappings of one function and one stream, %v", len(all), err)
		}
		close(dead)
		close(d.over)
		d.late.Wait()
	})
}

// An empty answer that comes late says nothing of what the reader has read and let go of meanwhile.
func TestALateEmptyAnswerPassesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newBase()
		d.calm.Store(true)
		d.last = 10
		held, goOn := make(chan struct{}), make(chan struct{})
		var once sync.Once
		b := New(Options{Log: slog.New(slog.DiscardHandler), Endpoint: between{
			Endpoint: &machine{d: d, rng: rand.New(rand.NewPCG(1, 1))},
			records: func(p Records, wait time.Duration) {
				if wait == 0 && len(p.Records) == 0 {
					once.Do(func() { close(held); <-goOn })
				}
			},
		}})
		b.deadline.Store(1 << 60)
		c := newClaim(b, d.arn, 1, 1)
		b.claims[d.arn] = c
		b.work.Go(c.feed.run)
		time.Sleep(time.Second)
		c.feed.begin(map[string]lane.Checkpoint{"s0": {Low: simNumber(10)}}, true)
		time.Sleep(time.Second)
		read := make(chan lane.Page)
		go func() {
			p, err := b.Read(t.Context(), d.arn, "s0", simNumber(5), 100, 1<<20)
			if err != nil {
				t.Error(err)
			}
			read <- p
		}()
		<-held
		for range 30 {
			d.write(1)
		}
		time.Sleep(time.Second)
		r := c.feed.readers["s0"]
		r.mu.Lock() // as if there had been no room for the first twenty
		r.before, r.kept = r.kept[19].seq, r.kept[20:]
		r.mu.Unlock()
		close(goOn)
		if p := <-read; len(p.Records) == 0 || p.Records[0].Seq() != simNumber(11) {
			t.Errorf("it goes on with %d records that begin behind the first", len(p.Records))
		}
		close(d.over)
		b.dropAll()
		b.work.Wait()
		d.late.Wait()
	})
}

// A mapping that was deleted leaves no positions: neither of shards that are born before its owner hears of it, nor when whoever deleted it
// has died right after that.
func TestADeletedMappingLeavesNothing(t *testing.T) {
	for name, remove := range map[string]func(t *testing.T, d *base, b *Backend, uuid string){
		"a shard is born": func(t *testing.T, d *base, b *Backend, uuid string) {
			if err := b.DeleteMapping(t.Context(), uuid); err != nil {
				t.Error(err)
			}
			d.split()
		},
		"it is cut short": func(t *testing.T, d *base, b *Backend, uuid string) {
			dying := New(Options{Log: slog.New(slog.DiscardHandler), Endpoint: between{Endpoint: b.o.Endpoint, put: func(r Row, put func() error) error {
				if r.P == pairKey {
					<-d.over
				}
				return put()
			}}})
			d.late.Go(func() { _ = dying.DeleteMapping(t.Context(), uuid) })
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newBase()
				d.calm.Store(true)
				rng := rand.New(rand.NewPCG(1, 2))
				owner := boot(t, d, rng, slog.New(slog.DiscardHandler), "")
				time.Sleep(10 * time.Second)
				v, err := owner.engine().Create(t.Context(), simScope, mapping.CreateRequest{
					EventSourceArn: new(d.arn), StartingPosition: new("TRIM_HORIZON"), Settings: mapping.Settings{FunctionName: new("f00000001")},
				})
				if err != nil {
					t.Fatal(err)
				}
				d.write(1)
				time.Sleep(10 * time.Second)
				other := New(Options{Endpoint: &machine{d: d, rng: rand.New(rand.NewPCG(1, 1))}, Log: slog.New(slog.DiscardHandler)})
				remove(t, d, other, v.UUID)
				time.Sleep(30 * time.Second)
				if left := d.query("millstream-progress", checkpointKey(v.UUID), ""); len(left) > 0 {
					t.Errorf("%d positions are left", len(left))
				}
				owner.stop()
				<-owner.done
				close(d.over)
				d.late.Wait()
			})
		})
	}
}
