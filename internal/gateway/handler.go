package gateway

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
)

// AWS's limits.
const (
	// MaxBody is the longest body of a request to an API, maxURLBody to a function
	// URL, and maxEvent the longest event that a function takes, in bytes.
	MaxBody    = 10 << 20
	maxURLBody = 6 << 20
	maxEvent   = 6291456

	httpTimeout = 30 * time.Second
	restTimeout = 29 * time.Second
	urlTimeout  = 15 * time.Minute
)

// ServeHTTP implements http.Handler.
func (s *Service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := r.URL.EscapedPath()
	if id, ok := hostID(r.Host); ok && s.serveID(w, r, id, path) {
		return
	}
	first, rest, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	if s.serveID(w, r, first, "/"+rest) {
		return
	}
	only, several := s.sole()
	if only != nil {
		s.serveAPI(w, r, only, path)
		return
	}
	if u, ok := s.opts.Functions.Sole(); ok && !several {
		s.serveURL(w, r, u, path)
		return
	}
	formHTTP.fail(w, noRoute, "")
}

// hostID returns what stands before .localhost in a host's name.
func hostID(host string) (string, bool) {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	id, rest, _ := strings.Cut(host, ".")
	return id, rest == "localhost" || strings.HasSuffix(rest, ".localhost")
}

// serveID answers for an API's or a function URL's id, and returns false when there
// is none of it.
func (s *Service) serveID(w http.ResponseWriter, r *http.Request, id, path string) bool {
	if id == "" {
		return false
	}
	if l := s.get(id); l != nil {
		s.serveAPI(w, r, l, path)
		return true
	}
	if u, ok := s.opts.Functions.URL(id); ok {
		s.serveURL(w, r, u, path)
		return true
	}
	return false
}

// newRequest begins the way of a request; raw is its path as it was sent.
func (s *Service) newRequest(r *http.Request, raw string) *request {
	secure := strings.HasPrefix(s.opts.Endpoint(), "https://") // the front door has one listener, and the connection does not say
	return &request{http: r, id: uuid.NewString(), at: s.opts.Now(), raw: raw, secure: secure}
}

// serveAPI answers for an API.
func (s *Service) serveAPI(w http.ResponseWriter, r *http.Request, l *live, path string) {
	q := s.newRequest(r, path)
	q.scope, q.apiID, q.stage, q.vars = l.scope, apiID(l.scope, l.api.Name), l.api.Stage, l.api.StageVariables
	if l.api.Stage != defaultPath {
		q.base = "/" + l.api.Stage
		// On AWS the path begins with the stage; here that may be left out.
		if rest, ok := strings.CutPrefix(path, q.base); ok && (rest == "" || rest[0] == '/') {
			if q.raw = rest; rest == "" {
				q.raw = "/"
			}
		}
	}
	f, cors, limit := formHTTP, l.api.CORS, httpTimeout
	parts := split(q.raw)
	if l.api.Kind == kindREST {
		f, limit = formREST, restTimeout
		if n := len(parts); n > 0 && parts[n-1] == "" { // a slash at the end is none there
			parts = parts[:n-1]
		}
	} else if cors != nil && isPreflight(r) {
		applyCORS(cors, w.Header(), r)
		w.WriteHeader(http.StatusNoContent)
		return
	}
	route, params := l.find(r.Method, parts)
	if route == nil {
		if methods := l.methodsOf(parts); l.api.Kind == kindREST && cors != nil && r.Method == http.MethodOptions && methods != nil {
			applyFixedCORS(cors, w.Header(), methods)
			w.WriteHeader(http.StatusOK)
			return
		}
		if f == formHTTP && cors != nil {
			applyCORS(cors, w.Header(), r)
		}
		f.fail(w, noRoute, q.id)
		return
	}
	q.params, q.path, q.route = params, route.Path, route.Method+" "+route.Path
	if route.Path == defaultPath {
		q.route = defaultPath
	}
	if route.TimeoutMS > 0 {
		limit = time.Duration(route.TimeoutMS) * time.Millisecond
	}
	q.httpAPI = f == formHTTP
	if route.Authorizer != "" {
		if d := s.authorize(q, l, route); d != nil {
			if q.httpAPI && cors != nil {
				applyCORS(cors, w.Header(), r)
			}
			if d.header != "" {
				w.Header().Set("WWW-Authenticate", d.header)
			}
			f.fail(w, d.trouble, q.id)
			return
		}
	}
	t, ok := q.readBody(w, MaxBody)
	if !ok {
		f.fail(w, t, q.id)
		return
	}
	contentType := r.Header.Get("Content-Type")
	if f == formREST {
		q.binary = len(q.body) > 0 && isBinary(l.api.BinaryTypes, contentType)
	} else {
		q.binary = len(q.body) > 0 && !isText(contentType, q.body)
	}
	event, err := q.event20(q.scope.Account)
	if route.Payload == "1.0" {
		event, err = q.event10(f == formHTTP)
	}
	c := call{form: f, payload: route.Payload, function: route.Function, event: event, limit: limit}
	if f == formHTTP {
		c.cors = cors
	}
	s.serve(w, q, c, err)
}

// serveURL answers for a function URL.
func (s *Service) serveURL(w http.ResponseWriter, r *http.Request, u FunctionURL, path string) {
	q := s.newRequest(r, path)
	q.scope, q.apiID, q.stage, q.route = u.Scope, u.ID, defaultPath, defaultPath
	if u.CORS != nil && isPreflight(r) {
		applyCORS(u.CORS, w.Header(), r)
		w.WriteHeader(http.StatusOK)
		return
	}
	account := "anonymous"
	if u.Signed {
		account = u.Scope.Account
		if !strings.HasPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 ") || s.opts.Signed != nil && !s.opts.Signed(r, u.Scope.Account) {
			formURL.fail(w, forbidden, q.id)
			return
		}
	}
	t, ok := q.readBody(w, maxURLBody)
	if !ok {
		formURL.fail(w, t, q.id)
		return
	}
	q.binary = len(q.body) > 0 && !isText(r.Header.Get("Content-Type"), q.body)
	event, err := q.event20(account)
	s.serve(w, q, call{form: formURL, payload: "2.0", function: u.Function, event: event, limit: urlTimeout, cors: u.CORS, streams: u.Streams}, err)
}

// readBody reads the request's body; ok is false when it is longer than limit.
func (q *request) readBody(w http.ResponseWriter, limit int64) (t trouble, ok bool) {
	if q.http.ContentLength > limit {
		return tooLarge, false
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, q.http.Body, limit))
	if err != nil { // too long, or it broke off and nobody is there to read the answer
		return tooLarge, false
	}
	q.body = body
	return 0, true
}

// call is what is asked of a function.
type call struct {
	form     form
	payload  string
	function string
	event    []byte
	limit    time.Duration
	cors     *CORS
	streams  bool
}

// serve calls the function and answers with what it says.
func (s *Service) serve(w http.ResponseWriter, q *request, c call, err error) {
	if err != nil {
		s.opts.Logger.Error("an event could not be written", "function", c.function, "error", err)
		c.form.fail(w, failed, q.id)
		return
	}
	fail := func(t trouble) {
		if c.cors != nil {
			applyCORS(c.cors, w.Header(), q.http)
		}
		c.form.fail(w, t, q.id)
	}
	if len(c.event) > maxEvent {
		fail(tooLarge)
		return
	}
	if s.opts.Patient {
		c.limit = 24 * time.Hour
	}
	// A caller who goes away does not end the call, as on AWS.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(q.http.Context()), c.limit)
	defer cancel()
	ask := Call{Function: c.function, Event: c.event, Trace: q.http.Header.Get("X-Amzn-Trace-Id")}
	var streamed *streamedReply
	if c.streams {
		streamed = &streamedReply{w: w, q: q, cors: c.cors}
		ask.Stream = streamed
	}
	answer, broken, err := s.opts.Functions.Invoke(ctx, q.scope, ask)
	if streamed != nil && streamed.finish(answer, broken || err != nil) {
		return
	}
	var busy *Busy
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		fail(timedOut)
		return
	case errors.As(err, &busy):
		if busy.Wait > 0 {
			w.Header().Set("Retry-After", strconv.FormatInt(int64((busy.Wait+time.Second-1)/time.Second), 10))
		}
		fail(throttled)
		return
	case err != nil:
		s.opts.Logger.Warn("a function was not reached", "function", c.function, "error", err)
		fail(failed)
		return
	case broken:
		fail(failed)
		return
	}
	r, ok := c.form.read(answer, c.payload)
	if !ok {
		s.opts.Logger.Warn("the answer of a function is no HTTP answer: want an object with statusCode, headers and body", "function", c.function)
		fail(failed)
		return
	}
	if c.form == formREST {
		r.header.Set("x-amzn-RequestId", q.id)
	} else if c.cors != nil {
		applyCORS(c.cors, r.header, q.http)
	}
	r.write(w, q.http.Method)
}

// Busy is Functions' error when there is no room to run the function.
type Busy struct {
	Wait time.Duration // when to come back; 0: not known
}

func (*Busy) Error() string { return "gateway: no room to run the function" }
