package remote

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/millstreamdb/millstream/internal/schema"
	"github.com/millstreamdb/millstream/internal/trigger"
	"github.com/millstreamdb/millstream/internal/trigger/lane"
	"github.com/millstreamdb/millstream/internal/trigger/mapping"
)

// A test starts this binary again as a node.
const nodeVariable = "MILLSTREAM_TEST_NODE"

func TestMain(m *testing.M) {
	if os.Getenv(nodeVariable) != "" {
		runNode()
		return
	}
	os.Exit(m.Run())
}

func clientOf(url string) *Client {
	return &Client{URL: url, Region: "us-east-1", Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""), HTTP: &http.Client{}}
}

// nodeLease is short, so that the test is.
const nodeLease = 2 * time.Second

// stormTables is the URL of an engine that is no Millstream, over which nodes are to be instead of a server of the test's; empty: none.
var stormTables = os.Getenv("MILLSTREAM_STORM_TABLES")

// optionsFor are those of a node.
func optionsFor(c *Client, log *slog.Logger) Options {
	o := Options{Endpoint: c, Lease: nodeLease, Drain: time.Second, Log: log}
	if stormTables != "" {
		o.Endpoint, o.Polled = NewPolled(c, 200*time.Millisecond), true
	}
	return o
}

// runNode is the process: an engine over the tables of one server, whose functions are a URL.
func runNode() {
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError}))
	client := clientOf(os.Getenv(nodeVariable))
	b := New(optionsFor(client, log))
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	if err := client.MakeTables(ctx, b); err != nil {
		log.Error("no tables", "error", err)
		os.Exit(1)
	}
	e, err := trigger.New(ctx, trigger.Options{Backend: b, Invoker: urlInvoker(os.Getenv("MILLSTREAM_TEST_FUNCTION")), Log: log, CommitInterval: 300 * time.Millisecond})
	if err == nil {
		err = e.Run(ctx)
	}
	if err != nil {
		log.Error("the node ends", "error", err)
		os.Exit(1)
	}
}

// urlInvoker calls a URL for each function.
type urlInvoker string

func (u urlInvoker) Resolve(_ context.Context, scope schema.Scope, name string) (string, error) {
	return scope.FunctionARN(name), nil
}

func (u urlInvoker) Invoke(ctx context.Context, arn string, payload []byte) lane.Result {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, string(u)+"/"+arn[strings.LastIndex(arn, ":")+1:], bytes.NewReader(payload))
	if err != nil {
		return lane.Result{Outcome: lane.NotDelivered, Error: err.Error()}
	}
	r.Header.Set("X-Process", strconv.Itoa(os.Getpid()))
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return lane.Result{Outcome: lane.FunctionError, Error: err.Error()}
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return lane.Result{Outcome: lane.FunctionError, Error: resp.Status}
	}
	return lane.Result{}
}

// called is a function: what it was called with, by whom.
type called struct {
	define func(*mapping.Definition) // its mapping
	fails  int                       // one call in so many fails; 0: none
	fault  func(key string) bool     // calls with a record of these keys fail, until it is mended; nil: none

	mu     sync.Mutex
	mended bool
	newest map[string]int          // nth of each key
	had    map[string]map[int]bool // of keys that have failed: which have come, in whatever order
	seen   int
	again  int
	wrong  []string
	by     int // the process of the last call
	at     time.Time
	gap    time.Duration // the longest between calls
	moved  chan struct{} // has room for one: there was a call

	// Of takeovers: processes that are killed or stopped, since when nobody else has called, how long that was each time, and how many
	// records came again from each process, one after the other.
	out     map[int]bool
	since   time.Time
	resumed []time.Duration
	repeats []int
}

func newCalled() *called {
	return &called{newest: map[string]int{}, had: map[string]map[int]bool{}, moved: make(chan struct{}, 1), out: map[int]bool{}, repeats: []int{0}}
}

func (c *called) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var event struct {
		Records []struct {
			DynamoDB struct {
				NewImage struct {
					PK struct{ S string } `json:"pk"`
					N  struct{ N string } `json:"n"`
				}
			} `json:"dynamodb"`
		}
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // its node was killed while it sent the call: this is none
	}
	c.mu.Lock()
	defer func() {
		c.mu.Unlock()
		select {
		case c.moved <- struct{}{}:
		default:
		}
	}()
	if err := json.Unmarshal(body, &event); err != nil {
		c.wrong = append(c.wrong, err.Error())
	}
	by, _ := strconv.Atoi(r.Header.Get("X-Process"))
	c.noteCall(by, time.Now())
	if !c.mended && c.fails > 0 && rand.IntN(c.fails) == 0 {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	for _, rec := range event.Records {
		if c.fault != nil && !c.mended && c.fault(rec.DynamoDB.NewImage.PK.S) {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
	}
	for _, rec := range event.Records {
		key := rec.DynamoDB.NewImage.PK.S
		nth, _ := strconv.Atoi(rec.DynamoDB.NewImage.N.N)
		c.noteRecord(key, nth)
	}
}

// noteCall notes who calls, and when.
func (c *called) noteCall(by int, now time.Time) {
	if !c.at.IsZero() {
		c.gap = max(c.gap, now.Sub(c.at))
	}
	if c.at = now; c.by != by {
		c.by, c.repeats = by, append(c.repeats, 0)
	}
	if !c.since.IsZero() && !c.out[by] {
		c.resumed, c.since = append(c.resumed, now.Sub(c.since)), time.Time{}
	}
}

// noteRecord notes a record that was processed. What was parked comes again in whatever order, but once it has come it has come.
func (c *called) noteRecord(key string, nth int) {
	if had := c.had[key]; had != nil {
		if had[nth] {
			c.again++
		} else {
			had[nth] = true
			c.seen++
		}
		return
	}
	switch newest := c.newest[key]; {
	case nth == newest+1:
		c.newest[key] = nth
		c.seen++
	case nth <= newest:
		c.again++
		c.repeats[len(c.repeats)-1]++
	default:
		c.wrong = append(c.wrong, fmt.Sprintf("key %s: %d comes after %d", key, nth, newest))
	}
}

func (c *called) look() (seen, by int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.seen, c.by
}

// delivered waits until the function has had so many records. It may take as long as it likes while there are more.
func (c *called) delivered(t *testing.T, n int) {
	t.Helper()
	last, late := 0, time.NewTimer(time.Minute)
	for {
		seen, _ := c.look()
		if seen >= n {
			return
		}
		if seen > last {
			last = seen
			late.Reset(time.Minute)
		}
		select {
		case <-c.moved:
		case <-late.C:
			t.Fatalf("a minute after the last one the function has had %d records of %d", seen, n)
		}
	}
}

// judge tells what was out of order.
func (c *called) judge(t *testing.T, n int) (again int, gap time.Duration) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.seen != n {
		t.Errorf("the function had %d records of %d", c.seen, n)
	}
	for _, wrong := range c.wrong {
		t.Error(wrong)
	}
	return c.again, c.gap
}

// cluster is a server in this process, a table with mappings, and nodes that are processes.
type cluster struct {
	t      *testing.T
	c      *Client
	calls  *called // the first function
	url    string  // of functions
	nodes  map[int]*exec.Cmd
	stream string

	mu  sync.Mutex
	nth map[int]int
}

// newCluster has a function for each of those given, called f1, f2 and so on, with a mapping.
func newCluster(t *testing.T, functions ...*called) *cluster {
	ctx, tables := t.Context(), stormTables
	if tables == "" {
		tables = startServer(t)
	}
	w := &cluster{t: t, c: clientOf(tables), calls: functions[0], nodes: map[int]*exec.Cmd{}, nth: map[int]int{}}
	b := New(optionsFor(w.c, nil))
	if err := w.c.MakeTables(ctx, b); err != nil {
		t.Fatal(err)
	}
	var made struct {
		TableDescription struct{ LatestStreamArn string }
	}
	if _, err := w.c.call(ctx, tablesAPI, "CreateTable", json.RawMessage(`{"TableName":"tab","BillingMode":"PAY_PER_REQUEST","AttributeDefinitions":[{"AttributeName":"pk","AttributeType":"S"}],
		"KeySchema":[{"AttributeName":"pk","KeyType":"HASH"}],"StreamSpecification":{"StreamEnabled":true,"StreamViewType":"NEW_IMAGE"}}`), &made, 0); err != nil {
		t.Fatal(err)
	}
	w.stream = made.TableDescription.LatestStreamArn
	paths := http.NewServeMux()
	for i, f := range functions {
		name := fmt.Sprint("f", i+1)
		d := simDefinition(w.stream)
		d.UUID, d.FunctionARN = mappingOf(i), simScope.FunctionARN(name)
		if f.define != nil {
			f.define(&d)
		}
		if _, err := b.CreateMapping(ctx, d); err != nil {
			t.Fatal(err)
		}
		paths.Handle("/"+name, f)
	}
	server := httptest.NewServer(paths)
	t.Cleanup(server.Close)
	w.url = server.URL
	for range 3 {
		w.start()
	}
	t.Cleanup(func() {
		for _, n := range w.nodes {
			_ = n.Process.Kill()
			_ = n.Wait()
		}
	})
	return w
}

// startServer has a Millstream in this process serve.
func startServer(t *testing.T) (url string) {
	s, err := OpenServer()
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx, ln) }()
	t.Cleanup(func() {
		stop()
		<-served
		_ = s.Close()
	})
	return "http://" + ln.Addr().String()
}

// start starts a node.
func (w *cluster) start() {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), nodeVariable+"="+w.c.URL, "MILLSTREAM_TEST_FUNCTION="+w.url)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	w.nodes[cmd.Process.Pid] = cmd
}

// end ends a node, and starts another.
func (w *cluster) end(pid int, how os.Signal) {
	n := w.nodes[pid]
	delete(w.nodes, pid)
	if err := n.Process.Signal(how); err != nil {
		w.t.Fatal(err)
	}
	_ = n.Wait()
	w.start()
}

// owner is the node that has called last, if it is there.
func (w *cluster) owner() int {
	_, by := w.calls.look()
	if w.nodes[by] == nil {
		for by = range w.nodes {
			break
		}
	}
	return by
}

// write writes an item once more.
func (w *cluster) write(k int) {
	w.mu.Lock()
	w.nth[k]++
	n := w.nth[k]
	w.mu.Unlock()
	in := json.RawMessage(fmt.Sprintf(`{"TableName":"tab","Item":{"pk":{"S":"%d"},"n":{"N":"%d"}}}`, k, n))
	if _, err := w.c.call(context.Background(), tablesAPI, "PutItem", in, &struct{}{}, 0); err != nil {
		w.t.Error(err)
	}
}

// mappingOf is the id of a function's mapping.
func mappingOf(i int) string { return functionUUID(fmt.Sprintf(":f%08d", i+1)) }

// Three nodes work over one server. The owner is killed under writes, then one is told to end: nothing is lost, and each item's
// records come in their order.
func TestNodesAreKilled(t *testing.T) {
	w := newCluster(t, newCalled())
	write := func(n int) {
		for i := range n {
			w.write(i % 10)
		}
	}
	write(20)
	w.calls.delivered(t, 20)
	write(200)
	w.end(w.owner(), os.Kill)
	write(200)
	w.calls.delivered(t, 420)
	again, gap := w.calls.judge(t, 420)
	t.Logf("after a kill: 420 records, %d of them again, longest gap between calls %v", again, gap)
	write(100)
	w.end(w.owner(), syscall.SIGTERM)
	write(100)
	w.calls.delivered(t, 620)
	if now, _ := w.calls.judge(t, 620); now != again {
		t.Errorf("a node that ended in order had %d records delivered again", now-again)
	}
}

func simDefinition(arn string) mapping.Definition {
	now := time.Now().UTC().Round(0)
	return mapping.Definition{
		UUID: "00000001-1111-4222-8333-444444444444", Scope: simScope, StreamARN: arn, FunctionARN: simScope.FunctionARN("f"), Enabled: true, Generation: 1,
		Start: mapping.StartTrimHorizon, Created: now, Modified: now, BatchSize: 10, ParallelizationFactor: 1, MaximumRetryAttempts: -1, MaximumRecordAgeSeconds: -1,
	}
}
