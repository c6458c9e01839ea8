package harness

import (
	"archive/zip"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
)

// Invocation is one call that reached a function.
type Invocation struct {
	N         int // 0 for the function's first
	RequestID string
	At        time.Time
	Raw       []byte
	Records   []events.DynamoDBEventRecord
}

// Answer is what a scripted function does with an invocation.
type Answer struct {
	Body  string // the function's answer; empty means null
	Fail  string // non-empty: return this error
	Exit  bool   // end the process
	Never bool   // do not answer; the server must end the function
}

// OK is the answer of a function that has nothing to say.
var OK = Answer{}

// Function is a Lambda function on the target whose behaviour is a Go function of
// the test. Calls are made one at a time per execution environment of the target,
// so script may run in several goroutines at once.
type Function struct {
	Name string
	ARN  string

	target   *Target
	script   func(Invocation) Answer
	server   *http.Server
	listener net.Listener
	url      string
	ended    chan struct{}

	mu    sync.Mutex
	calls []Invocation
	conns map[string]bool // by the far end's address, those that are open
	moved chan struct{}   // closed and replaced when a call comes, when its script is over, and when a connection comes or goes
}

// FunctionOption changes the request that creates the function.
type FunctionOption func(*lambda.CreateFunctionInput)

// Timeout sets the function's timeout in seconds.
func Timeout(seconds int32) FunctionOption {
	return func(in *lambda.CreateFunctionInput) { in.Timeout = &seconds }
}

// NewFunction creates a function of the recorder's zip; script answers its calls.
// A nil script answers OK.
func (t *Target) NewFunction(tb testing.TB, script func(Invocation) Answer, options ...FunctionOption) *Function {
	tb.Helper()
	if script == nil {
		script = func(Invocation) Answer { return OK }
	}
	f := &Function{Name: Name("f"), target: t, script: script, ended: make(chan struct{}), conns: map[string]bool{}, moved: make(chan struct{})}
	listener, err := net.Listen("tcp", cmp.Or(os.Getenv("CONFORMANCE_CALLBACK_LISTEN"), "127.0.0.1:0"))
	if err != nil {
		tb.Fatal(err)
	}
	f.listener = listener
	f.url = cmp.Or(os.Getenv("CONFORMANCE_CALLBACK_URL"), "http://"+listener.Addr().String()) + "/" + f.Name
	f.server = &http.Server{Handler: http.HandlerFunc(f.serve), ConnState: f.connection}
	go func() { _ = f.server.Serve(listener) }() // ends with Close
	tb.Cleanup(func() {
		close(f.ended)
		_ = f.server.Close()
	})
	f.Deploy(tb, options...)
	tb.Cleanup(func() { f.Remove(tb) })
	return f
}

// Deploy creates the function on the target (again, after Remove).
func (f *Function) Deploy(tb testing.TB, options ...FunctionOption) {
	tb.Helper()
	in := &lambda.CreateFunctionInput{
		FunctionName:  &f.Name,
		Role:          &f.target.Role,
		Runtime:       types.RuntimeProvidedal2023,
		Handler:       aws.String("bootstrap"),
		Architectures: []types.Architecture{architecture()},
		Timeout:       aws.Int32(30),
		Code:          &types.FunctionCode{ZipFile: RecorderZip(tb)},
		Environment:   &types.Environment{Variables: map[string]string{"CONFORMANCE_CALLBACK": f.url}},
	}
	for _, option := range options {
		option(in)
	}
	out, err := f.target.Lambda.CreateFunction(tb.Context(), in)
	Supported(tb, "CreateFunction", err)
	f.ARN = aws.ToString(out.FunctionArn)
	Eventually(tb, 2*time.Minute, "function Active", func() bool {
		got, err := f.target.Lambda.GetFunctionConfiguration(tb.Context(), &lambda.GetFunctionConfigurationInput{FunctionName: &f.Name})
		if err != nil {
			tb.Fatalf("GetFunctionConfiguration: %v", err)
		}
		return got.State == types.StateActive
	})
}

func (f *Function) connection(c net.Conn, state http.ConnState) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch state {
	case http.StateNew:
		f.conns[c.RemoteAddr().String()] = true
	case http.StateClosed, http.StateHijacked:
		delete(f.conns, c.RemoteAddr().String())
	default:
		return
	}
	f.wake()
}

// AllIn waits, after the target was killed, until each call has come in that its processes made:
// what they sent may still lie in a socket when they are gone.
func (f *Function) AllIn(tb testing.TB) {
	tb.Helper()
	// Connections are accepted in their order: when this one is, all before it were.
	last, err := net.Dial("tcp", f.listener.Addr().String())
	if err != nil {
		tb.Fatal(err)
	}
	f.Await(tb, time.Minute, "the last connection came in", func([]Invocation) bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		return f.conns[last.LocalAddr().String()]
	})
	if err := last.Close(); err != nil {
		tb.Fatal(err)
	}
	f.Await(tb, time.Minute, "every connection ended", func([]Invocation) bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		return len(f.conns) == 0
	})
}

// Remove deletes the function; one that is gone is fine.
func (f *Function) Remove(tb testing.TB) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	_, err := f.target.Lambda.DeleteFunction(ctx, &lambda.DeleteFunctionInput{FunctionName: &f.Name})
	if err != nil && ErrorCode(err) != "ResourceNotFoundException" {
		tb.Logf("DeleteFunction %s: %v", f.Name, err)
	}
}

func (f *Function) serve(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the function was killed while it sent
	}
	var event events.DynamoDBEvent
	_ = json.Unmarshal(body, &event) // an Invoke may carry anything
	call := Invocation{RequestID: r.Header.Get("Request-Id"), At: time.Now(), Raw: body, Records: event.Records}
	f.mu.Lock()
	call.N = len(f.calls)
	f.calls = append(f.calls, call)
	f.wake()
	f.mu.Unlock()
	answer := f.script(call)
	f.mu.Lock()
	f.wake() // what a test awaits may be what its script has counted
	f.mu.Unlock()
	switch {
	case answer.Never:
		select {
		case <-r.Context().Done():
		case <-f.ended:
		}
	case answer.Exit:
		w.WriteHeader(http.StatusBadGateway)
	case answer.Fail != "":
		w.WriteHeader(http.StatusInternalServerError)
		_, _ = io.WriteString(w, answer.Fail) // a reader that has gone shows in the calls
	default:
		_, _ = io.WriteString(w, answer.Body)
	}
}

// wake lets all that wait in Await look again. The caller holds the lock.
func (f *Function) wake() {
	close(f.moved)
	f.moved = make(chan struct{})
}

// Calls returns the calls so far.
func (f *Function) Calls() []Invocation {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]Invocation(nil), f.calls...)
}

// Received returns the records of all calls so far, in order of arrival.
func (f *Function) Received() []events.DynamoDBEventRecord {
	var all []events.DynamoDBEventRecord
	for _, call := range f.Calls() {
		all = append(all, call.Records...)
	}
	return all
}

// Await waits until enough says so of the calls so far, and returns them.
func (f *Function) Await(tb testing.TB, limit time.Duration, what string, enough func([]Invocation) bool) []Invocation {
	tb.Helper()
	deadline := time.NewTimer(limit)
	defer deadline.Stop()
	for {
		f.mu.Lock()
		calls, moved := append([]Invocation(nil), f.calls...), f.moved
		f.mu.Unlock()
		if enough(calls) {
			return calls
		}
		select {
		case <-moved:
		case <-deadline.C:
			tb.Fatalf("function %s, not within %v: %s (%d calls)", f.Name, limit, what, len(calls))
		}
	}
}

// AwaitRecords waits until n records have been received, repeats included.
func (f *Function) AwaitRecords(tb testing.TB, n int) []events.DynamoDBEventRecord {
	tb.Helper()
	f.Await(tb, 2*time.Minute, fmt.Sprintf("%d records", n), func(calls []Invocation) bool {
		got := 0
		for _, c := range calls {
			got += len(c.Records)
		}
		return got >= n
	})
	return f.Received()
}

// MappingOption changes the request that creates a mapping.
type MappingOption func(*lambda.CreateEventSourceMappingInput)

// Map attaches the function to a stream from TRIM_HORIZON and waits until the
// mapping is Enabled. It returns its UUID and deletes it at the end of the test.
func (f *Function) Map(tb testing.TB, streamARN string, options ...MappingOption) string {
	tb.Helper()
	in := &lambda.CreateEventSourceMappingInput{
		EventSourceArn: &streamARN, FunctionName: &f.Name, StartingPosition: types.EventSourcePositionTrimHorizon,
	}
	for _, option := range options {
		option(in)
	}
	out, err := f.target.Lambda.CreateEventSourceMapping(tb.Context(), in)
	Supported(tb, "CreateEventSourceMapping", err)
	id := aws.ToString(out.UUID)
	tb.Cleanup(func() { f.target.Unmap(tb, id) })
	want := "Enabled"
	if in.Enabled != nil && !*in.Enabled {
		want = "Disabled"
	}
	f.target.AwaitMapping(tb, id, want)
	return id
}

// AwaitMapping waits until a mapping is in the given state.
func (t *Target) AwaitMapping(tb testing.TB, id, state string) {
	tb.Helper()
	Eventually(tb, 5*time.Minute, "mapping "+state, func() bool {
		got, err := t.Lambda.GetEventSourceMapping(tb.Context(), &lambda.GetEventSourceMappingInput{UUID: &id})
		if err != nil {
			tb.Fatalf("GetEventSourceMapping: %v", err)
		}
		return aws.ToString(got.State) == state
	})
}

// Unmap deletes a mapping; one that is gone is fine.
func (t *Target) Unmap(tb testing.TB, id string) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	_, err := t.Lambda.DeleteEventSourceMapping(ctx, &lambda.DeleteEventSourceMappingInput{UUID: &id})
	if err != nil && ErrorCode(err) != "ResourceNotFoundException" {
		tb.Logf("DeleteEventSourceMapping %s: %v", id, err)
	}
}

func architecture() types.Architecture {
	if runtime.GOARCH == "arm64" {
		return types.ArchitectureArm64
	}
	return types.ArchitectureX8664
}

var recorderOnce = sync.OnceValues(func() ([]byte, error) {
	dir, err := scratch()
	if err != nil {
		return nil, err
	}
	bin := filepath.Join(dir, "recorder")
	cmd := exec.Command("go", "build", "-ldflags=-s -w", "-o", bin, "github.com/millstreamdb/millstream/test/conformance/recorder")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if system := os.Getenv("CONFORMANCE_GOOS"); system != "" {
		cmd.Env = append(cmd.Env, "GOOS="+system)
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build the recorder: %w\n%s", err, out)
	}
	code, err := os.ReadFile(bin)
	if err != nil {
		return nil, err
	}
	return Zip(map[string][]byte{"bootstrap": code})
})

// RecorderZip returns the recorder as a deployment package.
func RecorderZip(tb testing.TB) []byte {
	tb.Helper()
	code, err := recorderOnce()
	if err != nil {
		tb.Fatal(err)
	}
	return code
}

// Zip returns an archive of executable files.
func Zip(files map[string][]byte) ([]byte, error) {
	var buf bytes.Buffer
	w := zip.NewWriter(&buf)
	for name, data := range files {
		h := &zip.FileHeader{Name: name, Method: zip.Deflate}
		h.SetMode(0o755)
		f, err := w.CreateHeader(h)
		if err != nil {
			return nil, err
		}
		if _, err := f.Write(data); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return buf.Bytes(), nil
}
