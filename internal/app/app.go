package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/millstreamdb/millstream/internal/activity"
	"github.com/millstreamdb/millstream/internal/backend/local"
	"github.com/millstreamdb/millstream/internal/bucket"
	"github.com/millstreamdb/millstream/internal/chain"
	"github.com/millstreamdb/millstream/internal/console"
	"github.com/millstreamdb/millstream/internal/credential"
	"github.com/millstreamdb/millstream/internal/destination"
	"github.com/millstreamdb/millstream/internal/function"
	"github.com/millstreamdb/millstream/internal/gateway"
	"github.com/millstreamdb/millstream/internal/iam"
	"github.com/millstreamdb/millstream/internal/keep"
	"github.com/millstreamdb/millstream/internal/nearest"
	"github.com/millstreamdb/millstream/internal/outbox"
	"github.com/millstreamdb/millstream/internal/queue"
	"github.com/millstreamdb/millstream/internal/queue/poll"
	"github.com/millstreamdb/millstream/internal/schedule"
	"github.com/millstreamdb/millstream/internal/schema"
	"github.com/millstreamdb/millstream/internal/seal"
	"github.com/millstreamdb/millstream/internal/server"
	"github.com/millstreamdb/millstream/internal/stack"
	"github.com/millstreamdb/millstream/internal/store"
	"github.com/millstreamdb/millstream/internal/stream"
	"github.com/millstreamdb/millstream/internal/table"
	"github.com/millstreamdb/millstream/internal/topic"
	"github.com/millstreamdb/millstream/internal/trace"
	"github.com/millstreamdb/millstream/internal/trigger"
	"github.com/millstreamdb/millstream/internal/worker"
)

// Defaults of Options.
const (
	DefaultAccount = "000000000000"
	DefaultRegion  = "us-east-1"
	DefaultLogCap  = 10 << 30

	DefaultReplicateKeep = 7 * 24 * time.Hour
)

// Options are those of the public package, whose Options describes them: one is converted to the other, so the compiler
// keeps the two equal.
type Options struct {
	Dir                     string
	Durability              string
	Account, Region         string
	Endpoint, FrontEndpoint string
	LinkEndpoint            string
	Console                 string
	Project                 string
	AllowedHosts            []string
	InsecureListen          bool
	Auth, KeyFile           string
	RootKey, RootSecret     string
	AuditLog                string
	ShardRoll, StatusDelay  time.Duration
	LogCap                  int64
	RecoveryCap             int64 // see millstream.Options
	Replicate               string
	ReplicateEvery          time.Duration
	ReplicateKeep           time.Duration
	ReplicateOnly           bool // see chain.Options.Only
	AllowStandby            bool
	StandbySpool            int64
	ResumeTriggers          bool
	AcceptLoss              bool
	FunctionOutput          io.Writer
	Debug, Isolation        string
	Tables, TablePrefix     string
	Lease, Drain            time.Duration
	CheckpointEvery         time.Duration
	PollIdle                time.Duration
	Advertise               string
	FunctionCredentials     string
	Version                 string
	ManualClock             bool
	Now                     func() time.Time
	Logger                  *slog.Logger
}

// App is a running Millstream. Its methods may be called by many goroutines at once; they are described in the public
// package.
type App struct {
	opts        Options
	scope       schema.Scope
	started     time.Time
	descriptors descriptors
	clock       *worker.Clock
	realNow     func() time.Time
	store       *store.Store
	streams     *stream.Streams
	tables      *table.DB
	functions   *function.Service
	backend     *local.Backend
	node        *node // nil: the tables are this server's own
	activity    activity.Hub
	gateway     *gateway.Service
	queues      *queue.Service
	pollers     *poll.Mappings
	outbox      *outbox.Outbox
	topics      *topic.Service
	schedules   *schedule.Service
	buckets     *bucket.Service
	stages      *stages
	backups     toldBackups
	chain       *chain.Shipper // nil: nothing is replicated
	relay       *chain.Relay   // nil: the data is in memory
	stacks      *stack.Service
	keep        *keep.Service
	iam         *iam.Service
	seals       *seal.Keys
	credentials *credential.Service
	auth        *server.Authenticator
	audit       *server.Audit                       // nil: there is none
	onOwnCall   atomic.Pointer[func(*http.Request)] // of tests: each call that the server makes of itself
	// Nothing is loaded, and no network asked, before the first delivery.
	destinations destination.Clients
	engine       *trigger.Engine
	workers      *worker.Group
	door         *server.Server
	endpoint     atomic.Pointer[string]
	front        atomic.Pointer[string] // endpoint of the front door
	console      *console.Console       // nil: Options name none
	panicked     chan struct{}          // closed when a handler panicked
	cancel       context.CancelFunc
	held         atomic.Bool // see checkRestored; guarded by goingOn where it changes
	goingOn      sync.Mutex
	restored     bool // the folder has been restored, and no run before this one has gone on with it
	// tracer tells of spans; nil: nobody asks. It is there before all rooms that use it.
	tracer      trace.Tracer
	closeTraces func() error
}

// CheckOptions says what is wrong with options, before anything is opened.
func CheckOptions(o Options) error {
	_, err := o.fill()
	return err
}

func (o *Options) fill() (store.Durability, error) {
	if o.Account == "" {
		o.Account = DefaultAccount
	}
	if o.Region == "" {
		o.Region = DefaultRegion
	}
	if len(o.Account) != 12 || strings.Trim(o.Account, "0123456789") != "" {
		return 0, fmt.Errorf("account %q: want 12 digits", o.Account)
	}
	if strings.Trim(o.Region, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
		return 0, fmt.Errorf("region %q: want one such as us-east-1", o.Region)
	}
	if host, found := strings.CutPrefix(o.Endpoint, "http://"); found {
		o.Endpoint = "http://" + reachable(host)
	}
	if o.ShardRoll < 0 {
		return 0, fmt.Errorf("shard roll-over %s: want 0 or more", o.ShardRoll)
	}
	if o.ManualClock && o.Dir != "" {
		return 0, errors.New("a manual clock is for data in memory: with a folder, time would go back at the next start")
	}
	if o.Tables != "" {
		if err := CheckTables(o.Tables); err != nil {
			return 0, err
		}
		if err := o.refuseNode(); err != nil {
			return 0, err
		}
		if c := o.FunctionCredentials; c != "" && c != "none" && c != "inherit" {
			return 0, fmt.Errorf("function credentials %q: want none or inherit", c)
		}
		o.TablePrefix, o.Lease, o.Drain = cmp.Or(o.TablePrefix, DefaultTablePrefix), cmp.Or(o.Lease, DefaultLease), cmp.Or(o.Drain, DefaultDrain)
		o.CheckpointEvery = cmp.Or(o.CheckpointEvery, DefaultCheckpointEvery)
	}
	if o.StatusDelay < 0 {
		return 0, fmt.Errorf("status delay %s: want 0 or more", o.StatusDelay)
	}
	if o.LogCap == 0 {
		o.LogCap = DefaultLogCap
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	switch o.Durability {
	case "":
		o.Durability = "sync"
		return store.Sync, nil
	case "sync":
		return store.Sync, nil
	case "periodic":
		return store.Periodic, nil
	case "none":
		return store.NoSync, nil
	}
	return 0, fmt.Errorf("durability %q: want sync, periodic or none%s", o.Durability, nearest.Hint(o.Durability, []string{"sync", "periodic", "none"}))
}

// Open brings the data up and starts the triggers. Requests are answered by Handler or Serve from then on. fs is in place
// of memory where Options name no folder, for tests of failing disks; nil: memory.
func Open(o Options, fs vfs.FS) (_ *App, err error) {
	durability, err := o.fill()
	if err != nil {
		return nil, fmt.Errorf("millstream: %w", err)
	}
	s := &App{opts: o, scope: schema.Scope{Account: o.Account, Region: o.Region}, started: o.Now(), panicked: make(chan struct{})}
	s.setClock()
	s.endpoint.Store(&o.Endpoint)
	s.front.Store(&o.FrontEndpoint)
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("millstream: %w", err), s.closeRooms())
		}
	}()

	if err := s.openTraces(); err != nil {
		return nil, err
	}
	s.descriptors = openDescriptors()
	so := store.Options{MaxOpenFiles: s.descriptors.storeFiles, Dir: o.Dir, Durability: durability, AcceptLoss: o.AcceptLoss, Logger: o.Logger}
	for _, takes := range []bool{o.Replicate != "", o.AllowStandby} {
		if takes {
			so.Changes = chain.Waiting
			so.Takers++
		}
	}
	if o.Dir == "" {
		so.FS, so.Dir = fs, "data"
		if so.FS == nil {
			so.FS = vfs.NewMem()
		}
	}
	if s.store, err = store.Open(so); err != nil {
		if errors.Is(err, store.ErrOvertaken) {
			s.closePlace()
		}
		return nil, err
	}
	s.stages = &stages{s: s, copy: s.store.Stage}
	held, err := s.checkRestored()
	if err != nil {
		return nil, err
	}
	s.held.Store(held)
	if err := s.openReplication(); err != nil {
		return nil, err
	}
	s.backups.s = s
	if err := s.backups.open(); err != nil {
		return nil, err
	}
	if err := s.resumeClock(); err != nil {
		return nil, err
	}
	if s.streams, err = stream.OpenAt(s.store, s.clock); err != nil {
		return nil, err
	}
	if s.tables, err = table.Open(s.tableOptions()); err != nil {
		return nil, err
	}
	if err := s.openCredentials(); err != nil {
		return nil, err
	}
	s.store.NameRanges(func(_ byte, id uint64) string { return s.tables.NameOf(id) })
	if s.queues, err = queue.Open(queue.Options{Store: s.store, Clock: s.clock, Apart: s.auth.Mode == server.AuthOn, Logger: o.Logger}); err != nil {
		return nil, err
	}
	s.destinations.Own = s.queues
	s.destinations.OwnTopic = s.publishOwn
	if err := s.openTopics(); err != nil {
		return nil, err
	}
	if o.Tables != "" {
		if err := s.openNode(); err != nil {
			return nil, err
		}
	}
	metrics := s.newMetrics()
	if s.functions, err = function.Open(s.functionOptions(metrics)); err != nil {
		return nil, err
	}
	if s.backend, err = local.Open(s.store, s.streams, s.tables, s.queues, o.Logger); err != nil {
		return nil, err
	}
	if s.gateway, err = s.openGateway(); err != nil {
		return nil, err
	}
	if s.iam, err = iam.Open(iam.Options{Store: s.store, Now: s.realNow}); err != nil {
		return nil, err
	}
	if err := s.openStacks(); err != nil {
		return nil, err
	}
	s.keep, err = keep.Open(keep.Options{Store: s.store, Tables: s.tables, Buckets: s.buckets, Now: s.clock.StampTime, Believed: s.clock.Believed, Logger: o.Logger})
	if err != nil {
		return nil, err
	}
	if s.engine, err = s.newEngine(); err != nil {
		return nil, err
	}
	if s.pollers, err = s.openPollers(); err != nil {
		return nil, err
	}

	if err := s.openSchedules(); err != nil {
		return nil, err
	}

	if err := s.store.LossSettled(); err != nil { // every room has compared its files with its rows
		return nil, err
	}

	ctx, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	s.workers = worker.NewGroup(ctx)
	if err := s.act(); err != nil {
		return nil, err
	}
	if s.node != nil && !s.held.Load() {
		s.join()
	}
	if o.ShardRoll > 0 {
		s.start("shard roll-over", func(ctx context.Context) error { return s.tables.RollShards(ctx, o.ShardRoll, o.Logger) })
	}
	s.start("back-fill", s.tables.Fill)
	if !s.clock.Manual() {
		s.start("clock", s.watchClock)
	}
	s.auth.OnRefused = metrics.AuthRefused(s.auth.Mode)
	if err := s.openAudit(metrics); err != nil {
		return nil, err
	}
	s.door = s.newDoor(metrics)
	if err := s.openConsole(); err != nil {
		return nil, err
	}
	switch {
	case s.chain != nil && s.opts.AllowStandby:
		s.workers.Start("replication", func(ctx context.Context) error { return s.relay.Beside(ctx, s.chain) })
	case s.chain != nil:
		s.workers.Start("replication", s.chain.Run)
	}
	if s.opts.AllowStandby {
		s.workers.Start("standbys", s.relay.Run)
	}
	if s.node == nil {
		s.workers.Start("items of nodes", s.sweepLent)
	}
	s.workers.Start("stacks", s.stacks.Run)
	s.workers.Start("backups and exports", s.keep.RunSaves)
	s.workers.Start("imports and restores", s.keep.RunLoads)
	return s, nil
}

// tableOptions has the engine told of changes, which begin after Open: it is there by then.
func (s *App) tableOptions() table.Options {
	return table.Options{
		Store: s.store, Streams: s.streams, Now: s.clock.StampTime, Logger: s.opts.Logger, StatusDelay: s.opts.StatusDelay, Tracer: s.tracer,
		TagsChanged: func(streamARN string) { s.engine.TagsChanged(streamARN) },
	}
}

// Handler answers AWS's protocols and Millstream's own.
func (s *App) Handler() http.Handler { return s.door }

// Endpoint is the URL at which functions are told to reach the server; empty
// until Serve has begun, unless Options named one.
func (s *App) Endpoint() string { return *s.endpoint.Load() }

// Serve answers on ln until ctx ends, and closes ln. It returns an error when the
// server had to stop by itself: the disk failed, or a worker ended.
func (s *App) Serve(ctx context.Context, ln net.Listener) error {
	if s.Endpoint() == "" {
		url := "http://" + reachable(ln.Addr().String())
		s.endpoint.Store(&url)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		select {
		case <-s.store.Poisoned():
			if err := s.store.Err(); errors.Is(err, chain.ErrFenced) {
				s.handOver(ctx)
				cancel(fmt.Errorf("millstream: %w", err))
				return
			}
			cancel(fmt.Errorf("millstream: the disk failed, so nothing more is answered; what was acknowledged before is safe: %w", s.store.Err()))
		case <-s.workers.Failed():
			if errors.Is(s.store.Err(), chain.ErrFenced) { // whose work met that first
				s.handOver(ctx)
			}
			cancel(fmt.Errorf("millstream: %w", s.workers.Err()))
		case <-s.panicked:
			cancel(errors.New("millstream: a request met a fault of the program; its log has the place"))
		case <-ctx.Done():
		}
	}()
	// Requests that wait are let go when ctx ends, and only while this server ends: the program may go on, with another.
	defer endWaits(ctx, s.queues.EndWaits)()
	defer endWaits(ctx, s.functions.Logs().EndWaits)()
	defer endWaits(ctx, s.streams.EndWaits)()
	err := s.door.Serve(ctx, ln)
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, context.Canceled) {
		return errors.Join(cause, err)
	}
	return err
}

// endWaits calls end once ctx is done. after is for when the server has ended.
func endWaits(ctx context.Context, end func() (resume func())) (after func()) {
	resume := make(chan func(), 1)
	stop := context.AfterFunc(ctx, func() { resume <- end() })
	return func() {
		if !stop() {
			(<-resume)()
		}
	}
}

// reachable turns the address of a listener on all interfaces into one that
// functions on this machine can call.
func reachable(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return addr
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port)
}

// RegisterFunction makes a Go function known as a Lambda function of the server's
// own account and region, for triggers and Invoke. It gets the event, and what it
// returns is the answer; an error, or a panic, is a function error. ctx ends with
// its timeout. It is gone with the server: nothing of it is stored.
func (s *App) RegisterFunction(name string, run func(ctx context.Context, event []byte) ([]byte, error)) error {
	return s.functions.RegisterGo(s.scope, name, run)
}

// Settle returns when every enabled trigger has passed the head that its stream
// had at the call, and no message that is visible waits for a function; or with ctx's error. With
// a manual clock what is due later than now is not waited for: the error is ErrTimeStands.
func (s *App) Settle(ctx context.Context) error {
	if err := s.ready(ctx); err != nil {
		return err
	}
	if err := s.settleTriggers(ctx); err != nil || s.node != nil {
		return err
	}
	if err := s.outbox.Settle(ctx); err != nil {
		return err
	}
	return s.pollers.Settle(ctx)
}

// settleTriggers waits for the triggers on streams.
func (s *App) settleTriggers(ctx context.Context) error {
	if s.node != nil {
		return s.settleNodes(ctx)
	}
	if !s.clock.Manual() {
		return s.engine.Settle(ctx)
	}
	done, err := s.engine.SettleNow(ctx, func() error { return s.clock.Advance(ctx, 0, s.engine.Tidy) })
	if err == nil && !done {
		err = ErrTimeStands
	}
	return err
}

// ready waits until triggers deliver.
func (s *App) ready(ctx context.Context) error {
	if s.held.Load() {
		return errHeld
	}
	all := []<-chan struct{}{s.engine.Ready()}
	if s.node == nil {
		all = append(all, s.pollers.Ready())
	}
	for _, begun := range all {
		select {
		case <-begun:
		case <-s.workers.Failed():
			return fmt.Errorf("millstream: %w", s.workers.Err())
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// Close stops the triggers, ends the functions' processes and closes the data.
// Requests must have ended, as they have when Serve returned.
func (s *App) Close() error {
	if err := s.closeRooms(); err != nil {
		return fmt.Errorf("millstream: %w", err)
	}
	return nil
}

func (s *App) closeRooms() error {
	var errs []error
	if s.workers != nil {
		errs = append(errs, s.workers.Stop())
		s.cancel()
		if !s.clock.Manual() {
			errs = append(errs, s.keepClock())
		}
	}
	if s.schedules != nil {
		s.schedules.Close()
	}
	if s.outbox != nil {
		s.outbox.Close()
	}
	if s.topics != nil {
		s.topics.Close()
	}
	if s.functions != nil {
		errs = append(errs, s.functions.Close())
	}
	if s.node != nil && s.functions != nil && s.workers != nil {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		if err := s.node.events.leave(ctx); err != nil {
			s.opts.Logger.Warn("Event invocations that this node has accepted go on elsewhere only when its lease is over", "error", err)
		}
		cancel()
	}
	if s.queues != nil {
		s.queues.Close()
	}
	if s.backend != nil {
		errs = append(errs, s.backend.Close())
	}
	if s.store != nil {
		errs = append(errs, s.store.Close())
	}
	errs = append(errs, s.audit.Close())
	if s.closeTraces != nil {
		errs = append(errs, s.closeTraces())
	}
	return errors.Join(errs...)
}

// health tells why the server is not well.
func (s *App) health() error {
	if err := s.store.Err(); err != nil {
		return err
	}
	return s.workers.Err()
}

// degraded tells what does not work while the server is well.
func (s *App) degraded() (reasons []string) {
	if s.held.Load() {
		reasons = append(reasons, "restored from a backup: triggers are paused until millstream triggers resume --all")
	}
	for _, d := range s.store.Damages() {
		reasons = append(reasons, fmt.Sprintf("damaged: %s (%s)", d.File, d.Holds))
	}
	if err := s.store.Admit(); err != nil && s.store.Err() == nil {
		reasons = append(reasons, err.Error())
	}
	if s.chain != nil {
		if st := s.chain.Status(); st.Failing != "" {
			reasons = append(reasons, fmt.Sprintf("replication to %s fails, and is %.0f seconds behind: %s", st.Place, st.Lag, st.Failing))
		}
	}
	reasons = append(reasons, s.relayTells()...)
	if n := len(s.functions.Locked()); n > 0 {
		reasons = append(reasons, fmt.Sprintf("%d functions do not start: their variables are sealed with a key that this server does not have (%s)", n, s.seals.Why()))
	}
	reasons = append(reasons, s.keep.Setbacks()...)
	if ahead := s.tables.MomentsAhead(); ahead > time.Minute {
		reasons = append(reasons, fmt.Sprintf("point-in-time recovery: the clock was ahead, so for %s changes cannot be told apart by time; to go on at once turn recovery off for all tables, restart, and turn it on: their past is gone then", ahead.Round(time.Second)))
	}
	if why := s.doubt(); why != "" {
		reasons = append(reasons, why)
	}
	return reasons
}

// Engine returns the event source mappings, Scope the account and region in which an embedding program's names are.
func (s *App) Engine() *trigger.Engine { return s.engine }
func (s *App) Scope() schema.Scope     { return s.scope }

// Pollers returns the event source mappings on queues.
func (s *App) Pollers() *poll.Mappings { return s.pollers }

// LatestStream returns the ARN of a table's newest stream; empty when there is none.
func (s *App) LatestStream(table string) string { return s.tables.LatestStream(s.scope, table) }
