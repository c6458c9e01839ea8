package tables

import (
	"strconv"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/millstreamdb/millstream/test/conformance/harness"
)

func TestMembersThatTheModelRequires(t *testing.T) {
	target := harness.The(t)
	table := target.Create(t, harness.Table{}).Name
	null := func(member string) string {
		return "1 validation error detected: Value null at '" + member + "' failed to satisfy constraint: Member must not be null"
	}
	const (
		input  = `"InputS3Configuration":{"S3Bucket":"bucket","InputFormat":"DYNAMODB_JSON"}`
		output = `"OutputS3Configuration":{"S3Bucket":"bucket","OutputType":["ERROR"]}`
		search = `"IndexName":"vectors","SearchVector":[{"N":"1"},{"N":"2"}]`
	)
	for _, r := range []struct{ operation, body, message string }{
		// [10.02 D SDK H] what StartBulkPutItems requires, and its ranges
		{"StartBulkPutItems", `{"TableName":"$T",` + output + `}`, null("inputS3Configuration")},
		{"StartBulkPutItems", `{"TableName":"$T",` + input + `}`, null("outputS3Configuration")},
		{"StartBulkPutItems", `{"TableName":"$T","InputS3Configuration":{"InputFormat":"ION"},` + output + `}`, null("inputS3Configuration.s3Bucket")},
		{"StartBulkPutItems", `{"TableName":"$T",` + input + `,` + output + `,"MaxWriteRequestUnits":1023}`,
			"1 validation error detected: Value '1023' at 'maxWriteRequestUnits' failed to satisfy constraint: Member must have value greater than or equal to 1024"},
		{"StartBulkPutItems", `{"TableName":"$T",` + input + `,` + output + `,"PerformanceTier":"FAST"}`,
			"1 validation error detected: Value 'FAST' at 'performanceTier' failed to satisfy constraint: Member must satisfy enum value set: [STANDARD, ACCELERATED]"},
		// [10.03 D SDK H] the others name an operation
		{"DescribeBulkOperation", `{}`, null("bulkOperationArn")},
		{"CancelBulkOperation", `{}`, null("bulkOperationArn")},
		// [10.08 T PS euw2 08-11 H] more than 100 neighbours
		{"SearchVectors", `{"TableName":"$T",` + search + `,"TopK":101}`, "Provided TopK value '101' is out of valid range. The value must be between 1 and 100 inclusive"},
		{"SearchVectors", `{"TableName":"$T","IndexName":"vectors","SearchVector":[{"L":[{"N":"1"}]}],"TopK":1}`,
			"Search vector contains invalid values. All values in the search vector must be a 32-bit floating-point number attribute"},
		// [10.10 D SDK; T AL M] no such type of an attribute
		{"PutItem", `{"TableName":"$T","Item":{"pk":{"S":"a"},"v":{"FLOAT32VECTOR":[1,2]}}}`, "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes"},
	} {
		t.Run(r.operation+" "+r.body, func(t *testing.T) {
			target.Raw(t, r.operation, replaced(r.body, table)).Want(t, validation, r.message)
		})
	}
	// [10.07 D SDK H] what SearchVectors requires, and [10.09 T PS R2 10-09; C DX 10-23 H] how it says so
	for body, member := range map[string]string{`{}`: "IndexName", `{"TableName":"$T","TopK":1}`: "IndexName", `{"IndexName":"vec","SearchVector":[{"N":"1"}]}`: "TableName", `{"TableName":"$T",` + search + `}`: "TopK"} {
		body = replaced(body, table)
		target.Raw(t, "SearchVectors", body).Want(t, validation, "missing field `"+member+"` at line 1 column "+strconv.Itoa(len(body)))
	}
	for member, want := range map[string]string{"IndexName": "a string", "TableName": "a string", "SearchVector": "a sequence", "TopK": "i32"} {
		body := `{"` + member + `":null`
		reply := target.Raw(t, "SearchVectors", body+"}")
		reply.Want(t, "SerializationException", "invalid type: null, expected "+want+" at line 1 column "+strconv.Itoa(len(body)))
		if !strings.Contains(string(reply.Body), `"message":`) {
			t.Errorf("the text of SearchVectors' errors is not in message: %s", reply.Body)
		}
	}
	// [10.05 D SDK 11 H] a client finds the text of an error in either casing
	made := target.Create(t, harness.Table{})
	made.Put(t, harness.Item{"pk": harness.S("a")})
	_, err := target.DB.PutItem(t.Context(), &dynamodb.PutItemInput{
		TableName: &made.Name, Item: harness.Item{"pk": harness.S("a")}, ConditionExpression: aws.String("attribute_not_exists(pk)"),
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	})
	harness.WantError(t, err, failed, "The conditional request failed")
	// [10.04, 10.11 D SDK H] of a table in one region there is nothing to be protected or
	// replicated
	target.Raw(t, "UpdateTable", replaced(`{"TableName":"$T","DisassociationProtectionEnabled":true}`, table)).Want(t, validation, "")
	target.Raw(t, "UpdateTable", replaced(`{"TableName":"$T","GlobalTableSettingsReplicationMode":"SOMETIMES"}`, table)).Want(t, validation, "")
}
