package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// page returns the commands of a page of docs/operators.
func page(t *testing.T, name string) (commands []string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../../docs/operators", name))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if command, ok := strings.CutPrefix(strings.TrimRight(line, "\n"), "    millstream "); ok {
			commands = append(commands, command)
		}
	}
	return commands
}

// drill is the two servers of docs/operators/standby.md.
type drill struct {
	t       *testing.T
	program string
	dir     string
	env     []string // of its commands

	mu     sync.Mutex
	calls  map[string][]int // what each function was called with, by function and key, in order
	acked  map[string][]ack // writes that were answered, by key
	failed int
}

type ack struct {
	n  int
	at time.Time
}

// server is a process that serves.
type server struct {
	cmd      *exec.Cmd
	endpoint string
	log      *bytes.Buffer
}

// serve starts a command of the page, at a port of its own.
func (d *drill) serve(command string) *server {
	d.t.Helper()
	command = strings.ReplaceAll(strings.TrimSuffix(command, " &"), "--listen 127.0.0.1:9000", "")
	s := &server{log: &bytes.Buffer{}}
	s.cmd = d.command(append(strings.Fields(command), "--listen", "127.0.0.1:0", "--replicate-every", "100ms")...)
	s.cmd.Stderr = s.log
	out, err := s.cmd.StdoutPipe()
	if err == nil {
		err = s.cmd.Start()
	}
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { s.kill() })
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if _, rest, ok := strings.Cut(lines.Text(), "serves http://"); ok {
			s.endpoint = "http://" + strings.Fields(rest)[0]
		}
		if _, rest, ok := strings.Cut(lines.Text(), "Health, metrics and status: "); ok {
			s.endpoint = rest
		}
		if s.endpoint != "" {
			go func() { _, _ = io.Copy(io.Discard, out) }()
			return s
		}
	}
	_ = s.cmd.Wait()
	d.t.Fatalf("%s ended: %s", command, s.log)
	return nil
}

func (s *server) kill() {
	_ = s.cmd.Process.Kill() // it may be gone
	_ = s.cmd.Wait()
}

func (d *drill) command(args ...string) *exec.Cmd {
	cmd := exec.Command(d.program, args...)
	cmd.Dir = d.dir
	for _, kv := range os.Environ() {
		if !strings.HasPrefix(kv, "AWS_") && !strings.HasPrefix(kv, "MILLSTREAM_") {
			cmd.Env = append(cmd.Env, kv)
		}
	}
	cmd.Env = append(cmd.Env, "MILLSTREAM_DURABILITY="+os.Getenv("MILLSTREAM_DURABILITY"))
	cmd.Env = append(cmd.Env, d.env...)
	return cmd
}

// run runs a command of the page to its end.
func (d *drill) run(command string) string {
	d.t.Helper()
	out, err := d.command(strings.Fields(command)...).CombinedOutput()
	if err != nil {
		d.t.Fatalf("%s: %v\n%s", command, err, out)
	}
	return string(out)
}

func ask(endpoint, operation, body string) ([]byte, error) {
	method, path, rest := strings.Cut(operation, " ")
	target := ""
	if !rest {
		method, path, target = "POST", "/", "DynamoDB_20120810."+operation
	}
	req, err := http.NewRequest(method, endpoint+path, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=k/20260101/us-east-1/dynamodb/aws4_request, SignedHeaders=host, Signature=0")
	req.Header.Set("X-Amz-Date", "20260101T000000Z")
	req.Header.Set("Content-Type", "application/x-amz-json-1.0")
	if target != "" {
		req.Header.Set("X-Amz-Target", target)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	answer, err := io.ReadAll(res.Body)
	_ = res.Body.Close()
	if err == nil && res.StatusCode >= 300 {
		err = fmt.Errorf("%s: %s", res.Status, answer)
	}
	return answer, err
}

func (d *drill) call(endpoint, operation, body string) []byte {
	d.t.Helper()
	answer, err := ask(endpoint, operation, body)
	if err != nil {
		d.t.Fatalf("%s %s: %v", operation, body, err)
	}
	return answer
}

const drillFunctions, drillKeys = 10, 6

// function is all functions: it notes what it is called with. The last one answers with a write of its own for each record, once exactly.
func (d *drill) function(w http.ResponseWriter, r *http.Request) {
	var event struct {
		Records []struct {
			Dynamodb struct {
				Keys     map[string]map[string]string
				NewImage map[string]map[string]string
			} `json:"dynamodb"`
		}
	}
	if err := json.NewDecoder(r.Body).Decode(&event); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	counts := map[string]int{}
	d.mu.Lock()
	for _, record := range event.Records {
		key := record.Dynamodb.Keys["id"]["S"]
		n, _ := strconv.Atoi(record.Dynamodb.NewImage["n"]["N"])
		d.calls[r.URL.Path+" "+key] = append(d.calls[r.URL.Path+" "+key], n)
		counts[key]++
	}
	d.mu.Unlock()
	if r.URL.Path != fmt.Sprintf("/f%d", drillFunctions-1) {
		fmt.Fprint(w, "{}")
		return
	}
	var items []string
	for key, n := range counts {
		items = append(items, fmt.Sprintf(`{"Update":{"TableName":"effects","Key":{"id":{"S":%q}},"UpdateExpression":"ADD n :n","ExpressionAttributeValues":{":n":{"N":"%d"}}}}`, key, n))
	}
	fmt.Fprintf(w, `{"transactItems":[%s]}`, strings.Join(items, ","))
}

// setUp makes a table, ten functions and their mappings.
func (d *drill) setUp(endpoint, functionURL string) {
	for _, table := range []string{"orders", "effects"} {
		d.call(endpoint, "CreateTable", `{"TableName":"`+table+`","AttributeDefinitions":[{"AttributeName":"id","AttributeType":"S"}],"KeySchema":[{"AttributeName":"id","KeyType":"HASH"}],"BillingMode":"PAY_PER_REQUEST","StreamSpecification":{"StreamEnabled":true,"StreamViewType":"NEW_IMAGE"}}`)
	}
	var described struct {
		Table struct{ LatestStreamArn string }
	}
	if err := json.Unmarshal(d.call(endpoint, "DescribeTable", `{"TableName":"orders"}`), &described); err != nil {
		d.t.Fatal(err)
	}
	for i := range drillFunctions {
		d.call(endpoint, "POST /2015-03-31/functions", fmt.Sprintf(`{"FunctionName":"f%d","Role":"arn:aws:iam::000000000000:role/r","PackageType":"Image","Code":{"ImageUri":"%s/f%d"}}`, i, functionURL, i))
		tags := ""
		if i == drillFunctions-1 {
			tags = `,"Tags":{"millstream:exactly-once":"true"}`
		}
		d.call(endpoint, "POST /2015-03-31/event-source-mappings", fmt.Sprintf(`{"EventSourceArn":%q,"FunctionName":"f%d","StartingPosition":"TRIM_HORIZON","BatchSize":10%s}`, described.Table.LatestStreamArn, i, tags))
	}
}

// load writes to each key its next number until stop is closed, or a write fails.
func (d *drill) load(endpoint string, from map[string]int, stop chan struct{}) *sync.WaitGroup {
	var wg sync.WaitGroup
	for k := range drillKeys {
		key := fmt.Sprint("k", k)
		wg.Go(func() {
			for n := from[key] + 1; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				if _, err := ask(endpoint, "PutItem", fmt.Sprintf(`{"TableName":"orders","Item":{"id":{"S":%q},"n":{"N":"%d"}}}`, key, n)); err != nil {
					d.mu.Lock()
					d.failed++
					d.mu.Unlock()
					return
				}
				d.mu.Lock()
				d.acked[key] = append(d.acked[key], ack{n, time.Now()})
				d.mu.Unlock()
			}
		})
	}
	return &wg
}

// numbers are those of the items of a table.
func (d *drill) numbers(endpoint, table string) map[string]int {
	d.t.Helper()
	var scan struct {
		Items []map[string]map[string]string
	}
	if err := json.Unmarshal(d.call(endpoint, "Scan", `{"TableName":"`+table+`","ConsistentRead":true}`), &scan); err != nil {
		d.t.Fatal(err)
	}
	all := map[string]int{}
	for _, item := range scan.Items {
		all[item["id"]["S"]], _ = strconv.Atoi(item["n"]["N"])
	}
	return all
}

// status of a server.
func (d *drill) status(endpoint string) (st struct {
	Replication struct {
		LagSeconds float64 `json:"lagSeconds"`
		Backup     string  `json:"backup"`
	} `json:"replication"`
}) {
	d.t.Helper()
	if err := json.Unmarshal(d.call(endpoint, "GET /_millstream/v1/status", ""), &st); err != nil {
		d.t.Fatal(err)
	}
	return st
}

// TestDrill is what docs/operators/standby.md says, by its own commands: a server with load, ten triggers and a standby is lost, the standby is
// promoted, triggers go on, and the lost one comes back. The standby itself is killed on the way. Every write that was acknowledged before what was told
// as copied is there, each function gets each key's records in order, and what was to be written exactly once was.
func TestDrill(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	commands := page(t, "standby.md")
	if len(commands) != 6 {
		t.Fatalf("the page has other commands than this test knows: %q", commands)
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	d := &drill{t: t, dir: t.TempDir(), calls: map[string][]int{}, acked: map[string][]ack{}}
	d.program = filepath.Join(t.TempDir(), "millstream")
	if err := os.Symlink(program, d.program); err != nil {
		t.Fatal(err)
	}
	fake := httptest.NewServer(http.HandlerFunc(d.function))
	defer fake.Close()

	first := d.serve(commands[0])
	d.setUp(first.endpoint, fake.URL)
	stop := make(chan struct{})
	wg := d.load(first.endpoint, nil, stop)
	second := d.serve(commands[1])
	at := func(command string) string {
		return strings.ReplaceAll(command, "http://127.0.0.1:9000", second.endpoint)
	}
	d.run(at(commands[2]))
	second.kill()
	second = d.serve(commands[1])
	if out := d.run(at(commands[2])); !strings.Contains(out, "A standby of copy, which had all that was there") {
		t.Error(out)
	}
	if _, err := ask(second.endpoint, "Scan", `{"TableName":"orders"}`); err == nil {
		t.Error("a standby answers requests")
	}
	if health := d.call(second.endpoint, "GET /healthz", ""); !bytes.Contains(health, []byte("a standby of copy")) {
		t.Errorf("%s", health)
	}
	if metrics := d.call(second.endpoint, "GET /metrics", ""); !bytes.Contains(metrics, []byte("millstream_standby_lag_seconds 0")) {
		t.Errorf("%s", metrics)
	}
	time.Sleep(500 * time.Millisecond) // of load
	asked := time.Now()
	st := d.status(first.endpoint)
	copied := asked.Add(-time.Duration(st.Replication.LagSeconds * float64(time.Second)))
	first.kill()
	wg.Wait()
	close(stop)

	began := time.Now()
	out := d.run(at(commands[3]))
	total := 0
	for _, all := range d.acked {
		total += len(all)
	}
	t.Logf("%d writes, %d functions with keys; %s after %s, as of %s before the loss", total, len(d.calls), strings.TrimSpace(out), time.Since(began).Round(time.Millisecond), asked.Sub(copied).Round(time.Millisecond))
	is := d.numbers(second.endpoint, "orders")
	if total < 100 || len(d.calls) != drillFunctions*drillKeys {
		t.Errorf("only %d writes, and %d functions with keys", total, len(d.calls))
	}
	for key, all := range d.acked {
		for _, a := range all {
			if a.at.Before(copied) && is[key] < a.n {
				t.Errorf("%s: %d was acknowledged and copied; the standby has %d", key, a.n, is[key])
			}
		}
		if last := all[len(all)-1].n; is[key] > last+1 {
			t.Errorf("%s: the standby has %d of %d", key, is[key], last)
		}
	}

	// It goes on. What the first one has sent of lost writes stays sent.
	d.mu.Lock()
	before := map[string]int{}
	for key, calls := range d.calls {
		before[key] = len(calls)
	}
	d.mu.Unlock()
	stop = make(chan struct{})
	wg = d.load(second.endpoint, is, stop)
	time.Sleep(300 * time.Millisecond)
	close(stop)
	wg.Wait()
	d.run("settle --endpoint " + second.endpoint)
	now, effects := d.numbers(second.endpoint, "orders"), d.numbers(second.endpoint, "effects")
	for k := range drillKeys {
		key := fmt.Sprint("k", k)
		if effects[key] != now[key] || now[key] <= is[key] {
			t.Errorf("%s: %d records, of %d when it was promoted, and %d effects", key, now[key], is[key], effects[key])
		}
		for f := range drillFunctions {
			calls := d.calls[fmt.Sprintf("/f%d %s", f, key)][before[fmt.Sprintf("/f%d %s", f, key)]:]
			if len(calls) == 0 || calls[0] > is[key]+1 || calls[len(calls)-1] != now[key] {
				t.Errorf("f%d of %s: %v, of %d to %d", f, key, calls, is[key], now[key])
			}
			for i := 1; i < len(calls); i++ {
				if calls[i] > calls[i-1]+1 || calls[i] < calls[i-1] {
					t.Errorf("f%d of %s: %d follows %d", f, key, calls[i], calls[i-1])
				}
			}
		}
	}

	// The first one comes back.
	refused, err := d.command(strings.Fields(strings.TrimSuffix(commands[0], " &") + " --listen 127.0.0.1:0")...).CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != overtaken || !bytes.Contains(refused, []byte("older than what was replicated")) || !bytes.Contains(refused, []byte("millstream rejoin")) {
		t.Errorf("the first one comes back: %v\n%s", err, refused)
	}
	d.run(commands[4])
	first = d.serve(commands[5])
	d.run("replication --wait 60s --endpoint " + first.endpoint)
	d.run("promote --endpoint " + first.endpoint)
	for key, n := range d.numbers(first.endpoint, "orders") {
		if n != now[key] {
			t.Errorf("%s: back at the first one: %d, want %d", key, n, now[key])
		}
	}
	if aside, err := filepath.Glob(filepath.Join(d.dir, "millstream-data/before-rejoin-*/db")); err != nil || len(aside) != 1 {
		t.Error("what the first one had is gone:", aside, err)
	}
	if out, err := d.command("rejoin", "--data", "millstream-data", "--standby-of", "copy").CombinedOutput(); err == nil || !bytes.Contains(out, []byte("is in use")) {
		t.Errorf("rejoin under a server: %v\n%s", err, out)
	}
	// Of the two, one is left.
	_, _ = ask(second.endpoint, "PutItem", `{"TableName":"orders","Item":{"id":{"S":"late"},"n":{"N":"1"}}}`)
	if err := second.cmd.Wait(); err == nil || !strings.Contains(second.log.String(), "another server replicates to this place") {
		t.Errorf("the second one goes on: %v\n%s", err, second.log)
	}
	first.kill()
	if out, err := d.command("rejoin", "--data", "millstream-data", "--standby-of", "copy").CombinedOutput(); err == nil || !bytes.Contains(out, []byte("no other has taken it over")) {
		t.Errorf("rejoin of who goes on: %v\n%s", err, out)
	}
	first = d.serve(commands[5]) // the same command goes on as the server that it is
	if out := d.run("replication --wait 60s --endpoint " + first.endpoint); !strings.Contains(out, "All that was written can be restored from copy") {
		t.Error(out)
	}
	if all, err := filepath.Glob(filepath.Join(d.dir, "copy/base/*.json")); err != nil || len(all) != 1 {
		t.Error("a promotion, or a start, has cost a backup:", all, err)
	}
}

// serveAt starts a command of a page at an address, and expects it to serve.
func (d *drill) serveAt(command, address string, more ...string) *server {
	d.t.Helper()
	s := d.start(command, address, more...)
	if s.endpoint == "" {
		_ = s.cmd.Wait()
		d.t.Fatalf("%s ended: %s", command, s.log)
	}
	return s
}

// start is serveAt of a command that may end.
func (d *drill) start(command, address string, more ...string) *server {
	d.t.Helper()
	args := strings.Fields(strings.TrimSuffix(command, " &"))
	for i := 0; i+1 < len(args); i++ {
		if args[i] == "--listen" {
			args = slices.Delete(args, i, i+2)
		}
	}
	s := &server{log: &bytes.Buffer{}}
	s.cmd = d.command(append(append(args, "--listen", address, "--http-listen", "127.0.0.1:0", "--console-listen", "off"), more...)...)
	s.cmd.Stderr = s.log
	out, err := s.cmd.StdoutPipe()
	if err == nil {
		err = s.cmd.Start()
	}
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { s.kill() })
	for lines := bufio.NewScanner(out); lines.Scan(); {
		for _, before := range []string{" serves ", "Health, metrics and status: "} {
			if _, rest, ok := strings.Cut(lines.Text(), before); ok {
				s.endpoint = strings.Fields(rest)[0]
				go func() { _, _ = io.Copy(io.Discard, out) }()
				return s
			}
		}
	}
	return s
}

// free returns an address on which nobody listens.
func free(t *testing.T) string {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

// over waits for the end of a server in whose place another goes on.
func (d *drill) over(s *server, text string) {
	d.t.Helper()
	err := s.cmd.Wait()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != overtaken || !strings.Contains(s.log.String(), text) {
		d.t.Errorf("it ends with %v\n%s", err, s.log)
	}
}

// TestDirectDrill is what docs/operators/standby-direct.md says, by its own commands: a standby follows a server itself, either is killed and goes on, the server
// is lost under load and comes back, and is promoted again under load without losing a write.
func TestDirectDrill(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	commands := page(t, "standby-direct.md")
	if len(commands) != 6 {
		t.Fatalf("the page has other commands than this test knows: %q", commands)
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	d := &drill{t: t, dir: t.TempDir(), calls: map[string][]int{}, acked: map[string][]ack{}}
	d.program = filepath.Join(t.TempDir(), "millstream")
	if err := os.Symlink(program, d.program); err != nil {
		t.Fatal(err)
	}
	a, b := free(t), free(t)
	for i := range commands {
		commands[i] = strings.NewReplacer("127.0.0.1:8000", a, "127.0.0.1:9000", b).Replace(commands[i])
	}
	follows := func(s *server) {
		t.Helper()
		d.run("replication --wait 60s --endpoint " + s.endpoint)
	}
	load := func(s *server, from map[string]int) (end func()) {
		stop := make(chan struct{})
		wg := d.load(s.endpoint, from, stop)
		return func() { close(stop); wg.Wait() }
	}
	has := func(s *server, before time.Time, what string) map[string]int {
		t.Helper()
		is := d.numbers(s.endpoint, "orders")
		for key, all := range d.acked {
			for _, one := range all {
				if one.at.Before(before) && is[key] < one.n {
					t.Errorf("%s: %s: %d was acknowledged, and it has %d", what, key, one.n, is[key])
				}
			}
		}
		return is
	}

	first := d.serveAt(commands[0], a)
	d.call(first.endpoint, "CreateTable", `{"TableName":"orders","AttributeDefinitions":[{"AttributeName":"id","AttributeType":"S"}],"KeySchema":[{"AttributeName":"id","KeyType":"HASH"}],"BillingMode":"PAY_PER_REQUEST"}`)
	end := load(first, nil)
	second := d.serveAt(commands[1], b)
	d.run(commands[2])
	if out := d.run("replication --wait 60s --endpoint " + first.endpoint); !strings.Contains(out, "The standby on") {
		t.Error(out)
	}
	second.kill()
	second = d.serveAt(commands[1], b)
	follows(second)
	first.kill()
	end()
	first = d.serveAt(commands[0], a)
	end = load(first, has(first, time.Now(), "started again"))
	follows(first)
	time.Sleep(300 * time.Millisecond) // of load
	if strings.Contains(second.log.String(), "begins with a copy") {
		t.Errorf("it did not go on where it was:\n%s", second.log)
	}
	// The first one is lost.
	if out, err := d.command("promote", "--endpoint", first.endpoint).CombinedOutput(); err == nil {
		t.Errorf("the first one is promoted: %s", out)
	}
	var st struct {
		Standbys struct {
			Standbys []struct {
				LagSeconds float64 `json:"lagSeconds"`
			} `json:"standbys"`
		} `json:"standbys"`
	}
	asked := time.Now()
	if err := json.Unmarshal(d.call(first.endpoint, "GET /_millstream/v1/status", ""), &st); err != nil || len(st.Standbys.Standbys) != 1 {
		t.Fatalf("%+v, %v", st, err)
	}
	first.kill()
	end()
	copied := asked.Add(-time.Duration(st.Standbys.Standbys[0].LagSeconds * float64(time.Second)))
	if out, err := d.command("promote", "--endpoint", "http://"+b).CombinedOutput(); err == nil || !bytes.Contains(out, []byte("say so: millstream promote --lost")) {
		t.Errorf("without a word that it is lost: %v\n%s", err, out)
	}
	began := time.Now()
	out := d.run(commands[3])
	t.Logf("%s after %s, as of %s before the loss", strings.TrimSpace(out), time.Since(began).Round(time.Millisecond), asked.Sub(copied).Round(time.Millisecond))
	second.endpoint = "http://" + b
	is := has(second, copied, "promoted")
	// It comes back.
	first = d.start(commands[0], a)
	d.over(first, "another server")
	first = d.start(commands[0], a)
	d.over(first, "millstream rejoin")
	d.acked = map[string][]ack{}
	end = load(second, is)
	d.run(commands[4])
	first = d.serveAt(commands[5], a)
	follows(first)
	// It is promoted under load, while the other answers.
	d.run("promote --endpoint " + first.endpoint)
	end()
	has(first, time.Now(), "promoted again")
	d.over(second, "another server")
	second = d.start(commands[1], b)
	d.over(second, "millstream rejoin")
	if aside, err := filepath.Glob(filepath.Join(d.dir, "millstream-data/before-rejoin-*/db")); err != nil || len(aside) != 1 {
		t.Error("what the first one had is gone:", aside, err)
	}
	first.kill()
	first = d.serveAt(commands[5], a) // the same command goes on as the server that it is
	has(first, time.Now(), "started again")
}

// TestDirectStandbyIsLetIn: who follows a server that verifies signatures, and speaks TLS, is let in with an operator's key alone.
func TestDirectStandbyIsLetIn(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	d := &drill{t: t, dir: t.TempDir()}
	d.program = filepath.Join(t.TempDir(), "millstream")
	if err := errors.Join(os.Symlink(program, d.program), os.WriteFile(filepath.Join(d.dir, "secret"), []byte("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"), 0o600)); err != nil {
		t.Fatal(err)
	}
	const key = "AKIAIOSFODNN7EXAMPLE"
	first := d.serveAt("serve --data data --allow-standby", "127.0.0.1:0", "--auth", "on", "--tls-self-signed", "--root-access-key-id", key, "--root-secret-access-key-file", "secret")
	if !strings.HasPrefix(first.endpoint, "https://") {
		t.Fatal(first.endpoint)
	}
	t.Setenv("SSL_CERT_FILE", filepath.Join(d.dir, "data/tls/ca.pem"))
	state := func(s *server) string { return string(d.call(s.endpoint, "GET /_millstream/v1/status", "")) }
	fails := func(data string, of *server, want string) {
		t.Helper()
		s := d.serveAt("serve --data "+data+" --standby-of "+of.endpoint, "127.0.0.1:0")
		for deadline := time.Now().Add(time.Minute); !strings.Contains(state(s), `"failing"`); time.Sleep(20 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatal(state(s))
			}
		}
		if text := state(s); !strings.Contains(text, want) {
			t.Error(text)
		}
	}
	fails("stranger", first, "Authentication Token")
	plain := d.serveAt("serve --data plain", "127.0.0.1:0")
	fails("unfed", plain, "start it with --allow-standby")
	if strings.Contains(plain.log.String(), "level=ERROR") {
		t.Error(plain.log)
	}
	d.env = []string{"AWS_ACCESS_KEY_ID=" + key, "AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"}
	second := d.serveAt("serve --data standby --standby-of "+first.endpoint, "127.0.0.1:0")
	d.run("replication --wait 60s --endpoint " + second.endpoint)
	if text := state(second); !strings.Contains(text, `"has":true`) {
		t.Error(text)
	}
}

// TestPromotedWithOtherFlags: a standby that was promoted with --lost replicates to a place as soon as one says so, and tells the other server that it is over, when that one comes
// back, whatever its flags are then.
func TestPromotedWithOtherFlags(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	d := &drill{t: t, dir: t.TempDir()}
	d.program = filepath.Join(t.TempDir(), "millstream")
	if err := os.Symlink(program, d.program); err != nil {
		t.Fatal(err)
	}
	a, b := free(t), free(t)
	begin, follow := "serve --data data --allow-standby", "serve --data standby --standby-of http://"+a
	first := d.serveAt(begin, a)
	early := d.start(follow, b, "--replicate", "place")
	_ = early.cmd.Wait()
	if !strings.Contains(early.log.String(), "say either --standby-of or --replicate") {
		t.Error(early.log)
	}
	second := d.serveAt(follow, b)
	d.run("replication --wait 60s --endpoint " + second.endpoint)
	first.kill()
	d.run("promote --lost --endpoint " + second.endpoint)
	second.kill()
	replicates := func() { // and lets standbys follow, of which there is none: so it may fail
		t.Helper()
		if out, _ := d.command("replication", "--endpoint", second.endpoint).CombinedOutput(); !bytes.Contains(out, []byte("No standby follows")) || !bytes.Contains(out, []byte("place")) {
			t.Errorf("%s", out)
		}
	}
	second = d.serveAt(follow, b, "--replicate", "place")
	replicates()
	second.kill()
	second = d.serveAt("serve --data standby --triggers run --allow-standby --replicate place", b)
	first = d.start(begin, a)
	late := time.AfterFunc(20*time.Second, func() { _ = first.cmd.Process.Kill() }) // else it serves for ever
	d.over(first, "another server")
	late.Stop()
	replicates()
}
