package request

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/millstreamdb/millstream/internal/awserr"
)

// decoders are all operations by AWS's name.
var decoders = map[string]func(body []byte) (any, error){
	"PutItem":           erased(DecodePutItem),
	"DeleteItem":        erased(DecodeDeleteItem),
	"UpdateItem":        erased(DecodeUpdateItem),
	"GetItem":           erased(DecodeGetItem),
	"Query":             erased(DecodeQuery),
	"Scan":              erased(DecodeScan),
	"BatchGetItem":      erased(DecodeBatchGetItem),
	"BatchWriteItem":    erased(DecodeBatchWriteItem),
	"CreateTable":       erased(DecodeCreateTable),
	"UpdateTable":       erased(DecodeUpdateTable),
	"DescribeTable":     erased(DecodeDescribeTable),
	"DeleteTable":       erased(DecodeDeleteTable),
	"ListTables":        erased(DecodeListTables),
	"DescribeLimits":    erased(DecodeDescribeLimits),
	"DescribeEndpoints": erased(DecodeDescribeEndpoints),
	"ListStreams":       erased(DecodeListStreams),
	"DescribeStream":    erased(DecodeDescribeStream),
	"GetShardIterator":  erased(DecodeGetShardIterator),
	"GetRecords":        erased(DecodeGetRecords),
}

func erased[T any](decode func([]byte) (*T, error)) func([]byte) (any, error) {
	return func(body []byte) (any, error) {
		op, err := decode(body)
		return op, err
	}
}

const (
	serialization = "SerializationException"
	validation    = "ValidationException: "
	invalid       = validation + "One or more parameter values were invalid: "
	one           = validation + "1 validation error detected: "
	oneInvalid    = one + "One or more parameter values were invalid: "
	two           = validation + "2 validation errors detected: "
)

// refusal is a request and the error it is answered with; an empty error means
// that the request is fine.
type refusal struct{ op, body, want string }

func checkRefusals(t *testing.T, rows []refusal) {
	t.Helper()
	for _, row := range rows {
		_, err := decoders[row.op]([]byte(row.body))
		got := ""
		if err != nil {
			var failure *awserr.Error
			if !errors.As(err, &failure) {
				t.Errorf("%s %s: %T is no AWS error", row.op, row.body, err)
			}
			got = err.Error()
		}
		if got != row.want {
			t.Errorf("%s %s:\n got %s\nwant %s", row.op, shorten(row.body), shorten(got), shorten(row.want))
		}
	}
}

func shorten(s string) string {
	if len(s) > 700 {
		return s[:350] + " … " + s[len(s)-350:]
	}
	return s
}

func TestTypeCheck(t *testing.T) {
	const generic = "SerializationException: class sun.reflect.generics.reflectiveObjects.ParameterizedTypeImpl cannot be cast to class java.lang.Class (sun.reflect.generics.reflectiveObjects.ParameterizedTypeImpl and java.lang.Class are in module java.base of loader 'bootstrap')"
	checkRefusals(t, []refusal{
		{"PutItem", ``, serialization},
		{"PutItem", `[]`, serialization},
		{"PutItem", `"x"`, serialization},
		{"PutItem", `null`, serialization},
		{"PutItem", `{`, serialization},
		{"PutItem", `{} x`, serialization},
		{"PutItem", `{"TableName":"abc",}`, serialization},
		{"PutItem", `{"TableName":true}`, serialization + ": TRUE_VALUE cannot be converted to String"},
		{"PutItem", `{"TableName":false}`, serialization + ": FALSE_VALUE cannot be converted to String"},
		{"PutItem", `{"TableName":1}`, serialization + ": NUMBER_VALUE cannot be converted to String"},
		{"PutItem", `{"TableName":1.5}`, serialization + ": DECIMAL_VALUE cannot be converted to String"},
		{"PutItem", `{"TableName":[]}`, serialization + ": Unrecognized collection type class java.lang.String"},
		{"PutItem", `{"TableName":{}}`, serialization + ": Start of structure or map found where not expected"},
		{"PutItem", `{"Item":"a"}`, serialization + ": Unexpected field type"},
		{"PutItem", `{"Item":[]}`, serialization + ": Unrecognized collection type java.util.Map<java.lang.String, com.amazonaws.dynamodb.v20120810.AttributeValue>"},
		{"PutItem", `{"Item":{"a":1}}`, serialization + ": Unexpected value type in payload"},
		{"PutItem", `{"Item":{"a":{"N":3}}}`, serialization + ": NUMBER_VALUE cannot be converted to String"},
		{"PutItem", `{"ExpressionAttributeNames":[]}`, serialization + ": Unrecognized collection type java.util.Map<java.lang.String, java.lang.String>"},
		{"PutItem", `{"ExpressionAttributeNames":"a"}`, serialization + ": Unexpected field type"},
		{"PutItem", `{"ExpressionAttributeNames":{"#a":1}}`, serialization + ": NUMBER_VALUE cannot be converted to String"},
		{"PutItem", `{"ExpressionAttributeValues":[]}`, serialization + ": Unrecognized collection type java.util.Map<java.lang.String, com.amazonaws.dynamodb.v20120810.AttributeValue>"},
		{"PutItem", `{"Expected":{"a":1}}`, serialization + ": Unexpected value type in payload"},
		{"PutItem", `{"Expected":{"a":[]}}`, serialization + ": Unrecognized collection type class com.amazonaws.dynamodb.v20120810.ExpectedAttributeValue"},
		{"GetItem", `{"ConsistentRead":"maybe"}`, serialization + ": Unexpected token received from parser"},
		{"GetItem", `{"ConsistentRead":1}`, serialization + ": NUMBER_VALUE cannot be converted to Boolean"},
		{"GetItem", `{"AttributesToGet":"a"}`, serialization + ": Unexpected field type"},
		{"GetItem", `{"AttributesToGet":{}}`, serialization + ": Start of structure or map found where not expected"},
		{"Query", `{"Limit":"1"}`, serialization + ": STRING_VALUE cannot be converted to Integer"},
		{"Query", `{"Limit":[]}`, serialization + ": Unrecognized collection type class java.lang.Integer"},
		{"BatchGetItem", `{"RequestItems":[]}`, serialization + ": Unrecognized collection type java.util.Map<java.lang.String, com.amazonaws.dynamodb.v20120810.KeysAndAttributes>"},
		{"BatchGetItem", `{"RequestItems":{"a":1}}`, serialization + ": Unexpected value type in payload"},
		{"BatchGetItem", `{"RequestItems":{"a":{"Keys":[1]}}}`, generic},
		{"BatchWriteItem", `{"RequestItems":{"a":1}}`, generic},
		{"BatchWriteItem", `{"RequestItems":{"a":[1]}}`, serialization + ": Unexpected value type in payload"},
		{"BatchWriteItem", `{"RequestItems":{"a":[[]]}}`, serialization + ": Unrecognized collection type class com.amazonaws.dynamodb.v20120810.WriteRequest"},
		{"BatchWriteItem", `{"RequestItems":{"a":[{"PutRequest":1}]}}`, serialization + ": Unexpected field type"},
		{"CreateTable", `{"KeySchema":[1]}`, serialization + ": Unexpected value type in payload"},
		{"CreateTable", `{"ProvisionedThroughput":1}`, serialization + ": Unexpected field type"},
		{"CreateTable", `{"ProvisionedThroughput":{"ReadCapacityUnits":"1"}}`, serialization + ": STRING_VALUE cannot be converted to Long"},
		{"CreateTable", `{"StreamSpecification":[]}`, serialization + ": Unrecognized collection type class com.amazonaws.dynamodb.v20120810.StreamSpecification"},
		// Malformed JSON wins over what stands before it.
		{"PutItem", `{"TableName":1,"Item":`, serialization},
		{"PutItem", `{"TableName":"a;b"`, serialization},
	})
}

func TestConstraints(t *testing.T) {
	const pattern = " failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+"
	const notNull = " failed to satisfy constraint: Member must not be null"
	long := strings.Repeat("a", 256)
	checkRefusals(t, []refusal{
		{"PutItem", `{}`, two + "Value null at 'tableName'" + notNull + "; Value null at 'item'" + notNull},
		{"PutItem", `{"TableName":"abc","Item":{},"ReturnConsumedCapacity":"x","ReturnValues":"y","ReturnItemCollectionMetrics":"z","ReturnValuesOnConditionCheckFailure":"ALL_NEW"}`,
			validation + "4 validation errors detected: Value 'x' at 'returnConsumedCapacity' failed to satisfy constraint: Member must satisfy enum value set: [INDEXES, TOTAL, NONE]; " +
				"Failed to satisfy constraint: Member must satisfy enum value set: [ALL_OLD, UPDATED_OLD, ALL_NEW, UPDATE_NEW, NONE]; " +
				"Value 'z' at 'returnItemCollectionMetrics' failed to satisfy constraint: Member must satisfy enum value set: [SIZE, NONE]; " +
				"Value 'ALL_NEW' at 'returnValuesOnConditionCheckFailure' failed to satisfy constraint: Member must satisfy enum value set: [ALL_OLD, NONE]"},
		{"UpdateItem", `{"TableName":"abc","Key":{},"ReturnConsumedCapacity":"x","ReturnValues":"y"}`,
			one + "Failed to satisfy constraint: Member must satisfy enum value set: [ALL_OLD, UPDATED_OLD, ALL_NEW, UPDATE_NEW, NONE]"},
		{"PutItem", `{"TableName":"","ReturnValues":"y"}`, one + "Value at 'TableName' failed to satisfy constraint: Member must have length greater than or equal to 1"},
		{"PutItem", `{"TableName":"a;b","Item":{},"ReturnValues":"y"}`, two + "Value 'a;b' at 'tableName'" + pattern + "; Failed to satisfy constraint: Member must satisfy enum value set: [ALL_OLD, UPDATED_OLD, ALL_NEW, UPDATE_NEW, NONE]"},
		{"GetItem", `{"TableName":"` + long + `","Key":{}}`, one + "Value '" + long + "' at 'tableName' failed to satisfy constraint: Member must have length less than or equal to 255"},
		{"GetItem", `{"TableName":"arn:aws:dynamodb:us-east-1:000000000000:table/x/index/y","Key":{}}`, validation + "Invalid TableArn: Invalid ResourceArn provided as input arn:aws:dynamodb:us-east-1:000000000000:table/x/index/y"},
		{"GetItem", `{"TableName":"abc","Key":{},"AttributesToGet":[]}`, one + "Value '[]' at 'attributesToGet' failed to satisfy constraint: Member must have length greater than or equal to 1"},
		{"DeleteItem", `{"TableName":"abc"}`, one + "Value null at 'key'" + notNull},
		{"Query", `{"TableName":"abc","Limit":0}`, one + "Value at 'Limit' failed to satisfy constraint: Member must have value greater than or equal to 1"},
		{"Scan", `{"TableName":"abc","Limit":0}`, one + "Value '0' at 'limit' failed to satisfy constraint: Member must have value greater than or equal to 1"},
		{"Query", `{"TableName":"abc","IndexName":"a;"}`, two + "Value 'a;' at 'indexName'" + pattern + "; Value 'a;' at 'indexName' failed to satisfy constraint: Member must have length greater than or equal to 3"},
		{"Query", `{"TableName":"abc","Select":"x"}`, one + "Value 'x' at 'select' failed to satisfy constraint: Member must satisfy enum value set: [SPECIFIC_ATTRIBUTES, COUNT, ALL_ATTRIBUTES, ALL_PROJECTED_ATTRIBUTES]"},
		{"Scan", `{"TableName":"abc","TotalSegments":1000001}`, one + "Value at 'totalSegments' failed to satisfy constraint: Member must have value between 1 and 1000000"},
		{"Scan", `{"TableName":"abc","TotalSegments":1,"Segment":-1}`, one + "Value '-1' at 'segment' failed to satisfy constraint: Member must have value greater than or equal to 0"},
		{"Scan", `{"TableName":"abc","TotalSegments":1,"Segment":1000000}`, one + "Value '1000000' at 'segment' failed to satisfy constraint: Member must have value less than or equal to 999999"},
		{"BatchGetItem", `{}`, one + "Value null at 'requestItems'" + notNull},
		{"BatchGetItem", `{"RequestItems":{"abc":{}}}`, one + "Value null at 'requestItems.abc.member.keys'" + notNull},
		{"BatchGetItem", `{"RequestItems":{"abc":{"Keys":[]}}}`, one + "Value at 'RequestItems.abc.member.Keys' failed to satisfy constraint: Member must have length greater than or equal to 1"},
		{"BatchGetItem", `{"RequestItems":{"abc":{"Keys":[` + manyKeys(101) + `]}}}`, one + "Value at 'RequestItems.abc.member.Keys' failed to satisfy constraint: Member must have length less than or equal to 100"},
		{"BatchWriteItem", `{"RequestItems":{"abc":[]}}`, one + "Value '{abc=[]}' at 'requestItems' failed to satisfy constraint: Map value must satisfy constraint: [Member must have length less than or equal to 25, Member must have length greater than or equal to 1]"},
		{"BatchWriteItem", `{"RequestItems":{"abc":[{"PutRequest":{}},{"DeleteRequest":{}}]}}`, two + "Value null at 'requestItems.abc.member.1.member.putRequest.item'" + notNull + "; Value null at 'requestItems.abc.member.2.member.deleteRequest.key'" + notNull},
		{"BatchWriteItem", `{"RequestItems":{"a;":[{"PutRequest":{"Item":{}}}]},"ReturnConsumedCapacity":"x"}`, one + "Value 'x' at 'returnConsumedCapacity' failed to satisfy constraint: Member must satisfy enum value set: [INDEXES, TOTAL, NONE]"},
		{"BatchWriteItem", `{"RequestItems":{"a;":[{"PutRequest":{"Item":{}}}]}}`, one + "Value '{a;=...}' at 'requestItems' failed to satisfy constraint: Map keys must satisfy constraint: [Member must have length less than or equal to 255, Member must have length greater than or equal to 3, Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+]"},
		{"DescribeTable", `{}`, validation + "The parameter 'TableName' is required but was not present in the request"},
		{"DeleteTable", `{"TableName":"ab"}`, one + "Value 'ab' at 'tableName' failed to satisfy constraint: Member must have length greater than or equal to 3"},
		{"DescribeTable", `{"TableName":"arn:aws:dynamodb:us-east-1:000000000000:table/abc"}`, ""},
		{"ListTables", `{"Limit":0}`, one + "Value '0' at 'limit' failed to satisfy constraint: Member must have value greater than or equal to 1"},
		{"ListTables", `{"Limit":101}`, one + "Value '101' at 'limit' failed to satisfy constraint: Member must have value less than or equal to 100"},
		{"ListTables", `{"ExclusiveStartTableName":""}`, two + "Value '' at 'exclusiveStartTableName'" + pattern + "; Value '' at 'exclusiveStartTableName' failed to satisfy constraint: Member must have length greater than or equal to 3"},
		{"ListTables", `{}`, ""},
	})
}

func manyKeys(n int) string {
	keys := make([]string, n)
	for i := range keys {
		keys[i] = fmt.Sprintf(`{"id":{"N":"%d"}}`, i)
	}
	return strings.Join(keys, ",")
}

func TestAtMostTenViolations(t *testing.T) {
	elements := strings.Repeat(`{},`, 7) + `{}`
	_, err := DecodeCreateTable([]byte(`{"TableName":"abc","AttributeDefinitions":[` + elements + `]}`))
	if err == nil || !strings.HasPrefix(err.Error(), validation+"10 validation errors detected: ") {
		t.Fatalf("got %v", err)
	}
	if n := strings.Count(err.Error(), "Member must not be null"); n != 10 {
		t.Errorf("%d violations listed, want 10", n)
	}
}

func TestExpressionRules(t *testing.T) {
	const put = `{"TableName":"abc","Item":{"id":{"S":"a"}},`
	const query = `{"TableName":"abc",`
	checkRefusals(t, []refusal{
		{"PutItem", put + `"ConditionExpression":"","Expected":{}}`, one + "Can not use both expression and non-expression parameters in the same request: Non-expression parameters: {Expected} Expression parameters: {ConditionExpression}"},
		{"UpdateItem", `{"TableName":"abc","Key":{},"UpdateExpression":"","ConditionExpression":"","Expected":{},"AttributeUpdates":{}}`, one + "Can not use both expression and non-expression parameters in the same request: Non-expression parameters: {AttributeUpdates, Expected} Expression parameters: {UpdateExpression, ConditionExpression}"},
		{"DeleteItem", `{"TableName":"abc","Key":{},"ConditionExpression":"","ConditionalOperator":"OR"}`, one + "Can not use both expression and non-expression parameters in the same request: Non-expression parameters: {ConditionalOperator} Expression parameters: {ConditionExpression}"},
		{"UpdateItem", `{"TableName":"abc","Key":{},"UpdateExpression":"","ConditionalOperator":"OR"}`, one + "Can not use both expression and non-expression parameters in the same request: Non-expression parameters: {ConditionalOperator} Expression parameters: {UpdateExpression}"},
		{"Query", query + `"FilterExpression":"","KeyConditions":{},"QueryFilter":{},"ConditionalOperator":"OR"}`, validation + "Can not use both expression and non-expression parameters in the same request: Non-expression parameters: {QueryFilter, ConditionalOperator} Expression parameters: {FilterExpression}"},
		{"PutItem", put + `"ExpressionAttributeNames":{}}`, one + "ExpressionAttributeNames can only be specified when using expressions"},
		{"PutItem", put + `"ExpressionAttributeValues":{}}`, one + "ExpressionAttributeValues can only be specified when using expressions"},
		{"UpdateItem", `{"TableName":"abc","Key":{},"ExpressionAttributeValues":{}}`, one + "ExpressionAttributeValues can only be specified when using expressions"},
		{"Query", query + `"ProjectionExpression":"a","ExpressionAttributeValues":{}}`, validation + "ExpressionAttributeValues can only be specified when using expressions"},
		{"Scan", query + `"ProjectionExpression":"a","ExpressionAttributeValues":{}}`, validation + "ExpressionAttributeValues can only be specified when using expressions: FilterExpression is null"},
		{"PutItem", put + `"ConditionExpression":"","ExpressionAttributeNames":{}}`, one + "ExpressionAttributeNames must not be empty"},
		{"PutItem", put + `"ConditionExpression":"","ExpressionAttributeValues":{}}`, one + "ExpressionAttributeValues must not be empty"},
		{"PutItem", put + `"ConditionExpression":"","ExpressionAttributeNames":{"a":"b"}}`, one + "ExpressionAttributeNames contains invalid key: Syntax error; key: \"a\""},
		{"PutItem", put + `"ConditionExpression":"","ExpressionAttributeValues":{":a":{"N":"x"},"b":{"S":""}}}`, one + "The parameter cannot be converted to a numeric value: x"},
		{"PutItem", put + `"ConditionExpression":"","ExpressionAttributeValues":{":a":{"N":"x"}}}`, one + "The parameter cannot be converted to a numeric value: x"},
		{"PutItem", put + `"ConditionExpression":""}`, one + "Invalid ConditionExpression: The expression can not be empty;"},
		{"PutItem", put + `"ConditionExpression":"a = :a"}`, one + "Invalid ConditionExpression: An expression attribute value used in expression is not defined; attribute value: :a"},
		{"PutItem", put + `"ConditionExpression":"attribute_exists(a)","ExpressionAttributeNames":{"#a":"b"}}`, one + "Value provided in ExpressionAttributeNames unused in expressions: keys: {#a}"},
		{"UpdateItem", `{"TableName":"abc","Key":{},"UpdateExpression":"","ConditionExpression":""}`, one + "Invalid ConditionExpression: The expression can not be empty;"},
		{"Query", query + `"KeyConditionExpression":"","FilterExpression":"","ProjectionExpression":""}`, validation + "Invalid KeyConditionExpression: The expression can not be empty;"},
		{"Query", query + `"FilterExpression":"","ProjectionExpression":""}`, validation + "Invalid FilterExpression: The expression can not be empty;"},
		{"Query", query + `"ProjectionExpression":""}`, validation + "Invalid ProjectionExpression: The expression can not be empty;"},
		{"Query", query + `"Limit":1}`, validation + "Either the KeyConditions or KeyConditionExpression parameter must be specified in the request."},
		{"Query", query + `"KeyConditionExpression":"id = :a","ExpressionAttributeValues":{":a":{"S":"x"}}}`, ""},
		// The order: mixed parameters, placeholders without expressions, values.
		{"PutItem", `{"TableName":"abc","Item":{"a":{}},"ConditionExpression":"","Expected":{}}`, one + "Can not use both expression and non-expression parameters in the same request: Non-expression parameters: {Expected} Expression parameters: {ConditionExpression}"},
		{"GetItem", `{"TableName":"abc","Key":{"a":{}},"ExpressionAttributeNames":{}}`, validation + "ExpressionAttributeNames can only be specified when using expressions"},
		{"UpdateItem", `{"TableName":"abc","Key":{"a":{}},"UpdateExpression":""}`, one + "Invalid UpdateExpression: The expression can not be empty;"},
		{"DeleteItem", `{"TableName":"abc","Key":{"a":{}},"ReturnValues":"ALL_NEW","ConditionExpression":""}`, one + "ReturnValues can only be ALL_OLD or NONE"},
		{"Scan", query + `"ExclusiveStartKey":{"a":{}},"FilterExpression":""}`, validation + "The provided starting key is invalid: Supplied AttributeValue is empty, must contain exactly one of the supported datatypes"},
		// Parameters of the older kind; legacy_test.go has the rest.
		{"Scan", query + `"ConditionalOperator":"OR"}`, validation + "ConditionalOperator cannot be used without Filter or Expected"},
		{"GetItem", `{"TableName":"abc","Key":{},"AttributesToGet":["a","b","a"]}`, invalid + "Duplicate value in attribute name: a"},
		{"GetItem", `{"TableName":"abc","Key":{},"AttributesToGet":["a"],"ProjectionExpression":"a"}`, validation + "Can not use both expression and non-expression parameters in the same request: Non-expression parameters: {AttributesToGet} Expression parameters: {ProjectionExpression}"},
	})
}

func TestItemOperationRules(t *testing.T) {
	const scan = `{"TableName":"abc",`
	huge := `{"id":{"S":"` + strings.Repeat("a", 400<<10) + `"}}`
	checkRefusals(t, []refusal{
		{"PutItem", `{"TableName":"abc","Item":{},"ReturnValues":"ALL_NEW"}`, one + "ReturnValues can only be ALL_OLD or NONE"},
		{"DeleteItem", `{"TableName":"abc","Key":{},"ReturnValues":"UPDATED_OLD"}`, one + "ReturnValues can only be ALL_OLD or NONE"},
		// The order: value, ReturnValues, size, expressions.
		{"PutItem", `{"TableName":"abc","Item":{"a":{}},"ReturnValues":"ALL_NEW"}`, one + "ReturnValues can only be ALL_OLD or NONE"},
		{"PutItem", `{"TableName":"abc","Item":` + huge + `,"ReturnValues":"ALL_NEW"}`, one + "ReturnValues can only be ALL_OLD or NONE"},
		{"PutItem", `{"TableName":"abc","Item":` + huge + `,"ConditionExpression":""}`, one + "Invalid ConditionExpression: The expression can not be empty;"},
		{"BatchWriteItem", `{"RequestItems":{"abc":[{"PutRequest":{"Item":` + huge + `}}]}}`, validation + "Item size has exceeded the maximum allowed size"},
		{"Scan", scan + `"Segment":0}`, validation + "The TotalSegments parameter is required but was not present in the request when Segment parameter is present"},
		{"Scan", scan + `"TotalSegments":1}`, validation + "The Segment parameter is required but was not present in the request when parameter TotalSegments is present"},
		{"Scan", scan + `"Segment":5,"TotalSegments":5}`, validation + "The Segment parameter is zero-based and must be less than parameter TotalSegments: Segment: 5 is not less than TotalSegments: 5"},
		{"Scan", scan + `"ExclusiveStartKey":{"a":{}}}`, validation + "The provided starting key is invalid: Supplied AttributeValue is empty, must contain exactly one of the supported datatypes"},
		{"Scan", scan + `"ExclusiveStartKey":{"a":{"N":""}}}`, validation + "The parameter cannot be converted to a numeric value"},
		{"Scan", scan + `"ExclusiveStartKey":{"a":{"NS":["1","1.0"]}}}`, validation + "Input collection contains duplicates"},
		{"Scan", scan + `"Select":"SPECIFIC_ATTRIBUTES"}`, validation + "Must specify the AttributesToGet or ProjectionExpression when choosing to get SPECIFIC_ATTRIBUTES"},
		{"Query", scan + `"Select":"SPECIFIC_ATTRIBUTES"}`, one + "Must specify the AttributesToGet or ProjectionExpression when choosing to get SPECIFIC_ATTRIBUTES"},
		{"Scan", scan + `"Select":"COUNT","ProjectionExpression":"a"}`, validation + "Cannot specify the ProjectionExpression when choosing to get only the Count"},
		{"Scan", scan + `"Select":"ALL_ATTRIBUTES","AttributesToGet":["a"]}`, validation + "Cannot specify the AttributesToGet when choosing to get ALL_ATTRIBUTES"},
		{"Query", scan + `"Select":"ALL_PROJECTED_ATTRIBUTES"}`, one + "ALL_PROJECTED_ATTRIBUTES can be used only when Querying using an IndexName"},
		{"BatchGetItem", `{"RequestItems":{}}`, one + "Value at 'RequestItems' failed to satisfy constraint: Member must have length greater than or equal to 1"},
		{"BatchWriteItem", `{"RequestItems":{}}`, validation + "The requestItems parameter is required for BatchWriteItem"},
		{"BatchGetItem", `{"RequestItems":{"abc":{"Keys":[` + manyKeys(60) + `]},"def":{"Keys":[` + manyKeys(60) + `]}}}`, validation + "Too many items requested for the BatchGetItem call"},
		{"BatchGetItem", `{"RequestItems":{"abc":{"Keys":[` + manyKeys(3) + `,` + manyKeys(1) + `]}}}`, validation + "Provided list of item keys contains duplicates"},
		{"BatchGetItem", `{"RequestItems":{"abc":{"Keys":[{}],"AttributesToGet":["a"]},"def":{"Keys":[{}],"ProjectionExpression":"a"}}}`, validation + "Can not use both expression and non-expression parameters in the same request: Non-expression parameters: {AttributesToGet} Expression parameters: {ProjectionExpression}"},
		{"BatchGetItem", `{"RequestItems":{"abc":{"Keys":[{"n":{"N":"1000"}},{"n":{"N":"1e3"}}]}}}`, ""},
		{"BatchGetItem", `{"RequestItems":{"abc":{"Keys":[{"n":{"N":"1000"},"s":{"S":"a"}},{"s":{"S":"a"},"n":{"N":"1000"}}]}}}`, validation + "Provided list of item keys contains duplicates"},
		{"BatchGetItem", `{"RequestItems":{"abc":{"Keys":[{"n":{"N":"1"}},{"n":{"N":"1.0"}}]},"def":{"Keys":[{"n":{"N":"1"}}]}}}`, ""},
		{"BatchWriteItem", `{"RequestItems":{"abc":[{}]}}`, validation + "Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported datatypes"},
		{"BatchWriteItem", `{"RequestItems":{"abc":[{"PutRequest":{"Item":{}},"DeleteRequest":{"Key":{}}}]}}`, validation + "Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported datatypes"},
		{"BatchWriteItem", `{"RequestItems":{"abc":[` + strings.Repeat(`{"DeleteRequest":{"Key":{}}},`, 19) + `{"DeleteRequest":{"Key":{}}}],"def":[` + strings.Repeat(`{"DeleteRequest":{"Key":{}}},`, 5) + `{"DeleteRequest":{"Key":{}}}]}}`, validation + "Too many items requested for the BatchWriteItem call"},
		{"DescribeLimits", `{}`, ""},
		{"DescribeEndpoints", `{"x":[1,{"y":null}]}`, ""},
	})
}
