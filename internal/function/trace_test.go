package function

import (
	"encoding/json"
	"os/exec"
	"regexp"
	"testing"
	"time"
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
