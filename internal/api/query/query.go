package query

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/millstreamdb/millstream/internal/arn"
	"github.com/millstreamdb/millstream/internal/awserr"
)

// MaxBody is the longest form that is read, in bytes.
const MaxBody = 2 << 20

// Service is one service. Its fields do not change once it serves.
type Service struct {
	Name         string // as people call it
	Namespace    string // of its XML
	Operations   map[string]Operation
	Authenticate func(*http.Request) (arn.Scope, *awserr.Error)
	// Refused turns an operation's error into its answer; not ok: it is a fault of the server.
	Refused func(error) (r Refusal, ok bool)
	Logger  *slog.Logger
}

// Operation is one operation of a service.
type Operation struct {
	Serve  func(*Call) error
	Silent bool // its answer has no result
}

// Refusal is an error's answer.
type Refusal struct {
	Status        int // of HTTP
	Code, Message string
}

// Call is one request.
type Call struct {
	Context context.Context
	Scope   arn.Scope
	Form    url.Values
	Out     *Document // the result is written into it
}

// Get is a member's value; empty also when it was not sent.
func (c *Call) Get(name string) string { return c.Form.Get(name) }

// Yes reports whether a member is true.
func (c *Call) Yes(name string) bool { return c.Form.Get(name) == "true" }

// Members are a list's values. An empty list is sent as one empty value under its name.
func (c *Call) Members(name string) (all []string) {
	for i := 1; c.Form.Has(fmt.Sprintf("%s.member.%d", name, i)); i++ {
		all = append(all, c.Form.Get(fmt.Sprintf("%s.member.%d", name, i)))
	}
	return all
}

// Structures are the prefixes of the members of a list of structures, each of which has
// the member first: "Tags.member.1." and so on.
func (c *Call) Structures(name, first string) (all []string) {
	for i := 1; ; i++ {
		at := fmt.Sprintf("%s.member.%d.", name, i)
		if !c.Form.Has(at + first) {
			return all
		}
		all = append(all, at)
	}
}

// ServeHTTP implements http.Handler.
func (s *Service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id := uuid.NewString()
	if r.Method != http.MethodPost {
		s.fail(w, id, Refusal{http.StatusMethodNotAllowed, "MethodNotAllowed", "Millstream takes calls of " + s.Name + " by POST only, as SDKs send them"})
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxBody))
	if err != nil {
		s.fail(w, id, Refusal{http.StatusRequestEntityTooLarge, "RequestEntityTooLarge", "The request is too large or was cut off"})
		return
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		s.fail(w, id, Refusal{http.StatusBadRequest, "MalformedQueryString", "The form could not be read: " + err.Error()})
		return
	}
	for name, values := range r.URL.Query() {
		form[name] = append(form[name], values...)
	}
	scope, refused := s.Authenticate(r)
	if refused != nil {
		s.fail(w, id, Refusal{http.StatusForbidden, awserr.QueryCode(refused.Code), refused.Message})
		return
	}
	action := form.Get("Action")
	op, ok := s.Operations[action]
	if !ok {
		s.fail(w, id, Refusal{http.StatusBadRequest, "InvalidAction", "Could not find operation " + action + " for version " + form.Get("Version") +
			": Millstream has " + strings.Join(slices.Sorted(maps.Keys(s.Operations)), ", ")})
		return
	}
	c := &Call{r.Context(), scope, form, &Document{}}
	if err := op.Serve(c); err != nil {
		refusal, ok := s.Refused(err)
		if !ok {
			s.Logger.Error("a call of "+s.Name+" failed", "action", action, "err", err)
			refusal = Refusal{http.StatusInternalServerError, "InternalFailure", err.Error()}
		}
		s.fail(w, id, refusal)
		return
	}
	var d Document
	d.WriteString("<" + action + `Response xmlns="` + s.Namespace + `">`)
	if !op.Silent {
		d.In(action+"Result", func() { d.WriteString(c.Out.String()) })
	}
	d.In("ResponseMetadata", func() { d.Must("RequestId", id) })
	d.WriteString("</" + action + "Response>")
	write(w, http.StatusOK, id, d.String())
}

func (s *Service) fail(w http.ResponseWriter, id string, r Refusal) {
	whose := "Sender"
	if r.Status >= http.StatusInternalServerError {
		whose = "Receiver"
	}
	var d Document
	d.WriteString(`<ErrorResponse xmlns="` + s.Namespace + `">`)
	d.In("Error", func() { d.Must("Type", whose); d.Must("Code", r.Code); d.Must("Message", r.Message) })
	d.Must("RequestId", id)
	d.WriteString("</ErrorResponse>")
	write(w, r.Status, id, d.String())
}

func write(w http.ResponseWriter, status int, id, body string) {
	w.Header().Set("Content-Type", "text/xml")
	w.Header().Set("x-amzn-RequestId", id)
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body) // the caller has gone: there is nobody to tell
}
