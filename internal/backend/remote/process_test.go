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

// runNode is the process: an engine over the tables of one server, whose functions are a URL.
func runNode() {
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError}))
	b := New(Options{Endpoint: clientOf(os.Getenv(nodeVariable)), Lease: nodeLease, Drain: time.Second, Log: log})
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	if err := b.o.Endpoint.(*Client).MakeTables(ctx, b); err != nil {
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

// urlInvoker calls a URL as the function.
type urlInvoker string

func (u urlInvoker) Resolve(_ context.Context, scope schema.Scope, name string) (string, error) {
	return scope.FunctionARN(name), nil
}

func (u urlInvoker) Invoke(ctx context.Context, _ string, payload []byte) lane.Result {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, string(u), bytes.NewReader(payload))
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

// called is the function: what it was called with, by whom.
type called struct {
	mu     sync.Mutex
	newest map[string]int // nth of each key
	seen   int
	again  int
	wrong  []string
	by     int // the process of the last call
	at     time.Time
	gap    time.Duration // the longest between calls
	moved  chan struct{} // has room for one: there was a call
	fails  int           // one call in so many fails; 0: none
}

func (c *called) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var event struct {
		Records []struct {
			EventSourceARN string `json:"eventSourceARN"`
			DynamoDB       struct {
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
	if !c.at.IsZero() {
		c.gap = max(c.gap, time.Since(c.at))
	}
	c.at = time.Now()
	c.by, _ = strconv.Atoi(r.Header.Get("X-Process"))
	if c.fails > 0 && rand.IntN(c.fails) == 0 {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	for _, rec := range event.Records {
		key := rec.DynamoDB.NewImage.PK.S
		nth, _ := strconv.Atoi(rec.DynamoDB.NewImage.N.N)
		switch newest := c.newest[key]; {
		case nth == newest+1:
			c.newest[key] = nth
			c.seen++
		case nth <= newest:
			c.again++
		default:
			c.wrong = append(c.wrong, fmt.Sprintf("key %s: %d comes after %d", key, nth, newest))
		}
	}
}

func (c *called) look() (seen, by int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.seen, c.by
}

// cluster is a server in this process, a table with a mapping, and nodes that are processes.
type cluster struct {
	t     *testing.T
	c     *Client
	calls *called
	url   string // of the function
	nodes map[int]*exec.Cmd

	mu  sync.Mutex
	nth map[int]int
}

func newCluster(t *testing.T) *cluster {
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
	w := &cluster{
		t: t, c: clientOf("http://" + ln.Addr().String()), calls: &called{newest: map[string]int{}, moved: make(chan struct{}, 1)}, nodes: map[int]*exec.Cmd{}, nth: map[int]int{},
	}
	b := New(Options{Endpoint: w.c, Lease: nodeLease})
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
	if _, err := b.CreateMapping(ctx, simDefinition(made.TableDescription.LatestStreamArn)); err != nil {
		t.Fatal(err)
	}
	function := httptest.NewServer(w.calls)
	t.Cleanup(function.Close)
	w.url = function.URL
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

// delivered waits until the function has had so many records.
func (w *cluster) delivered(n int) {
	w.t.Helper()
	late := time.After(time.Minute)
	for {
		seen, _ := w.calls.look()
		if seen >= n {
			return
		}
		select {
		case <-w.calls.moved:
		case <-late:
			w.t.Fatalf("after a minute the function has had %d records of %d", seen, n)
		}
	}
}

// judge tells what was out of order.
func (w *cluster) judge(n int) (again int, gap time.Duration) {
	w.calls.mu.Lock()
	defer w.calls.mu.Unlock()
	if w.calls.seen != n {
		w.t.Errorf("the function had %d records of %d", w.calls.seen, n)
	}
	for _, wrong := range w.calls.wrong {
		w.t.Error(wrong)
	}
	return w.calls.again, w.calls.gap
}

// Three nodes work over one server. The owner is killed under writes, then one is told to end: nothing is lost, and each item's
// records come in their order.
func TestNodesAreKilled(t *testing.T) {
	w := newCluster(t)
	write := func(n int) {
		for i := range n {
			w.write(i % 10)
		}
	}
	write(20)
	w.delivered(20)
	write(200)
	w.end(w.owner(), os.Kill)
	write(200)
	w.delivered(420)
	again, gap := w.judge(420)
	t.Logf("after a kill: 420 records, %d of them again, longest gap between calls %v", again, gap)
	write(100)
	w.end(w.owner(), syscall.SIGTERM)
	write(100)
	w.delivered(620)
	if now, _ := w.judge(620); now != again {
		t.Errorf("a node that ended in order had %d records delivered again", now-again)
	}
}

// TestStorm kills and stops nodes at random while writers go on and a call in twenty fails, for as long as MILLSTREAM_STORM says.
func TestStorm(t *testing.T) {
	length := time.Second // one kill or pause
	if text := os.Getenv("MILLSTREAM_STORM"); text != "" {
		var err error
		if length, err = time.ParseDuration(text); err != nil {
			t.Fatal(err)
		}
	}
	w := newCluster(t)
	w.calls.fails = 20
	over := time.Now().Add(length)
	var writers sync.WaitGroup
	for k := range 5 {
		writers.Go(func() {
			for tick := time.NewTicker(10 * time.Millisecond); time.Now().Before(over); <-tick.C {
				w.write(k + 5*rand.IntN(20))
			}
		})
	}
	kills, pauses := 0, 0
	for time.Now().Before(over) {
		time.Sleep(time.Duration(2000+rand.IntN(3000)) * time.Millisecond)
		pid := w.owner()
		if rand.IntN(2) == 0 {
			w.end(pid, os.Kill)
			kills++
			continue
		}
		pauses++
		process := w.nodes[pid].Process
		_ = process.Signal(syscall.SIGSTOP)
		time.Sleep(time.Duration(1000+rand.IntN(4000)) * time.Millisecond)
		_ = process.Signal(syscall.SIGCONT)
	}
	writers.Wait()
	total := 0
	for _, n := range w.nth {
		total += n
	}
	w.delivered(total)
	again, gap := w.judge(total)
	t.Logf("%v: %d records (%.0f a second), %d kills, %d pauses, %d records again (%.1f %%), longest gap between calls %v",
		length, total, float64(total)/length.Seconds(), kills, pauses, again, float64(again)*100/float64(total), gap)
}

func simDefinition(arn string) mapping.Definition {
	now := time.Now().UTC().Round(0)
	return mapping.Definition{
		UUID: "00000001-1111-4222-8333-444444444444", Scope: simScope, StreamARN: arn, FunctionARN: simScope.FunctionARN("f"), Enabled: true, Generation: 1,
		Start: mapping.StartTrimHorizon, Created: now, Modified: now, BatchSize: 10, ParallelizationFactor: 1, MaximumRetryAttempts: -1, MaximumRecordAgeSeconds: -1,
	}
}
