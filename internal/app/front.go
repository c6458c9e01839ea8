package app

import (
	"context"
	"errors"
	"net"
	"net/http"

	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/function"
	"github.com/millstreamdb/millstream/internal/gateway"
	"github.com/millstreamdb/millstream/internal/schema"
	"github.com/millstreamdb/millstream/internal/trace"
)

// ServeFront answers on ln for function URLs and HTTP APIs until ctx ends, and
// closes ln. It is a listener of its own since web pages may come here, and must not
// reach the AWS protocols.
func (s *App) ServeFront(ctx context.Context, ln net.Listener) error {
	if s.frontEndpoint() == "" {
		url := "http://" + reachable(ln.Addr().String())
		s.front.Store(&url)
	}
	return s.door.ServeFront(ctx, ln)
}

// ServeAdmin answers on ln for health, metrics and Millstream's own protocol alone until ctx ends, and closes ln. It has
// connections and places of its own, so that it answers when clients have taken all others.
func (s *App) ServeAdmin(ctx context.Context, ln net.Listener) error {
	return s.door.ServeAdmin(ctx, ln)
}

// FrontHandler is what ServeFront serves.
func (s *App) FrontHandler() http.Handler { return s.door.FrontHandler() }

func (s *App) frontEndpoint() string { return *s.front.Load() }

func (s *App) openGateway() (*gateway.Service, error) {
	var shared gateway.Shared
	if s.node != nil {
		shared = sharedAPIs{s.node}
	}
	return gateway.Open(gateway.Options{
		Shared: shared, Store: s.store, Functions: frontFunctions{s.functions, s.node}, Endpoint: s.frontEndpoint, Now: s.opts.Now, Logger: s.opts.Logger,
		Patient: s.opts.Debug != "", Signed: s.auth.FunctionURL,
	})
}

// frontFunctions lets the front door run functions.
type frontFunctions struct {
	functions *function.Service
	node      *node // nil: this server is none
}

func (f frontFunctions) Invoke(ctx context.Context, scope schema.Scope, c gateway.Call) (answer []byte, failed bool, err error) {
	if f.node != nil {
		f.node.Fresh(ctx)
	}
	if id := trace.From(ctx); !id.IsZero() {
		c.Trace = id.Header()
	}
	out, err := f.functions.Invoke(ctx, scope, function.Invocation{Name: c.Function, Payload: c.Event, TraceID: c.Trace, Stream: c.Stream, Trusted: true})
	var e *awserr.Error
	if errors.As(err, &e) && e.Code == "TooManyRequestsException" {
		err = &gateway.Busy{Wait: e.RetryAfter}
	}
	return out.Payload, out.FunctionError != "", err
}

func (f frontFunctions) URL(id string) (gateway.FunctionURL, bool) {
	return frontURL(f.functions.FindURL(id))
}
func (f frontFunctions) Sole() (gateway.FunctionURL, bool) { return frontURL(f.functions.SoleURL()) }

func frontURL(u function.URL, ok bool) (gateway.FunctionURL, bool) {
	if !ok {
		return gateway.FunctionURL{}, false
	}
	out := gateway.FunctionURL{ID: u.ID, Scope: u.Scope, Function: u.Function, Signed: u.Signed, Streams: u.Streams}
	if c := u.Cors; c != nil {
		out.CORS = &gateway.CORS{
			AllowOrigins: c.AllowOrigins, AllowMethods: c.AllowMethods, AllowHeaders: c.AllowHeaders, ExposeHeaders: c.ExposeHeaders, MaxAge: c.MaxAge,
			AllowCredentials: c.AllowCredentials != nil && *c.AllowCredentials,
		}
	}
	return out, true
}
