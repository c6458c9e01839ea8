package function

import (
	"context"
	"fmt"
	"reflect"
	"runtime/debug"
	"time"

	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/function/runner"
	"github.com/millstreamdb/millstream/internal/schema"
)

// GoFunc is a function of this program. ctx ends with the function's timeout.
type GoFunc func(ctx context.Context, payload []byte) ([]byte, error)

// goTimeout is the timeout of Go functions, in seconds.
const goTimeout = 60

// RegisterGo makes a Go function known under a name, in place of any function of
// that name that was registered before. It lives as long as the Service; nothing
// is stored. A name that a stored function has is refused.
func (s *Service) RegisterGo(scope schema.Scope, name string, run GoFunc) error {
	if !isName(name, maxName) {
		return constraint(name, "functionName", "Member must satisfy regular expression pattern: "+namePattern)
	}
	s.control.Lock()
	defer s.control.Unlock()
	if f := s.lookup(scope, name); f != nil {
		if f.def.Load().run == nil {
			return awserr.FunctionExists(name)
		}
		s.forget(f)
	}
	d := &definition{
		Scope: scope, Name: name, Runtime: "provided.al2023", Handler: "go", Timeout: goTimeout, MemorySize: 128,
		PackageType: packageZip, Architecture: "x86_64", Ephemeral: 512, Tracing: "PassThrough",
		Logging: LoggingConfig{LogFormat: "Text", LogGroup: "/aws/lambda/" + name},
		run:     run,
	}
	s.touch(d)
	s.install(d)
	s.changed(scope, name)
	return nil
}

// goRunner runs a Go function in place.
type goRunner struct {
	run     GoFunc
	timeout time.Duration
	ctx     context.Context // ended by Kill
	kill    context.CancelFunc
}

func newGoRunner(d *definition) *goRunner {
	ctx, kill := context.WithCancel(context.Background())
	return &goRunner{run: d.run, timeout: time.Duration(d.Timeout) * time.Second, ctx: ctx, kill: kill}
}

func (g *goRunner) SetLimit(int) {}
func (g *goRunner) Close()       {}
func (g *goRunner) Kill()        { g.kill() }

// Invoke implements runner.Runner. A function that does not return when its
// context ends goes on in a goroutine of its own, and keeps its place.
func (g *goRunner) Invoke(ctx context.Context, c runner.Call, done func()) runner.Result {
	limited, cancel := context.WithTimeout(ctx, g.timeout)
	stop := context.AfterFunc(g.ctx, cancel)
	result := make(chan runner.Result, 1)
	go func() {
		defer done()
		result <- g.call(limited, c)
	}()
	defer func() {
		stop()
		cancel()
	}()
	select {
	case r := <-result:
		if r.Status == runner.OK || limited.Err() == nil {
			return r
		}
	case <-limited.Done():
	}
	if ctx.Err() != nil || g.ctx.Err() != nil {
		return runner.Result{Status: runner.Unknown, Err: context.Canceled.Error()}
	}
	return runner.Result{Status: runner.Failed, Payload: runner.TimeoutPayload(c.RequestID, g.timeout), Err: runner.TimeoutText(g.timeout)}
}

func (g *goRunner) call(ctx context.Context, c runner.Call) (r runner.Result) {
	defer func() {
		if p := recover(); p != nil {
			text := fmt.Sprint(p)
			r = runner.Result{Status: runner.Failed, Err: text + "\n" + string(debug.Stack()), Payload: runner.ErrorPayload(typeName(p), text)}
		}
	}()
	answer, err := g.run(ctx, c.Payload)
	switch {
	case err != nil:
		return runner.Result{Status: runner.Failed, Err: err.Error(), Payload: runner.ErrorPayload(typeName(err), err.Error())}
	case len(answer) > runner.MaxResponse:
		return runner.Result{Status: runner.Failed, Err: "the answer is too large", Payload: runner.TooLargePayload()}
	case len(answer) == 0:
		answer = []byte("null")
	}
	return runner.Result{Status: runner.OK, Payload: answer}
}

// typeName is the errorType that aws-lambda-go gives a Go value.
func typeName(v any) string {
	t := reflect.TypeOf(v)
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t.Name()
}
