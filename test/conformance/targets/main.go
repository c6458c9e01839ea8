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
	"slices"
	"strings"
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
	limit := flag.Duration("limit", 5*time.Minute, "how long one folder may take with one server")
	flag.Parse()
	var table bytes.Buffer
	fmt.Fprintf(&table, "Written by `go run ./targets` on %s. A case is a test or a row of one; a case that needs what a server does not have is not\nsupported.\n\n",
		time.Now().UTC().Format("2006-01-02"))
	fmt.Fprintln(&table, "| server | folder | passed | failed | not supported |\n|---|---|---|---|---|")
	var lists bytes.Buffer
	tried := 0
	for _, s := range servers {
		if s.program == "" {
			continue
		}
		tried++
		fmt.Fprintf(&lists, "\n**%s** fails", s.about)
		failed := false
		for folder := range strings.SplitSeq(*packages, ",") {
			r, err := s.try(ctx, folder, *limit)
			if err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
			fmt.Fprintf(&table, "| %s | `%s` | %d | %d | %d |\n", s.about, folder, r.passed, r.failed(), r.lacking)
			for _, test := range slices.Sorted(maps.Keys(r.failures)) {
				fmt.Fprintf(&lists, "%s `%s` (%d)", map[bool]string{false: "", true: ","}[failed], test, r.failures[test])
				failed = true
			}
			if r.cut {
				fmt.Fprintf(&lists, "%s and what comes behind in `%s`, which ended early", map[bool]string{false: "", true: ","}[failed], folder)
				failed = true
			}
		}
		if !failed {
			fmt.Fprint(&lists, " nothing")
		}
		fmt.Fprintln(&lists, ".")
	}
	if tried == 0 {
		return errors.New("no program was given: set -millstream, -dynoxide, -dynalite, -ministack or -moto")
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
	cut             bool           // a test went on for too long, or took the others down with it
}

func (r *result) failed() (n int) {
	for _, m := range r.failures {
		n += m
	}
	return n
}

// try starts the server, so that no folder sees what another has left, and runs a folder.
func (s *server) try(ctx context.Context, folder string, limit time.Duration) (*result, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	expand := func(text string) string { return strings.ReplaceAll(text, "$PORT", port) }
	var arguments []string
	for _, a := range s.arguments {
		arguments = append(arguments, expand(a))
	}
	program := exec.CommandContext(ctx, s.program, arguments...)
	program.Env = os.Environ()
	for _, e := range s.environment {
		program.Env = append(program.Env, expand(e))
	}
	if err := program.Start(); err != nil {
		return nil, err
	}
	defer func() {
		_ = program.Process.Kill()
		_ = program.Wait()
	}()
	url := "http://127.0.0.1:" + port
	if err := await(ctx, url); err != nil {
		return nil, err
	}
	suite := exec.CommandContext(ctx, "go", "test", "-json", "-count=1", "-timeout", limit.String(), "./"+folder)
	suite.Env = append(os.Environ(), "CONFORMANCE_ENDPOINT="+url)
	if s.name == "millstream" {
		suite.Env = append(suite.Env, "CONFORMANCE_TARGET=millstream")
	}
	out, _ := suite.Output() // that tests fail is what is asked for
	return read(out)
}

// read counts the cases of what `go test -json` prints: the tests that have no tests in
// them.
func read(out []byte) (*result, error) {
	r := &result{failures: map[string]int{}}
	ends, parents := map[string]string{}, map[string]bool{}
	lines := bufio.NewScanner(bytes.NewReader(out))
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		var event struct{ Action, Test, Output string }
		if json.Unmarshal(lines.Bytes(), &event) != nil {
			return nil, fmt.Errorf("go test: %s", lines.Text())
		}
		r.cut = r.cut || strings.HasPrefix(event.Output, "panic: ")
		if event.Test == "" {
			continue
		}
		for name := path.Dir(event.Test); name != "."; name = path.Dir(name) {
			parents[name] = true
		}
		switch event.Action {
		case "pass", "fail", "skip":
			ends[event.Test] = event.Action
		}
	}
	if len(ends) == 0 {
		return nil, fmt.Errorf("no tests were run: %.500s", out)
	}
	below := map[string]bool{} // parents of what fails
	for name, end := range ends {
		for up := path.Dir(name); end == "fail" && up != "."; up = path.Dir(up) {
			below[up] = true
		}
	}
	for name, end := range ends {
		switch top, _, _ := strings.Cut(name, "/"); {
		case end == "fail" && !below[name]:
			r.failures[top]++
		case parents[name]:
		case end == "pass":
			r.passed++
		case end == "skip":
			r.lacking++
		}
	}
	return r, lines.Err()
}

// await waits until the server answers.
func await(ctx context.Context, url string) error {
	client := http.Client{Timeout: time.Second}
	var err error
	for range 300 {
		var reply *http.Response
		if reply, err = client.Get(url); err == nil {
			return reply.Body.Close()
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
	return cmp.Or(err, errors.New("it does not answer"))
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
