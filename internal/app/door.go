package app

import (
	"net/http"
	"sync"

	"github.com/millstreamdb/millstream/internal/admin/wire"
	"github.com/millstreamdb/millstream/internal/api/admin"
	"github.com/millstreamdb/millstream/internal/api/awsjson"
	"github.com/millstreamdb/millstream/internal/api/dynamodb"
	"github.com/millstreamdb/millstream/internal/api/lambda"
	"github.com/millstreamdb/millstream/internal/api/logs"
	"github.com/millstreamdb/millstream/internal/api/streams"
	"github.com/millstreamdb/millstream/internal/api/sts"
	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/function"
	"github.com/millstreamdb/millstream/internal/schema"
	"github.com/millstreamdb/millstream/internal/server"
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
		Settle: s.Settle, Advance: s.Advance, Health: s.health, Degraded: s.degraded,
		About: wire.Status{
			Version: s.opts.Version, Started: s.started, Account: s.opts.Account, Region: s.opts.Region,
			Durability: s.opts.Durability, Data: s.opts.Dir,
		},
		Logger: s.opts.Logger,
	}))
	functionLogs := logs.New(s.functions, logs.Options{Authenticate: auth.Authenticate, Logger: s.opts.Logger})
	var once sync.Once
	return server.New(server.Config{
		DynamoDB: s.activity.Door(protocol, s.functions.Running), Lambda: s.activity.Door(functions, s.functions.Running), Front: s.activity.Front(s.gateway),
		Admin:        own,
		Limits:       server.Limits{Connections: s.descriptors.connections},
		Services:     map[string]http.Handler{"logs": functionLogs},
		AllowedHosts: s.opts.AllowedHosts, BeyondLoopback: s.opts.InsecureListen,
		Health: s.health, Degraded: s.degraded, Metrics: metrics, Logger: s.opts.Logger,
		OnPanic: func(value any, stack []byte) {
			s.opts.Logger.Error("a request met a fault of the program", "panic", value, "stack", string(stack))
			once.Do(func() { close(s.panicked) })
		},
	})
}
