package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"
)

const fleet = 100 // mappings on one stream

// measureFleet writes 2,000 items a second to a table whose stream has a hundred
// mappings with functions in Go, and takes how far they are behind in the end, and
// the memory that they added.
func measureFleet(ctx context.Context, o Options, r *report) error {
	inGo := o
	inGo.command = ServerCommand
	return onServer(ctx, inGo, func(c *child, _ string) error {
		stream, err := makeTable(ctx, c.endpoint, table, true)
		if err != nil {
			return err
		}
		idle, err := c.resident()
		if err != nil {
			return err
		}
		for i := range fleet {
			if _, err := attach(ctx, c.endpoint, stream, fmt.Sprint(GoFunctionPrefix, i), 100, true, "LATEST"); err != nil {
				return err
			}
		}
		var lag time.Duration
		var busy int64
		writes, err := pacedPuts(ctx, c.endpoint, 100_000, func() error {
			if err := pause(ctx, o.duration()); err != nil {
				return err
			}
			if busy, err = c.resident(); err != nil {
				return err
			}
			start := time.Now()
			if err := settle(ctx, c.endpoint); err != nil {
				return err
			}
			lag = time.Since(start)
			return nil
		})
		if err != nil {
			return err
		}
		name := fmt.Sprintf("%d mappings with functions in Go on one stream, %s", fleet, perSecond(fillRate))
		r.add(result{
			name: name + ": until all have passed its head", measured: float64(lag), budget: float64(time.Second), atMost: true, format: milliseconds,
			why: fmt.Sprintf("at the end of %v, still writing: %s writes, each handed to all.", o.duration(), thousands(int64(len(writes)))),
		})
		r.add(result{
			name: name + ": memory above idle", measured: float64(busy - idle), budget: 200 << 20, atMost: true, format: mebibytes,
			why: mebibytes(float64(busy)) + " of resident memory, " + mebibytes(float64(idle)) + " before.",
		})
		return nil
	})
}

// settle returns when every mapping has passed the head that its stream has now.
func settle(ctx context.Context, endpoint string) error {
	var out struct{ Settled bool }
	if err := send(ctx, http.MethodPost, endpoint+"/_millstream/v1/settle?timeout=5m", "lambda", "", struct{}{}, &out); err != nil {
		return err
	}
	if !out.Settled {
		return fmt.Errorf("the mappings did not catch up within 5 minutes")
	}
	return nil
}

const (
	poisonKeys = 10_000
	poisonEach = 100 // one key in so many is poison
)

// measurePoison catches up a backlog in which the function fails for one key in a
// hundred, under `millstream:on-failure` = `block-key`, beside the same backlog
// without, in turn: the other keys must hardly notice.
func measurePoison(ctx context.Context, o Options, r *report) error {
	pairs := 7 // single ones differ by a quarter where machines are shared
	if o.Quick {
		pairs = 3
	}
	records := 400_000
	if o.Quick {
		records = 50_000
	}
	if o.Backlog > 0 {
		records = o.Backlog
	}
	dir, remove, err := o.folder()
	if err != nil {
		return err
	}
	defer remove()
	data := filepath.Join(dir, "data")
	c, _, err := serve(ctx, o, data)
	if err != nil {
		return err
	}
	defer func() { c.kill() }()
	stream, err := makeTable(ctx, c.endpoint, table, true)
	if err != nil {
		return err
	}
	if err := backlog(ctx, c.endpoint, records, poisonKeys); err != nil {
		return err
	}
	// The server is started anew on the backlog, and the engine left to finish what
	// writing it had put off: compactions that any write sets going would else count
	// against the side that writes.
	if err := c.stop(); err != nil {
		return err
	}
	again, _, err := serve(ctx, o, data)
	if err != nil {
		return err
	}
	c = again
	function := poisonFunction{}
	f, err := listenHTTP(&function)
	if err != nil {
		return err
	}
	defer f.close()
	if err := deploy(ctx, c.endpoint, "bench", f.url); err != nil {
		return err
	}
	var ratios, rates []float64
	var memory [2]int64
	for pair := range pairs {
		var rate [2]float64 // without poison, with
		for i := range 2 {
			poisoned := (pair + i) % 2
			if err := c.awaitQuiet(ctx); err != nil {
				return err
			}
			if rate[poisoned], err = function.catchUp(ctx, c, stream, records, poisoned == 1); err != nil {
				return fmt.Errorf("%w\nserver: %s", err, c.output)
			}
			used, err := c.resident()
			if err != nil {
				return err
			}
			memory[poisoned] = max(memory[poisoned], used)
		}
		ratios, rates = append(ratios, rate[1]/rate[0]), append(rates, rate[0])
	}
	slices.Sort(ratios)
	slices.Sort(rates)
	name := fmt.Sprintf("catching up %s records under block-key, 1 %% of the keys poison", thousands(int64(records)))
	r.add(result{
		name: name + ", the others beside none", measured: ratios[pairs/2], budget: 0.9, ceiling: 1, ceilingName: "no poison: " + perSecond(rates[pairs/2]), format: percent,
		why: fmt.Sprintf("from %s to %s in %d pairs; a failing batch of 1,000 is cut until its record is found.", percent(ratios[0]), percent(ratios[pairs-1]), pairs),
	})
	r.note("most memory when they were through: %s, without poison %s", mebibytes(float64(memory[1])), mebibytes(float64(memory[0])))
	return nil
}

// poisonFunction is a function that fails for events with a poison record, of
// which there are none unless poisoned is set.
type poisonFunction struct {
	poisoned atomic.Bool
	handled  atomic.Int64
	healthy  int64 // how many it will handle
	done     chan struct{}
}

func (f *poisonFunction) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	event, err := io.ReadAll(r.Body)
	if err != nil {
		return // the server has gone
	}
	n, poison := int64(0), false
	eachKey(event, func(_, key int) {
		n++
		poison = poison || key%poisonEach == poisonEach/2
	})
	if poison && f.poisoned.Load() {
		http.Error(w, `{"errorMessage":"poison"}`, http.StatusInternalServerError)
		return
	}
	_, _ = io.WriteString(w, "{}")
	if total := f.handled.Add(n); total >= f.healthy && total-n < f.healthy {
		close(f.done)
	}
}

// catchUp returns the rate at which a new mapping handles the records of keys that
// are no poison.
func (f *poisonFunction) catchUp(ctx context.Context, c *child, stream string, records int, poisoned bool) (rate float64, err error) {
	f.poisoned.Store(poisoned)
	f.handled.Store(0)
	f.healthy, f.done = int64(records), make(chan struct{})
	if poisoned {
		f.healthy -= int64(records / poisonEach)
	}
	tags := map[string]string{"millstream:on-failure": "block-key"}
	id, err := attachTagged(ctx, c.endpoint, stream, "bench", 1000, false, "TRIM_HORIZON", tags)
	if err != nil {
		return 0, err
	}
	start := time.Now()
	if err := enable(ctx, c.endpoint, id); err != nil {
		return 0, err
	}
	select {
	case <-f.done:
	case <-ctx.Done():
		return 0, ctx.Err()
	case <-time.After(10 * time.Minute):
		var status json.RawMessage
		_ = send(ctx, http.MethodGet, c.endpoint+"/_millstream/v1/triggers/"+id, "lambda", "", struct{}{}, &status) // for the message
		return 0, fmt.Errorf("%d of %d records were handled within 10 minutes: %s", f.handled.Load(), f.healthy, status)
	}
	rate = float64(f.healthy) / time.Since(start).Seconds()
	return rate, detach(ctx, c.endpoint, []string{id})
}
