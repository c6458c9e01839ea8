package request

import "testing"

// TestNullPlaceholders: a null among placeholders is no name and no value.
func TestNullPlaceholders(t *testing.T) {
	get := func(names string) string {
		return `{"TableName":"abc","Key":{"a":{"S":"x"}},"ProjectionExpression":"#a","ExpressionAttributeNames":` + names + `}`
	}
	scan := func(values string) string {
		return `{"TableName":"abc","FilterExpression":"a = :v","ExpressionAttributeValues":` + values + `}`
	}
	checkRefusals(t, []refusal{
		{"GetItem", get(`{"#a":null}`), validation + "ExpressionAttributeNames contains invalid value: null for key #a"},
		{"GetItem", get(`{"#a":"a","#b":null}`), validation + "ExpressionAttributeNames contains invalid value: null for key #b"},
		{"GetItem", get(`{"a":null}`), validation + `ExpressionAttributeNames contains invalid key: Syntax error; key: "a"`},
		{"GetItem", get(`null`), validation + "Invalid ProjectionExpression: An expression attribute name used in the document path is not defined; attribute name: #a"},
		{"Scan", scan(`{":v":null}`), validation + "ExpressionAttributeValues contains invalid value: Supplied AttributeValue is empty, must contain exactly one of the supported datatypes for key :v"},
	})
}
