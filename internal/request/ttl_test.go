package request

import (
	"strings"
	"testing"
)

func init() {
	decoders["UpdateTimeToLive"] = erased(DecodeUpdateTimeToLive)
	decoders["DescribeTimeToLive"] = erased(DecodeDescribeTimeToLive)
}

func TestTimeToLiveRequests(t *testing.T) {
	const null = " failed to satisfy constraint: Member must not be null"
	long := strings.Repeat("a", 256)
	checkRefusals(t, []refusal{
		{"UpdateTimeToLive", `{"TableName":"abc","TimeToLiveSpecification":{"Enabled":true,"AttributeName":"t"}}`, ""},
		{"UpdateTimeToLive", `{"TimeToLiveSpecification":{}}`, validation + "The parameter 'TableName' is required but was not present in the request"},
		{"UpdateTimeToLive", `{"TableName":"abc"}`, one + "Value null at 'timeToLiveSpecification'" + null},
		{"UpdateTimeToLive", `{"TableName":"abc","TimeToLiveSpecification":{}}`, two + "Value null at 'timeToLiveSpecification.enabled'" + null + "; Value null at 'timeToLiveSpecification.attributeName'" + null},
		{"UpdateTimeToLive", `{"TableName":"abc","TimeToLiveSpecification":{"Enabled":true,"AttributeName":""}}`, one + "Value '' at 'timeToLiveSpecification.attributeName' failed to satisfy constraint: Member must have length greater than or equal to 1"},
		{"UpdateTimeToLive", `{"TableName":"abc","TimeToLiveSpecification":{"Enabled":true,"AttributeName":"` + long + `"}}`, one + "Value '" + long + "' at 'timeToLiveSpecification.attributeName' failed to satisfy constraint: Member must have length less than or equal to 255"},
		{"UpdateTimeToLive", `{"TableName":"ab","TimeToLiveSpecification":{"Enabled":false,"AttributeName":"t"}}`, one + "Value 'ab' at 'tableName' failed to satisfy constraint: Member must have length greater than or equal to 3"},
		{"UpdateTimeToLive", `{"TableName":"abc","TimeToLiveSpecification":7}`, serialization + ": Unexpected field type"},
		{"UpdateTimeToLive", `{"TableName":"abc","TimeToLiveSpecification":{"Enabled":7}}`, serialization + ": NUMBER_VALUE cannot be converted to Boolean"},
		{"DescribeTimeToLive", `{"TableName":"abc"}`, ""},
		{"DescribeTimeToLive", `{}`, validation + "The parameter 'TableName' is required but was not present in the request"},
	})
}
