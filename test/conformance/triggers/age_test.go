package triggers

import (
	"os"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"

	"github.com/millstreamdb/millstream/test/conformance/harness"
)

// MaximumRecordAgeInSeconds drops what is too old from the head of a batch, and
// delivers the rest of it.
func TestMaximumRecordAge(t *testing.T) {
	if os.Getenv("CONFORMANCE_SLOW") != "1" {
		t.Skip("takes more than a minute, which is the smallest age: set CONFORMANCE_SLOW=1")
	}
	t.Parallel()
	target := harness.The(t)
	table := table(t, target)
	f := target.NewFunction(t, nil)
	table.Put(t, harness.Item{"pk": harness.S("old")})
	// What is waited for is the age itself; times are whole seconds.
	<-time.After(63 * time.Second)
	fill(t, table, 0, 5)
	f.Map(t, table.StreamARN, batchSize(6), with(func(in *lambda.CreateEventSourceMappingInput) { in.MaximumRecordAgeInSeconds = aws.Int32(60) }))
	if got := keys(f.AwaitRecords(t, 5)); !slices.Equal(got, numbers(0, 5)) {
		t.Errorf("received %v", got)
	}
}
