package millstream

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// Change is one record of a table's stream: an item that was made, changed or
// removed. Its images are decoded when they are asked for.
type Change struct {
	ID             string // of the record, the same whenever it is delivered again
	Kind           string // INSERT, MODIFY or REMOVE
	SequenceNumber string
	// Time is when the item was written, in steps of a second.
	Time time.Time
	// Expired says that time to live removed the item.
	Expired bool

	raw             json.RawMessage // the record as AWS shows it to functions
	keys, old, next json.RawMessage
}

// Keys returns the attributes of the item's key.
func (c *Change) Keys() (map[string]types.AttributeValue, error) { return decodeImage(c.keys) }

// Old returns the item before the change, New after it: nil when there was none, or
// when the stream's view type leaves it out.
func (c *Change) Old() (map[string]types.AttributeValue, error) { return decodeImage(c.old) }

// New is described with Old.
func (c *Change) New() (map[string]types.AttributeValue, error) { return decodeImage(c.next) }

// Event returns changes as the event that AWS's library for functions in Go hands
// out, so that a handler written for AWS can be called with them.
func Event(changes []Change) (events.DynamoDBEvent, error) {
	event := events.DynamoDBEvent{Records: make([]events.DynamoDBEventRecord, len(changes))}
	for i := range changes {
		if err := json.Unmarshal(changes[i].raw, &event.Records[i]); err != nil {
			return events.DynamoDBEvent{}, fmt.Errorf("millstream: record %s: %w", changes[i].ID, err)
		}
	}
	return event, nil
}

// wireEvent and wireRecord are the event of an invocation.
type wireEvent struct{ Records []json.RawMessage }

type wireRecord struct {
	EventID      string `json:"eventID"`
	EventName    string `json:"eventName"`
	UserIdentity struct {
		PrincipalID string `json:"principalId"`
	} `json:"userIdentity"`
	Change struct {
		ApproximateCreationDateTime float64
		SequenceNumber              string
		Keys, OldImage, NewImage    json.RawMessage
	} `json:"dynamodb"`
}

func decodeChanges(payload []byte) ([]Change, error) {
	var event wireEvent
	if err := json.Unmarshal(payload, &event); err != nil {
		return nil, fmt.Errorf("not the event of a table's stream: %w", err)
	}
	changes := make([]Change, len(event.Records))
	for i, raw := range event.Records {
		var r wireRecord
		if err := json.Unmarshal(raw, &r); err != nil {
			return nil, fmt.Errorf("not a record of a table's stream: %w", err)
		}
		changes[i] = Change{
			ID: r.EventID, Kind: r.EventName, SequenceNumber: r.Change.SequenceNumber,
			Time:    time.UnixMilli(int64(1000 * r.Change.ApproximateCreationDateTime)),
			Expired: r.UserIdentity.PrincipalID == "dynamodb.amazonaws.com",
			raw:     raw, keys: r.Change.Keys, old: r.Change.OldImage, next: r.Change.NewImage,
		}
	}
	return changes, nil
}

// wireValue is an attribute value in JSON; one member is there.
type wireValue struct {
	S, N       *string
	B          *[]byte
	BOOL, NULL *bool
	SS, NS     []string
	BS         [][]byte
	L          *[]wireValue
	M          *map[string]wireValue
}

func decodeImage(raw json.RawMessage) (map[string]types.AttributeValue, error) {
	if raw == nil {
		return nil, nil
	}
	var image map[string]wireValue
	if err := json.Unmarshal(raw, &image); err != nil {
		return nil, fmt.Errorf("millstream: image of a record: %w", err)
	}
	return mapOf(image), nil
}

func mapOf(values map[string]wireValue) map[string]types.AttributeValue {
	m := make(map[string]types.AttributeValue, len(values))
	for name, v := range values {
		m[name] = v.value()
	}
	return m
}

func (v *wireValue) value() types.AttributeValue {
	switch {
	case v.S != nil:
		return &types.AttributeValueMemberS{Value: *v.S}
	case v.N != nil:
		return &types.AttributeValueMemberN{Value: *v.N}
	case v.B != nil:
		return &types.AttributeValueMemberB{Value: *v.B}
	case v.BOOL != nil:
		return &types.AttributeValueMemberBOOL{Value: *v.BOOL}
	case v.SS != nil:
		return &types.AttributeValueMemberSS{Value: v.SS}
	case v.NS != nil:
		return &types.AttributeValueMemberNS{Value: v.NS}
	case v.BS != nil:
		return &types.AttributeValueMemberBS{Value: v.BS}
	case v.L != nil:
		list := make([]types.AttributeValue, len(*v.L))
		for i := range *v.L {
			list[i] = (*v.L)[i].value()
		}
		return &types.AttributeValueMemberL{Value: list}
	case v.M != nil:
		return &types.AttributeValueMemberM{Value: mapOf(*v.M)}
	}
	return &types.AttributeValueMemberNULL{Value: true}
}
