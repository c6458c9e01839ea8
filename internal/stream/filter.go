package stream

import "github.com/millstreamdb/millstream/internal/item"

// Member returns a member of the record's Lambda event that is a string, as
// filters name them (package pattern); ok is false when the event lacks it.
func (r *Record) Member(name string) (text string, ok bool) {
	switch name {
	case "eventName":
		return r.Name().String(), true
	case "eventID":
		return string(r.appendEventID(nil)), true
	case "eventVersion":
		return "1.1", true
	case "eventSource":
		return "aws:dynamodb", true
	case "awsRegion":
		return r.stream.Scope.Region, true
	case "eventSourceARN":
		return r.stream.ARN, true
	case "SequenceNumber":
		return r.seq.String(), true
	case "StreamViewType":
		return ViewType(r.value[3]).String(), true
	case "userIdentity.type":
		return "Service", r.Expired()
	case "userIdentity.principalId":
		return "dynamodb.amazonaws.com", r.Expired()
	}
	return "", false
}

// Number returns a member of the event that is a number.
func (r *Record) Number(name string) (n int64, ok bool) {
	switch name {
	case "ApproximateCreationDateTime":
		return r.Time() / 1000, true
	case "SizeBytes":
		return int64(r.SizeBytes()), true
	}
	return 0, false
}

// Image returns Keys, NewImage or OldImage; nil when the record lacks it.
func (r *Record) Image(name string) item.Item {
	switch name {
	case "Keys":
		return r.Keys()
	case "NewImage":
		return r.New()
	case "OldImage":
		return r.Old()
	}
	return nil
}
