// Package triggers asks a target for event source mappings: what a function
// receives, in which order, how often after a failure, and that nothing is
// skipped. The functions are real ones, built with aws-lambda-go; what they do is
// written in each test.
package triggers

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	lambdatypes "github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"github.com/millstreamdb/millstream/test/conformance/harness"
)

const minute = time.Minute

type (
	stringSet = types.AttributeValueMemberSS
	null      = types.AttributeValueMemberNULL
)

func TestMain(m *testing.M) { harness.Main(m) }

// table is a table with a stream of both images and one shard.
func table(t *testing.T, target *harness.Target) harness.Made {
	t.Helper()
	return target.Create(t, harness.Table{View: types.StreamViewTypeNewAndOldImages})
}

// fill writes items 0..n-1, each with its own key.
func fill(t *testing.T, table harness.Made, from, to int) {
	t.Helper()
	for i := from; i < to; i++ {
		table.Put(t, harness.Item{"pk": harness.S(fmt.Sprint(i))})
	}
}

// keys returns the partition keys of records.
func keys(records []events.DynamoDBEventRecord) []string {
	var all []string
	for _, r := range records {
		all = append(all, r.Change.Keys["pk"].String())
	}
	return all
}

// numbers returns "0".."n-1".
func numbers(from, to int) []string {
	var all []string
	for i := from; i < to; i++ {
		all = append(all, fmt.Sprint(i))
	}
	return all
}

// with is any change of a mapping's parameters.
func with(change func(in *lambda.CreateEventSourceMappingInput)) harness.MappingOption { return change }

func batchSize(n int32) harness.MappingOption {
	return with(func(in *lambda.CreateEventSourceMappingInput) { in.BatchSize = &n })
}

func retries(n int32) harness.MappingOption {
	return with(func(in *lambda.CreateEventSourceMappingInput) { in.MaximumRetryAttempts = aws.Int32(n) })
}

func bisect(in *lambda.CreateEventSourceMappingInput) {
	in.BisectBatchOnFunctionError = aws.Bool(true)
}

func reportFailures(in *lambda.CreateEventSourceMappingInput) {
	in.FunctionResponseTypes = []lambdatypes.FunctionResponseType{lambdatypes.FunctionResponseTypeReportBatchItemFailures}
}

// endKey is the key of the record that a test writes last. Where one shard is read in
// order, its delivery tells that nothing before it will come any more.
const endKey = "end"

// awaitEnd waits until a stream's record with endKey has been delivered, and returns
// the calls with records of that stream before it.
func awaitEnd(t *testing.T, f *harness.Function, streamARN string) (calls []harness.Invocation) {
	t.Helper()
	f.Await(t, 2*minute, "the last record", func(all []harness.Invocation) bool {
		calls = nil
		for _, c := range all {
			switch {
			case len(c.Records) == 0 || c.Records[0].EventSourceArn != streamARN:
			case c.Records[0].Change.Keys["pk"].String() == endKey:
				return true
			default:
				calls = append(calls, c)
			}
		}
		return false
	})
	return calls
}

// shape tells the records of calls, each by its key.
func shape(calls []harness.Invocation) string {
	var all []string
	for _, c := range calls {
		all = append(all, strings.Join(keys(c.Records), ","))
	}
	return strings.Join(all, " | ")
}
