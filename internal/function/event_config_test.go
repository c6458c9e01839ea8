package function

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/millstreamdb/millstream/internal/store"
)

// mailbox is a Destination that keeps what it gets.
type mailbox struct {
	mu   sync.Mutex
	got  []string
	down bool
}

func (m *mailbox) keep(text string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.down {
		return errors.New("away")
	}
	m.got = append(m.got, text)
	return nil
}

func (m *mailbox) Deliver(_ context.Context, _, arn, key string, document []byte) error {
	return m.keep(arn + " " + key + " " + string(document))
}

func (m *mailbox) DeadLetter(_ context.Context, arn string, event []byte, attributes map[string]string) error {
	a, err := json.Marshal(attributes)
	if err != nil {
		return err
	}
	return m.keep(arn + " " + string(event) + " " + string(a))
}

func (*mailbox) Here(string) bool { return false }

func (*mailbox) Tell(*store.Batch, string, string, string, map[string]string) error { return nil }

func (m *mailbox) take() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := strings.Join(m.got, "\n")
	m.got = nil
	return all
}

// How events end is told in AWS's words, to queues, buckets and functions, and to the
// dead-letter queue.
func TestEventsTellTheirEnd(t *testing.T) {
	const (
		id     = "11111111-2222-4333-8444-555555555555"
		bucket = "arn:aws:s3:::b"
		begin  = `{"version":"1.0","timestamp":"2000-01-01T00:0`
		arn    = `arn:aws:lambda:eu-west-1:123456789012:function:g:$LATEST`
	)
	failure := func(minute, condition string, count int, rest string) string {
		return begin + minute + `:00.000Z","requestContext":{"requestId":"` + id + `","functionArn":"` + arn + `","condition":"` + condition +
			`","approximateInvokeCount":` + string(rune('0'+count)) + `},"requestPayload":{"a":1}` + rest + "}"
	}
	const broken = `,"responseContext":{"statusCode":200,"executedVersion":"$LATEST","functionError":"Unhandled"},"responsePayload":{"errorType":"errorString","errorMessage":"broken"}`
	for _, c := range []struct {
		name    string
		request EventConfigRequest
		dead    bool
		fails   bool
		stopped bool
		want    string
		toG     string // what the destination function gets
	}{
		{name: "success", request: EventConfigRequest{DestinationConfig: &DestinationTable{OnSuccess: DestinationName{queueARN}}},
			want: queueARN + " aws/lambda/async/g/2000/01/01/2000-01-01T00.00.00-" + id + " " +
				failure("0", "Success", 1, `,"responseContext":{"statusCode":200,"executedVersion":"$LATEST"},"responsePayload":"fine"`)},
		{name: "retries", fails: true, dead: true, request: EventConfigRequest{DestinationConfig: &DestinationTable{OnFailure: DestinationName{bucket}}},
			want: deadARN + ` {"a":1} {"ErrorCode":"200","ErrorMessage":"broken","RequestID":"` + id + `"}` + "\n" +
				bucket + " aws/lambda/async/g/2000/01/01/2000-01-01T00.03.00-" + id + " " + failure("3", "RetriesExhausted", 3, broken)},
		{name: "no retry", fails: true, request: EventConfigRequest{MaximumRetryAttempts: ptr(0), DestinationConfig: &DestinationTable{OnFailure: DestinationName{queueARN}}},
			want: queueARN + " aws/lambda/async/g/2000/01/01/2000-01-01T00.00.00-" + id + " " + failure("0", "RetriesExhausted", 1, broken)},
		{name: "age", fails: true, request: EventConfigRequest{MaximumEventAgeInSeconds: ptr(100), DestinationConfig: &DestinationTable{OnFailure: DestinationName{queueARN}}},
			want: queueARN + " aws/lambda/async/g/2000/01/01/2000-01-01T00.01.00-" + id + " " + failure("1", "EventAgeExceeded", 2, broken)},
		{name: "stopped", stopped: true, request: EventConfigRequest{DestinationConfig: &DestinationTable{OnFailure: DestinationName{queueARN}}},
			want: queueARN + " aws/lambda/async/g/2000/01/01/2000-01-01T00.00.00-" + id + " " + failure("0", "ZeroReservedConcurrency", 0, "")},
		{name: "a function", fails: true, request: EventConfigRequest{DestinationConfig: &DestinationTable{OnFailure: DestinationName{"arn:aws:lambda:eu-west-1:123456789012:function:h"}}},
			toG: failure("3", "RetriesExhausted", 3, broken)},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				box := &mailbox{down: true}
				s := open(t, Options{Destination: box})
				var got string
				if err := s.RegisterGo(scope, "h", func(_ context.Context, p []byte) ([]byte, error) { got = string(p); return nil, nil }); err != nil {
					t.Fatal(err)
				}
				if err := s.RegisterGo(scope, "g", func(context.Context, []byte) ([]byte, error) {
					if c.fails {
						return nil, errors.New("broken")
					}
					return []byte(`"fine"`), nil
				}); err != nil {
					t.Fatal(err)
				}
				if c.dead {
					if _, err := s.UpdateConfiguration(scope, "g", UpdateConfigurationRequest{Settings: Settings{DeadLetterConfig: json.RawMessage(`{"TargetArn":"` + deadARN + `"}`)}}); err != nil {
						t.Fatal(err)
					}
				}
				if c.stopped {
					if err := s.PutConcurrency(scope, "g", 0); err != nil {
						t.Fatal(err)
					}
				}
				if _, err := s.PutEventConfig(scope, "g", "", c.request); err != nil {
					t.Fatal(err)
				}
				if _, err := s.InvokeEvent(scope, Invocation{Name: "g", RequestID: id, Payload: []byte(`{"a":1}`)}); err != nil {
					t.Fatal(err)
				}
				time.Sleep(10 * time.Minute)
				box.mu.Lock()
				box.down = false // it is told again until it is taken
				box.mu.Unlock()
				time.Sleep(10 * time.Minute)
				synctest.Wait()
				if told := box.take(); told != c.want {
					t.Errorf("told\n%s\nwant\n%s", told, c.want)
				}
				if got != c.toG {
					t.Errorf("the function got\n%s\nwant\n%s", got, c.toG)
				}
				if n := s.Stats().Queued; n != 0 {
					t.Errorf("%d events are left", n)
				}
			})
		})
	}
}

func TestEventConfigErrors(t *testing.T) {
	s := open(t, Options{})
	for _, name := range []string{"g", "h"} {
		if err := s.RegisterGo(scope, name, func(context.Context, []byte) ([]byte, error) { return nil, nil }); err != nil {
			t.Fatal(err)
		}
	}
	put := func(r EventConfigRequest) error {
		_, err := s.PutEventConfig(scope, "g", "", r)
		return err
	}
	to := func(arn string) EventConfigRequest {
		return EventConfigRequest{DestinationConfig: &DestinationTable{OnFailure: DestinationName{arn}}}
	}
	const none = "The function arn:aws:lambda:eu-west-1:123456789012:function:g:$LATEST doesn't have an EventInvokeConfig"
	_, err := s.GetEventConfig(scope, "g", "")
	wantError(t, err, "ResourceNotFoundException", none)
	_, err = s.UpdateEventConfig(scope, "g", "", EventConfigRequest{MaximumRetryAttempts: ptr(1)})
	wantError(t, err, "ResourceNotFoundException", none)
	wantError(t, s.DeleteEventConfig(scope, "g", ""), "ResourceNotFoundException", none)
	_, err = s.GetEventConfig(scope, "nobody", "")
	wantError(t, err, "ResourceNotFoundException", strings.ReplaceAll(none, ":g:", ":nobody:"))
	_, err = s.PutEventConfig(scope, "nobody", "", EventConfigRequest{MaximumRetryAttempts: ptr(1)})
	wantError(t, err, "ResourceNotFoundException", "The function doesn't exist.")
	wantError(t, put(EventConfigRequest{}), "InvalidParameterValueException", "You must specify at least one of error handling or destination setting.")
	wantError(t, put(EventConfigRequest{MaximumRetryAttempts: ptr(3)}), "ValidationException",
		"1 validation error detected: Value '3' at 'maximumRetryAttempts' failed to satisfy constraint: Member must have value less than or equal to 2")
	wantError(t, put(EventConfigRequest{MaximumEventAgeInSeconds: ptr(59)}), "ValidationException",
		"1 validation error detected: Value '59' at 'maximumEventAgeInSeconds' failed to satisfy constraint: Member must have value greater than or equal to 60")
	wantError(t, put(to("nonsense")), "ValidationException",
		"1 validation error detected: Value 'nonsense' at 'destinationConfig.onFailure.destination' failed to satisfy constraint: "+destinationRule)
	wantError(t, put(to("arn:aws:lambda:eu-west-1:123456789012:function:g")), "InvalidParameterValueException", "You can't specify the function as a destination for itself.")
	wantError(t, put(to("arn:aws:lambda:eu-west-1:123456789012:function:x")), "InvalidParameterValueException", "The destination ARN arn:aws:lambda:eu-west-1:123456789012:function:x is invalid.")
	wantError(t, put(to("arn:aws:iam:eu-west-1:123456789012:x")), "InvalidParameterValueException",
		"The provided destination config DestinationConfig(onSuccess=null, onFailure=OnFailure(destination=arn:aws:iam:eu-west-1:123456789012:x)) is invalid.")
	wantError(t, put(to("arn:aws:events:eu-west-1:123456789012:event-bus/x")), "InvalidParameterValueException",
		"Millstream has no EventBridge: a destination is a queue, a topic, a bucket or a function, not arn:aws:events:eu-west-1:123456789012:event-bus/x.")

	if err := put(EventConfigRequest{MaximumRetryAttempts: ptr(1), MaximumEventAgeInSeconds: ptr(60)}); err != nil {
		t.Fatal(err)
	}
	d, err := s.UpdateEventConfig(scope, "g", "", EventConfigRequest{MaximumRetryAttempts: ptr(0)})
	if err != nil || *d.MaximumRetryAttempts != 0 || *d.MaximumEventAgeInSeconds != 60 || !strings.HasSuffix(d.FunctionArn, ":g:$LATEST") {
		t.Fatal(d, err)
	}
	if err := put(to(queueARN)); err != nil {
		t.Fatal(err)
	}
	if d, err = s.GetEventConfig(scope, "g", "$LATEST"); err != nil || d.MaximumRetryAttempts != nil || d.DestinationConfig.OnFailure.Destination != queueARN {
		t.Fatal(d, err)
	}
	if p, err := s.ListEventConfigs(scope, "g", "", 0); err != nil || len(p.FunctionEventInvokeConfigs) != 1 {
		t.Fatal(p, err)
	}
	if err := s.DeleteEventConfig(scope, "g", ""); err != nil {
		t.Fatal(err)
	}
	if p, err := s.ListEventConfigs(scope, "g", "", 0); err != nil || len(p.FunctionEventInvokeConfigs) != 0 {
		t.Fatal(p, err)
	}
	for arn, want := range map[string]string{
		"x": "1 validation error detected: Value 'x' at 'deadLetterConfig.targetArn' failed to satisfy constraint: Member must satisfy regular expression pattern: (arn:(aws[a-zA-Z-]*)?:[a-z0-9-.]+:.*)|()",
	} {
		_, err := s.UpdateConfiguration(scope, "g", UpdateConfigurationRequest{Settings: Settings{DeadLetterConfig: json.RawMessage(`{"TargetArn":"` + arn + `"}`)}})
		wantError(t, err, "ValidationException", want)
	}
	_, err = s.UpdateConfiguration(scope, "g", UpdateConfigurationRequest{Settings: Settings{DeadLetterConfig: json.RawMessage(`{"TargetArn":"arn:aws:s3:::b"}`)}})
	wantError(t, err, "InvalidParameterValueException", "The dead-letter queue of a function is an SQS queue or an SNS topic, not arn:aws:s3:::b.")
}
