package streams

import (
	"context"

	"github.com/millstreamdb/millstream/internal/api/awsjson"
	"github.com/millstreamdb/millstream/internal/request"
	"github.com/millstreamdb/millstream/internal/schema"
	"github.com/millstreamdb/millstream/internal/seqnum"
	"github.com/millstreamdb/millstream/internal/stream"
)

// Streams is what the door calls. Errors of type *awserr.Error go to the caller as
// they are. GetShardIterator returns an iterator of at most 2,048 characters.
type Streams interface {
	ListStreams(context.Context, schema.Scope, *request.ListStreams) (*stream.ListResult, error)
	DescribeStream(context.Context, schema.Scope, *request.DescribeStream) (*stream.Description, error)
	GetShardIterator(context.Context, schema.Scope, *request.GetShardIterator) (string, error)
	GetRecords(context.Context, schema.Scope, *request.GetRecords) (*stream.RecordsResult, error)
	// Await returns once GetRecords has something to answer, or ctx ends; false: it cannot wait. after is the number behind
	// which it reads: an empty page means that there is no record behind that one. It is zero when GetRecords has an error to tell.
	Await(context.Context, schema.Scope, *request.GetRecords) (after seqnum.Num, could bool)
}

// target is the API's version in X-Amz-Target.
const target = "DynamoDBStreams_20120810."

// Register makes p answer the operations of the Streams API by calls to s.
func Register(p *awsjson.Protocol, s Streams) {
	operation(p, "ListStreams", request.DecodeListStreams, s.ListStreams, appendList)
	operation(p, "DescribeStream", request.DecodeDescribeStream, s.DescribeStream, appendDescription)
	operation(p, "GetShardIterator", request.DecodeGetShardIterator, s.GetShardIterator, appendIterator)
	operation(p, "GetRecords", request.DecodeGetRecords, s.GetRecords, appendRecords)
	p.RegisterWait(target+"GetRecords", func(ctx context.Context, scope schema.Scope, body []byte) (after string, could bool) {
		r, err := request.DecodeGetRecords(body)
		if err != nil {
			return "", true // the operation tells what is wrong
		}
		n, could := s.Await(ctx, scope, r)
		if !n.IsZero() {
			after = n.String()
		}
		return after, could
	})
}

// operation registers decode, call, encode as one operation.
func operation[R, A any](
	p *awsjson.Protocol, name string,
	decode func(body []byte) (*R, error),
	call func(context.Context, schema.Scope, *R) (A, error),
	encode func(dst []byte, answer A) []byte,
) {
	p.Register(target+name, func(ctx context.Context, scope schema.Scope, body, dst []byte) ([]byte, error) {
		r, err := decode(body)
		if err != nil {
			return dst, err
		}
		answer, err := call(ctx, scope, r)
		if err != nil {
			return dst, err
		}
		return encode(dst, answer), nil
	})
}

func appendList(dst []byte, r *stream.ListResult) []byte {
	dst = append(dst, `{"Streams":[`...)
	for i, s := range r.Streams {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = awsjson.AppendString(append(dst, '{'), "StreamArn", s.ARN)
		dst = awsjson.AppendString(dst, "TableName", s.Table)
		dst = awsjson.AppendString(dst, "StreamLabel", s.Label)
		dst = append(dst, '}')
	}
	dst = append(dst, ']')
	if r.LastEvaluated != "" {
		dst = awsjson.AppendString(dst, "LastEvaluatedStreamArn", r.LastEvaluated)
	}
	return append(dst, '}')
}

func appendDescription(dst []byte, d *stream.Description) []byte {
	dst = append(dst, `{"StreamDescription":{`...)
	dst = awsjson.AppendString(dst, "StreamArn", d.ARN)
	dst = awsjson.AppendString(dst, "StreamLabel", d.Label)
	dst = awsjson.AppendString(dst, "StreamStatus", d.Status)
	dst = awsjson.AppendString(dst, "StreamViewType", d.ViewType)
	dst = awsjson.AppendTime(dst, "CreationRequestDateTime", d.Created)
	dst = awsjson.AppendString(dst, "TableName", d.Table)
	dst = appendKeySchema(dst, &d.Keys)
	dst = awsjson.Member(dst, "Shards")
	dst = append(dst, '[')
	for i := range d.Shards {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendShard(dst, &d.Shards[i])
	}
	dst = append(dst, ']')
	if d.LastEvaluatedShardID != "" {
		dst = awsjson.AppendString(dst, "LastEvaluatedShardId", d.LastEvaluatedShardID)
	}
	return append(dst, "}}"...)
}

func appendKeySchema(dst []byte, keys *schema.Keys) []byte {
	dst = awsjson.Member(dst, "KeySchema")
	dst = awsjson.AppendString(append(dst, "[{"...), "AttributeName", keys.Hash.Name)
	dst = awsjson.AppendString(dst, "KeyType", "HASH")
	if keys.HasRange() {
		dst = awsjson.AppendString(append(dst, "},{"...), "AttributeName", keys.Range.Name)
		dst = awsjson.AppendString(dst, "KeyType", "RANGE")
	}
	return append(dst, "}]"...)
}

// appendShard appends a shard; one that is open has no end, a root no parent.
func appendShard(dst []byte, s *stream.ShardDescription) []byte {
	dst = awsjson.AppendString(append(dst, '{'), "ShardId", s.ID)
	if s.Parent != "" {
		dst = awsjson.AppendString(dst, "ParentShardId", s.Parent)
	}
	dst = append(dst, `,"SequenceNumberRange":{"StartingSequenceNumber":"`...)
	dst = s.Start.AppendDecimal(dst)
	if s.Closed {
		dst = append(dst, `","EndingSequenceNumber":"`...)
		dst = s.End.AppendDecimal(dst)
	}
	return append(dst, `"}}`...)
}

func appendIterator(dst []byte, iterator string) []byte {
	return append(awsjson.AppendString(append(dst, '{'), "ShardIterator", iterator), '}')
}

// appendRecords leaves NextShardIterator out when the shard is drained: a null or
// an empty text would send clients round for ever.
func appendRecords(dst []byte, r *stream.RecordsResult) []byte {
	dst = append(dst, `{"Records":[`...)
	for i, record := range r.Records {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, record...)
	}
	dst = append(dst, ']')
	if r.Next != "" {
		dst = awsjson.AppendString(dst, "NextShardIterator", r.Next)
	}
	return append(dst, '}')
}
