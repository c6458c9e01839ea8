package admin

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"runtime"
	"strconv"
	"time"

	"github.com/millstreamdb/millstream/internal/activity"
	"github.com/millstreamdb/millstream/internal/admin/wire"
	"github.com/millstreamdb/millstream/internal/backend/local"
	"github.com/millstreamdb/millstream/internal/credential"
	"github.com/millstreamdb/millstream/internal/function"
	"github.com/millstreamdb/millstream/internal/gateway"
	"github.com/millstreamdb/millstream/internal/queue"
	"github.com/millstreamdb/millstream/internal/queue/poll"
	"github.com/millstreamdb/millstream/internal/schedule"
	"github.com/millstreamdb/millstream/internal/schema"
	"github.com/millstreamdb/millstream/internal/stack"
	"github.com/millstreamdb/millstream/internal/store"
	"github.com/millstreamdb/millstream/internal/stream"
	"github.com/millstreamdb/millstream/internal/table"
	"github.com/millstreamdb/millstream/internal/topic"
	"github.com/millstreamdb/millstream/internal/trigger"
	"github.com/millstreamdb/millstream/internal/worker"
)

// Prefix is where the protocol lives.
const Prefix = "/_millstream/v1/"

const (
	// defaultTimeout and maxTimeout bound the timeout= of settle and of clock/advance.
	defaultTimeout = 30 * time.Second
	maxTimeout     = time.Hour
)

// Config is what the protocol shows. All of it is needed.
type Config struct {
	Store       *store.Store
	Streams     *stream.Streams
	Queues      *queue.Service
	Schedules   *schedule.Service
	Topics      *topic.Service
	Tables      *table.DB
	Functions   *function.Service
	Backend     *local.Backend
	Engine      *trigger.Engine
	Pollers     *poll.Mappings
	Gateway     *gateway.Service
	Stacks      *stack.Service
	Credentials *credential.Service
	Activity    *activity.Hub
	Clock       *worker.Clock
	Stages      Stages
	Standbys    Standbys // nil: nothing is kept for any

	// Settle waits until every enabled trigger has passed the head that its stream had at the call; Advance moves a
	// manual clock on, and returns when what was due has been done. Both return ctx's error when it ends before.
	Settle  func(ctx context.Context) error
	Advance func(ctx context.Context, d time.Duration) error
	// AcceptClock is a person's word that the clock is right.
	AcceptClock func() error
	// Held reports whether all triggers wait since the folder was restored; GoOn ends that, and is false where it was not so.
	Held func() bool
	GoOn func() (was bool, err error)
	// ConsoleLink makes a link by which one person gets into the console; empty: it is not served.
	ConsoleLink func() string
	// Health tells why the server is not well; nil when it is.
	Health func() error
	// Degraded tells what does not work although the server is well.
	Degraded func() []string
	// Replication tells how far it has come; nil: nothing is replicated.
	Replication func() *wire.Replication

	// TellBackup is told that a backup was made, or found whole.
	TellBackup func(wire.Backup) error

	// Followed tells of standbys that follow the server itself; nil: nothing is kept for any.
	Followed func() *wire.Standbys

	// About is what a status says that does not change: version, start, scope, durability and folder. Its account and
	// region are used where a request names none.
	About wire.Status
	// Nodes tells of the nodes that work over one server's tables, and is false on a server that keeps its own.
	Nodes func(context.Context) (all []wire.Node, is bool, err error)
	// Drain has a node, by its id or name, give up what it works, or with off take part again.
	Drain func(ctx context.Context, name string, off bool) error
	// Peers are the other nodes that live, PeerClient calls them, and Name is this one's; nil: the server keeps its own tables.
	Peers      func(context.Context) ([]Peer, error)
	PeerClient *http.Client
	Name       string
	// SettleHere is Settle for what this node works.
	SettleHere func(ctx context.Context) error
	// KeyFile is the file of the key that seals; empty: there is none yet.
	KeyFile func() string
	Logger  *slog.Logger
}

type handler struct {
	Config
	mux http.ServeMux
}

// New returns the handler of everything below Prefix.
func New(c Config) http.Handler {
	h := &handler{Config: c}
	h.document("GET", "version", h.version)
	h.document("GET", "status", h.status)
	h.document("GET", "triggers", h.triggers)
	h.document("GET", "triggers/{uuid}", h.trigger)
	h.document("POST", "triggers/{uuid}/rewind", h.rewind)
	h.document("GET", "triggers/{uuid}/rewind", h.rewind)
	h.document("POST", "triggers/{uuid}/skip", h.skip)
	h.document("GET", "triggers/{uuid}/skip", h.skip)
	h.document("GET", "triggers/{uuid}/failures", h.failures)
	h.document("GET", "passed", h.passed)
	h.document("POST", "triggers/{uuid}/when", h.when)
	h.document("POST", "triggers/{uuid}/pause", h.pause)
	h.document("POST", "triggers/{uuid}/resume", h.resume)
	h.document("POST", "triggers/resume", h.goOn)
	h.document("GET", "parked", h.parked)
	h.document("GET", "parked/record", h.parkedRecord)
	h.document("POST", "parked/redrive", h.redrive)
	h.document("POST", "parked/drop", h.drop)
	h.document("POST", "parked/give-up", h.giveUp)
	h.document("GET", "tables", h.tables)
	h.document("GET", "shards", h.shards)
	h.document("POST", "shards/split", h.splitShards)
	h.document("GET", "queues", h.queues)
	h.document("GET", "queues/messages", h.peekQueue)
	h.document("POST", "queues/purge", h.purgeQueue)
	h.document("POST", "queues/redrive", h.redriveQueue)
	h.document("GET", "schedules", h.schedules)
	h.document("GET", "topics", h.topics)
	h.document("GET", "nodes", h.nodes)
	h.document("POST", "nodes/drain", h.drain)
	h.document("POST", "items", h.lend)
	h.document("GET", "items/{id}", h.lent)
	h.document("DELETE", "items/{id}", h.endLent)
	h.document("POST", "settle", h.settle)
	h.document("GET", "clock", h.clock)
	h.document("POST", "clock/advance", h.advance)
	h.document("POST", "clock/accept", h.acceptClock)
	h.document("GET", "credentials", h.credentials)
	h.document("GET", "credentials/signing", h.signingKey)
	h.document("POST", "credentials", h.createKey)
	h.document("POST", "credentials/change", h.changeKey)
	h.document("POST", "credentials/delete", h.deleteKey)
	h.document("POST", "invoke", h.invoke)
	h.document("GET", "runtimes/{name}", h.runtime)
	h.document("POST", "runtimes/{name}", h.packageProblem)
	h.document("POST", "console", h.console)
	h.document("GET", "apis", h.apis)
	h.document("PUT", "apis/{name}", h.putAPI)
	h.document("DELETE", "apis/{name}", h.deleteAPI)
	h.document("GET", "deployments", h.stacks)
	h.document("GET", "deployments/{stack}", h.deployed)
	h.document("PUT", "deployments/{stack}", h.putDeployed)
	h.mux.HandleFunc("POST "+Prefix+"deployments/{stack}/hold", h.holdDeployment)
	h.document("POST", "promote", h.promote)
	h.document("POST", "stages", h.stage)
	h.document("DELETE", "stages/{id}", h.unstage)
	h.document("POST", "backups", h.toldBackup)
	h.mux.HandleFunc("GET "+Prefix+"stages/{id}/file", h.staged)
	if c.Standbys != nil {
		h.serveStandbys()
	}
	h.mux.HandleFunc("GET "+Prefix+"tail", h.tail)
	h.mux.HandleFunc("GET "+Prefix+"try", h.try)
	h.mux.HandleFunc("GET "+Prefix+"logs", h.logs)
	h.mux.HandleFunc("GET "+Prefix+"activity", h.activity)
	h.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		h.fail(w, wire.NotFound("Nothing answers "+r.Method+" "+r.URL.Path+". The client and the server may be of different versions."))
	})
	return h
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) { h.mux.ServeHTTP(w, r) }

// document answers a path with one JSON document.
func (h *handler) document(method, path string, answer func(*http.Request) (any, error)) {
	h.mux.HandleFunc(method+" "+Prefix+path, func(w http.ResponseWriter, r *http.Request) {
		v, err := answer(r)
		if err != nil {
			h.fail(w, err)
			return
		}
		writeJSON(w, http.StatusOK, v)
	})
}

// runtime tells why functions of a runtime cannot run here.
func (h *handler) runtime(r *http.Request) (any, error) {
	return wire.Runtime{Why: h.Functions.RuntimeProblem(r.PathValue("name"))}, nil
}

// maxNames bounds the document of packageProblem: a package of AWS's largest size has fewer files.
const maxNames = 16 << 20

// packageProblem tells why a package cannot run as a function of a runtime.
func (h *handler) packageProblem(r *http.Request) (any, error) {
	var p wire.Package
	if err := json.NewDecoder(io.LimitReader(r.Body, maxNames)).Decode(&p); err != nil {
		return nil, wire.BadRequest("the package could not be read: " + err.Error())
	}
	why, err := h.Functions.PackageProblem(r.PathValue("name"), p.Handler, p.Files)
	return wire.Runtime{Why: why}, err
}

func (h *handler) version(*http.Request) (any, error) {
	return wire.Version{Version: h.About.Version, Go: runtime.Version(), Protocol: 1}, nil
}

func (h *handler) status(r *http.Request) (any, error) {
	triggers, err := h.Engine.Statuses(r.Context())
	if err != nil {
		return nil, err
	}
	st := h.About
	st.KeyFile = h.KeyFile()
	st.Tables, st.Functions, st.Triggers = h.Tables.Count(), h.Functions.Stats().Functions, len(triggers)+len(h.Pollers.Views())
	st.Healthy = true
	if err := h.Health(); err != nil {
		st.Healthy, st.Problem = false, err.Error()
	}
	st.Degraded, st.Replication, st.Standbys = h.Degraded(), h.Replication(), h.Followed()
	return st, nil
}

// timeoutOf reads timeout=.
func timeoutOf(r *http.Request) (time.Duration, error) {
	text := r.URL.Query().Get("timeout")
	if text == "" {
		return defaultTimeout, nil
	}
	timeout, err := time.ParseDuration(text)
	if err != nil || timeout <= 0 || timeout > maxTimeout {
		return 0, wire.BadRequest("timeout " + strconv.Quote(text) + ": want a duration such as 30s, of at most an hour")
	}
	return timeout, nil
}

// scope is where a request looks its names up.
func (h *handler) scope(r *http.Request) schema.Scope {
	scope, q := schema.Scope{Account: h.About.Account, Region: h.About.Region}, r.URL.Query()
	if account := q.Get("account"); account != "" {
		scope.Account = account
	}
	if region := q.Get("region"); region != "" {
		scope.Region = region
	}
	return scope
}

type errorDocument struct {
	Error *wire.Error `json:"error"`
}

func (h *handler) asError(err error) *wire.Error {
	var e *wire.Error
	if errors.As(err, &e) {
		return e
	}
	h.Logger.Error("a request of the admin protocol failed", "error", err)
	return &wire.Error{Code: "Internal", Message: err.Error(), Status: http.StatusInternalServerError}
}

func (h *handler) fail(w http.ResponseWriter, err error) {
	e := h.asError(err)
	w.Header().Set("X-Amzn-Errortype", e.Code) // what metrics count it as
	writeJSON(w, e.Status, errorDocument{e})
}

// Refuse answers a request that a server does not take, in the protocol's form.
func Refuse(w http.ResponseWriter, text string) {
	e := wire.BadRequest(text)
	w.Header().Set("X-Amzn-Errortype", e.Code)
	writeJSON(w, e.Status, errorDocument{e})
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		status = http.StatusInternalServerError
		body = []byte(`{"error":{"code":"Internal","message":"the answer could not be written"}}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)+1))
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n')) // the caller has gone: there is nobody to tell
}
