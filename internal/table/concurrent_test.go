package table

import (
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/millstreamdb/millstream/internal/stream"
)

// TestOrderOfOneKey holds P2: with many writers on few keys, the records of a key
// are its commits, each once, in their order. The order is told by a counter that
// each write raises by one, and by the old image, which is the record's
// predecessor.
func TestOrderOfOneKey(t *testing.T) {
	for _, shards := range []int{1, 8} {
		t.Run(strconv.Itoa(shards), func(t *testing.T) {
			w := newWorld(t)
			w.createTable(t, "tab", shards, "NEW_AND_OLD_IMAGES")
			const writers, each, keys = 32, 60, 5
			var wg sync.WaitGroup
			for n := range writers {
				wg.Go(func() {
					for i := range each {
						// Two items at once now and then: their stripes and shards are locked in order.
						if i%10 == 9 {
							body := fmt.Sprintf(`{"RequestItems":{"tab":[{"PutRequest":{"Item":{"pk":{"S":"b%d"},"w":{"S":"%d-%d"}}}},{"PutRequest":{"Item":{"pk":{"S":"b%d"},"w":{"S":"%d-%d"}}}}]}}`,
								n%3, n, i, (n+1)%3, n, i)
							if _, err := w.call("BatchWriteItem", body); err != nil {
								t.Error(err)
							}
							continue
						}
						if _, err := w.call("UpdateItem", fmt.Sprintf(`{"TableName":"tab","Key":{"pk":{"S":"k%d"}},"UpdateExpression":"ADD n :one SET w = :w",
							"ExpressionAttributeValues":{":one":{"N":"1"},":w":{"S":"%d-%d"}}}`, (n+i)%keys, n, i)); err != nil {
							t.Error(err)
						}
					}
				})
			}
			wg.Wait()
			if _, _, err := w.replay("tab"); err != nil {
				t.Fatal(err)
			}
			all, err := w.records("tab")
			if err != nil {
				t.Fatal(err)
			}
			home := map[string]int{}
			last := map[string]int64{}
			total := int64(0)
			for shard, recs := range all {
				for _, r := range recs {
					key := r.Keys().Get("pk").Text()
					if at, known := home[key]; known && at != shard {
						t.Fatalf("%s has records in shards %d and %d", key, at, shard)
					}
					home[key] = shard
					if n, ok := r.New().Get("n").Int64(); ok {
						if n != last[key]+1 {
							t.Fatalf("%s: %d follows %d", key, n, last[key])
						}
						last[key] = n
						total++
					}
				}
			}
			if want := int64(writers * each * 9 / 10); total != want {
				t.Errorf("%d records of updates, want %d", total, want)
			}
		})
	}
}

// writing keeps writers on a table until stop. Each write is of a fresh id, so that
// every acknowledged one leaves a record if there is a stream.
type writing struct {
	w      *world
	stop   atomic.Bool
	wg     sync.WaitGroup
	failed sync.Map // errors by text
	done   atomic.Int64
}

func (w *world) startWriting(table string, writers, keys int) *writing {
	g := &writing{w: w}
	for n := range writers {
		g.wg.Go(func() {
			for i := 0; !g.stop.Load(); i++ {
				var err error
				if key := fmt.Sprintf("k%d", (n*7+i)%keys); i%5 == 4 {
					_, err = w.call("DeleteItem", fmt.Sprintf(`{"TableName":%q,"Key":{"pk":{"S":%q}}}`, table, key))
				} else {
					_, err = w.call("PutItem", fmt.Sprintf(`{"TableName":%q,"Item":{"pk":{"S":%q},"w":{"S":"%d-%d"}}}`, table, key, n, i))
				}
				switch {
				case err == nil:
					g.done.Add(1)
				case !isCode(err, "ResourceNotFoundException"):
					g.failed.Store(err.Error(), true)
				}
			}
		})
	}
	return g
}

func (g *writing) end(t *testing.T) {
	t.Helper()
	g.stop.Store(true)
	g.wg.Wait()
	g.failed.Range(func(text, _ any) bool {
		t.Error(text)
		return true
	})
	if g.done.Load() == 0 {
		t.Error("no write went through")
	}
}

// await returns when the writers have done some more.
func (g *writing) await(more int64) {
	for from := g.done.Load(); g.done.Load() < from+more; {
		_, _ = g.w.call("ListTables", "{}")
	}
}

// countsAreExact compares the counters with the items.
func (w *world) countsAreExact(t *testing.T, table string) {
	t.Helper()
	items, bytes := int64(0), int64(0)
	for _, p := range w.pages(t, "Scan", fmt.Sprintf(`"TableName":%q,"ConsistentRead":true`, table)) {
		for _, it := range p.Items {
			items++
			bytes += int64(it.Size())
		}
	}
	if d := w.must(t, "DescribeTable", fmt.Sprintf(`{"TableName":%q}`, table)).(*Description); d.ItemCount != items || d.SizeBytes != bytes {
		t.Errorf("%s counts %d items of %d bytes, there are %d of %d", table, d.ItemCount, d.SizeBytes, items, bytes)
	}
}

// TestStreamOnAndOffUnderWriters turns the stream of a table on and off under
// writers. Each stream's records are a chain without gap from the items that were
// when it began to those that were when it ended, so that no write went past an
// open stream and none into a closed one; and the counters are exact throughout.
func TestStreamOnAndOffUnderWriters(t *testing.T) {
	for _, shards := range []int{1, 4} {
		t.Run(strconv.Itoa(shards), func(t *testing.T) {
			w := newWorld(t)
			w.createTable(t, "tab", shards, "")
			g := w.startWriting("tab", 16, 10)
			const lifetimes = 8
			for range lifetimes {
				w.must(t, "UpdateTable", `{"TableName":"tab","StreamSpecification":{"StreamEnabled":true,"StreamViewType":"NEW_AND_OLD_IMAGES"}}`)
				g.await(50)
				w.must(t, "UpdateTable", `{"TableName":"tab","StreamSpecification":{"StreamEnabled":false}}`)
				g.await(20)
			}
			g.end(t)
			w.countsAreExact(t, "tab")
			check := func() {
				t.Helper()
				streams := w.streams.All()
				if len(streams) != lifetimes {
					t.Fatalf("%d streams, want %d", len(streams), lifetimes)
				}
				for _, st := range streams {
					if _, disabled := st.Disabled(); !disabled {
						t.Error(st.ARN, " is open")
					}
					if n := chain(t, st); n < 40 {
						t.Errorf("%s has %d records", st.ARN, n)
					}
				}
			}
			check()
			w.reopen(t)
			w.countsAreExact(t, "tab")
			check()
		})
	}
}

// chain checks that each record of a key begins with what the one before it left,
// and that nothing can follow the end. It returns how many records there are.
func chain(t *testing.T, st *stream.Stream) int {
	t.Helper()
	total := 0
	left := map[string]string{}
	for _, sh := range st.Shards() {
		recs, err := readShard(sh)
		if err != nil {
			t.Fatal(err)
		}
		end, closed := sh.End()
		if !closed {
			t.Error("a shard of a closed stream is open")
		}
		for _, r := range recs {
			key := r.Keys().Get("pk").Text()
			if before, known := left[key]; known && before != jsonOf(r.Old()) {
				t.Errorf("%s: %s begins with %s, the record before it left %s", st.Label, key, jsonOf(r.Old()), before)
			}
			left[key] = jsonOf(r.New())
			if end.Less(r.Seq()) {
				t.Errorf("a record above the end of its shard")
			}
		}
		total += len(recs)
	}
	return total
}

// TestStreamRecordsEveryWriteOfItsTime compares what a stream left with the table:
// it starts on an empty table, under writers, and so replays to the items.
func TestStreamRecordsEveryWriteOfItsTime(t *testing.T) {
	w := newWorld(t)
	for round := range 10 {
		table := fmt.Sprintf("tab%d", round)
		w.createTable(t, table, 2, "NEW_AND_OLD_IMAGES")
		g := w.startWriting(table, 8, 5)
		g.await(50)
		w.must(t, "UpdateTable", fmt.Sprintf(`{"TableName":%q,"DeletionProtectionEnabled":true}`, table))
		g.await(50)
		g.end(t)
		if _, _, err := w.replay(table); err != nil {
			t.Fatal(err)
		}
	}
}

// TestSameNameAgainUnderWriters deletes a table and makes it again under writers: the
// new one never meets the old one's items or counts, and everything ends.
func TestSameNameAgainUnderWriters(t *testing.T) {
	w := newWorld(t)
	w.createTable(t, "tab", 2, "KEYS_ONLY")
	g := w.startWriting("tab", 16, 10)
	for range 15 {
		g.await(20)
		w.must(t, "DeleteTable", `{"TableName":"tab"}`)
		if _, err := w.call("GetItem", `{"TableName":"tab","Key":{"pk":{"S":"k1"}},"ConsistentRead":true}`); !isCode(err, "ResourceNotFoundException") {
			t.Fatal("a deleted table answers: ", err)
		}
		w.createTable(t, "tab", 2, "NEW_AND_OLD_IMAGES")
	}
	g.await(20)
	g.end(t)
	// The newest stream is as old as the table: replayed, it is the table.
	if _, _, err := w.replay("tab"); err != nil {
		t.Fatal(err)
	}
	for _, st := range w.streams.All() {
		if _, disabled := st.Disabled(); disabled {
			chain(t, st)
		}
	}
	w.reopen(t)
	if _, _, err := w.replay("tab"); err != nil {
		t.Fatal(err)
	}
	if n := w.db.Count(); n != 1 {
		t.Errorf("%d tables", n)
	}
}

// TestChangesAreNotStarved: a change of a table gets its turn though there is always
// a writer that holds the table while it waits for the one item they all write.
func TestChangesAreNotStarved(t *testing.T) {
	w := newWorld(t)
	w.createTable(t, "tab", 1, "")
	g := w.startWriting("tab", 128, 1)
	for range 10 {
		g.await(100)
		w.must(t, "UpdateTable", `{"TableName":"tab","StreamSpecification":{"StreamEnabled":true,"StreamViewType":"KEYS_ONLY"}}`)
		w.must(t, "UpdateTable", `{"TableName":"tab","StreamSpecification":{"StreamEnabled":false}}`)
	}
	g.end(t)
}
