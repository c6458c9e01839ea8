package bench

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	pacedRate    = 1000 // writes a second
	pacedClients = 16
)

// paced is a run of writes at an even pace, with the times at which each was sent,
// answered and seen by a function, in nanoseconds since the run was made.
type paced struct {
	began  time.Time
	offset int // of the clients' numbers, so that runs do not share keys
	each   int // writes of one client

	request func(host string, client int) func(n int) []byte // of a write
	before  string                                           // what stands before its number in an event

	sent, answered, called [pacedClients][]atomic.Int64
	seen                   atomic.Int64
	all                    chan struct{} // closed when every write was seen
}

func newPaced(length time.Duration, offset int) *paced {
	p := &paced{began: time.Now(), offset: offset, each: int(length.Seconds() * pacedRate / pacedClients), all: make(chan struct{})}
	p.request, p.before = func(host string, client int) func(int) []byte { return puts(host, table, client) }, keyBefore
	for i := range pacedClients {
		p.sent[i], p.answered[i], p.called[i] = make([]atomic.Int64, p.each), make([]atomic.Int64, p.each), make([]atomic.Int64, p.each)
	}
	return p
}

// event is the function: it notes which writes an event carries.
func (p *paced) event(event []byte) {
	now := time.Since(p.began).Nanoseconds()
	eachNumber(event, p.before, func(client, n int) {
		client -= p.offset
		if client < 0 || client >= pacedClients || n >= p.each || !p.called[client][n].CompareAndSwap(0, now) {
			return
		}
		if p.seen.Add(1) == int64(pacedClients*p.each) {
			close(p.all)
		}
	})
}

// run writes, and returns when the function has seen every write.
func (p *paced) run(ctx context.Context, c *child) error {
	host, err := hostOf(c.endpoint)
	if err != nil {
		return err
	}
	failures := make(chan error, pacedClients)
	var writing sync.WaitGroup
	for client := range pacedClients {
		writing.Go(func() {
			if err := p.write(ctx, host, client); err != nil {
				failures <- err
			}
		})
	}
	writing.Wait()
	limit := time.NewTimer(time.Minute)
	defer limit.Stop()
	select {
	case err := <-failures:
		return err
	case <-p.all:
		return nil
	case <-limit.C:
		return fmt.Errorf("the function saw %d of %d writes within a minute", p.seen.Load(), pacedClients*p.each)
	}
}

// write is one client; the clients take turns, so that writes come evenly.
func (p *paced) write(ctx context.Context, host string, client int) error {
	conn, err := dial(ctx, host)
	if err != nil {
		return err
	}
	defer conn.Close()
	request := p.request(host, p.offset+client)
	next := time.Now().Add(time.Duration(client) * time.Second / pacedRate)
	wait := time.NewTimer(time.Until(next))
	defer wait.Stop()
	for n := range p.each {
		<-wait.C
		p.sent[client][n].Store(time.Since(p.began).Nanoseconds())
		if err := conn.roundTrip(request(n)); err != nil {
			return err
		}
		p.answered[client][n].Store(time.Since(p.began).Nanoseconds())
		next = next.Add(pacedClients * time.Second / pacedRate)
		wait.Reset(time.Until(next))
	}
	return nil
}

// latencies returns, sorted, the times from the answer of each write, and from the
// start of its request, to the start of the call that carried it.
func (p *paced) latencies() (fromAnswer, fromRequest []time.Duration) {
	for i := range pacedClients {
		for n := range p.each {
			fromAnswer = append(fromAnswer, max(0, time.Duration(p.called[i][n].Load()-p.answered[i][n].Load())))
			fromRequest = append(fromRequest, time.Duration(p.called[i][n].Load()-p.sent[i][n].Load()))
		}
	}
	slices.Sort(fromAnswer)
	slices.Sort(fromRequest)
	return fromAnswer, fromRequest
}

// report adds the median and the 99th percentile of latencies; name has a place for which of them it is.
func (p *paced) report(r *report, name, write string) {
	fromAnswer, fromRequest := p.latencies()
	for _, q := range []struct {
		name   string
		of     float64
		budget time.Duration
	}{{"median", 0.5, time.Millisecond}, {"99th percentile", 0.99, 5 * time.Millisecond}} {
		r.add(result{
			name:     fmt.Sprintf(name, q.name),
			measured: float64(quantile(fromAnswer, q.of)), budget: float64(q.budget), atMost: true, format: milliseconds,
			why: fmt.Sprintf("taken from the %s's answer at the client; from the start of its request, sync included: %s.", write, milliseconds(float64(quantile(fromRequest, q.of)))),
		})
	}
}

func quantile(sorted []time.Duration, q float64) time.Duration {
	return sorted[int(q*float64(len(sorted)-1))]
}
