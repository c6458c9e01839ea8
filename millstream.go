// Package millstream runs a Millstream inside a Go program: DynamoDB tables, their
// streams, and Lambda functions that the streams trigger, over the AWS protocols
// on one http.Handler.
//
//	srv, err := millstream.Open(millstream.Options{Dir: "data"})
//	...
//	defer srv.Close()
//	err = srv.Serve(ctx, listener)
package millstream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"runtime/debug"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/millstreamdb/millstream/internal/app"
)

// Defaults of Options.
const (
	DefaultAccount = app.DefaultAccount
	DefaultRegion  = app.DefaultRegion
	DefaultLogCap  = app.DefaultLogCap

	DefaultReplicateKeep = app.DefaultReplicateKeep
)

// Options of Open. The zero value is a server in memory.
type Options struct {
	// Dir is the folder that holds the data; it is made when it is missing. Empty:
	// everything is kept in memory, and gone after Close.
	Dir string
	// Durability says when a write is answered: "sync" (the default) after an
	// fsync; "periodic": ten times a second, so that a crash may lose the last
	// moments; "none": whenever, for data that can be thrown away.
	Durability string
	// Account (12 digits) holds what is asked for with access keys that are not
	// account numbers. Region is used where no request names one.
	Account, Region string
	// Endpoint is the URL at which functions reach this server, such as
	// http://127.0.0.1:8000; the address of a listener on all interfaces
	// (0.0.0.0) means this machine. Empty: Serve's listener, once there is one;
	// functions that triggers start before that are told none.
	Endpoint string
	// FrontEndpoint is the URL at which function URLs and HTTP APIs are reached.
	// Empty: ServeFront's listener, once there is one.
	FrontEndpoint string
	// LinkEndpoint is the URL in links for whoever gets them: those that messages of topics carry, and those to the code of functions. Empty: Endpoint.
	LinkEndpoint string
	// Console is the URL of the page that shows the loop live, for ServeConsole. Empty: there is none.
	Console string
	// Project is the folder in which modules are looked for that functions use
	// without bringing them along (boto3, @aws-sdk/*). Empty: none.
	Project string
	// AllowedHosts are names by which the server may be called beside those of
	// loopback; InsecureListen lets it listen beyond loopback. Whoever reaches it
	// can run programs on this machine.
	AllowedHosts   []string
	InsecureListen bool
	// Auth says what is done with signatures: "off" (the default): any of the right form is let in, and an access key of 12 digits
	// is an account; "on": each is verified by the access keys that `millstream credentials` makes, whose account is the caller's;
	// "warn": they are verified, and what "on" would refuse is let in, counted and logged.
	Auth string
	// KeyFile is the file of the key that seals access keys, variables of functions and secret parameters; made when it is missing and needed.
	// Empty: secrets.key in Dir.
	KeyFile string
	// RootKey and RootSecret are an operator's access key of Account that is stored nowhere. Empty: none.
	RootKey, RootSecret string
	// AuditLog is a file with a line of JSON for each call that is about how the server is set up, and each that was refused for its
	// signature. "off": none. Empty: audit/audit.jsonl in Dir with Auth "on" or "warn", none otherwise.
	AuditLog string
	// ShardRoll is how long a shard of a stream is written to before it ends and a
	// child goes on, as on AWS about every four hours; one without a record stays.
	// 0: shards do not roll over.
	ShardRoll time.Duration
	// StatusDelay is for how long the states in between of tables and indexes
	// (CREATING, UPDATING, DELETING) are seen; on AWS it is seconds to minutes. 0: in
	// the answers to changes only.
	StatusDelay time.Duration
	// LogCap is how many bytes of stream records past their retention are kept, over
	// all streams, for enabled triggers that have not read them; what passes it is
	// removed, and recorded for each trigger. 0: DefaultLogCap; below 0: none are kept.
	LogCap int64
	// RecoveryCap is how many bytes the logs of point-in-time recovery take on the disk, over all tables: when that is less than the days ask for,
	// the oldest moments cannot be restored any more. 0: as many as they ask for.
	RecoveryCap int64
	// Replicate is a folder, or s3://BUCKET/PREFIX, to which all that is committed is copied, every ReplicateEvery (0: a second), so that what the
	// server had at any moment can be restored from there. It needs Dir, and a Durability other than "none". Empty: none.
	// Any moment within ReplicateKeep can be restored (0: DefaultReplicateKeep; a day at least); what only earlier ones need is removed
	// from there. Below 0: nothing is.
	Replicate      string
	ReplicateEvery time.Duration
	ReplicateKeep  time.Duration
	// ReplicateOnly takes over a place whose server has said there that another goes on: that one is lost, and this server goes on alone.
	ReplicateOnly bool
	// AllowStandby lets standbys follow this server itself (serve --standby-of http://...). What is committed is kept for them in the data folder until they
	// have it, at most StandbySpool bytes (0: 2 GB): one that was away for longer begins anew with a copy.
	AllowStandby bool
	StandbySpool int64
	// ResumeTriggers lets the triggers of a folder go on that was restored from a backup. Without it they
	// are paused there, accepted events wait, and nothing is removed for its age.
	ResumeTriggers bool
	// AcceptLoss opens a folder whose log has lost acknowledged writes, which Open otherwise
	// refuses: without them, as of the moment before the first. What cannot be read is moved to
	// the folder damaged in Dir. For one start, by a person.
	AcceptLoss bool
	// FunctionOutput gets each line that a function prints, behind its name. nil:
	// it is only kept in the logs.
	FunctionOutput io.Writer
	// Debug names a function that is run under its language's debugger (Node.js at 127.0.0.1:9229, Python at
	// 127.0.0.1:5678), without timeouts, one call at a time. Empty: none.
	Debug string
	// Isolation says how functions are kept apart from this program and each other. "process", the default: as processes of its user. "sandbox":
	// in namespaces and a root of their own, behind Landlock and seccomp, as far as this machine can; what it cannot is logged. "require": the
	// same, and Open fails where it cannot. See docs/security.md. The program is started again for each: its packages' init functions run there.
	Isolation string
	// Tables is the URL of a Millstream whose tables this server works over: a node. It keeps none itself. Any number of nodes with one
	// TablePrefix (empty: "millstream-"), with which the names of their own tables there begin, share functions and triggers; Dir has
	// code and logs only, and requests for tables go on to that server. See docs/scale-out.md.
	Tables, TablePrefix string
	// Of a node: Lease is the silence after which it counts as dead (0: 10 s); Drain how long calls under way may take when its work goes to
	// another (0: 30 s); CheckpointEvery how long the end of records waits to be stored (0: 1 s); PollIdle the longest time between two looks at a shard where
	// nothing comes, over another engine than Millstream (0: 1 s); Advertise the URL at which others reach it.
	Lease, Drain, CheckpointEvery, PollIdle time.Duration
	Advertise                               string
	// FunctionCredentials says what functions of a node sign with: "none" (the default): nothing that the server of the tables would accept that
	// verifies signatures; "inherit": the node's own access key, with which they can do whatever the node can, also change its tables.
	FunctionCredentials string
	// Version is shown by the server.
	Version string
	// ManualClock has time stand still, but for Advance, which then does at once what
	// takes hours otherwise. It begins at Now. Only in memory.
	ManualClock bool
	// Now is the wall clock; nil: time.Now. Logger: nil for none.
	Now    func() time.Time
	Logger *slog.Logger
}

// Server is a running Millstream. Its methods may be called by many goroutines at
// once.
type Server struct {
	app *app.App
	log *slog.Logger // nil: none was given

	mu    sync.Mutex        // guards names
	names map[string]string // of OnChange's functions, and their tables
}

// Open brings the data up and starts the triggers. Requests are answered by
// Handler or Serve from then on.
func Open(o Options) (*Server, error) {
	a, err := app.Open(app.Options(o), nil)
	if err != nil {
		return nil, err
	}
	return &Server{app: a, log: o.Logger, names: map[string]string{}}, nil
}

// Handler answers AWS's protocols and Millstream's own.
func (s *Server) Handler() http.Handler { return s.app.Handler() }

// Endpoint is the URL at which functions are told to reach the server; empty
// until Serve has begun, unless Options named one.
func (s *Server) Endpoint() string { return s.app.Endpoint() }

// Serve answers on ln until ctx ends, and closes ln. It returns an error when the
// server had to stop by itself: the disk failed, or a worker ended.
func (s *Server) Serve(ctx context.Context, ln net.Listener) error { return s.app.Serve(ctx, ln) }

// ServeFront answers on ln for function URLs and HTTP APIs until ctx ends, and
// closes ln. It is a listener of its own since web pages may come here, and must not
// reach the AWS protocols.
func (s *Server) ServeFront(ctx context.Context, ln net.Listener) error {
	return s.app.ServeFront(ctx, ln)
}

// ServeAdmin answers on ln for /healthz, /metrics and Millstream's own protocol alone
// until ctx ends, and closes ln. It has connections and places of its own, so that it
// answers when clients have taken all others.
func (s *Server) ServeAdmin(ctx context.Context, ln net.Listener) error {
	return s.app.ServeAdmin(ctx, ln)
}

// ServeConsole answers on ln, which is at the address that Options name as Console, with the page that shows the loop live, until ctx ends,
// and closes ln. It is a listener and an origin of its own. One gets in by a link of ConsoleLink.
func (s *Server) ServeConsole(ctx context.Context, ln net.Listener) error {
	return s.app.ServeConsole(ctx, ln)
}

// ConsoleLink returns a new link by which one person gets into the console, once; empty when Options name no Console.
func (s *Server) ConsoleLink() string { return s.app.ConsoleLink() }

// FrontHandler is what ServeFront serves.
func (s *Server) FrontHandler() http.Handler { return s.app.FrontHandler() }

// Config returns a configuration with which the AWS SDK's clients of DynamoDB,
// DynamoDB Streams and Lambda reach this server without a network:
//
//	db := dynamodb.NewFromConfig(srv.Config())
//
// It is good until Close.
func (s *Server) Config() aws.Config { return s.app.Config() }

// RegisterFunction makes a Go function known as a Lambda function of the server's
// own account and region, for triggers and Invoke. It gets the event, and what it
// returns is the answer; an error, or a panic, is a function error, and a panic is told of
// by the logger, or without one on stderr. ctx ends with its timeout. It is gone with the server:
// nothing of it is stored. A name that was registered before is given the new function.
func (s *Server) RegisterFunction(name string, run func(ctx context.Context, event []byte) ([]byte, error)) error {
	return s.app.RegisterFunction(name, func(ctx context.Context, event []byte) ([]byte, error) {
		defer func() {
			if p := recover(); p != nil {
				s.tellPanic(name, p, debug.Stack())
				panic(p)
			}
		}()
		return run(ctx, event)
	})
}

// tellPanic tells of a function that has panicked: its batch is tried again, so nothing else would show.
func (s *Server) tellPanic(function string, p any, stack []byte) {
	if s.log == nil {
		fmt.Fprintf(os.Stderr, "millstream: the function %s panicked: %v\n%s", function, p, stack)
		return
	}
	s.log.Error("a function panicked", "function", function, "panic", fmt.Sprint(p), "stack", string(stack))
}

// Settle returns when every enabled trigger has passed the head that its stream
// had at the call. When ctx ends before, the error is a *NotSettled, which says who is
// behind, and why.
func (s *Server) Settle(ctx context.Context) error {
	err := s.app.Settle(ctx)
	if err != nil && ctx.Err() != nil {
		err = ctx.Err()
	} else if !errors.Is(err, ErrTimeStands) {
		return err
	}
	return s.notSettled(ctx, err)
}

// Close stops the triggers, ends the functions' processes and closes the data.
// Requests must have ended, as they have when Serve returned.
func (s *Server) Close() error { return s.app.Close() }
