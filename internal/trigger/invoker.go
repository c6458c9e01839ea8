package trigger

import (
	"context"
	"errors"

	"github.com/millstreamdb/millstream/internal/schema"
	"github.com/millstreamdb/millstream/internal/trigger/lane"
)

// Invoker runs functions for the engine.
type Invoker interface {
	// Resolve turns what a caller wrote as FunctionName (name, partial or full
	// ARN, with or without qualifier) into the function's ARN, which keeps a
	// qualifier if one was given. ErrNoFunction when there is none.
	Resolve(ctx context.Context, scope schema.Scope, name string) (arn string, err error)

	// Invoke runs the function once with payload and returns when its answer is
	// known or ctx is done. It may be called many times at once; the function's
	// own concurrency limits it, answering NotDelivered when full.
	Invoke(ctx context.Context, functionARN string, payload []byte) lane.Result
}

// ErrNoFunction is Resolve's answer for an unknown function.
var ErrNoFunction = errors.New("trigger: no such function")
