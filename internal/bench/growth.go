package bench

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// measureGrowth writes items of 100 bytes, ten times as many at each step, and takes after each step how many a second are read and changed.
func measureGrowth(ctx context.Context, o Options, r *report) error {
	length := max(o.duration()/2, 500*time.Millisecond)
	fmt.Fprintf(r.out, "requests a second, by items of 100 bytes that the table has, stream on, %d connections, %v each\n", o.connections(), length)
	found := newPoints("items", "GetItem", "PutItem")
	err := onServer(ctx, o, func(c *child, dir string) error {
		if _, err := makeTable(ctx, c.endpoint, table, true); err != nil {
			return err
		}
		host, err := hostOf(c.endpoint)
		if err != nil {
			return err
		}
		most, there := o.items(), 0
		for items := min(most, 10_000); ; items = min(items*10, most) {
			begun := time.Now()
			if err := grow(ctx, host, o.connections(), there, items); err != nil {
				return err
			}
			there = items
			took := time.Since(begun)
			if err := c.awaitQuiet(ctx); err != nil {
				return err
			}
			reads, writes, err := rates(ctx, c, o, length, items)
			if err != nil {
				return err
			}
			kept, err := folderBytes(dir)
			if err != nil {
				return err
			}
			found.add(items, reads, writes)
			fmt.Fprintf(r.out, "  %12s items  GetItem %12s  PutItem %12s  %10s on the disk; the last were written in %s\n",
				thousands(int64(items)), perSecond(reads), perSecond(writes), mebibytes(float64(kept)), took.Round(time.Millisecond))
			if items == most {
				return nil
			}
		}
	})
	fmt.Fprintln(r.out)
	if err != nil {
		return err
	}
	return found.write(o.Plots, "growth", "requests a second, by items of 100 bytes", false)
}

// A little item is 100 bytes by DynamoDB's rules: its key, and a text that begins with a number.
var littleItem = `{"pk":{"S":"` + mark + `"},"v":{"S":"` + mark + strings.Repeat("x", 100-len("pk")-keyDigits-len("v")-keyDigits) + `"}}`

// grow writes the little items with the numbers from and on, below to, which the clients share out.
func grow(ctx context.Context, host string, clients, from, to int) error {
	var all sync.WaitGroup
	var failure atomic.Pointer[error]
	for client := range clients {
		all.Go(func() {
			if err := growOne(ctx, host, client, from/clients, to/clients); err != nil {
				failure.Store(&err)
			}
		})
	}
	all.Wait()
	if err := failure.Load(); err != nil {
		return *err
	}
	return ctx.Err()
}

// growOne writes those of a client.
func growOne(ctx context.Context, host string, client, from, to int) error {
	c, err := dial(ctx, host)
	if err != nil {
		return err
	}
	defer c.Close()
	batch := func(items int) func(int) []byte {
		body := `{"RequestItems":{"` + table + `":[` + list(items, `{"PutRequest":{"Item":`+littleItem+`}}`) + `]}}`
		return fields(host, "BatchWriteItem", body, client, func(n, i int) int { return n + i/2 })
	}
	whole := batch(written)
	for n := from; n < to && ctx.Err() == nil; n += written {
		next := whole
		if n+written > to {
			next = batch(to - n)
		}
		if err := c.roundTrip(next(n)); err != nil {
			return err
		}
	}
	return nil
}

// scattered is one of the first known numbers: those of neighbours lie far apart.
func scattered(n, known int) int {
	return int(uint64(n) * 0x9e3779b97f4a7c15 >> 32 * uint64(known) >> 32)
}

// rates reads little items, and then changes them, each for a while, and returns how many a second.
func rates(ctx context.Context, c *child, o Options, length time.Duration, items int) (reads, writes float64, err error) {
	host, err := hostOf(c.endpoint)
	if err != nil {
		return 0, 0, err
	}
	known := items / o.connections()
	for _, kind := range []struct {
		rate *float64
		next func(client int) func(n int) []byte
	}{
		{&reads, func(client int) func(int) []byte { return littleGets(host, client, known) }},
		{&writes, func(client int) func(int) []byte { return littlePuts(host, client, known) }},
	} {
		n, took, err := load(ctx, c.endpoint, o.connections(), length, kind.next)
		if err != nil {
			return 0, 0, err
		}
		*kind.rate = float64(n) / took.Seconds()
	}
	return reads, writes, nil
}

func littleGets(host string, client, known int) func(n int) []byte {
	body := `{"TableName":"` + table + `","Key":{"pk":{"S":"` + mark + `"}},"ConsistentRead":true}`
	return fields(host, "GetItem", body, client, func(n, _ int) int { return scattered(n, known) })
}

func littlePuts(host string, client, known int) func(n int) []byte {
	return fields(host, "PutItem", `{"TableName":"`+table+`","Item":`+littleItem+`}`, client, func(n, i int) int {
		if i == 0 {
			return scattered(n, known)
		}
		return n + 1_000_000_000 // no item has it yet
	})
}

// measureFanOut writes while 1 to 1,000 mappings with HTTP functions, that count what they get, are on the stream.
func measureFanOut(ctx context.Context, o Options, r *report) error {
	steps := []int{1, 10, 100, 1000}
	if o.Quick {
		steps = []int{1, 10}
	}
	length := max(o.duration()/2, 500*time.Millisecond)
	fmt.Fprintf(r.out, "PutItems and delivered records a second, by mappings on the stream, batches of 100, HTTP functions on this machine, %d connections, %v each\n", o.connections(), length)
	found := newPoints("mappings", "PutItem", "records delivered")
	err := onServer(ctx, o, func(c *child, _ string) error {
		stream, err := makeTable(ctx, c.endpoint, table, true)
		if err != nil {
			return err
		}
		var delivered atomic.Int64
		f, err := listen(func(event []byte) { delivered.Add(recordsIn(event)) })
		if err != nil {
			return err
		}
		defer f.close()
		functions, offset := 0, 0
		for _, mappings := range steps {
			for ; functions < mappings; functions++ {
				if err := deploy(ctx, c.endpoint, fmt.Sprint("bench-", functions), f.url); err != nil {
					return err
				}
			}
			var ids []string
			for i := range mappings {
				id, err := attach(ctx, c.endpoint, stream, fmt.Sprint("bench-", i), 100, true, "LATEST")
				if err != nil {
					return err
				}
				ids = append(ids, id)
			}
			before, begun := delivered.Load(), time.Now()
			rate, _, err := writeFor(ctx, c.endpoint, table, o.connections(), offset, length)
			if err != nil {
				return err
			}
			records := float64(delivered.Load()-before) / time.Since(begun).Seconds()
			offset += o.connections()
			found.add(mappings, rate, records)
			fmt.Fprintf(r.out, "  %6s mappings  PutItem %12s  delivered %14s\n", thousands(int64(mappings)), perSecond(rate), perSecond(records))
			if err := detach(ctx, c.endpoint, ids); err != nil {
				return err
			}
		}
		return nil
	})
	fmt.Fprintln(r.out)
	if err != nil {
		return err
	}
	return found.write(o.Plots, "fanout", "a second, by mappings on the stream", true)
}

// measureProcessors reads and writes while the server has one processor, two, and so on to what the machine has.
func measureProcessors(ctx context.Context, o Options, r *report) error {
	items := 10_000
	length := max(o.duration()/2, 500*time.Millisecond)
	fmt.Fprintf(r.out, "requests a second, by the server's GOMAXPROCS, items of 100 bytes, stream on, %d connections, %v each; the load has the machine's processors too\n", o.connections(), length)
	found := newPoints("GOMAXPROCS", "GetItem", "PutItem")
	for n := 1; n <= max(2, runtime.NumCPU()); n *= 2 {
		with := o
		with.env = []string{fmt.Sprint("GOMAXPROCS=", n)}
		err := onServer(ctx, with, func(c *child, _ string) error {
			if _, err := makeTable(ctx, c.endpoint, table, true); err != nil {
				return err
			}
			host, err := hostOf(c.endpoint)
			if err != nil {
				return err
			}
			if err := grow(ctx, host, o.connections(), 0, items); err != nil {
				return err
			}
			reads, writes, err := rates(ctx, c, o, length, items)
			if err != nil {
				return err
			}
			found.add(n, reads, writes)
			fmt.Fprintf(r.out, "  GOMAXPROCS %3d  GetItem %12s  PutItem %12s\n", n, perSecond(reads), perSecond(writes))
			return nil
		})
		if err != nil {
			return err
		}
	}
	fmt.Fprintln(r.out)
	return found.write(o.Plots, "processors", "requests a second, by the server's GOMAXPROCS", false)
}
