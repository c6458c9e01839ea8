// Command targets runs the suite against several servers and writes what each passes and fails
// as a table of README.md. It starts those that it is given as programs, in memory and on
// loopback; what it is not given is left out of the table.
package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "targets:", err)
		os.Exit(1)
	}
}

// server is a program that can be a target. $PORT in its arguments and environment is a
// free port.
type server struct {
	name, about string
	arguments   []string
	environment []string
	program     string
}

var servers = []*server{
	{name: "millstream", about: "Millstream", arguments: []string{
		"serve", "--in-memory", "--log-level", "error", "--listen", "127.0.0.1:$PORT", "--http-listen", "127.0.0.1:0",
	}},
	{name: "dynoxide", about: "dynoxide", arguments: []string{"--log", "quiet", "--host", "127.0.0.1", "--port", "$PORT"}},
	{name: "dynalite", about: "dynalite", arguments: []string{"--host", "127.0.0.1", "--port", "$PORT", "--createTableMs", "0", "--deleteTableMs", "0"}},
	{name: "ministack", about: "ministack", environment: []string{"BIND_HOST=127.0.0.1", "GATEWAY_PORT=$PORT"}},
	{name: "moto", about: "moto (`moto_server`)", arguments: []string{"-H", "127.0.0.1", "-p", "$PORT"}},
}

func run(ctx context.Context) error {
	for _, s := range servers {
		flag.StringVar(&s.program, s.name, os.Getenv(strings.ToUpper(s.name)+"_BIN"), "the program "+s.name)
	}
	packages := flag.String("packages", "tables,streams", "folders of the suite, with commas between them")
	readme := flag.String("readme", "README.md", "the file whose table is written; empty: standard output")
	limit := flag.Duration("limit", time.Minute, "how long one test may take")
	within := flag.Duration("within", 10*time.Minute, "how long one folder may take with one server")
	flag.Parse()
	work, err := os.MkdirTemp("", "targets-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(work) }() // the system's temporary folder
	folders := strings.Split(*packages, ",")
	for _, folder := range folders {
		if out, err := exec.CommandContext(ctx, "go", "test", "-c", "-o", filepath.Join(work, folder), "./"+folder).CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w: %s", folder, err, out)
		}
	}
	reader, err := exec.CommandContext(ctx, "go", "tool", "-n", "test2json").Output() // asked for once: go itself takes a while
	if err != nil {
		return err
	}
	test2json := strings.TrimSpace(string(reader))
	var table bytes.Buffer
	fmt.Fprintf(&table, "Written by `go run ./targets` on %s. A case is a test or a row of one; a case that needs what a server does not have is not\nsupported.\n\n",
		time.Now().UTC().Format("2006-01-02"))
	fmt.Fprintln(&table, "| server | folder | passed | failed | not supported | tests not tried |\n|---|---|---|---|---|---|")
	var given []*server
	for _, s := range servers {
		if s.program != "" {
			given = append(given, s)
		}
	}
	if len(given) == 0 {
		return errors.New("no program was given: set -millstream, -dynoxide, -dynalite, -ministack or -moto")
	}
	// They run side by side: most of a run is waiting for what never comes.
	results, failures := make([][]*result, len(given)), make([]error, len(given))
	var all sync.WaitGroup
	for i, s := range given {
		all.Go(func() {
			for _, folder := range folders {
				r, err := s.try(ctx, test2json, filepath.Join(work, folder), *limit, *within)
				if err != nil {
					failures[i] = fmt.Errorf("%s: %w", s.name, err)
					return
				}
				results[i] = append(results[i], r)
			}
		})
	}
	all.Wait()
	if err := errors.Join(failures...); err != nil {
		return err
	}
	var lists bytes.Buffer
	for i, s := range given {
		var failed, endless, left []string
		for n, r := range results[i] {
			fmt.Fprintf(&table, "| %s | `%s` | %d | %d | %d | %d |\n", s.about, folders[n], r.passed, r.failed(), r.lacking, len(r.left))
			for _, test := range slices.Sorted(maps.Keys(r.failures)) {
				failed = append(failed, fmt.Sprintf("`%s` (%d)", test, r.failures[test]))
			}
			endless = append(endless, r.endless...)
			left = append(left, r.left...)
		}
		fmt.Fprintf(&lists, "\n**%s** fails %s.", s.about, cmp.Or(strings.Join(failed, ", "), "nothing"))
		if len(endless) > 0 {
			fmt.Fprintf(&lists, " Of these had no end within %v: `%s`.", *limit, strings.Join(endless, "`, `"))
		}
		if len(left) > 0 {
			fmt.Fprintf(&lists, " Not tried, because the folder took %v or the server no longer started: `%s`.", *within, strings.Join(left, "`, `"))
		}
		fmt.Fprintln(&lists)
	}
	table.Write(lists.Bytes())
	if *readme == "" {
		_, err := os.Stdout.Write(table.Bytes())
		return err
	}
	return replace(*readme, table.String())
}

const begin, end = "<!-- targets: written by go run ./targets -->\n", "<!-- targets: end -->"

// replace puts the table between the two marks of a file.
func replace(file, table string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	before, rest, ok := strings.Cut(string(text), begin)
	_, after, closed := strings.Cut(rest, end)
	if !ok || !closed {
		return fmt.Errorf("%s has no marks %q and %q", file, strings.TrimSpace(begin), end)
	}
	return os.WriteFile(file, []byte(before+begin+table+end+after), 0o644)
}

// result is what one folder says of one server.
type result struct {
	passed, lacking int
	failures        map[string]int // by test
	endless         []string       // tests that were ended because they took too long; they are failures too
	left            []string       // tests that were not tried
}

func (r *result) failed() (n int) {
	for _, m := range r.failures {
		n += m
	}
	return n
}

// try starts the server, so that no folder sees what another has left, and runs a folder's tests.
// Each test is a process of its own: one that never ends, or ends its process, takes no other
// with it. A server that has ended, or under which a test did not end, is started again. What is
// not tried within the time is left, so that a server that hangs holds nobody up for long.
func (s *server) try(ctx context.Context, test2json, suite string, limit, within time.Duration) (*result, error) {
	list, err := exec.CommandContext(ctx, suite, "-test.list", "^Test").Output()
	if err != nil {
		return nil, err
	}
	var program *running
	stop := func() {
		if program != nil {
			program.stop()
			program = nil
		}
	}
	defer stop()
	r := &result{failures: map[string]int{}}
	tests, until := strings.Fields(string(list)), time.Now().Add(within)
	for i, test := range tests {
		if time.Now().After(until) {
			r.left = tests[i:]
			return r, nil
		}
		if program != nil && program.ended() {
			stop()
		}
		if program == nil {
			if program, err = s.start(ctx); err != nil {
				if i == 0 || ctx.Err() != nil {
					return nil, err // a program that is none
				}
				r.left = tests[i:]
				return r, nil
			}
		}
		out, ended, err := s.one(ctx, limit, program.url, test2json, suite, "-test.v=test2json", "-test.timeout", limit.String(), "-test.run", "^"+test+"$")
		if err != nil {
			return nil, err
		}
		if err := r.read(test, out, ended); err != nil {
			return nil, err
		}
		if !ended {
			r.endless = append(r.endless, test)
			stop()
		}
	}
	return r, nil
}

// one runs one test and returns what it prints, and whether it ended by itself. The test's own
// limit ends it first, as a rule; a test that stands still outside it is killed a little later,
// with what it has started.
func (s *server) one(ctx context.Context, limit time.Duration, url, program string, arguments ...string) (out []byte, ended bool, err error) {
	hard, cancel := context.WithTimeout(ctx, limit+10*time.Second)
	defer cancel()
	run := exec.CommandContext(hard, program, arguments...)
	run.Env = append(os.Environ(), "CONFORMANCE_ENDPOINT="+url)
	if s.name == "millstream" {
		run.Env = append(run.Env, "CONFORMANCE_TARGET=millstream")
	}
	ownGroup(run)
	out, _ = run.Output() // that tests fail is what is asked for
	ended = hard.Err() == nil && !bytes.Contains(out, []byte("panic: test timed out after"))
	return out, ended, ctx.Err()
}

// ownGroup has a command and what it starts end together.
func ownGroup(c *exec.Cmd) {
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	c.Cancel = func() error { return syscall.Kill(-c.Process.Pid, syscall.SIGKILL) }
	c.WaitDelay = 5 * time.Second
}

// running is a server that was started.
type running struct {
	url     string
	process *exec.Cmd
	done    chan struct{}
}

func (s *server) start(ctx context.Context) (*running, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	expand := func(text string) string { return strings.ReplaceAll(text, "$PORT", port) }
	var arguments []string
	for _, a := range s.arguments {
		arguments = append(arguments, expand(a))
	}
	r := &running{url: "http://127.0.0.1:" + port, process: exec.CommandContext(ctx, s.program, arguments...), done: make(chan struct{})}
	r.process.Env = os.Environ()
	for _, e := range s.environment {
		r.process.Env = append(r.process.Env, expand(e))
	}
	ownGroup(r.process)
	if err := r.process.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = r.process.Wait() // how it ends is not asked
		close(r.done)
	}()
	if err := r.await(ctx); err != nil {
		r.stop()
		return nil, err
	}
	return r, nil
}

func (r *running) ended() bool {
	select {
	case <-r.done:
		return true
	default:
		return false
	}
}

func (r *running) stop() {
	_ = syscall.Kill(-r.process.Process.Pid, syscall.SIGKILL) // gone already: done is closed
	<-r.done
}

// read adds what test2json prints of one test: the cases that have none in them. A test without
// an end has failed, with those of its cases that have none. One that was ended before it began
// has failed as a whole.
func (r *result) read(test string, out []byte, ended bool) error {
	ends, begun := map[string]string{}, map[string]bool{}
	lines := bufio.NewScanner(bytes.NewReader(out))
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		var event struct{ Action, Test string }
		if json.Unmarshal(lines.Bytes(), &event) != nil {
			return fmt.Errorf("%s: %s", test, lines.Text())
		}
		if event.Test == "" {
			continue
		}
		begun[event.Test] = true
		switch event.Action {
		case "pass", "fail", "skip":
			ends[event.Test] = event.Action
		}
	}
	if !begun[test] && !ended {
		r.failures[test]++
		return nil
	}
	if !begun[test] {
		return fmt.Errorf("%s did not run: %.500s", test, out)
	}
	below, parents := map[string]bool{}, map[string]bool{} // of failures, of all
	for name := range begun {
		for up := path.Dir(name); up != "."; up = path.Dir(up) {
			parents[up] = true
			below[up] = below[up] || ends[name] == "fail" || ends[name] == ""
		}
	}
	for name := range begun {
		switch end := ends[name]; {
		case (end == "fail" || end == "") && !below[name]:
			r.failures[test]++
		case parents[name]:
		case end == "pass":
			r.passed++
		case end == "skip":
			r.lacking++
		}
	}
	return lines.Err()
}

// await waits until the server answers, for a minute.
func (r *running) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	client := http.Client{Timeout: 5 * time.Second}
	poll := time.NewTicker(100 * time.Millisecond)
	defer poll.Stop()
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, r.url, nil)
		if err != nil {
			return err
		}
		if reply, err := client.Do(request); err == nil {
			return reply.Body.Close()
		}
		select {
		case <-r.done:
			return fmt.Errorf("%s ended before it answered: %v", r.process.Path, r.process.ProcessState)
		case <-ctx.Done():
			return fmt.Errorf("%s does not answer: %w", r.process.Path, ctx.Err())
		case <-poll.C:
		}
	}
}

func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer func() { _ = l.Close() }()
	_, port, err := net.SplitHostPort(l.Addr().String())
	return port, err
}
