package function

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/millstreamdb/millstream/internal/function/logs"
)

// Functions in Go, by AWS's own client: what a caller sees of rows 114 to 119 of the table of handlers.
func TestGoClientRows(t *testing.T) {
	t.Parallel()
	s := open(t, Options{})
	out := filepath.Join(t.TempDir(), "bootstrap")
	if b, err := exec.Command("go", "build", "-ldflags", "-s -w", "-o", out, "./testdata/goclient").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, b)
	}
	program, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	code := makeZip(t, entry{"bootstrap", 0o755, string(program)})
	for _, c := range []struct{ row, name, want, log string }{
		{"114", "struct", `{"ok":1}`, ""},
		{"114", "only-error", `null`, ""},
		{"114", "escapes", `"<a>&\u2028"`, ""},
		{"115", "error", `{"errorMessage":"bad","errorType":"errorString"}`, `{"errorMessage":"bad","errorType":"errorString"}`},
		{"115", "wrapped", `{"errorMessage":"around: bad","errorType":"wrapError"}`, ""},
		{"115", "own", `{"errorMessage":"own","errorType":"MyErr"}`, ""},
		{"115", "own-pointer", `{"errorMessage":"own","errorType":"MyErr"}`, ""},
		{"115", "response", `{"errorMessage":"m","errorType":"Chosen"}`, ""},
		{"116", "panic", `{"errorMessage":"boom","errorType":"string","stackTrace":[{"path":…`, ""},
		{"116", "panic-error", `{"errorMessage":"bad","errorType":"errorString","stackTrace":[{"path":…`, ""},
		{"116", "nil-pointer", `{"errorMessage":"runtime error: invalid memory address or nil pointer dereference","errorType":"errorString","stackTrace":[{…`, ""},
		{"117", "chan", `{"errorMessage":"json: unsupported type: chan int","errorType":"UnsupportedTypeError"}`, ""},
		{"117", "wrong-event", `{"errorMessage":"json: cannot unmarshal object into Go value of type int","errorType":"UnmarshalTypeError"}`, ""},
		{"117", "bad-signature", `{"errorMessage":"handlers may not take more than two arguments, but handler takes 3","errorType":"errorString"}`, ""},
		{"117", "no-function", `{"errorMessage":"handler kind int is not func","errorType":"errorString"}`, ""},
		{"118", "reader", "\x00raw", ""},
		{"118", "half-reader", `{"errorMessage":"the reader broke","errorType":"errorString"}`, ""},
		{"119", "long", `{"errorMessage":"Response payload size exceeded maximum allowed payload size (6291556 bytes).","errorType":"Function.ResponseSizeTooLarge"}`, ""},
		{"119", "exit", `{"errorType":"Runtime.ExitError","errorMessage":"RequestId: … Error: Runtime exited with error: exit status 4"}`, ""},
		{"119", "main", `{"errorType":"Runtime.ExitError","errorMessage":"RequestId: … Error: Runtime exited with error: exit status 2"}`, "panic: main"},
		{"119", "trace", `["Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1","Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"]`, ""},
	} {
		t.Run(c.row+"-"+c.name, func(t *testing.T) {
			t.Parallel()
			r := createRequest(c.name, "provided.al2023", "x", code)
			r.Environment = &Environment{map[string]string{"CASE": c.name}}
			create(t, s, r)
			want := regexp.MustCompile("^" + strings.ReplaceAll(regexp.QuoteMeta(c.want), "…", "(?s:.*)") + "$")
			for range 2 { // also in a process that has failed before, or its successor
				out, err := s.Invoke(t.Context(), scope, Invocation{Name: c.name, Payload: []byte(`{"k":"v"}`), Tail: true,
					TraceID: "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"})
				if err != nil || !want.MatchString(string(out.Payload)) || (out.FunctionError != "") != strings.HasPrefix(c.want, `{"error`) {
					t.Errorf("%v %q %s\nwant %s", err, out.FunctionError, out.Payload, c.want)
				}
				if !strings.Contains(string(out.LogTail), c.log) {
					t.Errorf("the log lacks %q:\n%s", c.log, out.LogTail)
				}
			}
		})
	}
	t.Run("119-late", func(t *testing.T) {
		t.Parallel()
		laterFailure(t, "provided.al2023", "x", code, "exit status 2")
	})
}

// A Node.js function whose promise is rejected after its answer: the call has succeeded, the process ends, and the next
// call succeeds in another (row 38).
func TestRejectionAfterTheAnswer(t *testing.T) {
	if _, err := exec.LookPath("node"); err != nil {
		t.Skip("node is not in PATH")
	}
	t.Parallel()
	for runtime, status := range map[string]string{"nodejs22.x": "exit status 128", "nodejs24.x": "exit status 1"} {
		t.Run(runtime, func(t *testing.T) {
			t.Parallel()
			laterFailure(t, runtime, "index.handler", makeZip(t, js("index.js", `exports.handler = async () => { setTimeout(() => Promise.reject(new Error('late')), 30); return process.pid }`)), status)
		})
	}
}

// laterFailure calls a function whose process fails after each answer, which is its process's id.
func laterFailure(t *testing.T, runtime, handler string, code []byte, status string) {
	t.Helper()
	ended := make(chan struct{}, 16)
	s := open(t, Options{Print: func(lines []logs.Line) {
		for _, l := range lines {
			if strings.HasPrefix(l.Text, "Error: Runtime exited with error: "+status) {
				ended <- struct{}{}
			}
		}
	}})
	r := createRequest("late", runtime, handler, code)
	r.Environment = &Environment{map[string]string{"CASE": "late"}}
	create(t, s, r)
	seen := map[string]bool{}
	for range 2 {
		out := do(t, s, "late", json.RawMessage(`{}`))
		if out.FunctionError != "" || seen[string(out.Payload)] {
			t.Fatalf("%+v %s", out, out.Payload)
		}
		seen[string(out.Payload)] = true
		select {
		case <-ended:
		case <-time.After(20 * time.Second):
			t.Fatalf("the process has not ended with %s: %v", status, s.logs.Log(scope, "late").Recent(100))
		}
	}
}
