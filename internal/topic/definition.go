package topic

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/millstreamdb/millstream/internal/arn"
	"github.com/millstreamdb/millstream/internal/pattern"
	"github.com/millstreamdb/millstream/internal/store"
)

// Topic is a topic. It is stored as it is: members are only ever added. It is a value that never changes.
type Topic struct {
	Scope      arn.Scope
	Name       string
	Attributes map[string]string `json:",omitempty"` // those that were set
	Tags       map[string]string `json:",omitempty"`
	CreatedMS  int64
}

// ARN names the topic.
func (t *Topic) ARN() string { return t.Scope.ARN("sns", t.Name) }

// FIFO says which kind of topic it is.
func (t *Topic) FIFO() bool { return t.Attributes["FifoTopic"] == "true" }

// Subscription is one of a topic. It is stored and changes like a topic.
type Subscription struct {
	ID         string
	TopicARN   string
	Protocol   string            // sqs, lambda, http or https
	Endpoint   string            // an ARN or a URL
	Attributes map[string]string `json:",omitempty"` // those that were set
	Token      string            `json:",omitempty"` // that confirms it; kept so that it may be confirmed again
	Pending    bool              `json:",omitempty"` // it is to be confirmed
	// Authenticate has only signed requests unsubscribe it.
	Authenticate bool `json:",omitempty"`
	CreatedMS    int64
	// RemovedMS is when it was removed by the link of a message; Token brings it back for a while. 0: it is there.
	RemovedMS int64 `json:",omitempty"`
}

// ARN names the subscription.
func (s *Subscription) ARN() string { return s.TopicARN + ":" + s.ID }

// subscription is one at work.
type subscription struct {
	*Subscription
	filter     *pattern.Pattern // nil: it takes everything
	ofBody     bool             // the filter is about the body
	raw        bool
	deadLetter string
}

// prepare reads what a subscription's attributes say.
func prepare(s *Subscription) (*subscription, error) {
	out := &subscription{Subscription: s, raw: s.Attributes["RawMessageDelivery"] == "true", ofBody: s.Attributes["FilterPolicyScope"] == "MessageBody"}
	if text := s.Attributes["FilterPolicy"]; text != "" && text != "{}" {
		p, err := pattern.Parse(text)
		if err != nil {
			return nil, err
		}
		out.filter = p
	}
	if text := s.Attributes["RedrivePolicy"]; text != "" {
		var r struct {
			DeadLetterTargetArn string `json:"deadLetterTargetArn"`
		}
		if err := json.Unmarshal([]byte(text), &r); err != nil {
			return nil, err
		}
		out.deadLetter = r.DeadLetterTargetArn
	}
	return out, nil
}

// Rows: SpaceTopic ‖ kind ‖ ARN, and of a deduplication id the topic's ARN ‖ 00 ‖ id; as value a version byte and what the kind says.
const (
	rowTopic        = 't' // JSON
	rowSubscription = 's' // JSON
	rowDedup        = 'd' // JSON

	rowVersion = 1
)

func key(kind byte, name string) []byte {
	return append([]byte{store.SpaceTopic, kind}, name...)
}

func encode(v any) ([]byte, error) {
	row, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("topic: encode: %w", err)
	}
	return append([]byte{rowVersion}, row...), nil
}

var errRow = errors.New("a topic or subscription cannot be read: it is damaged, or was written by a newer release")

func decode(row []byte, into any) error {
	if len(row) == 0 || row[0] != rowVersion || json.Unmarshal(row[1:], into) != nil {
		return errRow
	}
	return nil
}
