package remote

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/millstreamdb/millstream/internal/backend"
)

// An answer of megabytes of what web pages have escaped is sent as it is; one that no request can hold is refused, and not
// tried for ever.
func TestLongMessages(t *testing.T) {
	w := newSuiteWorld(t)
	s, m, c := w.claimed(t, w.c)
	_, err := w.sqs().CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: aws.String("big"), Attributes: map[string]string{"MaximumMessageSize": "1048576"}})
	w.check(err)
	send := func(n int) error {
		message := `{"QueueUrl":"/000000000000/big","MessageBody":"` + strings.Repeat("<", 1<<20) + `"}`
		return s.TransactUnder(t.Context(), c, m.UUID, backend.Transaction{
			Messages: json.RawMessage("[" + strings.Repeat(message+",", n-1) + message + "]"), Applied: func() {},
			Build: func() ([]backend.Row, []backend.AsideRows, error) { return nil, nil, nil },
		})
	}
	if err := send(3); err != nil {
		t.Error(err)
	}
	var refused *backend.Refused
	if err := send(17); !errors.As(err, &refused) || !strings.Contains(refused.Why, "at most 16777216") {
		t.Errorf("17 MB: %v", err)
	}
}
