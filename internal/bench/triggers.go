package bench

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"time"
)

// measureLatency writes 1,000 items a second and takes, for each, the time from
// its answer to the start of the function call that carries it. The write is
// synced before it is answered, so the figure lacks the way of the answer back
// to the client; the time from the request's start, which has the sync and both
// ways in it, is printed beside it.
func measureLatency(ctx context.Context, o Options, r *report) error {
	return onServer(ctx, o, func(c *child, _ string) error {
		stream, err := makeTable(ctx, c.endpoint, table, true)
		if err != nil {
			return err
		}
		p := newPaced(o.duration(), 0)
		f, err := listen(p.event)
		if err != nil {
			return err
		}
		defer f.close()
		if err := deploy(ctx, c.endpoint, "bench", f.url); err != nil {
			return err
		}
		if _, err := attach(ctx, c.endpoint, stream, "bench", 100, true, "LATEST"); err != nil {
			return err
		}
		if err := p.run(ctx, c); err != nil {
			return err
		}
		p.report(r, "sync to function start, %s, 1,000 writes/s, HTTP function", "write")
		return nil
	})
}

// eachKey finds the keys of the records of an event without parsing it: they are
// the texts of 16 digits after "Keys".
func eachKey(event []byte, found func(client, n int)) { eachNumber(event, keyBefore, found) }

// keyBefore stands before the key of a record.
const keyBefore = `"Keys":{"pk":{"S":"`

// eachNumber finds the texts of 16 digits that writeKey wrote behind a text.
func eachNumber(event []byte, before string, found func(client, n int)) {
	for {
		at := bytes.Index(event, []byte(before))
		if at < 0 || len(event) < at+len(before)+keyDigits {
			return
		}
		event = event[at+len(before):]
		client, n := 0, 0
		for _, d := range event[:4] {
			client = client*10 + int(d-'0')
		}
		for _, d := range event[4:keyDigits] {
			n = n*10 + int(d-'0')
		}
		found(client, n)
	}
}

// measureSubscribers compares writing with no mapping and with ten, whose
// functions are in Go in the server's own process, as the budget has it, and then
// whose functions are HTTP services: what those receive shares the machine too.
func measureSubscribers(ctx context.Context, o Options, r *report) error {
	inGo := o
	inGo.command = ServerCommand
	err := onServer(ctx, inGo, func(c *child, _ string) error {
		rates, costs, err := withSubscribers(ctx, o, c, GoFunctionPrefix)
		if err != nil {
			return err
		}
		r.add(result{
			name:     fmt.Sprintf("PutItem throughput with %d subscribers in Go, batches of 100, beside none", subscribers),
			measured: rates[1] / rates[0], budget: 0.8, ceiling: 1, ceilingName: "no subscriber: " + perSecond(rates[0]), format: percent,
			why: fmt.Sprintf("%s with them: rendering each event once, and handing it to ten functions; %.1f microseconds of the server's processor a write, %.1f without.",
				perSecond(rates[1]), costs[1], costs[0]),
		})
		return nil
	})
	if err != nil {
		return err
	}
	return onServer(ctx, o, func(c *child, _ string) error {
		var calls, records atomic.Int64
		f, err := listen(func(event []byte) {
			calls.Add(1)
			records.Add(recordsIn(event))
		})
		if err != nil {
			return err
		}
		defer f.close()
		for i := range subscribers {
			if err := deploy(ctx, c.endpoint, fmt.Sprint("bench-", i), f.url); err != nil {
				return err
			}
		}
		rates, _, err := withSubscribers(ctx, o, c, "bench-")
		if err != nil {
			return err
		}
		r.note("the same with HTTP functions: %s of %s (%s with them); %s calls with %.0f records each, whose sending and receiving share the machine with the writers",
			percent(rates[1]/rates[0]), perSecond(rates[0]), perSecond(rates[1]), thousands(calls.Load()), float64(records.Load())/float64(max(1, calls.Load())))
		return nil
	})
}

const subscribers = 10

// withSubscribers writes without mappings and with ten, in turns whose order alternates, so that a
// machine that slows down, and tables that grow, slow both, and returns the writes per second of each, and the microseconds of the server's
// processor that a write takes.
func withSubscribers(ctx context.Context, o Options, c *child, function string) (rates, costs [2]float64, err error) {
	const rounds = 4
	stream, err := makeTable(ctx, c.endpoint, table, true)
	if err != nil {
		return rates, costs, err
	}
	offset := 0
	for round := range rounds {
		for turn := range 2 {
			on := (turn + round) % 2
			// Mappings are made anew each time, from LATEST: one that was
			// disabled meanwhile would have the other turn's records to catch up.
			var ids []string
			for i := range subscribers * on {
				id, err := attach(ctx, c.endpoint, stream, fmt.Sprint(function, i), 100, true, "LATEST")
				if err != nil {
					return rates, costs, err
				}
				ids = append(ids, id)
			}
			before, err := c.processorTime(ctx)
			if err != nil {
				return rates, costs, err
			}
			rate, n, err := writeFor(ctx, c.endpoint, table, o.connections(), offset, o.duration()/2)
			if err != nil {
				return rates, costs, err
			}
			after, err := c.processorTime(ctx)
			if err != nil {
				return rates, costs, err
			}
			rates[on] += rate / rounds
			costs[on] += float64((after - before).Microseconds()) / float64(n) / rounds
			offset += o.connections()
			if err := detach(ctx, c.endpoint, ids); err != nil {
				return rates, costs, err
			}
		}
	}
	return rates, costs, nil
}

// measureCatchUp writes a backlog of small items and lets a mapping run through
// it in batches of 1,000.
func measureCatchUp(ctx context.Context, o Options, r *report) error {
	records := 400_000
	if o.Quick {
		records = 50_000
	}
	if o.Backlog > 0 {
		records = o.Backlog
	}
	return onServer(ctx, o, func(c *child, _ string) error {
		stream, err := makeTable(ctx, c.endpoint, table, true)
		if err != nil {
			return err
		}
		var seen atomic.Int64
		done := make(chan struct{})
		f, err := listen(func(event []byte) {
			n := recordsIn(event)
			if total := seen.Add(n); total >= int64(records) && total-n < int64(records) {
				close(done)
			}
		})
		if err != nil {
			return err
		}
		defer f.close()
		if err := deploy(ctx, c.endpoint, "bench", f.url); err != nil {
			return err
		}
		id, err := attach(ctx, c.endpoint, stream, "bench", 1000, false, "TRIM_HORIZON")
		if err != nil {
			return err
		}
		if err := backlog(ctx, c.endpoint, records, records); err != nil {
			return err
		}
		before, err := c.processorTime(ctx)
		if err != nil {
			return err
		}
		start := time.Now()
		if err := enable(ctx, c.endpoint, id); err != nil {
			return err
		}
		select {
		case <-done:
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(5 * time.Minute):
			return fmt.Errorf("the function saw %d of %d records within 5 minutes", seen.Load(), records)
		}
		rate := float64(records) / time.Since(start).Seconds()
		after, err := c.processorTime(ctx)
		if err != nil {
			return err
		}
		r.add(result{
			name:     fmt.Sprintf("catching up %s small records, batches of 1,000", thousands(int64(records))),
			measured: rate, budget: 150_000, format: perSecond,
			why: fmt.Sprintf("through an HTTP function that counts them: reading, rendering and sending each event, and its receiver, on this machine; %.2f microseconds of the server's processor a record.",
				float64((after-before).Microseconds())/float64(records)),
		})
		return nil
	})
}

func enable(ctx context.Context, endpoint, id string) error {
	return callLambda(ctx, http.MethodPut, endpoint, "/2015-03-31/event-source-mappings/"+id, map[string]bool{"Enabled": true}, nil)
}

// backlog writes small items, in turn over this many keys, by BatchWriteItem over
// several connections. No two items are the same: each is a record.
func backlog(ctx context.Context, endpoint string, records, keys int) error {
	const clients, perBatch = 8, 25
	host, err := hostOf(endpoint)
	if err != nil {
		return err
	}
	var next atomic.Int64
	failures := make(chan error, clients)
	for range clients {
		go func() {
			failures <- func() error {
				c, err := dial(ctx, host)
				if err != nil {
					return err
				}
				defer c.Close()
				for {
					first := next.Add(perBatch) - perBatch
					if first >= int64(records) {
						return ctx.Err()
					}
					var body strings.Builder
					body.WriteString(`{"RequestItems":{"` + table + `":[`)
					for i := first; i < min(first+perBatch, int64(records)); i++ {
						if i > first {
							body.WriteByte(',')
						}
						fmt.Fprintf(&body, `{"PutRequest":{"Item":{"pk":{"S":"%016d"},"v":{"N":"%d"}}}}`, i%int64(keys), i)
					}
					body.WriteString(`]}}`)
					if err := c.roundTrip(message(host, "BatchWriteItem", []byte(body.String()))); err != nil {
						return err
					}
				}
			}()
		}()
	}
	for range clients {
		if e := <-failures; err == nil {
			err = e
		}
	}
	return err
}
