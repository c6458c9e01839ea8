package remote

import (
	"bytes"
	"context"
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
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/millstreamdb/millstream/internal/schema"
	"github.com/millstreamdb/millstream/internal/storm"
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
	answer, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if err != nil || resp.StatusCode != http.StatusOK {
		return lane.Result{Outcome: lane.FunctionError, Error: fmt.Sprint(resp.Status, err)}
	}
	return lane.Result{Payload: answer}
}

// serveFunction is a function behind a URL.
func serveFunction(call func(by int, event []byte) (answer []byte, err error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		event, err := io.ReadAll(r.Body)
		if err != nil {
			return // its node was killed while it sent the call: this is none
		}
		by, _ := strconv.Atoi(r.Header.Get("X-Process"))
		answer, err := call(by, event)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		_, _ = w.Write(answer)
	}
}

// noting is a function that notes what it is called with.
func noting(f *storm.Function) http.HandlerFunc {
	return serveFunction(func(by int, event []byte) ([]byte, error) {
		_, err := f.Call(by, event)
		return nil, err
	})
}

// delivered waits until a function has had so many records.
func delivered(t *testing.T, f *storm.Function, n int) {
	t.Helper()
	if seen := f.Await(t.Context(), n, time.Minute); seen < n {
		t.Fatalf("a minute after the last one the function has had %d records of %d", seen, n)
	}
}

// cluster is a server in this process, a table with mappings, and nodes that are processes.
type cluster struct {
	t      *testing.T
	c      *Client
	url    string // of functions
	nodes  map[int]*exec.Cmd
	stream string
}

// newCluster has functions, each with a mapping that define may change. call is a call of one of them by a process.
func newCluster(t *testing.T, functions []string, define func(function string, d *mapping.Definition), call func(function string, by int, event []byte) ([]byte, error)) *cluster {
	tables := stormTables
	if tables == "" {
		tables = startServer(t, "")
	}
	return newClusterOver(t, tables, functions, define, call)
}

// newClusterOver is over the tables at a URL.
func newClusterOver(t *testing.T, tables string, functions []string, define func(function string, d *mapping.Definition), call func(function string, by int, event []byte) ([]byte, error)) *cluster {
	ctx := t.Context()
	w := &cluster{t: t, c: clientOf(tables), nodes: map[int]*exec.Cmd{}}
	b := New(optionsFor(w.c, nil))
	if err := w.c.MakeTables(ctx, b); err != nil {
		t.Fatal(err)
	}
	w.stream = w.table("tab", true)
	paths := http.NewServeMux()
	for i, name := range functions {
		d := simDefinition(w.stream)
		d.UUID, d.FunctionARN = mappingOf(i), simScope.FunctionARN(name)
		define(name, &d)
		if _, err := b.CreateMapping(ctx, d); err != nil {
			t.Fatal(err)
		}
		paths.Handle("/"+name, serveFunction(func(by int, event []byte) ([]byte, error) { return call(name, by, event) }))
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

// table makes a table.
func (w *cluster) table(name string, stream bool) (streamARN string) {
	w.t.Helper()
	in := map[string]any{
		"TableName": name, "BillingMode": "PAY_PER_REQUEST", "AttributeDefinitions": []map[string]string{{"AttributeName": "pk", "AttributeType": "S"}},
		"KeySchema": []map[string]string{{"AttributeName": "pk", "KeyType": "HASH"}},
	}
	if stream {
		in["StreamSpecification"] = map[string]any{"StreamEnabled": true, "StreamViewType": "NEW_IMAGE"}
	}
	var made struct {
		TableDescription struct{ LatestStreamArn string }
	}
	if err := w.c.Do(w.t.Context(), "CreateTable", in, &made); err != nil {
		w.t.Fatal(err)
	}
	return made.TableDescription.LatestStreamArn
}

// startServer has a Millstream in this process serve, over a folder, or in memory without one.
func startServer(t *testing.T, dir string) (url string) {
	s, err := OpenServerIn(dir)
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

// put writes an item the nth time.
func (w *cluster) put(ctx context.Context, key string, n int) error {
	err := w.c.Do(ctx, "PutItem", storm.Item("tab", key, n), nil)
	if CodeOf(err) == "ConditionalCheckFailedException" { // an earlier try was applied
		return nil
	}
	return err
}

// mappingOf is the id of a function's mapping.
func mappingOf(i int) string { return functionUUID(fmt.Sprintf(":f%08d", i+1)) }

// Three nodes work over one server. The owner is killed under writes, then one is told to end: nothing is lost, and each item's
// records come in their order.
func TestNodesAreKilled(t *testing.T) {
	f := &storm.Function{}
	w := newCluster(t, []string{"f1"}, func(string, *mapping.Definition) {}, func(_ string, by int, event []byte) ([]byte, error) {
		_, err := f.Call(by, event)
		return nil, err
	})
	written := map[string]int{}
	write := func(n int) {
		for i := range n {
			key := strconv.Itoa(i % 10)
			written[key]++
			if err := w.put(t.Context(), key, written[key]); err != nil {
				t.Error(err)
			}
		}
	}
	end := func(how os.Signal) {
		_, _, owner := f.Look()
		w.end(owner, how)
	}
	judge := func() (again int) {
		t.Helper()
		for _, fault := range f.Judge(written) {
			t.Error(fault)
		}
		_, again, _ = f.Look()
		return again
	}
	write(20)
	delivered(t, f, 20)
	write(200)
	end(os.Kill)
	write(200)
	delivered(t, f, 420)
	again := judge()
	t.Logf("after a kill: 420 records, %d of them again, longest gap between calls %v", again, f.Gap())
	write(100)
	end(syscall.SIGTERM)
	write(100)
	delivered(t, f, 620)
	if now := judge(); now != again {
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
