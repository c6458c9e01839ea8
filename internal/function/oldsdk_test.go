package function

import (
	"bytes"
	"log/slog"
	"os/exec"
	"strings"
	"testing"
)

// An SDK that would call the real AWS is told when the function is made, and in the log of a call that
// failed or timed out; not of one that went well.
func TestOldSDKIsTold(t *testing.T) {
	if _, err := exec.LookPath("node"); err != nil {
		t.Skip("node is not in PATH")
	}
	t.Parallel()
	const note = "AWS SDK for JavaScript 2.1692.0 does not know AWS_ENDPOINT_URL"
	var log bytes.Buffer
	s := open(t, Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	r := createRequest("f", "nodejs22.x", "index.handler", makeZip(t, js("node_modules/aws-sdk/package.json", `{"version":"2.1692.0"}`), js("index.js", `
exports.handler = async (event) => {
  if (event.fail) throw new Error('x');
  if (event.hang) await new Promise((resolve) => setTimeout(resolve, 60000));
}`)))
	r.Timeout = ptr(1)
	create(t, s, r)
	if !strings.Contains(log.String(), note) || !strings.Contains(s.Logs().Recent(scope, "f", 1)[0].Text, note) || !s.Logs().Recent(scope, "f", 1)[0].Note {
		t.Errorf("not told when it was made: %s", log.String())
	}
	for event, told := range map[string]bool{`{}`: false, `{"fail":true}`: true, `{"hang":true}`: true} {
		out, err := s.Invoke(t.Context(), scope, Invocation{Name: "f", Payload: []byte(event), Tail: true})
		if err != nil || strings.Contains(string(out.LogTail), note) != told {
			t.Errorf("%s: %v, log\n%s", event, err, out.LogTail)
		}
	}
}
