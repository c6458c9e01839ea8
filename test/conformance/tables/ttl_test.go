package tables

import (
	"testing"

	"github.com/millstreamdb/millstream/test/conformance/harness"
)

func TestTimeToLiveErrors(t *testing.T) {
	const (
		one  = "1 validation error detected: "
		null = " failed to satisfy constraint: Member must not be null"
	)
	check(t, []row{
		{"no name", "UpdateTimeToLive", `{"TimeToLiveSpecification":{"Enabled":true,"AttributeName":"t"}}`, validation, "The parameter 'TableName' is required but was not present in the request"},
		{"no specification", "UpdateTimeToLive", `{"TableName":"$H"}`, validation, one + "Value null at 'timeToLiveSpecification'" + null},
		{"no attribute", "UpdateTimeToLive", `{"TableName":"$H","TimeToLiveSpecification":{"Enabled":true}}`, validation, one + "Value null at 'timeToLiveSpecification.attributeName'" + null},
		{"empty attribute", "UpdateTimeToLive", `{"TableName":"$H","TimeToLiveSpecification":{"Enabled":true,"AttributeName":""}}`, validation, one + "Value '' at 'timeToLiveSpecification.attributeName' failed to satisfy constraint: Member must have length greater than or equal to 1"},
		{"missing table", "UpdateTimeToLive", `{"TableName":"$X","TimeToLiveSpecification":{"Enabled":true,"AttributeName":"t"}}`, notFound, "Requested resource not found: Table: $X not found"},
		{"missing table", "DescribeTimeToLive", `{"TableName":"$X"}`, notFound, "Requested resource not found: Table: $X not found"},
		{"already disabled", "UpdateTimeToLive", `{"TableName":"$H","TimeToLiveSpecification":{"Enabled":false,"AttributeName":"t"}}`, validation, "TimeToLive is already disabled"},
	})
	target := harness.The(t)
	table := target.Create(t, harness.Table{})
	describe := func(want string) {
		t.Helper()
		reply := target.Raw(t, "DescribeTimeToLive", `{"TableName":"`+table.Name+`"}`)
		reply.Want(t, "", "")
		sameJSON(t, "DescribeTimeToLive", reply.Body, want)
	}
	update := func(enabled, attribute string) harness.Reply {
		return target.Raw(t, "UpdateTimeToLive", `{"TableName":"`+table.Name+`","TimeToLiveSpecification":{"Enabled":`+enabled+`,"AttributeName":"`+attribute+`"}}`)
	}
	describe(`{"TimeToLiveDescription":{"TimeToLiveStatus":"DISABLED"}}`)
	reply := update("true", "t")
	reply.Want(t, "", "")
	sameJSON(t, "UpdateTimeToLive", reply.Body, `{"TimeToLiveSpecification":{"Enabled":true,"AttributeName":"t"}}`)
	update("true", "t").Want(t, validation, "TimeToLive is already enabled")
	update("true", "u").Want(t, validation, "TimeToLive is active on a different AttributeName: current AttributeName is t")
}
