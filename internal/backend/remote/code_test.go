package remote

import (
	"context"
	"encoding/base64"
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
)

// wholeBlob reports whether a package is there, by the database itself, whose pieces are these.
func (d *base) wholeBlob(hash string, pieces []string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	rows := d.tables["millstream-control"][blobPrefix+hash]
	for i, want := range pieces {
		if rows[pieceKey(i)].Data != want {
			return false
		}
	}
	_, there := rows[blobManifest]
	return there
}

// stopping is a machine that now and then stops for hours when it has said that it removes a package.
type stopping struct{ *machine }

func (s stopping) Put(ctx context.Context, table string, r Row, v uint64) error {
	err := s.machine.Put(ctx, table, r, v)
	if r.P == blobsKey && strings.Contains(r.Data, "going") && s.draw(2) == 0 {
		s.pause(time.Duration(1+s.draw(20)) * time.Hour)
	}
	return err
}

// packages is a schedule of nodes that store functions with few packages and remove them, and of nodes that remove packages which nobody names. Requests are lost, doubled
// and late, and nodes stop for hours. It returns what was wrong.
func packages(t *testing.T, seed uint64, plant string) (wrong []string, removed, stored int) {
	rng := rand.New(rand.NewPCG(seed, 11))
	d := newBase()
	texts := map[string]string{"one": strings.Repeat("1", blobPiece+5), "two": strings.Repeat("2", 2*blobPiece), "three": "3"}
	pieces := map[string][]string{}
	for hash, text := range texts {
		for i := 0; i < len(text); i += blobPiece {
			pieces[hash] = append(pieces[hash], base64.StdEncoding.EncodeToString([]byte(text[i:min(i+blobPiece, len(text))])))
		}
	}
	var mu sync.Mutex
	lives := map[string]string{} // packages that definitions name, by these
	fault := func(format string, args ...any) {
		if len(wrong) < 3 {
			wrong = append(wrong, fmt.Sprintf(format, args...))
		}
	}
	judge := func(when string) {
		mu.Lock()
		defer mu.Unlock()
		for key, hash := range lives {
			if !d.wholeBlob(hash, pieces[hash]) {
				fault("%s: the package %s, which %s names, is not whole", when, hash, key)
			}
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	var all []*machine
	node := func() (*Backend, *rand.Rand) {
		n := &machine{d: d, rng: rand.New(rand.NewPCG(rng.Uint64(), 1))}
		all = append(all, n)
		b := New(Options{Endpoint: stopping{n}, Log: slog.New(slog.DiscardHandler)})
		b.bugs = bugs{trusts: plant == "trusts", unversioned: plant == "unversioned"}
		return b, rand.New(rand.NewPCG(rng.Uint64(), 1))
	}
	names := func(d Document) ([]string, error) { return []string{strings.Trim(string(d.Body), `"`)}, nil }
	wait := func(rng *rand.Rand, most time.Duration) {
		select {
		case <-time.After(time.Duration(rng.Int64N(int64(most)))):
		case <-ctx.Done():
		}
	}
	var work sync.WaitGroup
	for i := range 3 {
		b, rng := node()
		work.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				hash := []string{"one", "two", "three"}[rng.IntN(3)]
				if b.PutBlob(ctx, hash, []byte(texts[hash])) != nil {
					return
				}
				wait(rng, time.Hour) // the definition comes later
				key := fmt.Sprintf("f#%d/%d", i, n)
				v, err := b.PutDocument(ctx, Document{Key: key, Body: []byte(`"` + hash + `"`)})
				if err != nil {
					return
				}
				mu.Lock()
				lives[key] = hash
				stored++
				mu.Unlock()
				wait(rng, 30*time.Hour)
				mu.Lock()
				delete(lives, key)
				mu.Unlock()
				if _, err := b.PutDocument(ctx, Document{Key: key, Version: v}); err != nil {
					return
				}
				wait(rng, 60*time.Hour)
			}
		})
	}
	for range 2 {
		b, rng := node()
		work.Go(func() {
			for ctx.Err() == nil {
				n, err := b.SweepBlobs(ctx, time.Now(), names)
				if err != nil && ctx.Err() == nil {
					fault("a sweep: %v", err)
				}
				mu.Lock()
				removed += n
				mu.Unlock()
				wait(rng, 3*time.Hour)
			}
		})
	}
	for range 400 { // a month
		time.Sleep(2 * time.Hour)
		judge("amid it")
		if rng.IntN(3) == 0 {
			all[rng.IntN(len(all))].pause(time.Duration(rng.IntN(5*3600)) * time.Second)
		}
	}
	cancel()
	close(d.over)
	work.Wait()
	d.late.Wait()
	return wrong, removed, stored
}

// A package that a definition names is whole, whatever is removed meanwhile and by however many; and packages do go.
func TestPackagesThatNobodyNamesGo(t *testing.T) {
	removed, stored := 0, 0
	for seed := range uint64(10) {
		synctest.Test(t, func(t *testing.T) {
			wrong, r, s := packages(t, seed, "")
			removed, stored = removed+r, stored+s
			for _, w := range wrong {
				t.Errorf("seed %d: %s", seed, w)
			}
		})
	}
	if removed < 20 || stored < 50 {
		t.Errorf("%d packages were removed, and %d definitions stored: the schedules are too easy", removed, stored)
	}
	t.Logf("%d packages removed, %d definitions stored", removed, stored)
}

func TestLostPackagesAreFound(t *testing.T) {
	for _, plant := range []string{"trusts", "unversioned"} {
		t.Run(plant, func(t *testing.T) {
			for seed := range uint64(100) {
				var found []string
				synctest.Test(t, func(t *testing.T) { found, _, _ = packages(t, seed, plant) })
				if len(found) > 0 {
					t.Logf("seed %d: %s", seed, found[0])
					return
				}
			}
			t.Error("it was not found")
		})
	}
}

// What is left of a document that was deleted goes by itself, and one that is made anew after that is seen by all, and can be changed by all.
func TestADocumentThatIsMadeAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newBase()
		d.calm.Store(true)
		n := &machine{d: d, rng: rand.New(rand.NewPCG(1, 1))}
		var told []Document
		b := New(Options{Endpoint: n, Told: func(d Document) { told = append(told, d) }})
		m := &member{b: b, known: map[string]uint64{}, reads: map[string]string{}, unswept: map[string]leftover{}}
		look := func(revision uint64) []Document {
			t.Helper()
			told = nil
			if err := m.follow(t.Context(), revision); err != nil {
				t.Fatal(err)
			}
			return slices.Clone(told)
		}
		put := func(body string, v uint64) uint64 {
			t.Helper()
			doc := Document{Key: "f#1", Version: v}
			if body != "" {
				doc.Body = []byte(body)
			}
			v, err := b.PutDocument(t.Context(), doc)
			if err != nil {
				t.Fatal(err)
			}
			return v
		}
		v := put("1", 0)
		v = put("2", v)
		look(1)
		gone := put("", v)
		if got := look(2); len(got) != 1 || got[0].Body != nil || got[0].Version != gone {
			t.Errorf("of its end %+v is told", got)
		}
		row := d.tables[b.control][definitionKey]["f#1"]
		if left := time.Until(time.Unix(row.Until, 0)); left < deletedFor-time.Minute || left > deletedFor {
			t.Errorf("what is left goes in %v", left)
		}
		time.Sleep(deletedFor)
		delete(d.tables[b.control][definitionKey], "f#1") // as the database does
		if got := look(3); len(got) != 1 || !got[0].Gone || got[0].Version != gone {
			t.Errorf("of its row's end %+v is told", got)
		}
		if again := put("3", 0); again <= gone {
			t.Errorf("it has version %d, after %d", again, gone)
		}
		if got := look(4); len(got) != 1 || string(got[0].Body) != "3" {
			t.Errorf("of the new one %+v is told", got)
		}
		close(d.over)
	})
}

// counting is a machine whose writes take a while, and are counted.
type counting struct {
	*machine
	puts *atomic.Int32
}

func (c counting) Put(ctx context.Context, table string, r Row, v uint64) error {
	c.puts.Add(1)
	return c.machine.Put(ctx, table, r, v)
}

// Nodes that store one package anew, which is going, at the same time do not undo each other; and one that has died amid it holds nobody up for long.
func TestManyStoreAPackageThatIsGoing(t *testing.T) {
	const pieces = 20
	for seed := range uint64(6) {
		for _, dies := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				d := newBase()
				d.calm.Store(true)
				text := []byte(strings.Repeat("1", pieces*blobPiece))
				var puts atomic.Int32
				node := func(n uint64) *Backend {
					return New(Options{Endpoint: counting{&machine{d: d, rng: rand.New(rand.NewPCG(seed, n))}, &puts}, Log: slog.New(slog.DiscardHandler)})
				}
				one := node(0)
				if _, err := one.put(t.Context(), one.control, Row{P: blobsKey, S: "x", V: 5, Data: encode(blobRow{Unnamed: 1, Going: true})}, 0); err != nil {
					t.Fatal(err)
				}
				puts.Store(0)
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				const nodes = 3
				var work sync.WaitGroup
				for n := range uint64(nodes) {
					b, ctx := node(n+1), ctx
					if dies && n == nodes-1 {
						var end context.CancelFunc
						ctx, end = context.WithTimeout(ctx, 200*time.Millisecond)
						defer end()
					}
					work.Go(func() {
						if err := b.PutBlob(ctx, "x", text); err != nil && ctx.Err() == nil {
							t.Error(err)
						}
					})
					time.Sleep(time.Duration(10+5*seed) * time.Millisecond)
				}
				work.Wait()
				if ctx.Err() != nil {
					t.Errorf("seed %d, dies %v: it was not stored in a minute", seed, dies)
				}
				// Each stores it once; where the last one has died one of the others does so once more.
				if n := puts.Load(); n > (nodes+1)*(2*pieces+10) {
					t.Errorf("seed %d, dies %v: %d writes", seed, dies, n)
				}
				if r, err := one.get(t.Context(), one.control, blobsKey, "x"); err != nil || r == nil || strings.Contains(r.Data, "going") {
					t.Errorf("seed %d, dies %v: the list says %+v, %v", seed, dies, r, err)
				}
				t.Logf("seed %d, dies %v: %d writes", seed, dies, puts.Load())
				close(d.over)
				d.late.Wait()
			})
		}
	}
}
