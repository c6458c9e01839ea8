package app

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
)

// refusedIndex is a property that only CreateTable refuses: the index has no sort key.
const refusedIndex = "LocalSecondaryIndexes: [{IndexName: lsi, KeySchema: [{AttributeName: id, KeyType: HASH}], Projection: {ProjectionType: ALL}}], "

// fails is a resource that cannot be made, after others.
func fails(after string) string {
	return strings.Replace(tableOf("Bad", "DependsOn: ["+after+"],"), "Properties: {", "Properties: {"+refusedIndex, 1)
}

func named(table, name, extra string) string {
	return strings.Replace(tableOf(table, extra), "Properties: {", "Properties: {TableName: "+name+", ", 1)
}

func (f *formation) makeTable(name string) {
	f.Helper()
	code, body := f.call("dynamodb", "DynamoDB_20120810.CreateTable", `{"TableName":"`+name+`","AttributeDefinitions":[{"AttributeName":"id","AttributeType":"S"}],"KeySchema":[{"AttributeName":"id","KeyType":"HASH"}],"BillingMode":"PAY_PER_REQUEST"}`)
	if code != http.StatusOK {
		f.Fatal(body)
	}
}

// made makes a stack, which must succeed.
func (f *formation) made(stack, tpl string) {
	f.Helper()
	f.well("CreateStack", "StackName", stack, "TemplateBody", tpl)
	if got := f.rest(stack); got != "CREATE_COMPLETE" {
		f.Fatalf("the stack %s is %s: %+v", stack, got, f.do("DescribeStackEvents", "StackName", stack).Events)
	}
}

func (f *formation) updated(stack, tpl, want string) {
	f.Helper()
	f.well("UpdateStack", "StackName", stack, "TemplateBody", tpl)
	if got := f.rest(stack); got != want {
		f.Errorf("the stack %s is %s, not %s: %+v", stack, got, want, f.do("DescribeStackEvents", "StackName", stack).Events)
	}
}

// spoil makes the server's own calls fail that on finds.
func spoil(a *App, on func(target, body string) bool) {
	a.onOwnCall.Store(ptr(func(r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		if on(r.Header.Get("X-Amz-Target"), string(body)) {
			r.Header.Set("X-Amz-Target", "DynamoDB_20120810.Spoiled")
		}
	}))
}

// A stack that cannot learn whether a name is taken makes nothing of that name, so its roll-back removes nothing either.
func TestStackLeavesWhatItCannotAskFor(t *testing.T) {
	a := openForStacks(t, nil)
	defer a.Close()
	f := &formation{t, a}
	f.makeTable("mine")
	var done atomic.Bool
	spoil(a, func(target, body string) bool {
		return strings.HasSuffix(target, "DescribeTable") && strings.Contains(body, "mine") && done.CompareAndSwap(false, true)
	})
	f.well("CreateStack", "StackName", "shop", "TemplateBody", "Resources:\n"+named("Mine", "mine", "")+fails("Mine"))
	if got := f.rest("shop"); got != "ROLLBACK_COMPLETE" {
		t.Errorf("the stack is %s", got)
	}
	f.well("DeleteStack", "StackName", "shop")
	if got := f.tables(); got != `{"TableNames":["mine"]}` {
		t.Errorf("there are %s", got)
	}
}

// An update that renames a table to one that somebody else has made fails and leaves both, also when it fails later.
func TestStackRenamesToATakenName(t *testing.T) {
	a := openForStacks(t, nil)
	defer a.Close()
	f := &formation{t, a}
	f.makeTable("theirs")
	f.made("shop", "Resources:\n"+named("Mine", "ours", ""))
	for _, tpl := range []string{named("Mine", "theirs", "") + fails("Mine"), named("Mine", "theirs", "")} {
		f.updated("shop", "Resources:\n"+tpl, "UPDATE_ROLLBACK_COMPLETE")
		if got := f.tables(); got != `{"TableNames":["ours","theirs"]}` {
			t.Errorf("there are %s", got)
		}
	}
	// To a free name it goes there and back, and what it leaves is removed.
	f.updated("shop", "Resources:\n"+named("Mine", "free", "")+fails("Mine"), "UPDATE_ROLLBACK_COMPLETE")
	if got := f.tables(); got != `{"TableNames":["ours","theirs"]}` {
		t.Errorf("there are %s", got)
	}
	f.updated("shop", "Resources:\n"+named("Mine", "free", ""), "UPDATE_COMPLETE")
	if got := f.tables(); got != `{"TableNames":["free","theirs"]}` {
		t.Errorf("there are %s", got)
	}
	f.well("DeleteStack", "StackName", "shop")
	if got := f.tables(); got != `{"TableNames":["theirs"]}` {
		t.Errorf("there are %s", got)
	}
}

// What somebody else has made of a name that a template gives stays as it is, whatever its type.
func TestStackLeavesWhatOthersMade(t *testing.T) {
	a := openForStacks(t, nil)
	defer a.Close()
	f := &formation{t, a}
	queue := "  Q: {Type: 'AWS::SQS::Queue', Properties: {QueueName: jobs}}\n"
	bucket := "  B: {Type: 'AWS::S3::Bucket', Properties: {BucketName: pictures}}\n"
	parameter := "  P: {Type: 'AWS::SSM::Parameter', Properties: {Name: /url, Type: String, Value: changed}}\n"
	if code, body := f.call("sqs", "AmazonSQS.CreateQueue", `{"QueueName":"jobs"}`); code != http.StatusOK {
		t.Fatal(body)
	}
	if err := a.buckets.Create("", "pictures"); err != nil {
		t.Fatal(err)
	}
	if code, body := f.call("ssm", "AmazonSSM.PutParameter", `{"Name":"/url","Type":"String","Value":"kept"}`); code != http.StatusOK {
		t.Fatal(body)
	}
	still := func(t *testing.T) {
		t.Helper()
		if _, body := f.call("sqs", "AmazonSQS.ListQueues", `{}`); !strings.Contains(body, "/jobs") {
			t.Errorf("the queues are %s", body)
		}
		if ok, err := a.buckets.Exists("", "pictures"); !ok {
			t.Errorf("the bucket is gone: %v", err)
		}
		if _, body := f.call("ssm", "AmazonSSM.GetParameter", `{"Name":"/url"}`); !strings.Contains(body, `"Value":"kept"`) {
			t.Errorf("the parameter is %s", body)
		}
	}
	for name, one := range map[string]string{"Q": queue, "B": bucket, "P": parameter} {
		t.Run(name, func(t *testing.T) {
			f := &formation{t, a}
			f.well("CreateStack", "StackName", "shop", "TemplateBody", "Resources:\n"+one)
			if got := f.rest("shop"); got != "ROLLBACK_COMPLETE" {
				t.Errorf("the stack is %s", got)
			}
			f.well("DeleteStack", "StackName", "shop")
			still(t)
		})
	}
	t.Run("an API", func(t *testing.T) {
		f := &formation{t, a}
		api := "Resources:\n  Api: {Type: AWS::ApiGatewayV2::Api, Properties: {Name: x, ProtocolType: HTTP}}\n"
		f.made("first", "Resources:\n"+tableOf("T", ""))
		f.updated("first", api, "UPDATE_COMPLETE")
		f.updated("first", strings.Replace(api, "Name: x", "Name: y", 1), "UPDATE_COMPLETE")
		f.well("DeleteStack", "StackName", "first")
	})
	t.Run("another logical name", func(t *testing.T) {
		f := &formation{t, a}
		f.made("own", "Resources:\n  One: {Type: 'AWS::SQS::Queue', Properties: {QueueName: own}}\n")
		f.updated("own", "Resources:\n  Two: {Type: 'AWS::SQS::Queue', Properties: {QueueName: own}}\n", "UPDATE_ROLLBACK_COMPLETE")
		if _, body := f.call("sqs", "AmazonSQS.ListQueues", `{}`); !strings.Contains(body, "/own") {
			t.Errorf("the queues are %s", body)
		}
		f.well("DeleteStack", "StackName", "own")
		if _, body := f.call("sqs", "AmazonSQS.ListQueues", `{}`); strings.Contains(body, "/own") || !strings.Contains(body, "/jobs") {
			t.Errorf("the queues are %s", body)
		}
	})
}

// A table that is to be retained stays when the update that made it fails.
func TestStackRetainsInAFailedUpdate(t *testing.T) {
	a := openForStacks(t, nil)
	defer a.Close()
	f := &formation{t, a}
	f.made("shop", oneTable)
	f.updated("shop", more(oneTable, tableOf("Kept", "DeletionPolicy: Retain,")+tableOf("Dropped", "DeletionPolicy: RetainExceptOnCreate,")+fails("Kept, Dropped")), "UPDATE_ROLLBACK_COMPLETE")
	if got := f.tables(); got != `{"TableNames":["shop-Kept","shop-Orders"]}` {
		t.Errorf("there are %s", got)
	}
}

// After a roll-back that failed the next one goes to the last version that worked, not to the one that failed.
func TestStackGoesBackToWhatWorked(t *testing.T) {
	a := openForStacks(t, nil)
	defer a.Close()
	f := &formation{t, a}
	f.made("shop", oneTable)
	f.well("CreateChangeSet", "StackName", "shop", "ChangeSetName", "early", "TemplateBody", more(oneTable, tableOf("Third", "")))
	var broken atomic.Bool
	spoil(a, func(target, body string) bool {
		if strings.HasSuffix(target, "DescribeTable") && strings.Contains(body, `"shop-Bad"`) {
			broken.Store(true)
		}
		return broken.Load()
	})
	f.updated("shop", more(oneTable, tableOf("Second", "")+fails("Second")), "UPDATE_ROLLBACK_FAILED")
	a.onOwnCall.Store(nil)
	f.updated("shop", more(oneTable, tableOf("Second", "")+tableOf("Third", "")+fails("Second, Third")), "UPDATE_ROLLBACK_COMPLETE")
	if got := f.well("GetTemplate", "StackName", "shop").Template; got != oneTable {
		t.Errorf("its template is %q", got)
	}
	if got := f.tables(); got != `{"TableNames":["shop-Orders"]}` {
		t.Errorf("there are %s", got)
	}
	// A stack whose deletion failed can be deleted only.
	spoil(a, func(target, _ string) bool { return strings.HasSuffix(target, "DeleteTable") })
	f.well("DeleteStack", "StackName", "shop")
	if got := f.rest("shop"); got != "DELETE_FAILED" {
		t.Fatalf("the stack is %s", got)
	}
	a.onOwnCall.Store(nil)
	for action, got := range map[string]stackAnswer{
		"update":  f.do("UpdateStack", "StackName", "shop", "TemplateBody", more(oneTable, tableOf("Third", ""))),
		"propose": f.do("CreateChangeSet", "StackName", "shop", "ChangeSetName", "c", "TemplateBody", more(oneTable, tableOf("Third", ""))),
	} {
		if !strings.Contains(got.Error.Message, "is in DELETE_FAILED state and can not be updated.") {
			t.Errorf("%s: %+v", action, got.Error)
		}
	}
	f.well("DeleteStack", "StackName", "shop")
	if got := f.tables(); got != `{"TableNames":[]}` {
		t.Errorf("there are %s", got)
	}
}

// What others have hung on a function stays, too; what a stack has hung on it is changed and removed with the stack.
func TestStackLeavesWhatOthersHungOnAFunction(t *testing.T) {
	a := openForStacks(t, nil)
	defer a.Close()
	f := &formation{t, a}
	do := func(method, path, body string) string {
		t.Helper()
		code, answer := callLambda(a, method, path, body)
		if code/100 != 2 {
			t.Fatal(path, code, answer)
		}
		return answer
	}
	const source = "arn:aws:sqs:us-east-1:000000000000:in"
	do("POST", "/2015-03-31/functions", fmt.Sprintf(`{"FunctionName":"w","Runtime":"provided.al2023","Handler":"x","Role":"arn:aws:iam::000000000000:role/r","Code":{"ZipFile":%q}}`,
		zipped(t, "bootstrap", "#!/bin/sh\nexit 1\n")))
	do("POST", "/2015-03-31/functions/w/versions", "{}")
	if code, body := f.call("sqs", "AmazonSQS.CreateQueue", `{"QueueName":"in"}`); code != http.StatusOK {
		t.Fatal(body)
	}
	hung := map[string]string{
		"mapping": "  M: {Type: 'AWS::Lambda::EventSourceMapping', Properties: {FunctionName: w, EventSourceArn: '" + source + "', BatchSize: 1}}\n",
		"alias":   "  M: {Type: 'AWS::Lambda::Alias', Properties: {FunctionName: w, Name: live, FunctionVersion: '1', Description: B1}}\n",
		"URL":     "  M: {Type: 'AWS::Lambda::Url', Properties: {TargetFunctionArn: w, AuthType: NONE}}\n",
		"config":  "  M: {Type: 'AWS::Lambda::EventInvokeConfig', Properties: {FunctionName: w, Qualifier: $LATEST, MaximumRetryAttempts: 1}}\n",
	}
	all := func() string {
		_, aliases := callLambda(a, "GET", "/2015-03-31/functions/w/aliases", "")
		_, mappings := callLambda(a, "GET", "/2015-03-31/event-source-mappings/?FunctionName=w", "")
		_, urls := callLambda(a, "GET", "/2021-10-31/functions/w/urls", "")
		_, configs := callLambda(a, "GET", "/2019-09-25/functions/w/event-invoke-config/list", "")
		return aliases + mappings + urls + configs
	}
	for name, one := range hung {
		stack := "own-" + name
		f.made(stack, "Resources:\n"+one)
		next := strings.NewReplacer("BatchSize: 1", "BatchSize: 2", "B1", "B2", "NONE}", "NONE, InvokeMode: BUFFERED}", "Attempts: 1", "Attempts: 2").Replace(one)
		f.updated(stack, "Resources:\n"+next+fails("M"), "UPDATE_ROLLBACK_COMPLETE")
		f.updated(stack, "Resources:\n"+next, "UPDATE_COMPLETE")
		f.well("DeleteStack", "StackName", stack)
		if got := f.rest(stack); !strings.Contains(got, "does not exist") {
			t.Errorf("%s is %s", stack, got)
		}
	}
	do("POST", "/2015-03-31/functions/w/aliases", `{"Name":"live","FunctionVersion":"1"}`)
	do("POST", "/2015-03-31/event-source-mappings/", `{"FunctionName":"w","EventSourceArn":"`+source+`","Enabled":false}`)
	do("POST", "/2021-10-31/functions/w/url", `{"AuthType":"NONE"}`)
	do("PUT", "/2019-09-25/functions/w/event-invoke-config", `{"MaximumRetryAttempts":0}`)
	for name, one := range hung {
		f.well("CreateStack", "StackName", "shop", "TemplateBody", "Resources:\n"+one+fails("M"))
		if got := f.rest("shop"); got != "ROLLBACK_COMPLETE" {
			t.Errorf("with the %s the stack is %s", name, got)
		}
		f.well("DeleteStack", "StackName", "shop")
	}
	got := all()
	for _, want := range []string{`"Name":"live"`, `"EventSourceArn":"` + source, `"FunctionUrl"`, `"MaximumRetryAttempts":0`} {
		if !strings.Contains(got, want) {
			t.Errorf("%s is gone: %s", want, got)
		}
	}
}
