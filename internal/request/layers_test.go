package request

import (
	"reflect"
	"strings"
	"testing"
)

// A roll-out is a line of layers: with Scan's moved, its newer table of checks answers.
// (No test of this package runs beside another.)
func TestARolloutIsOneLine(t *testing.T) {
	was := layers[opScan]
	layers[opScan] = currentWrites
	defer func() { layers[opScan] = was }()
	const (
		value  = " failed to satisfy constraint: Member must have value "
		name   = "Value at 'TableName' failed to satisfy constraint: Member must have length greater than or equal to 1"
		bad    = "Value 'a!bc' at 'tableName' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+"
		rcc    = "Value 'X' at 'returnConsumedCapacity' failed to satisfy constraint: Member must satisfy enum value set: [INDEXES, TOTAL, NONE]"
		beyond = "The Segment parameter is zero-based and must be less than parameter TotalSegments"
	)
	checkRefusals(t, []refusal{
		{"Scan", `{"TableName":"","Limit":0,"Segment":-1,"TotalSegments":0,"ReturnConsumedCapacity":"X"}`,
			validation + "4 validation errors detected: " + strings.Join([]string{"Value at 'Limit'" + value + "greater than or equal to 1",
				"Value at 'Segment'" + value + "greater than or equal to 0", "Value at 'TotalSegments'" + value + "greater than or equal to 1", name}, "; ")},
		{"Scan", `{"TableName":"abc","Segment":1000000,"TotalSegments":1000001}`,
			two + "Value at 'Segment'" + value + "less than or equal to 999999; Value at 'TotalSegments'" + value + "less than or equal to 1000000"},
		{"Scan", `{"TableName":"a!bc","ReturnConsumedCapacity":"X","Select":"X"}`, two + bad + "; " + rcc},
		{"Scan", `{"TableName":"abc","ScanFilter":{"a":{"ComparisonOperator":"X"}}}`, oneInvalid + "Invalid comparison operator"},
		{"Scan", `{"TableName":"abc","FilterExpression":"a b","Select":"X"}`, one + `Invalid FilterExpression: Syntax error; token: "b", near: "a b"`},
		{"Scan", `{"TableName":"abc","Segment":5,"TotalSegments":5}`, one + beyond},
		// What it cannot read goes to the older layer, whole.
		{"Scan", `{"Limit":0}`, two + "Value null at 'tableName' failed to satisfy constraint: Member must not be null; Value '0' at 'limit'" + value + "greater than or equal to 1"},
		{"Scan", `{"TableName":"abc","Limit":0.5}`, one + "Value '0' at 'limit'" + value + "greater than or equal to 1"},
	})
}

// The room of a request is used again: nothing of one shows in the next, whatever the
// first one had and however it ended.
func TestARequestLeavesNothingBehind(t *testing.T) {
	full := `{"TableName":"abc","Item":{"a":{"S":"x"}},"Key":{"a":{"S":"x"}},"ReturnValues":"ALL_OLD","ReturnConsumedCapacity":"TOTAL",` +
		`"ReturnItemCollectionMetrics":"SIZE","ReturnValuesOnConditionCheckFailure":"ALL_OLD","ConditionExpression":"a = :a",` +
		`"ExpressionAttributeValues":{":a":{"S":"x"}},"ConsistentRead":true}`
	for _, before := range []string{
		full,
		`{"TableName":"abc","Item":{"a":{"S":"x"}},"Key":{"a":{"S":"x"}},"ConditionExpression":"a = :a","ExpressionAttributeValues":{":a":{"S":"x"}},` +
			`"ReturnValues":"ALL_OLD","ReturnConsumedCapacity":"TOTAL"}`,
		`{"TableName":"abc","Item":{"a":{}},"Key":{"a":{}},"ReturnConsumedCapacity":"INDEXES","ConsistentRead":true}`,
		`{"TableName":"abc","Item":{"a":{"BOOL":"true"}},"Key":{"a":{"NULL":"yes"}},"Expected":{"a":{"Exists":false}},"ConditionalOperator":"OR"}`,
		`{"TableName":"a!","Item":{"a":{"N":"x"}},"ReturnValues":"X"}`,
		`{"TableName":"abc","Expected":{"a":{"Exists":false}},"Expected":null,"ReturnValues":"NONE","ReturnValues":null}`,
		`{"TableName":`,
	} {
		for range 3 {
			_, _ = DecodePutItem([]byte(before))
			_, _ = DecodeGetItem([]byte(before))
		}
		op, err := DecodePutItem([]byte(`{"TableName":"def","Item":{}}`))
		if err != nil {
			t.Fatal(err)
		}
		want := &PutItem{Common: Common{TableName: "def", Requested: "def"}, Item: op.Item}
		if !reflect.DeepEqual(op, want) {
			t.Errorf("after %s: %+v", before, op)
		}
		if op, err := DecodeUpdateItem([]byte(`{"TableName":"def","Key":{}}`)); err != nil || op.Update != nil || op.Condition != nil ||
			op.ReturnValues != ReturnNone || op.ReturnItemCollectionMetrics || op.ReturnOldOnConditionFailure || op.Late != 0 {
			t.Errorf("after %s: %+v, %v", before, op, err)
		}
	}
}
