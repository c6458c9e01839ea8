package bench

import (
	"archive/zip"
	"bytes"
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync/atomic"
	"time"
)

const (
	// isolationPairs is how often both sides are measured.
	isolationPairs = 7
	// isolationSlices is how many pieces a side of a pair is cut into, which take
	// turns with those of the other side: the speed of a disk that others use drifts
	// within seconds by more than what is to be seen.
	isolationSlices = 2
	// brokenTimeout is the timeout of the broken functions, in seconds. A call goes on
	// when its mapping has gone, so this long is waited after every slice.
	brokenTimeout = 1
)

// measureIsolation tells what three broken mappings cost nine healthy ones on the
// same stream: one whose function always fails, one whose function never answers,
// and one whose function is a process that prints without end. The figures are the
// medians of the ratios of pairs of runs, without and with the three.
func measureIsolation(ctx context.Context, o Options, r *report) error {
	slice := max(o.duration()*2/3, 2*time.Second) / isolationSlices
	inGo := o
	inGo.command = ServerCommand
	return onServer(ctx, inGo, func(c *child, _ string) error {
		stream, err := makeTable(ctx, c.endpoint, table, true)
		if err != nil {
			return err
		}
		var current atomic.Pointer[paced]
		var delivered atomic.Int64
		healthy, err := listen(func(event []byte) {
			delivered.Add(recordsIn(event))
			if p := current.Load(); p != nil {
				p.event(event)
			}
		})
		if err != nil {
			return err
		}
		defer healthy.close()
		broken, err := deployBroken(ctx, c.endpoint)
		if err != nil {
			return err
		}
		defer broken.close()
		if err := deploy(ctx, c.endpoint, "healthy", healthy.url); err != nil {
			return err
		}
		// Nine healthy ones: the one that is looked at, and eight in Go.
		if _, err := attach(ctx, c.endpoint, stream, "healthy", 100, true, "LATEST"); err != nil {
			return err
		}
		for i := range 8 {
			if _, err := attach(ctx, c.endpoint, stream, fmt.Sprint(GoFunctionPrefix, i), 100, true, "LATEST"); err != nil {
				return err
			}
		}

		offset := 0
		turn := func(broken bool, to *isolated) error {
			var ids []string
			if broken {
				for _, name := range []string{"failing", "hanging", "printing"} {
					id, err := attach(ctx, c.endpoint, stream, name, 100, true, "LATEST")
					if err != nil {
						return err
					}
					ids = append(ids, id)
				}
			}
			p := newPaced(slice, offset)
			offset += pacedClients
			current.Store(p)
			if err := p.run(ctx, c); err != nil {
				return err
			}
			current.Store(nil)
			_, latencies := p.latencies()
			to.latencies = append(to.latencies, latencies...)
			before := delivered.Load()
			_, n, err := writeFor(ctx, c.endpoint, table, o.connections(), offset, slice)
			if err != nil {
				return err
			}
			offset += o.connections()
			// The rate of the healthy function: all that was written, over the time
			// until it has seen it.
			start := time.Now()
			for delivered.Load()-before < n {
				if err := pause(ctx, time.Millisecond); err != nil {
					return err
				}
				if time.Since(start) > time.Minute {
					return fmt.Errorf("the healthy function saw %d of %d writes", delivered.Load()-before, n)
				}
			}
			to.delivered += n
			to.took += slice + time.Since(start)
			if err := detach(ctx, c.endpoint, ids); err != nil {
				return err
			}
			return pause(ctx, brokenTimeout*time.Second+100*time.Millisecond)
		}
		var median, p99, rate []float64
		for pair := range isolationPairs {
			var without, with isolated
			for i := range 2 * isolationSlices {
				// ABBA: the table grows, and neither side shall always come first.
				if side := (pair + (i+1)/2) % 2; side == 0 {
					err = turn(false, &without)
				} else {
					err = turn(true, &with)
				}
				if err != nil {
					return err
				}
			}
			median = append(median, with.quantile(0.5)/without.quantile(0.5))
			p99 = append(p99, with.quantile(0.99)/without.quantile(0.99))
			rate = append(rate, with.rate()/without.rate())
		}
		middle := func(v []float64) float64 { slices.Sort(v); return v[len(v)/2] }
		spread := func(v []float64) string {
			return fmt.Sprintf("from %s to %s in %d pairs of %d slices each", percent(v[0]), percent(v[len(v)-1]), len(v), isolationSlices)
		}
		m, q, t := middle(median), middle(p99), middle(rate)
		r.add(result{
			name:     "latency of nine healthy mappings beside a failing, a hanging and a printing one, median",
			measured: m, budget: 1.05, atMost: true, format: percent, why: spread(median) + "; from the start of the write's request, at 1,000 writes/s."})
		r.add(result{
			name:     "the same, 99th percentile",
			measured: q, budget: 1.05, atMost: true, format: percent, why: spread(p99) + "."})
		r.add(result{
			name:     "throughput of nine healthy mappings beside the three",
			measured: t, budget: 0.95, format: percent, why: spread(rate) + "; records delivered, with writers at full speed."})
		return nil
	})
}

// isolated is what one side of a pair showed of the healthy mappings.
type isolated struct {
	latencies []time.Duration
	delivered int64
	took      time.Duration
}

func (i *isolated) quantile(q float64) float64 {
	slices.Sort(i.latencies)
	return float64(quantile(i.latencies, q))
}

func (i *isolated) rate() float64 { return float64(i.delivered) / i.took.Seconds() }

// deployBroken makes the three functions that nobody should have.
func deployBroken(ctx context.Context, endpoint string) (*listener, error) {
	gone := make(chan struct{})
	l, err := listenHTTP(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/failing" {
			http.Error(w, "no", http.StatusInternalServerError)
			return
		}
		select {
		case <-gone:
		case <-r.Context().Done():
		}
	}))
	if err != nil {
		return nil, err
	}
	l.gone = gone
	for _, name := range []string{"failing", "hanging"} {
		if err := deployTimed(ctx, endpoint, name, l.url+name, brokenTimeout); err != nil {
			l.close()
			return nil, err
		}
	}
	var code bytes.Buffer
	z := zip.NewWriter(&code)
	h := &zip.FileHeader{Name: "bootstrap"}
	h.SetMode(0o755)
	f, err := z.CreateHeader(h)
	if err == nil {
		_, err = f.Write([]byte("#!/bin/sh\nexec yes a function that prints without end\n"))
	}
	if err == nil {
		err = z.Close()
	}
	if err == nil {
		err = callLambda(ctx, http.MethodPost, endpoint, "/2015-03-31/functions", map[string]any{
			"FunctionName": "printing", "Runtime": "provided.al2023", "Handler": "x", "Role": "arn:aws:iam::000000000000:role/bench",
			"Timeout": brokenTimeout, "Code": map[string]any{"ZipFile": code.Bytes()},
		}, nil)
	}
	if err != nil {
		l.close()
		return nil, err
	}
	return l, nil
}
