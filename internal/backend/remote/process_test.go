package remote

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
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

	"github.com/millstreamdb/millstream"
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
	body, _ := io.ReadAll(r.Body)
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

// Three nodes work over one server. The owner is killed under writes, then one is told to end: nothing is lost, and each item's
// records come in their order.
func TestNodesAreKilled(t *testing.T) {
	s, err := millstream.Open(millstream.Options{})
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
	c := clientOf("http://" + ln.Addr().String())
	b := New(Options{Endpoint: c, Lease: nodeLease})
	if err := c.MakeTables(ctx, b.ControlTable(), b.ProgressTable()); err != nil {
		t.Fatal(err)
	}
	var made struct {
		TableDescription struct{ LatestStreamArn string }
	}
	if _, err := c.call(ctx, tablesAPI, "CreateTable", json.RawMessage(`{"TableName":"tab","BillingMode":"PAY_PER_REQUEST","AttributeDefinitions":[{"AttributeName":"pk","AttributeType":"S"}],
		"KeySchema":[{"AttributeName":"pk","KeyType":"HASH"}],"StreamSpecification":{"StreamEnabled":true,"StreamViewType":"NEW_IMAGE"}}`), &made, 0); err != nil {
		t.Fatal(err)
	}
	nth := map[int]int{}
	write := func(n int) {
		for i := range n {
			k := i % 10
			nth[k]++
			in := json.RawMessage(fmt.Sprintf(`{"TableName":"tab","Item":{"pk":{"S":"%d"},"n":{"N":"%d"}}}`, k, nth[k]))
			if _, err := c.call(ctx, tablesAPI, "PutItem", in, &struct{}{}, 0); err != nil {
				t.Fatal(err)
			}
		}
	}
	write(20)
	m := simDefinition(made.TableDescription.LatestStreamArn)
	if _, err := b.CreateMapping(ctx, m); err != nil {
		t.Fatal(err)
	}

	calls := &called{newest: map[string]int{}, moved: make(chan struct{}, 1)}
	function := httptest.NewServer(calls)
	t.Cleanup(function.Close)
	nodes := map[int]*exec.Cmd{}
	start := func() {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), nodeVariable+"="+c.URL, "MILLSTREAM_TEST_FUNCTION="+function.URL)
		cmd.Stderr = os.Stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		nodes[cmd.Process.Pid] = cmd
	}
	for range 3 {
		start()
	}
	t.Cleanup(func() {
		for _, n := range nodes {
			_ = n.Process.Kill()
			_ = n.Wait()
		}
	})
	until := func(what string, is func() bool) {
		t.Helper()
		late := time.After(time.Minute)
		for !is() {
			select {
			case <-calls.moved:
			case <-late:
				seen, _ := calls.look()
				t.Fatalf("after a minute: not %s, but %d records", what, seen)
			}
		}
	}
	end := func(how os.Signal) {
		_, owner := calls.look()
		n := nodes[owner]
		delete(nodes, owner)
		if err := n.Process.Signal(how); err != nil {
			t.Fatal(err)
		}
		_ = n.Wait()
		start()
	}
	until("called", func() bool { seen, _ := calls.look(); return seen >= 20 })
	write(200)
	end(os.Kill)
	write(200)
	until("all delivered", func() bool { seen, _ := calls.look(); return seen == 420 })
	calls.mu.Lock()
	t.Logf("after a kill: 420 records, %d of them again, longest gap between calls %v", calls.again, calls.gap)
	again := calls.again
	calls.mu.Unlock()
	write(100)
	end(syscall.SIGTERM)
	write(100)
	until("all delivered", func() bool { seen, _ := calls.look(); return seen == 620 })
	calls.mu.Lock()
	defer calls.mu.Unlock()
	if calls.again != again {
		t.Errorf("a node that ended in order had %d records delivered again", calls.again-again)
	}
	for _, w := range calls.wrong {
		t.Error(w)
	}
}

func simDefinition(arn string) mapping.Definition {
	now := time.Now().UTC().Round(0)
	return mapping.Definition{
		UUID: "00000001-1111-4222-8333-444444444444", Scope: simScope, StreamARN: arn, FunctionARN: simScope.FunctionARN("f"), Enabled: true, Generation: 1,
		Start: mapping.StartTrimHorizon, Created: now, Modified: now, BatchSize: 10, ParallelizationFactor: 1, MaximumRetryAttempts: -1, MaximumRecordAgeSeconds: -1,
	}
}
