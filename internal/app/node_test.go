package app

import (
	"archive/zip"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"github.com/millstreamdb/millstream/internal/worker"
)

// The time by which a node believes that work is its own goes on while its machine sleeps.
func TestNodesCountTheTimeThatTheMachineSleeps(t *testing.T) {
	boot := worker.MachineBoot()
	if boot == nil {
		t.Skip("this machine does not tell")
	}
	_, want := boot()
	if got := sinceBoot()(); got < want || got > want+time.Minute {
		t.Errorf("since the start of the machine %v, want %v", got, want)
	}
}

// opened is a server, in memory.
func opened(t *testing.T, o Options) (*httptest.Server, *App) {
	t.Helper()
	s, err := Open(o, nil)
	if err != nil {
		t.Fatal(err)
	}
	h := httptest.NewServer(s.Handler())
	t.Cleanup(func() {
		h.Close()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return h, s
}

// openedNode is a node over the tables of a server.
func openedNode(t *testing.T) (node, primary *httptest.Server) {
	t.Helper()
	primary, _ = opened(t, Options{})
	node, _ = opened(t, Options{Tables: primary.URL})
	return node, primary
}

// ask signs for a service, as far as the door looks at it.
func ask(t *testing.T, url, service, method, path, target, body string) (int, string) {
	t.Helper()
	r, err := http.NewRequest(method, url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=local/20260101/us-east-1/"+service+"/aws4_request, SignedHeaders=host, Signature=00")
	r.Header.Set("X-Amz-Date", time.Now().UTC().Format("20060102T150405Z"))
	r.Header.Set("X-Millstream", "1")
	if path, event := strings.CutSuffix(r.URL.Path, "#event"); event {
		r.URL.Path = path
		r.Header.Set("X-Amz-Invocation-Type", "Event")
	}
	r.Header.Set("Content-Type", "application/x-amz-json-1.0")
	if target != "" {
		r.Header.Set("X-Amz-Target", target)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

// What is about data goes on to the server of the tables, and what cannot work is refused by name.
func TestWhatANodeAnswers(t *testing.T) {
	node, primary := openedNode(t)
	if status, text := ask(t, node.URL, "dynamodb", "POST", "/", "DynamoDB_20120810.CreateTable",
		`{"TableName":"tab","BillingMode":"PAY_PER_REQUEST","AttributeDefinitions":[{"AttributeName":"p","AttributeType":"S"}],"KeySchema":[{"AttributeName":"p","KeyType":"HASH"}]}`); status != 200 {
		t.Error(status, text)
	}
	for _, url := range []string{node.URL, primary.URL} {
		if status, text := ask(t, url, "dynamodb", "POST", "/", "DynamoDB_20120810.DescribeTable", `{"TableName":"tab"}`); status != 200 {
			t.Error(url, status, text)
		}
	}
	if status, text := ask(t, node.URL, "sqs", "POST", "/", "AmazonSQS.CreateQueue", `{"QueueName":"q"}`); status != 200 || !strings.Contains(text, "/q") {
		t.Error(status, text)
	}
	ask(t, node.URL, "s3", "PUT", "/things", "", "")
	if status, text := ask(t, node.URL, "s3", "PUT", "/things/code.zip", "", string(packageOf(t, "#!/bin/sh\n"))); status != 200 {
		t.Error(status, text)
	}
	if status, text := ask(t, node.URL, "lambda", "POST", "/2015-03-31/functions", "", `{"FunctionName":"of-s3","Role":"arn:aws:iam::000000000000:role/r","Runtime":"provided.al2023","Handler":"x","Code":{"S3Bucket":"things","S3Key":"code.zip"}}`); status != 201 {
		t.Error(status, text)
	}
	create := func(more string) string {
		return `{"FunctionName":"f","Role":"arn:aws:iam::000000000000:role/r","PackageType":"Image","Code":{"ImageUri":"http://127.0.0.1:1/"}` + more + `}`
	}
	if status, text := ask(t, node.URL, "lambda", "POST", "/2015-03-31/functions", "", create("")); status != 201 {
		t.Error(status, text)
	}
	for _, c := range []struct{ service, method, path, target, body, want string }{
		{"lambda", "POST", "/2015-03-31/functions", "", strings.Replace(create(`,"Environment":{"Variables":{"AB":"1"}}`), `"f"`, `"g"`, 1), "--key-file"},
		{"lambda", "PUT", "/2015-03-31/functions/f/configuration", "", `{"Environment":{"Variables":{"AB":"1"}}}`, "--key-file"},
		{"lambda", "POST", "/2015-03-31/functions", "", `{"FunctionName":"g","Role":"arn:aws:iam::000000000000:role/r","Runtime":"provided.al2023","Handler":"x","Code":{"S3Bucket":"none","S3Key":"k"}}`, "NoSuchBucket"},
		{"lambda", "POST", "/2015-03-31/functions", "", `{"FunctionName":"g","Role":"arn:aws:iam::000000000000:role/r","Runtime":"provided.al2023","Handler":"x","Code":{"S3Bucket":"things","S3Key":"k"}}`, "NoSuchKey"},
		{"lambda", "POST", "/2015-03-31/event-source-mappings", "", `{"FunctionName":"f","EventSourceArn":"arn:aws:sqs:us-east-1:000000000000:q"}`, "--tables"},
		{"sns", "POST", "/", "", "Action=CreateTopic&Name=t", "SNS is not supported by a node"},
		{"scheduler", "POST", "/schedules/s", "", "{}", "schedules are not supported by a node"},
		{"events", "POST", "/", "AWSEvents.PutRule", "{}", "schedules are not supported by a node"},
		{"cloudformation", "POST", "/", "", "Action=CreateStack", "stacks are not supported by a node"},
		{"", "POST", "/_millstream/v1/stages", "", "", "ask the server of the tables"},
		{"", "GET", "/_millstream/v1/parked?trigger=x", "", "", "there is no event source mapping"},
	} {
		if status, text := ask(t, node.URL, c.service, c.method, c.path, c.target, c.body); status < 400 || status >= 500 || !strings.Contains(text, c.want) {
			t.Errorf("%s %s %s: %d %s, want %q", c.service, c.method, c.path, status, text, c.want)
		}
	}
	if status, text := ask(t, node.URL, "lambda", "POST", "/2015-03-31/functions/f/invocations%23event", "", "{}"); status != 202 {
		t.Error(status, text)
	}
	for _, name := range []string{`tables_calls_total{operation="PutItem",outcome="ok"}`, `tables_calls_total{operation="CreateTable",outcome="refused"}`, `tables_call_seconds_total{operation="PutItem"}`, "nodes_alive", "streams_unowned", "streams_worked", "claims_lost_total", "routed_calls_total"} {
		if _, text := ask(t, node.URL, "", "GET", "/metrics", "", ""); !strings.Contains(text, "\nmillstream_"+name+" ") {
			t.Errorf("a node does not show %s", name)
		}
	}
	if _, text := ask(t, primary.URL, "", "GET", "/metrics", "", ""); strings.Contains(text, "nodes_alive") {
		t.Error("a server that is no node shows nodes")
	}
	var nodes struct{ Nodes []struct{ State string } }
	status, text := ask(t, node.URL, "", "GET", "/_millstream/v1/nodes", "", "")
	if err := json.Unmarshal([]byte(text), &nodes); err != nil || status != 200 || len(nodes.Nodes) > 1 {
		t.Error(status, text, err)
	}
	if status, text := ask(t, primary.URL, "", "GET", "/_millstream/v1/nodes", "", ""); status != 400 || !strings.Contains(text, "knows no nodes") {
		t.Error(status, text)
	}
	// Who means the process that has listened here before is told so: its streams are not this one's.
	if status, text := ask(t, node.URL, "", "POST", "/_millstream/v1/settle?timeout=1s&local=1&node=another", "", ""); status != 400 || !strings.Contains(text, "and not another") {
		t.Error(status, text)
	}
}

// A folder with tables is no node's: they would be out of reach.
func TestANodeTakesNoFolderWithTables(t *testing.T) {
	primary := httptest.NewServer(http.NotFoundHandler())
	defer primary.Close()
	if _, err := Open(Options{Tables: primary.URL}, nil); err == nil || !strings.Contains(err.Error(), "cannot be made") {
		t.Error(err)
	}
	zip := base64.StdEncoding.EncodeToString(packageOf(t, "#!/bin/sh\n"))
	for want, what := range map[string][5]string{
		"has 1 tables": {"dynamodb", "POST", "/", "DynamoDB_20120810.CreateTable",
			`{"TableName":"tab","BillingMode":"PAY_PER_REQUEST","AttributeDefinitions":[{"AttributeName":"p","AttributeType":"S"}],"KeySchema":[{"AttributeName":"p","KeyType":"HASH"}]}`},
		"has functions": {"lambda", "POST", "/2015-03-31/functions", "",
			`{"FunctionName":"f","Role":"arn:aws:iam::000000000000:role/r","Runtime":"provided.al2023","Handler":"x","Code":{"ZipFile":"` + zip + `"}}`},
		"has queues and messages": {"sqs", "POST", "/", "AmazonSQS.CreateQueue", `{"QueueName":"q"}`},
		"has topics":              {"sns", "POST", "/", "", "Action=CreateTopic&Name=t"},
		"has schedules": {"scheduler", "POST", "/schedules/s", "",
			`{"ScheduleExpression":"at(2999-01-01T00:00:00)","FlexibleTimeWindow":{"Mode":"OFF"},"Target":{"Arn":"arn:aws:lambda:us-east-1:000000000000:function:f","RoleArn":"arn:aws:iam::000000000000:role/r"}}`},
		"has objects of buckets": {"s3", "PUT", "/things", "", ""},
	} {
		dir := t.TempDir()
		s, err := Open(Options{Dir: dir}, nil)
		if err != nil {
			t.Fatal(err)
		}
		h := httptest.NewServer(s.Handler())
		if status, text := ask(t, h.URL, what[0], what[1], what[2], what[3], what[4]); status >= 300 {
			t.Error(status, text)
		}
		h.Close()
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(Options{Dir: dir, Tables: primary.URL}, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
		if packages, _ := filepath.Glob(filepath.Join(dir, "code", "*", "package.zip")); want == "has functions" && len(packages) != 1 {
			t.Errorf("%d packages are left", len(packages))
		}
	}
}

// The stream of a table that was deleted can be read for a day, so its mappings are taken over, without settings of the table.
func TestTagsOfADeletedTable(t *testing.T) {
	primary, err := Open(Options{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	h := httptest.NewServer(primary.Handler())
	defer func() {
		h.Close()
		if err := primary.Close(); err != nil {
			t.Error(err)
		}
	}()
	s, err := Open(Options{Tables: h.URL}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	if status, text := ask(t, h.URL, "dynamodb", "POST", "/", "DynamoDB_20120810.CreateTable",
		`{"TableName":"tab","BillingMode":"PAY_PER_REQUEST","AttributeDefinitions":[{"AttributeName":"p","AttributeType":"S"}],"KeySchema":[{"AttributeName":"p","KeyType":"HASH"}],
		"Tags":[{"Key":"millstream:rate","Value":"5"}],"StreamSpecification":{"StreamEnabled":true,"StreamViewType":"KEYS_ONLY"}}`); status != 200 {
		t.Fatal(status, text)
	}
	stream := primary.LatestStream("tab")
	if err := s.node.lookUpTags(t.Context(), stream); err != nil || s.node.tagsOf(stream)["millstream:rate"] != "5" {
		t.Errorf("%v, %v", s.node.tagsOf(stream), err)
	}
	if status, text := ask(t, h.URL, "dynamodb", "POST", "/", "DynamoDB_20120810.DeleteTable", `{"TableName":"tab"}`); status != 200 {
		t.Fatal(status, text)
	}
	if err := s.node.lookUpTags(t.Context(), stream); err != nil || len(s.node.tagsOf(stream)) > 0 {
		t.Errorf("of a table that is gone: %v, %v", s.node.tagsOf(stream), err)
	}
	denies := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.Header.Get("X-Amz-Target"), "ListTagsOfResource") {
			w.WriteHeader(400)
			fmt.Fprint(w, `{"__type":"AccessDeniedException"}`)
		} else {
			fmt.Fprint(w, `{"Table":{}}`)
		}
	}))
	defer denies.Close()
	client := *s.node.client
	client.URL = denies.URL
	if _, err := client.Tags(t.Context(), primary.Scope().ARN("dynamodb", "table/tab")); err == nil {
		t.Error("tags that the node may not see are none")
	}
}

// The nodes' own tables are protected, and one that is somebody else's is not taken for one of them.
func TestTablesOfNodes(t *testing.T) {
	node, primary := openedNode(t)
	if status, text := ask(t, node.URL, "dynamodb", "POST", "/", "DynamoDB_20120810.DeleteTable", `{"TableName":"millstream-control"}`); status != 400 || !strings.Contains(text, "deletion") {
		t.Error(status, text)
	}
	table := `{"TableName":"other-progress","BillingMode":"PAY_PER_REQUEST","AttributeDefinitions":[{"AttributeName":"p","AttributeType":"S"}],"KeySchema":[{"AttributeName":"p","KeyType":"HASH"}]}`
	if status, text := ask(t, node.URL, "dynamodb", "POST", "/", "DynamoDB_20120810.CreateTable", table); status != 200 {
		t.Error(status, text)
	}
	if _, err := Open(Options{Tables: primary.URL, TablePrefix: "other-"}, nil); err == nil || !strings.Contains(err.Error(), "other-progress") {
		t.Error(err)
	}
	table = `{"TableName":"old-control","BillingMode":"PAY_PER_REQUEST","AttributeDefinitions":[{"AttributeName":"p","AttributeType":"S"},{"AttributeName":"s","AttributeType":"S"}],
		"KeySchema":[{"AttributeName":"p","KeyType":"HASH"},{"AttributeName":"s","KeyType":"RANGE"}]}` // as an earlier node made it
	if status, text := ask(t, node.URL, "dynamodb", "POST", "/", "DynamoDB_20120810.CreateTable", table); status != 200 {
		t.Error(status, text)
	}
	s, err := Open(Options{Tables: primary.URL, TablePrefix: "old-"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if status, text := ask(t, node.URL, "dynamodb", "POST", "/", "DynamoDB_20120810.DeleteTable", `{"TableName":"old-control"}`); status != 400 || !strings.Contains(text, "deletion") {
		t.Error(status, text)
	}
	for _, o := range []Options{{Durability: "none"}, {LogCap: 1}, {AllowStandby: true}, {RootKey: "x"}, {ManualClock: true}, {ShardRoll: time.Hour}} {
		o.Tables = primary.URL
		if _, err := Open(o, nil); err == nil || !strings.Contains(err.Error(), "does not go with Tables") {
			t.Errorf("%+v: %v", o, err)
		}
	}
}

// What changes a trigger at a node is answered once all nodes have it.
func TestChangesOfTriggersAgree(t *testing.T) {
	primary, _ := opened(t, Options{})
	_, s := opened(t, Options{Tables: primary.URL})
	n := s.node
	for method, want := range map[string]bool{"POST": true, "PUT": true, "GET": false} {
		var agrees bool
		n.adminDoor(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, agrees = w.(*agreed) }), nil).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(method, "/_millstream/v1/triggers/x/pause", nil))
		if agrees != want {
			t.Errorf("%s agrees: %t", method, agrees)
		}
	}
}

// What is changed while a node starts, and before the others wait for it, is there when it has started.
func TestAStartingNodeMissesNoChange(t *testing.T) {
	first, primary := openedNode(t)
	if status, text := ask(t, first.URL, "lambda", "POST", "/2015-03-31/functions", "",
		`{"FunctionName":"f","Role":"arn:aws:iam::000000000000:role/r","PackageType":"Image","Code":{"ImageUri":"http://127.0.0.1:1/"}}`); status != 201 {
		t.Fatal(status, text)
	}
	to, err := url.Parse(primary.URL)
	if err != nil {
		t.Fatal(err)
	}
	pass := httputil.NewSingleHostReverseProxy(to)
	pass.ErrorLog = log.New(io.Discard, "", 0) // reads that wait end with the node
	var once sync.Once
	between := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		if strings.HasSuffix(r.Header.Get("X-Amz-Target"), ".PutItem") && bytes.Contains(body, []byte("node#")) { // its first beat
			once.Do(func() {
				if status, text := ask(t, first.URL, "lambda", "PUT", "/2015-03-31/functions/f/configuration", "", `{"Description":"changed"}`); status != 200 {
					t.Error(status, text)
				}
			})
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		pass.ServeHTTP(w, r)
	}))
	defer between.Close()
	s, err := Open(Options{Tables: between.URL}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	second := httptest.NewServer(s.Handler())
	defer second.Close()
	if status, text := ask(t, second.URL, "lambda", "GET", "/2015-03-31/functions/f", "", ""); status != 200 || !strings.Contains(text, `"changed"`) {
		t.Error(status, text)
	}
}

// A node's own folder is taken again, with what it keeps there.
func TestANodeTakesItsOwnFolder(t *testing.T) {
	primary, err := Open(Options{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	h := httptest.NewServer(primary.Handler())
	defer func() {
		h.Close()
		if err := primary.Close(); err != nil {
			t.Error(err)
		}
	}()
	dir := t.TempDir()
	for range 2 {
		s, err := Open(Options{Dir: dir, Tables: h.URL}, nil)
		if err != nil {
			t.Fatal(err)
		}
		n := httptest.NewServer(s.Handler())
		ask(t, n.URL, "logs", "POST", "/", "Logs_20140328.CreateLogGroup", `{"logGroupName":"/aws/lambda/f"}`) // the second time it is there
		if status, text := ask(t, n.URL, "logs", "POST", "/", "Logs_20140328.PutRetentionPolicy", `{"logGroupName":"/aws/lambda/f","retentionInDays":7}`); status != 200 {
			t.Error(status, text)
		}
		n.Close()
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// packageOf is a function's package whose program is a script.
func packageOf(t *testing.T, script string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	header := &zip.FileHeader{Name: "bootstrap"}
	header.SetMode(0o755)
	w, err := z.CreateHeader(header)
	if err == nil {
		_, err = io.WriteString(w, script)
	}
	if err := errors.Join(err, z.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// A node signs its own calls for a server that verifies, and has functions sign theirs with the same key when it is told to.
func TestANodeOverAServerThatVerifies(t *testing.T) {
	primary, err := Open(Options{Auth: "on", RootKey: "ROOTKEY", RootSecret: "a-secret-of-the-operator"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	h := httptest.NewServer(primary.Handler())
	defer func() {
		h.Close()
		if err := primary.Close(); err != nil {
			t.Error(err)
		}
	}()
	t.Setenv("AWS_ACCESS_KEY_ID", "ROOTKEY")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "another")
	t.Setenv("AWS_SESSION_TOKEN", "")
	if _, err := Open(Options{Tables: h.URL}, nil); err == nil || !strings.Contains(err.Error(), "signature") {
		t.Errorf("with a wrong secret: %v", err)
	}
	t.Setenv("AWS_SECRET_ACCESS_KEY", "a-secret-of-the-operator")
	s, err := Open(Options{Tables: h.URL, FunctionCredentials: "inherit"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	seen := filepath.Join(t.TempDir(), "seen")
	client := lambda.NewFromConfig(s.Config())
	if _, err := client.CreateFunction(t.Context(), &lambda.CreateFunctionInput{
		FunctionName: aws.String("f"), Role: aws.String("arn:aws:iam::000000000000:role/r"), Runtime: types.RuntimeProvidedal2023, Handler: aws.String("x"), Code: &types.FunctionCode{ZipFile: packageOf(t, fmt.Sprintf("#!/bin/sh\nenv > %s.new && mv %[1]s.new %[1]s\nexit 1\n", seen))},
	}); err != nil {
		t.Fatal(err)
	}
	if out, err := client.Invoke(t.Context(), &lambda.InvokeInput{FunctionName: aws.String("f")}); err != nil || out.FunctionError == nil {
		t.Error(out, err)
	}
	env, err := os.ReadFile(seen)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"AWS_ACCESS_KEY_ID=ROOTKEY\n", "AWS_SECRET_ACCESS_KEY=a-secret-of-the-operator\n", "AWS_ENDPOINT_URL_DYNAMODB=" + h.URL + "\n"} {
		if !strings.Contains(string(env), want) {
			t.Errorf("the function does not have %q", want)
		}
	}
	if strings.Contains(string(env), "AWS_SESSION_TOKEN=") {
		t.Error("the function has a session token, with which no signature of its key is right")
	}
}

// An API that is made at one node answers at the others, and is gone there once it was deleted.
func TestAPIsOfNodes(t *testing.T) {
	first, primary := openedNode(t)
	second, _ := opened(t, Options{Tables: primary.URL})
	third := func() *httptest.Server { // one that comes later
		h, _ := opened(t, Options{Tables: primary.URL})
		return h
	}
	api := `{"name":"shop","kind":"http","stage":"$default","routes":[{"method":"GET","path":"/","function":"f","payload":"2.0"}]}`
	if status, text := ask(t, first.URL, "", "PUT", "/_millstream/v1/apis/shop", "", api); status != 200 {
		t.Fatal(status, text)
	}
	for name, h := range map[string]*httptest.Server{"first": first, "second": second, "third": third()} {
		if status, text := ask(t, h.URL, "", "GET", "/_millstream/v1/apis", "", ""); status != 200 || !strings.Contains(text, `"shop"`) {
			t.Errorf("the %s shows %d %s", name, status, text)
		}
	}
	if status, text := ask(t, second.URL, "", "DELETE", "/_millstream/v1/apis/shop", "", ""); status != 200 {
		t.Error(status, text)
	}
	if _, text := ask(t, first.URL, "", "GET", "/_millstream/v1/apis", "", ""); strings.Contains(text, `"shop"`) {
		t.Errorf("what another node has deleted is there: %s", text)
	}
}

// A node that is drained has no part of what is dealt over nodes until it is told otherwise; the last one stays.
func TestDrainedNodes(t *testing.T) {
	_, primary := openedNode(t)
	_, s := opened(t, Options{Tables: primary.URL})
	ctx := t.Context()
	if err := s.drain(ctx, "nobody", false); err == nil || !strings.Contains(err.Error(), "no node that lives") {
		t.Error(err)
	}
	me, _ := s.node.Self()
	see := func(n int) {
		t.Helper()
		late := time.After(10 * time.Second)
		for len(s.node.Lately()) != n {
			select {
			case <-late:
				t.Fatalf("%d nodes take part, want %d", len(s.node.Lately()), n)
			case <-time.After(time.Millisecond):
			}
		}
	}
	see(2)
	if err := s.drain(ctx, me, false); err != nil {
		t.Fatal(err)
	}
	see(1)
	all, err := s.node.Nodes(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range all {
		if n.Drained != (n.ID == me) || !n.Lives {
			t.Errorf("%+v", n)
		}
		if n.ID != me {
			if err := s.drain(ctx, n.ID, false); err == nil || !strings.Contains(err.Error(), "no other node") {
				t.Errorf("the last node is drained: %v", err)
			}
		}
	}
	if err := s.drain(ctx, me, true); err != nil {
		t.Fatal(err)
	}
	see(2)
}
