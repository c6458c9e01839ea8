package app

import (
	"archive/zip"
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	lambdatypes "github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// TestTopicOverRestart: what a topic owes to a function, a queue and a URL when the server ends comes to each after the next start. The function always
// fails, and what its destination is told of that shows that it was called. So it does when a restored folder goes on without a start.
func TestTopicOverRestart(t *testing.T) {
	t.Run("start", func(t *testing.T) { testTopicOverRestart(t, false) })
	t.Run("GoOn", func(t *testing.T) { testTopicOverRestart(t, true) })
}

func testTopicOverRestart(t *testing.T, goOn bool) {
	var mu sync.Mutex
	posted := 0
	hook := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		defer mu.Unlock()
		if strings.Contains(string(body), "owed text") {
			posted++
		}
	}))
	defer hook.Close()
	dir, ctx := t.TempDir(), t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	open := func(resume bool) *App {
		t.Helper()
		s, err := Open(Options{Dir: dir, ResumeTriggers: resume}, nil)
		must(err)
		return s
	}
	s := open(false)
	config := s.Config()
	queues, functions, topics := sqs.NewFromConfig(config), lambda.NewFromConfig(config), sns.NewFromConfig(config)
	for _, name := range []string{"q", "told"} {
		_, err := queues.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: &name})
		must(err)
	}
	var pack bytes.Buffer
	z := zip.NewWriter(&pack)
	h := &zip.FileHeader{Name: "bootstrap"}
	h.SetMode(0o755)
	f, err := z.CreateHeader(h)
	must(err)
	_, err = io.WriteString(f, "#!/bin/sh\nexit 1\n")
	must(err)
	must(z.Close())
	_, err = functions.CreateFunction(ctx, &lambda.CreateFunctionInput{
		FunctionName: aws.String("f"), Runtime: lambdatypes.RuntimeProvidedal2023, Handler: aws.String("x"), Role: aws.String("arn:aws:iam::000000000000:role/r"),
		Code: &lambdatypes.FunctionCode{ZipFile: pack.Bytes()},
	})
	must(err)
	_, err = functions.PutFunctionEventInvokeConfig(ctx, &lambda.PutFunctionEventInvokeConfigInput{
		FunctionName: aws.String("f"), MaximumRetryAttempts: aws.Int32(0),
		DestinationConfig: &lambdatypes.DestinationConfig{OnFailure: &lambdatypes.OnFailure{Destination: aws.String(s.Scope().QueueARN("told"))}},
	})
	must(err)
	made, err := topics.CreateTopic(ctx, &sns.CreateTopicInput{Name: aws.String("t")})
	must(err)
	for protocol, endpoint := range map[string]string{"lambda": s.Scope().FunctionARN("f"), "sqs": s.Scope().QueueARN("q"), "http": hook.URL} {
		sub, err := s.topics.Subscribe(*made.TopicArn, protocol, endpoint, nil)
		must(err)
		if sub.Pending {
			_, err = s.topics.Confirm(*made.TopicArn, sub.Token, false)
			must(err)
		}
	}
	within, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	must(s.outbox.Settle(within))
	must(s.Close())

	// In a folder that was restored nothing is delivered yet.
	must(os.WriteFile(filepath.Join(dir, restoredFile), []byte("x"), 0o600))
	s = open(false)
	_, err = sns.NewFromConfig(s.Config()).Publish(ctx, &sns.PublishInput{TopicArn: made.TopicArn, Message: aws.String("owed text")})
	must(err)
	if n := s.outbox.Len(); n != 3 {
		t.Error(n, " deliveries are owed")
	}
	if goOn {
		if was, err := s.GoOn(); err != nil || !was {
			t.Fatal(was, err)
		}
	} else {
		must(s.Close())
		s = open(true)
	}
	defer func() { must(s.Close()) }()
	must(s.outbox.Settle(within))
	queues = sqs.NewFromConfig(s.Config())
	for name, want := range map[string]string{"q": "owed text", "told": `"condition":"RetriesExhausted"`} {
		url, err := queues.GetQueueUrl(ctx, &sqs.GetQueueUrlInput{QueueName: &name})
		must(err)
		got, err := queues.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: url.QueueUrl, MaxNumberOfMessages: 10, WaitTimeSeconds: 20, MessageSystemAttributeNames: []sqstypes.MessageSystemAttributeName{"All"}})
		must(err)
		if len(got.Messages) != 1 || !strings.Contains(*got.Messages[0].Body, want) || !strings.Contains(*got.Messages[0].Body, "owed text") {
			t.Errorf("queue %s got %+v", name, got.Messages)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if posted != 1 {
		t.Error("the URL got it ", posted, " times")
	}
	if n := s.outbox.Len(); n != 0 {
		t.Error(n, " deliveries are owed still")
	}
}
