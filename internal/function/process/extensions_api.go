package process

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/millstreamdb/millstream/internal/function/runner"
)

// The Extensions API. Errors and the order of checks are those of AWS's runtime interface emulator.

const (
	identifierHeader = "Lambda-Extension-Identifier"
	telemetryPath    = "/2022-07-01/telemetry"
	logsPath         = "/2020-08-15/logs"
)

// errNotAllowed is why a call that comes at the wrong time is refused.
var errNotAllowed = errors.New("State transition is not allowed")

// call serves one request below extensionBase.
func (s *extensions) call(w http.ResponseWriter, r *http.Request, verb string) {
	switch {
	case verb == "register" && r.Method == http.MethodPost:
		s.register(w, r)
	case verb == "event/next" && r.Method == http.MethodGet:
		if x := s.caller(w, r); x != nil {
			s.next(w, r, x)
		}
	case verb == "init/error" && r.Method == http.MethodPost:
		if x := s.caller(w, r); x != nil {
			s.failed(w, r, x, initFailed, registered)
		}
	case verb == "exit/error" && r.Method == http.MethodPost:
		if x := s.caller(w, r); x != nil {
			s.failed(w, r, x, exitFailed, registered, waits, running)
		}
	default:
		apiError(w, http.StatusNotFound, "InvalidRequest", "no such call")
	}
}

// caller is the extension that a request names, or nil when it was refused.
func (s *extensions) caller(w http.ResponseWriter, r *http.Request) *extension {
	id := r.Header.Get(identifierHeader)
	if id == "" {
		apiError(w, http.StatusForbidden, "Extension.MissingExtensionIdentifier", "Missing Lambda-Extension-Identifier header")
		return nil
	}
	if _, err := uuid.Parse(id); err != nil {
		apiError(w, http.StatusForbidden, "Extension.InvalidExtensionIdentifier", "Invalid Lambda-Extension-Identifier")
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, x := range s.all {
		if x.id == id {
			return x
		}
	}
	apiError(w, http.StatusForbidden, "Extension.UnknownExtensionIdentifier", "Unknown extension "+id)
	return nil
}

// refuseTransition answers a call that comes at the wrong time.
func refuseTransition(w http.ResponseWriter, from, to extensionState, who string) {
	apiError(w, http.StatusForbidden, "Extension.InvalidExtensionState",
		"State transition from "+string(from)+" to "+string(to)+" failed for extension "+who+". Error: "+errNotAllowed.Error())
}

func (s *extensions) register(w http.ResponseWriter, r *http.Request) {
	name := r.Header.Get("Lambda-Extension-Name")
	if name == "" {
		apiError(w, http.StatusForbidden, "Extension.InvalidExtensionName", "Empty extension name")
		return
	}
	var asked struct {
		Events            []string `json:"events"`
		ConfigurationKeys []string `json:"configurationKeys"`
	}
	body, err := readAll(r, maxErrorBody)
	if err == nil {
		err = json.Unmarshal(body, &asked)
	}
	if err == nil && len(asked.ConfigurationKeys) > 0 {
		err = errors.New("configurationKeys are deprecated; use environment variables instead")
	}
	if err != nil {
		apiError(w, http.StatusForbidden, "InvalidRequestFormat", err.Error())
		return
	}
	id, refused := s.admit(w, name, asked.Events)
	if refused {
		return
	}
	spec := &s.of.pool.spec
	b := []byte(`{`)
	for f := range strings.SplitSeq(r.Header.Get("Lambda-Extension-Accept-Feature"), ",") {
		if strings.TrimSpace(f) == "accountId" {
			b = append(b, `"accountId":"`+spec.Scope.Account+`",`...)
			break
		}
	}
	b = runner.AppendJSONString(append(b, `"functionName":`...), spec.Name)
	b = append(b, `,"functionVersion":"`+spec.Version+`","handler":`...)
	b = append(runner.AppendJSONString(b, spec.Handler), "}\n"...)
	w.Header().Set(identifierHeader, id)
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(b)
}

// admit registers an extension and returns its identifier, or refuses it.
func (s *extensions) admit(w http.ResponseWriter, name string, events []string) (id string, refused bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.all, func(x *extension) bool { return x.name == name })
	external := i >= 0 && s.all[i].external
	for _, event := range events {
		problem := ""
		switch {
		case event == shutdownEvent && !external:
			problem = "ShutdownEventNotSupportedForInternalExtension"
		case event != invokeEvent && event != shutdownEvent:
			problem = "ErrorInvalidEventType"
		default:
			continue
		}
		apiError(w, http.StatusForbidden, "Extension.InvalidEventType", event+": "+problem)
		return "", true
	}
	switch {
	case external && s.all[i].state != started:
		refuseTransition(w, s.all[i].state, registered, name)
		return "", true
	case external:
		x := s.all[i]
		x.events = events
		s.move(x, registered)
		return x.id, false
	case s.closed:
		apiError(w, http.StatusForbidden, "Extension.RegistrationClosed", "Extension registration closed already")
		return "", true
	case i >= 0:
		apiError(w, http.StatusForbidden, "Extension.InvalidExtensionState", "Extension with this name already registered")
		return "", true
	case len(s.all) >= maxExtensions:
		apiError(w, http.StatusForbidden, "Extension.TooManyExtensions", "Extension limit (10) reached")
		return "", true
	}
	x := &extension{name: name, id: uuid.NewString(), state: registered, events: events, queue: make(chan []byte, 2)}
	s.all = append(s.all, x)
	return x.id, false
}

// next waits for an event and answers with it.
func (s *extensions) next(w http.ResponseWriter, r *http.Request, x *extension) {
	s.mu.Lock()
	if x.state != registered && x.state != running {
		state := x.state
		s.mu.Unlock()
		refuseTransition(w, state, waits, x.id)
		return
	}
	s.move(x, waits)
	s.mu.Unlock()
	var event []byte
	select {
	case event = <-x.queue:
		s.mu.Lock()
		if x.state == waits { // it was told before it asked
			x.state = running
		}
		s.mu.Unlock()
	case <-r.Context().Done():
		s.mu.Lock()
		if x.state == waits {
			x.state = running // it may ask again
		}
		s.mu.Unlock()
		return
	}
	w.Header().Set("Lambda-Extension-Event-Identifier", uuid.NewString())
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(event) // one that is gone shows by its exit
}

// failed takes what an extension says of its failure. What ends it is its exit, which must follow soon.
func (s *extensions) failed(w http.ResponseWriter, r *http.Request, x *extension, to extensionState, from ...extensionState) {
	_, _ = io.CopyN(io.Discard, r.Body, maxErrorBody)
	kind := r.Header.Get("Lambda-Extension-Function-Error-Type")
	if kind == "" {
		apiError(w, http.StatusForbidden, "Extension.MissingHeader", "Lambda-Extension-Function-Error-Type not found")
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case x.state == to: // the first counts
	case !slices.Contains(from, x.state):
		refuseTransition(w, x.state, to, x.id)
		return
	default:
		x.errorType = kind
		s.move(x, to)
	}
	accepted(w)
}

// noTelemetry answers who asks for a stream of logs as AWS's emulator does: nothing comes of it.
func noTelemetry(w http.ResponseWriter, r *http.Request, path string) {
	_, _ = io.CopyN(io.Discard, r.Body, maxErrorBody)
	api, name := "Telemetry", "Telemetry API"
	if path == logsPath {
		api, name = "Logs", "Logs API"
	}
	apiError(w, http.StatusAccepted, api+".NotSupported", name+" is not supported")
}
