package nodes

import (
	"archive/zip"
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	lambdatypes "github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"github.com/millstreamdb/millstream/internal/admin"
)

// This binary is also the function: a program of the runtime provided.al2023.
func TestMain(m *testing.M) {
	if api := os.Getenv("AWS_LAMBDA_RUNTIME_API"); api != "" {
		runFunction("http://" + api + "/2018-06-01/runtime/invocation/")
		return
	}
	os.Exit(m.Run())
}

// runFunction hands each event to the test, and answers with the version of its package.
func runFunction(api string) {
	version, _ := os.ReadFile(filepath.Join(os.Getenv("LAMBDA_TASK_ROOT"), "version"))
	for {
		next, err := http.Get(api + "next")
		if err != nil {
			return
		}
		event, _ := io.ReadAll(next.Body)
		next.Body.Close()
		id := next.Header.Get("Lambda-Runtime-Aws-Request-Id")
		fmt.Println("called with", len(event), "bytes")
		what, answer := "error", []byte(`{"errorType":"Unreached","errorMessage":"the test was not reached"}`)
		if resp, err := http.Post(os.Getenv("RECORDER"), "application/json", bytes.NewReader(event)); err == nil {
			told, _ := io.ReadAll(resp.Body)
			if resp.Body.Close(); resp.StatusCode == http.StatusOK {
				what, answer = "response", fmt.Appendf(nil, "%q", version)
				if len(told) > 0 { // the test's own answer
					answer = told
				}
			}
		}
		if resp, err := http.Post(api+id+"/"+what, "application/json", bytes.NewReader(answer)); err == nil {
			resp.Body.Close()
		}
	}
}

// books are what the function was called with.
type books struct {
	mu     sync.Mutex
	newest map[string]int // of each key
	seen   int
	again  int
	wrong  []string
	at     time.Time
	gap    time.Duration // the longest between two calls
	moved  chan struct{} // has room for one
	events map[int]int   // how often each Event invocation has come, by its number
	held   chan struct{} // their calls wait until it is closed
	began  int           // of them, also those that wait
}

func (b *books) ServeHTTP(_ http.ResponseWriter, r *http.Request) {
	var event struct {
		Event   int
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
		return // its node was killed while it sent the call
	}
	err = json.Unmarshal(body, &event)
	if event.Event > 0 {
		b.mu.Lock()
		b.began++
		b.mu.Unlock()
		b.tell()
		select {
		case <-b.held:
		case <-r.Context().Done():
			return
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if err != nil {
		b.wrong = append(b.wrong, err.Error())
	}
	if event.Event > 0 {
		b.events[event.Event]++
		b.tell()
		return
	}
	if len(event.Records) == 0 {
		return // a person's call
	}
	if !b.at.IsZero() {
		b.gap = max(b.gap, time.Since(b.at))
	}
	b.at = time.Now()
	for _, rec := range event.Records {
		key := rec.DynamoDB.NewImage.PK.S
		nth, _ := strconv.Atoi(rec.DynamoDB.NewImage.N.N)
		switch newest := b.newest[key]; {
		case nth == newest+1:
			b.newest[key] = nth
			b.seen++
		case nth <= newest:
			b.again++
		default:
			b.wrong = append(b.wrong, fmt.Sprintf("key %s: %d comes after %d", key, nth, newest))
		}
	}
	b.tell()
}

func (b *books) tell() {
	select {
	case b.moved <- struct{}{}:
	default:
	}
}

// judge waits until so many records have come, and tells what was wrong, what came again and the longest time without a call.
func (b *books) judge(t *testing.T, n int) (again int, gap time.Duration) {
	t.Helper()
	late := time.After(time.Minute)
	for {
		b.mu.Lock()
		seen := b.seen
		b.mu.Unlock()
		if seen >= n {
			break
		}
		select {
		case <-b.moved:
		case <-late:
			t.Fatalf("after a minute the function has had %d records of %d", seen, n)
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.seen != n {
		t.Errorf("the function had %d records of %d", b.seen, n)
	}
	for _, wrong := range b.wrong {
		t.Error(wrong)
	}
	again, gap = b.again, b.gap
	b.again, b.gap, b.at = 0, 0, time.Time{}
	return again, gap
}

// events waits until as many events have come, each of them.
func (c *cluster) events(n int) {
	c.t.Helper()
	late := time.After(time.Minute)
	for {
		c.books.mu.Lock()
		got := len(c.books.events)
		c.books.mu.Unlock()
		if got == n {
			return
		}
		select {
		case <-c.books.moved:
		case <-late:
			c.t.Fatalf("after a minute %d events of %d have come", got, n)
		}
	}
}

// process is a server or a node.
type process struct {
	cmd      *exec.Cmd
	endpoint string
	args     []string
	log      *bytes.Buffer
}

func (p *process) port() string { return p.endpoint[strings.LastIndex(p.endpoint, ":")+1:] }

// cluster is a server and its nodes.
type cluster struct {
	t       *testing.T
	bin     string
	dir     string
	primary *process
	nodes   []*process
	books   *books
	ctx     context.Context
	env     []string     // of all processes
	root    []string     // of the next one: its root key
	http    *http.Client // of clients; nil: AWS's own
	key     aws.CredentialsProvider

	mu  sync.Mutex
	nth map[int]int
}

func newCluster(t *testing.T) *cluster {
	return newClusterOver(t, func(c *cluster) []string {
		c.primary = c.start("serve", "--in-memory")
		return nil
	})
}

// newClusterOver has three nodes over what begin sets as c.primary, with the flags that it returns.
func newClusterOver(t *testing.T, begin func(*cluster) (flags []string)) *cluster {
	if testing.Short() {
		t.Skip("starts processes")
	}
	c := &cluster{t: t, dir: t.TempDir(), ctx: t.Context(), key: credentials.NewStaticCredentialsProvider("local", "local", ""), nth: map[int]int{}, books: &books{newest: map[string]int{}, moved: make(chan struct{}, 1), events: map[int]int{}, held: make(chan struct{})}}
	if c.bin = os.Getenv("MILLSTREAM_BIN"); c.bin == "" {
		c.bin = filepath.Join(c.dir, "millstream")
		if out, err := exec.Command("go", "build", "-o", c.bin, "../../cmd/millstream").CombinedOutput(); err != nil {
			t.Fatalf("go build: %v\n%s", err, out)
		}
	}
	flags := begin(c)
	for i := range 3 {
		c.nodes = append(c.nodes, c.start(append([]string{"serve", "--tables", c.primary.endpoint, "--data", filepath.Join(c.dir, strconv.Itoa(i)), "--key-file", filepath.Join(c.dir, "shared.key"),
			"--lease", "2s", "--checkpoint-every", "300ms"}, flags...)...))
	}
	return c
}

// start starts the program and waits until it serves.
func (c *cluster) start(args ...string) *process {
	c.t.Helper()
	p := &process{args: args, log: &bytes.Buffer{}}
	p.cmd = exec.Command(c.bin, append(args, "--listen", "127.0.0.1:0", "--console-listen", "off")...)
	for _, kv := range os.Environ() { // the person's own settings are not the test's
		if !strings.HasPrefix(kv, "MILLSTREAM_") && !strings.HasPrefix(kv, "AWS_") {
			p.cmd.Env = append(p.cmd.Env, kv)
		}
	}
	p.cmd.Env, p.cmd.Stderr = slices.Concat(p.cmd.Env, c.env, c.root), p.log
	out, err := p.cmd.StdoutPipe()
	if err == nil {
		err = p.cmd.Start()
	}
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		_ = p.cmd.Wait()
		if c.t.Failed() {
			c.t.Logf("%s %v:\n%s", p.endpoint, args, p.log)
		}
	})
	lines := bufio.NewScanner(out)
	for p.endpoint == "" && lines.Scan() {
		if _, rest, ok := strings.Cut(lines.Text(), "serves http"); ok {
			p.endpoint = "http" + strings.Fields(rest)[0]
		}
	}
	if p.endpoint == "" {
		_ = p.cmd.Wait()
		c.t.Fatalf("%v does not serve:\n%s", args, p.log)
	}
	go func() { _, _ = io.Copy(io.Discard, out) }()
	return p
}

// end ends a node and starts it again.
func (c *cluster) end(i int, how os.Signal) {
	c.t.Helper()
	n := c.nodes[i]
	if err := n.cmd.Process.Signal(how); err != nil {
		c.t.Fatal(err)
	}
	_ = n.cmd.Wait()
	c.nodes[i] = c.start(n.args...)
}

func (c *cluster) config(endpoint string) aws.Config {
	o := aws.Config{Region: "us-east-1", BaseEndpoint: &endpoint, Credentials: c.key}
	if c.http != nil {
		o.HTTPClient = c.http
	}
	return o
}

func (c *cluster) admin(i int) *admin.Client {
	c.t.Helper()
	client, err := admin.New(admin.Options{Endpoint: c.nodes[i].endpoint, HTTP: c.http, Credentials: c.key})
	c.check(err)
	return client
}

func (c *cluster) lambda(i int) *lambda.Client {
	return lambda.NewFromConfig(c.config(c.nodes[i].endpoint))
}

func (c *cluster) check(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
}

// pack is the function's package.
func (c *cluster) pack(version string) []byte {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	self, err := os.ReadFile(os.Args[0])
	c.check(err)
	for name, content := range map[string][]byte{"bootstrap": self, "version": []byte(version)} {
		h := &zip.FileHeader{Name: name, Method: zip.Deflate}
		h.SetMode(0o755)
		w, err := z.CreateHeader(h)
		c.check(err)
		_, err = w.Write(content)
		c.check(err)
	}
	c.check(z.Close())
	return b.Bytes()
}

// runs wants every node to run this version at its next call.
func (c *cluster) runs(version string) {
	c.t.Helper()
	for i := range c.nodes {
		out, err := c.lambda(i).Invoke(c.ctx, &lambda.InvokeInput{FunctionName: aws.String("f"), Payload: []byte("{}")})
		c.check(err)
		if got := string(out.Payload); got != strconv.Quote(version) {
			c.t.Errorf("node %d answers %s, want version %s", i, got, version)
		}
	}
}

func (c *cluster) write(db *dynamodb.Client, key int) {
	c.mu.Lock()
	c.nth[key]++
	n := c.nth[key]
	c.mu.Unlock()
	_, err := db.PutItem(c.ctx, &dynamodb.PutItemInput{TableName: aws.String("tab"), Item: map[string]types.AttributeValue{
		"pk": &types.AttributeValueMemberS{Value: strconv.Itoa(key)}, "n": &types.AttributeValueMemberN{Value: strconv.Itoa(n)},
	}})
	if err != nil {
		c.t.Error(err)
	}
}

// owner is the node that works a stream, as another tells.
func (c *cluster) owner() int {
	c.t.Helper()
	client := c.admin(0)
	for late := time.Now().Add(10 * time.Second); ; {
		all, err := client.Nodes(c.ctx)
		c.check(err)
		for _, n := range all {
			for i, p := range c.nodes {
				if len(n.Streams) > 0 && n.State != "over" && strings.HasSuffix(n.Name, ":"+p.port()) {
					return i
				}
			}
		}
		if time.Now().After(late) { // it may be changing hands
			c.t.Fatalf("no node works the stream: %+v", all)
		}
	}
}

// drain has a node give its stream up, and no other works it before it has.
func (c *cluster) drain(i int) {
	c.t.Helper()
	out, err := exec.Command(c.bin, "nodes", "ls", "--endpoint", c.nodes[i].endpoint).CombinedOutput()
	c.check(err)
	name := ""
	for _, field := range strings.Fields(string(out)) {
		if strings.HasSuffix(field, ":"+c.nodes[i].port()) && !strings.Contains(field, "/") {
			name = field
		}
	}
	out, err = exec.Command(c.bin, "nodes", "drain", name, "--endpoint", c.nodes[(i+1)%3].endpoint).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "works no stream") {
		c.t.Fatalf("%v: %s", err, out)
	}
	out, err = exec.Command(c.bin, "nodes", "ls", "--endpoint", c.nodes[i].endpoint).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "drained") {
		c.t.Fatalf("%v: %s", err, out)
	}
	if c.owner() == i {
		c.t.Fatal("a node that was drained works the stream")
	}
}

// told wants every node to settle, and to tell the same of the trigger and of what the function has printed, at least so many calls.
func (c *cluster) told(total, least int) {
	c.t.Helper()
	name := ""
	for i := range c.nodes {
		client := c.admin(i)
		settled, err := client.Settle(c.ctx, 10*time.Second)
		if err != nil || !settled.Settled {
			c.t.Fatalf("node %d: %+v, %v", i, settled, err)
		}
		c.t.Logf("node %d settles after %d ms", i, settled.WaitedMS)
		c.books.mu.Lock()
		if c.books.seen != total {
			c.t.Errorf("settled at node %d, the function has had %d records of %d", i, c.books.seen, total)
		}
		c.books.mu.Unlock()
		all, err := client.Triggers(c.ctx)
		for n := range all { // the items that it began with are over
			all[n].Shards = slices.DeleteFunc(all[n].Shards, func(s admin.TriggerShard) bool { return s.Done })
		}
		if err != nil || len(all) != 1 || all[0].Unknown != "" || all[0].LagRecords != 0 || len(all[0].Shards) != 1 || name != "" && all[0].Node != name {
			c.t.Errorf("node %d tells %+v, %v", i, all, err)
		} else {
			name = all[0].Node
		}
		calls := 0
		c.check(client.Logs(c.ctx, admin.LogsOptions{Function: "f", Lines: 1000}, func(l admin.LogLine) error {
			if strings.Contains(l.Text, "called with") {
				calls++
			}
			if l.Note && strings.Contains(l.Text, "missing") {
				c.t.Error(l.Text)
			}
			return nil
		}))
		if calls < least {
			c.t.Errorf("node %d shows %d calls in the logs of the function", i, calls)
		}
	}
}

// A person deploys through any node; each runs what is there now. The owner of a stream is killed under writes, and nothing is lost or out of
// order. All nodes are restarted one after the other under writes, and nothing is delivered twice.
func TestNodes(t *testing.T) {
	c := newCluster(t)
	recorder := httptest.NewServer(c.books)
	t.Cleanup(recorder.Close)
	_, err := c.lambda(0).CreateFunction(c.ctx, &lambda.CreateFunctionInput{
		FunctionName: aws.String("f"), Role: aws.String("arn:aws:iam::000000000000:role/r"), Runtime: lambdatypes.RuntimeProvidedal2023, Handler: aws.String("bootstrap"),
		Timeout: aws.Int32(30), Code: &lambdatypes.FunctionCode{ZipFile: c.pack("one")},
		Environment: &lambdatypes.Environment{Variables: map[string]string{"RECORDER": recorder.URL}},
	})
	c.check(err)
	c.runs("one")
	_, err = c.lambda(1).UpdateFunctionCode(c.ctx, &lambda.UpdateFunctionCodeInput{FunctionName: aws.String("f"), ZipFile: c.pack("two")})
	c.check(err)
	c.runs("two")

	db := dynamodb.NewFromConfig(c.config(c.nodes[2].endpoint)) // a node hands it on
	table, err := db.CreateTable(c.ctx, &dynamodb.CreateTableInput{
		TableName: aws.String("tab"), BillingMode: types.BillingModePayPerRequest,
		AttributeDefinitions: []types.AttributeDefinition{{AttributeName: aws.String("pk"), AttributeType: types.ScalarAttributeTypeS}},
		KeySchema:            []types.KeySchemaElement{{AttributeName: aws.String("pk"), KeyType: types.KeyTypeHash}},
		StreamSpecification:  &types.StreamSpecification{StreamEnabled: aws.Bool(true), StreamViewType: types.StreamViewTypeNewImage},
	})
	c.check(err)
	db = dynamodb.NewFromConfig(c.config(c.primary.endpoint))
	_, err = c.lambda(1).CreateEventSourceMapping(c.ctx, &lambda.CreateEventSourceMappingInput{
		FunctionName: aws.String("f"), EventSourceArn: table.TableDescription.LatestStreamArn, StartingPosition: lambdatypes.EventSourcePositionTrimHorizon, BatchSize: aws.Int32(10),
	})
	c.check(err)
	for i := range c.nodes {
		all, err := c.lambda(i).ListEventSourceMappings(c.ctx, &lambda.ListEventSourceMappingsInput{FunctionName: aws.String("f")})
		c.check(err)
		if len(all.EventSourceMappings) != 1 {
			t.Errorf("node %d shows %d mappings", i, len(all.EventSourceMappings))
		}
	}

	total := 0
	write := func(n int) {
		for i := range n {
			c.write(db, i%10)
		}
		total += n
	}
	write(100)
	_, gap := c.books.judge(t, total)
	t.Logf("100 records, the longest time between calls %v", gap)
	c.told(total, 6+total/10) // each node was called twice by hand, and once for ten records

	write(200)
	c.end(c.owner(), os.Kill)
	write(200)
	again, gap := c.books.judge(t, total)
	t.Logf("kill -9 of the owner under 400 records: %d came again, the longest time between calls %v", again, gap)

	c.told(total, 200/10) // what the killed one had printed in its last moment is gone with it; what was written after that others were called with

	// Each node accepts events, and one is killed while it has called for ten of its twenty.
	for n := range 60 {
		_, err := c.lambda(n%3).Invoke(c.ctx, &lambda.InvokeInput{FunctionName: aws.String("f"), InvocationType: lambdatypes.InvocationTypeEvent, Payload: fmt.Appendf(nil, `{"event":%d}`, n+1)})
		c.check(err)
	}
	killed := time.Now()
	c.end(1, os.Kill)
	close(c.books.held)
	c.events(60)
	t.Logf("kill -9 of a node with twenty events: all sixty have ended after %v", time.Since(killed))

	stop := make(chan struct{})
	var writer sync.WaitGroup
	writer.Go(func() {
		for tick := time.NewTicker(5 * time.Millisecond); ; <-tick.C {
			select {
			case <-stop:
				return
			default:
				write(1)
			}
		}
	})
	c.runs("two")
	c.drain(c.owner())
	for i := range c.nodes {
		c.end(i, syscall.SIGTERM)
	}
	c.end(c.owner(), syscall.SIGTERM)
	close(stop)
	writer.Wait()
	again, gap = c.books.judge(t, total)
	t.Logf("a node drained, and a rolling restart under writes: %d came again, the longest time between calls %v", again, gap)
	if again > 0 {
		t.Errorf("a rolling restart has had %d records delivered again", again)
	}
	c.runs("two")
}
