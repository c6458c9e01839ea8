package triggers

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	dbtypes "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	stypes "github.com/aws/aws-sdk-go-v2/service/dynamodbstreams/types"

	"github.com/millstreamdb/millstream/test/conformance/harness"
)

// An item is gone seconds after its time, and its deletion says, in the stream and
// in the event of a function, that time to live made it. (AWS takes up to two days.)
func TestTimeToLive(t *testing.T) {
	target := harness.NeedMillstream(t, "time to live within seconds")
	table := table(t, target)
	f := target.NewFunction(t, nil)
	f.Map(t, table.StreamARN)
	if _, err := target.DB.UpdateTimeToLive(t.Context(), &dynamodb.UpdateTimeToLiveInput{
		TableName: &table.Name, TimeToLiveSpecification: &dbtypes.TimeToLiveSpecification{Enabled: aws.Bool(true), AttributeName: aws.String("until")},
	}); err != nil {
		t.Fatal(err)
	}
	past := harness.Int(int(time.Now().Add(-time.Minute).Unix()))
	table.Put(t, harness.Item{"pk": harness.S("expires"), "until": past})
	table.Put(t, harness.Item{"pk": harness.S("stays"), "until": harness.S("2000-01-01")})
	harness.Eventually(t, 30*time.Second, "the item gone", func() bool { return table.Get(t, harness.Item{"pk": harness.S("expires")}) == nil })
	table.Delete(t, harness.Item{"pk": harness.S("stays")})

	for _, r := range target.ReadStream(t, table.StreamARN, 4) {
		expired := isKey(r, "expires") && r.EventName == "REMOVE"
		id := r.UserIdentity
		if (id != nil) != expired || expired && (aws.ToString(id.Type) != "Service" || aws.ToString(id.PrincipalId) != "dynamodb.amazonaws.com") {
			t.Errorf("GetRecords: %s of %v has userIdentity %+v", r.EventName, r.Dynamodb.Keys, id)
		}
	}
	for _, r := range f.AwaitRecords(t, 4) {
		expired := r.Change.Keys["pk"].String() == "expires" && r.EventName == "REMOVE"
		id := r.UserIdentity
		if (id != nil) != expired || expired && (id.Type != "Service" || id.PrincipalID != "dynamodb.amazonaws.com") {
			t.Errorf("event: %s of %v has userIdentity %+v", r.EventName, r.Change.Keys, id)
		}
	}
	if shown, err := target.DB.DescribeTimeToLive(t.Context(), &dynamodb.DescribeTimeToLiveInput{TableName: &table.Name}); err != nil {
		t.Error(err)
	} else if d := shown.TimeToLiveDescription; d.TimeToLiveStatus != dbtypes.TimeToLiveStatusEnabled || aws.ToString(d.AttributeName) != "until" {
		t.Errorf("described as %+v", d)
	}
}

func isKey(r harness.Record, pk string) bool {
	s, ok := r.Dynamodb.Keys["pk"].(*stypes.AttributeValueMemberS)
	return ok && s.Value == pk
}
