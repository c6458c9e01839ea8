package app

import (
	"context"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// formation calls CloudFormation's API of a server.
type formation struct {
	*testing.T
	app *App
}

type stackAnswer struct {
	Error struct{ Code, Message string } `xml:"Error"`
	Set   struct {
		Status       string   `xml:"Status"`
		StatusReason string   `xml:"StatusReason"`
		Actions      []string `xml:"Changes>member>ResourceChange>Action"`
	} `xml:"DescribeChangeSetResult"`
	Stacks []struct {
		ID          string   `xml:"StackId"`
		Status      string   `xml:"StackStatus"`
		Protected   string   `xml:"EnableTerminationProtection"`
		OutputNames []string `xml:"Outputs>member>OutputKey"`
		Outputs     []string `xml:"Outputs>member>OutputValue"`
	} `xml:"DescribeStacksResult>Stacks>member"`
	Events []struct {
		ID      string `xml:"EventId"`
		Logical string `xml:"LogicalResourceId"`
		Status  string `xml:"ResourceStatus"`
		Reason  string `xml:"ResourceStatusReason"`
		Time    string `xml:"Timestamp"`
	} `xml:"DescribeStackEventsResult>StackEvents>member"`
	Resources []string `xml:"ListStackResourcesResult>StackResourceSummaries>member>PhysicalResourceId"`
	Template  string   `xml:"GetTemplateResult>TemplateBody"`
	Keys      []string `xml:"GetTemplateSummaryResult>Parameters>member>ParameterKey"`
	Exports   []string `xml:"ListExportsResult>Exports>member>Value"`
}

func (f *formation) call(service, target, body string) (int, string) {
	f.Helper()
	r := httptest.NewRequest("POST", "http://127.0.0.1/", strings.NewReader(body))
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/"+service+"/aws4_request, SignedHeaders=host, Signature="+strings.Repeat("0", 64))
	r.Header.Set("X-Amz-Date", "20260101T000000Z")
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if target != "" {
		r.Header.Set("X-Amz-Target", target)
		r.Header.Set("Content-Type", "application/x-amz-json-1.0")
	}
	w := httptest.NewRecorder()
	f.app.Handler().ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

// do calls an operation with its members by name.
func (f *formation) do(action string, members ...string) (a stackAnswer) {
	f.Helper()
	form := url.Values{"Action": {action}, "Version": {"2010-05-15"}}
	for i := 0; i < len(members); i += 2 {
		form.Set(members[i], members[i+1])
	}
	_, body := f.call("cloudformation", "", form.Encode())
	if err := xml.Unmarshal([]byte(body), &a); err != nil {
		f.Fatalf("%s: %v in %s", action, err, body)
	}
	return a
}

// well is do for what must succeed.
func (f *formation) well(action string, members ...string) stackAnswer {
	f.Helper()
	a := f.do(action, members...)
	if a.Error.Code != "" {
		f.Fatalf("%s: %s: %s", action, a.Error.Code, a.Error.Message)
	}
	return a
}

// rest waits until a stack has come to rest and returns its state.
func (f *formation) rest(stack string) string {
	f.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		a := f.do("DescribeStacks", "StackName", stack)
		if len(a.Stacks) == 0 {
			return a.Error.Message
		}
		if s := a.Stacks[0].Status; !strings.HasSuffix(s, "_IN_PROGRESS") {
			return s
		}
	}
	f.Fatal("the stack has not come to rest")
	return ""
}

func (f *formation) tables() string {
	f.Helper()
	_, body := f.call("dynamodb", "DynamoDB_20120810.ListTables", "{}")
	return body
}

const oneTable = `
Parameters: {Billing: {Type: String, Default: PAY_PER_REQUEST}}
Resources:
  Orders:
    Type: AWS::DynamoDB::Table
    Properties:
      AttributeDefinitions: [{AttributeName: id, AttributeType: S}]
      KeySchema: [{AttributeName: id, KeyType: HASH}]
      BillingMode: !Ref Billing
Outputs:
  Name: {Value: !Ref Orders, Export: {Name: orders}}
`

// more adds a resource to a template.
func more(tpl, resource string) string {
	return strings.Replace(tpl, "Resources:\n", "Resources:\n"+resource, 1)
}

func tableOf(name, extra string) string {
	return fmt.Sprintf("  %s: {Type: AWS::DynamoDB::Table, %s Properties: {AttributeDefinitions: [{AttributeName: id, AttributeType: S}], KeySchema: [{AttributeName: id, KeyType: HASH}], BillingMode: PAY_PER_REQUEST}}\n", name, extra)
}

func openForStacks(t *testing.T, fs vfs.FS) *App {
	t.Helper()
	a, err := Open(Options{Region: "us-east-1"}, fs)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// The calls that tools make, in their order: a stack is proposed, made, found unchanged, changed, fails to change and is
// as it was, and is deleted, readable by its ID alone.
func TestStacks(t *testing.T) {
	a := openForStacks(t, nil)
	defer a.Close()
	f := &formation{t, a}
	if got := f.do("DescribeStacks", "StackName", "shop").Error; got.Code != "ValidationError" || got.Message != "Stack with id shop does not exist" {
		t.Fatalf("a stack that is not there: %+v", got)
	}
	f.well("CreateChangeSet", "StackName", "shop", "ChangeSetName", "first", "ChangeSetType", "CREATE", "TemplateBody", oneTable, "Parameters", "", "Tags.member.1.Key", "by", "Tags.member.1.Value", "test")
	if got := f.well("DescribeChangeSet", "StackName", "shop", "ChangeSetName", "first").Set; got.Status != "CREATE_COMPLETE" || !slices.Equal(got.Actions, []string{"Add"}) {
		t.Errorf("the change set is %+v", got)
	}
	if got := f.well("DescribeStacks", "StackName", "shop").Stacks[0]; got.Status != "REVIEW_IN_PROGRESS" || got.Protected != "false" {
		t.Errorf("the proposed stack is %+v", got)
	}
	if got := f.well("DescribeStackEvents", "StackName", "shop").Events; len(got) != 1 || got[0].Status != "REVIEW_IN_PROGRESS" {
		t.Errorf("its events are %+v", got)
	}
	f.well("ExecuteChangeSet", "StackName", "shop", "ChangeSetName", "first")
	if got := f.rest("shop"); got != "CREATE_COMPLETE" {
		t.Fatalf("the stack is %s", got)
	}
	stack := f.well("DescribeStacks", "StackName", "shop").Stacks[0]
	if !slices.Equal(stack.Outputs, []string{"shop-Orders"}) || !slices.Equal(f.well("ListExports").Exports, []string{"shop-Orders"}) {
		t.Errorf("its outputs are %v", stack.Outputs)
	}
	if got := f.well("GetTemplate", "StackName", stack.ID).Template; got != oneTable {
		t.Errorf("its template is %q", got)
	}
	if got := f.well("GetTemplateSummary", "StackName", "shop").Keys; !slices.Equal(got, []string{"Billing"}) {
		t.Errorf("its parameters are %v", got)
	}
	if got := f.do("DescribeChangeSet", "StackName", "shop", "ChangeSetName", "first").Error.Code; got != "ChangeSetNotFound" {
		t.Errorf("an executed change set: %s", got)
	}
	f.well("DeleteChangeSet", "StackName", "shop", "ChangeSetName", "nobody")

	t.Run("unchanged", func(t *testing.T) {
		f := &formation{t, a}
		f.well("CreateChangeSet", "StackName", "shop", "ChangeSetName", "again", "TemplateBody", oneTable, "Parameters.member.1.ParameterKey", "Billing", "Parameters.member.1.UsePreviousValue", "true")
		if got := f.well("DescribeChangeSet", "StackName", stack.ID, "ChangeSetName", "again").Set; got.Status != "FAILED" || !strings.HasPrefix(got.StatusReason, "The submitted information didn't contain changes.") {
			t.Errorf("no change is %+v", got)
		}
		if got := f.do("UpdateStack", "StackName", "shop", "UsePreviousTemplate", "true").Error; got.Message != "No updates are to be performed." {
			t.Errorf("no update is %+v", got)
		}
	})
	t.Run("a failing update", func(t *testing.T) {
		f := &formation{t, a}
		bad := more(more(oneTable, tableOf("Second", "")), strings.Replace(tableOf("Bad", "DependsOn: Second,"), "Properties: {", "Properties: {"+refusedIndex, 1))
		f.well("UpdateStack", "StackName", "shop", "TemplateBody", bad)
		if got := f.rest("shop"); got != "UPDATE_ROLLBACK_COMPLETE" {
			t.Fatalf("the stack is %s", got)
		}
		if got := f.tables(); got != `{"TableNames":["shop-Orders"]}` {
			t.Errorf("there are %s", got)
		}
		events := f.well("DescribeStackEvents", "StackName", "shop").Events
		failed := slices.IndexFunc(events, func(e struct {
			ID      string `xml:"EventId"`
			Logical string `xml:"LogicalResourceId"`
			Status  string `xml:"ResourceStatus"`
			Reason  string `xml:"ResourceStatusReason"`
			Time    string `xml:"Timestamp"`
		}) bool {
			return e.Logical == "Bad" && e.Status == "CREATE_FAILED"
		})
		if failed < 0 || !strings.Contains(events[failed].Reason, "range key") {
			t.Errorf("its events are %+v", events)
		}
		for i := 1; i < len(events); i++ {
			if events[i].Time >= events[i-1].Time {
				t.Errorf("the events at %s and %s are not the newest first", events[i-1].Time, events[i].Time)
			}
		}
		if got := f.well("GetTemplate", "StackName", "shop").Template; got != oneTable {
			t.Errorf("its template is %q", got)
		}
	})
	t.Run("an update", func(t *testing.T) {
		f := &formation{t, a}
		f.well("UpdateStack", "StackName", "shop", "TemplateBody", more(more(oneTable, tableOf("Kept", "DeletionPolicy: Retain,")), tableOf("Gone", "")))
		if got := f.rest("shop"); got != "UPDATE_COMPLETE" {
			t.Fatalf("the stack is %s", got)
		}
		f.well("UpdateStack", "StackName", "shop", "TemplateBody", oneTable)
		if got := f.rest("shop"); got != "UPDATE_COMPLETE" {
			t.Fatalf("the stack is %s", got)
		}
		if got := f.tables(); got != `{"TableNames":["shop-Kept","shop-Orders"]}` {
			t.Errorf("there are %s", got)
		}
	})
	t.Run("the order of an update", func(t *testing.T) {
		f := &formation{t, a}
		f.well("UpdateStack", "StackName", "shop", "TemplateBody", strings.Replace(oneTable, "Outputs:", tableOf("First", "")+"Outputs:", 1))
		f.rest("shop")
		before := strings.Replace(more(oneTable, tableOf("Zero", "")), "  Orders:\n", "  Orders:\n    DependsOn: [Zero]\n", 1)
		f.well("UpdateStack", "StackName", "shop", "TemplateBody", before)
		f.rest("shop")
		if got := f.well("ListStackResources", "StackName", "shop").Resources; !slices.Equal(got, []string{"shop-Zero", "shop-Orders"}) {
			t.Errorf("what is removed last is not first: %v", got)
		}
		f.well("UpdateStack", "StackName", "shop", "TemplateBody", oneTable)
		f.rest("shop")
	})
	t.Run("somebody else's table", func(t *testing.T) {
		f := &formation{t, a}
		other := strings.Replace(strings.Replace(oneTable, "Properties:", "Properties:\n      TableName: shop-Kept", 1), "Name: orders", "Name: others", 1)
		f.well("CreateStack", "StackName", "other", "TemplateBody", other)
		if got := f.rest("other"); got != "ROLLBACK_COMPLETE" {
			t.Errorf("the other stack is %s", got)
		}
		if got := f.do("UpdateStack", "StackName", "other", "TemplateBody", oneTable).Error.Message; !strings.Contains(got, "is in ROLLBACK_COMPLETE state and can not be updated.") {
			t.Errorf("an update of it: %s", got)
		}
		f.well("DeleteStack", "StackName", "other")
		if got := f.tables(); got != `{"TableNames":["shop-Kept","shop-Orders"]}` {
			t.Errorf("there are %s", got)
		}
	})
	t.Run("an export in use", func(t *testing.T) {
		f := &formation{t, a}
		importer := "Resources:\n  P: {Type: 'AWS::SSM::Parameter', Properties: {Name: /orders, Type: String, Value: !ImportValue orders}}\n"
		f.well("CreateStack", "StackName", "importer", "TemplateBody", importer)
		if got := f.rest("importer"); got != "CREATE_COMPLETE" {
			t.Fatalf("the importer is %s", got)
		}
		if _, body := f.call("ssm", "AmazonSSM.GetParameter", `{"Name":"/orders","WithDecryption":true}`); !strings.Contains(body, `"Value":"shop-Orders"`) {
			t.Errorf("the parameter is %s", body)
		}
		if got := f.do("DeleteStack", "StackName", "shop").Error.Message; got != "Export orders cannot be deleted as it is in use by importer" {
			t.Errorf("the deletion says %q", got)
		}
		f.well("DeleteStack", "StackName", "importer")
		if _, body := f.call("ssm", "AmazonSSM.GetParameter", `{"Name":"/orders"}`); !strings.Contains(body, "ParameterNotFound") {
			t.Errorf("the parameter is %s", body)
		}
	})
	t.Run("deleted", func(t *testing.T) {
		f := &formation{t, a}
		f.well("UpdateTerminationProtection", "StackName", "shop", "EnableTerminationProtection", "true")
		if got := f.do("DeleteStack", "StackName", "shop").Error.Message; !strings.Contains(got, "TerminationProtection") {
			t.Errorf("a protected stack: %q", got)
		}
		f.well("UpdateTerminationProtection", "StackName", "shop", "EnableTerminationProtection", "false")
		f.well("DeleteStack", "StackName", stack.ID, "RetainResources", "")
		if got := f.rest(stack.ID); got != "DELETE_COMPLETE" {
			t.Errorf("by its ID: %s", got)
		}
		if got := f.rest("shop"); got != "Stack with id shop does not exist" {
			t.Errorf("by its name: %s", got)
		}
		f.well("DeleteStack", "StackName", "shop")
		if got := f.tables(); got != `{"TableNames":["shop-Kept"]}` {
			t.Errorf("there are %s", got)
		}
	})
	t.Run("what there is none of", func(t *testing.T) {
		f := &formation{t, a}
		bus := more(oneTable, "  Bus: {Type: AWS::Events::EventBus}\n")
		got := f.do("CreateStack", "StackName", "bus", "TemplateBody", bus).Error
		if got.Code != "ValidationError" || !strings.Contains(got.Message, "Bus: AWS::Events::EventBus is not supported") || !strings.Contains(got.Message, "millstream:skip-unsupported") {
			t.Errorf("it says %+v", got)
		}
		f.well("CreateStack", "StackName", "bus", "TemplateBody", bus, "Tags.member.1.Key", "millstream:skip-unsupported", "Tags.member.1.Value", "true")
		if got := f.rest("bus"); got != "CREATE_COMPLETE" {
			t.Errorf("the stack is %s", got)
		}
	})
}

// A server that is killed at any call of a deployment, also of one that fails, finishes it when it starts again: the stack
// is there as a whole or not at all, and is never stuck.
func TestStackSurvivesAKill(t *testing.T) {
	tpl := more(more(oneTable, tableOf("Second", "")), "  Api: {Type: AWS::ApiGatewayV2::Api, Properties: {Name: x, ProtocolType: HTTP}}\n  P: {Type: 'AWS::SSM::Parameter', Properties: {Type: String, Value: !Ref Orders}}\n")
	bad := strings.Replace(tpl, "Value: !Ref Orders", "Value: !Ref Orders}}\n  Bad: {Type: AWS::DynamoDB::Table, DependsOn: [P, Second], Properties: {"+refusedIndex+"AttributeDefinitions: [{AttributeName: id, AttributeType: S}], KeySchema: [{AttributeName: id, KeyType: HASH}], BillingMode: PAY_PER_REQUEST", 1)
	for _, run := range []struct {
		name, first, second, want, tables string
	}{
		{"create", "", tpl, "CREATE_COMPLETE", `{"TableNames":["shop-Orders","shop-Second"]}`},
		{"create that fails", "", bad, "ROLLBACK_COMPLETE", `{"TableNames":[]}`},
		{"update", oneTable, tpl, "UPDATE_COMPLETE", `{"TableNames":["shop-Orders","shop-Second"]}`},
		{"update that fails", oneTable, bad, "UPDATE_ROLLBACK_COMPLETE", `{"TableNames":["shop-Orders"]}`},
		{"update that removes", tpl, oneTable, "UPDATE_COMPLETE", `{"TableNames":["shop-Orders"]}`},
		{"delete", tpl, "", "Stack with id shop does not exist", `{"TableNames":[]}`},
	} {
		t.Run(run.name, func(t *testing.T) {
			calls := int64(1)
			for at := int64(1); at <= calls; at++ {
				calls = killedAt(t, at, run.first, run.second, run.want, run.tables)
				if testing.Short() && at > 4 {
					break
				}
			}
			if calls < 4 {
				t.Errorf("there were %d calls only", calls)
			}
		})
	}
}

// killedAt runs an operation on a server that is killed at one of its calls, and tells how many there were.
func killedAt(t *testing.T, at int64, first, second, want, tables string) int64 {
	t.Helper()
	fs := vfs.NewCrashableMem()
	a := openForStacks(t, fs)
	f := &formation{t, a}
	if first != "" {
		f.well("CreateStack", "StackName", "shop", "TemplateBody", first)
		if got := f.rest("shop"); got != "CREATE_COMPLETE" {
			t.Fatalf("the first version is %s", got)
		}
	}
	var n atomic.Int64
	var crashed atomic.Pointer[vfs.MemFS]
	begun := false
	a.onOwnCall.Store(ptr(func(*http.Request) {
		if begun && n.Add(1) == at {
			crashed.Store(fs.CrashClone(vfs.CrashCloneCfg{}))
		}
	}))
	switch {
	case second == "":
		begun = true
		f.well("DeleteStack", "StackName", "shop")
	case first == "":
		f.well("CreateChangeSet", "StackName", "shop", "ChangeSetName", "c", "ChangeSetType", "CREATE", "TemplateBody", second)
		begun = true
		f.well("ExecuteChangeSet", "StackName", "shop", "ChangeSetName", "c")
	default:
		f.well("CreateChangeSet", "StackName", "shop", "ChangeSetName", "c", "TemplateBody", second)
		begun = true
		f.well("ExecuteChangeSet", "StackName", "shop", "ChangeSetName", "c")
	}
	if got := f.rest("shop"); got != want {
		t.Fatalf("without a kill: %s", got)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if clone := crashed.Load(); clone != nil {
		b := openForStacks(t, clone)
		f := &formation{t, b}
		if got := f.rest("shop"); got != want {
			t.Errorf("killed at call %d: %s", at, got)
		}
		if got := f.tables(); got != tables {
			t.Errorf("killed at call %d: there are %s", at, got)
		}
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return n.Load()
}

// An address that somebody follows, signed as it may be, makes no stack.
func TestLinksMakeNoStacks(t *testing.T) {
	a := openForStacks(t, nil)
	defer a.Close()
	f := &formation{t, a}
	address := url.Values{"Action": {"CreateStack"}, "StackName": {"linked"}, "TemplateBody": {oneTable}, "X-Amz-Algorithm": {"AWS4-HMAC-SHA256"},
		"X-Amz-Credential": {"a/20260101/us-east-1/cloudformation/aws4_request"}, "X-Amz-Signature": {"x"}, "X-Amz-SignedHeaders": {"host"}, "X-Amz-Date": {"20260101T000000Z"}}
	w := httptest.NewRecorder()
	a.Handler().ServeHTTP(w, httptest.NewRequest("GET", "http://127.0.0.1/?"+address.Encode(), nil))
	if got := f.do("DescribeStacks", "StackName", "linked").Error.Code; w.Code != 405 || got != "ValidationError" {
		t.Errorf("a call by GET: %d %s, and the stack %q", w.Code, w.Body, got)
	}
}

// A stack's deletion takes an empty bucket only, one that is gone is no obstacle, and no name reaches other buckets.
func TestBucketsOfStacks(t *testing.T) {
	a := openForStacks(t, nil)
	defer a.Close()
	f := &formation{t, a}
	put := func(method, path, body string) {
		t.Helper()
		r := httptest.NewRequest(method, "http://127.0.0.1"+path, strings.NewReader(body))
		r.Header.Set("Content-Length", fmt.Sprint(len(body)))
		r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature="+strings.Repeat("0", 64))
		w := httptest.NewRecorder()
		if a.Handler().ServeHTTP(w, r); w.Code >= 300 {
			t.Fatalf("%s %s: %d %s", method, path, w.Code, w.Body)
		}
	}
	put("PUT", "/mine", "")
	put("PUT", "/mine/k", "x")
	for i, name := range []string{".", "mine/sub", "UPPER"} {
		refused := f.do("CreateStack", "StackName", fmt.Sprintf("bad%d", i), "TemplateBody", "Resources: {B: {Type: 'AWS::S3::Bucket', Properties: {BucketName: "+name+"}}}")
		if refused.Error.Code != "ValidationError" {
			t.Errorf("with a bucket %s: %+v", name, refused.Error)
		}
	}
	if got, err := a.buckets.Get(context.Background(), "", "mine", "k"); err != nil || string(got) != "x" {
		t.Fatalf("the object of another bucket: %q, %v", got, err)
	}
	f.well("CreateStack", "StackName", "two", "TemplateBody", "Resources: {Full: {Type: 'AWS::S3::Bucket', Properties: {BucketName: full}}, Gone: {Type: 'AWS::S3::Bucket', Properties: {BucketName: gone}}}")
	if got := f.rest("two"); got != "CREATE_COMPLETE" {
		t.Fatalf("the stack is %s", got)
	}
	put("PUT", "/full/k", "x")
	put("DELETE", "/gone", "")
	f.well("DeleteStack", "StackName", "two")
	if got := f.rest("two"); got != "DELETE_FAILED" {
		t.Errorf("with a bucket that holds something: %s", got)
	}
	if got, err := a.buckets.Get(context.Background(), "", "full", "k"); err != nil || string(got) != "x" {
		t.Fatalf("the object is %q, %v", got, err)
	}
	put("DELETE", "/full/k", "")
	f.well("DeleteStack", "StackName", "two")
	if got := f.rest("two"); got != "Stack with id two does not exist" {
		t.Errorf("with an empty bucket: %s", got)
	}
}

func ptr[T any](v T) *T { return &v }

// Objects are put in the forms in which SDKs send them, and read back with their metadata.
func TestArtifacts(t *testing.T) {
	a := openForStacks(t, nil)
	defer a.Close()
	do := func(method, path, body string, header map[string]string) (int, http.Header, string) {
		t.Helper()
		r := httptest.NewRequest(method, "http://127.0.0.1"+path, strings.NewReader(body))
		r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature="+strings.Repeat("0", 64))
		for name, value := range header {
			r.Header.Set(name, value)
		}
		w := httptest.NewRecorder()
		a.Handler().ServeHTTP(w, r)
		got, _ := io.ReadAll(w.Body)
		return w.Code, w.Header(), string(got)
	}
	if code, _, body := do("PUT", "/things", "", nil); code != 200 {
		t.Fatalf("the bucket: %d %s", code, body)
	}
	trailed := map[string]string{"X-Amz-Content-Sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER", "Content-Encoding": "aws-chunked", "X-Amz-Decoded-Content-Length": "11",
		"X-Amz-Trailer": "x-amz-checksum-crc32", "X-Amz-Meta-Filesha256": "abc"}
	chunked := "6\r\nhello \r\n5\r\nworld\r\n0\r\nx-amz-checksum-crc32:DUoRhQ==\r\n\r\n"
	if code, header, body := do("PUT", "/things/a:b/c", chunked, trailed); code != 200 || header.Get("ETag") != `"5eb63bbbe01eeed093cb22bb8f5acdc3"` {
		t.Errorf("a put: %d %v %s", code, header, body)
	}
	code, header, body := do("GET", "/things/a:b/c", "", nil)
	if code != 200 || body != "hello world" || header.Get("X-Amz-Meta-Filesha256") != "abc" || header.Get("Content-Encoding") != "" {
		t.Errorf("a get: %d %v %q", code, header, body)
	}
	for name, wrong := range map[string]string{
		"another checksum": strings.Replace(chunked, "DUoR", "AAAA", 1), "too short": strings.Replace(chunked, "5\r\nworld\r\n", "", 1),
		"a chunk too long": strings.Replace(chunked, "5\r\nworld", "4\r\nworld", 1), "cut off": chunked[:12], "no number": "x\r\n" + chunked,
	} {
		if code, _, _ := do("PUT", "/things/wrong", wrong, trailed); code < 400 {
			t.Errorf("%s: %d", name, code)
		}
	}
	if code, _, _ := do("HEAD", "/things/wrong", "", nil); code != 404 {
		t.Errorf("an object of a put that failed: %d", code)
	}
	for _, key := range []string{"x//y", "folder/"} { // sam deploy --s3-prefix x/ makes such keys
		if code, _, body := do("PUT", "/things/"+key, key, map[string]string{"Content-Length": strconv.Itoa(len(key))}); code != 200 {
			t.Errorf("a put of %q: %d %s", key, code, body)
		}
		if code, _, body := do("GET", "/things/"+key, "", nil); code != 200 || body != key {
			t.Errorf("a get of %q: %d %s", key, code, body)
		}
	}
	if code, _, _ := do("GET", "/things?encryption=", "", nil); code != 404 {
		t.Errorf("encryption: %d", code)
	}
	if code, _, body := do("GET", "/things?location=", "", nil); code != 200 || !strings.Contains(body, "LocationConstraint") {
		t.Errorf("location: %d %s", code, body)
	}
	if got, err := a.buckets.Get(context.Background(), "", "things", "a:b/c"); err != nil || string(got) != "hello world" {
		t.Errorf("from inside: %q %v", got, err)
	}
}

// A stack may read Parameter Store in its properties: the end of its deployment does so, too.
func TestStackReadsAParameter(t *testing.T) {
	a := openForStacks(t, nil)
	defer a.Close()
	f := &formation{t, a}
	f.call("ssm", "AmazonSSM.PutParameter", `{"Name":"/n","Value":"w","Type":"String"}`)
	f.made("shop", "Resources:\n  Q: {Type: 'AWS::SQS::Queue', Properties: {QueueName: '{{resolve:ssm:/n}}-q'}}\n")
	if code, body := f.call("sqs", "AmazonSQS.GetQueueUrl", `{"QueueName":"w-q"}`); code != 200 {
		t.Error(body)
	}
}
