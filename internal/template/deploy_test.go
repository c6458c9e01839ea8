package template_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	fn "github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	fntypes "github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"github.com/millstreamdb/millstream"
	"github.com/millstreamdb/millstream/internal/admin"
	"github.com/millstreamdb/millstream/internal/template"
)

// TestMain is also the functions of testdata/app: the test's own program is the
// bootstrap of their code.
func TestMain(m *testing.M) {
	if os.Getenv("AWS_LAMBDA_RUNTIME_API") == "" {
		os.Exit(m.Run())
	}
	switch os.Getenv("_HANDLER") {
	case "accept":
		fn.Start(accept)
	case "notify":
		fn.Start(notify)
	}
}

func tables(ctx context.Context) (*dynamodb.Client, error) {
	c, err := config.LoadDefaultConfig(ctx)
	return dynamodb.NewFromConfig(c), err
}

func text(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }

func valueOf(v types.AttributeValue) string {
	if s, ok := v.(*types.AttributeValueMemberS); ok {
		return s.Value
	}
	return ""
}

// accept puts an order, or tells of one.
func accept(ctx context.Context, e events.APIGatewayV2HTTPRequest) (events.APIGatewayV2HTTPResponse, error) {
	db, err := tables(ctx)
	if err != nil {
		return events.APIGatewayV2HTTPResponse{}, err
	}
	table, id := os.Getenv("ORDERS"), e.PathParameters["id"]
	if e.RequestContext.HTTP.Method == http.MethodPut {
		_, err := db.PutItem(ctx, &dynamodb.PutItemInput{TableName: &table, Item: map[string]types.AttributeValue{"id": text(id), "what": text(e.Body)}})
		return events.APIGatewayV2HTTPResponse{StatusCode: http.StatusAccepted, Body: "accepted " + id}, err
	}
	out, err := db.GetItem(ctx, &dynamodb.GetItemInput{TableName: &table, Key: map[string]types.AttributeValue{"id": text(id)}})
	if err != nil || out.Item == nil {
		return events.APIGatewayV2HTTPResponse{StatusCode: http.StatusNotFound}, err
	}
	return events.APIGatewayV2HTTPResponse{StatusCode: http.StatusOK, Body: valueOf(out.Item["what"])}, nil
}

// notify notes every change.
func notify(ctx context.Context, e events.DynamoDBEvent) (events.DynamoDBEventResponse, error) {
	db, err := tables(ctx)
	if err != nil {
		return events.DynamoDBEventResponse{}, err
	}
	for _, r := range e.Records {
		_, err := db.PutItem(ctx, &dynamodb.PutItemInput{TableName: aws.String(os.Getenv("NOTES")), Item: map[string]types.AttributeValue{
			"id": text(r.Change.Keys["id"].String()), "note": text(r.EventName + " " + r.Change.NewImage["what"].String()),
		}})
		if err != nil {
			return events.DynamoDBEventResponse{}, err
		}
	}
	return events.DynamoDBEventResponse{}, nil
}

// bed is a server with the application's folder.
type bed struct {
	*testing.T
	dir    string
	srv    *millstream.Server
	target *template.Target
	stop   func()
	data   string

	endpoint string // the server's
}

func newBed(t *testing.T) *bed {
	b := &bed{T: t, dir: t.TempDir(), data: filepath.Join(t.TempDir(), "data")}
	if err := os.CopyFS(b.dir, os.DirFS("testdata/app")); err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(b.dir, "program"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(self, filepath.Join(b.dir, "program", "bootstrap")); err != nil {
		t.Fatal(err)
	}
	b.start()
	t.Cleanup(func() { b.stop() })
	return b
}

func (b *bed) start() {
	b.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var ends []func() error
	listen := func() net.Listener {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			b.Fatal(err)
		}
		return ln
	}
	ln, front := listen(), listen()
	b.endpoint = "http://" + ln.Addr().String()
	srv, err := millstream.Open(millstream.Options{
		Dir: b.data, Endpoint: "http://" + ln.Addr().String(), FrontEndpoint: "http://" + front.Addr().String(), FunctionOutput: testOutput{b.T},
	})
	if err != nil {
		b.Fatal(err)
	}
	b.srv = srv
	for _, serve := range []func() error{func() error { return srv.Serve(ctx, ln) }, func() error { return srv.ServeFront(ctx, front) }} {
		ended := make(chan error, 1)
		go func() { ended <- serve() }()
		ends = append(ends, func() error { return <-ended })
	}
	b.stop = func() {
		cancel()
		for _, end := range ends {
			if err := end(); err != nil {
				b.Error(err)
			}
		}
		if err := srv.Close(); err != nil {
			b.Error(err)
		}
		b.stop = func() {}
	}
	b.target = template.NewTarget(aws.Config{Region: "us-east-1", Credentials: credentials.NewStaticCredentialsProvider("test", "test", "")},
		template.Endpoints{Main: "http://" + ln.Addr().String()})
	if b.target.Front, err = admin.New(admin.Options{Endpoint: "http://" + ln.Addr().String()}); err != nil {
		b.Fatal(err)
	}
}

type testOutput struct{ t *testing.T }

func (o testOutput) Write(p []byte) (int, error) {
	fmt.Fprintf(os.Stderr, "%s", p)
	return len(p), nil
}

// try deploys the folder's template.
func (b *bed) try(parameters map[string]string) (*template.Result, error) {
	b.Helper()
	t, err := template.Read(filepath.Join(b.dir, "template.yaml"))
	if err != nil {
		return nil, err
	}
	o := template.Options{Stack: "shop", Parameters: parameters}
	if err := b.target.Fill(b.Context(), &o); err != nil {
		return nil, err
	}
	plan, err := t.Plan(o)
	if err != nil {
		return nil, err
	}
	return plan.Deploy(b.Context(), b.target, nil)
}

// deploy is try for what must be deployed. It returns the actions by resource, too.
func (b *bed) deploy(parameters map[string]string) (*template.Result, map[string]string) {
	b.Helper()
	result, err := b.try(parameters)
	if err != nil {
		b.Fatal(err)
	}
	actions := map[string]string{}
	for _, c := range result.Changes {
		actions[c.ID] = string(c.Action)
		if c.Detail != "" {
			actions[c.ID] += " " + c.Detail
		}
	}
	return result, actions
}

// edit changes the folder's template.
func (b *bed) edit(old, new string) {
	b.Helper()
	path := filepath.Join(b.dir, "template.yaml")
	body, err := os.ReadFile(path)
	if err != nil {
		b.Fatal(err)
	}
	if !bytes.Contains(body, []byte(old)) {
		b.Fatalf("the template has no %q", old)
	}
	if err := os.WriteFile(path, bytes.Replace(body, []byte(old), []byte(new), 1), 0o644); err != nil {
		b.Fatal(err)
	}
}

func output(t *testing.T, r *template.Result, name string) string {
	t.Helper()
	i := slices.IndexFunc(r.Outputs, func(o template.Output) bool { return o.Name == name })
	if i < 0 {
		t.Fatalf("no output %s in %v", name, r.Outputs)
	}
	return r.Outputs[i].Value
}

func (b *bed) call(method, url, body string, header http.Header) (*http.Response, string) {
	b.Helper()
	req, err := http.NewRequestWithContext(b.Context(), method, url, strings.NewReader(body))
	if err != nil {
		b.Fatal(err)
	}
	for name, values := range header {
		req.Header[name] = values
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		b.Fatal(err)
	}
	defer res.Body.Close()
	got, err := io.ReadAll(res.Body)
	if err != nil {
		b.Fatal(err)
	}
	return res, string(got)
}

func (b *bed) settle() {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.Context(), time.Minute)
	defer cancel()
	if err := b.srv.Settle(ctx); err != nil {
		b.Fatal(err)
	}
}

func (b *bed) note(r *template.Result, id string) string {
	b.Helper()
	out, err := b.target.Tables.GetItem(b.Context(), &dynamodb.GetItemInput{TableName: aws.String(output(b.T, r, "Notes")), Key: map[string]types.AttributeValue{"id": text(id)}})
	if err != nil {
		b.Fatal(err)
	}
	return valueOf(out.Item["note"])
}

func needs(t *testing.T, tools ...string) {
	t.Helper()
	for _, tool := range tools {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip(tool + " is not installed; functions of the application run on it")
		}
	}
}

// A SAM template with tables, a stream, functions in three languages, an HTTP API, a
// REST API and a function URL is deployed, used from outside, deployed again, changed,
// and used after a restart.
func TestDeploy(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	needs(t, "node", "python3")
	b := newBed(t)
	r, actions := b.deploy(nil)
	for id, action := range actions {
		if action != "created" {
			t.Errorf("%s: %s", id, action)
		}
	}

	api := output(t, r, "Api")
	res, body := b.call("PUT", api+"orders/o-1", "a hat", nil)
	if res.StatusCode != http.StatusAccepted || body != "accepted o-1" {
		t.Fatalf("PUT: %s %q", res.Status, body)
	}
	if res, body = b.call("GET", api+"orders/o-1", "", nil); res.StatusCode != 200 || body != "a hat" {
		t.Fatalf("GET: %s %q", res.Status, body)
	}
	b.settle()
	if note := b.note(r, "o-1"); note != "INSERT a hat" {
		t.Fatalf("the trigger noted %q", note)
	}

	t.Run("node over the HTTP API", func(t *testing.T) {
		res, body := b.call("POST", api+"node/a%20b/c?x=1&x=2", "\xff\xfe", http.Header{"Content-Type": {"application/octet-stream"}, "Cookie": {"a=1; b=2"}, "Origin": {"https://shop.example"}})
		var e events.APIGatewayV2HTTPRequest
		if err := json.Unmarshal([]byte(body), &e); err != nil {
			t.Fatalf("%s: %v: %s", res.Status, err, body)
		}
		if e.RouteKey != "ANY /node/{proxy+}" || e.PathParameters["proxy"] != "a b/c" || e.QueryStringParameters["x"] != "1,2" || !e.IsBase64Encoded ||
			e.Body != "//4=" || len(e.Cookies) != 2 || e.RequestContext.HTTP.SourceIP != "127.0.0.1" {
			t.Errorf("the event was %s", body)
		}
		if res.Header.Get("Access-Control-Allow-Origin") != "https://shop.example" || res.Header.Get("Set-Cookie") != "seen=1; HttpOnly" {
			t.Errorf("headers %v", res.Header)
		}
	})
	t.Run("python over the REST API", func(t *testing.T) {
		res, body := b.call("POST", output(t, r, "Python")+"?y=2", `{"a":1}`, http.Header{"Content-Type": {"application/json"}})
		var e events.APIGatewayProxyRequest
		if err := json.Unmarshal([]byte(body), &e); err != nil {
			t.Fatalf("%s: %v: %s", res.Status, err, body)
		}
		if e.Resource != "/python" || e.HTTPMethod != "POST" || e.Body != `{"a":1}` || e.QueryStringParameters["y"] != "2" || e.RequestContext.Stage != "Prod" || e.RequestContext.Path != "/Prod/python/" {
			t.Errorf("the event was %s", body)
		}
	})
	t.Run("function URL", func(t *testing.T) {
		if res, body := b.call("GET", output(t, r, "Url")+"any/path", "", nil); res.StatusCode != 200 || !strings.Contains(body, `"rawPath":"/any/path"`) {
			t.Errorf("%s %s", res.Status, body)
		}
	})

	// Again: nothing differs, nothing is done.
	_, actions = b.deploy(nil)
	for id, action := range actions {
		if action != "unchanged" {
			t.Errorf("deployed again: %s: %s", id, action)
		}
	}

	// Changed: what differs is changed, and the trigger keeps its place.
	b.edit("    Timeout: 20", "    Timeout: 21")
	b.edit("AttributeName: expires, Enabled: true", "AttributeName: until, Enabled: true")
	b.edit("MaximumRetryAttempts: 3", "BisectBatchOnFunctionError: true")
	b.edit("Path: /python, Method: post", "Path: /python, Method: any")
	if err := os.WriteFile(filepath.Join(b.dir, "echo-python", "app.py"), []byte("def handler(event, context):\n    return {'statusCode': 200, 'body': 'changed'}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	r, actions = b.deploy(map[string]string{"Batch": "5"})
	want := map[string]string{
		"Orders": "updated time to live", "Notes": "unchanged", "Accept": "updated configuration", "Notify": "updated configuration", "EchoNode": "updated configuration",
		"EchoPython": "updated code, configuration", "NotifyChanges": "updated BatchSize, MaximumRetryAttempts, BisectBatchOnFunctionError",
		"ServerlessHttpApi": "unchanged", "ServerlessRestApi": "updated", "EchoNodeUrl": "unchanged",
	}
	for id, action := range want {
		if actions[id] != action {
			t.Errorf("%s: %q, want %q", id, actions[id], action)
		}
	}
	if _, body := b.call("GET", output(t, r, "Python"), "", nil); body != "changed" {
		t.Errorf("the changed function answers %q", body)
	}

	// After a restart everything is there.
	b.stop()
	b.start()
	r, actions = b.deploy(map[string]string{"Batch": "5"})
	for id, action := range actions {
		if action != "unchanged" {
			t.Errorf("after a restart: %s: %s", id, action)
		}
	}
	if res, body := b.call("PUT", output(t, r, "Api")+"orders/o-1", "a coat", nil); res.StatusCode != http.StatusAccepted {
		t.Fatalf("PUT: %s %q", res.Status, body)
	}
	b.settle()
	if note := b.note(r, "o-1"); note != "MODIFY a coat" {
		t.Fatalf("the trigger noted %q", note)
	}
}

// Tables change as UpdateTable allows, and keys are not changed.
func TestDeployTables(t *testing.T) {
	b := newBed(t)
	write := func(body string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(b.dir, "template.yaml"), []byte(body), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	const head = "Resources:\n  T:\n    Type: AWS::DynamoDB::Table\n    Properties:\n      BillingMode: PAY_PER_REQUEST\n" +
		"      KeySchema: [{AttributeName: a, KeyType: HASH}]\n      AttributeDefinitions: [{AttributeName: a, AttributeType: S}%s]\n"
	index := func(name, key, kind string) string {
		return "        - {IndexName: " + name + ", KeySchema: [{AttributeName: " + key + ", KeyType: HASH}], Projection: {ProjectionType: " + kind + "}}\n"
	}
	steps := []struct{ template, action string }{
		{fmt.Sprintf(head, ""), "created"},
		{fmt.Sprintf(head, "") + "      StreamSpecification: {StreamViewType: KEYS_ONLY}\n", "updated stream"},
		{fmt.Sprintf(head, "") + "      StreamSpecification: {StreamViewType: NEW_IMAGE}\n      DeletionProtectionEnabled: true\n", "updated deletion protection, stream"},
		{fmt.Sprintf(head, ", {AttributeName: b, AttributeType: S}") + "      GlobalSecondaryIndexes:\n" + index("one", "b", "ALL") + index("two", "b", "KEYS_ONLY"), "updated stream, indexes"},
		{fmt.Sprintf(head, ", {AttributeName: b, AttributeType: S}") + "      GlobalSecondaryIndexes:\n" + index("one", "b", "KEYS_ONLY"), "updated indexes"},
		{fmt.Sprintf(head, ", {AttributeName: b, AttributeType: S}") + "      GlobalSecondaryIndexes:\n" + index("one", "b", "KEYS_ONLY") + "      Tags: [{Key: a, Value: b}]\n", "updated tags"},
		{fmt.Sprintf(head, ", {AttributeName: b, AttributeType: S}") + "      GlobalSecondaryIndexes:\n" + index("one", "b", "KEYS_ONLY"), "unchanged"},
	}
	for i, s := range steps {
		write(s.template)
		if _, actions := b.deploy(nil); actions["T"] != s.action {
			t.Errorf("step %d: %q, want %q", i, actions["T"], s.action)
		}
	}
	for i, s := range []struct{ recovery, action string }{
		{"      PointInTimeRecoverySpecification: {PointInTimeRecoveryEnabled: true}\n", "updated point-in-time recovery"},
		{"      PointInTimeRecoverySpecification: {PointInTimeRecoveryEnabled: true, RecoveryPeriodInDays: 35}\n", "unchanged"},
		{"      PointInTimeRecoverySpecification: {PointInTimeRecoveryEnabled: true, RecoveryPeriodInDays: 7}\n", "updated point-in-time recovery"},
		{"", "unchanged"},
		{"      PointInTimeRecoverySpecification: {PointInTimeRecoveryEnabled: true, RecoveryPeriodInDays: 7}\n", "unchanged"},
		{"      PointInTimeRecoverySpecification: {PointInTimeRecoveryEnabled: false}\n", "updated point-in-time recovery"},
	} {
		write(fmt.Sprintf(head, ", {AttributeName: b, AttributeType: S}") + "      GlobalSecondaryIndexes:\n" + index("one", "b", "KEYS_ONLY") + s.recovery)
		if _, actions := b.deploy(nil); actions["T"] != s.action {
			t.Errorf("recovery, step %d: %q, want %q", i, actions["T"], s.action)
		}
	}
	write(strings.ReplaceAll(fmt.Sprintf(head, ""), "AttributeName: a", "AttributeName: other"))
	if _, err := b.try(nil); err == nil || !strings.Contains(err.Error(), "template.yaml:3: T (AWS::DynamoDB::Table): the key of a table cannot be changed") {
		t.Fatal(err)
	}
}

// Tags of an event source mapping follow the template: Millstream's own also when they are taken away.
func TestDeployMappingTags(t *testing.T) {
	needs(t, "python3")
	b := newBed(t)
	const body = `Resources:
  T:
    Type: AWS::DynamoDB::Table
    Properties:
      BillingMode: PAY_PER_REQUEST
      KeySchema: [{AttributeName: a, KeyType: HASH}]
      AttributeDefinitions: [{AttributeName: a, AttributeType: S}]
      StreamSpecification: {StreamViewType: NEW_IMAGE}
  F:
    Type: AWS::Lambda::Function
    Properties: {Runtime: python3.12, Handler: index.handler, Role: 'arn:aws:iam::000000000000:role/r', Code: {ZipFile: 'def handler(e, c): pass'}}
  M:
    Type: AWS::Lambda::EventSourceMapping
    Properties:
      FunctionName: !Ref F
      EventSourceArn: !GetAtt T.StreamArn
      StartingPosition: LATEST
`
	for i, s := range []struct{ more, action, tags string }{
		{"      Tags: [{Key: team, Value: a}, {Key: 'millstream:on-failure', Value: park}]\n", "created", "map[millstream:on-failure:park team:a]"},
		{"      Tags: [{Key: team, Value: b}, {Key: 'millstream:on-failure', Value: block-key}]\n", "updated tags", "map[millstream:on-failure:block-key team:b]"},
		{"      BatchSize: 5\n      Tags: [{Key: more, Value: c}]\n", "updated BatchSize, tags", "map[more:c team:b]"},
		{"      BatchSize: 5\n", "unchanged", "map[more:c team:b]"},
	} {
		if err := os.WriteFile(filepath.Join(b.dir, "template.yaml"), []byte(body+s.more), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, actions := b.deploy(nil); actions["M"] != s.action {
			t.Errorf("step %d: %q, want %q", i, actions["M"], s.action)
		}
		all, err := b.target.Functions.ListEventSourceMappings(t.Context(), &lambda.ListEventSourceMappingsInput{})
		if err != nil || len(all.EventSourceMappings) != 1 {
			t.Fatal(all, err)
		}
		tags, err := b.target.Functions.ListTags(t.Context(), &lambda.ListTagsInput{Resource: all.EventSourceMappings[0].EventSourceMappingArn})
		if err != nil || fmt.Sprint(tags.Tags) != s.tags {
			t.Errorf("step %d: tags %v, %v", i, tags, err)
		}
	}
}

// Each member of LoggingConfig is deployed when it has changed, and taken back when the template no longer has it.
func TestDeployLoggingConfig(t *testing.T) {
	b := newBed(t)
	const body = "Resources:\n  F:\n    Type: AWS::Lambda::Function\n    Properties:\n      PackageType: Image\n      Role: 'arn:aws:iam::000000000000:role/r'\n      Code: {ImageUri: 'http://127.0.0.1:1'}\n"
	for i, s := range []struct{ more, action, want string }{
		{"      LoggingConfig: {LogFormat: JSON, LogGroup: /mine}\n", "created", "JSON INFO INFO /mine"},
		{"      LoggingConfig: {LogFormat: JSON, LogGroup: /mine, ApplicationLogLevel: DEBUG}\n", "updated configuration", "JSON DEBUG INFO /mine"},
		{"      LoggingConfig: {LogFormat: JSON, LogGroup: /mine, ApplicationLogLevel: DEBUG}\n", "unchanged", "JSON DEBUG INFO /mine"},
		{"      LoggingConfig: {LogFormat: JSON, SystemLogLevel: WARN}\n", "updated configuration", "JSON INFO WARN /aws/lambda/NAME"},
		{"", "updated configuration", "Text   /aws/lambda/NAME"},
		{"", "unchanged", "Text   /aws/lambda/NAME"},
		{"      FunctionName: arn:aws:lambda:us-east-1:000000000000:function:written\n", "created", "Text   /aws/lambda/written"},
		{"      FunctionName: arn:aws:lambda:us-east-1:000000000000:function:written\n", "unchanged", "Text   /aws/lambda/written"},
	} {
		if err := os.WriteFile(filepath.Join(b.dir, "template.yaml"), []byte(body+s.more), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, actions := b.deploy(nil); actions["F"] != s.action {
			t.Errorf("step %d: %q, want %q", i, actions["F"], s.action)
		}
		all, err := b.target.Functions.ListFunctions(t.Context(), &lambda.ListFunctionsInput{})
		if err != nil || len(all.Functions) == 0 {
			t.Fatal(all, err)
		}
		slices.SortFunc(all.Functions, func(a, b fntypes.FunctionConfiguration) int {
			return -strings.Compare(*a.FunctionName, *b.FunctionName)
		}) // "written" first
		l := all.Functions[0].LoggingConfig
		got := fmt.Sprint(l.LogFormat, " ", l.ApplicationLogLevel, " ", l.SystemLogLevel, " ", aws.ToString(l.LogGroup))
		if want := strings.ReplaceAll(s.want, "NAME", aws.ToString(all.Functions[0].FunctionName)); got != want {
			t.Errorf("step %d: %q, want %q", i, got, want)
		}
	}
}

// A runtime that AWS no longer takes is replaced, each time with a note; and packages that are
// not installed are named.
func TestDeployNotes(t *testing.T) {
	needs(t, "node", "python3")
	b := newBed(t)
	const body = `Resources:
  Old:
    Type: AWS::Lambda::Function
    Properties: {Runtime: nodejs14.x, Handler: index.handler, Role: 'arn:aws:iam::000000000000:role/r', Code: {ZipFile: 'exports.handler = async () => 1'}}
  Older:
    Type: AWS::Serverless::Function
    Properties: {Runtime: python3.6, Handler: index.handler, InlineCode: 'def handler(e, c): pass'}
  Needy:
    Type: AWS::Serverless::Function
    Properties: {Runtime: python3.12, Handler: index.handler, CodeUri: needy/}
`
	needy := filepath.Join(b.dir, "needy")
	if err := errors.Join(os.Mkdir(needy, 0o755), os.WriteFile(filepath.Join(needy, "index.py"), []byte("import some"), 0o644),
		os.WriteFile(filepath.Join(needy, "requirements.txt"), []byte("some"), 0o644)); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(b.dir, "template.yaml"), []byte(body), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, action := range []string{"created", "unchanged"} {
		r, actions := b.deploy(nil)
		if actions["Old"] != action || actions["Older"] != action {
			t.Errorf("%v, want %s", actions, action)
		}
		notes := strings.Join(r.Notes, "\n")
		for _, want := range []string{"Old has Runtime nodejs14.x, which AWS no longer takes: it runs as nodejs22.x here", "Older has Runtime python3.6", "Needy needs what its requirements.txt names"} {
			if !strings.Contains(notes, want) {
				t.Errorf("notes %q", notes)
			}
		}
	}
	all, err := b.target.Functions.ListFunctions(t.Context(), &lambda.ListFunctionsInput{})
	if err != nil || len(all.Functions) != 3 || all.Functions[1].Runtime != "nodejs22.x" || all.Functions[2].Runtime != "python3.13" {
		t.Errorf("%v, %v", all, err)
	}
}

// What is not supported is told before anything is touched.
// A package that lacks AWS's client is refused by line before anything is touched, and what has it is deployed. Ruby is played by a script
// that tells of one.
func TestPackageWithoutItsClient(t *testing.T) {
	bin := t.TempDir()
	if err := os.WriteFile(filepath.Join(bin, "ruby"), []byte("#!/bin/sh\necho /bin/sh\necho 3.4.1\necho 3.4.0\necho "+bin+"/gems\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+string(os.PathListSeparator)+os.Getenv("PATH"))
	b := newBed(t)
	text := "Resources:\n  T:\n    Type: AWS::Serverless::SimpleTable\n  F:\n    Type: AWS::Serverless::Function\n    Properties: {Runtime: ruby3.4, Handler: app.handler, CodeUri: ruby}\n"
	write := func(name, text string) {
		t.Helper()
		path := filepath.Join(b.dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("template.yaml", text)
	write("ruby/app.rb", "")
	deploy := func() error {
		_, err := b.try(nil)
		return err
	}
	if err := deploy(); err == nil || !strings.Contains(err.Error(), "template.yaml:5: F") || !strings.Contains(err.Error(), "add gem 'aws_lambda_ric' to the Gemfile") {
		t.Errorf("without the client: %v", err)
	}
	if out, err := b.target.Tables.ListTables(t.Context(), &dynamodb.ListTablesInput{}); err != nil || len(out.TableNames) != 0 {
		t.Errorf("tables %v, %v", out.TableNames, err)
	}
	write("ruby/vendor/bundle/ruby/3.4.0/gems/aws_lambda_ric-3.1.3/lib/aws_lambda_ric.rb", "")
	if err := deploy(); err != nil {
		t.Errorf("with the client: %v", err)
	}
}

func TestNothingIsTouchedBeforeItIsChecked(t *testing.T) {
	b := newBed(t)
	b.edit("BillingMode: PAY_PER_REQUEST", "Magic: 1")
	tpl, err := template.Read(filepath.Join(b.dir, "template.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	o := template.Options{Stack: "shop"}
	if err := b.target.Fill(t.Context(), &o); err != nil {
		t.Fatal(err)
	}
	var problems *template.Problems
	if _, err = tpl.Plan(o); !errors.As(err, &problems) || problems.List[0].Text != "Orders.Magic is not supported" {
		t.Fatal(err)
	}
	out, err := b.target.Tables.ListTables(t.Context(), &dynamodb.ListTablesInput{})
	if err != nil || len(out.TableNames) != 0 {
		t.Fatal(out, err)
	}
}
