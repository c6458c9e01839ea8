package function

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/millstreamdb/millstream/internal/arn"
	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/function/runner"
	"github.com/millstreamdb/millstream/internal/schema"
)

// Limits of an event in bytes.
const (
	MaxPayload      = 6291456
	MaxEventPayload = 1 << 20
)

// Invocation is one call of a function.
type Invocation struct {
	Name          string // name, partial or full ARN, with or without qualifier
	Qualifier     string // the Qualifier parameter; empty: not given
	Payload       []byte // JSON; empty: {}
	ClientContext string // JSON
	RequestID     string // empty: a new one
	TraceID       string // X-Ray's trace header, as the caller gave it; empty: a new trace
	Tail          bool   // the outcome is to have the end of the call's log
	// Stream takes the answer of a function that streams it; nil: it is gathered.
	Stream Stream
	// Trusted says that the payload is known to be JSON of an allowed size.
	Trusted bool
	// Late, when it is closed, ends the wait for a place or a process: the call is then throttled. It does nothing to a call that has
	// begun. nil: the call waits as long as it takes.
	Late <-chan struct{}
	// Routed: another node has no room for the call. It runs at once here, or is throttled.
	Routed bool
}

// Placing says where calls run when there are other nodes.
type Placing interface {
	// Share is how many of the places of a function's reserved concurrency are this node's.
	Share(functionARN string, places int) int
	// Sure reports whether no other node can have been given this one's share.
	Sure() bool
	// Route has another node run a call for which there is no room here. name is the function with its qualifier, and places its reserved concurrency; 0: none is
	// reserved. taken is false when no node has run it, nor ever will. A node that has not answered after longest is lost. The error is ctx's, when it is not known
	// whether the function has run.
	Route(ctx context.Context, scope schema.Scope, functionARN, name string, inv *Invocation, places int, longest time.Duration) (out Outcome, taken bool, err error)
}

// Stream takes an answer piece by piece, from one goroutine and not after the call has returned. A
// Write that fails says that nobody reads any more: what the function still writes is dropped.
type Stream interface {
	// Begin is called once, before anything is written, with the version that runs and the answer's
	// content type.
	Begin(version, contentType string)
	Write(piece []byte) (int, error)
}

// versionedStream is a Stream as runners know it.
type versionedStream struct {
	Stream
	version string
}

func (s versionedStream) Begin(contentType string) { s.Stream.Begin(s.version, contentType) }

func versioned(s Stream, version string) runner.Stream {
	if s == nil {
		return nil
	}
	return versionedStream{s, version}
}

// Outcome is what came of an invocation that reached the function.
type Outcome struct {
	// Payload is the function's answer, or with FunctionError its error document.
	Payload []byte
	// FunctionError is empty for success, else "Unhandled".
	FunctionError string
	// Error tells people why it failed.
	Error           string
	RequestID       string
	ExecutedVersion string
	LogTail         []byte // at most 4 KB, if it was asked for
	// Streamed: the answer, as far as it came, went to the invocation's Stream. Payload is then
	// empty, or with FunctionError the document of what broke it off.
	Streamed bool
	// Delivered is false when the function cannot have seen the event; Invoke
	// then returns an error too. RetryAfter is the wait that its receiver asked for.
	Delivered  bool
	RetryAfter time.Duration
}

// Running returns the request id of the call during which a client with this session token makes its calls, empty when
// it is none of a function's.
func (s *Service) Running(sessionToken string) string { return s.host.Running(sessionToken) }

// Alive reports whether the process whose AWS clients were given this session token is there.
func (s *Service) Alive(sessionToken string) bool { return s.host.Alive(sessionToken) }

// RunningTrace returns that call's trace header.
func (s *Service) RunningTrace(sessionToken string) string { return s.host.RunningTrace(sessionToken) }

// IsNotFound reports whether an error of this package says that there is no such
// function.
func IsNotFound(err error) bool {
	var e *awserr.Error
	return errors.As(err, &e) && e.Code == "ResourceNotFoundException"
}

// Check does what an invocation of type DryRun does: it looks whether the
// function exists.
func (s *Service) Check(scope schema.Scope, name, qualifier string) error {
	_, _, err := s.resolveLatest(scope, name, qualifier)
	return err
}

// resolveLatest is resolve for the calls whose errors name $LATEST.
func (s *Service) resolveLatest(scope schema.Scope, name, qualifier string) (target, string, error) {
	t, full, err := s.resolve(scope, name, qualifier)
	if IsNotFound(err) && qualifier == "" {
		if f, ok := arn.ParseFunction(name); ok && f.Qualifier == "" && (f.Region == "" || f.Region == scope.Region) {
			err = awserr.FunctionNotFound(scope.FunctionARN(f.Name) + ":" + runner.Latest)
		}
	}
	return t, full, err
}

// Invoke runs a function once and returns when its answer is known or ctx ends.
// The error is an *awserr.Error when the function was not reached (unknown, no
// room, a receiver that is away), or ctx's error when it is not known whether it was.
// A function's own failure is no error: it is an Outcome with FunctionError.
// The payload must not be changed before the function has ended.
func (s *Service) Invoke(ctx context.Context, scope schema.Scope, inv Invocation) (Outcome, error) {
	t, arn, err := s.resolveLatest(scope, inv.Name, inv.Qualifier)
	if err != nil {
		return Outcome{}, err
	}
	if err := inv.check(MaxPayload); err != nil {
		return Outcome{}, err
	}
	return s.call(ctx, t.pick(), arn, &inv, false)
}

// check looks at the payload and fills in what was left out.
func (inv *Invocation) check(limit int) error {
	if inv.RequestID == "" {
		inv.RequestID = newID()
	}
	if len(inv.Payload) == 0 {
		inv.Payload = []byte("{}")
	}
	if inv.Trusted {
		return nil
	}
	if len(inv.Payload) > limit {
		if limit == MaxEventPayload {
			return awserr.InvokeEventTooLarge(len(inv.Payload), limit)
		}
		return awserr.InvokePayloadTooLarge(len(inv.Payload), limit)
	}
	if !json.Valid(inv.Payload) {
		var v struct{}
		text := "it is not a JSON value"
		if err := json.Unmarshal(inv.Payload, &v); err != nil {
			text = err.Error()
		}
		return awserr.InvalidRequestContent("Could not parse request body into json: Could not parse payload into json: " + text)
	}
	return nil
}

// call runs one invocation. A function without reserved concurrency lets calls
// wait for room (on AWS they would run: its limit is far higher); one with, or
// with none left to wait in, throttles. queued calls always wait.
func (s *Service) call(ctx context.Context, e *edition, arn string, inv *Invocation, queued bool) (Outcome, error) {
	placed, out, taken, err := s.route(ctx, e, arn, inv)
	if taken {
		return out, err
	}
	started := s.opts.Now()
	out = Outcome{RequestID: inv.RequestID, ExecutedVersion: e.def.Load().version()}
	header, ended := s.trace(e.def.Load(), inv, started)
	r, err := s.run(ctx, e, runner.Call{
		RequestID: inv.RequestID, ARN: arn, Payload: inv.Payload, ClientContext: inv.ClientContext,
		TraceID: header,
		Stream:  versioned(inv.Stream, out.ExecutedVersion),
		Tail:    inv.Tail || s.opts.Watched != nil && s.opts.Watched(),
		Late:    inv.Late,
	}, queued, inv.Routed, placed)
	result := "undelivered"
	if err == nil {
		out.Payload, out.LogTail, out.Error, out.RetryAfter, out.Streamed = r.Payload, r.LogTail, r.Err, r.RetryAfter, r.Streamed
		switch r.Status {
		case runner.OK:
			out.Delivered, result = true, "ok"
		case runner.Failed:
			out.Delivered, out.FunctionError, result = true, "Unhandled", "error"
			out.Error = errorText(r)
		case runner.Unknown:
			out.Delivered = true
			if err = ctx.Err(); err == nil {
				err = errClosed
			}
		case runner.NotDelivered:
			if r.Throttled {
				result = "throttled"
				err = awserr.LambdaThrottled(awserr.ThrottleRate, r.RetryAfter)
			} else if err = ctx.Err(); err == nil {
				err = awserr.LambdaNotReady(r.Err)
			}
		}
	}
	switch d := e.f.def.Load(); {
	case errors.Is(err, errFull):
		result, out.Error = "throttled", err.Error()
		reason := awserr.ThrottleConcurrent
		if d.Reserved != nil {
			reason = awserr.ThrottleReserved
		}
		err = awserr.LambdaThrottled(reason, s.turn(e.f))
	case errors.Is(err, errGone):
		out.Error = err.Error()
		err = awserr.FunctionNotFound(arn)
	case errors.Is(err, errLocked):
		locked := awserr.EnvironmentLocked(e.def.Load().locked)
		out.Error, err = locked.Message, locked
	case errors.Is(err, errClosed):
		out.Error = err.Error()
		err = awserr.LambdaNotReady("the server is ending")
	}
	if ended != nil {
		ended(result, &out)
	}
	if s.opts.Observe != nil && (!inv.Routed || result != "throttled") { // the node that asks tells of that
		d := e.def.Load()
		s.opts.Observe(Observation{Scope: d.Scope, Function: d.Name, Result: result, Began: started, Took: s.opts.Now().Sub(started), Context: ctx, Outcome: &out})
	}
	return out, err
}

// routeSlack is how much longer than its timeout a call may take at another node: a process has to start, and the answer to come.
const routeSlack = 2 * initLimit

// route has another node run a call when this one has no room. placed: it has, and the call has its place. To look and take it later would not do: of calls that come
// at once more would see room than there is, and the others would wait here whatever room other nodes have.
func (s *Service) route(ctx context.Context, e *edition, arn string, inv *Invocation) (placed bool, out Outcome, taken bool, err error) {
	d := e.f.def.Load()
	if s.opts.Placing == nil || inv.Routed || d.run != nil || d.Reserved != nil && *d.Reserved == 0 {
		return false, out, false, nil
	}
	if !s.fenced(d) {
		if e.f.limit.enter(ctx, false, nil) == nil {
			return true, out, false, nil
		}
		if inv.Stream != nil && s.limitOf(d) > 0 { // what one node streams another would gather
			return false, out, false, nil
		}
	}
	places := 0
	if d.Reserved != nil {
		places = *d.Reserved
	}
	out, taken, err = s.opts.Placing.Route(ctx, d.Scope, d.arn(), arn, inv, places, time.Duration(d.Timeout)*time.Second+routeSlack)
	return false, out, taken, err
}

// fenced reports whether this node's share of a function's reserved concurrency may be another's by now.
func (s *Service) fenced(d *definition) bool {
	return s.opts.Placing != nil && d.Reserved != nil && !s.opts.Placing.Sure()
}

// Replace has the shares of reserved concurrency be what they are by now.
func (s *Service) Replace() {
	s.control.Lock() // no definition changes
	defer s.control.Unlock()
	s.mu.RLock()
	all := slices.Collect(maps.Values(s.functions))
	s.mu.RUnlock()
	for _, f := range all {
		if d := f.def.Load(); d.Reserved != nil {
			s.setLimit(f, s.limitOf(d))
		}
	}
}

// setLimit bounds how many calls of a function run at once.
func (s *Service) setLimit(f *live, limit int) {
	f.limit.set(limit)
	for _, e := range append(f.published(), &f.edition) {
		e.mu.Lock()
		if e.run != nil {
			e.run.SetLimit(limit)
		}
		e.mu.Unlock()
	}
}

// run takes a place, unless the call has one, finds the runner, and goes to its successor when it was
// replaced before it took the call.
func (s *Service) run(ctx context.Context, e *edition, c runner.Call, queued, routed, placed bool) (runner.Result, error) {
	f := e.f
	defer func() {
		if placed {
			f.limit.leave()
		}
	}()
	for {
		if s.rows.shared != nil {
			if err := s.bring(ctx, e.def.Load().hashes()); err != nil {
				return runner.Result{}, err
			}
		}
		d := f.def.Load()
		wait := !routed && (d.Reserved == nil || queued && s.limitOf(d) > 0)
		if s.fenced(d) {
			return runner.Result{}, errFull
		}
		if !placed {
			if err := f.limit.enter(ctx, wait, c.Late); err != nil {
				return runner.Result{}, err
			}
			placed = true
		}
		if s.fenced(f.def.Load()) { // while it waited
			return runner.Result{}, errFull
		}
		r, err := s.runner(e)
		if err == nil && s.ctx.Err() != nil {
			err = errClosed // every runner is closed for good
		}
		if err != nil {
			return runner.Result{}, err
		}
		placed = false // the runner gives it back
		began := time.Now()
		leave := func() {
			f.turns.Took(time.Since(began))
			f.limit.leave()
		}
		if result := r.Invoke(ctx, c, leave); !result.Replaced {
			return result, nil
		}
	}
}

// turn returns when a caller of a function that has no room should come back; 0 when it
// may run nothing at all.
func (s *Service) turn(f *live) time.Duration {
	places := AccountConcurrency
	if reserved := f.def.Load().Reserved; reserved != nil {
		places = *reserved
	}
	if places == 0 {
		return 0
	}
	return f.turns.Wait(time.Since(s.began), places)
}

// errorText returns what an error document says, for people.
func errorText(r runner.Result) string {
	var d struct{ ErrorType, ErrorMessage string }
	if json.Unmarshal(r.Payload, &d) != nil || d.ErrorMessage == "" {
		return r.Err
	}
	if d.ErrorType == "" {
		return d.ErrorMessage
	}
	return d.ErrorType + ": " + d.ErrorMessage
}
