package trigger

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"time"

	"github.com/google/uuid"

	"github.com/millstreamdb/millstream/internal/trigger/lane"
	"github.com/millstreamdb/millstream/internal/trigger/mapping"
)

// Destination tells somebody of records that were given up.
type Destination interface {
	// Deliver hands a document of a function of an account over to the SQS queue, the SNS topic or the S3 bucket
	// of an ARN, where it is to be the object key, and returns when it has been taken, or
	// with why it was not. It may be called by several goroutines at once and ends with ctx.
	Deliver(ctx context.Context, account, arn, key string, document []byte) error
}

// notice is AWS's document (reference event-source-mapping.md §9); the order of its members is that of the recordings.
type notice struct {
	RequestContext struct {
		RequestID              string          `json:"requestId"`
		FunctionARN            string          `json:"functionArn"`
		Condition              lane.DropReason `json:"condition"`
		ApproximateInvokeCount int             `json:"approximateInvokeCount"`
	} `json:"requestContext"`
	ResponseContext *responseContext `json:"responseContext,omitempty"`
	Version         string           `json:"version"`
	Timestamp       string           `json:"timestamp"`
	Batch           batchInfo        `json:"DDBStreamBatchInfo"`
	Payload         *string          `json:"payload,omitempty"`
}

type responseContext struct {
	StatusCode      int     `json:"statusCode"`
	ExecutedVersion string  `json:"executedVersion"`
	FunctionError   *string `json:"functionError"`
}

type batchInfo struct {
	ShardID      string `json:"shardId"`
	Start        string `json:"startSequenceNumber"`
	End          string `json:"endSequenceNumber"`
	FirstArrival string `json:"approximateArrivalOfFirstRecord"`
	LastArrival  string `json:"approximateArrivalOfLastRecord"`
	BatchSize    int    `json:"batchSize"`
	StreamARN    string `json:"streamArn"`
}

// newNotice is what a destination is told of a loss. For S3 it holds the event, too,
// as text, and has a key.
func newNotice(def mapping.Definition, d lane.Deliver, now time.Time) (document []byte, key string, err error) {
	now = now.UTC()
	first, last := d.Records[0], d.Records[len(d.Records)-1]
	seconds := func(ms int64) string { return time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05Z") }
	n := notice{
		Version: "1.0", Timestamp: now.Format("2006-01-02T15:04:05.000Z"),
		Batch: batchInfo{
			ShardID: d.Shard, Start: first.Seq().String(), End: last.Seq().String(), FirstArrival: seconds(first.Time()),
			LastArrival: seconds(last.Time()), BatchSize: len(d.Records), StreamARN: def.StreamARN,
		},
	}
	n.RequestContext.RequestID = d.RequestID
	if d.RequestID == "" {
		n.RequestContext.RequestID = uuid.NewString() // AWS has one for what was never sent, too
	}
	n.RequestContext.FunctionARN = def.FunctionARN
	n.RequestContext.Condition = d.Reason
	n.RequestContext.ApproximateInvokeCount = max(1, d.Attempts)
	if d.Reason != lane.RecordAgeExceeded {
		n.ResponseContext = &responseContext{StatusCode: 200, ExecutedVersion: cmp.Or(d.Version, "$LATEST")}
		if d.Unhandled {
			n.ResponseContext.FunctionError = new("Unhandled")
		}
	}
	if mapping.DestinationService(d.Destination) == "s3" {
		n.Payload = new(string((&lane.Invoke{Records: d.Records}).Payload(def.StreamARN)))
		key = "aws/lambda/" + def.UUID + "/" + d.Shard + now.Format("/2006/01/02/2006-01-02T15.04.05-") + uuid.NewString()
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(n); err != nil {
		return nil, "", err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), key, nil
}
