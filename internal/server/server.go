package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"time"

	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/door"
)

// Config is what a Server is made of.
type Config struct {
	// DynamoDB answers everything at "/": tables, streams and STS. Lambda answers
	// the paths that begin with a date, Admin those under /_millstream/v1/. A nil
	// handler's paths are not found.
	DynamoDB, Lambda, Admin http.Handler
	// Answer is what DynamoDB does with requests of the door's kind, which do not come as an http.Request; the body is appended to
	// dst. Plain reports whether they may be answered by it now, or are DynamoDB's. nil: all are DynamoDB's.
	Answer func(ctx context.Context, r *door.Request, dst []byte) door.Reply
	Plain  func() bool
	// Services answer requests that are signed for them, by the name in the signature's scope.
	Services map[string]http.Handler
	// Linked says whether a request that is not signed follows a link that a service has given out, and which service's; nil: none does.
	Linked func(*http.Request) (service string, ok bool)
	// Front answers everything on ServeFront's listener.
	Front http.Handler

	// AllowedHosts are further names by which the server is called, beside
	// loopback's. "*.example.com" allows all names below example.com, "*" every
	// name.
	AllowedHosts []string
	// BeyondLoopback allows Serve to listen where other machines reach it; hosts
	// that are addresses are allowed then. Whoever reaches the server can run
	// programs on the machine.
	BeyondLoopback bool

	// Auth reads who requests are from; with AuthOn or AuthWarn the bodies of requests are read before their handlers see them, and
	// Millstream's own protocol asks for an operator's signature. nil: signatures are the handlers' alone.
	Auth *Authenticator
	// Audit is told of calls that are about how the server is set up; with it, Auth is required. nil: nothing is.
	Audit *Audit

	// Health returns why the server is not well: a poisoned store, a worker that
	// returned early. nil means well.
	Health func() error
	// Degraded returns what does not work although the server is well, such as files
	// that are damaged: /healthz is green and says so. nil: nothing ever.
	Degraded func() []string
	// OnPanic is called with a handler's panic and its stack, on the handler's
	// goroutine, before anything else is answered. It should end the process: a
	// lock may be held for ever. From then on /healthz is red and every request is
	// refused. When it is nil the panic ends the process.
	OnPanic func(value any, stack []byte)

	Metrics *Metrics // nil: none are kept
	Logger  *slog.Logger
	Limits  Limits
}

// Server is the front door. Its methods may be called by many goroutines at once.
type Server struct {
	config  Config
	hosts   hosts
	limits  Limits
	metrics *Metrics
	scrapes http.Handler

	// They are separate so that invocations, which may take a quarter of an hour,
	// never keep a write out, and what comes through the front door keeps nobody out.
	requests, invocations, fronts, admins *admission

	panicked atomic.Bool
	exposed  atomic.Bool // the listener of ServeAdmin can be reached from other machines
	// stopping ends when Serve begins to shut down: streams of records and logs
	// would otherwise never end by themselves.
	stopping context.Context
	stop     context.CancelFunc
}

// New returns a server. It starts nothing.
func New(c Config) *Server {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Metrics == nil {
		c.Metrics = NewMetrics(Sources{})
	}
	limits := c.Limits.withDefaults()
	s := &Server{
		config:      c,
		hosts:       newHosts(c.AllowedHosts, c.BeyondLoopback),
		limits:      limits,
		metrics:     c.Metrics,
		scrapes:     c.Metrics.Handler(),
		requests:    newAdmission(limits),
		invocations: newAdmission(limits),
		fronts:      newAdmission(limits),
		admins:      newAdmission(limits.forAdmin()),
	}
	s.stopping, s.stop = context.WithCancel(context.Background())
	return s
}

// Serve answers on ln until ctx is done, then lets requests under way end for
// Limits.Grace and returns nil. It closes ln. It refuses a listener beyond loopback
// unless Config.BeyondLoopback is set.
func (s *Server) Serve(ctx context.Context, ln net.Listener) error {
	var plain door.Handler
	if s.config.Answer != nil {
		plain = quick{s}
	}
	return s.serve(ctx, ln, s, plain, s.limits, maxHeader, s.stop)
}

// serve is Serve for a handler, and for one of requests of the door's kind if there is one; header bounds the request line and the headers, ending is called when ctx is done, before requests
// under way are waited for.
func (s *Server) serve(ctx context.Context, ln net.Listener, h http.Handler, plain door.Handler, limits Limits, header int, ending func()) error {
	if err := checkListener(ln.Addr(), s.config.BeyondLoopback); err != nil {
		return errors.Join(err, ln.Close())
	}
	srv := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: s.limits.HeaderTime,
		ReadTimeout:       s.limits.BodyTime,
		IdleTimeout:       s.limits.IdleTime,
		MaxHeaderBytes:    header - headerSlack,
		ErrorLog:          slog.NewLogLogger(s.config.Logger.Handler(), slog.LevelDebug),
	}
	d := door.New(ln, plain, door.Limits{
		Connections: limits.Connections, HeaderTime: limits.HeaderTime, BodyTime: limits.BodyTime,
		IdleTime: limits.IdleTime, WriteTime: limits.WriteTime,
	})
	s.metrics.doors.Store(d, nil)
	defer s.metrics.doors.Delete(d)
	err := d.Serve(ctx, srv, s.limits.Grace, ending)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		s.config.Logger.Warn("requests were still under way when the server stopped", "grace", s.limits.Grace)
		return nil
	case err != nil:
		return fmt.Errorf("serve %s: %w", ln.Addr(), err)
	}
	return nil
}

// route is where a request goes.
type route byte

const (
	routeDynamoDB route = iota
	routeLambda
	routeAdmin
	routeMetrics
	routeHealth
	routeNone
	routeService
)

func routeOf(path string) route {
	switch {
	case path == "/":
		return routeDynamoDB
	case isLambdaPath(path):
		return routeLambda
	case strings.HasPrefix(path, adminPath):
		return routeAdmin
	case path == "/metrics":
		return routeMetrics
	case path == "/healthz":
		return routeHealth
	}
	return routeNone
}

// ServeHTTP takes a request through the checks of the door to its handler. It is
// also how the server is embedded in another one.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.handle(w, r, s.invocations, false)
}

// Own is ServeHTTP for calls that the program makes of itself: it need not sign those of Millstream's own protocol.
func (s *Server) Own() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.handle(w, r, s.invocations, true) })
}

// handle is ServeHTTP; admin is the gate of Millstream's own protocol, trusted whether its calls come from who owns the data.
func (s *Server) handle(w http.ResponseWriter, r *http.Request, admin *admission, trusted bool) {
	defer s.watchPanic()
	if refused := s.hosts.refuse(r); refused != nil {
		s.metrics.refused.WithLabelValues(refused.reason).Inc()
		writeRefusal(w, refused.text)
		return
	}
	kind := routeOf(r.URL.Path)
	switch {
	case kind == routeMetrics && (trusted || s.open(r, admin)):
		s.scrapes.ServeHTTP(w, r)
		return
	case kind == routeMetrics:
		writeRefusal(w, "Metrics name tables and functions: with --auth on they ask for an operator's signature, or come from --admin-listen on loopback.")
		return
	case kind == routeHealth:
		s.serveHealth(w, trusted || s.open(r, admin))
		return
	case s.panicked.Load():
		writeError(w, kind, awserr.Internal())
		return
	}
	handler, gate, maxBody := s.config.DynamoDB, s.requests, int64(maxDynamoDBBody)
	switch kind {
	case routeLambda:
		handler, gate, maxBody = s.config.Lambda, s.invocations, maxLambdaBody
		s.allowUpload(w, r)
	case routeAdmin:
		if r.Method != http.MethodGet && r.Method != http.MethodHead && r.Header.Get("X-Millstream") == "" {
			s.metrics.refused.WithLabelValues("header").Inc()
			writeRefusal(w, "Requests to "+adminPath+" that change something need the header X-Millstream: 1, which a web page cannot send.")
			return
		}
		handler, gate, maxBody = s.config.Admin, admin, maxLambdaBody
		var cancel context.CancelFunc
		r, cancel = s.endWithServer(r)
		defer cancel()
	}
	service, name := s.service(kind, r)
	switch {
	case service != nil:
		if refused := refuseSites(r); refused != nil {
			s.metrics.refused.WithLabelValues(refused.reason).Inc()
			writeRefusal(w, refused.text)
			return
		}
		handler, gate, maxBody = service, s.requests, maxDynamoDBBody
		if signedFor(r) == "s3" {
			maxBody = maxLambdaBody
			s.allowUpload(w, r)
		}
		kind = routeService
	case name != "":
		writeNoService(w, r, name)
		return
	case handler == nil || kind == routeNone:
		writeNotFound(w)
		return
	}
	r, held, ok := gate.enterHTTP(r, maxBody, s.copies(r))
	if !ok {
		s.metrics.refused.WithLabelValues("busy").Inc()
		// What the caller is still sending will not be read.
		w.Header().Set("Connection", "close")
		switch wait := gate.wait(); {
		case kind == routeService || kind == routeDynamoDB && isForm(r): // a form for "/" is for STS
			writeServiceError(w, r, name, throttledService(r, name, wait))
		default:
			writeError(w, kind, throttled(kind, r.Header.Get("X-Amz-Target"), wait))
		}
		return
	}
	start := time.Now()
	defer gate.leave(held, start)
	if kind == routeAdmin && strings.HasPrefix(r.URL.Path, keysPath) && !trusted && s.config.Auth != nil && !s.verifies() {
		writeRefusal(w, "Access keys are made by the owner of the data folder, with --data FOLDER, or by an operator where signatures are verified.")
		return
	}
	if s.verifies() {
		if r = s.config.Auth.receive(r, maxBody); kind == routeAdmin && !trusted && !strings.HasPrefix(r.URL.Path, codePath) {
			if refused := s.config.Auth.Operator(r); refused != nil && (s.config.Auth.Mode == AuthOn || strings.HasPrefix(r.URL.Path, keysPath)) {
				if refused.RetryAfter == 0 {
					refused.Status = http.StatusForbidden
				}
				writeError(w, kind, refused)
				return
			}
		}
	}

	op := s.metrics.operation(kind, r)
	s.metrics.inFlight.Add(1)
	defer s.metrics.inFlight.Add(-1)
	ex := exchange{ResponseWriter: w, peer: door.PeerOf(r.Context())}
	event, audited := s.audited(kind, r, op, trusted)
	handler.ServeHTTP(&ex, r)
	if audited {
		s.audit(event, r, ex.outcome(), time.Since(start))
	}
	op.done(ex.outcome(), time.Since(start))
}

// open reports whether a request may see what tells of the data without being in it: where nobody's signature is looked at, by a
// listener of the operator's own that no other machine reaches, or with an operator's signature.
func (s *Server) open(r *http.Request, admin *admission) bool {
	return s.config.Auth == nil || s.config.Auth.Mode != AuthOn || admin == s.admins && !s.exposed.Load() || s.config.Auth.Operator(r) == nil
}

// keysPath is where access keys are made: by the owner of the data, or an operator, whether or not other signatures are looked at.
const keysPath = adminPath + "credentials"

// codePath is where GetFunction's links to code lead, which are signed when they are given, and not by clients.
const codePath = adminPath + "code/"

// copies is how often a request's body is held at once: where signatures are verified it is read whole for its hash, before its
// protocol reads it. S3's is compared as it is read.
func (s *Server) copies(r *http.Request) int64 {
	if s.verifies() && signedFor(r) != "s3" {
		return 2
	}
	return 1
}

// verifies reports whether signatures are looked at.
func (s *Server) verifies() bool { return s.config.Auth != nil && s.config.Auth.Mode != AuthOff }

// watchPanic is deferred around everything: see Config.OnPanic. It must be called
// by defer itself.
func (s *Server) watchPanic() {
	value := recover()
	if value == nil {
		return
	}
	if value == http.ErrAbortHandler { // a handler's way to break the connection off
		panic(value)
	}
	stack := debug.Stack()
	s.panicked.Store(true)
	if s.config.OnPanic == nil {
		// On a goroutine of its own nothing can recover it.
		go panic(fmt.Sprintf("request handler: %v\n\n%s", value, stack))
		select {}
	}
	s.config.OnPanic(value, stack)
	panic(http.ErrAbortHandler)
}

// allowUpload gives a request's body ten times the usual time to arrive: a
// function's code is larger than anything else. (net/http lifts the deadline when
// the body has arrived, so that the call may then take as long as it likes.)
func (s *Server) allowUpload(w http.ResponseWriter, r *http.Request) {
	if r.Body == nil || r.Body == http.NoBody {
		return
	}
	// An error says that this is no connection of net/http, whose deadline it was.
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(10 * s.limits.BodyTime))
}

// endWithServer returns r with a context that also ends when the server stops.
func (s *Server) endWithServer(r *http.Request) (*http.Request, context.CancelFunc) {
	ctx, cancel := context.WithCancel(r.Context())
	unlink := context.AfterFunc(s.stopping, cancel)
	return r.WithContext(ctx), func() { unlink(); cancel() }
}

// serveHealth answers 200 while the server is well, with what does not work all the
// same, else 503 with the reason.
func (s *Server) serveHealth(w http.ResponseWriter, reasons bool) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	var err error
	switch {
	case s.panicked.Load():
		err = errors.New("a request handler panicked")
	case s.config.Health != nil:
		err = s.config.Health()
	}
	switch {
	case err != nil && !reasons:
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = io.WriteString(w, "unhealthy\n") // the caller has gone
		return
	case err != nil:
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = io.WriteString(w, "unhealthy: "+err.Error()+"\n") // the caller has gone
		return
	}
	if s.config.Degraded != nil && reasons {
		if reasons := s.config.Degraded(); len(reasons) > 0 {
			_, _ = io.WriteString(w, "degraded: "+strings.Join(reasons, "; ")+"\n")
			return
		}
	}
	_, _ = io.WriteString(w, "ok\n")
}

// throttled refuses a request for which there is no room. Its body is not read, so that
// of what it would do the operation alone is known.
func throttled(kind route, target string, wait time.Duration) *awserr.Error {
	if kind == routeDynamoDB {
		_, operation, _ := strings.Cut(target, ".")
		return awserr.Throttled(operation, wait)
	}
	return awserr.LambdaThrottled("CallerRateLimitExceeded", wait)
}

// writeRefusal answers a request that may not come in, in a form that SDKs show.
func writeRefusal(w http.ResponseWriter, text string) {
	writeError(w, routeDynamoDB, &awserr.Error{Code: "AccessDeniedException", Message: text, Status: http.StatusForbidden})
}

// writeNotFound is what DynamoDB answers on paths it does not know.
func writeNotFound(w http.ResponseWriter) {
	w.WriteHeader(http.StatusNotFound)
	_, _ = io.WriteString(w, "<UnknownOperationException/>\n")
}

// writeError answers for the door itself, before a protocol has seen the request.
func writeError(w http.ResponseWriter, kind route, e *awserr.Error) {
	h := w.Header()
	if kind == routeDynamoDB {
		h.Set("Content-Type", amzJSON)
	} else {
		h.Set("Content-Type", "application/json")
	}
	h.Set("X-Amzn-Errortype", e.Code)
	e.SetRetryAfter(h)
	w.WriteHeader(e.HTTPStatus())
	_, _ = w.Write(errorBody(e))
}

const amzJSON = "application/x-amz-json-1.0"

func errorBody(e *awserr.Error) []byte {
	namespace := "com.amazon.coral.service#"
	if e.Code == "ThrottlingException" {
		namespace = "com.amazon.coral.availability#"
	}
	body, err := json.Marshal(struct {
		Type    string `json:"__type"`
		Lower   string `json:"message"`
		Capital string `json:"Message"`
		Reason  string `json:"Reason,omitempty"`

		ThrottlingReasons []awserr.ThrottlingReason `json:"throttlingReasons,omitempty"`
	}{namespace + e.Code, e.Message, e.Message, e.Reason, e.ThrottlingReasons})
	if err != nil {
		panic(err) // strings always marshal
	}
	return body
}
