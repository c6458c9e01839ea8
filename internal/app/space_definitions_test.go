package app

import (
	"archive/zip"
	"bytes"
	"encoding/base64"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/millstreamdb/millstream/internal/function"
	"github.com/millstreamdb/millstream/internal/store"
)

// definitionsWorld is a server whose disk fills and empties.
type definitionsWorld struct {
	t    *testing.T
	s    *App
	disk *vfs.MemFS
}

func (w *definitionsWorld) free(bytes uint64) {
	w.disk.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: bytes, TotalBytes: 1 << 40})
	time.Sleep(1100 * time.Millisecond) // the store looks once a second
}

// do sends a call: to a path with a method, or to a target, or with a form.
func (w *definitionsWorld) do(service, call, body string) (status int, answer string) {
	method, path, target := "POST", "/", ""
	switch {
	case strings.Contains(call, " "):
		method, path, _ = strings.Cut(call, " ")
	default:
		target = call
	}
	r := httptest.NewRequest(method, "http://localhost"+path, strings.NewReader(body))
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=a/20261129/us-east-1/"+service+"/aws4_request, SignedHeaders=host, Signature=0")
	r.Header.Set("X-Amz-Date", "20261129T060000Z")
	r.Header.Set("Content-Type", "application/x-amz-json-1.0")
	if target != "" {
		r.Header.Set("X-Amz-Target", target)
	} else if service == "cloudformation" || service == "iam" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if strings.HasSuffix(path, "/invocations") {
		r.Header.Set("X-Amz-Invocation-Type", "Event")
	}
	a := httptest.NewRecorder()
	w.s.Handler().ServeHTTP(a, r)
	return a.Code, a.Header().Get("X-Amzn-Errortype") + a.Body.String()
}

func (w *definitionsWorld) must(service, call, body string) string {
	w.t.Helper()
	status, answer := w.do(service, call, body)
	if status/100 != 2 {
		w.t.Fatalf("%s %s: %d %s", service, call, status, answer)
	}
	return answer
}

// On a disk that is nearly full no service takes a new definition or an Event invocation: each answers with its own code for a fault of its
// own, which SDKs try again, and with the reason. What is there is invoked, read, changed and removed.
func TestDefinitionsOnNearlyFullDisk(t *testing.T) {
	disk := vfs.NewMem()
	s, err := Open(Options{}, disk)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	w := &definitionsWorld{t, s, disk}

	var packed bytes.Buffer
	z := zip.NewWriter(&packed)
	for _, name := range []string{"bootstrap"} {
		f, err := z.CreateHeader(&zip.FileHeader{Name: name, ExternalAttrs: 0o100755 << 16, CreatorVersion: 3 << 8})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write([]byte("#!/bin/sh\nexit 1\n")); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	content := `"` + base64.StdEncoding.EncodeToString(packed.Bytes()) + `"`
	makeFunction := func(name string) string {
		return `{"FunctionName":"` + name + `","Runtime":"provided.al2023","Handler":"bootstrap","Role":"arn:aws:iam::000000000000:role/r","Code":{"ZipFile":` + content + `}}`
	}
	schedule := `{"ScheduleExpression":"rate(1 hour)","FlexibleTimeWindow":{"Mode":"OFF"},"Target":{"Arn":"arn:aws:lambda:us-east-1:000000000000:function:f","RoleArn":"arn:aws:iam::000000000000:role/r"}}`
	const functions = "/2015-03-31/functions"
	const table = `{"TableName":"NAME","BillingMode":"PAY_PER_REQUEST","KeySchema":[{"AttributeName":"pk","KeyType":"HASH"}],"AttributeDefinitions":[{"AttributeName":"pk","AttributeType":"S"}],
		"StreamSpecification":{"StreamEnabled":true,"StreamViewType":"KEYS_ONLY"}}`
	trust := url.QueryEscape(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"lambda.amazonaws.com"},"Action":"sts:AssumeRole"}]}`)
	stackBody := url.QueryEscape(`{"Resources":{"Q":{"Type":"AWS::SQS::Queue"}}}`)
	w.must("lambda", "POST "+functions, makeFunction("f"))
	w.must("lambda", "POST "+functions, makeFunction("gone"))
	w.must("lambda", "POST "+functions+"/f/aliases", `{"Name":"old","FunctionVersion":"$LATEST"}`)
	w.must("dynamodb", "DynamoDB_20120810.CreateTable", strings.ReplaceAll(table, "NAME", "tab"))
	stream := s.LatestStream("tab")
	w.must("sqs", "AmazonSQS.CreateQueue", `{"QueueName":"q"}`)
	w.must("events", "AWSEvents.PutRule", `{"Name":"r","ScheduleExpression":"rate(1 hour)"}`)
	w.must("events", "AWSEvents.PutTargets", `{"Rule":"r","Targets":[{"Id":"1","Arn":"arn:aws:lambda:us-east-1:000000000000:function:f"}]}`)
	w.must("scheduler", "POST /schedules/s", schedule)
	w.must("scheduler", "POST /schedule-groups/g", `{}`)
	w.must("ssm", "AmazonSSM.PutParameter", `{"Name":"p","Value":"v","Type":"String"}`)
	w.must("logs", "Logs_20140328.CreateLogGroup", `{"logGroupName":"mine"}`)
	mapping := `{"FunctionName":"f","StartingPosition":"LATEST","Enabled":false,"EventSourceArn":"` + stream + `"}`
	mappingOnQueue := `{"FunctionName":"f","Enabled":false,"EventSourceArn":"arn:aws:sqs:us-east-1:000000000000:q"}`

	w.free(200 << 20)
	for _, c := range []struct{ service, call, body, code string }{
		{"dynamodb", "DynamoDB_20120810.CreateTable", strings.ReplaceAll(table, "NAME", "other"), "InternalServerError"},
		{"lambda", "POST " + functions, makeFunction("new"), "ServiceException"},
		{"lambda", "PUT " + functions + "/f/code", `{"ZipFile":` + content + `}`, "ServiceException"},
		{"lambda", "POST " + functions + "/f/versions", `{}`, "ServiceException"},
		{"lambda", "POST " + functions + "/f/invocations", `{}`, "ServiceException"},
		{"lambda", "POST /2018-10-31/layers/l/versions", `{"Content":{"ZipFile":` + content + `}}`, "ServiceException"},
		{"lambda", "POST /2015-03-31/event-source-mappings/", mapping, "ServiceException"},
		{"lambda", "POST /2015-03-31/event-source-mappings/", mappingOnQueue, "ServiceException"},
		{"sqs", "AmazonSQS.CreateQueue", `{"QueueName":"other"}`, "InternalFailure"},
		{"events", "AWSEvents.PutRule", `{"Name":"other","ScheduleExpression":"rate(1 hour)"}`, "InternalException"},
		{"scheduler", "POST /schedules/other", schedule, "InternalServerException"},
		{"scheduler", "POST /schedule-groups/other", `{}`, "InternalServerException"},
		{"ssm", "AmazonSSM.PutParameter", `{"Name":"other","Value":"v","Type":"String"}`, "InternalServerError"},
		{"logs", "Logs_20140328.CreateLogGroup", `{"logGroupName":"other"}`, "ServiceUnavailableException"},
		{"cloudformation", "POST /", "Action=CreateStack&Version=2010-05-15&StackName=st&TemplateBody=" + stackBody, "InternalFailure"},
		{"cloudformation", "POST /", "Action=CreateChangeSet&Version=2010-05-15&StackName=st&ChangeSetName=c&ChangeSetType=CREATE&TemplateBody=" + stackBody, "InternalFailure"},
		{"iam", "POST /", "Action=CreateRole&Version=2010-05-08&RoleName=role&AssumeRolePolicyDocument=" + trust, "InternalFailure"},
	} {
		status, answer := w.do(c.service, c.call, c.body)
		if status != http.StatusInternalServerError || !strings.Contains(answer, c.code) || !strings.Contains(answer, "reserve") {
			t.Errorf("%s %s: %d %s, want %s with the reason", c.service, c.call, status, answer, c.code)
		}
	}
	if _, err := s.functions.InvokeEvent(s.scope, function.Invocation{Name: "f", Payload: []byte(`{}`), Trusted: true}); !errors.Is(err, store.ErrDiskFull) {
		t.Errorf("an Event invocation: %v; a delivery has to know that it is the disk", err)
	}

	// What changes or removes something goes on.
	w.must("lambda", "PUT "+functions+"/f/configuration", `{"Timeout":7}`)
	w.must("lambda", "DELETE "+functions+"/f/aliases/old", "")
	w.must("lambda", "DELETE "+functions+"/gone", "")
	w.must("events", "AWSEvents.RemoveTargets", `{"Rule":"r","Ids":["1"]}`)
	w.must("events", "AWSEvents.DeleteRule", `{"Name":"r"}`)
	w.must("scheduler", "DELETE /schedules/s", "")
	w.must("scheduler", "DELETE /schedule-groups/g", "")
	w.must("ssm", "AmazonSSM.DeleteParameter", `{"Name":"p"}`)
	w.must("logs", "Logs_20140328.DeleteLogGroup", `{"logGroupName":"mine"}`)
	var queue = `{"QueueUrl":"http://localhost/000000000000/q"}`
	w.must("sqs", "AmazonSQS.DeleteQueue", queue)
	w.must("dynamodb", "DynamoDB_20120810.DeleteTable", `{"TableName":"tab"}`)

	w.free(1 << 30)
	w.must("lambda", "POST "+functions, makeFunction("new"))
	w.must("events", "AWSEvents.PutRule", `{"Name":"other","ScheduleExpression":"rate(1 hour)"}`)
	w.must("lambda", "POST "+functions+"/f/invocations", `{}`)
}
