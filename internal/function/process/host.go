package process

import (
	"cmp"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/millstreamdb/millstream/internal/function/logs"
	"github.com/millstreamdb/millstream/internal/function/runner"
	"github.com/millstreamdb/millstream/internal/function/sandbox"
	"github.com/millstreamdb/millstream/internal/schema"
)

// Credentials are what a function's own AWS clients sign with.
type Credentials struct {
	AccessKeyID, SecretAccessKey string
	SessionToken                 string // may be empty
	// Foreign: another server verifies them, which knows nothing of the tokens that are given out here.
	Foreign bool
}

// Options of NewHost. All are needed unless said otherwise.
type Options struct {
	// ShimDir is a folder of the host's own; the shims are written into it.
	ShimDir string
	// Project is the folder whose node_modules or virtual environment supplies
	// what a package lacks; empty: none.
	Project string
	// Endpoint returns the URL at which functions reach this server; an empty one
	// sets no endpoint.
	Endpoint func() string
	// DataEndpoint returns that of the server that keeps tables and the like; nil: the same.
	DataEndpoint func() string
	Credentials  func(schema.Scope) Credentials
	// InitLimit is how long a process may take before it first asks for work.
	InitLimit time.Duration
	// CloseGrace is how long END and REPORT of a call that was answered wait for the process to ask for its next event: what
	// it prints until then belongs to the call. 0: a quarter of a second.
	CloseGrace time.Duration
	// IdleTimeout is how long an environment may wait for work.
	IdleTimeout time.Duration
	Now         func() time.Time
	Logger      *slog.Logger
	// Sandbox is what runs functions apart from this server and each other, nil: processes as any. Hidden are folders that they never see.
	Sandbox *sandbox.Machine
	Hidden  []string
	// Debug names a function that is run under its language's debugger, without timeouts, one call at a time; empty: none.
	Debug string
}

// Host is what the pools of one server share: where interpreters are, the shims,
// and the thread that starts processes.
type Host struct {
	opts     Options
	spawner  *spawner
	runtimes interpreters
	running  sync.Map // *environment by token
	spares   *spares  // of boxes; nil: functions have none
	waiters  *waiters // of interpreters
}

// tokenPrefix begins the session tokens that processes are given.
const tokenPrefix = "millstream-"

// Running returns the request id of the call that is under way in the process whose AWS clients send this session token;
// empty when there is none.
func (h *Host) Running(token string) string {
	if inv := h.current(token); inv != nil {
		return inv.RequestID
	}
	return ""
}

// Alive reports whether the process that was given a session token is there.
func (h *Host) Alive(token string) bool {
	_, ok := h.running.Load(token)
	return ok
}

// RunningTrace returns that call's trace header.
func (h *Host) RunningTrace(token string) string {
	if inv := h.current(token); inv != nil {
		return inv.TraceID
	}
	return ""
}

func (h *Host) current(token string) *invocation {
	if !strings.HasPrefix(token, tokenPrefix) {
		return nil
	}
	e, ok := h.running.Load(token)
	if !ok {
		return nil
	}
	env := e.(*environment)
	env.mu.Lock()
	defer env.mu.Unlock()
	return env.current
}

// NewHost returns a host. Close it after its pools.
func NewHost(o Options) *Host {
	o.CloseGrace = cmp.Or(o.CloseGrace, closeGrace)
	h := &Host{opts: o, spawner: newSpawner(), runtimes: interpreters{dir: o.ShimDir, project: o.Project}}
	if o.Sandbox != nil {
		h.spares = &spares{machine: o.Sandbox, spawner: h.spawner}
	}
	h.waiters = &waiters{spawner: h.spawner, dir: o.ShimDir, boxes: h.spares, kinds: map[string]*kind{}}
	return h
}

// Close frees the host. Its pools must have been killed.
func (h *Host) Close() {
	h.spares.close()
	h.waiters.close()
	h.spawner.close()
}

// NewPool returns a pool for one revision of a function. It starts nothing until
// the first call.
func (h *Host) NewPool(spec runner.Spec, limit int, log *logs.Log) *Pool {
	if h.debugs(&spec) {
		spec.Timeout, limit = patience, 1
	}
	return &Pool{host: h, spec: spec, limit: limit, log: log, envs: map[*environment]struct{}{}}
}

// Missing says what must be installed to run functions of this runtime, or "".
func (h *Host) Missing(runtime string) string {
	if _, err := h.runtimes.find(runtime); err != nil {
		return err.Error()
	}
	return ""
}

// Supplied is what the machine gives to functions of a runtime whose packages lack it: folders of modules, or of gems, and the version of
// Python's boto3, or "".
func (h *Host) Supplied(runtime string) (modules []string, boto3 string) {
	i, err := h.runtimes.find(runtime)
	if err != nil {
		return nil, ""
	}
	return i.modules, i.boto3
}
