package process

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/millstreamdb/millstream/internal/function/runner"
	"github.com/millstreamdb/millstream/internal/function/sandbox"
)

// The tests' programs are this binary under other names: a runtime as bootstrap, extensions that do what
// their names say.
func TestMain(m *testing.M) {
	switch name := filepath.Base(os.Args[0]); {
	case name == "bootstrap":
		actRuntime()
	case strings.HasPrefix(name, "x-"):
		actExtension(name)
	default:
		os.Exit(m.Run())
	}
}

// actor is a program that speaks to the Runtime API and prints what it does.
type actor struct{ name, id string }

func (a *actor) say(format string, args ...any) {
	fmt.Printf("%s: %s\n", a.name, fmt.Sprintf(format, args...)) // one write, so that lines do not mix
}

// do sends one request; body nil is a GET.
func (a *actor) do(path string, headers map[string]string, body []byte) (int, http.Header, []byte) {
	method := http.MethodGet
	if body != nil {
		method = http.MethodPost
	}
	r, err := http.NewRequest(method, "http://"+os.Getenv("AWS_LAMBDA_RUNTIME_API")+path, bytes.NewReader(body))
	if err != nil {
		panic(err)
	}
	if a.id != "" {
		r.Header.Set("Lambda-Extension-Identifier", a.id)
	}
	for k, v := range headers {
		r.Header.Set(k, v)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		os.Exit(3)
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	if err != nil {
		os.Exit(3)
	}
	return answer.StatusCode, answer.Header, b
}

func (a *actor) register(name, events string) (int, []byte) {
	status, h, b := a.do(extensionBase+"register", map[string]string{"Lambda-Extension-Name": name, "Lambda-Extension-Accept-Feature": "accountId"}, []byte(`{"events":[`+events+`]}`))
	if id := h.Get("Lambda-Extension-Identifier"); id != "" {
		a.id = id
	}
	return status, b
}

func actRuntime() {
	a := &actor{name: "runtime"}
	a.say("starts")
	terminated := make(chan os.Signal, 1)
	if os.Getenv("DEAF") != "" {
		signal.Ignore(syscall.SIGTERM)
	} else {
		signal.Notify(terminated, syscall.SIGTERM)
		go func() {
			<-terminated
			a.say("terminated")
			os.Exit(0)
		}()
	}
	internal := &actor{name: "internal"}
	if events, is := os.LookupEnv("INTERNAL"); is {
		status, _ := internal.register("internal", events)
		internal.say("registered %d", status)
		go func() {
			for {
				_, _, event := internal.do(extensionBase+"event/next", nil, nil)
				internal.say("%s", event)
			}
		}()
	}
	for {
		_, h, payload := a.do(apiBase+"invocation/next", nil, nil)
		if string(payload) == `"late"` {
			_, b := (&actor{}).register("late", "")
			a.say("%s", b)
		}
		if string(payload) == `"hang"` {
			time.Sleep(time.Hour)
		}
		a.say("call")
		a.do(apiBase+"invocation/"+h.Get("Lambda-Runtime-Aws-Request-Id")+"/response", nil, []byte(`"done"`))
	}
}

func actExtension(name string) {
	a := &actor{name: name}
	if name == "x-never" {
		time.Sleep(time.Hour)
	}
	if name == "x-z-crash-init" {
		os.Exit(4)
	}
	events := `"INVOKE","SHUTDOWN"`
	if name == "x-deaf" {
		events = `"INVOKE"`
	}
	if name == "x-b" {
		time.Sleep(50 * time.Millisecond) // a runtime that did not wait would start first
	}
	a.say("registers")
	status, b := a.register(name, events)
	a.say("registered %d %s", status, bytes.TrimSpace(b))
	if name == "x-z-init-error" {
		_, _, b = a.do(extensionBase+"init/error", nil, []byte("{}"))
		a.say("%s", b)
		status, _, b = a.do(extensionBase+"init/error", map[string]string{"Lambda-Extension-Function-Error-Type": "Extension.NoConfig"}, []byte("{}"))
		a.say("%d %s", status, b)
		os.Exit(5)
	}
	for {
		var event struct {
			EventType, ShutdownReason, RequestID, InvokedFunctionArn string
			DeadlineMs                                               int64
			Tracing                                                  struct{ Type, Value string }
		}
		_, _, b := a.do(extensionBase+"event/next", nil, nil)
		if err := json.Unmarshal(b, &event); err != nil {
			panic(err)
		}
		left := time.Until(time.UnixMilli(event.DeadlineMs))
		if left < 500*time.Millisecond || left > 10*time.Second {
			a.say("deadline in %v", left)
		}
		if event.EventType == "SHUTDOWN" {
			a.say("SHUTDOWN %s", event.ShutdownReason)
			if name == "x-stays" {
				select {}
			}
			os.Exit(0)
		}
		a.say("INVOKE %s %s %s %s", event.RequestID, event.InvokedFunctionArn, event.Tracing.Type, event.Tracing.Value)
		switch name {
		case "x-crash":
			os.Exit(1)
		case "x-exit-error":
			status, _, b = a.do(extensionBase+"exit/error", map[string]string{"Lambda-Extension-Function-Error-Type": "Extension.Odd"}, []byte("{}"))
			a.say("%d %s", status, b)
			os.Exit(1)
		case "x-slow":
			time.Sleep(300 * time.Millisecond)
			a.say("has flushed")
		}
	}
}

// withExtensions returns a pool whose runtime and extensions are programs of this binary. Each list is a layer.
func withExtensions(t *testing.T, env map[string]string, layers ...[]string) *Pool {
	t.Helper()
	return withExtensionsOn(t, nil, env, layers...)
}

// withExtensionsOn runs them in a sandbox of m, unless that is nil.
func withExtensionsOn(t *testing.T, m *sandbox.Machine, env map[string]string, layers ...[]string) *Pool {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return newPool(t, "", func(o *Options, s *runner.Spec) {
		o.Sandbox = m
		s.CodeDir, s.Env, s.Timeout, s.Version, s.Handler = t.TempDir(), env, 5*time.Second, "$LATEST", "h"
		s.Scope.Account = "123456789012"
		if m != nil { // where memory is limited: with the race detector this program, which is the function's, takes all that there is
			s.MemoryMB = 1 << 26
		}
		place(t, self, filepath.Join(s.CodeDir, "bootstrap"))
		for _, names := range layers {
			dir := t.TempDir()
			if err := os.Mkdir(filepath.Join(dir, "extensions"), 0o755); err != nil {
				t.Fatal(err)
			}
			for _, name := range names {
				path := filepath.Join(dir, "extensions", name)
				if !strings.HasSuffix(name, ".txt") {
					place(t, self, path)
				} else if err := os.WriteFile(path, nil, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			s.Layers = append(s.Layers, dir)
		}
		o.InitLimit = time.Second
		if env["INIT"] == "" {
			o.InitLimit = 2 * time.Minute
		}
	})
}

// place puts a program at a path, as one of the package's own: a link would lead out of it.
func place(t *testing.T, program, path string) {
	t.Helper()
	if os.Link(program, path) == nil {
		return
	}
	b, err := os.ReadFile(program) // it lies on another disk
	if err == nil {
		err = os.WriteFile(path, b, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// printed are the lines of a pool's log, ids and times taken out.
func printed(p *Pool) (lines []string) {
	for _, l := range p.log.Recent(1000) {
		if !strings.HasPrefix(l.Text, "REPORT") && !strings.HasPrefix(l.Text, "INIT_START") {
			lines = append(lines, l.Text)
		}
	}
	return lines
}

// inOrder complains unless the lines are there, in that order.
func inOrder(t *testing.T, p *Pool, want ...string) {
	t.Helper()
	lines, at := printed(p), 0
	for _, w := range want {
		i := slices.IndexFunc(lines[at:], func(l string) bool { return strings.HasPrefix(l, w) })
		if i < 0 {
			t.Fatalf("%q is missing or early; the log:\n%s", w, strings.Join(lines, "\n"))
		}
		at += i + 1
	}
}

func lacks(t *testing.T, p *Pool, what string) {
	t.Helper()
	if all := strings.Join(printed(p), "\n"); strings.Contains(all, what) {
		t.Errorf("%q is in the log:\n%s", what, all)
	}
}

// The order that AWS documents: extensions register, the runtime starts, all ask for their next event, the calls,
// and at the end the runtime first, then the extensions.
func TestExtensionsInOrder(t *testing.T) {
	t.Parallel()
	extensionsInOrder(t, nil)
}

func extensionsInOrder(t *testing.T, m *sandbox.Machine) {
	p := withExtensionsOn(t, m, map[string]string{"INTERNAL": `"INVOKE"`}, []string{"x-a"}, []string{"x-a", "x-b"})
	for _, id := range []string{"one", "two"} {
		r := p.Invoke(t.Context(), runner.Call{RequestID: id, ARN: "arn:f", Payload: []byte(`"late"`), TraceID: "Root=1", Tail: true}, nil)
		if r.Status != runner.OK || string(r.Payload) != `"done"` {
			t.Fatalf("%+v", r)
		}
	}
	p.Close()
	inOrder(t, p,
		"x-a: registers", "runtime: starts", "internal: registered 200",
		"EXTENSION\tName: x-a\tState: Ready\tEvents: [INVOKE,SHUTDOWN]", "EXTENSION\tName: x-b\tState: Ready\tEvents: [INVOKE,SHUTDOWN]", "EXTENSION\tName: internal\tState: Ready\tEvents: [INVOKE]",
		"START RequestId: one", `runtime: {"errorMessage":"Extension registration closed already","errorType":"Extension.RegistrationClosed"}`, "runtime: call", "END RequestId: one",
		"START RequestId: two", "runtime: call", "END RequestId: two", "runtime: terminated", "x-b: SHUTDOWN spindown")
	// What it prints of the answer may come behind what the runtime prints.
	inOrder(t, p, `x-a: registered 200 {"accountId":"123456789012","functionName":"f","functionVersion":"$LATEST","handler":"h"}`, "EXTENSION\tName: x-a\tState: Ready\tEvents: [INVOKE,SHUTDOWN]")
	for _, x := range []string{"x-a", "x-b"} {
		inOrder(t, p, x+": registers", "runtime: starts", x+": INVOKE one arn:f X-Amzn-Trace-Id Root=1", "START RequestId: two", x+": INVOKE two", "runtime: terminated", x+": SHUTDOWN spindown")
	}
	inOrder(t, p, `internal: {"eventType":"INVOKE","deadlineMs":`)
	lacks(t, p, "deadline in")
	if n := strings.Count(strings.Join(printed(p), "\n"), "x-a: registered"); n != 1 {
		t.Errorf("x-a was started %d times: a later layer's program hides an earlier one's", n)
	}
}

// A call is answered when the function has answered; the next begins when every extension has asked for more.
func TestExtensionsWorkAfterTheAnswer(t *testing.T) {
	t.Parallel()
	p := withExtensions(t, nil, []string{"x-slow"})
	p.SetLimit(1)
	call(t, p)
	lacks(t, p, "has flushed")
	call(t, p)
	p.Close()
	inOrder(t, p, "runtime: call", "x-slow: has flushed", "START RequestId: id", "runtime: call")
}

// An extension's failure is the call's, by AWS's names, and the environment's end.
func TestExtensionsThatFail(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]struct {
		payload string
		lines   []string
	}{
		"x-crash": {`{"errorType":"Extension.Crash","errorMessage":"RequestId: id Error: exit status 1"}`,
			[]string{"START RequestId: id", "RequestId: id Error: exit status 1"}},
		"x-exit-error": {`{"errorType":"Extension.ExitError","errorMessage":"RequestId: id Error: exit status 1"}`,
			[]string{`x-exit-error: 202 {"status":"OK"}`}},
		"x-z-crash-init": {`{"errorType":"Extension.Crash","errorMessage":"RequestId: id Error: exit status 4"}`,
			[]string{"EXTENSION\tName: x-z-crash-init\tState: Exited\tEvents: []", "INIT_REPORT", "START RequestId: id"}},
		"x-z-init-error": {`{"errorType":"Extension.InitError","errorMessage":"RequestId: id Error: exit status 5"}`,
			[]string{`x-z-init-error: {"errorMessage":"Lambda-Extension-Function-Error-Type not found","errorType":"Extension.MissingHeader"}`, `x-z-init-error: 202`,
				"EXTENSION\tName: x-z-init-error\tState: InitError\tEvents: [INVOKE,SHUTDOWN]\tError Type: Extension.NoConfig"}},
		"x-none.txt": {`{"errorType":"Extension.LaunchError","errorMessage":"RequestId: id Error: fork/exec …/extensions/x-none.txt: permission denied"}`,
			[]string{"EXTENSION\tName: x-none.txt\tState: LaunchError\tEvents: []\tError Type: PermissionDenied"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := withExtensions(t, map[string]string{"DEAF": "yes"}, []string{"x-other"}, []string{name})
			r := p.Invoke(t.Context(), runner.Call{RequestID: "id", Payload: []byte(`"hang"`)}, nil)
			if r.Status != runner.Failed || !matches(want.payload, string(r.Payload), "") {
				t.Errorf("%+v %s", r, r.Payload)
			}
			p.Close()
			inOrder(t, p, want.lines...)
			if !strings.Contains(name, "-z-") && name != "x-none.txt" { // in the init it may not have registered
				inOrder(t, p, "x-other: SHUTDOWN failure")
			}
		})
	}
	t.Run("too many", func(t *testing.T) {
		t.Parallel()
		var names []string
		for i := range 11 {
			names = append(names, fmt.Sprintf("x-%02d", i))
		}
		p := withExtensions(t, nil, names)
		r := call(t, p)
		p.Close()
		if !strings.Contains(string(r.Payload), `"Extension.LaunchError"`) {
			t.Errorf("%s", r.Payload)
		}
		inOrder(t, p, "EXTENSION\tName: x-10\tState: LaunchError\tEvents: []\tError Type: TooManyExtensions")
	})
}

// The times of the end: what hangs in its init, in a call or in its end is killed.
func TestExtensionsThatTakeTooLong(t *testing.T) {
	t.Parallel()
	var g sync.WaitGroup
	defer g.Wait()
	g.Go(func() { // one that never registers
		p := withExtensions(t, map[string]string{"INIT": "short"}, []string{"x-never"})
		if r := call(t, p); !strings.Contains(string(r.Payload), `"Sandbox.Timedout"`) {
			t.Errorf("never: %s", r.Payload)
		}
		p.Close()
		lacks(t, p, "runtime: starts")
	})
	g.Go(func() { // a call that hangs, with an extension that is told and one that asks not to be
		p := withExtensions(t, nil, []string{"x-deaf", "x-a"})
		p.spec.Timeout = time.Second
		r := p.Invoke(context.Background(), runner.Call{RequestID: "id", Payload: []byte(`"hang"`)}, nil)
		if !strings.Contains(string(r.Payload), `"Sandbox.Timedout"`) {
			t.Errorf("hang: %s", r.Payload)
		}
		p.Close()
		inOrder(t, p, "START", "runtime: terminated", "x-a: SHUTDOWN timeout")
		lacks(t, p, "x-deaf: SHUTDOWN")
	})
	g.Go(func() { // an end that takes two seconds, and no longer
		p := withExtensions(t, map[string]string{"DEAF": "yes"}, []string{"x-stays"})
		call(t, p)
		began := time.Now()
		p.Close()
		if took := time.Since(began); took < endLimit-100*time.Millisecond {
			t.Errorf("ended after %v", took)
		}
		inOrder(t, p, "x-stays: SHUTDOWN spindown")
	})
}

// Errors of the Extensions API, in the emulator's words.
func TestExtensionsAPIRefuses(t *testing.T) {
	t.Parallel()
	e := newEnvironment(newPool(t, "", nil), false)
	e.addr = "h"
	ask := func(method, path string, headers map[string]string, body string) string {
		r := httptest.NewRequest(method, "http://h"+path, strings.NewReader(body))
		for k, v := range headers {
			r.Header.Set(k, v)
		}
		w := httptest.NewRecorder()
		e.ServeHTTP(w, r)
		return fmt.Sprintf("%d %s", w.Code, w.Body)
	}
	name := map[string]string{"Lambda-Extension-Name": "i"}
	for _, c := range []struct {
		method, path string
		headers      map[string]string
		body, want   string
	}{
		{"POST", extensionBase + "register", nil, "{}", `403 {"errorMessage":"Empty extension name","errorType":"Extension.InvalidExtensionName"}`},
		{"POST", extensionBase + "register", name, "", `403 {"errorMessage":"unexpected end of JSON input","errorType":"InvalidRequestFormat"}`},
		{"POST", extensionBase + "register", name, `{"events":["SHUTDOWN"]}`, `403 {"errorMessage":"SHUTDOWN: ShutdownEventNotSupportedForInternalExtension","errorType":"Extension.InvalidEventType"}`},
		{"POST", extensionBase + "register", name, `{"events":["SLEEP"]}`, `403 {"errorMessage":"SLEEP: ErrorInvalidEventType","errorType":"Extension.InvalidEventType"}`},
		{"GET", extensionBase + "event/next", nil, "", `403 {"errorMessage":"Missing Lambda-Extension-Identifier header","errorType":"Extension.MissingExtensionIdentifier"}`},
		{"GET", extensionBase + "event/next", map[string]string{identifierHeader: "x"}, "", `403 {"errorMessage":"Invalid Lambda-Extension-Identifier","errorType":"Extension.InvalidExtensionIdentifier"}`},
		{"GET", extensionBase + "event/next", map[string]string{identifierHeader: "f6bdd3e2-8a53-4b6c-b0d1-3e6a6a1ac7d3"}, "", `403 {"errorMessage":"Unknown extension f6bdd3e2-8a53-4b6c-b0d1-3e6a6a1ac7d3","errorType":"Extension.UnknownExtensionIdentifier"}`},
		{"POST", extensionBase + "register", name, `{"events":["INVOKE"]}`, "200 {…"},
		{"POST", extensionBase + "register", name, `{"events":["INVOKE"]}`, `403 {"errorMessage":"Extension with this name already registered","errorType":"Extension.InvalidExtensionState"}`},
		{"PUT", telemetryPath, nil, "{}", `202 {"errorMessage":"Telemetry API is not supported","errorType":"Telemetry.NotSupported"}`},
		{"PUT", logsPath, nil, "{}", `202 {"errorMessage":"Logs API is not supported","errorType":"Logs.NotSupported"}`},
	} {
		if got := ask(c.method, c.path, c.headers, c.body); !matches(c.want, got, "") {
			t.Errorf("%s %s %s:\n%s\nwant %s", c.method, c.path, c.body, got, c.want)
		}
	}
	x := e.extensions.all[0]
	x.state = waits
	if got := ask("POST", extensionBase+"init/error", map[string]string{identifierHeader: x.id, "Lambda-Extension-Function-Error-Type": "T"}, ""); got !=
		`403 {"errorMessage":"State transition from Ready to InitError failed for extension `+x.id+`. Error: State transition is not allowed","errorType":"Extension.InvalidExtensionState"}` {
		t.Error(got)
	}
}
