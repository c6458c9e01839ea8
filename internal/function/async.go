package function

import (
	"context"
	"sync"
	"time"

	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/schema"
)

// How Event invocations are tried again, as AWS's defaults say.
const (
	asyncRetries    = 2
	asyncMaxAge     = 6 * time.Hour
	asyncMaxEvents  = 10_000
	asyncMaxBytes   = 64 << 20
	asyncMaxBackoff = 5 * time.Minute
)

// asyncQueue holds Event invocations until they have ended. It is bounded in
// events and bytes, and lives in memory: what it holds when the server ends is
// lost, and said so in the log.
type asyncQueue struct {
	s  *Service
	wg sync.WaitGroup

	mu     sync.Mutex // guards what follows
	events int
	bytes  int
}

func newAsyncQueue(s *Service) *asyncQueue { return &asyncQueue{s: s} }

// InvokeEvent takes an invocation of type Event and returns its request id at
// once. A failing function is tried twice more, after one and after two minutes;
// a function that cannot be reached, for up to six hours.
func (s *Service) InvokeEvent(scope schema.Scope, inv Invocation) (requestID string, err error) {
	f, arn, err := s.resolveLatest(scope, inv.Name, inv.Qualifier)
	if err != nil {
		return "", err
	}
	if err := inv.check(MaxEventPayload); err != nil {
		return "", err
	}
	inv.Trusted = true
	return inv.RequestID, s.async.add(f, arn, inv)
}

func (q *asyncQueue) len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.events
}

func (q *asyncQueue) add(f *live, arn string, inv Invocation) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.events >= asyncMaxEvents || q.bytes+len(inv.Payload) > asyncMaxBytes || q.s.ctx.Err() != nil {
		return awserr.LambdaThrottled(awserr.ThrottleRate, 1)
	}
	q.events++
	q.bytes += len(inv.Payload)
	q.s.opts.Clock.Begin()
	q.wg.Go(func() {
		defer q.s.opts.Clock.End()
		q.deliver(f, arn, inv)
		q.mu.Lock()
		defer q.mu.Unlock()
		q.events--
		q.bytes -= len(inv.Payload)
	})
	return nil
}

// wait returns when the goroutines of all events have ended; the service's
// context has.
func (q *asyncQueue) wait() { q.wg.Wait() }

// deliver tries until the event has ended one way or the other.
func (q *asyncQueue) deliver(f *live, arn string, inv Invocation) {
	s := q.s
	ctx, cancel := context.WithCancel(s.ctx)
	defer cancel()
	tooOld := s.opts.Clock.AfterFunc(asyncMaxAge, cancel)
	defer tooOld.Stop()
	failures, backoff := 0, time.Second
	for {
		out, err := s.call(ctx, f, arn, &inv, true)
		reason := out.Error
		switch {
		case ctx.Err() != nil:
			reason = "too old"
			if s.ctx.Err() != nil {
				reason = "the server is ending"
			}
		case err == nil && out.FunctionError == "":
			return
		case IsNotFound(err):
		case err == nil:
			if failures++; failures <= asyncRetries {
				q.sleep(ctx, time.Duration(failures)*time.Minute)
				continue
			}
		case f.def.Load().Reserved != nil && *f.def.Load().Reserved == 0:
			reason = "the function's reserved concurrency is 0"
		default:
			q.sleep(ctx, max(backoff, out.RetryAfter))
			backoff = min(2*backoff, asyncMaxBackoff)
			continue
		}
		if err != nil && reason == "" {
			reason = err.Error()
		}
		s.opts.Logger.Warn("an Event invocation was dropped", "function", arn, "requestId", inv.RequestID, "failures", failures, "error", reason)
		return
	}
}

func (q *asyncQueue) sleep(ctx context.Context, d time.Duration) {
	_ = q.s.opts.Clock.Wait(ctx, d, nil) // the caller looks at ctx
}
