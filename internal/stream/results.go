package stream

import (
	"time"

	"github.com/millstreamdb/millstream/internal/schema"
	"github.com/millstreamdb/millstream/internal/seqnum"
)

// ListResult answers ListStreams.
type ListResult struct {
	Streams       []StreamSummary
	LastEvaluated string // an ARN; empty: this was the last page
}

// StreamSummary is a stream as ListStreams shows it.
type StreamSummary struct {
	ARN   string
	Table string
	Label string
}

// Description answers DescribeStream.
type Description struct {
	ARN                  string
	Label                string
	Status               string // "ENABLING", "ENABLED", "DISABLING" or "DISABLED"
	ViewType             string // AWS's name
	Created              time.Time
	Table                string
	Keys                 schema.Keys
	Shards               []ShardDescription
	LastEvaluatedShardID string // empty: this was the last page
}

// ShardDescription is one shard. End counts while Closed.
type ShardDescription struct {
	ID     string
	Parent string // empty for a root
	Start  seqnum.Num
	End    seqnum.Num
	Closed bool
}

// RecordsResult answers GetRecords. Each record is its JSON as this API shows it.
type RecordsResult struct {
	Records [][]byte
	Next    string // NextShardIterator; empty: the shard is closed and drained
}
