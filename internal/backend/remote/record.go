package remote

import (
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/cespare/xxhash/v2"

	"github.com/millstreamdb/millstream/internal/item"
	"github.com/millstreamdb/millstream/internal/seqnum"
)

// record implements lane.Record over a record as GetRecords shows it.
type record struct {
	seq    seqnum.Num
	count  uint64 // records of the shard up to here; 0: nobody knows
	ms     int64
	hash   uint64
	arn    string
	parts  parts
	event  []byte
	keys   item.Item
	images [2]item.Item // new, old
}

type parts struct {
	EventID, EventName, EventVersion, EventSource, AwsRegion string
	DynamoDB                                                 struct {
		Created        json.Number     `json:"ApproximateCreationDateTime"`
		Keys           json.RawMessage `json:"Keys"`
		NewImage       json.RawMessage `json:"NewImage"`
		OldImage       json.RawMessage `json:"OldImage"`
		SequenceNumber string
		SizeBytes      int64
		StreamViewType string
	} `json:"dynamodb"`
	UserIdentity *struct{ Type, PrincipalID string } `json:"userIdentity"`
}

// parse reads a page.
func parse(p Records, arn string) (after seqnum.Num, all []*record, err error) {
	if after, err = number(p.After); err != nil {
		return after, nil, fmt.Errorf("the tables' endpoint does not say where a read begins, as Millstream does from 0.9 on: %w", err)
	}
	all = make([]*record, len(p.Records))
	for i, text := range p.Records {
		if all[i], err = newRecord(text, arn); err != nil {
			return after, nil, err
		}
	}
	return after, all, nil
}

func newRecord(text []byte, arn string) (*record, error) {
	r := &record{arn: arn}
	p := &r.parts
	if err := json.Unmarshal(text, p); err != nil {
		return nil, fmt.Errorf("remote: a record is damaged: %w", err)
	}
	var err error
	if r.seq, err = number(p.DynamoDB.SequenceNumber); err != nil {
		return nil, err
	}
	r.count = r.seq.Lo // as Millstream numbers
	seconds, err := p.DynamoDB.Created.Float64()
	if err != nil {
		return nil, err
	}
	r.ms = int64(seconds * 1000)
	if r.keys, err = decodeItem(p.DynamoDB.Keys); err != nil {
		return nil, err
	}
	for i, image := range []json.RawMessage{p.DynamoDB.NewImage, p.DynamoDB.OldImage} {
		if r.images[i], err = decodeItem(image); err != nil {
			return nil, err
		}
	}
	r.hash = xxhash.Sum64(r.keys)
	r.event = r.render()
	return r, nil
}

func decodeItem(text []byte) (item.Item, error) {
	if len(text) == 0 {
		return nil, nil
	}
	var rd item.Reader
	rd.Reset(text)
	it, invalid, err := rd.Item()
	if err == nil && invalid != nil {
		err = invalid
	}
	return it, err
}

// render makes the record as a Lambda event carries it. It differs from what GetRecords shows in the case of userIdentity's members,
// in how the creation time is written, and in eventSourceARN.
func (r *record) render() []byte {
	p, d := &r.parts, &r.parts.DynamoDB
	dst := make([]byte, 0, len(d.Keys)+len(d.NewImage)+len(d.OldImage)+640)
	dst = fmt.Appendf(dst, `{"eventID":%q,"eventName":%q,"eventVersion":%q,"eventSource":"aws:dynamodb","awsRegion":%q,"dynamodb":{"ApproximateCreationDateTime":`,
		p.EventID, p.EventName, p.EventVersion, p.AwsRegion)
	dst = strconv.AppendInt(dst, r.ms/1000, 10)
	dst = append(append(dst, `.0,"Keys":`...), d.Keys...)
	if len(d.NewImage) > 0 {
		dst = append(append(dst, `,"NewImage":`...), d.NewImage...)
	}
	if len(d.OldImage) > 0 {
		dst = append(append(dst, `,"OldImage":`...), d.OldImage...)
	}
	dst = fmt.Appendf(dst, `,"SequenceNumber":%q,"SizeBytes":%d,"StreamViewType":%q}`, d.SequenceNumber, d.SizeBytes, d.StreamViewType)
	if u := p.UserIdentity; u != nil {
		dst = fmt.Appendf(dst, `,"userIdentity":{"type":%q,"principalId":%q}`, u.Type, u.PrincipalID)
	}
	return fmt.Appendf(dst, `,"eventSourceARN":%q}`, r.arn)
}

func (r *record) Seq() seqnum.Num { return r.seq }
func (r *record) Time() int64     { return r.ms }
func (r *record) KeyHash() uint64 { return r.hash }
func (r *record) Ordinal() uint64 { return r.count }
func (r *record) Event() []byte   { return r.event }
func (r *record) EventSize() int  { return len(r.event) }
func (r *record) Cause() int      { return 0 } // it is not on the wire

// Member is what filters see.
func (r *record) Member(name string) (text string, ok bool) {
	p := &r.parts
	switch name {
	case "eventName":
		return p.EventName, true
	case "eventID":
		return p.EventID, true
	case "eventVersion":
		return p.EventVersion, true
	case "eventSource":
		return "aws:dynamodb", true
	case "awsRegion":
		return p.AwsRegion, true
	case "eventSourceARN":
		return r.arn, true
	case "SequenceNumber":
		return p.DynamoDB.SequenceNumber, true
	case "StreamViewType":
		return p.DynamoDB.StreamViewType, true
	case "userIdentity.type", "userIdentity.principalId":
		if p.UserIdentity == nil {
			return "", false
		}
		if name == "userIdentity.type" {
			return p.UserIdentity.Type, true
		}
		return p.UserIdentity.PrincipalID, true
	}
	return "", false
}

// Number is what filters see.
func (r *record) Number(name string) (int64, bool) {
	switch name {
	case "ApproximateCreationDateTime":
		return r.ms / 1000, true
	case "SizeBytes":
		return r.parts.DynamoDB.SizeBytes, true
	}
	return 0, false
}

// Image is what filters see.
func (r *record) Image(name string) item.Item {
	switch name {
	case "Keys":
		return r.keys
	case "NewImage":
		return r.images[0]
	case "OldImage":
		return r.images[1]
	}
	return nil
}
