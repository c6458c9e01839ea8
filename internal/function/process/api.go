package process

import (
	"encoding/base64"
	"errors"
	"io"
	"log"
	"net/http"
	"strconv"
	"strings"

	"github.com/millstreamdb/millstream/internal/function/runner"
)

// The Runtime API, 2018-06-01, and the Extensions API.
const (
	apiBase       = "/2018-06-01/runtime/"
	extensionBase = "/2020-01-01/extension/"

	trailerErrorType = "Lambda-Runtime-Function-Error-Type"
	trailerErrorBody = "Lambda-Runtime-Function-Error-Body"

	// maxErrorBody bounds error documents; maxDiscard what is read of an over-long
	// answer so that its sender sees the 413.
	maxErrorBody = 1 << 20
	maxDiscard   = 256 << 20
)

var (
	errEnding = errors.New("environment is ending")
	silent    = log.New(io.Discard, "", 0)
)

// ServeHTTP serves the Runtime API to this environment's process. Any other program of
// the same user that finds the port is trusted as the process is (ownUser keeps other users
// away), but a web page must not be able to reach it.
func (e *environment) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Host != e.addr || r.Header.Get("Origin") != "" || r.Header.Get("Sec-Fetch-Site") != "" {
		apiError(w, http.StatusForbidden, "InvalidRequest", "this is the Runtime API of a function")
		return
	}
	path := r.URL.Path
	switch {
	case strings.HasPrefix(path, apiBase+"invocation/"):
		e.invocationCall(w, r, strings.TrimPrefix(path, apiBase+"invocation/"))
	case path == apiBase+"init/error" && r.Method == http.MethodPost:
		e.initErrorCall(w, r)
	case strings.HasPrefix(path, extensionBase):
		e.extensions.call(w, r, strings.TrimPrefix(path, extensionBase))
	case r.Method == http.MethodPut && (path == telemetryPath || path == logsPath):
		noTelemetry(w, r, path)
	default:
		apiError(w, http.StatusNotFound, "InvalidRequest", "no such call")
	}
}

func (e *environment) invocationCall(w http.ResponseWriter, r *http.Request, rest string) {
	if rest == "next" && r.Method == http.MethodGet {
		e.nextCall(w, r)
		return
	}
	id, verb, _ := strings.Cut(rest, "/")
	if r.Method != http.MethodPost || (verb != "response" && verb != "error") {
		apiError(w, http.StatusNotFound, "InvalidRequest", "no such call")
		return
	}
	inv := e.isCurrent(id)
	if inv == nil {
		_, _ = io.CopyN(io.Discard, r.Body, maxDiscard) // or the sender may not see the answer
		apiError(w, http.StatusBadRequest, "InvalidRequestID", "Invalid request ID")
		return
	}
	if verb == "response" {
		e.responseCall(w, r, inv)
	} else {
		e.errorCall(w, r, inv)
	}
}

// nextCall waits for a call and hands it over. An environment that is ending
// answers no more: a runtime that was told so would exit at once, before its own
// handler of the signal has run.
func (e *environment) nextCall(w http.ResponseWriter, r *http.Request) {
	if !e.asked(r.Context().Done()) {
		select {
		case <-e.ended:
			<-r.Context().Done()
		default:
			apiError(w, http.StatusForbidden, "InvalidStateTransition", "Transition to the next invocation is not allowed now")
		}
		return
	}
	// The init, or the call, ends when the process and its extensions have asked for more.
	if !e.extensions.settled(r.Context().Done()) || !e.rested() {
		e.abandoned()
		<-r.Context().Done()
		return
	}
	inv, ok := e.pool.ready(e)
	if !ok {
		e.end(spindown)
	} else if inv == nil {
		select {
		case inv = <-e.assigned:
		case <-e.ended:
		case <-r.Context().Done():
			e.abandoned()
			e.pool.hungUp(e)
			return
		}
	}
	if inv == nil {
		e.abandoned()
		<-r.Context().Done()
		return
	}
	if !e.begin(inv) {
		e.pool.requeue(inv)
		<-r.Context().Done()
		return
	}
	h := w.Header()
	h["Content-Type"] = []string{"application/json"}
	h["Content-Length"] = []string{strconv.Itoa(len(inv.Payload))}
	h["Lambda-Runtime-Aws-Request-Id"] = []string{inv.RequestID}
	h["Lambda-Runtime-Deadline-Ms"] = []string{strconv.FormatInt(inv.deadline.UnixMilli(), 10)}
	h["Lambda-Runtime-Invoked-Function-Arn"] = []string{inv.ARN}
	if inv.TraceID != "" {
		h["Lambda-Runtime-Trace-Id"] = []string{inv.TraceID}
	}
	if inv.ClientContext != "" {
		h["Lambda-Runtime-Client-Context"] = []string{inv.ClientContext}
	}
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write(inv.Payload) // a process that is gone shows by its exit
}

// responseCall takes the function's answer, to its end and with its trailers.
func (e *environment) responseCall(w http.ResponseWriter, r *http.Request, inv *invocation) {
	e.answers(inv, true)
	streams := r.Header.Get("Lambda-Runtime-Function-Response-Mode") == "streaming"
	result := runner.Result{Status: runner.OK}
	var err error
	if streams && inv.Stream != nil {
		result.Streamed = true
		err = inv.pass(r)
	} else {
		result.Payload, err = readAll(r, runner.MaxResponse)
	}
	switch {
	case errors.Is(err, errTooLong):
		result.Status, result.Payload, result.Err = runner.Failed, runner.TooLargePayload(), "the answer is too large"
		if e.finish(inv, result, "error\tError Type: Function.ResponseSizeTooLarge") {
			_, _ = io.CopyN(io.Discard, r.Body, maxDiscard)
			apiError(w, http.StatusRequestEntityTooLarge, "RequestEntityTooLarge",
				"Exceeded maximum allowed payload size ("+strconv.Itoa(runner.MaxResponse)+" bytes).")
			return
		}
	case err != nil && streams: // what was written is all that comes
		const kind = "Runtime.TruncatedResponse"
		result.Status, result.Err = runner.Failed, "the function's answer broke off"
		result.Payload = runner.ErrorPayload(kind, "RequestId: "+inv.RequestID+" Error: "+result.Err)
		e.finish(inv, result, "error\tError Type: "+kind)
		return
	case err != nil: // the process broke off; its exit or the timeout ends the call
		e.answers(inv, false)
		apiError(w, http.StatusBadRequest, "InvalidRequest", "the body broke off")
		return
	default:
		status := ""
		if kind := r.Trailer.Get(trailerErrorType); kind != "" {
			document, err := base64.StdEncoding.DecodeString(r.Trailer.Get(trailerErrorBody))
			if err != nil || len(document) == 0 {
				document = runner.ErrorPayload(kind, "the function's answer broke off")
			}
			result.Status, result.Payload, result.Err = runner.Failed, document, kind
			status = "error\tError Type: " + kind
		}
		if e.finish(inv, result, status) {
			accepted(w)
			return
		}
	}
	apiError(w, http.StatusBadRequest, "InvalidRequestID", "Invalid request ID")
}

func (e *environment) errorCall(w http.ResponseWriter, r *http.Request, inv *invocation) {
	body, err := readAll(r, maxErrorBody)
	if err != nil {
		body = runner.ErrorPayload("Runtime.UnknownReason", "the function's error document could not be read")
	}
	kind := r.Header.Get(trailerErrorType)
	status := "error"
	if kind != "" {
		status += "\tError Type: " + kind
	}
	if e.finish(inv, runner.Result{Status: runner.Failed, Payload: body, Err: "function error"}, status) {
		accepted(w)
		return
	}
	apiError(w, http.StatusBadRequest, "InvalidRequestID", "Invalid request ID")
}

func (e *environment) initErrorCall(w http.ResponseWriter, r *http.Request) {
	body, err := readAll(r, maxErrorBody)
	if err != nil || len(body) == 0 {
		body = runner.ErrorPayload("Runtime.UnknownReason", "the function's init failed")
	}
	if !e.initErrorPosted(body) {
		apiError(w, http.StatusForbidden, "InvalidStateTransition", "Transition to the init error is not allowed now")
		return
	}
	accepted(w)
}

var errTooLong = errors.New("body too long")

// readAll reads a body of at most limit bytes to its end; only then are its
// trailers known.
func readAll(r *http.Request, limit int) ([]byte, error) {
	size := 512
	if r.ContentLength > 0 {
		size = int(min(r.ContentLength, int64(limit))) + 1
	}
	body := make([]byte, 0, size)
	for {
		if len(body) == cap(body) {
			body = append(body, 0)[:len(body)]
		}
		n, err := r.Body.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		switch {
		case len(body) > limit:
			return nil, errTooLong
		case err == io.EOF:
			return body, nil
		case err != nil:
			return nil, err
		}
	}
}

func accepted(w http.ResponseWriter) {
	h := w.Header()
	h["Content-Type"] = []string{"application/json"}
	h["Content-Length"] = []string{"16"}
	w.WriteHeader(http.StatusAccepted)
	_, _ = io.WriteString(w, "{\"status\":\"OK\"}\n")
}

func apiError(w http.ResponseWriter, status int, kind, message string) {
	body := append([]byte(`{"errorMessage":`), runner.AppendJSONString(nil, message)...)
	body = append(body, `,"errorType":`...)
	body = append(runner.AppendJSONString(body, kind), '}')
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body)
}
