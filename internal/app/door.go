package app

import (
	"net/http"
	"runtime/debug"
	"sync"
	"time"

	"github.com/millstreamdb/millstream/internal/admin/wire"
	"github.com/millstreamdb/millstream/internal/api/admin"
	"github.com/millstreamdb/millstream/internal/api/awsjson"
	"github.com/millstreamdb/millstream/internal/api/cloudformation"
	"github.com/millstreamdb/millstream/internal/api/dynamodb"
	"github.com/millstreamdb/millstream/internal/api/ecr"
	"github.com/millstreamdb/millstream/internal/api/events"
	iamapi "github.com/millstreamdb/millstream/internal/api/iam"
	"github.com/millstreamdb/millstream/internal/api/lambda"
	"github.com/millstreamdb/millstream/internal/api/logs"
	"github.com/millstreamdb/millstream/internal/api/scheduler"
	"github.com/millstreamdb/millstream/internal/api/sns"
	"github.com/millstreamdb/millstream/internal/api/sqs"
	"github.com/millstreamdb/millstream/internal/api/ssm"
	"github.com/millstreamdb/millstream/internal/api/streams"
	"github.com/millstreamdb/millstream/internal/api/sts"
	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/bucket"
	"github.com/millstreamdb/millstream/internal/door"
	"github.com/millstreamdb/millstream/internal/function"
	"github.com/millstreamdb/millstream/internal/schema"
	"github.com/millstreamdb/millstream/internal/server"
)

// newDoor puts the protocols behind one listener.
func (s *App) newDoor(metrics *server.Metrics) *server.Server {
	auth := s.auth
	bodies, answers := shareMemory(debug.SetMemoryLimit(-1))
	protocol := awsjson.New(awsjson.Options{
		Authenticate: auth.Authenticate, Caller: auth.Caller, Answers: door.NewRoom(answers, answerWait),
		Form: sts.New(sts.Options{Authenticate: auth.Authenticate, Session: s.sessions(), Logger: s.opts.Logger}), Region: s.opts.Region, Logger: s.opts.Logger,
	})
	dynamodb.Register(protocol, s.tables)
	dynamodb.RegisterKeeping(protocol, s.keep)
	dynamodb.RegisterSending(protocol, s.backend)
	streams.Register(protocol, s.streams)
	mappings := lambda.NewMappings(s.engine, s.pollers)
	if s.node != nil { // queues are the tables' server's
		mappings = lambda.NewMappings(s.engine, nil)
		mappings.NoQueues = "Queues are not supported as event sources by a node (serve --tables)."
	}
	functions := lambda.New(s.functions, mappings, lambda.Options{
		Authenticate: func(r *http.Request, _ []byte) (schema.Scope, *awserr.Error) { return auth.Authenticate(r) },
		Apart:        auth.Mode == server.AuthOn,
		Logger:       s.opts.Logger,
	})
	own := http.NewServeMux()
	own.HandleFunc("GET "+function.CodePath, s.functions.ServeCode)
	config := admin.Config{
		Store: s.store, Streams: s.streams, Queues: s.queues, Schedules: s.schedules, Topics: s.topics, Tables: s.tables, Functions: s.functions, Backend: s.backend, Engine: s.engine, Pollers: s.pollers,
		Gateway: s.gateway, Stacks: s.stacks, Credentials: s.credentials, Activity: &s.activity, Clock: s.clock, Stages: s.stages, Standbys: s.standbys(), Followed: s.standbyStatus,
		Settle: s.Settle, ConsoleLink: s.ConsoleLink, Advance: s.Advance, AcceptClock: s.AcceptClock, Held: s.held.Load, GoOn: s.GoOn, Health: s.health, Degraded: s.degraded, Replication: s.replication,
		TellBackup: s.backups.tell, KeyFile: s.keyFileThere, Nodes: s.nodes, Drain: s.drain,
		About: wire.Status{
			Version: s.opts.Version, Started: s.started, Account: s.opts.Account, Region: s.opts.Region,
			Durability: s.opts.Durability, Data: whole(s.opts.Dir), Auth: s.auth.Mode.String(),
		},
		Logger: s.opts.Logger,
	}
	if n := s.node; n != nil {
		config.Name, config.Peers, config.PeerClient = n.name, n.peers, n.toPeers
		config.SettleHere = s.engine.SettleHere
	}
	own.Handle("/", admin.New(config))
	functionLogs := logs.New(s.functions, logs.Options{Authenticate: auth.Authenticate, Logger: s.opts.Logger})
	var once sync.Once
	c := server.Config{
		DynamoDB: s.traced(s.activity.Door(protocol, s.functions.Running), operationName),
		Lambda:   s.traced(s.activity.Door(functions, s.functions.Running), lambdaName),
		Front:    s.traced(s.activity.Front(s.gateway), frontName),
		Admin:    own,
		Auth:     auth, Audit: s.audit,
		Answer: s.tracedAnswer(protocol.Answer), Plain: func() bool { return s.tracer == nil && !s.activity.Watched() },
		Limits: server.Limits{Connections: s.descriptors.connections, BodyBytes: bodies},
		Services: map[string]http.Handler{
			"logs": functionLogs, "s3": auth.Guard(s.buckets.Serve, bucket.Refuse), "ecr": ecr.New(),
			"sqs":            s.traced(s.activity.Door(sqs.New(s.queues, sqs.Options{Authenticate: auth.Authenticate, Apart: auth.Mode == server.AuthOn, Logger: s.opts.Logger}), s.functions.Running), operationName),
			"cloudformation": cloudformation.New(s.stacks, cloudformation.Options{Authenticate: auth.Authenticate, Object: s.buckets.Get, Logger: s.opts.Logger}),
			"iam":            iamapi.New(s.iam, iamapi.Options{Authenticate: auth.Authenticate, Logger: s.opts.Logger}),
			"events":         events.New(s.schedules, events.Options{Authenticate: auth.Authenticate, Apart: auth.Mode == server.AuthOn, Logger: s.opts.Logger}),
			"scheduler":      scheduler.New(s.schedules, scheduler.Options{Authenticate: auth.Authenticate, Apart: auth.Mode == server.AuthOn, Logger: s.opts.Logger}),
			"sns":            s.traced(sns.New(s.topics, sns.Options{Authenticate: auth.Authenticate, Apart: auth.Mode == server.AuthOn, Logger: s.opts.Logger}), operationName),
			"ssm":            ssm.New(s.stacks, ssm.Options{Authenticate: auth.Authenticate, Logger: s.opts.Logger}),
		},
		Linked:       func(r *http.Request) (string, bool) { return "sns", sns.IsLink(r) },
		AllowedHosts: s.opts.AllowedHosts, BeyondLoopback: s.opts.InsecureListen,
		Health: s.health, Degraded: s.degraded, Metrics: metrics, Logger: s.opts.Logger,
		OnPanic: func(value any, stack []byte) {
			s.opts.Logger.Error("a request met a fault of the program", "panic", value, "stack", string(stack))
			once.Do(func() { close(s.panicked) })
		},
	}
	if n := s.node; n != nil {
		c.DynamoDB, c.Answer, c.Plain = n.forward.signed(c.DynamoDB), nil, nil
		c.Lambda, c.Admin, c.Services, c.Linked = n.agreeing(c.Lambda), n.adminDoor(c.Admin, http.HandlerFunc(s.serveCall)), n.services(c.Services), nil
	}
	return server.New(c)
}

// answerWait is how long a request waits for room for its answer.
const answerWait = 2 * time.Second

// shareMemory returns the room for large bodies, of each kind of request, and for large answers, under the limit that the Go
// runtime keeps to (GOMEMLIMIT).
func shareMemory(limit int64) (bodies, answers int64) {
	const most = 256 << 20
	return min(most, limit/8), min(most, limit/4)
}
