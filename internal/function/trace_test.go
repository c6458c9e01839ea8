package function

import (
	"encoding/json"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/millstreamdb/millstream/internal/trace"
)

func TestTraceHeader(t *testing.T) {
	const root, parent = "1-5759e988-bd862e3fe1be46a994272793", "53995c3f42cd8ad8"
	now := time.Unix(0x65000000, 0)
	for _, c := range []struct {
		given  string
		active bool
		want   string
	}{
		{"", false, `^Root=1-65000000-[0-9a-f]{24};Parent=[0-9a-f]{16};Sampled=0$`},
		{"", true, `^Root=1-65000000-[0-9a-f]{24};Parent=[0-9a-f]{16};Sampled=1$`},
		{"Root=" + root + ";Parent=" + parent + ";Sampled=1", false, `^Root=` + root + `;Parent=` + parent + `;Sampled=1$`},
		{"Root=" + root + ";Parent=" + parent + ";Sampled=0", true, `^Root=` + root + `;Parent=[0-9a-f]{16};Sampled=0$`},
		{"Sampled=?; Root=" + root, true, `^Root=` + root + `;Parent=[0-9a-f]{16};Sampled=1$`},
		{"Self=1-1-1;Root=" + root + ";Lineage=1:a87bd80c:0;Other=x", false, `^Root=` + root + `;Parent=[0-9a-f]{16};Sampled=0;Lineage=1:a87bd80c:0$`},
		{"Root=nonsense;Parent=" + parent + ";Sampled=1", false, `^Root=1-65000000-[0-9a-f]{24};Parent=[0-9a-f]{16};Sampled=1$`},
	} {
		if got := traceHeader(c.given, c.active, now); !regexp.MustCompile(c.want).MatchString(got) {
			t.Errorf("%q, active %v: %q, want %s", c.given, c.active, got, c.want)
		}
	}
}

// Every call has a trace in its environment, in every language: the caller's, or one of its own.
func TestTraceReachesTheFunction(t *testing.T) {
	t.Parallel()
	s := open(t, Options{})
	for name, r := range map[string]CreateRequest{
		"node22": createRequest("node22", "nodejs22.x", "index.handler", makeZip(t, js("index.js", `exports.handler = async () => process.env._X_AMZN_TRACE_ID`))),
		"node24": createRequest("node24", "nodejs24.x", "index.handler", makeZip(t, js("index.js", `exports.handler = async (e, c) => c.xRayTraceId === process.env._X_AMZN_TRACE_ID && c.xRayTraceId`))),
		"python": createRequest("python", "python3.13", "app.handler", makeZip(t, js("app.py", "import os\ndef handler(event, context):\n    return os.environ['_X_AMZN_TRACE_ID']\n"))),
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := exec.LookPath(map[bool]string{true: "python3", false: "node"}[name == "python"]); err != nil {
				t.Skip(err)
			}
			r.TracingConfig = &TracingConfig{tracingActive}
			create(t, s, r)
			given := "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=0"
			for _, c := range []struct{ given, want string }{
				{given, `^Root=1-5759e988-bd862e3fe1be46a994272793;Parent=[0-9a-f]{16};Sampled=0$`},
				{"", `^Root=1-[0-9a-f]{8}-[0-9a-f]{24};Parent=[0-9a-f]{16};Sampled=1$`},
			} {
				out, err := s.Invoke(t.Context(), scope, Invocation{Name: name, TraceID: c.given})
				var got string
				if err != nil || json.Unmarshal(out.Payload, &got) != nil || !regexp.MustCompile(c.want).MatchString(got) {
					t.Errorf("with %q: %s, %v; want %s", c.given, out.Payload, err, c.want)
				}
			}
		})
	}
}

// tracer notes what is begun.
type tracer struct {
	mu    sync.Mutex // guards begun
	begun []string
}

type span trace.ID

func (t *tracer) Begin(parent trace.ID, name string, _ trace.Kind, _ time.Time, _ []trace.ID) trace.Span {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.begun = append(t.begun, name+" "+parent.Header())
	return span(parent)
}

func (s span) ID() trace.ID        { return trace.ID(s) }
func (span) Note(string, any)      {}
func (span) End(time.Time, string) {}

// Every attempt of an Event invocation goes on with the trace of its request, and so does the function that is told of its end.
func TestEventsCarryTheTrace(t *testing.T) {
	const header = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"
	synctest.Test(t, func(t *testing.T) {
		tracer := &tracer{}
		s := open(t, Options{Tracer: tracer})
		r := &recorder{fails: 1}
		for name, run := range map[string]GoFunc{"g": r.run, "told": (&recorder{}).run} {
			if err := s.RegisterGo(scope, name, run); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := s.PutEventConfig(scope, "g", "", EventConfigRequest{DestinationConfig: &DestinationTable{OnSuccess: DestinationName{scope.FunctionARN("told")}}}); err != nil {
			t.Fatal(err)
		}
		if _, err := s.InvokeEvent(scope, Invocation{Name: "g", TraceID: header + ";Lineage=1:a87bd80c:0"}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour) // of the bubble's clock
		synctest.Wait()
		if got := strings.Join(tracer.begun, "\n"); got != "invoke g "+header+"\ninvoke g "+header+"\ninvoke told "+header {
			t.Errorf("begun:\n%s", got)
		}
	})
}
