package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// runDev runs `dev` on a template, and returns what it prints, with the address of the server. It ends with the test.
func runDev(t *testing.T, template string, args ...string) (out *watchedOutput, endpoint string, at int) {
	t.Helper()
	out = &watchedOutput{}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	root := newRoot()
	root.SetArgs(append([]string{"dev", template, "--listen", "127.0.0.1:0", "--stack", "shop"}, args...))
	root.SetOut(out)
	root.SetErr(out)
	go func() { ended <- root.ExecuteContext(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("dev ended with %v", err)
		}
	})
	m, at := out.await(t, 0, `AWS_ENDPOINT_URL=(http://\S+)`)
	_, at = out.await(t, at, `Watching`)
	return out, m[1], at
}

func putTo(t *testing.T, endpoint, table, id string) {
	t.Helper()
	db := dynamodb.New(dynamodb.Options{
		BaseEndpoint: &endpoint, Region: "us-east-1", Credentials: credentials.NewStaticCredentialsProvider("k", "s", ""),
	})
	if _, err := db.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: aws.String(table), Item: map[string]types.AttributeValue{"id": &types.AttributeValueMemberS{Value: id}}}); err != nil {
		t.Fatal(err)
	}
}

const failingTemplate = `
Resources:
  Stock:
    Type: AWS::DynamoDB::Table
    Properties:
      AttributeDefinitions: [{AttributeName: id, AttributeType: S}]
      KeySchema: [{AttributeName: id, KeyType: HASH}]
      BillingMode: PAY_PER_REQUEST
      StreamSpecification: {StreamViewType: NEW_IMAGE}
  Alert:
    Type: AWS::Lambda::Function
    Properties: {PackageType: Image, Code: {ImageUri: %s}}
  Feed:
    Type: AWS::Lambda::EventSourceMapping
    Properties:
      FunctionName: !Ref Alert
      EventSourceArn: !GetAtt Stock.StreamArn
      StartingPosition: LATEST
      MaximumRetryAttempts: 2
%s`

// A record that its function names as failed is shown as failed, with its attempts, and its end as one that was given up; a
// failure of the whole call is told once, and its repetitions in a line.
func TestDevShowsFailures(t *testing.T) {
	whole := false
	function := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		event, err := io.ReadAll(r.Body)
		switch {
		case err != nil || whole:
			w.WriteHeader(http.StatusInternalServerError)
		default:
			fmt.Fprintf(w, `{"batchItemFailures":[{"itemIdentifier":"%s"}]}`, sequenceNumber.FindSubmatch(event)[1])
		}
	}))
	defer function.Close()
	path := filepath.Join(t.TempDir(), "template.yaml")
	write := func(more string) {
		t.Helper()
		if err := os.WriteFile(path, fmt.Appendf(nil, failingTemplate, function.URL, more), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("      FunctionResponseTypes: [ReportBatchItemFailures]\n")
	out, endpoint, at := runDev(t, path)
	putTo(t, endpoint, "shop-Stock", "hat")
	_, at = out.await(t, at, `shop-Alert <- INSERT shop-Stock {"id":{"S":"hat"}}  1 of 1 failed, attempt 1 of 3(, next at \d\d:\d\d:\d\d)?  `)
	_, at = out.await(t, at, `  1 of 1 failed, attempt 3 of 3, GIVEN UP \(dropped\)  `)

	// A call that fails as a whole. Its text is there once.
	whole = true
	putTo(t, endpoint, "shop-Stock", "coat")
	from := at
	_, at = out.await(t, at, `{"S":"coat"}}  FAILED after .*, attempt 1 of 3.*\n[│ ]+! `)
	_, at = out.await(t, at, `  FAILED, attempt 3 of 3, same error, GIVEN UP \(dropped\)  `)
	out.mu.Lock()
	shown := out.text.String()[from:at]
	out.mu.Unlock()
	if n := strings.Count(shown, "! Function"); n != 1 {
		t.Errorf("the error is shown %d times in\n%s", n, shown)
	}

	// Without FunctionResponseTypes naming items does nothing, on AWS as here: that is said.
	whole = false
	write("")
	_, at = out.await(t, at, `In effect`)
	putTo(t, endpoint, "shop-Stock", "shoe")
	_, _ = out.await(t, at, `{"S":"shoe"}}  ok  .*\n +! the answer names 1 failed items, which counts for nothing: .*ReportBatchItemFailures`)
}

// What is typed wrong in a template is refused with the nearest right one, at the start and at each reload, and a file whose
// syntax is wrong keeps all of it out until it is mended, whichever file is saved.
func TestDevRefusesTypos(t *testing.T) {
	if _, err := exec.LookPath("node"); err != nil {
		t.Skip("node is not installed")
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "template.yaml")
	save := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	text := func(handler, position string) string {
		return fmt.Sprintf(`
Transform: AWS::Serverless-2016-10-31
Resources:
  Stock: {Type: AWS::DynamoDB::Table, Properties: {AttributeDefinitions: [{AttributeName: id, AttributeType: S}],
    KeySchema: [{AttributeName: id, KeyType: HASH}], BillingMode: PAY_PER_REQUEST, StreamSpecification: {StreamViewType: NEW_IMAGE}}}
  Watch:
    Type: AWS::Serverless::Function
    Properties:
      Runtime: nodejs22.x
      CodeUri: .
      Handler: %s
      Events:
        Changes:
          Type: DynamoDB
          Properties: {Stream: !GetAtt Stock.StreamArn, StartingPosition: %s}
`, handler, position)
	}
	save("index.js", "exports.handler = async () => {}\n")
	save("template.yaml", text("indx.handler", "LATST"))
	out, _, at := runDev(t, path)
	_, _ = out.await(t, 0, `Not deployed; it is tried again when a file is saved:\n(?s:.*)Watch: Handler indx.handler: there is no file indx.js .* did you mean index.handler\?\n.*StartingPosition must be one of .*did you mean LATEST\?`)
	save("template.yaml", text("index.handler", "LATEST"))
	_, at = out.await(t, at, `In effect`)
	save("template.yaml", text("index.handlr", "LATEST"))
	_, at = out.await(t, at, `Not deployed, what was there before goes on:\n(?s:.*)index exports no handlr; did you mean index.handler\?`)
	save("index.js", "exports.handler = async ( => {}\n")
	_, at = out.await(t, at, `Not deployed`)
	save("template.yaml", text("index.handler", "LATEST"))
	_, at = out.await(t, at, `Not deployed, what was there before goes on:\n(?s:.*)SyntaxError`)
	save("index.js", "exports.handler = async () => { return 1 }\n")
	_, _ = out.await(t, at, `In effect`)
}

func TestDevRefusesToDebugNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "template.yaml")
	if err := os.WriteFile(path, fmt.Appendf(nil, failingTemplate, "http://127.0.0.1:1", ""), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"Alrt": "--debug Alrt: the template has no such function; did you mean Alert?",
		"Nope": "--debug Nope: the template has no such function; there are Alert",
	} {
		out := &watchedOutput{}
		root := newRoot()
		root.SetArgs([]string{"dev", path, "--listen", "127.0.0.1:0", "--debug", name})
		root.SetOut(out)
		root.SetErr(out)
		if err := root.ExecuteContext(t.Context()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v", err)
		}
	}
}

// A filter that can never match is explained when the application is deployed, and what filters refuse is told of on request.
func TestDevTellsOfFilters(t *testing.T) {
	function := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer function.Close()
	path := filepath.Join(t.TempDir(), "template.yaml")
	filter := `      FilterCriteria: {Filters: [{Pattern: '{"dynamodb": {"NewImage": {"total": {"N": [{"numeric": [">", 5]}]}}}}'}]}`
	if err := os.WriteFile(path, fmt.Appendf(nil, failingTemplate, function.URL, filter), 0o644); err != nil {
		t.Fatal(err)
	}
	out, endpoint, at := runDev(t, path, "--show-filtered")
	_, _ = out.await(t, 0, `Note: a filter of shop-Alert on shop-Stock may not mean what it seems to: .*numeric and numbers never match it`)
	putTo(t, endpoint, "shop-Stock", "hat")
	_, _ = out.await(t, at, `shop-Alert <- shop-Stock  1 record was refused by its filters`)
}

// A function whose SDK would call the real AWS is told of when it is deployed, before it is called.
func TestDevTellsOfOldSDKs(t *testing.T) {
	if _, err := exec.LookPath("node"); err != nil {
		t.Skip("node is not in PATH")
	}
	dir := t.TempDir()
	for name, text := range map[string]string{
		"template.yaml": "Resources:\n  F:\n    Type: AWS::Serverless::Function\n    Properties: {Runtime: nodejs22.x, Handler: index.handler, CodeUri: src}\n",
		"src/index.js":  "exports.handler = async () => 1", "src/node_modules/aws-sdk/package.json": `{"version":"2.1692.0"}`,
	} {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	out, _, at := runDev(t, filepath.Join(dir, "template.yaml"))
	if _, told := out.await(t, 0, `Note: in shop-F, AWS SDK for JavaScript 2\.1692\.0 does not know AWS_ENDPOINT_URL`); told > at {
		t.Error("it is told after the application is in effect")
	}
}
