package request

import (
	"math"
	"strings"

	"github.com/millstreamdb/millstream/internal/arn"
	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/item"
	"github.com/millstreamdb/millstream/internal/schema"
	"github.com/millstreamdb/millstream/internal/seqnum"
)

// StreamName is a stream as a caller names it, by its ARN.
type StreamName struct {
	ARN   string
	Scope schema.Scope
	Table string
	Label string
}

// ListStreams is one page of streams, of one table or of all.
type ListStreams struct {
	Table string      // empty: of all tables
	Limit int         // 1 to 100
	After *StreamName // ExclusiveStartStreamArn; need not exist any more
}

// DescribeStream is one page of a stream's shards.
type DescribeStream struct {
	Stream StreamName
	Limit  int    // 1 to 100
	After  string // ExclusiveStartShardId; need not exist
	Parent string // ShardFilter CHILD_SHARDS: only direct children of this shard
}

// IteratorType says where a shard iterator starts.
type IteratorType byte

const (
	TrimHorizon IteratorType = iota
	Latest
	AtSequenceNumber
	AfterSequenceNumber
	AtTimestamp
)

// GetShardIterator asks for a position in a shard.
type GetShardIterator struct {
	Stream   StreamName
	Shard    string
	Type     IteratorType
	Sequence seqnum.Num // for AtSequenceNumber and AfterSequenceNumber
	// TimestampMillis is milliseconds since 1970, for AtTimestamp. That it does
	// not lie ahead is checked by who has the clock.
	TimestampMillis int64
}

// GetRecords asks for records from a position on.
type GetRecords struct {
	Iterator string
	Limit    int // 1 to 1000
}

const (
	maxRecords      = 1000
	iteratorTypeSet = "[AFTER_SEQUENCE_NUMBER, LATEST, AT_SEQUENCE_NUMBER, TRIM_HORIZON, AT_TIMESTAMP]"
	shardFilterSet  = "[CHILD_SHARDS]"
)

// DecodeListStreams decodes and checks a ListStreams request.
func DecodeListStreams(body []byte) (*ListStreams, error) {
	var table, after text
	var limit number
	err := decode(body, func(r *item.Reader, member []byte) error {
		switch string(member) {
		case "TableName":
			return table.read(r)
		case "ExclusiveStartStreamArn":
			return after.read(r)
		case "Limit":
			return limit.readInteger(r)
		}
		return r.Skip()
	})
	if err != nil {
		return nil, err
	}
	var v violations
	op := &ListStreams{Table: table.s}
	if table.given {
		v.name(table.s, 3, "tableName")
	}
	checkStreamARN(&v, after, "exclusiveStartStreamArn")
	op.Limit = limit.page(&v, maxPage)
	if failure := v.err(); failure != nil {
		return nil, failure
	}
	if after.given {
		name, failure := streamNamed(after.s)
		if failure != nil {
			return nil, failure
		}
		op.After = &name
	}
	return op, nil
}

// DecodeDescribeStream decodes and checks a DescribeStream request.
func DecodeDescribeStream(body []byte) (*DescribeStream, error) {
	var arn, after, filterType, parent text
	var limit number
	var filtered bool
	err := decode(body, func(r *item.Reader, member []byte) error {
		switch string(member) {
		case "StreamArn":
			return arn.read(r)
		case "ExclusiveStartShardId":
			return after.read(r)
		case "Limit":
			return limit.readInteger(r)
		case "ShardFilter":
			return readMaybe(r, &filtered, func() error {
				return r.Structure("ShardFilter", func(name []byte) error {
					switch string(name) {
					case "Type":
						return filterType.read(r)
					case "ShardId":
						return parent.read(r)
					}
					return r.Skip()
				})
			})
		}
		return r.Skip()
	})
	if err != nil {
		return nil, err
	}
	var v violations
	requireStreamARN(&v, arn)
	op := &DescribeStream{Limit: limit.page(&v, maxPage), After: after.s}
	if after.given {
		v.text(after.s, minShardID, maxShardID, "exclusiveStartShardId")
	}
	if filtered {
		filterType.required(&v, "shardFilter.type", func() { filterType.oneOf(&v, "shardFilter.type", shardFilterSet, "CHILD_SHARDS") })
		parent.required(&v, "shardFilter.shardId", func() { v.text(parent.s, minShardID, maxShardID, "shardFilter.shardId") })
		op.Parent = parent.s
	}
	if failure := v.err(); failure != nil {
		return nil, failure
	}
	if filtered && !isShardID(parent.s) {
		return nil, awserr.InvalidShardFilter(parent.s)
	}
	var failure *awserr.Error
	if op.Stream, failure = streamNamed(arn.s); failure != nil {
		return nil, failure
	}
	return op, nil
}

// DecodeGetShardIterator decodes and checks a GetShardIterator request.
func DecodeGetShardIterator(body []byte) (*GetShardIterator, error) {
	var arn, shard, kind, sequence text
	var timestamp float64
	var timed bool
	err := decode(body, func(r *item.Reader, member []byte) (err error) {
		switch string(member) {
		case "StreamArn":
			return arn.read(r)
		case "ShardId":
			return shard.read(r)
		case "ShardIteratorType":
			return kind.read(r)
		case "SequenceNumber":
			return sequence.read(r)
		case "Timestamp":
			return readMaybe(r, &timed, func() error {
				timestamp, err = r.Double()
				return err
			})
		}
		return r.Skip()
	})
	if err != nil {
		return nil, err
	}
	var v violations
	requireStreamARN(&v, arn)
	shard.required(&v, "shardId", func() { v.text(shard.s, minShardID, maxShardID, "shardId") })
	op := &GetShardIterator{Shard: shard.s}
	kind.required(&v, "shardIteratorType", func() { op.Type = iteratorType(&v, kind.s) })
	if sequence.given {
		v.text(sequence.s, 21, 40, "sequenceNumber")
	}
	if failure := v.err(); failure != nil {
		return nil, failure
	}
	var failure *awserr.Error
	if op.Stream, failure = streamNamed(arn.s); failure != nil {
		return nil, failure
	}
	positioned := op.Type == AtSequenceNumber || op.Type == AfterSequenceNumber
	switch {
	case positioned && !sequence.given:
		return nil, awserr.SequenceNumberRequired(kind.s)
	case !positioned && sequence.given:
		return nil, awserr.SequenceNumberNotAllowed(kind.s)
	case op.Type == AtTimestamp && !timed:
		return nil, awserr.TimestampRequired(kind.s)
	case op.Type != AtTimestamp && timed:
		return nil, awserr.TimestampNotAllowed(kind.s)
	}
	if positioned {
		if op.Sequence, err = seqnum.Parse(sequence.s); err != nil {
			return nil, awserr.InvalidSequenceNumber(sequence.s)
		}
	}
	if timed {
		op.TimestampMillis = millis(timestamp)
	}
	return op, nil
}

// millis turns epoch seconds into milliseconds, bounded to what an int64 holds.
func millis(seconds float64) int64 {
	ms := math.Round(seconds * 1000)
	return int64(min(max(ms, -1<<62), 1<<62))
}

func iteratorType(v *violations, name string) IteratorType {
	switch name {
	case "TRIM_HORIZON":
		return TrimHorizon
	case "LATEST":
		return Latest
	case "AT_SEQUENCE_NUMBER":
		return AtSequenceNumber
	case "AFTER_SEQUENCE_NUMBER":
		return AfterSequenceNumber
	case "AT_TIMESTAMP":
		return AtTimestamp
	}
	v.enum(false, name, "shardIteratorType", iteratorTypeSet)
	return 0
}

// DecodeGetRecords decodes and checks a GetRecords request.
func DecodeGetRecords(body []byte) (*GetRecords, error) {
	var iterator text
	var limit number
	err := decode(body, func(r *item.Reader, member []byte) error {
		switch string(member) {
		case "ShardIterator":
			return iterator.read(r)
		case "Limit":
			return limit.readInteger(r)
		}
		return r.Skip()
	})
	if err != nil {
		return nil, err
	}
	var v violations
	iterator.required(&v, "shardIterator", func() { v.text(iterator.s, 1, 2048, "shardIterator") })
	op := &GetRecords{Iterator: iterator.s, Limit: limit.page(&v, maxRecords)}
	if failure := v.err(); failure != nil {
		return nil, failure
	}
	return op, nil
}

// Lengths of the model.
const (
	minStreamARN = 37
	minShardID   = 28
	maxShardID   = 65
)

func checkStreamARN(v *violations, arn text, path string) {
	if arn.given {
		v.text(arn.s, minStreamARN, maxARN, path)
	}
}

func requireStreamARN(v *violations, arn text) {
	if !arn.given {
		v.null("streamArn")
	}
	checkStreamARN(v, arn, "streamArn")
}

func streamNamed(text string) (StreamName, *awserr.Error) {
	scope, table, label, ok := arn.Stream(text)
	if !ok {
		return StreamName{}, awserr.InvalidStreamARN(text)
	}
	return StreamName{ARN: text, Scope: scope, Table: table, Label: label}, nil
}

// isShardID reports whether s has the form shardId-<20 digits>-<8 hex digits>.
func isShardID(s string) bool {
	rest, ok := strings.CutPrefix(s, "shardId-")
	if !ok || len(rest) != 29 || rest[20] != '-' {
		return false
	}
	for i := range 20 {
		if rest[i] < '0' || rest[i] > '9' {
			return false
		}
	}
	for i := 21; i < len(rest); i++ {
		if c := rest[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}
