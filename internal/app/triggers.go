package app

import (
	"context"
	"errors"

	"github.com/millstreamdb/millstream/internal/activity"
	"github.com/millstreamdb/millstream/internal/admin/wire"
	"github.com/millstreamdb/millstream/internal/arn"
	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/function"
	"github.com/millstreamdb/millstream/internal/schema"
	"github.com/millstreamdb/millstream/internal/trace"
	"github.com/millstreamdb/millstream/internal/trigger"
	"github.com/millstreamdb/millstream/internal/trigger/lane"
)

func (s *App) newEngine() (*trigger.Engine, error) {
	o := trigger.Options{
		Backend:     s.backend,
		Invoker:     invoker{s},
		Destination: &s.destinations,
		Here:        s.destinations.Here,
		Now:         s.opts.Now,
		Clock:       s.clock,
		Tags:        s.tagsOf,
		Failed:      s.callJudged,
		Log:         s.opts.Logger,
		Trace:       s.traceRecords,
	}
	if s.node != nil {
		o.Backend, o.CommitInterval = s.node, s.opts.CheckpointEvery
		if !s.node.foreign {
			o.Here = s.destinations.There
		}
	}
	return trigger.New(context.Background(), o)
}

// callJudged tells of what becomes of a trigger's call that failed.
func (s *App) callJudged(f trigger.Failure) {
	if f.RequestID == "" || !s.activity.Watched() {
		return
	}
	s.activity.Emit(activity.Event{Kind: wire.Judged, ID: f.RequestID, Verdict: &wire.Verdict{
		Failed: f.Failed, Attempt: f.Attempt, Of: f.Of, Then: f.Then.String(), GivenUp: f.Then.GivenUp(), RetryAt: f.RetryAt,
	}})
}

// tagsOf looks the tags of a function and of a stream's table up.
func (s *App) tagsOf(functionARN, streamARN string) (function, table map[string]string) {
	if f, ok := arn.ParseFunction(functionARN); ok {
		function, _ = s.functions.Tags(f.Scope, functionARN) // none when it is not there
	}
	if s.node != nil {
		table = s.node.tagsOf(streamARN)
	} else if scope, name, _, ok := arn.Stream(streamARN); ok {
		table = s.tables.TagsOf(scope, name)
	}
	return function, table
}

// invoker lets the engine run functions.
type invoker struct{ s *App }

func (i invoker) Resolve(_ context.Context, scope schema.Scope, name string) (string, error) {
	arn, err := i.s.functions.Resolve(scope, name)
	if function.IsNotFound(err) {
		return "", trigger.ErrNoFunction
	}
	return arn, err
}

func (i invoker) Invoke(ctx context.Context, functionARN string, payload []byte) lane.Result {
	return i.InvokeUnlessLate(ctx, functionARN, payload, nil)
}

// InvokeUnlessLate is Invoke for a call that is not to begin any more once late is closed.
func (i invoker) InvokeUnlessLate(ctx context.Context, functionARN string, payload []byte, late <-chan struct{}) lane.Result {
	f, ok := arn.ParseFunction(functionARN)
	if !ok {
		return lane.Result{Outcome: lane.NotDelivered, Error: "not the ARN of a function: " + functionARN}
	}
	if i.s.activity.Watched() {
		ctx = activity.With(ctx, activity.Cause{Event: payload})
	}
	out, err := i.s.functions.Invoke(ctx, f.Scope, function.Invocation{Name: functionARN, Payload: payload, TraceID: trace.From(ctx).Header(), Trusted: true, Late: late})
	r := lane.Result{Payload: out.Payload, Error: out.Error, RetryAfter: out.RetryAfter, RequestID: out.RequestID, Version: out.ExecutedVersion}
	switch {
	case err != nil:
		r.Outcome = lane.NotDelivered
		var e *awserr.Error
		if errors.As(err, &e) {
			r.Error = e.Message
		} else {
			r.Error = err.Error()
		}
	case out.FunctionError != "":
		r.Outcome = lane.FunctionError
	}
	return r
}
