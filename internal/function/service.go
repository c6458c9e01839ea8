package function

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"math"
	nethttp "net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/singleflight"

	"github.com/millstreamdb/millstream/internal/function/archive"
	"github.com/millstreamdb/millstream/internal/function/http"
	"github.com/millstreamdb/millstream/internal/function/logs"
	"github.com/millstreamdb/millstream/internal/function/process"
	"github.com/millstreamdb/millstream/internal/function/runner"
	"github.com/millstreamdb/millstream/internal/schema"
	"github.com/millstreamdb/millstream/internal/seal"
	"github.com/millstreamdb/millstream/internal/store"
	"github.com/millstreamdb/millstream/internal/trace"
	"github.com/millstreamdb/millstream/internal/turns"
	"github.com/millstreamdb/millstream/internal/worker"
)

const (
	defaultConcurrency = 10
	defaultIdle        = 5 * time.Minute
	// initLimit is AWS's time for what a function does before it takes events.
	initLimit = 10 * time.Second
	// shimDir is the folder of the language shims, beside the code.
	shimDir = "runtime"
)

// Credentials are what functions sign their own AWS calls with.
type Credentials = process.Credentials

// Options of Open. The zero value of a field means what is said beside it.
type Options struct {
	Store *store.Store // nil: definitions are kept in memory only
	// Seals seals functions' variables in the store; nil: they are kept as they are.
	Seals *seal.Keys
	// Shared keeps definitions and code in the place of Store and Dir, which has what is this node's own; nil: they are this machine's.
	Shared Shared
	// SharedEvents keeps accepted events in the place of Store; nil with Shared: they are not accepted.
	SharedEvents SharedEvents
	// Placing says where calls run; nil: all here.
	Placing Placing
	// Dir is the data folder, which gets code/ and logs/. Empty: code lies in a
	// temporary folder that Close removes, logs in memory.
	Dir string
	// Project is the folder in which modules that a package lacks are looked for.
	// Empty: none.
	Project string
	// Endpoint returns the URL at which functions reach this server; nil or an
	// empty answer: they are told none.
	Endpoint func() string
	// DataEndpoint returns the URL at which functions reach tables, queues and what else a server keeps, if that is another; nil: Endpoint.
	DataEndpoint func() string
	// LinkEndpoint returns the URL in links to code, which clients follow; nil: Endpoint.
	LinkEndpoint func() string
	// FrontDoor returns the address of a function URL's id; nil: they have none.
	FrontDoor func(id string) string
	// Credentials returns what functions of a scope sign with; nil: the account's
	// number as access key id.
	Credentials func(schema.Scope) Credentials
	// Object reads the object that is the code of a function or layer of an account; its errors are in S3's words, and fs.ErrPermission where
	// the bucket is another account's. nil: there are no buckets.
	Object func(account, bucket, key string) ([]byte, error)
	// Concurrency is how many invocations of a function without reserved
	// concurrency run at once; more wait. 0: 10.
	Concurrency int
	// IdleTimeout is how long a process may be without work. 0: 5 minutes.
	IdleTimeout time.Duration
	Now         func() time.Time // nil: time.Now
	// Clock measures the ages of Event invocations and the waits between their attempts; nil: one over
	// Now. Timeouts and processes are in real time.
	Clock  *worker.Clock
	Logger *slog.Logger // nil: none
	// HoldEvents has accepted events wait, those of before and those to come, for GoOn or another run.
	HoldEvents bool
	// Debug names a function that is run under its language's debugger, without timeouts; empty: none.
	Debug string
	// Isolation says how functions are kept apart from this program and each other: process, sandbox or require. Empty: process.
	Isolation string
	// Print is called with the lines that functions log, as they come, those of one
	// function at a time; it may not keep the slice. nil: none.
	Print func([]logs.Line)
	// Observe is called after every invocation; nil: none.
	Observe func(Observation)
	// Watched reports whether Observe wants the log of a call that begins now; nil: never.
	Watched func() bool
	// Changed is called after a function was made, changed or deleted; it must not block and
	// must not call the Service's control operations. nil: nobody asks.
	Changed func(scope schema.Scope, name string)
	// Destination takes what is told about Event invocations that have ended; nil:
	// nobody can be told but functions.
	Destination Destination
	// Tracer is told of every call; nil: nobody is.
	Tracer trace.Tracer

	inPlace map[string]GoFunc // what runs in place of stored functions' code, for tests
}

// Observation is what one invocation looked like from outside.
type Observation struct {
	Scope    schema.Scope
	Function string
	Result   string // "ok", "error", "throttled" or "undelivered"
	Began    time.Time
	Took     time.Duration
	// Context is the caller's; Outcome what came of it.
	Context context.Context
	Outcome *Outcome
}

// Service holds the functions of all scopes. Its methods may be called by many
// goroutines at once.
type Service struct {
	opts      Options
	rows      rows
	code      *codeStore
	logs      *logs.Sink
	host      *process.Host
	transport *nethttp.Transport
	tempDir   string // removed by Close
	events    *eventQueue
	began     time.Time
	layers    layers
	groups    logGroups
	linkKey   []byte // see codeLink
	bringing  singleflight.Group

	ctx    context.Context // ended by Close
	cancel context.CancelFunc

	// control serialises changes of definitions: it is held over the write of a
	// row and the change in memory, never over the unpacking of code. Taken before mu.
	control sync.Mutex

	mu        sync.RWMutex // guards what follows
	functions map[id]*live
	urls      map[string]urlRef          // by its id
	runners   map[runner.Runner]struct{} // those in use and those that still end
	closed    bool
	retiring  sync.WaitGroup // runners that end
}

type id struct {
	scope schema.Scope
	name  string
}

// live is a function as long as it exists.
type live struct {
	edition // $LATEST
	limit   limiter
	turns   turns.Turns // of callers that limit refused

	vmu      sync.RWMutex // guards versions
	versions map[int]*edition
}

// edition is one version of a function, as it runs. A published one's definition never
// changes.
type edition struct {
	f   *live
	def atomic.Pointer[definition]

	mu   sync.Mutex // guards what follows; taken before Service.mu
	run  runner.Runner
	code []string // the hashes that run holds references on
	gone bool
}

func newLive() *live {
	f := &live{versions: map[int]*edition{}}
	f.f = f
	return f
}

// version returns a published version, nil when it is not there.
func (f *live) version(n int) *edition {
	f.vmu.RLock()
	defer f.vmu.RUnlock()
	return f.versions[n]
}

// published returns the published versions in their order.
func (f *live) published() []*edition {
	f.vmu.RLock()
	defer f.vmu.RUnlock()
	all := make([]*edition, 0, len(f.versions))
	for _, n := range slices.Sorted(maps.Keys(f.versions)) {
		all = append(all, f.versions[n])
	}
	return all
}

// Open brings the functions up from the store.
func Open(o Options) (*Service, error) {
	o.Concurrency = cmp.Or(o.Concurrency, defaultConcurrency)
	o.IdleTimeout = cmp.Or(o.IdleTimeout, defaultIdle)
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Clock == nil {
		o.Clock = worker.NewClock(o.Now)
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Destination == nil {
		o.Destination = noDestination{}
	}
	if o.Changed == nil {
		o.Changed = func(schema.Scope, string) {}
	}
	if o.Endpoint == nil {
		o.Endpoint = func() string { return "" }
	}
	if o.DataEndpoint == nil {
		o.DataEndpoint = o.Endpoint
	}
	if o.LinkEndpoint == nil {
		o.LinkEndpoint = o.Endpoint
	}
	if o.Credentials == nil {
		o.Credentials = func(s schema.Scope) Credentials {
			return Credentials{AccessKeyID: s.Account, SecretAccessKey: "millstream"}
		}
	}
	s := &Service{
		opts: o, rows: rows{o.Store, o.Seals, newSharedRows(o.Shared)}, transport: http.NewTransport(), began: time.Now(),
		functions: map[id]*live{}, urls: map[string]urlRef{}, runners: map[runner.Runner]struct{}{},
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.events = newEventQueue(s)
	s.layers.found = map[id]*layer{}
	s.groups.kept = map[id]*LogGroup{}
	if o.Store != nil {
		s.linkKey = o.Store.TokenKey()
	} else {
		s.linkKey = []byte(rand.Text())
	}
	if err := s.open(); err != nil {
		s.cancel()
		if s.tempDir != "" {
			err = errors.Join(err, os.RemoveAll(s.tempDir))
		}
		return nil, err
	}
	return s, nil
}

// removeStray removes a package that nothing names; after a loss that was accepted it is set aside.
func (s *Service) removeStray(name string) error {
	if s.opts.Dir != "" && s.opts.Store != nil && s.opts.Store.Lossy() {
		return s.opts.Store.RemoveStray("code", name)
	}
	return removeTree(filepath.Join(s.code.dir, name))
}

func (s *Service) open() (err error) {
	dir, logDir := filepath.Join(s.opts.Dir, "code"), filepath.Join(s.opts.Dir, "logs")
	if s.opts.Dir == "" {
		if s.tempDir, err = os.MkdirTemp("", "millstream-code-"); err != nil {
			return fmt.Errorf("function: make the code folder: %w", err)
		}
		dir, logDir = s.tempDir, ""
	}
	if dir, err = filepath.Abs(dir); err != nil { // processes run elsewhere
		return fmt.Errorf("function: %w", err)
	}
	if s.code, err = newCodeStore(dir, s.opts.Dir != ""); err != nil {
		return err
	}
	if err := s.code.whole(s.opts.Logger); err != nil {
		return err
	}
	if s.logs, err = logs.Open(logDir, s.opts.Now, s.opts.Print); err != nil {
		return err
	}
	defs, err := s.rows.all()
	if err != nil {
		return err
	}
	for _, d := range defs {
		if d.Version != 0 && s.lookup(d.Scope, d.Name) == nil {
			return fmt.Errorf("function: version %d of %s has no function: the data is damaged", d.Version, d.arn())
		}
		d.nameLayers()
		s.code.acquireAll(d.hashes())
		d.run = s.opts.inPlace[d.Name]
		s.install(d)
	}
	s.tellLocked(defs)
	if err := s.openLogGroups(); err != nil {
		return err
	}
	versions, err := s.rows.allLayers()
	if err != nil {
		return err
	}
	if s.rows.shared != nil {
		versions = nil // of this node alone
		for _, row := range s.rows.shared.layers {
			if err := s.toldLayer(row); err != nil {
				return err
			}
		}
		s.rows.shared.layers = nil
	}
	for _, v := range versions {
		k := id{v.Scope, v.Name}
		if s.layers.found[k] == nil {
			s.layers.found[k] = &layer{versions: map[int]*layerVersion{}}
		}
		if v.Version == 0 {
			s.layers.found[k].last = v.Last
			continue
		}
		s.code.acquire(v.CodeHash)
		s.layers.found[k].versions[v.Version] = v
	}
	if err := s.code.sweep(s.removeStray); err != nil {
		return err
	}
	for _, d := range defs {
		for _, hash := range d.hashes() {
			if _, err := os.Stat(s.code.task(hash)); hash != "" && s.rows.shared == nil && errors.Is(err, fs.ErrNotExist) {
				s.opts.Logger.Error("code is missing: what runs it fails until it is deployed again, or its folder is restored from a backup", "function", d.arn(), "package", s.code.task(hash))
			}
		}
	}
	shims := filepath.Join(dir, shimDir)
	machine, err := s.isolation(shims)
	if err != nil {
		return err
	}
	s.host = process.NewHost(process.Options{
		ShimDir: shims, Project: s.opts.Project, Endpoint: s.opts.Endpoint, DataEndpoint: s.opts.DataEndpoint,
		Credentials: s.opts.Credentials, InitLimit: initLimit, IdleTimeout: s.opts.IdleTimeout, Now: s.opts.Now, Logger: s.opts.Logger,
		Debug: s.opts.Debug, Sandbox: machine, Hidden: hidden(s.opts.Dir, dir),
	})
	return s.events.open()
}

// Close ends every process. Invocations that run end as undelivered or failed; those
// of type Event are tried again by the next Service of the store.
func (s *Service) Close() error {
	s.control.Lock() // nothing is installed or retired after this
	defer s.control.Unlock()
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	s.cancel()
	var all []runner.Runner
	for r := range s.runners {
		all = append(all, r)
	}
	s.mu.Unlock()
	var g sync.WaitGroup
	for _, r := range all {
		g.Go(r.Kill)
	}
	g.Wait()
	s.retiring.Wait()
	s.events.close()
	s.host.Close()
	s.transport.CloseIdleConnections()
	err := s.logs.Close()
	if s.tempDir != "" {
		err = errors.Join(err, removeTree(s.tempDir))
	}
	return err
}

// Logs are the logs of all functions.
func (s *Service) Logs() *logs.Sink { return s.logs }

func (s *Service) changed(scope schema.Scope, name string) {
	s.events.functionChanged(scope, name)
	s.opts.Changed(scope, name)
}

// Stats counts what the functions hold now.
type Stats struct {
	Functions    int
	Environments int    // processes
	Idle         int    // of them
	Queued       int    // Event invocations that wait
	Untold       uint64 // ends of Event invocations that were dropped for want of room, since the start
}

// Stats returns the present counts.
func (s *Service) Stats() Stats {
	queued, untold := s.events.held() // takes its own lock, under which mu may be taken
	s.mu.RLock()
	defer s.mu.RUnlock()
	st := Stats{Functions: len(s.functions), Queued: queued, Untold: untold}
	for r := range s.runners {
		if p, ok := r.(*process.Pool); ok {
			all, idle := p.Environments()
			st.Environments += all
			st.Idle += idle
		}
	}
	return st
}

func (s *Service) lookup(scope schema.Scope, name string) *live {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.functions[id{scope, name}]
}

// install makes a definition the present one of its function or version.
func (s *Service) install(d *definition) {
	if d.Version != 0 {
		f := s.lookup(d.Scope, d.Name)
		e := &edition{f: f}
		e.def.Store(d)
		f.vmu.Lock()
		defer f.vmu.Unlock()
		f.versions[d.Version] = e
		return
	}
	s.mu.Lock()
	f := s.functions[id{d.Scope, d.Name}]
	if f == nil {
		f = newLive()
		s.functions[id{d.Scope, d.Name}] = f
	}
	s.indexURLs(f, f.def.Load(), d)
	s.mu.Unlock()
	limit := s.limitOf(d)
	f.limit.set(limit)
	f.mu.Lock()
	old := f.def.Swap(d)
	run := f.run
	if old == nil || old.Runs == d.Runs {
		run = nil
	} else {
		f.run = nil
	}
	if f.run != nil {
		f.run.SetLimit(limit)
	}
	code := f.code
	f.mu.Unlock()
	s.retire(run, code)
	for _, e := range f.published() {
		e.mu.Lock()
		if e.run != nil {
			e.run.SetLimit(limit)
		}
		e.mu.Unlock()
	}
}

// forget removes a function from memory.
func (s *Service) forget(f *live) {
	d := f.def.Load()
	s.mu.Lock()
	delete(s.functions, id{d.Scope, d.Name})
	s.indexURLs(f, d, &definition{Scope: d.Scope, Name: d.Name})
	s.mu.Unlock()
	for _, e := range append(f.published(), &f.edition) {
		s.end(e)
	}
	f.limit.set(math.MaxInt) // calls that wait find out
}

// end has a version take no more calls.
func (s *Service) end(e *edition) {
	e.mu.Lock()
	run, code := e.run, e.code
	e.run, e.gone = nil, true
	e.mu.Unlock()
	s.retire(run, code)
}

// Places is how many invocations of a function may run at once; 0: none, or there is no such function.
func (s *Service) Places(scope schema.Scope, name string) int {
	t, _, err := s.resolve(scope, name, "")
	if err != nil {
		return 0
	}
	return s.limitOf(t.live.def.Load())
}

// limitOf is how many invocations may run at once.
func (s *Service) limitOf(d *definition) int {
	switch {
	case d.Reserved == nil:
		return s.opts.Concurrency
	case s.opts.Placing != nil && d.run == nil:
		return s.opts.Placing.Share(d.arn(), *d.Reserved)
	}
	return *d.Reserved
}

// retire lets a runner end by itself and gives its code back after that.
func (s *Service) retire(r runner.Runner, code []string) {
	if r == nil {
		return
	}
	s.retiring.Go(func() {
		r.Close()
		s.code.releaseAll(code)
		s.mu.Lock()
		delete(s.runners, r)
		s.mu.Unlock()
	})
}

var errClosed = errors.New("function: the server is ending")

// runner returns the runner of a version's present definition.
func (s *Service) runner(e *edition) (runner.Runner, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.run != nil {
		return e.run, nil
	}
	d := e.def.Load()
	if e.gone {
		return nil, errGone
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, errClosed
	}
	switch log := s.logs.Log(d.Scope, d.Name); {
	case d.run != nil:
		e.run, e.code = newGoRunner(d), nil
	case d.PackageType == packageImage:
		e.run, e.code = http.New(d.spec(""), s.transport, log, s.opts.Now), nil
	case d.locked != "":
		return nil, errLocked
	default:
		e.code = d.hashes()
		s.code.acquireAll(e.code)
		spec := s.processSpec(d)
		spec.Note = sync.OnceValue(func() string { return s.oldSDK(d) }) // it reads the whole package: only for a call that failed
		e.run = s.host.NewPool(spec, s.limitOf(e.f.def.Load()), log)
	}
	s.runners[e.run] = struct{}{}
	return e.run, nil
}

// processSpec is a definition as its processes need it.
func (s *Service) processSpec(d *definition) runner.Spec {
	var layers []string
	for _, u := range d.Layers {
		if u.Hash != "" {
			layers = append(layers, s.code.task(u.Hash))
		}
	}
	return d.spec(s.code.task(d.CodeHash), layers...)
}

// oldSDK says which AWS SDK of a function, its layers or the machine calls the real AWS, or "".
func (s *Service) oldSDK(d *definition) string {
	spec := s.processSpec(d)
	modules, boto3 := s.host.Supplied(d.Runtime)
	packages := []string{spec.CodeDir}
	for _, layer := range slices.Backward(spec.Layers) {
		packages = append(packages, layer)
	}
	return archive.OldSDK(d.Runtime, packages, archive.Supply{Modules: modules, Boto3: boto3, Gems: modules})
}

// misplaced says that the Handler's file is not where it is looked for, or "".
func (s *Service) misplaced(d *definition) string {
	return archive.Misplaced(d.Runtime, d.Handler, s.processSpec(d).CodeDir)
}

// tellDoubts says where people look, when a function was made or changed, what will fail: a Handler that is not at the package's top,
// and an SDK that calls the real AWS.
func (s *Service) tellDoubts(d *definition) {
	if d.PackageType != packageZip || d.run != nil {
		return
	}
	if note := s.misplaced(d); note != "" {
		s.opts.Logger.Warn("a function's Handler is not at the top of its package", "function", d.arn(), "note", note)
		s.logs.Log(d.Scope, d.Name).Note(note)
	}
	if note := s.oldSDK(d); note != "" {
		s.opts.Logger.Warn("a function has an old AWS SDK", "function", d.arn(), "note", note)
		s.logs.Log(d.Scope, d.Name).Note(note)
	}
}

var (
	errGone   = errors.New("function: it was deleted")
	errLocked = errors.New("function: its variables cannot be opened")
)

// tellLocked tells of functions that do not start because their variables cannot be opened.
func (s *Service) tellLocked(defs []*definition) {
	var names []string
	for _, d := range defs {
		if name := d.arn(); d.locked != "" && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	if len(names) > 0 {
		s.opts.Logger.Warn("functions do not start: their variables are sealed with a key that this server does not have; bring the file of the key back and start again, or set all their variables anew",
			"functions", names, "because", s.opts.Seals.Why())
	}
}

// Locked are the ARNs of the functions that do not start because their variables, or those of one of their versions, cannot be opened.
func (s *Service) Locked() (arns []string) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, f := range s.functions {
		for _, e := range append(f.published(), &f.edition) {
			if d := e.def.Load(); d.locked != "" {
				arns = append(arns, d.arn())
				break
			}
		}
	}
	slices.Sort(arns)
	return arns
}

func newID() string { return uuid.NewString() }
