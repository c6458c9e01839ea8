package trigger

import (
	"context"
	"io"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/millstreamdb/millstream/internal/arn"
	"github.com/millstreamdb/millstream/internal/schema"
	"github.com/millstreamdb/millstream/internal/trigger/lane"
	"github.com/millstreamdb/millstream/internal/trigger/mapping"
)

// delivery is one invocation as a function saw it.
type delivery struct {
	function string
	at       time.Time
	payload  string
}

// fakeInvoker runs Go funcs by function name.
type fakeInvoker struct {
	mu         sync.Mutex
	functions  map[string]func(ctx context.Context, payload []byte) lane.Result
	deliveries []delivery
}

func newFakeInvoker() *fakeInvoker {
	return &fakeInvoker{functions: map[string]func(context.Context, []byte) lane.Result{}}
}

func ok(context.Context, []byte) lane.Result { return lane.Result{} }

func fails(context.Context, []byte) lane.Result {
	return lane.Result{Outcome: lane.FunctionError, Error: "boom"}
}

func (f *fakeInvoker) set(name string, fn func(context.Context, []byte) lane.Result) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if fn == nil {
		delete(f.functions, name)
		return
	}
	f.functions[name] = fn
}

func (f *fakeInvoker) Resolve(_ context.Context, scope schema.Scope, name string) (string, error) {
	full := mapping.FunctionARN(scope, name)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.functions[nameIn(full)] == nil {
		return "", ErrNoFunction
	}
	return full, nil
}

// nameIn is a function's name without its qualifier: the fake has one version of each.
func nameIn(functionARN string) string {
	f, _ := arn.ParseFunction(functionARN)
	return f.Name
}

func (f *fakeInvoker) Invoke(ctx context.Context, functionARN string, payload []byte) lane.Result {
	name := nameIn(functionARN)
	f.mu.Lock()
	fn := f.functions[name]
	f.deliveries = append(f.deliveries, delivery{name, time.Now(), string(payload)})
	f.mu.Unlock()
	if fn == nil {
		return lane.Result{Outcome: lane.NotDelivered, Error: "no such function"}
	}
	return fn(ctx, payload)
}

// take returns and forgets the deliveries of a function.
func (f *fakeInvoker) take(name string) []delivery {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out, rest []delivery
	for _, d := range f.deliveries {
		if d.function == name {
			out = append(out, d)
		} else {
			rest = append(rest, d)
		}
	}
	f.deliveries = rest
	return out
}

// harness is an engine over fakes.
type harness struct {
	t       testing.TB
	backend *fakeBackend
	invoker *fakeInvoker
	opts    Options
	*Engine
	stop func()
	made func() // called, if set, with each engine that is to begin
}

func newHarness(t testing.TB, tables ...string) *harness {
	h := &harness{t: t, backend: newFakeBackend(tables...), invoker: newFakeInvoker()}
	h.opts = Options{Invoker: h.invoker, Jitter: func() float64 { return 1 }, Log: slog.New(slog.NewTextHandler(io.Discard, nil))}
	h.start()
	return h
}

func (h *harness) start() {
	h.opts.Backend = h.backend.open()
	e, err := New(h.t.Context(), h.opts)
	if err != nil {
		h.t.Fatal(err)
	}
	h.Engine = e
	if h.made != nil {
		h.made()
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- e.Run(ctx) }()
	<-e.Ready()
	h.stop = func() {
		cancel()
		<-ended
	}
}

// crash ends the engine without letting it store anything more, and starts another.
func (h *harness) crash() {
	h.backend.crash()
	h.stop()
	h.start()
}

func (h *harness) create(table, function string, change func(*mapping.CreateRequest)) mapping.View {
	h.t.Helper()
	r := mapping.CreateRequest{
		EventSourceArn: new(testScope.StreamARN(table, testLabel)), StartingPosition: new("TRIM_HORIZON"),
		Settings: mapping.Settings{FunctionName: new(function)},
	}
	if change != nil {
		change(&r)
	}
	v, err := h.Create(h.t.Context(), testScope, r)
	if err != nil {
		h.t.Fatal(err)
	}
	return v
}

func (h *harness) update(uuid string, s mapping.Settings) mapping.View {
	h.t.Helper()
	v, err := h.Update(h.t.Context(), testScope, uuid, s)
	if err != nil {
		h.t.Fatal(err)
	}
	return v
}

func (h *harness) status(uuid string) MappingStatus {
	h.t.Helper()
	s, err := h.Status(h.t.Context(), uuid)
	if err != nil {
		h.t.Fatal(err)
	}
	return s
}
