package table

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/millstreamdb/millstream/internal/seqnum"
	"github.com/millstreamdb/millstream/internal/store"
)

// undoFaults is what a check tells of the recovery log of the table tab, and how many rows it has looked at.
func (w *world) undoFaults(t *testing.T) (faults []string, rows int64) {
	t.Helper()
	err := w.db.Check(t.Context(), func(part string, n int64, f []string) {
		if part == "recovery log of table tab" {
			faults, rows = f, n
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return faults, rows
}

// rewrite changes the rows of a space that f wants to.
func (w *world) rewrite(t *testing.T, space byte, f func(n int, key, value []byte) (now []byte, change bool)) {
	t.Helper()
	b := w.store.NewBatch()
	defer b.Close()
	n := 0
	err := w.store.Each([]byte{space}, func(key, value []byte) error {
		if now, change := f(n, key, bytes.Clone(value)); change && now == nil {
			b.Delete(key)
		} else if change {
			b.Set(key, now)
		}
		n++
		return nil
	})
	if err = errors.Join(err, w.store.Write(b)); err != nil {
		t.Fatal(err)
	}
}

// TestCheckUndoes: a check finds a row that cannot be undone, whatever is wrong: the row itself, the item that came of it, or a row that is gone. It tells both keys, and
// which moments are lost: restores to them fail, and to others they do not. What it has room for makes no difference.
func TestCheckUndoes(t *testing.T) {
	long := strings.Repeat("words ", 30)
	for name, c := range map[string]struct {
		do   func(t *testing.T, w *world, key string)
		lost [2]int // the first and the last of the moments of k5 that cannot be restored; the rows of rounds 0, 1, 9 and 10 have all of it
	}{
		"nothing": {func(*testing.T, *world, string) {}, [2]int{1, 0}},
		"a difference": {func(t *testing.T, w *world, key string) {
			w.rewrite(t, store.SpaceUndo, func(n int, _, v []byte) ([]byte, bool) {
				v[len(v)-1] ^= 1 // of the sum of what the item was
				return v, n == 15*10+5
			})
		}, [2]int{10, 14}},
		"an older difference": {func(t *testing.T, w *world, key string) {
			w.rewrite(t, store.SpaceUndo, func(n int, _, v []byte) ([]byte, bool) {
				v[len(v)-9] ^= 1
				return v, n == 4*10+5
			})
		}, [2]int{1, 3}},
		"a row is gone": {func(t *testing.T, w *world, key string) {
			w.rewrite(t, store.SpaceUndo, func(n int, _, v []byte) ([]byte, bool) { return nil, n == 12*10+5 })
		}, [2]int{10, 10}},
		"the item": {func(t *testing.T, w *world, key string) {
			w.rewrite(t, store.SpaceItem, func(_ int, k, v []byte) ([]byte, bool) {
				v[bytes.Index(v, []byte("words"))] = 'W'
				return v, bytes.Contains(k, []byte(key))
			})
		}, [2]int{10, 18}},
		"the item is gone": {func(t *testing.T, w *world, key string) {
			w.rewrite(t, store.SpaceItem, func(_ int, k, v []byte) ([]byte, bool) { return nil, bytes.Contains(k, []byte(key)) })
		}, [2]int{10, 18}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, _, _ := retaining(t, 0)
				w.recovery(t, 10)
				rng := rand.New(rand.NewPCG(1, 2))
				var moments, changed []time.Time // each behind a round of changes; of k5
				const rounds = 20
				for round := range rounds {
					for key := range 10 {
						if key == 5 {
							changed = append(changed, time.Now().UTC())
						}
						text := long
						if round == 9 || round == 0 { // another text: the row of this round has all of the item, and the next one, too
							text = fmt.Sprintf("words %0200d", rng.Uint64())
						}
						w.must(t, "PutItem", fmt.Sprintf(`{"TableName":"tab","Item":{"pk":{"S":"k%d"},"text":{"S":%q},"y":{"N":"%d"},"z":{"N":"%d"}}}`, key, text, round/2, (round+1)/2))
						time.Sleep(time.Millisecond)
					}
					moments = append(moments, w.recovers(t).Latest)
					time.Sleep(time.Second)
				}
				c.do(t, w, "k5")
				for _, most := range []int{checkMost, 3000, 1} {
					w.db.checkMost = most
					faults, rows := w.undoFaults(t)
					if (len(faults) == 1) != (c.lost[0] <= c.lost[1]) || rows < 10*rounds-1 {
						t.Fatalf("with room for %d bytes: %d rows, %q", most, rows, faults)
					}
					if len(faults) > 0 {
						lost := "the table cannot be restored to a moment from " + changed[c.lost[0]].Format(time.RFC3339Nano) + " on and before " + changed[c.lost[1]+1].Format(time.RFC3339Nano)
						for _, want := range []string{fmt.Sprintf("%x", "k5"), "the row under 1b", lost} {
							if !strings.Contains(faults[0], want) {
								t.Errorf("%s lacks %q", faults[0], want)
							}
						}
					}
					if most == checkMost {
						t.Log(faults)
					}
				}
				for n, at := range moments {
					_, err := w.at(t, at)
					if lost := c.lost[0] <= n && n <= c.lost[1]; lost != (err != nil) {
						t.Errorf("moment %d: %v", n, err)
					}
				}
			})
		})
	}
}

// TestCheckComesBack: to an item for which there was no room, whether its differences were met before it had to go or after.
func TestCheckComesBack(t *testing.T) {
	long := strings.Repeat("words ", 30)
	for _, c := range []struct{ other, item string }{{"a", "z"}, {"z", "a"}} { // keys lie in the order of their hashes
		for name, changes := range map[string][]string{"before": {c.other, c.item}, "after": {c.item, c.other, c.item + " anew"}} {
			t.Run(name+" "+c.item, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w, _, _ := retaining(t, 0)
					w.recovery(t, 10)
					put := func(key, text string, n int) {
						w.must(t, "PutItem", fmt.Sprintf(`{"TableName":"tab","Item":{"pk":{"S":%q},"text":{"S":%q},"z":{"N":"%d"}}}`, key, text, n))
						time.Sleep(time.Second)
					}
					put(c.other, long, 0)
					put(c.item, long, 0)
					wrong := 0
					for n, key := range changes {
						if key == c.item {
							wrong = 2 + n
						}
						text := long
						if strings.HasSuffix(key, " anew") {
							text = strings.Repeat("others ", 40)
						}
						put(key[:1], text, n+1)
					}
					w.rewrite(t, store.SpaceUndo, func(n int, _, v []byte) ([]byte, bool) {
						v[len(v)-1] ^= 1
						return v, n == wrong
					})
					for _, most := range []int{checkMost, 1} {
						w.db.checkMost = most
						if faults, _ := w.undoFaults(t); len(faults) != 1 {
							t.Errorf("with room for %d bytes: %q", most, faults)
						}
					}
				})
			})
		}
	}
}

// TestCheckOfARecoveryLogTakesLittle: what it holds does not grow with the items.
func TestCheckOfARecoveryLogTakesLittle(t *testing.T) {
	w := newWorld(t)
	w.createTable(t, "tab", 2, "")
	w.recovery(t, 10)
	const items, size = 100, 40_000
	text := strings.Repeat("w", size)
	for n := range 3 {
		for i := range items {
			w.must(t, "PutItem", fmt.Sprintf(`{"TableName":"tab","Item":{"pk":{"S":"k%d"},"text":{"S":%q},"z":{"N":"%d"}}}`, i, text, n))
		}
	}
	held := func() int64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	most := func(room int) (most int64) {
		w.db.checkMost = room
		before, looks := held(), 0
		ctx := looking{t.Context(), func() error {
			if looks++; looks%50 == 0 {
				most = max(most, held()-before)
			}
			return nil
		}}
		err := w.db.checkRecovery(ctx, w.db.find(scope, "tab"), func(_ string, n int64, faults []string) {
			if n != 3*items || len(faults) > 0 {
				t.Errorf("%d rows, %q", n, faults)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		return most
	}
	all, some := most(checkMost), most(items*size/10)
	t.Logf("%d KB with room for all, %d KB with room for a tenth", all>>10, some>>10)
	if all < items*size/2 || some > items*size/4 {
		t.Errorf("%d KB with room for all, %d KB with room for a tenth", all>>10, some>>10)
	}
}

// TestCheckOfManyFaultsTakesLittle: of the faults of one item there are kept in memory as many as are told; the others are counted.
func TestCheckOfManyFaultsTakesLittle(t *testing.T) {
	w := newWorld(t)
	w.createTable(t, "tab", 2, "")
	w.recovery(t, 10)
	tab := w.db.find(scope, "tab")
	r := tab.desc.Load().def.Recovery
	const faults = 2000
	is := itemOf("k", "words")
	tail := tab.desc.Load().def.Keys.AppendKey(nil, is)
	value := func(version byte, body []byte) []byte {
		return append(append(binary.AppendUvarint([]byte{version}, uint64(len(tail))), tail...), body...)
	}
	b := w.store.NewBatch()
	defer b.Close()
	for n := range int64(faults) {
		b.Set(append(r.from(r.FromMS+2*n), make([]byte, seqnum.Size)...), value(undoWhole, is))
		b.Set(append(r.from(r.FromMS+2*n+1), make([]byte, seqnum.Size)...), value(undoPart, fitsNone))
	}
	if err := w.store.Write(b); err != nil {
		t.Fatal(err)
	}
	c := &undoCheck{db: w.db, t: tab, r: r, items: map[string]*undoneItem{}}
	if err := c.round(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	it, size := c.items[string(tail)], 0
	for _, text := range it.wrong {
		size += len(text)
	}
	if len(it.wrong) != faultsMax || it.more != faults-faultsMax || c.held < size || c.held > 2*size+1000 || len(it.why) > 0 {
		t.Errorf("%d faults of %d bytes, and %d more; %d bytes held, %q", len(it.wrong), size, it.more, c.held, it.why)
	}
	told, rows := w.undoFaults(t)
	if rows != 2*faults || len(told) != faultsMax+1 || told[faultsMax] != fmt.Sprintf("and %d more", faults-faultsMax) {
		t.Errorf("%d rows, %q", rows, told)
	}
}
