package process

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/millstreamdb/millstream/internal/function/runner"
)

// awsClients names a folder that holds AWS's own runtime clients, to be held to the same table as the
// shims: node3 and node4 with the packages of aws-lambda-ric, python with awslambdaric installed.
const awsClients = "MILLSTREAM_AWS_CLIENTS"

// clientRow is one handler of testdata/clients, whose head says what the members mean.
type clientRow struct {
	Row           string
	Code, Handler string
	Files, Env    map[string]string
	Event         *string
	ClientContext string `yaml:"client-context"`
	ContentType   string `yaml:"content-type"`
	Both          outcome
	V3, V4        outcome
	Py11, Py12    outcome
	Log           []string
	Log3, Log4    []string
	NoLog         string
	Trace         []string
	Differs       string
	// May is what AWS's client, and not the shim, does beside the rest when time is short.
	May string
}

// outcome is what a process did, in the order of events.
type outcome []string

func (o *outcome) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.SequenceNode {
		return n.Decode((*[]string)(o))
	}
	var one string
	if err := n.Decode(&one); err != nil {
		return err
	}
	*o = outcome{one, one, "next"}
	if one == "CBD" {
		*o = outcome{"I Runtime.CallbackHandlerDeprecated: ERROR: AWS Lambda has removed support for callback-based function handlers starting with Node.js 24. You need to modify this function to use a supported handler signature to use Node.js 24 or later. For more information see https://docs.aws.amazon.com/lambda/latest/dg/nodejs-handler.html.", "exit 1"}
	}
	return nil
}

func clientRows(t *testing.T, name string) []clientRow {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", "clients", name))
	if err != nil {
		t.Fatal(err)
	}
	var rows []clientRow
	d := yaml.NewDecoder(bytes.NewReader(b))
	d.KnownFields(true)
	if err := d.Decode(&rows); err != nil {
		t.Fatal(err)
	}
	return rows
}

func TestNodeClientRows(t *testing.T) {
	if _, err := exec.LookPath("node"); err != nil {
		t.Skip("node is not in PATH")
	}
	t.Parallel()
	clientCommand := clientCommands(t)
	for i, row := range clientRows(t, "node.yaml") {
		for _, v := range []struct {
			runtime, client string
			want            outcome
			log             []string
		}{
			{"nodejs22.x", "node3", row.V3, row.Log3}, {"nodejs24.x", "node4", row.V4, row.Log4},
		} {
			r := row
			if v.want != nil {
				r.Both = v.want
			}
			r.Log = slices.Concat(r.Log, v.log)
			t.Run(fmt.Sprintf("%s-%d-%s", row.Row, i, v.runtime), func(t *testing.T) {
				t.Parallel()
				c := clientCommand(t, v.runtime)
				dir := os.Getenv(awsClients)
				if dir == "" {
					r.May = ""
				} else {
					if row.Differs != "" {
						t.Skip(row.Differs)
					}
					c.args = []string{c.path, filepath.Join(dir, v.client, "index.mjs"), cmp.Or(row.Handler, "index.handler")}
				}
				r.run(t, c, v.runtime, "index.js")
			})
		}
	}
}

func TestPythonClientRows(t *testing.T) {
	if _, err := exec.LookPath("python3"); err != nil {
		t.Skip("python3 is not in PATH")
	}
	t.Parallel()
	clientCommand := clientCommands(t)
	for i, row := range clientRows(t, "python.yaml") {
		for runtime, want := range map[string]outcome{"python3.11": row.Py11, "python3.13": orElse(row.Py12, row.Both)} {
			if want == nil {
				continue
			}
			r := row
			r.Both = want
			t.Run(fmt.Sprintf("%s-%d-%s", row.Row, i, runtime), func(t *testing.T) {
				t.Parallel()
				c := clientCommand(t, runtime)
				if dir := os.Getenv(awsClients); dir != "" {
					if row.Differs != "" {
						t.Skip(row.Differs)
					}
					c.args = []string{c.path, "-c", "import sys; sys.path[0:0] = [sys.argv.pop(1), sys.argv.pop(1)]; from awslambdaric.__main__ import main; main(sys.argv)", "<dir>", filepath.Join(dir, "python"), cmp.Or(row.Handler, "index.handler")}
				}
				r.run(t, c, runtime, "index.py")
			})
		}
	}
}

// Every row of the table of handlers has its test, or says why it has none.
func TestEveryClientRowIsTested(t *testing.T) {
	const rows = 127
	seen := map[string]bool{}
	for _, name := range []string{"node.yaml", "python.yaml"} {
		for _, r := range clientRows(t, name) {
			seen[r.Row] = true
		}
	}
	b, err := os.ReadFile(filepath.Join("testdata", "clients", "elsewhere.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var others []struct{ Row, What, Test, Except string }
	d := yaml.NewDecoder(bytes.NewReader(b))
	d.KnownFields(true)
	if err := d.Decode(&others); err != nil {
		t.Fatal(err)
	}
	tests := ""
	files, err := filepath.Glob("../*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		tests += string(text)
	}
	for _, o := range others {
		switch {
		case seen[o.Row]:
			t.Errorf("row %s is in a table already", o.Row)
		case o.What == "" || (o.Test == "") == (o.Except == ""):
			t.Errorf("row %s: want what it is, and a test or a reason", o.Row)
		case o.Test != "" && !strings.Contains(tests, "func "+o.Test+"("):
			t.Errorf("row %s: there is no %s", o.Row, o.Test)
		}
		seen[o.Row] = true
	}
	for i := 1; i <= rows; i++ {
		if !seen[strconv.Itoa(i)] {
			t.Errorf("row %d has no test", i)
		}
	}
}

// clientCommands returns how the shim of a runtime is started. Interpreters are looked for once.
func clientCommands(t *testing.T) func(t *testing.T, runtime string) command {
	known := &interpreters{dir: t.TempDir()}
	return func(t *testing.T, runtime string) command {
		t.Helper()
		i, err := known.find(runtime)
		if err != nil {
			t.Fatal(err)
		}
		return i.command()
	}
}

// run starts the client with the row's function, hands it two events, and compares what it does.
func (r clientRow) run(t *testing.T, c command, runtime, file string) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	files := r.Files
	if r.Code != "" {
		files = map[string]string{file: r.Code}
	}
	for name, body := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(body), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	api := &clientAPI{event: `{"k":"v"}`, row: &r, python: strings.HasPrefix(runtime, "python"), done: make(chan string, 16), asked: make(chan struct{}, 16), posted: make(chan struct{}, 16)}
	if r.Event != nil {
		api.event = *r.Event
	}
	server := httptest.NewUnstartedServer(api)
	server.Config.MaxHeaderBytes = 2 << 20
	server.Start()
	defer server.Close()
	defer server.CloseClientConnections()

	for i := range c.args {
		c.args[i] = strings.ReplaceAll(c.args[i], "<dir>", dir)
	}
	cmd := exec.Command(c.path, c.args[1:]...)
	cmd.Dir = dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Env = append(slices.Clone(c.env),
		"PATH="+os.Getenv("PATH"), "LANG=en_US.UTF-8", "TZ=:UTC", "AWS_LAMBDA_RUNTIME_API="+strings.TrimPrefix(server.URL, "http://"),
		"_HANDLER="+cmp.Or(r.Handler, "index.handler"), "LAMBDA_TASK_ROOT="+dir, "AWS_EXECUTION_ENV=AWS_Lambda_"+runtime,
		"AWS_LAMBDA_FUNCTION_NAME=f", "AWS_LAMBDA_FUNCTION_VERSION=$LATEST", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE=128",
		"AWS_LAMBDA_LOG_GROUP_NAME=g", "AWS_LAMBDA_LOG_STREAM_NAME=s")
	for _, name := range slices.Sorted(maps.Keys(r.Env)) {
		cmd.Env = append(cmd.Env, name+"="+strings.ReplaceAll(r.Env[name], "<dir>", dir))
	}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	exited := make(chan string, 1)
	go func() { exited <- exitWord(cmd.Wait()) }()
	patience := 30 * time.Second
	if slices.Contains(r.Both, "timeout") {
		patience = 700 * time.Millisecond
	}
	var got outcome
	timer := time.NewTimer(time.Minute)
	defer timer.Stop()
loop:
	for {
		select {
		case what := <-api.done:
			if got = append(got, what); what == "next" {
				break loop
			}
		case <-api.asked:
			timer.Reset(patience)
		case how := <-exited:
			for len(api.done) > 0 {
				got = append(got, <-api.done)
			}
			got = append(got, how)
			exited <- how
			break loop
		case <-timer.C:
			got = append(got, "timeout")
			break loop
		}
	}
	_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	<-exited
	if r.May != "" {
		got = slices.DeleteFunc(got, func(word string) bool { return word == r.May })
	}
	if len(got) != len(r.Both) {
		t.Fatalf("did %q\nwant  %q\nlog: %q", got, r.Both, out.String())
	}
	for i := range got {
		if !matches(r.Both[i], got[i], dir) {
			t.Errorf("did  %q\nwant %q\nlog: %q", got[i], r.Both[i], out.String())
		}
	}
	lines := strings.Split(out.String(), "\n")
	for _, want := range r.Log {
		if !slices.ContainsFunc(lines, func(l string) bool { return matches(want, l, dir) }) {
			t.Errorf("the log lacks %q:\n%q", want, lines)
		}
	}
	if r.NoLog != "" && strings.Contains(out.String(), r.NoLog) {
		t.Errorf("the log has %q: %q", r.NoLog, out.String())
	}
	for i, want := range r.Trace {
		if i >= len(api.trace) || !matches(want, api.trace[i], dir) {
			t.Fatalf("trace %q, want %q", api.trace, r.Trace)
		}
	}
}

func exitWord(err error) string {
	var status *exec.ExitError
	switch {
	case err == nil:
		return "exit 0"
	case errors.As(err, &status) && status.ExitCode() >= 0:
		return "exit " + strconv.Itoa(status.ExitCode())
	}
	return "exit " + err.Error()
}

var marks = strings.NewReplacer("…", `(?s:.*)`, "<ts>", `\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3})?Z`, "<id>", "id-[12]", "<ms>", `\d+`)

func matches(want, got, dir string) bool {
	pattern := strings.ReplaceAll(marks.Replace(regexp.QuoteMeta(want)), "<dir>", regexp.QuoteMeta(dir))
	return regexp.MustCompile(`^` + pattern + `$`).MatchString(got)
}

// clientAPI is a Runtime API that hands out two events and tells what is posted.
type clientAPI struct {
	event  string
	row    *clientRow
	python bool
	done   chan string
	asked  chan struct{}
	posted chan struct{} // an answer came

	mu    sync.Mutex // guards what follows
	calls int
	trace []string
}

func (a *clientAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := strings.TrimPrefix(r.URL.Path, apiBase)
	if path == "invocation/next" {
		a.mu.Lock()
		a.calls++
		n := a.calls
		a.mu.Unlock()
		if n > 1 { // AWS's client for Node.js may ask before its streamed answer has come; as on the server, that comes first
			late := time.NewTimer(10 * time.Second)
			defer late.Stop()
			select {
			case <-a.posted:
			case <-late.C:
			case <-r.Context().Done():
			}
		}
		if n > 2 {
			a.done <- "next"
			<-r.Context().Done()
			return
		}
		h := w.Header()
		h.Set("Content-Type", cmp.Or(a.row.ContentType, "application/json"))
		h.Set("Content-Length", strconv.Itoa(len(a.event)))
		h.Set("Lambda-Runtime-Aws-Request-Id", fmt.Sprint("id-", n))
		h.Set("Lambda-Runtime-Deadline-Ms", strconv.FormatInt(time.Now().Add(3*time.Second).UnixMilli(), 10))
		h.Set("Lambda-Runtime-Invoked-Function-Arn", "arn")
		if a.row.ClientContext != "" {
			h.Set("Lambda-Runtime-Client-Context", a.row.ClientContext)
		}
		_, _ = io.WriteString(w, a.event)
		a.asked <- struct{}{}
		return
	}
	body, _ := io.ReadAll(r.Body)
	switch {
	case path == "init/error":
		a.done <- a.failure("I", r, body)
	case strings.HasSuffix(path, "/error"):
		a.done <- a.failure("E", r, body)
	default:
		a.done <- response(r, body)
	}
	a.posted <- struct{}{}
	if len(body) > runner.MaxResponse {
		apiError(w, http.StatusRequestEntityTooLarge, "RequestEntityTooLarge", "too large")
		return
	}
	accepted(w)
}

func response(r *http.Request, body []byte) string {
	text := strings.ToValidUTF8(string(body), "\uFFFD")
	if len(body) > 1000 {
		text = fmt.Sprintf("<%d bytes>", len(body))
	}
	text = "R " + strings.ReplaceAll(text, strings.Repeat("\x00", 8), "<8 NUL>")
	kind := r.Header.Get("Content-Type")
	if r.Header.Get("Lambda-Runtime-Function-Response-Mode") == "streaming" {
		kind += ", streaming"
	}
	if kind != "application/json" {
		text += " (" + kind + ")"
	}
	if kind := r.Trailer.Get(trailerErrorType); kind != "" {
		var d struct{ ErrorMessage string }
		document, err := base64.StdEncoding.DecodeString(r.Trailer.Get(trailerErrorBody))
		if err == nil {
			err = json.Unmarshal(document, &d)
		}
		if err != nil {
			d.ErrorMessage = err.Error()
		}
		text += " " + kind + ": " + d.ErrorMessage
	}
	return text
}

// failure describes an error document, and complains when its form is not the client's.
func (a *clientAPI) failure(sign string, r *http.Request, body []byte) string {
	var d struct {
		ErrorType, ErrorMessage string
		RequestID               *string
		Trace, StackTrace       []string
	}
	if err := json.Unmarshal(body, &d); err != nil {
		return sign + " no JSON: " + string(body)
	}
	text := sign + " " + d.ErrorType + ": " + d.ErrorMessage
	form := `{"errorType":`
	trace := d.Trace
	if a.python {
		form, trace = `{"errorMessage": `, d.StackTrace
		if d.RequestID == nil || (sign == "E") != strings.HasPrefix(*d.RequestID, "id-") {
			text += " wrong requestId"
		}
	}
	switch {
	case trace == nil:
		text += " no trace"
	case len(trace) == 0:
		text += " []"
	}
	if !strings.HasPrefix(string(body), form) {
		text += " wrong form: " + string(body)
	}
	if header := r.Header.Get(trailerErrorType); (sign == "I") != (header != "") || header != "" && header != d.ErrorType {
		text += " wrong error type header " + header
	}
	if kind := r.Header.Get("Content-Type"); kind != "application/json" && !(a.python && sign == "I") {
		text += " wrong content type " + kind
	}
	a.mu.Lock()
	a.trace = trace
	a.mu.Unlock()
	return text
}

func orElse(o, otherwise outcome) outcome {
	if o == nil {
		return otherwise
	}
	return o
}
