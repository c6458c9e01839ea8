package bench

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// measureStart takes the time from the start of the process to its first answer,
// on an empty folder and on the same folder again.
func measureStart(ctx context.Context, o Options, r *report) error {
	const runs = 20
	var firsts []time.Duration
	for range runs {
		dir, remove, err := o.folder()
		if err != nil {
			return err
		}
		c, took, err := serve(ctx, o, filepath.Join(dir, "data"))
		if err == nil {
			err = c.stop()
		}
		remove()
		if err != nil {
			return err
		}
		firsts = append(firsts, took)
	}
	slices.Sort(firsts)
	measured, which := firsts[runs/2], "median"
	if o.Quick { // other work on the machine only adds
		measured, which = firsts[0], "fastest"
	}
	r.add(result{
		name:     "first answer after start, empty data",
		measured: float64(measured), budget: float64(20 * time.Millisecond), atMost: true, format: milliseconds,
		why: fmt.Sprintf("%s of %d starts, of %s to %s, making the database included.", which, runs, milliseconds(float64(firsts[0])), milliseconds(float64(firsts[runs-1]))),
	})
	return nil
}

// measureLoaded writes LoadedBytes, measures writing on top of that, and kills
// the server under load to see how long the next start takes.
func measureLoaded(ctx context.Context, o Options, r *report) error {
	dir, remove, err := o.folder()
	if err != nil {
		return err
	}
	defer remove()
	data := filepath.Join(dir, "data")
	engine := filepath.Join(dir, "engine")
	ceiling, err := loadedEngineCeiling(ctx, engine, o.connections(), o.loadedBytes(), min(o.duration(), time.Minute))
	if err != nil {
		return err
	}
	if err := os.RemoveAll(engine); err != nil {
		return err
	}
	c, _, err := serve(ctx, o, data)
	if err != nil {
		return err
	}
	defer func() { c.kill() }()
	if _, err := makeTable(ctx, c.endpoint, table, true); err != nil {
		return err
	}
	took := make([]times, o.connections())
	offset := 0
	write := func(length time.Duration) (rate float64, n int64, err error) {
		rate, n, err = writeTimed(ctx, c.endpoint, table, o.connections(), offset, length, noisyPuts, took)
		offset = (offset + o.connections()) % 9000 // new keys, as long as there are
		return rate, n, err
	}
	begun := time.Now()
	written := int64(0)
	for written < o.loadedBytes() {
		_, n, err := write(time.Second)
		if err != nil {
			return err
		}
		if n == 0 {
			return fmt.Errorf("nothing was written within a second")
		}
		written += 2 * n * itemBytes // the item and its record
	}
	rate, _, err := write(o.duration())
	if err != nil {
		return err
	}
	r.add(result{
		name:     fmt.Sprintf("PutItem, 1 KiB, stream on, synced, %d connections, after %s written", o.connections(), mebibytes(float64(o.loadedBytes()))),
		measured: rate, budget: ceiling / 2, ceiling: ceiling, ceilingName: "bare engine, after as much", format: perSecond,
		why: fmt.Sprintf("%.0f %% of the engine; compaction of what was written before takes its share of the processors in both.", 100*rate/ceiling),
	})
	for i := range took[1:] {
		took[0].addAll(&took[1+i])
	}
	r.add(result{
		name:     fmt.Sprintf("a write of these %d connections, from the first to the last, 99.9th percentile", o.connections()),
		measured: float64(took[0].at(0.999)), budget: float64(50 * time.Millisecond), atMost: true, format: milliseconds,
		why: fmt.Sprintf("over %s; the median is %s, the slowest took %s.", time.Since(begun).Round(time.Second), milliseconds(float64(took[0].at(0.5))), milliseconds(float64(took[0].at(1)))),
	})
	written += int64(rate*o.duration().Seconds()) * 2 * itemBytes
	if disk, ok := c.diskWrites(); ok {
		kept, err := folderBytes(data)
		if err != nil {
			return err
		}
		r.note("%s of items and records: %.1f times as much was written to the disk, logs included, and %.2f times is kept",
			mebibytes(float64(written)), float64(disk)/float64(written), float64(kept)/float64(written))
	}
	loading := make(chan struct{})
	go func() {
		defer close(loading)
		_, _, _ = writeFor(ctx, c.endpoint, table, o.connections(), 9500, 2*time.Second) // ends with the kill
	}()
	select {
	case <-time.After(time.Second):
	case <-ctx.Done():
	}
	c.kill()
	<-loading
	next, start, err := serve(ctx, o, data)
	if err != nil {
		return fmt.Errorf("start after the kill: %w", err)
	}
	c = next
	r.add(result{
		name:     fmt.Sprintf("first answer after kill -9 under load, %s written", mebibytes(float64(o.loadedBytes()))),
		measured: float64(start), budget: float64(time.Second), atMost: true, format: milliseconds,
		why: "replaying the engine's log makes up most of it; its size is bounded by the memtables.",
	})
	return c.stop()
}

// measureIdle takes the memory of a server that has nothing to do.
func measureIdle(ctx context.Context, o Options, r *report) error {
	return onServer(ctx, o, func(c *child, _ string) error {
		if _, err := makeTable(ctx, c.endpoint, table, true); err != nil {
			return err
		}
		// The least of several looks: on a busy machine the runtime gives back what the start took some seconds later.
		bytes := int64(math.MaxInt64)
		for range 8 {
			if err := pause(ctx, o.duration()/4); err != nil {
				return err
			}
			now, err := c.resident()
			if err != nil {
				return err
			}
			bytes = min(bytes, now)
		}
		r.add(result{
			name: "resident memory, idle", measured: float64(bytes), budget: 40 << 20, atMost: true, format: mebibytes,
			why: "after start and one table: the program, the runtime and the engine's empty memtables.",
		})
		return nil
	})
}

// measureIdleMappings compares the processor time of an idle server without and
// with many enabled mappings on one stream.
func measureIdleMappings(ctx context.Context, o Options, r *report) error {
	return idleMappings(ctx, o, r, "%s idle mappings", "LATEST", func(c *child) (string, error) { return makeTable(ctx, c.endpoint, table, true) },
		func(_ *child, stream string, _ int) (string, error) { return stream, nil })
}

// idleMappings is that for mappings on what source returns; prepare is done before the server without them is measured.
func idleMappings(ctx context.Context, o Options, r *report, name, position string, prepare func(*child) (string, error), source func(c *child, prepared string, i int) (string, error)) error {
	mappings := 1000
	if o.Quick {
		mappings = 200
	}
	return onServer(ctx, o, func(c *child, _ string) error {
		prepared, err := prepare(c)
		if err != nil {
			return err
		}
		length := max(o.duration(), 5*time.Second) // processor time is counted in steps of 10 ms
		share := func() (float64, error) {
			before, err := c.processorTime(ctx)
			if err != nil {
				return 0, err
			}
			start := time.Now()
			if err := pause(ctx, length); err != nil {
				return 0, err
			}
			after, err := c.processorTime(ctx)
			return (after - before).Seconds() / time.Since(start).Seconds(), err
		}
		without, err := share()
		if err != nil {
			return err
		}
		for i := range mappings {
			name := fmt.Sprint("bench-", i)
			if err := deployTimed(ctx, c.endpoint, name, "http://127.0.0.1:9/", 20); err != nil {
				return err
			}
			from, err := source(c, prepared, i)
			if err != nil {
				return err
			}
			if _, err := attach(ctx, c.endpoint, from, name, 10, true, position); err != nil {
				return err
			}
		}
		if err := pause(ctx, 2*time.Second); err != nil { // what creating them left behind
			return err
		}
		with, err := share()
		if err != nil {
			return err
		}
		r.add(result{
			name:     "processor share of " + fmt.Sprintf(name, thousands(int64(mappings))),
			measured: max(0, with-without), budget: 0.005, atMost: true, ceiling: without, ceilingName: "the server without them", format: percent,
			why: "of one processor, over " + length.String() + "; half a percent is what the clock of the measurement can tell apart.",
		})
		return nil
	})
}

func pause(ctx context.Context, d time.Duration) error {
	wait := time.NewTimer(d)
	defer wait.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-wait.C:
		return nil
	}
}
