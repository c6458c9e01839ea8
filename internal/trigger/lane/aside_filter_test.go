package lane

import (
	"strings"
	"testing"

	"github.com/millstreamdb/millstream/internal/expr"
	"github.com/millstreamdb/millstream/internal/pattern"
)

// Filters see of a record that is set aside what they see of one that is read.
func TestStoredEvent(t *testing.T) {
	const event = `{"eventID":"0123","eventName":"REMOVE","eventVersion":"1.1","eventSource":"aws:dynamodb","awsRegion":"us-east-1",` +
		`"dynamodb":{"ApproximateCreationDateTime":1700000000.0,"Keys":{"pk":{"S":"a"}},"OldImage":{"pk":{"S":"a"},"n":{"N":"5"},` +
		`"b":{"B":"AAE="},"m":{"M":{"x":{"SS":["p","q"]}}}},"SequenceNumber":"18446744073709551617","SizeBytes":25,"StreamViewType":"NEW_AND_OLD_IMAGES"},` +
		`"userIdentity":{"type":"Service","principalId":"dynamodb.amazonaws.com"},"eventSourceARN":"arn:x"}`
	for filter, want := range map[string]bool{
		`{"eventName":["REMOVE"]}`: true,
		`{"eventName":["INSERT"]}`: false,
		`{"eventID":["0123"],"eventVersion":["1.1"],"awsRegion":["us-east-1"]}`:   true,
		`{"eventSource":["aws:dynamodb"],"eventSourceARN":["arn:x"]}`:             true,
		`{"userIdentity":{"type":["Service"]}}`:                                   true,
		`{"userIdentity":{"principalId":["me"]}}`:                                 false,
		`{"userIdentity":{"type":[{"exists":false}]}}`:                            false,
		`{"dynamodb":{"StreamViewType":["NEW_AND_OLD_IMAGES"]}}`:                  true,
		`{"dynamodb":{"SequenceNumber":["18446744073709551617"]}}`:                true,
		`{"dynamodb":{"SizeBytes":[{"numeric":["=",25]}]}}`:                       true,
		`{"dynamodb":{"ApproximateCreationDateTime":[{"numeric":[">",1.7e9]}]}}`:  false,
		`{"dynamodb":{"ApproximateCreationDateTime":[{"numeric":[">=",1.7e9]}]}}`: true,
		`{"dynamodb":{"Keys":{"pk":{"S":["a"]}}}}`:                                true,
		`{"dynamodb":{"NewImage":{"pk":{"S":[{"exists":false}]}}}}`:               true,
		`{"dynamodb":{"OldImage":{"n":{"N":["5"]},"b":{"B":["AAE="]}}}}`:          true,
		`{"dynamodb":{"OldImage":{"m":{"M":{"x":{"SS":["q"]}}}}}}`:                true,
		`{"dynamodb":{"OldImage":{"m":{"M":{"x":{"SS":["r"]}}}}}}`:                false,
	} {
		p, err := pattern.Parse(filter)
		if err != nil {
			t.Fatal(filter, err)
		}
		s := asideStep{Aside: NewAside(nil)}
		s.p.Filters = pattern.Filters{p}
		if got := !s.unwanted(&SetAside{Event: []byte(event)}); got != want {
			t.Errorf("%s: %t", filter, got)
		}
	}
	when, err := expr.ParseTransition("attribute_not_exists(NEW) AND OLD.n = 5")
	if err != nil {
		t.Fatal(err)
	}
	s := asideStep{Aside: NewAside(nil)}
	s.p.When = when
	if s.unwanted(&SetAside{Event: []byte(event)}) || !s.unwanted(&SetAside{Event: []byte(strings.Replace(event, `"N":"5"`, `"N":"6"`, 1))}) {
		t.Error("the condition sees other images")
	}
	// What cannot be read is not dropped, and what a person has sent elsewhere is not chosen.
	if s.unwanted(&SetAside{Event: []byte("{")}) || s.unwanted(&SetAside{Event: []byte(`{"dynamodb":{"OldImage":{"n":{"N":"x"}}}}`)}) ||
		s.unwanted(&SetAside{Function: "arn", Event: []byte(strings.Replace(event, `"N":"5"`, `"N":"6"`, 1))}) {
		t.Error("a record is refused that the condition cannot choose")
	}
}
