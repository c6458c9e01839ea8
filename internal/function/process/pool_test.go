package process

import (
	"context"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/millstreamdb/millstream/internal/function/logs"
	"github.com/millstreamdb/millstream/internal/function/runner"
	"github.com/millstreamdb/millstream/internal/schema"
)

// newPool returns a pool whose function is a shell script.
func newPool(t *testing.T, script string, change func(*Options, *runner.Spec)) *Pool {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "bootstrap"), []byte("#!/bin/sh\n"+script), 0o755); err != nil {
		t.Fatal(err)
	}
	sink, err := logs.Open("", time.Now, nil)
	if err != nil {
		t.Fatal(err)
	}
	o := Options{
		ShimDir: t.TempDir(), Endpoint: func() string { return "" }, Credentials: func(schema.Scope) Credentials { return Credentials{} },
		InitLimit: 2 * time.Minute, IdleTimeout: time.Minute, Now: time.Now, Logger: slog.New(slog.DiscardHandler),
	}
	spec := runner.Spec{Name: "f", Runtime: "provided.al2023", CodeDir: dir, Timeout: time.Second, MemoryMB: 128}
	if change != nil {
		change(&o, &spec)
	}
	h := NewHost(o)
	p := h.NewPool(spec, 2, sink.Log(schema.Scope{}, "f"))
	t.Cleanup(func() {
		p.Kill()
		h.Close()
	})
	return p
}

func call(t *testing.T, p *Pool) runner.Result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	return p.Invoke(ctx, runner.Call{RequestID: "id", Payload: []byte("{}")}, nil)
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// An init that takes too long is repeated once, inside the time of the call.
func TestInitThatNeverEnds(t *testing.T) {
	t.Parallel()
	p := newPool(t, "echo started; sleep 600", func(o *Options, s *runner.Spec) { o.InitLimit, s.Timeout = 4*time.Second, 5*time.Second })
	started := time.Now()
	r := call(t, p)
	took := time.Since(started)
	if r.Status != runner.Failed || !strings.Contains(string(r.Payload), `"Sandbox.Timedout"`) || !strings.Contains(string(r.Payload), "Task timed out after 5.00 seconds") {
		t.Errorf("%+v, payload %s", r, r.Payload)
	}
	if took < 9*time.Second {
		t.Errorf("ended after %v: before init and timeout were over", took)
	}
	var starts, reports int
	for _, l := range p.log.Recent(100) {
		if l.Text == "started" {
			starts++
		}
		if strings.HasPrefix(l.Text, "INIT_REPORT") && strings.HasSuffix(l.Text, "Phase: init\tStatus: timeout") {
			reports++
		}
	}
	if starts != 2 || reports != 2 {
		t.Errorf("%d starts and %d reports, want 2 and 2", starts, reports)
	}
}

func TestCallerThatGivesUp(t *testing.T) {
	t.Parallel()
	p := newPool(t, "sleep 600", nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	done := 0
	if r := p.Invoke(ctx, runner.Call{RequestID: "id"}, func() { done++ }); r.Status != runner.NotDelivered || done != 1 {
		t.Errorf("%+v, done %d times", r, done)
	}
}

func TestLateCallIsTakenBack(t *testing.T) {
	t.Parallel()
	p := newPool(t, "sleep 600", nil)
	late := make(chan struct{})
	close(late)
	done := 0
	if r := p.Invoke(t.Context(), runner.Call{RequestID: "id", Late: late}, func() { done++ }); r.Status != runner.NotDelivered || !r.Throttled || done != 1 {
		t.Errorf("%+v, done %d times", r, done)
	}
}

func TestKillEndsCalls(t *testing.T) {
	t.Parallel()
	p := newPool(t, "sleep 600", nil)
	results := make(chan runner.Result)
	go func() { results <- p.Invoke(t.Context(), runner.Call{RequestID: "id"}, nil) }()
	for all, _ := p.Environments(); all == 0; all, _ = p.Environments() {
	}
	p.Kill()
	if r := <-results; r.Status != runner.NotDelivered || !r.Replaced {
		t.Errorf("%+v", r)
	}
	if r := call(t, p); r.Status != runner.NotDelivered || !r.Replaced {
		t.Errorf("after the end: %+v", r)
	}
	if all, _ := p.Environments(); all != 0 {
		t.Errorf("%d processes are left", all)
	}
}

// working is a function that prints before and after its answer, which is the number of its call, and works for ten
// minutes after the second.
const working = `exec python3 -u - <<'E'
import http.client, os, time
api = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
for n in range(9):
    api.request("GET", "/2018-06-01/runtime/invocation/next")
    response = api.getresponse()
    response.read()
    print("before", n)
    api.request("POST", "/2018-06-01/runtime/invocation/" + response.headers["Lambda-Runtime-Aws-Request-Id"] + "/response", "%d" % n)
    api.getresponse().read()
    print("after", n)
    if n == 1:
        time.sleep(600)
E
`

// What a process prints between its answer and its next question belongs to the call, and so does the
// time that it takes.
func TestWorkAfterTheAnswer(t *testing.T) {
	if _, err := exec.LookPath("python3"); err != nil {
		t.Skip("python3 is not in PATH")
	}
	t.Parallel()
	p := newPool(t, working, func(o *Options, s *runner.Spec) { s.Timeout, o.CloseGrace = 4*time.Second, time.Hour })
	p.SetLimit(1)                               // or a second process might be started under load, while the first has not asked for more
	for _, n := range []string{"0", "1", "0"} { // the second process begins where the time of the first ran out
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		r := p.Invoke(ctx, runner.Call{RequestID: "id", Payload: []byte("{}"), Tail: true}, nil)
		cancel()
		if r.Status != runner.OK || string(r.Payload) != n {
			t.Fatalf("%+v, payload %s, want %s", r, r.Payload, n)
		}
		tail := string(r.LogTail)
		if want := "before " + n + "\nafter " + n + "\nEND RequestId: id\nREPORT RequestId: id"; !strings.Contains(tail, want) {
			t.Errorf("log\n%s\nlacks\n%s", tail, want)
		}
		if n == "1" {
			p.gone.Wait() // the process is ended, although it has answered
		}
	}
}

// A call is not held up by what its process does after the answer: its log is closed after a moment.
func TestWorkAfterTheAnswerHoldsNobodyUp(t *testing.T) {
	if _, err := exec.LookPath("python3"); err != nil {
		t.Skip("python3 is not in PATH")
	}
	t.Parallel()
	p := newPool(t, working, func(_ *Options, s *runner.Spec) { s.Timeout = 10 * time.Minute })
	p.SetLimit(1)
	for _, n := range []string{"0", "1"} {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
		r := p.Invoke(ctx, runner.Call{RequestID: "id", Payload: []byte("{}"), Tail: true}, nil)
		cancel()
		if r.Status != runner.OK || string(r.Payload) != n || !strings.Contains(string(r.LogTail), "END RequestId: id\nREPORT RequestId: id") {
			t.Fatalf("%+v, payload %s, log %s", r, r.Payload, r.LogTail)
		}
	}
}
