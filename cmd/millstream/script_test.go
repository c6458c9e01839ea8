package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"millstream": main})
}

// TestScripts runs testdata/*.txtar: command lines and what they print, against
// servers that the scripts start. Beside testscript's own there are the commands
//
//	serve [ARG...]              start `millstream serve` on a free port; MILLSTREAM_ENDPOINT names
//	                            it; what it greets with becomes the file serve.out
//	                            (with --template, also what it deployed)
//	http METHOD URL [BODY]      a request; the answer is the output, a status of 400 and more a failure
//	end                         end it with SIGTERM and want code 0; its stderr becomes the file serve.log
//	                            (stop is testscript's own: it ends the script, and passes)
//	aws OPERATION JSON          an operation of DynamoDB or, with "METHOD /path", of Lambda; the answer is the output
//	function [ANSWER]           an HTTP function that keeps its events; FUNCTION_URL names it. An ANSWER with
//	                            SEQUENCE in it has the number of the first record there
//	capture NAME PATTERN        set a variable to the group of PATTERN in the last output
//	wantevents TEXT...          what the function was called with holds these texts
func TestScripts(t *testing.T) { runScripts(t, "testdata") }

func runScripts(t *testing.T, dir string) {
	testscript.Run(t, testscript.Params{
		Dir: dir,
		Setup: func(e *testscript.Env) error {
			for _, kv := range os.Environ() { // the person's own settings are not the test's
				if name, _, _ := strings.Cut(kv, "="); strings.HasPrefix(name, "MILLSTREAM_") || strings.HasPrefix(name, "AWS_") {
					e.Setenv(name, "")
				}
			}
			e.Values[stateKey{}] = &state{}
			e.Defer(e.Values[stateKey{}].(*state).end)
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"serve":      serveCommand,
			"end":        endCommand,
			"http":       httpCommand,
			"aws":        awsCommand,
			"function":   functionCommand,
			"capture":    captureCommand,
			"wantevents": wantEventsCommand,
		},
		RequireExplicitExec: true,
		Deadline:            time.Now().Add(2 * time.Minute), // a command that waits for ever fails its script
	})
}

type stateKey struct{}

// state is what a script has started.
type state struct {
	server *exec.Cmd
	log    *os.File

	function *httptest.Server
	mu       sync.Mutex // guards events
	events   []string
}

func (s *state) end() {
	if s.server != nil {
		_ = s.server.Process.Kill() // it may be gone
		_ = s.server.Wait()
	}
	if s.function != nil {
		s.function.Close()
	}
}

func of(ts *testscript.TestScript) *state { return ts.Value(stateKey{}).(*state) }

func serveCommand(ts *testscript.TestScript, neg bool, args []string) {
	s := of(ts)
	program, err := exec.LookPath("millstream") // testscript has put it on the path
	ts.Check(err)
	s.log, err = os.Create(ts.MkAbs("serve.log"))
	ts.Check(err)
	s.server = exec.Command(program, append([]string{"serve", "--listen", "127.0.0.1:0"}, args...)...)
	s.server.Dir = ts.MkAbs(".")
	s.server.Stderr = s.log
	for _, name := range []string{"PATH", "HOME", "TMPDIR", "MILLSTREAM_DURABILITY", "MILLSTREAM_DATA"} {
		s.server.Env = append(s.server.Env, name+"="+ts.Getenv(name))
	}
	out, err := s.server.StdoutPipe()
	ts.Check(err)
	ts.Check(s.server.Start())
	var greeting strings.Builder
	for lines := bufio.NewScanner(out); lines.Scan(); {
		fmt.Fprintln(&greeting, lines.Text())
		if _, rest, ok := strings.Cut(lines.Text(), "AWS_ENDPOINT_URL="); ok {
			endpoint, _, _ := strings.Cut(rest, " ")
			ts.Setenv("MILLSTREAM_ENDPOINT", endpoint)
		}
		last := "AWS_REGION="
		if slices.Contains(args, "--template") {
			last = "Deployed "
		} else if slices.Contains(args, "--admin-listen") {
			last = "own commands: "
		}
		if strings.Contains(lines.Text(), last) {
			ts.Check(os.WriteFile(ts.MkAbs("serve.out"), []byte(greeting.String()), 0o644))
			go func() { _, _ = io.Copy(io.Discard, out) }()
			return
		}
	}
	log, _ := os.ReadFile(s.log.Name())
	ts.Fatalf("serve ended: %s", log)
}

func httpCommand(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 2 || len(args) > 3 {
		ts.Fatalf("usage: http METHOD URL [BODY]")
	}
	req, err := http.NewRequest(args[0], args[1], strings.NewReader(strings.Join(args[2:], "")))
	ts.Check(err)
	res, err := http.DefaultClient.Do(req)
	ts.Check(err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	ts.Check(err)
	fmt.Fprintf(ts.Stdout(), "%s\n", body)
	if failed := res.StatusCode >= 400; failed != neg {
		ts.Fatalf("%s %s: %s: %s", args[0], args[1], res.Status, body)
	}
}

func endCommand(ts *testscript.TestScript, neg bool, args []string) {
	s := of(ts)
	ts.Check(s.server.Process.Signal(syscall.SIGTERM))
	err := s.server.Wait()
	s.server = nil
	if err != nil {
		log, _ := os.ReadFile(s.log.Name())
		ts.Fatalf("serve: %v\n%s", err, log)
	}
}

func awsCommand(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: aws OPERATION JSON")
	}
	method, path, rest := strings.Cut(args[0], " ")
	target := ""
	if !rest {
		method, path, target = "POST", "/", "DynamoDB_20120810."+args[0]
	}
	req, err := http.NewRequest(method, ts.Getenv("MILLSTREAM_ENDPOINT")+path, strings.NewReader(args[1]))
	ts.Check(err)
	req.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=k/20260101/us-east-1/dynamodb/aws4_request, SignedHeaders=host, Signature=0")
	req.Header.Set("X-Amz-Date", "20260101T000000Z")
	req.Header.Set("Content-Type", "application/x-amz-json-1.0")
	if target != "" {
		req.Header.Set("X-Amz-Target", target)
	}
	res, err := http.DefaultClient.Do(req)
	ts.Check(err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	ts.Check(err)
	fmt.Fprintf(ts.Stdout(), "%s\n", body)
	if failed := res.StatusCode >= 300; failed != neg {
		ts.Fatalf("%s: %s: %s", args[0], res.Status, body)
	}
}

func captureCommand(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: capture NAME PATTERN")
	}
	found := regexp.MustCompile(args[1]).FindStringSubmatch(ts.ReadFile("stdout"))
	if len(found) != 2 {
		ts.Fatalf("no %s in the output", args[1])
	}
	ts.Setenv(args[0], found[1])
}

var sequenceNumber = regexp.MustCompile(`"SequenceNumber": ?"([0-9]+)"`)

func functionCommand(ts *testscript.TestScript, neg bool, args []string) {
	s := of(ts)
	answer := `{"handled":true}`
	if len(args) == 1 {
		answer = args[0]
	}
	s.function = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		event, err := io.ReadAll(r.Body)
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		s.mu.Lock()
		s.events = append(s.events, string(event))
		s.mu.Unlock()
		number := ""
		if found := sequenceNumber.FindSubmatch(event); found != nil {
			number = string(found[1])
		}
		fmt.Fprint(w, strings.ReplaceAll(answer, "SEQUENCE", number))
	}))
	ts.Setenv("FUNCTION_URL", s.function.URL)
}

func wantEventsCommand(ts *testscript.TestScript, neg bool, args []string) {
	s := of(ts)
	s.mu.Lock()
	defer s.mu.Unlock()
	events := strings.Join(s.events, "\n")
	for _, text := range args {
		if strings.Contains(events, text) == neg {
			ts.Fatalf("%q: the function was called with\n%s", text, events)
		}
	}
}

// The demo runs as a person runs it: this program, its own function, its own end.
func TestDemo(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	program := os.Getenv("MILLSTREAM_BIN")
	if program == "" {
		program = t.TempDir() + "/millstream"
		if out, err := exec.Command("go", "build", "-ldflags", "-s -w", "-o", program, ".").CombinedOutput(); err != nil {
			t.Fatalf("build: %v\n%s", err, out)
		}
	}
	tmp := t.TempDir()
	cmd := exec.CommandContext(ctx, program, "demo")
	cmd.Env = append(os.Environ(), "TMPDIR="+tmp)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("demo: %v\n%s", err, out)
	}
	for _, want := range []string{"INSERT o-1 placed", "MODIFY o-1 placed => paid", "MODIFY o-1 paid => shipped", "REMOVE o-1 (was shipped)", "From sending a write"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("the demo does not show %q", want)
		}
	}
	left, err := os.ReadDir(tmp)
	if err != nil || len(left) != 0 {
		t.Errorf("the demo left %v, %v", left, err)
	}
	if t.Failed() {
		t.Logf("%s", out)
	}
}

func TestExitCodes(t *testing.T) {
	var quiet exitError
	if err := fmt.Errorf("x: %w", exitError(3)); !errors.As(err, &quiet) || quiet != 3 {
		t.Fatal(err)
	}
}
