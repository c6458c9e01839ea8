package remote

import (
	"log/slog"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/millstreamdb/millstream/internal/trigger/lane"
	"github.com/millstreamdb/millstream/internal/trigger/mapping"
)

// reading runs f in a bubble, with a node that nobody disturbs and a claim on its stream. What f does to the database goes on at once.
func reading(t *testing.T, f func(t *testing.T, d *base, b *Backend, c *claim)) {
	synctest.Test(t, func(t *testing.T) {
		d := newBase()
		d.calm.Store(true)
		n := &machine{d: d, rng: rand.New(rand.NewPCG(1, 1))}
		b := New(Options{Endpoint: n, Log: slog.New(slog.DiscardHandler)})
		b.deadline.Store(1 << 60)
		c := newClaim(b, d.arn, 1, 1)
		b.claims[d.arn] = c
		b.work.Go(c.feed.run)
		f(t, d, b, c)
		close(d.over)
		b.dropAll()
		b.work.Wait()
		d.late.Wait()
	})
}

// all reads a shard from a place on to where nothing comes, a few records at a time.
func all(t *testing.T, b *Backend, d *base, shard string, from lane.Checkpoint) (numbers []uint64, lost uint64, end bool) {
	t.Helper()
	after := from.Low
	for range 1000 {
		p, err := b.Read(t.Context(), d.arn, shard, after, 3, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		if p.Missed != nil {
			lost += p.Missed.Count
			after = p.Missed.Last
		}
		for _, r := range p.Records {
			numbers, after = append(numbers, r.Seq().Lo), r.Seq()
		}
		if p.End || len(p.Records) == 0 {
			return numbers, lost, p.End
		}
	}
	t.Fatal("it reads for ever")
	return nil, 0, false
}

// A mapping that is behind what is kept reads all the same, whatever it is behind.
func TestWhoIsBehindMissesNothing(t *testing.T) {
	reading(t, func(t *testing.T, d *base, b *Backend, c *claim) {
		for range 30 {
			d.write(1)
		}
		ahead, err := b.Load(t.Context(), c, "one") // it makes the row at the beginning
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		r := c.feed.readers["s0"]
		r.mu.Lock() // as if there had been no room for the first twenty
		r.before, r.kept = r.kept[19].seq, r.kept[20:]
		r.mu.Unlock()
		got, lost, end := all(t, b, d, "s0", ahead["s0"])
		if len(got) != 30 || got[0] != 1 || got[29] != 30 || lost != 0 || end {
			t.Errorf("read %v, lost %d, end %t", got, lost, end)
		}

		d.mu.Lock()
		d.shards[0].past = 12
		d.mu.Unlock()
		got, lost, _ = all(t, b, d, "s0", lane.Checkpoint{Low: simNumber(5)})
		if len(got) != 18 || got[0] != 13 || lost != 7 {
			t.Errorf("after a trim: read %v, lost %d", got, lost)
		}
		d.mu.Lock()
		d.shards[0].past = 25
		d.mu.Unlock()
		got, lost, _ = all(t, b, d, "s0", lane.Checkpoint{Low: simNumber(5)})
		if len(got) != 5 || lost != 20 {
			t.Errorf("trimmed into what is kept: read %v, lost %d", got, lost)
		}
	})
}

// The reader itself may be behind the horizon when it begins: what lies between is told as lost, once.
func TestBeginsBehindTheHorizon(t *testing.T) {
	reading(t, func(t *testing.T, d *base, b *Backend, c *claim) {
		for range 20 {
			d.write(1)
		}
		d.shards[0].past = 8
		rows, err := b.Load(t.Context(), c, "one")
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		got, lost, _ := all(t, b, d, "s0", rows["s0"])
		if len(got) != 12 || got[0] != 9 || lost != 8 {
			t.Errorf("read %v, lost %d", got, lost)
		}
	})
}

// What is left of a shard that a mapping has ended goes once the shard is not listed any more.
func TestRowsOfOldShardsGo(t *testing.T) {
	reading(t, func(t *testing.T, d *base, b *Backend, c *claim) {
		for shard, done := range map[string]bool{"s0": true, "old": true, "older": false} {
			at := stored(lane.Checkpoint{Low: simNumber(0), Done: done}, 0)
			if err := d.put(b.progress, Row{P: checkpointKey("one"), S: shard, V: 1, Data: encode(at)}, 0, ""); err != nil {
				t.Fatal(err)
			}
		}
		rows, err := b.Load(t.Context(), c, "one")
		if _, old := rows["old"]; err != nil || old || len(rows) != 2 || len(d.query(b.progress, checkpointKey("one"), "")) != 2 {
			t.Errorf("%+v, %v", rows, err)
		}
	})
}

// A shard that a mapping has not ended is listed until two lists have said that it is gone. Then it has ended, and nobody says that its records were read.
func TestAShardThatIsGoneIsNotSilentlyDone(t *testing.T) {
	reading(t, func(t *testing.T, d *base, b *Backend, c *claim) {
		if _, err := b.CreateMapping(t.Context(), mapping.Definition{UUID: "one", StreamARN: d.arn, Start: mapping.StartTrimHorizon}); err != nil {
			t.Fatal(err)
		}
		d.write(1)
		d.split()
		d.mu.Lock()
		d.shards = d.shards[1:]
		d.mu.Unlock()
		c.feed.listAgain()
		time.Sleep(2 * time.Second)
		rows, err := b.Load(t.Context(), c, "one")
		if err != nil || rows["s0"].Done || len(rows) != 3 {
			t.Fatal(rows, err)
		}
		shards, err := b.Shards(t.Context(), d.arn)
		if err != nil || len(shards) != 3 || shards[0].Closed {
			t.Fatal(shards, err)
		}
		time.Sleep(20 * time.Second)
		if shards, _ = b.Shards(t.Context(), d.arn); shards[0].Closed {
			t.Error("one list is believed")
		}
		time.Sleep(time.Minute)
		p, err := b.Read(t.Context(), d.arn, "s0", rows["s0"].Low, 10, 1<<20)
		if shards, _ = b.Shards(t.Context(), d.arn); err != nil || !shards[0].Closed || !p.End || p.Missed == nil || !p.Missed.Unknown {
			t.Errorf("%+v, %+v, %v", shards, p, err)
		}
	})
}
