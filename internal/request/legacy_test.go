package request

import (
	"strings"
	"testing"
)

func TestOlderParameters(t *testing.T) {
	const (
		put  = `{"TableName":"abc","Item":{},`
		upd  = `{"TableName":"abc","Key":{},`
		scan = `{"TableName":"abc",`
		eq   = `{"ComparisonOperator":"EQ","AttributeValueList":[{"S":"x"}]}`
	)
	expected := func(entry string) string { return put + `"Expected":{"a":` + entry + `}}` }
	filter := func(entry string) string { return scan + `"ScanFilter":{"a":` + entry + `}}` }
	update := func(entry string) string { return upd + `"AttributeUpdates":{"a":` + entry + `}}` }
	keys := func(entry string) string { return scan + `"KeyConditions":{` + entry + `}}` }
	checkRefusals(t, []refusal{
		// Expected.
		{"PutItem", expected(`{"Exists":false}`), ""},
		{"PutItem", expected(`{"Value":{"S":"x"}}`), ""},
		{"PutItem", expected(`{"Exists":true,"Value":{"S":"x"}}`), ""},
		{"PutItem", expected(eq), ""},
		{"DeleteItem", `{"TableName":"abc","Key":{},"Expected":{"a":{}}}`, oneInvalid + "Value must be provided when Exists is null for Attribute: a"},
		{"PutItem", expected(`{"Exists":true}`), oneInvalid + "Value must be provided when Exists is true for Attribute: a"},
		{"PutItem", expected(`{"Exists":false,"Value":{"S":"x"}}`), oneInvalid + "Value cannot be used when Exists is false for Attribute: a"},
		{"PutItem", expected(`{"Exists":true,"ComparisonOperator":"NULL"}`), oneInvalid + "Exists and ComparisonOperator cannot be used together for Attribute: a"},
		{"PutItem", expected(`{"Value":{"S":"x"},"AttributeValueList":[]}`), oneInvalid + "Value and AttributeValueList cannot be used together for Attribute: a"},
		{"PutItem", expected(`{"ComparisonOperator":"EQ"}`), oneInvalid + "Value or AttributeValueList must be used with ComparisonOperator: EQ for Attribute: a"},
		{"PutItem", expected(`{"AttributeValueList":[{"S":"x"}]}`), oneInvalid + "AttributeValueList can only be used with a ComparisonOperator for Attribute: a"},
		{"PutItem", expected(`{"ComparisonOperator":"BETWEEN","Value":{"S":"x"}}`), oneInvalid + "Invalid number of argument(s) for the BETWEEN ComparisonOperator"},
		{"PutItem", expected(`{"ComparisonOperator":"NULL","Value":{"S":"x"}}`), oneInvalid + "Invalid number of argument(s) for the NULL ComparisonOperator"},
		{"PutItem", expected(`{"ComparisonOperator":"x","Value":{"S":"x"}}`), oneInvalid + "Invalid comparison operator"},
		{"PutItem", expected(`{"Value":{"N":"x"}}`), one + "The parameter cannot be converted to a numeric value: x"},
		{"PutItem", put + `"Expected":{"":{"Exists":false}}}`, one + "Empty attribute name"},
		{"PutItem", expected(`{"Value":7}`), "SerializationException: Unexpected field type"},
		{"PutItem", put + `"Expected":[]}`, "SerializationException: Unrecognized collection type java.util.Map<java.lang.String, com.amazonaws.dynamodb.v20120810.ExpectedAttributeValue>"},
		// ReturnValues come before it.
		{"PutItem", put + `"ReturnValues":"ALL_NEW","Expected":{"a":{}}}`, one + "ReturnValues can only be ALL_OLD or NONE"},
		// Filters.
		{"Scan", filter(`{}`), one + "Value null at 'scanFilter.a.member.comparisonOperator' failed to satisfy constraint: Member must not be null"},
		{"Scan", filter(`{"ComparisonOperator":"EQ"}`), invalid + "Invalid number of argument(s) for the EQ ComparisonOperator"},
		{"Scan", filter(`{"ComparisonOperator":"IN","AttributeValueList":[]}`), invalid + "Invalid number of argument(s) for the IN ComparisonOperator"},
		{"Scan", filter(`{"ComparisonOperator":"IN","AttributeValueList":[{"S":"x"},{"N":"1"}]}`), invalid + "AttributeValues inside AttributeValueList must be of same type"},
		{"Scan", filter(`{"ComparisonOperator":"LT","AttributeValueList":[{"SS":["x"]}]}`), invalid + "ComparisonOperator LT is not valid for SS AttributeValue type"},
		{"Scan", filter(`{"ComparisonOperator":"BEGINS_WITH","AttributeValueList":[{"N":"1"}]}`), invalid + "ComparisonOperator BEGINS_WITH is not valid for N AttributeValue type"},
		{"Scan", filter(`{"ComparisonOperator":"CONTAINS","AttributeValueList":[{"BOOL":true}]}`), invalid + "ComparisonOperator CONTAINS is not valid for BOOL AttributeValue type"},
		{"Scan", filter(`{"ComparisonOperator":"EQ","AttributeValueList":[{"BOOL":true}]}`), ""},
		{"Scan", filter(`{"ComparisonOperator":"BETWEEN","AttributeValueList":[{"S":"b"},{"S":"a"}]}`), validation + "The BETWEEN condition was provided a range where the lower bound is greater than the upper bound"},
		{"Scan", scan + `"ScanFilter":{"a":{}},"ScanFilter":null}`, ""},
		// ConditionalOperator.
		{"Scan", scan + `"ConditionalOperator":"OR","ScanFilter":{}}`, validation + "ConditionalOperator cannot be used without Filter or Expected"},
		{"Scan", scan + `"ConditionalOperator":"OR","ScanFilter":{"a":` + eq + `}}`, validation + "ConditionalOperator can only be used when Filter or Expected has two or more elements"},
		{"Scan", scan + `"ConditionalOperator":"OR","ScanFilter":{"a":{"ComparisonOperator":"EQ"}}}`, invalid + "Invalid number of argument(s) for the EQ ComparisonOperator"},
		{"PutItem", put + `"ConditionalOperator":"OR","Expected":{"a":{}}}`, one + "ConditionalOperator can only be used when Filter or Expected has two or more elements"},
		{"Scan", scan + `"ConditionalOperator":"OR","ScanFilter":{"a":` + eq + `,"b":` + eq + `}}`, ""},
		{"UpdateItem", upd + `"ConditionalOperator":"AND","AttributeUpdates":{}}`, one + "ConditionalOperator cannot be used without Filter or Expected"},
		// AttributeUpdates.
		{"UpdateItem", upd + `"AttributeUpdates":{}}`, ""},
		{"UpdateItem", update(`{"Action":"DELETE"}`), ""},
		{"UpdateItem", update(`{"Action":"ADD","Value":{"L":[]}}`), ""},
		{"UpdateItem", update(`{}`), oneInvalid + "Only DELETE action is allowed when no attribute value is specified"},
		{"UpdateItem", update(`{"Action":"ADD"}`), oneInvalid + "Only DELETE action is allowed when no attribute value is specified"},
		{"UpdateItem", update(`{"Action":"ADD","Value":{"S":"x"}}`), oneInvalid + "ADD action is not supported for the type S"},
		{"UpdateItem", update(`{"Action":"DELETE","Value":{"S":"x"}}`), oneInvalid + "DELETE action with value is not supported for the type S"},
		{"UpdateItem", update(`{"Action":"x","Value":{"S":"x"}}`), one + "Member must satisfy enum value set: " + actionSet + "' for Action"},
		// KeyConditions.
		{"Query", keys(``), validation + "Conditions can be of length 1 or 2 only"},
		{"Query", keys(`"a":` + eq), ""},
		{"Query", scan + `"KeyConditions":{"a":` + eq + `},"FilterExpression":"attribute_exists(b)"}`, ""},
		{"Query", scan + `"KeyConditions":{"a":{"ComparisonOperator":"NULL"}},"AttributesToGet":["a","a"]}`, invalid + "Duplicate value in attribute name: a"},
	})
}

func TestManyConditionsAreRefused(t *testing.T) {
	var b strings.Builder
	b.WriteString(`{"TableName":"abc","ScanFilter":{`)
	for i := range maxConditions + 1 {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(`"` + strings.Repeat("a", i%7+1) + string(rune('0'+i%10)) + strings.Repeat("b", i/70) + `":{"ComparisonOperator":"NULL"}`)
	}
	b.WriteString(`}}`)
	_, err := DecodeScan([]byte(b.String()))
	if err == nil || err.Error() != invalid+"Too many attributes in one condition or update" {
		t.Errorf("got %v", err)
	}
}
