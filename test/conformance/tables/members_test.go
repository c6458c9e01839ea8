package tables

import (
	"strings"
	"testing"
)

const (
	hashItem = `"Item":{"pk":{"S":"a"}}`
	hashKey  = `"Key":{"pk":{"S":"a"}}`
	byKey    = `"KeyConditionExpression":"pk = :v","ExpressionAttributeValues":{":v":{"S":"a"}}`
	oldKey   = `"KeyConditions":{"pk":{"ComparisonOperator":"EQ","AttributeValueList":[{"S":"a"}]}}`
	two      = `{"a":{"ComparisonOperator":"NULL"},"b":{"ComparisonOperator":"NULL"}}`
	oneOf    = `{"a":{"ComparisonOperator":"NULL"}}`

	alone1  = "ConditionalOperator cannot be used without Filter or Expected"
	ofOne   = "ConditionalOperator can only be used when Filter or Expected has two or more elements"
	badOp   = "Failed to satisfy constraint: Member must satisfy enum value set: [ALL, OR]"
	onlyOld = "ReturnValues can only be ALL_OLD or NONE"
)

func TestWhatIsCountedOnWrites(t *testing.T) {
	const (
		exprs    = "[1.51 C DX R2 10-09 H]"
		lone     = "[1.52 T PS R2 10 H]"
		empty    = "[1.53 T PS/MT use1 08–10 H]"
		mixed    = "[1.54 C DX R7 10-09 H]"
		malform  = "[1.55 C DX R2 10-09 M]"
		dataSide = "[1.57 C DX R2 10-09 H]"
		size     = "[1.58 C DX R2 10 M]"
	)
	long := strings.Repeat("a", 4097)
	condition := func(x, rest string) string {
		return `{"TableName":"$H",` + hashItem + `,"ConditionExpression":"` + x + `"` + rest + `}`
	}
	update := func(x, rest string) string {
		return `{"TableName":"$H",` + hashKey + `,"UpdateExpression":"` + x + `"` + rest + `}`
	}
	expected := func(x string) string { return `{"TableName":"$H",` + hashItem + `,"Expected":{"a":` + x + `}}` }
	filter := func(x string) string { return `{"TableName":"$H",` + byKey + `,"FilterExpression":"` + x + `"}` }
	const (
		syntax    = `Syntax error; token: "b", near: "a b c"`
		unusedN   = "Value provided in ExpressionAttributeNames unused in expressions: keys: {#x}"
		unusedV   = "Value provided in ExpressionAttributeValues unused in expressions: keys: {:x}"
		loneNames = "ExpressionAttributeNames can only be specified when using expressions"
		loneVals  = "ExpressionAttributeValues can only be specified when using expressions"
		mixing    = "Can not use both expression and non-expression parameters in the same request: Non-expression parameters: {ConditionalOperator} Expression parameters: "
		inCond    = "Invalid ConditionExpression: "
		inUpdate  = "Invalid UpdateExpression: "
		tooLong   = "Expression size has exceeded the maximum allowed size;"
	)
	ask(t, []asked{
		{exprs, "syntax", "PutItem", condition("a b c", ""), env + inCond + syntax},
		{exprs, "parentheses", "PutItem", condition("((attribute_exists(a)))", ""), env + inCond + "The expression has redundant parentheses;"},
		{exprs, "same operands", "PutItem", condition("a = a", ""),
			env + inCond + "The first operand must be distinct from the remaining operands for this operator or function; operator: =, first operand: [a]"},
		{exprs, "undefined value", "PutItem", condition("a = :a", ""),
			env + inCond + "An expression attribute value used in expression is not defined; attribute value: :a"},
		{exprs, "undefined name", "DeleteItem", `{"TableName":"$H",` + hashKey + `,"ConditionExpression":"attribute_exists(#a)"}`,
			env + inCond + "An expression attribute name used in the document path is not defined; attribute name: #a"},
		{exprs, "section twice", "UpdateItem", update("REMOVE a REMOVE b", ""), env + inUpdate + `The "REMOVE" section can only be used once in an update expression;`},
		{exprs, "overlap", "UpdateItem", update("REMOVE a, a.b", ""),
			env + inUpdate + "Two document paths overlap with each other; must remove or rewrite one of these paths; path one: [a], path two: [a, b]"},
		{exprs, "operand type", "UpdateItem", update("ADD a :v", `,"ExpressionAttributeValues":{":v":{"S":"x"}}`),
			env + inUpdate + "Incorrect operand type for operator or function; operator: ADD, operand type: STRING, typeSet: ALLOWED_FOR_ADD_OPERAND"},
		{exprs, "unused name", "PutItem", condition("attribute_exists(a)", `,"ExpressionAttributeNames":{"#x":"x"}`), env + unusedN},
		{exprs, "unused value", "PutItem", condition("attribute_exists(a)", `,"ExpressionAttributeValues":{":x":{"S":"x"}}`), env + unusedV},
		{exprs, "unused name", "GetItem", `{"TableName":"$H",` + hashKey + `,"ProjectionExpression":"a","ExpressionAttributeNames":{"#x":"x"}}`, unusedN},
		{exprs, "syntax", "Query", filter("a b c"), "Invalid FilterExpression: " + syntax},
		{exprs, "syntax", "Scan", `{"TableName":"$H","FilterExpression":"a b c"}`, "Invalid FilterExpression: " + syntax + " || " + env + "Invalid FilterExpression: " + syntax},
		{exprs, "syntax", "TransactWriteItems", `{"TransactItems":[{"Put":` + condition("a b c", "") + `}]}`, inCond + syntax + " || " + env + inCond + syntax},

		{lone, "names", "PutItem", `{"TableName":"$H",` + hashItem + `,"ExpressionAttributeNames":{"#a":"a"}}`, env + loneNames},
		{lone, "values", "PutItem", `{"TableName":"$H",` + hashItem + `,"ExpressionAttributeValues":{":a":{"S":"a"}}}`, env + loneVals},
		{lone, "values", "UpdateItem", `{"TableName":"$H",` + hashKey + `,"ExpressionAttributeValues":{":a":{"S":"a"}}}`, env + loneVals},
		{lone, "values", "DeleteItem", `{"TableName":"$H",` + hashKey + `,"ExpressionAttributeValues":{":a":{"S":"a"}}}`, env + loneVals},
		{lone, "empty names", "PutItem", condition("attribute_exists(a)", `,"ExpressionAttributeNames":{}`), env + "ExpressionAttributeNames must not be empty"},
		{lone, "empty values", "PutItem", condition("attribute_exists(a)", `,"ExpressionAttributeValues":{}`), env + "ExpressionAttributeValues must not be empty"},

		{empty, "condition", "PutItem", condition("", ""), env + inCond + "The expression can not be empty;"},
		{empty, "update", "UpdateItem", update("", ""), env + inUpdate + "The expression can not be empty;"},
		{empty, "both", "UpdateItem", update("", `,"ConditionExpression":""`), env + inCond + "The expression can not be empty;"},
		{empty, "blanks", "PutItem", condition("   ", ""), env + inCond + `Syntax error; token: "<EOF>", near: "   "`},

		{mixed, "condition", "DeleteItem", `{"TableName":"$H",` + hashKey + `,"ConditionExpression":"attribute_exists(a)","ConditionalOperator":"OR"}`, env + mixing + "{ConditionExpression}"},
		{mixed, "key condition", "Query", `{"TableName":"$H",` + byKey + `,"ConditionalOperator":"OR"}`, mixing + "{KeyConditionExpression}"},
		{mixed, "filter", "Scan", `{"TableName":"$H","FilterExpression":"attribute_exists(a)","ConditionalOperator":"OR"}`, mixing + "{FilterExpression}"},

		{malform, "exists", "PutItem", expected(`{"Exists":true}`), env + invalid + "Value must be provided when Exists is true for Attribute: a"},
		{malform, "not exists", "PutItem", expected(`{"Exists":false,"Value":{"S":"x"}}`), env + invalid + "Value cannot be used when Exists is false for Attribute: a"},
		{malform, "nothing", "PutItem", expected(`{"ComparisonOperator":"EQ"}`), env + invalid + "Value or AttributeValueList must be used with ComparisonOperator: EQ for Attribute: a"},
		{malform, "arguments", "PutItem", expected(`{"ComparisonOperator":"BETWEEN","AttributeValueList":[{"S":"x"}]}`),
			env + invalid + "Invalid number of argument(s) for the BETWEEN ComparisonOperator"},
		{malform, "operator", "PutItem", expected(`{"ComparisonOperator":"X","AttributeValueList":[{"S":"x"}]}`), env + invalid + "Invalid comparison operator"},

		{dataSide, "key type", "PutItem", `{"TableName":"$H","Item":{"pk":{"N":"1"}}}`, invalid + "Type mismatch for key pk expected: S actual: N"},
		{dataSide, "of the key", "UpdateItem", update("SET pk = :v", `,"ExpressionAttributeValues":{":v":{"S":"x"}}`),
			invalid + "Cannot update attribute pk. This attribute is part of the key"},
		{dataSide, "missing attribute", "UpdateItem", `{"TableName":"$H","Key":{"pk":{"S":"none"}},"UpdateExpression":"SET a = b"}`,
			"The provided expression refers to an attribute that does not exist in the item"},
		{dataSide, "path", "UpdateItem", `{"TableName":"$H","Key":{"pk":{"S":"none"}},"UpdateExpression":"SET a.b = :v","ExpressionAttributeValues":{":v":{"S":"x"}}}`,
			"The document path provided in the update expression is invalid for update"},
		{dataSide, "empty key", "PutItem", `{"TableName":"$H","Item":{"pk":{"S":""}}}`,
			"One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty string value. Key: pk"},
		{dataSide, "empty value", "PutItem", `{"TableName":"$H","Item":{"pk":{"S":"a"},"v":{}}}`,
			"Supplied AttributeValue is empty, must contain exactly one of the supported datatypes"},
		{dataSide, "empty value, no table", "PutItem", `{"TableName":"$X","Item":{"pk":{"S":"a"},"v":{}}}`, "ResourceNotFoundException!Requested resource not found"},
		{dataSide, "size", "PutItem", `{"TableName":"$H","Item":{"pk":{"S":"a"},"v":{"S":"` + strings.Repeat("x", 410_000) + `"}}}`, "Item size has exceeded the maximum allowed size"},
		{dataSide, "size, no table", "PutItem", `{"TableName":"$X","Item":{"pk":{"S":"a"},"v":{"S":"` + strings.Repeat("x", 410_000) + `"}}}`,
			"ResourceNotFoundException!Requested resource not found"},

		{size, "condition", "PutItem", condition(long, ""), env + inCond + tooLong},
		{size, "update", "UpdateItem", update(long, ""), env + inUpdate + tooLong},
		{size, "projection", "GetItem", `{"TableName":"$H",` + hashKey + `,"ProjectionExpression":"` + long + `"}`, "Invalid ProjectionExpression: " + tooLong},
		{size, "filter", "Query", filter(long), "Invalid FilterExpression: " + tooLong},
		{size, "filter", "Scan", `{"TableName":"$H","FilterExpression":"` + long + `"}`, "Invalid FilterExpression: Expression size has exceeded the maximum allowed size; expression size: 4097"},
		{size, "condition", "TransactWriteItems", `{"TransactItems":[{"Put":` + condition(long, "") + `}]}`,
			inCond + "Expression size has exceeded the maximum allowed size; expression size: 4097"},
	})
}

func TestMembersOfWrites(t *testing.T) {
	const (
		old     = "[1.56 C DX R2 10-09 H]"
		noName  = "[1.59 T PS R4 10-09 H]"
		badName = "[1.60 C DX R7 10-09 H]"
		enums   = "[1.61 C DX R7 10-09 H]"
		retVals = "[1.62 T PS R4 10-09 H]"
		putDel  = "[1.65 C DX R7 10-09 H]"
		updates = "[1.66 C DX R7 10-09 H]"
		noKey   = "[1.67, 1.08 C DX R7 10-09 H]"
		parts   = "[1.68 C DX R7 10-09 M]"
	)
	all := `"ReturnConsumedCapacity":"X","ReturnValues":"X","ReturnItemCollectionMetrics":"X","ReturnValuesOnConditionCheckFailure":"X"`
	long, longARN := strings.Repeat("a", 256), "arn:aws:dynamodb:us-east-1:000000000000:table/"+strings.Repeat("a", 1000)
	named := func(name string) string { return `{"TableName":"` + name + `",` + hashItem + `}` }
	const most255 = cst + "Member must have length less than or equal to 255"
	ask(t, []asked{
		{old, "ALL_NEW", "DeleteItem", `{"TableName":"$X",` + hashKey + `,"ReturnValues":"ALL_NEW","ConditionExpression":"a b c"}`, env + onlyOld},
		{old, "after the others", "DeleteItem", `{"TableName":"$H",` + hashKey + `,"ReturnValues":"UPDATED_OLD","ReturnConsumedCapacity":"X"}`, env2 + badRCC + "; " + onlyOld},

		{noName, "empty", "PutItem", named(""), env + emptyTable},
		{noName, "empty", "GetItem", `{"TableName":"",` + hashKey + `}`, env + emptyTable},
		{noName, "empty", "Query", `{"TableName":"",` + byKey + `}`, env + emptyTable},
		{badName, "long", "PutItem", named(long), env + "Value '" + long + "' at 'tableName'" + most255},
		{badName, "long ARN", "PutItem", named(longARN), env + "Value '" + longARN + "' at 'tableName'" + cst + "Member must have length less than or equal to 1024"},
		{badName, "characters", "PutItem", named("a!bc"), env + "Value 'a!bc' at 'tableName'" + pattern},
		{badName, "short", "PutItem", named("ab"), env + "Value 'ab' at 'tableName'" + atLeast3},
		{badName, "short", "GetItem", `{"TableName":"ab",` + hashKey + `}`, env + "Value 'ab' at 'tableName'" + atLeast3},

		{enums, "capacity", "PutItem", `{"TableName":"$H",` + hashItem + `,"ReturnConsumedCapacity":"X"}`, env + badRCC},
		{enums, "metrics", "PutItem", `{"TableName":"$H",` + hashItem + `,"ReturnItemCollectionMetrics":"X"}`, env + badRICM},
		{enums, "on failure", "PutItem", `{"TableName":"$H",` + hashItem + `,"ReturnValuesOnConditionCheckFailure":"X"}`, env + badRVOCCF},
		{retVals, "", "PutItem", `{"TableName":"$H",` + hashItem + `,"ReturnValues":"X"}`, env + badRV},
		{retVals, "", "UpdateItem", `{"TableName":"$H",` + hashKey + `,"ReturnValues":"UPDATE_NEW"}`, env + badRV},
		{retVals, "", "DeleteItem", `{"TableName":"$H",` + hashKey + `,"ReturnValues":"X"}`, env + badRV},

		{putDel, "empty name alone", "PutItem", `{"TableName":"",` + hashItem + `,` + all + `}`, env + emptyTable},
		{putDel, "all", "PutItem", `{"TableName":"$H",` + hashItem + `,` + all + `}`, env4 + strings.Join([]string{badRCC, badRV, badRICM, badRVOCCF}, "; ")},
		{putDel, "name first", "DeleteItem", `{"TableName":"a!",` + hashKey + `,"ReturnConsumedCapacity":"X","ReturnValues":"X"}`,
			env3 + "Value 'a!' at 'tableName'" + atLeast3 + "; " + badRCC + "; " + badRV},
		{putDel, "three", "PutItem", `{"TableName":"$H",` + hashItem + `,"ReturnConsumedCapacity":"X","ReturnValues":"X","ReturnItemCollectionMetrics":"X"}`,
			env3 + strings.Join([]string{badRCC, badRV, badRICM}, "; ")},
		{putDel, "then ConditionalOperator", "PutItem", `{"TableName":"$H",` + hashItem + `,"ConditionalOperator":"X","ReturnConsumedCapacity":"X"}`, env + badRCC},

		{updates, "name alone", "UpdateItem", `{"TableName":"a!",` + hashKey + `,` + all + `}`,
			env2 + "Value 'a!' at 'tableName'" + pattern + "; Value 'a!' at 'tableName'" + atLeast3},
		{updates, "ReturnValues first", "UpdateItem", `{"TableName":"$H",` + hashKey + `,` + all + `}`, env + badRV},
		{updates, "then on failure", "UpdateItem", `{"TableName":"$H",` + hashKey +
			`,"ReturnConsumedCapacity":"X","ReturnItemCollectionMetrics":"X","ReturnValuesOnConditionCheckFailure":"X"}`, badRVOCCF},
		{updates, "then metrics", "UpdateItem", `{"TableName":"$H",` + hashKey + `,"ReturnConsumedCapacity":"X","ReturnItemCollectionMetrics":"X"}`, env + badRICM},
		{updates, "then capacity", "UpdateItem", `{"TableName":"$H",` + hashKey + `,"ReturnConsumedCapacity":"X"}`, badRCC},

		{noKey, "enums in their older form", "UpdateItem", `{"TableName":"$H",` + all + `,"ConditionalOperator":"X"}`,
			"6 validation errors detected: " + strings.Join([]string{badRCC, badRVOCCF, badRICM, oldRV, "Value 'X' at 'conditionalOperator'" + enumSet + "[OR, AND]",
				"Value null at 'key'" + notNull}, "; ")},
		{noKey, "short name", "UpdateItem", `{"TableName":"ab"}`, env + "Value null at 'key'" + notNull},
		{noKey, "empty name", "UpdateItem", `{"TableName":""}`, env2 + "Value '' at 'tableName'" + atLeast1 + "; Value null at 'key'" + notNull},
		{parts, "no key", "DeleteItem", `{"TableName":"$H","ReturnConsumedCapacity":"X"}`, env + "Value null at 'key'" + notNull},
		{parts, "no name", "PutItem", `{` + hashItem + `}`, env + "Value null at 'tableName'" + notNull},
	})
}

func TestConditionalOperator(t *testing.T) {
	const (
		unknown = "[1.63 C DX R7 10-09 H]"
		needs   = "[1.64 C DX R7 10-09 H]"
	)
	put := func(op, rest string) string {
		return `{"TableName":"$H",` + hashItem + `,"ConditionalOperator":"` + op + `"` + rest + `}`
	}
	query := func(op, rest string) string {
		return `{"TableName":"$H",` + oldKey + `,"ConditionalOperator":"` + op + `"` + rest + `}`
	}
	ask(t, []asked{
		{unknown, "expected", "PutItem", put("XOR", `,"Expected":`+two), env + badOp},
		{unknown, "filter", "Query", query("XOR", `,"QueryFilter":`+two), badOp},
		{unknown, "filter", "Scan", `{"TableName":"$H","ConditionalOperator":"XOR","ScanFilter":` + two + `}`,
			badOp + " || " + env + "Value 'XOR' at 'conditionalOperator'" + enumSet + "[OR, AND]"},
		{needs, "nothing", "PutItem", put("XOR", ""), env + alone1},
		{needs, "one", "PutItem", put("AND", `,"Expected":`+oneOf), env + ofOne},
		{needs, "nothing", "UpdateItem", `{"TableName":"$H",` + hashKey + `,"ConditionalOperator":"OR"}`, env + alone1},
		{needs, "nothing", "Query", query("OR", ""), alone1},
		{needs, "one", "Query", query("OR", `,"QueryFilter":`+oneOf), ofOne},
		{needs, "nothing", "Scan", `{"TableName":"$H","ConditionalOperator":"OR"}`, alone1},
		{needs, "one", "Scan", `{"TableName":"$H","ConditionalOperator":"OR","ScanFilter":` + oneOf + `}`, ofOne},
	})
}

func TestMembersOfReads(t *testing.T) {
	const (
		get     = "[1.69 C DX R7 10-09 H]"
		query   = "[1.70, 3.13 C DX R7 10-09 H]"
		noTable = "[1.71, 1.08 C DX R7 10-09 H]"
		pairing = "[1.73 C DX 10-20 M]"
		scan    = "[1.72, 1.74, 1.04 C DX euw2/euc1 10-20 M]"
		limits  = "[1.75 C DX 10-20 M]"
	)
	const (
		limit     = "Value at 'Limit'" + cst + "Member must have value greater than or equal to 1"
		badSelect = "Value 'X' at 'select'" + enumSet + "[SPECIFIC_ATTRIBUTES, COUNT, ALL_ATTRIBUTES, ALL_PROJECTED_ATTRIBUTES]"
		badChars  = "Value 'a!bc' at 'tableName'" + pattern
		noName    = "Value null at 'tableName'" + notNull
		zero      = "Value '0' at 'limit'" + cst + "Member must have value greater than or equal to 1"
		beyond    = "The Segment parameter is zero-based and must be less than parameter TotalSegments"
	)
	ask(t, []asked{
		{get, "empty name alone", "GetItem", `{"TableName":"",` + hashKey + `,"ReturnConsumedCapacity":"X"}`, env + emptyTable},
		{get, "name and capacity", "GetItem", `{"TableName":"a!bc",` + hashKey + `,"ReturnConsumedCapacity":"X"}`, env2 + badChars + "; " + badRCC},
		{query, "limit and empty name", "Query", `{"TableName":"","Limit":0,"ReturnConsumedCapacity":"X",` + byKey + `}`, env2 + limit + "; " + emptyTable},
		{query, "limit alone", "Query", `{"TableName":"a!bc","Limit":0,"ReturnConsumedCapacity":"X",` + byKey + `}`, env + limit},
		{query, "name and capacity", "Query", `{"TableName":"a!bc","ReturnConsumedCapacity":"X","Select":"X",` + byKey + `}`, env2 + badChars + "; " + badRCC},
		{query, "operator before select", "Query", `{"TableName":"$H","ConditionalOperator":"OR","Select":"X",` + oldKey + `}`, alone1},
		{query, "select", "Query", `{"TableName":"$H","Select":"X",` + byKey + `}`, env + badSelect},
		{query, "select has a case", "Query", `{"TableName":"$H","Select":"count",` + byKey + `}`, env + strings.Replace(badSelect, "'X'", "'count'", 1)},
		{noTable, "joined", "Query", `{"Limit":0,"ReturnConsumedCapacity":"X","Select":"X",` + byKey + `}`, env4 + strings.Join([]string{badSelect, badRCC, noName, zero}, "; ")},
		{scan, "older, or limit and empty name", "Scan", `{"TableName":"","Limit":0}`,
			env2 + "Value '' at 'tableName'" + atLeast1 + "; " + zero + " || " + env2 + limit + "; " + emptyTable},
		{scan, "without a name", "Scan", `{"Select":"X","ReturnConsumedCapacity":"X","ConditionalOperator":"X","Segment":-1,"Limit":0}`,
			"6 validation errors detected: " + strings.Join([]string{badSelect, badRCC, noName, "Value 'X' at 'conditionalOperator'" + enumSet + "[OR, AND]",
				"Value '-1' at 'segment'" + cst + "Member must have value greater than or equal to 0", zero}, "; ")},
		{scan, "without an operator", "Scan", `{"TableName":"$H","ScanFilter":{"a":{}},"Limit":0}`,
			env2 + "Value null at 'scanFilter.a.member.comparisonOperator'" + notNull + "; " + zero},
		{pairing, "beyond", "Scan", `{"TableName":"$H","Segment":5,"TotalSegments":5}`, beyond + ": Segment: 5 is not less than TotalSegments: 5 || " + beyond},
		{pairing, "segment alone", "Scan", `{"TableName":"$H","Segment":0}`,
			"The TotalSegments parameter is required but was not present in the request when Segment parameter is present"},
		{pairing, "total alone", "Scan", `{"TableName":"$H","TotalSegments":2}`,
			"The Segment parameter is required but was not present in the request when parameter TotalSegments is present"},
		{limits, "beyond 32 bits", "Query", `{"TableName":"$H","Limit":99999999999,` + byKey + `}`, ""},
		{limits, "fraction", "Query", `{"TableName":"$H","Limit":1.5,` + byKey + `}`, ""},
		{limits, "older form below", "Query", `{"TableName":"$H","Limit":0.5,` + byKey + `}`, env + zero},
	})
}

func TestSelect(t *testing.T) {
	const (
		excluded = "[3.09 T MT use1 08 H]"
		needed   = "[3.10 C DX 10-20 H]"
		ofIndex  = "[3.11 T MT use1 08 H]"
	)
	newer := func(text string) string { return text + " || " + env + text }
	none := func(parameter, what string) string {
		return "Cannot specify the " + parameter + " when choosing to get " + what
	}
	const (
		must    = "Must specify the AttributesToGet or ProjectionExpression when choosing to get SPECIFIC_ATTRIBUTES"
		byIndex = "ALL_PROJECTED_ATTRIBUTES can be used only when Querying using an IndexName"
	)
	var rows []asked
	for name, what := range map[string]string{"COUNT": "only the Count", "ALL_ATTRIBUTES": "ALL_ATTRIBUTES", "ALL_PROJECTED_ATTRIBUTES": "ALL_PROJECTED_ATTRIBUTES"} {
		rows = append(rows,
			asked{excluded, name, "Query", `{"TableName":"$H","Select":"` + name + `","ProjectionExpression":"a",` + byKey + `}`, env + none("ProjectionExpression", what)},
			asked{excluded, name, "Scan", `{"TableName":"$H","Select":"` + name + `","ProjectionExpression":"a"}`, newer(none("ProjectionExpression", what))},
			asked{excluded, name + " to get", "Query", `{"TableName":"$H","Select":"` + name + `","AttributesToGet":["a"],` + oldKey + `}`, env + none("AttributesToGet", what)},
			asked{excluded, name + " to get", "Scan", `{"TableName":"$H","Select":"` + name + `","AttributesToGet":["a"]}`, newer(none("AttributesToGet", what))},
		)
	}
	ask(t, append(rows,
		asked{needed, "", "Query", `{"TableName":"$H","Select":"SPECIFIC_ATTRIBUTES",` + byKey + `}`, env + must},
		asked{needed, "", "Scan", `{"TableName":"$H","Select":"SPECIFIC_ATTRIBUTES"}`, newer(must)},
		asked{ofIndex, "", "Query", `{"TableName":"$H","Select":"ALL_PROJECTED_ATTRIBUTES",` + byKey + `}`, env + byIndex},
		asked{ofIndex, "", "Scan", `{"TableName":"$H","Select":"ALL_PROJECTED_ATTRIBUTES"}`, newer(byIndex)},
	))
}

func TestKeyConditions(t *testing.T) {
	const (
		twice     = "[3.01 T PS R2 10 H]"
		types     = "[3.02 C DX euw2 10 H]"
		mismatch  = "[3.03 C DX euw2 10 H]"
		legacy    = "[3.04 C DX 10 M]"
		undefined = "[3.05 T MT/PS H]"
		names     = "[3.06 T MT use1 08 M]"
		empty     = "[3.07 T MT use1 08 H]"
		lone      = "[3.08 C DX 10 H]"
		tooMany   = "[3.17 T PS euw2 10 H]"
		index     = "[3.14 T PS/MT H]"
		start     = "[3.15 C DX R2 10-09 H]"
	)
	const in, cond = "Invalid KeyConditionExpression: ", "KeyConditionExpression"
	query := func(table, condition, values, rest string) string {
		return `{"TableName":"` + table + `","` + cond + `":"` + condition + `","ExpressionAttributeValues":{` + values + `}` + rest + `}`
	}
	operand := func(op, kind string) string {
		return in + "Incorrect operand type for operator or function; operator or function: " + op + ", operand type: " + kind
	}
	between := func(a, b string) string {
		return `{"TableName":"$R","KeyConditions":{"pk":{"ComparisonOperator":"EQ","AttributeValueList":[{"S":"a"}]},` +
			`"sk":{"ComparisonOperator":"BETWEEN","AttributeValueList":[` + a + `,` + b + `]}}}`
	}
	const p, n, m, typeMismatch = `":p":{"S":"a"}`, `":n":{"N":"1"}`, `":m":{"M":{}}`, invalid + "Condition parameter type does not match schema type"
	ask(t, []asked{
		{twice, "", "Query", query("$R", "pk = :p AND sk > :n AND sk < :n", p+","+n, ""), in + "KeyConditionExpressions must only contain one condition per key"},
		{types, "begins_with a number", "Query", query("$X", "pk = :p AND begins_with(sk, :n)", p+","+n, ""), operand("begins_with", "N")},
		{types, "less than a map", "Query", query("$X", "pk = :p AND sk < :m", p+","+m, ""), operand("<", "M")},
		{types, "value first", "Query", query("$X", "pk = :p AND :m >= sk", p+","+m, ""), operand(">=", "M")},
		{types, "BETWEEN maps", "Query", query("$X", "pk = :p AND sk BETWEEN :m AND :m", p+","+m, ""), operand("BETWEEN", "M")},
		{types, "undefined value first", "Query", query("$X", "pk = :none AND sk < :m", p+","+m, ""),
			in + "An expression attribute value used in expression is not defined; attribute value: :none"},
		{types, "wrong type first", "Query", query("$X", "sk < :m AND pk = :none", p+","+m, ""), operand("<", "M")},
		{mismatch, "hash", "Query", query("$R", "pk = :n", n, ""), typeMismatch},
		{mismatch, "a map", "Query", query("$R", "pk = :p AND sk = :m", p+","+m, ""), typeMismatch},
		{mismatch, "after the table", "Query", query("$X", "pk = :n", n, ""), "ResourceNotFoundException!Requested resource not found"},
		{mismatch, "older", "Query", `{"TableName":"$R","KeyConditions":{"pk":{"ComparisonOperator":"EQ","AttributeValueList":[{"N":"1"}]}}}`, typeMismatch},
		{legacy, "two types", "Query", between(`{"N":"1"}`, `{"S":"a"}`), invalid + "AttributeValues inside AttributeValueList must be of same type"},
		{legacy, "maps", "Query", between(`{"M":{}}`, `{"M":{}}`), invalid + "ComparisonOperator BETWEEN is not valid for M AttributeValue type"},
		{undefined, "", "Query", query("$R", "pk = :missing", p, ""), in + "An expression attribute value used in expression is not defined; attribute value: :missing"},
		{names, "", "Query", query("$R", "pk = :p AND sk = pk", p, ""), in + "Invalid condition in KeyConditionExpression: Multiple attribute names used in one condition"},
		{names, "and an unused name", "Query", query("$R", "pk = :p AND sk = pk", p, `,"ExpressionAttributeNames":{"#x":"x"}`),
			in + "Invalid condition in KeyConditionExpression: Multiple attribute names used in one condition || " +
				"Value provided in ExpressionAttributeNames unused in expressions: keys: {#x}"},
		{empty, "filter", "Query", query("$R", "pk = :p AND pk = :p", p, `,"FilterExpression":""`), "Invalid FilterExpression: The expression can not be empty;"},
		{empty, "projection", "Query", query("$R", "pk = :p AND pk = :p", p, `,"ProjectionExpression":""`), "Invalid ProjectionExpression: The expression can not be empty;"},
		{tooMany, "", "Query", query("$R", "pk = :p AND sk > :n AND x = :p", p+","+n, ""), "The number of query conditions (3) exceeds the number of key attributes defined in the schema (2)"},
		{tooMany, "operands first", "Query", query("$R", "pk = :p AND sk < :m AND x = :p", p+","+m, ""), operand("<", "M")},
		{lone, "range on the hash key", "Query", query("$H", "pk > :p", p, ""), "Query key condition not supported"},
		{lone, "after the table", "Query", query("$X", "pk > :p", p, ""), "ResourceNotFoundException!Requested resource not found"},
		{lone, "sort key first", "Query", query("$R", "sk = :n AND pk = :p", p+","+n, ""), ""},
		{index, "unknown", "Query", query("$H", "pk = :p", p, `,"IndexName":"nope"`), "The table does not have the specified index: nope"},
		{index, "unknown", "Scan", `{"TableName":"$H","IndexName":"nope"}`, "The table does not have the specified index: nope"},
		{start, "names", "Query", query("$R", "pk = :p", p, `,"ExclusiveStartKey":{"pk":{"S":"a"}}`), "The provided starting key is invalid"},
		{start, "empty set", "Query", query("$R", "pk = :p", p, `,"ExclusiveStartKey":{"pk":{"S":"a"},"sk":{"SS":[]}}`), invalid + "An string set  may not be empty"},
		{start, "empty value", "Query", query("$R", "pk = :p", p, `,"ExclusiveStartKey":{"pk":{"S":"a"},"sk":{}}`),
			"The provided starting key is invalid: Supplied AttributeValue is empty..."},
	})
}
