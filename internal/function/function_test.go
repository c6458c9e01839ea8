package function

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/millstreamdb/millstream/internal/function/logs"
	"github.com/millstreamdb/millstream/internal/schema"
	"github.com/millstreamdb/millstream/internal/store"
)

var scope = schema.Scope{Account: "123456789012", Region: "eu-west-1"}

const role = "arn:aws:iam::123456789012:role/r"

// goBootstrap is the tests' Go function, built once.
var goBootstrap = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "gofunc")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	out := filepath.Join(dir, "bootstrap")
	cmd := exec.Command("go", "build", "-ldflags", "-s -w", "-o", out, "./testdata/gofunc")
	if b, err := cmd.CombinedOutput(); err != nil {
		return b, err
	}
	return os.ReadFile(out)
})

type entry struct {
	name string
	mode fs.FileMode
	body string
}

func makeZip(t testing.TB, entries ...entry) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, e := range entries {
		h := &zip.FileHeader{Name: e.name, Method: zip.Deflate}
		if len(e.body) > 1<<20 { // a program: under the race detector it takes seconds to compress
			h.Method = zip.Store
		}
		h.SetMode(e.mode)
		f, err := w.CreateHeader(h)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write([]byte(e.body)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func goZip(t testing.TB) []byte {
	t.Helper()
	b, err := goBootstrap()
	if err != nil {
		t.Fatalf("go build: %v\n%s", err, b)
	}
	return makeZip(t, entry{"bootstrap", 0o755, string(b)})
}

func open(t testing.TB, o Options) *Service {
	t.Helper()
	s, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func ptr[T any](v T) *T { return &v }

func createRequest(name, runtime, handler string, code []byte) CreateRequest {
	return CreateRequest{
		FunctionName: name, Code: CodeRequest{ZipFile: code},
		Settings: Settings{Role: ptr(role), Runtime: ptr(runtime), Handler: ptr(handler), Timeout: ptr(60)},
	}
}

func create(t testing.TB, s *Service, r CreateRequest) Configuration {
	t.Helper()
	c, err := s.Create(scope, r)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func createGo(t testing.TB, s *Service, name string, change ...func(*CreateRequest)) {
	t.Helper()
	r := createRequest(name, "provided.al2023", "x", goZip(t))
	for _, f := range change {
		f(&r)
	}
	create(t, s, r)
}

// patient gives a function whose timeout was short, because it was to run out, one that does not under load.
func patient(t testing.TB, s *Service, name string) {
	t.Helper()
	if _, err := s.UpdateConfiguration(scope, name, UpdateConfigurationRequest{Settings: Settings{Timeout: ptr(60)}}); err != nil {
		t.Fatal(err)
	}
}

func timeout(seconds int) func(*CreateRequest) {
	return func(r *CreateRequest) { r.Timeout = &seconds }
}

func env(pairs ...string) func(*CreateRequest) {
	return func(r *CreateRequest) {
		m := map[string]string{}
		for i := 0; i < len(pairs); i += 2 {
			m[pairs[i]] = pairs[i+1]
		}
		r.Environment = &Environment{m}
	}
}

func do(t testing.TB, s *Service, name string, event any) Outcome {
	t.Helper()
	payload, err := json.Marshal(event)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	out, err := s.Invoke(ctx, scope, Invocation{Name: name, Payload: payload, Tail: true})
	if err != nil {
		t.Fatalf("Invoke: %v (%s)", err, out.Error)
	}
	return out
}

type m = map[string]any

func want(t testing.TB, out Outcome, functionError, payload string) {
	t.Helper()
	if out.FunctionError != functionError || !strings.Contains(string(out.Payload), payload) {
		t.Fatalf("got %q %.500s, want %q and %s\nlog:\n%s", out.FunctionError, out.Payload, functionError, payload, out.LogTail)
	}
}

func TestGoFunction(t *testing.T) {
	t.Parallel()
	s := open(t, Options{Concurrency: 1, Endpoint: func() string { return "http://127.0.0.1:8000" }})
	createGo(t, s, "f", timeout(20), env("COLOUR", "blue"))

	t.Run("answers", func(t *testing.T) {
		out := do(t, s, "f", m{"do": "echo", "text": "hello"})
		want(t, out, "", `"hello"`)
		if out.ExecutedVersion != "$LATEST" || out.RequestID == "" {
			t.Errorf("outcome %+v", out)
		}
	})
	t.Run("is reused", func(t *testing.T) {
		a, b := do(t, s, "f", m{"do": "pid"}), do(t, s, "f", m{"do": "pid"})
		if string(a.Payload) != string(b.Payload) {
			t.Errorf("two processes for calls one after the other: %s, %s", a.Payload, b.Payload)
		}
	})
	t.Run("sees its context", func(t *testing.T) {
		out, err := s.Invoke(t.Context(), scope, Invocation{
			Name: "f:$LATEST", Payload: []byte(`{"do":"context"}`), RequestID: "11111111-2222-3333-4444-555555555555",
			ClientContext: `{"custom":{"k":"v"}}`,
		})
		if err != nil {
			t.Fatal(err)
		}
		var got struct {
			ID, ARN, Name string
			Remaining     int
			Custom        map[string]string
		}
		if err := json.Unmarshal(out.Payload, &got); err != nil {
			t.Fatal(err)
		}
		if got.ID != "11111111-2222-3333-4444-555555555555" || got.ARN != "arn:aws:lambda:eu-west-1:123456789012:function:f:$LATEST" ||
			got.Name != "f" || got.Remaining < 15000 || got.Remaining > 20000 || got.Custom["k"] != "v" {
			t.Errorf("context %+v", got)
		}
	})
	t.Run("has Lambda's environment", func(t *testing.T) {
		out := do(t, s, "f", m{"do": "env"})
		var list []string
		if err := json.Unmarshal(out.Payload, &list); err != nil {
			t.Fatal(err)
		}
		got := map[string]string{}
		for _, kv := range list {
			k, v, _ := strings.Cut(kv, "=")
			got[k] = v
		}
		for k, v := range map[string]string{
			"COLOUR": "blue", "_HANDLER": "x", "AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "eu-west-1",
			"AWS_LAMBDA_FUNCTION_NAME": "f", "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "128",
			"AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/f", "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand", "TZ": ":UTC",
			"AWS_ACCESS_KEY_ID": "123456789012", "AWS_ENDPOINT_URL_DYNAMODB": "http://127.0.0.1:8000",
			"AWS_ENDPOINT_URL_DYNAMODB_STREAMS": "http://127.0.0.1:8000", "AWS_ENDPOINT_URL_LAMBDA": "http://127.0.0.1:8000",
			"AWS_ENDPOINT_URL": "", "AWS_EXECUTION_ENV": "", "_LAMBDA_SERVER_PORT": "", "AWS_LAMBDA_MAX_CONCURRENCY": "",
		} {
			if got[k] != v {
				t.Errorf("%s=%q, want %q", k, got[k], v)
			}
		}
		for _, service := range []string{"CLOUDWATCH_LOGS", "CLOUDFORMATION", "IAM", "STS", "SQS", "SNS", "SCHEDULER", "EVENTBRIDGE", "S3", "SSM"} { // all that the server has
			if v := got["AWS_ENDPOINT_URL_"+service]; v == "" {
				t.Errorf("there is no endpoint for %s", service)
			}
		}
		if got["AWS_LAMBDA_RUNTIME_API"] == "" || got["LAMBDA_TASK_ROOT"] == "" {
			t.Errorf("no runtime API or task root in %v", got)
		}
	})
	t.Run("logs", func(t *testing.T) {
		out := do(t, s, "f", m{"do": "print", "text": "line", "n": 3})
		tail := string(out.LogTail)
		order := []string{"START RequestId: " + out.RequestID + " Version: $LATEST\n", "line 0\nline 1\nline 2\nno line end\n", "END RequestId: " + out.RequestID, "REPORT RequestId: " + out.RequestID + "\tDuration: "}
		at := 0
		for _, part := range order {
			i := strings.Index(tail[at:], part)
			if i < 0 {
				t.Fatalf("no %q after byte %d of the log:\n%s", part, at, tail)
			}
			at += i
		}
		out = do(t, s, "f", m{"do": "print", "text": strings.Repeat("y", 100), "n": 100})
		if len(out.LogTail) != 4096 {
			t.Errorf("log tail of %d bytes", len(out.LogTail))
		}
	})
	t.Run("fails", func(t *testing.T) {
		out := do(t, s, "f", m{"do": "error", "text": "no such order"})
		want(t, out, "Unhandled", `{"errorMessage":"no such order","errorType":"errorString"}`)
		if out.Error != "errorString: no such order" {
			t.Errorf("Error = %q", out.Error)
		}
	})
	t.Run("panics and comes back", func(t *testing.T) {
		want(t, do(t, s, "f", m{"do": "panic", "text": "ouch"}), "Unhandled", `"errorMessage":"ouch"`)
		want(t, do(t, s, "f", m{"do": "calls"}), "", "1")
	})
	t.Run("exits and comes back", func(t *testing.T) {
		out := do(t, s, "f", m{"do": "exit", "n": 3})
		want(t, out, "Unhandled", `{"errorType":"Runtime.ExitError","errorMessage":"RequestId: `+out.RequestID+` Error: Runtime exited with error: exit status 3"}`)
		if !strings.Contains(string(out.LogTail), "Status: error\tError Type: Runtime.ExitError") {
			t.Errorf("log:\n%s", out.LogTail)
		}
		out = do(t, s, "f", m{"do": "exit"})
		want(t, out, "Unhandled", "Error: Runtime exited without providing a reason")
		want(t, do(t, s, "f", m{"do": "calls"}), "", "1")
	})
	t.Run("answers too much", func(t *testing.T) {
		out := do(t, s, "f", m{"do": "long", "n": 6291556})
		want(t, out, "Unhandled", `{"errorMessage":"Response payload size exceeded maximum allowed payload size (6291556 bytes).","errorType":"Function.ResponseSizeTooLarge"}`)
		out = do(t, s, "f", m{"do": "long", "n": 6291556 - 2})
		if out.FunctionError != "" || len(out.Payload) != 6291556 {
			t.Errorf("the longest answer: %q, %d bytes", out.FunctionError, len(out.Payload))
		}
	})
	t.Run("answers garbage", func(t *testing.T) {
		want(t, do(t, s, "f", m{"do": "garbage"}), "", "\xff\x00 not json")
	})
	t.Run("breaks off in its answer", func(t *testing.T) {
		want(t, do(t, s, "f", m{"do": "halfway"}), "Unhandled", `"errorMessage":"the reader broke"`)
	})
	t.Run("gets an empty body as {}", func(t *testing.T) {
		out, err := s.Invoke(t.Context(), scope, Invocation{Name: "f"})
		if err != nil {
			t.Fatal(err)
		}
		want(t, out, "Unhandled", `what is \"\"?`)
	})
}

func TestParallelCallsGetTheirOwnProcesses(t *testing.T) {
	t.Parallel()
	s := open(t, Options{Concurrency: 3})
	createGo(t, s, "f", timeout(1))
	// Three hang, so three processes run at once; the fourth waits for room.
	var g sync.WaitGroup
	for range 4 {
		g.Go(func() {
			want(t, do(t, s, "f", m{"do": "hang"}), "Unhandled", "Sandbox.Timedout")
		})
	}
	g.Wait()
	patient(t, s, "f")
	var pids sync.Map
	for range 50 {
		g.Go(func() { pids.Store(string(do(t, s, "f", m{"do": "pid"}).Payload), true) })
	}
	g.Wait()
	n := 0
	pids.Range(func(any, any) bool { n++; return true })
	if n == 0 || n > 3 {
		t.Errorf("%d processes with a concurrency of 3", n)
	}
}

func TestTimeoutKillsTheWholeGroup(t *testing.T) {
	t.Parallel()
	s := open(t, Options{})
	createGo(t, s, "f", timeout(1), env("AT_START", "grandchild")) // before its first call, whose time is short
	out := do(t, s, "f", m{"do": "hang"})
	want(t, out, "Unhandled", `{"errorType":"Sandbox.Timedout","errorMessage":"RequestId: `+out.RequestID+` Error: Task timed out after 1.00 seconds"}`)
	if !strings.Contains(string(out.LogTail), "Task timed out after 1.00 seconds") || !strings.Contains(string(out.LogTail), "Status: timeout") {
		t.Errorf("log:\n%s", out.LogTail)
	}
	first := grandchild(t, s)
	awaitGone(t, first)

	patient(t, s, "f")
	out = do(t, s, "f", m{"do": "exit", "n": 9})
	want(t, out, "Unhandled", "Runtime exited with error: exit status 9")
	second := grandchild(t, s)
	if second == first {
		t.Error("no other process has started one")
	}
	awaitGone(t, second)
}

// grandchild returns the process that the last of those of f has started.
func grandchild(t *testing.T, s *Service) (pid int) {
	t.Helper()
	for _, line := range s.Logs().Log(scope, "f").Recent(100) {
		if text, is := strings.CutPrefix(line.Text, "grandchild "); is {
			pid, _ = strconv.Atoi(text)
		}
	}
	if pid == 0 {
		t.Fatal("none was started")
	}
	return pid
}

func TestFunctionThatDiesInItsInit(t *testing.T) {
	t.Parallel()
	s := open(t, Options{})
	createGo(t, s, "f", env("AT_START", "exit"))
	out := do(t, s, "f", m{})
	want(t, out, "Unhandled", `{"errorType":"Runtime.ExitError","errorMessage":"RequestId: `+out.RequestID+` Error: Runtime exited with error: exit status 7"}`)
	if !strings.Contains(string(out.LogTail), "INIT_REPORT Init Duration: ") {
		t.Errorf("log:\n%s", out.LogTail)
	}
}

func TestSigtermExtension(t *testing.T) {
	t.Parallel()
	terminated := make(chan struct{}, 1)
	s := open(t, Options{Print: func(lines []logs.Line) {
		for _, l := range lines {
			if l.Text == "terminated" {
				terminated <- struct{}{}
			}
		}
	}})
	createGo(t, s, "f", env("SIGTERM", "1"))
	want(t, do(t, s, "f", m{"do": "echo", "text": "x"}), "", `"x"`)
	if err := s.Delete(scope, "f", ""); err != nil {
		t.Fatal(err)
	}
	select {
	case <-terminated:
	case <-time.After(30 * time.Second):
		t.Fatal("the process was not asked to end")
	}
}

func TestFunctionThatPrintsForEver(t *testing.T) {
	t.Parallel()
	s := open(t, Options{Dir: t.TempDir()})
	createGo(t, s, "f", timeout(2))
	out := do(t, s, "f", m{"do": "flood"})
	want(t, out, "Unhandled", "Sandbox.Timedout")
	size := int64(0)
	if err := filepath.WalkDir(filepath.Join(s.opts.Dir, "logs"), func(_ string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			i, e := d.Info()
			size, err = size+i.Size(), e
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if size > 20<<20 {
		t.Errorf("%d bytes of log files", size)
	}
	patient(t, s, "f")
	want(t, do(t, s, "f", m{"do": "echo", "text": "well"}), "", `"well"`)
}

// A folder of code that somebody has removed is told at the start, and by each call: the system's own word would be that the program is missing.
func TestMissingCode(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	db, err := store.Open(store.Options{FS: vfs.NewMem(), Dir: "db"})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	s := open(t, Options{Store: db, Dir: dir})
	create(t, s, createRequest("f", "provided.al2023", "h", script(t, "1")))
	if err := errors.Join(s.Close(), removeTree(filepath.Join(dir, "code"))); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	s = open(t, Options{Store: db, Dir: dir, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if text := log.String(); !strings.Contains(text, "code is missing") || !strings.Contains(text, ":function:f") {
		t.Errorf("at the start: %s", text)
	}
	want(t, do(t, s, "f", m{}), "Unhandled", "the function's code is missing")
}

func TestInvalidEntrypoint(t *testing.T) {
	t.Parallel()
	s := open(t, Options{})
	for _, c := range []struct {
		name string
		zip  []byte
		text string
	}{
		{"none", makeZip(t, entry{"readme", 0o644, "x"}), "Couldn't find valid bootstrap(s): [/var/task/bootstrap /opt/bootstrap]"},
		{"mode", makeZip(t, entry{"bootstrap", 0o644, "#!/bin/sh\n"}), "fork/exec /var/task/bootstrap: permission denied"},
		{"shell", makeZip(t, entry{"bootstrap", 0o755, "#!/no/such/shell\n"}), "no such file or directory"},
	} {
		create(t, s, createRequest(c.name, "provided.al2", "x", c.zip))
		out := do(t, s, c.name, m{})
		want(t, out, "Unhandled", c.text)
		want(t, out, "Unhandled", `"errorType":"Runtime.InvalidEntrypoint"`)
	}
}

func TestShellFunction(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("the shell function needs curl, which is not in PATH")
	}
	s := open(t, Options{Concurrency: 1})
	// Posts under a wrong id first, and once more when its call has ended: both
	// are refused and disturb nothing.
	create(t, s, createRequest("f", "provided.al2023", "x", makeZip(t, entry{"bootstrap", 0o755, `#!/bin/sh
base="http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime"
while :; do
  id=$(curl -sS -D - -o /dev/null "$base/invocation/next" | tr -d '\r' | sed -n 's/^[Ll]ambda-[Rr]untime-[Aa]ws-[Rr]equest-[Ii]d: //p')
  wrong=$(curl -sS -o /dev/null -w '%{http_code}' -d '"wrong"' "$base/invocation/00000000-0000-0000-0000-000000000000/response")
  twice=$(curl -sS -o /dev/null -w '%{http_code}' -H "Origin: http://evil.example" "$base/invocation/next")
  curl -sS -d "\"$wrong $twice $last\"" "$base/invocation/$id/response"
  last=$(curl -sS -o /dev/null -w '%{http_code}' -d '"late"' "$base/invocation/$id/response")
done
`})))
	want(t, do(t, s, "f", m{}), "", `"400 403 "`)
	want(t, do(t, s, "f", m{}), "", `"400 403 400"`)
}
