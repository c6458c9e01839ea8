package tables

import (
	"strings"
	"testing"
)

// TestOddRequests sends what few clients do, and what AWS was seen to answer in October
// 2026.
func TestOddRequests(t *testing.T) {
	const (
		names    = "[1.60 C DX R7 10-09 H]"
		deepKey  = "[1.47 C DX R2 10-10 M]"
		noTable  = "[1.67 C DX R7 10-09 H]"
		booleans = "[1.39 C DX R2 10-10 H]"
		empty    = "[1.41 C DX R2 10-09 H]"
		legacy   = "[3.04 C DX 10 M]"
		starts   = "[3.15 C DX R2 10-09 H]"
		limits   = "[7.37 C DX 10 M]"
		depth    = "[1.46 C DX R2 10-09 H]"
		size     = "[1.07 T PS 10-07 H]"
	)
	const mapKeys = "Map keys must satisfy constraint: [Member must have length less than or equal to 255, " +
		"Member must have length greater than or equal to 3, Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+]"
	put := func(rest string) string { return `{"TableName":"$H","Item":{"pk":{"S":"a"}},` + rest + `}` }
	where := func(condition string) string {
		return `{"Statement":"SELECT * FROM \"$H\" WHERE pk = 'a'` + condition + `"}`
	}
	const exists = invalid + "Value cannot be used when Exists is false for Attribute: a"
	const in = invalid + "ComparisonOperator IN is not valid for BOOL AttributeValue type"
	const operators = "The expression contains too many operators; operator count: 301"
	// An update is held to the limit by what its expression takes, which is more than the item
	// that comes of it.
	padded := func(n int) string {
		return `{"TableName":"$H","Key":{"pk":{"S":"padded"}},"UpdateExpression":"SET b = :v",` + eav(`{"S":"`+strings.Repeat("x", n)+`"}`) + `}`
	}
	ask(t, []asked{
		{size, "within", "UpdateItem", padded(409_577), ""},
		{size, "beyond", "UpdateItem", padded(409_578), "Item size to update has exceeded the maximum allowed size"},
		{size, "put", "PutItem", `{"TableName":"$H","Item":{"pk":{"S":"a"},"b":{"S":"` + strings.Repeat("x", 409_596) + `"}}}`, ""},
		{size, "put beyond", "PutItem", `{"TableName":"$H","Item":{"pk":{"S":"a"},"b":{"S":"` + strings.Repeat("x", 409_597) + `"}}}`, "Item size has exceeded the maximum allowed size"},
		{names, "batch", "BatchGetItem", `{"RequestItems":{"ab":{"Keys":[{"pk":{"S":"a"}}]}}}`,
			env + `Value '{"ab":{"Keys":[{"pk":{"S":"a"}}]}}' at 'requestItems'` + cst + mapKeys},
		{deepKey, "other values", "DeleteItem", `{"TableName":"$H","Key":{"pk":` + deep(100) + `},"ReturnValues":"ALL_NEW"}`, "ReturnValues can only be ALL_OLD or NONE"},
		{noTable, "an enum", "UpdateItem", `{"Key":{"pk":{"S":"a"}},"ReturnValues":"X"}`, env2 + "Value null at 'tableName'" + notNull + "; " + oldRV},
		{booleans, "list", "PutItem", put(`"Expected":{"b":{"Exists":true,"Value":{"BOOL":[]}}}`), serialization + "!"},
		{booleans, "exists", "PutItem", put(`"Expected":{"a":{"Exists":false,"Value":{"S":"x"}}}`), env + exists},
		{booleans, "exists as text", "PutItem", put(`"Expected":{"a":{"Exists":"no","Value":{"S":"x"}}}`), exists},
		{empty, "value", "Scan", `{"TableName":"$H","FilterExpression":"a = :v",` + eav(`{"M":{"":{"S":"x"}}}`) + `}`, emptyName},
		{legacy, "in", "PutItem", put(`"Expected":{"a":{"ComparisonOperator":"IN","AttributeValueList":[{"S":"x"},{"BOOL":true}]}}`), env + in},
		{legacy, "action", "UpdateItem", `{"TableName":"$H","Key":{"pk":{"S":"a"}},"AttributeUpdates":{"a":{"Action":"put","Value":{"S":"x"}}}}`,
			env + "Member must satisfy enum value set: [ADD, DELETE, PUT]' for Action"},
		{starts, "empty text", "Query", `{"TableName":"$R","KeyConditionExpression":"pk = :v",` + eav(`{"S":"a"}`) + `,"ExclusiveStartKey":{"pk":{"S":""},"sk":{"N":"1"}}}`, "One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty string value. Key: pk"},
		{limits, "299", "ExecuteStatement", where(strings.Repeat(" AND x = 1", 149)), ""},
		{limits, "301", "ExecuteStatement", where(strings.Repeat(" AND x = 1", 150)), operators},
		{limits, "not", "ExecuteStatement", where(strings.Repeat(" AND x IS NOT NULL", 100)), operators},
		{limits, "in", "ExecuteStatement", where(" AND x IN [" + strings.Repeat("1,", 100) + "1]"), "The IN operator is provided with too many operands; number of operands: 101"},
		{depth, "2000", "PutItem", put(`"Expected":{"a":{"Value":` + deep(1990) + `}}`), nest},
		{depth, "strange inside", "PutItem", `{"TableName":"$H","Item":{"pk":{"S":"a"},"v":` + strings.Repeat(`{"L":[`, 70) + `{"S":{}}` + strings.Repeat("]}", 70) + `}}`, nest},
	})
}
