package app

import (
	"context"
	"errors"
	"net/http"
	"sync"

	"github.com/millstreamdb/millstream/internal/activity"
	"github.com/millstreamdb/millstream/internal/admin/wire"
	"github.com/millstreamdb/millstream/internal/api/admin"
	"github.com/millstreamdb/millstream/internal/api/awsjson"
	"github.com/millstreamdb/millstream/internal/api/dynamodb"
	"github.com/millstreamdb/millstream/internal/api/lambda"
	"github.com/millstreamdb/millstream/internal/api/streams"
	"github.com/millstreamdb/millstream/internal/api/sts"
	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/destination"
	"github.com/millstreamdb/millstream/internal/function"
	"github.com/millstreamdb/millstream/internal/function/logs"
	"github.com/millstreamdb/millstream/internal/gateway"
	"github.com/millstreamdb/millstream/internal/schema"
	"github.com/millstreamdb/millstream/internal/server"
	"github.com/millstreamdb/millstream/internal/trigger"
)

// newDoor puts the protocols behind one listener.
func (s *App) newDoor(metrics *server.Metrics) *server.Server {
	auth := &server.Authenticator{Account: s.opts.Account}
	protocol := awsjson.New(awsjson.Options{
		Authenticate: auth.Authenticate, Form: sts.New(auth.Authenticate), Region: s.opts.Region, Logger: s.opts.Logger,
	})
	dynamodb.Register(protocol, s.tables)
	streams.Register(protocol, s.streams)
	functions := lambda.New(s.functions, lambda.NewMappings(s.engine), lambda.Options{
		Authenticate: func(r *http.Request, _ []byte) (schema.Scope, *awserr.Error) { return auth.Authenticate(r) },
		Logger:       s.opts.Logger,
	})
	own := http.NewServeMux()
	own.HandleFunc("GET "+function.CodePath, s.functions.ServeCode)
	own.Handle("/", admin.New(admin.Config{
		Store: s.store, Streams: s.streams, Tables: s.tables, Functions: s.functions, Backend: s.backend, Engine: s.engine,
		Gateway: s.gateway, Activity: &s.activity, Clock: s.clock,
		Settle: s.Settle, Advance: s.Advance, Health: s.health,
		About: wire.Status{
			Version: s.opts.Version, Started: s.started, Account: s.opts.Account, Region: s.opts.Region,
			Durability: s.opts.Durability, Data: s.opts.Dir,
		},
		Logger: s.opts.Logger,
	}))
	var once sync.Once
	return server.New(server.Config{
		DynamoDB: s.watchedDoor(protocol), Lambda: s.watchedDoor(functions), Front: s.watchedFront(s.gateway),
		Admin:        own,
		AllowedHosts: s.opts.AllowedHosts, BeyondLoopback: s.opts.InsecureListen,
		Health: s.health, Metrics: metrics, Logger: s.opts.Logger,
		OnPanic: func(value any, stack []byte) {
			s.opts.Logger.Error("a request met a fault of the program", "panic", value, "stack", string(stack))
			once.Do(func() { close(s.panicked) })
		},
	})
}

func (s *App) newMetrics() *server.Metrics {
	return server.NewMetrics(server.Sources{
		Version:       s.opts.Version,
		Commits:       func() uint64 { return s.store.Metrics().Commits },
		StreamRecords: s.streams.Records,
		HeldBytes:     s.streams.Held,
		Health:        s.health,
		Mappings: func() []server.MappingStats {
			statuses, err := s.engine.Statuses(context.Background())
			if err != nil {
				s.opts.Logger.Warn("metrics of triggers are not to be had", "error", err)
				return nil
			}
			stats := make([]server.MappingStats, len(statuses))
			for i, st := range statuses {
				_, tableName, _, _ := schema.ParseStreamARN(st.StreamARN)
				_, functionName, _ := schema.ParseFunctionARN(st.FunctionARN)
				stats[i] = server.MappingStats{
					Mapping: st.UUID, Table: tableName, Function: functionName,
					LagRecords: st.LagRecords, LagSeconds: st.LagSeconds,
					Polled: st.Counters.Polled, FilteredOut: st.Counters.FilteredOut, Invoked: st.Counters.Invoked,
					FailedInvoke: st.Counters.FailedInvoke, Dropped: st.Counters.Dropped, Delivered: st.Counters.Delivered, Expired: st.Counters.Expired,
					Bisected: st.Counters.Bisected, DestinationFailures: st.Counters.DestinationFailures,
					Held: st.Counters.Held, Parked: st.Counters.Parked, ParkedExpired: st.Counters.ParkedExpired,
					HeldNow: st.Held, TellingNow: st.Telling, ParkedNow: st.Parked,
				}
				unread, err := s.backend.UnreadOf(st.UUID)
				if err != nil {
					s.opts.Logger.Warn("metrics of what was removed unread are not to be had", "mapping", st.UUID, "error", err)
				}
				for _, u := range unread {
					stats[i].Unread += u.Count
				}
			}
			return stats
		},
	})
}

func (s *App) functionOptions(metrics *server.Metrics) function.Options {
	o := function.Options{
		Store: s.store, Dir: s.opts.Dir, Project: s.opts.Project, Endpoint: s.Endpoint, Now: s.realNow, Clock: s.clock, Logger: s.opts.Logger, Debug: s.opts.Debug,
		FrontDoor: func(id string) string { return gateway.Address(s.frontEndpoint(), id) },
		Observe: func(ob function.Observation) {
			metrics.ObserveInvocation(ob.Function, ob.Result, ob.Took)
			s.observeCall(ob)
		},
	}
	if out := s.opts.FunctionOutput; out != nil {
		var mu sync.Mutex // guards text; the lines of one function at a time
		var text []byte
		o.Print = func(lines []logs.Line) {
			mu.Lock()
			defer mu.Unlock()
			text = text[:0]
			for _, l := range lines {
				text = append(append(text, l.Function...), " | "...)
				text = append(append(text, l.Text...), '\n')
			}
			_, _ = out.Write(text) // a terminal that has gone must not stop the function
		}
	}
	return o
}

func (s *App) newEngine() (*trigger.Engine, error) {
	return trigger.New(context.Background(), trigger.Options{
		Backend: s.backend,
		Invoker: invoker{s},
		// Nothing is loaded, and no network asked, before the first delivery.
		Destination: &destination.Clients{},
		Now:         s.opts.Now,
		Clock:       s.clock,
		Tags:        s.tagsOf,
		Log:         s.opts.Logger,
	})
}

// tagsOf looks the tags of a function and of a stream's table up.
func (s *App) tagsOf(functionARN, streamARN string) (function, table map[string]string) {
	if scope, _, ok := schema.ParseFunctionARN(functionARN); ok {
		function, _ = s.functions.Tags(scope, functionARN) // none when it is not there
	}
	if scope, name, _, ok := schema.ParseStreamARN(streamARN); ok {
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

func (i invoker) Invoke(ctx context.Context, arn string, payload []byte) trigger.Result {
	scope, _, ok := schema.ParseFunctionARN(arn)
	if !ok {
		return trigger.Result{Outcome: trigger.NotDelivered, Error: "not the ARN of a function: " + arn}
	}
	if i.s.activity.Watched() {
		ctx = activity.With(ctx, activity.Cause{Event: payload})
	}
	out, err := i.s.functions.Invoke(ctx, scope, function.Invocation{Name: arn, Payload: payload, Trusted: true})
	r := trigger.Result{Payload: out.Payload, Error: out.Error, RetryAfter: out.RetryAfter, RequestID: out.RequestID, Version: out.ExecutedVersion}
	switch {
	case err != nil:
		r.Outcome = trigger.NotDelivered
		var e *awserr.Error
		if errors.As(err, &e) {
			r.Error = e.Message
		} else {
			r.Error = err.Error()
		}
	case out.FunctionError != "":
		r.Outcome = trigger.FunctionError
	}
	return r
}
