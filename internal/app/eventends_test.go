package app

import (
	"context"
	"errors"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	lambdatypes "github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// How Event invocations end is told to queues of the server itself: a dead-letter queue gets the event and why it failed,
// destinations get AWS's document. Each carries the trace of the invocation.
func TestEventEndsInOwnQueues(t *testing.T) {
	t.Setenv("AWS_ENDPOINT_URL", "")
	t.Setenv("AWS_ENDPOINT_URL_SQS", "")
	w := openQueues(t)
	for name, err := range map[string]error{"good": nil, "bad": errors.New("no such order"), "dead": errors.New("no such order")} {
		if err := w.srv.RegisterFunction(name, func(context.Context, []byte) ([]byte, error) { return []byte(`"fine"`), err }); err != nil {
			t.Fatal(err)
		}
	}
	queues := map[string]*string{}
	for _, name := range []string{"dead", "failed", "succeeded"} {
		queues[name] = w.queue(name, nil)
	}
	arn := func(name string) *string { return aws.String(w.srv.scope.QueueARN(name)) }
	for _, name := range []string{"bad", "dead"} {
		if _, err := w.lambda.UpdateFunctionConfiguration(t.Context(), &lambda.UpdateFunctionConfigurationInput{
			FunctionName: &name, DeadLetterConfig: &lambdatypes.DeadLetterConfig{TargetArn: arn("dead")},
		}); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"good", "bad"} {
		if _, err := w.lambda.PutFunctionEventInvokeConfig(t.Context(), &lambda.PutFunctionEventInvokeConfigInput{FunctionName: &name, DestinationConfig: &lambdatypes.DestinationConfig{
			OnSuccess: &lambdatypes.OnSuccess{Destination: arn("succeeded")}, OnFailure: &lambdatypes.OnFailure{Destination: arn("failed")},
		}}); err != nil {
			t.Fatal(err)
		}
	}
	ids := map[string]string{}
	for _, name := range []string{"good", "bad", "dead"} {
		out, err := w.lambda.Invoke(t.Context(), &lambda.InvokeInput{FunctionName: &name, InvocationType: lambdatypes.InvocationTypeEvent, Payload: []byte(`{"from":"` + name + `"}`)},
			func(o *lambda.Options) { o.APIOptions = append(o.APIOptions, withTrace) })
		if err != nil || out.StatusCode != 202 {
			t.Fatal(out, err)
		}
		ids[name] = requestID(t, out)
	}
	if err := w.srv.Advance(t.Context(), 10*time.Minute); err != nil { // two more attempts, after one and two minutes
		t.Fatal(err)
	}

	// taken are the messages of a queue, by their bodies: the attributes, and the trace.
	taken := func(name string) []string {
		out, err := w.sqs.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{
			QueueUrl: queues[name], MaxNumberOfMessages: 10, MessageAttributeNames: []string{"All"}, MessageSystemAttributeNames: []sqstypes.MessageSystemAttributeName{"All"},
		})
		if err != nil {
			t.Fatal(err)
		}
		var all []string
		for _, m := range out.Messages {
			text := *m.Body
			for _, k := range slices.Sorted(maps.Keys(m.MessageAttributes)) {
				text += " " + k + ":" + *m.MessageAttributes[k].DataType + "=" + *m.MessageAttributes[k].StringValue
			}
			if m.Attributes["AWSTraceHeader"] != testTrace {
				t.Errorf("%s has the trace %s", text, m.Attributes["AWSTraceHeader"])
			}
			all = append(all, text)
		}
		slices.Sort(all)
		return all
	}
	dead := func(name string) string {
		return `{"from":"` + name + `"} ErrorCode:Number=200 ErrorMessage:String=no such order RequestID:String=` + ids[name]
	}
	if got := taken("dead"); !slices.Equal(got, []string{dead("bad"), dead("dead")}) {
		t.Errorf("the dead-letter queue has\n%s", strings.Join(got, "\n"))
	}
	document := func(name, condition, count, context, payload string) string {
		return `^` + regexp.QuoteMeta(`{"version":"1.0","timestamp":"`) + `[^"]*` + regexp.QuoteMeta(`","requestContext":{"requestId":"`+ids[name]+`","functionArn":"`+
			w.srv.scope.FunctionARN(name)+`:$LATEST","condition":"`+condition+`","approximateInvokeCount":`+count+`},"requestPayload":{"from":"`+name+
			`"},"responseContext":{"statusCode":200,"executedVersion":"$LATEST"`+context+`},"responsePayload":`+payload+`}`) + `$`
	}
	for name, want := range map[string]string{
		"failed":    document("bad", "RetriesExhausted", "3", `,"functionError":"Unhandled"`, `{"errorType":"errorString","errorMessage":"no such order"}`),
		"succeeded": document("good", "Success", "1", "", `"fine"`),
	} {
		if got := taken(name); len(got) != 1 || !regexp.MustCompile(want).MatchString(got[0]) {
			t.Errorf("%s has\n%s\nwant\n%s", name, strings.Join(got, "\n"), want)
		}
	}
}

// requestID is the id of a call of the SDK.
func requestID(t *testing.T, out *lambda.InvokeOutput) string {
	t.Helper()
	id, ok := awsmiddleware.GetRequestIDMetadata(out.ResultMetadata)
	if !ok {
		t.Fatal("no request id")
	}
	return id
}
