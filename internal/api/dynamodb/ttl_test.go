package dynamodb

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/millstreamdb/millstream/internal/request"
	"github.com/millstreamdb/millstream/internal/table"
)

func TestSDKTimeToLive(t *testing.T) {
	f := &fake{expiring: &request.UpdateTimeToLive{Enabled: true, Attribute: "until"}, expiry: &table.TimeToLive{Status: "ENABLED", Attribute: "until"}}
	client := newClient(t, f)
	name := aws.String("abc")
	updated, err := client.UpdateTimeToLive(t.Context(), &dynamodb.UpdateTimeToLiveInput{
		TableName: name, TimeToLiveSpecification: &types.TimeToLiveSpecification{Enabled: aws.Bool(true), AttributeName: aws.String("until")},
	})
	if err != nil {
		t.Fatal(err)
	}
	if asked := f.asked.(*request.UpdateTimeToLive); !asked.Enabled || asked.Attribute != "until" || !aws.ToBool(updated.TimeToLiveSpecification.Enabled) || aws.ToString(updated.TimeToLiveSpecification.AttributeName) != "until" {
		t.Errorf("asked %+v, got %+v", asked, updated)
	}
	shown, err := client.DescribeTimeToLive(t.Context(), &dynamodb.DescribeTimeToLiveInput{TableName: name})
	if err != nil {
		t.Fatal(err)
	}
	if d := shown.TimeToLiveDescription; d.TimeToLiveStatus != types.TimeToLiveStatusEnabled || aws.ToString(d.AttributeName) != "until" {
		t.Errorf("got %+v", d)
	}
	f.expiry = &table.TimeToLive{Status: "DISABLED"}
	if w := f.call("DescribeTimeToLive", `{"TableName":"abc"}`); w.Body.String() != `{"TimeToLiveDescription":{"TimeToLiveStatus":"DISABLED"}}` {
		t.Errorf("got %s", w.Body)
	}
}
