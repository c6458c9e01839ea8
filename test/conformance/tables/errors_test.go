package tables

import (
	"fmt"
	"strings"
	"testing"

	"github.com/millstreamdb/millstream/test/conformance/harness"
)

// The rows follow the order of AWS's checks: shape, constraints, the
// operation's own rules, the table, its schema, the item.

func TestConstraintErrors(t *testing.T) {
	check(t, []row{
		{"bad enum", "PutItem", `{"TableName":"$H","Item":{"pk":{"S":"a"}},"ReturnConsumedCapacity":"x"}`, validation,
			"1 validation error detected: Value 'x' at 'returnConsumedCapacity' failed to satisfy constraint: Member must satisfy enum value set: [INDEXES, TOTAL, NONE]"},
		{"bad ReturnValues", "UpdateItem", `{"TableName":"$H","Key":{"pk":{"S":"a"}},"ReturnValues":"x"}`, validation,
			env + badRV},
		{"no key", "GetItem", `{"TableName":"$H"}`, validation, "1 validation error detected: Value null at 'key' failed to satisfy constraint: Member must not be null"},
		{"no item", "PutItem", `{"TableName":"$H"}`, validation, "1 validation error detected: Value null at 'item' failed to satisfy constraint: Member must not be null"},
		{"bad name", "GetItem", `{"TableName":"a b","Key":{"pk":{"S":"a"}}}`, validation, "1 validation error detected: Value 'a b' at 'tableName' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+"},
		{"scan limit", "Scan", `{"TableName":"$H","Limit":0}`, validation, "1 validation error detected: Value '0' at 'limit' failed to satisfy constraint: Member must have value greater than or equal to 1"},
		{"query limit", "Query", `{"TableName":"$H","Limit":0,"KeyConditionExpression":"pk = :a","ExpressionAttributeValues":{":a":{"S":"a"}}}`, validation, ""},
		{"select", "Query", `{"TableName":"$H","Select":"x","KeyConditionExpression":"pk = :a","ExpressionAttributeValues":{":a":{"S":"a"}}}`, validation,
			"1 validation error detected: Value 'x' at 'select' failed to satisfy constraint: Member must satisfy enum value set: [SPECIFIC_ATTRIBUTES, COUNT, ALL_ATTRIBUTES, ALL_PROJECTED_ATTRIBUTES]"},
		{"no name", "CreateTable", `{}`, validation, ""},
		{"limit over 100", "ListTables", `{"Limit":101}`, validation, "1 validation error detected: Value '101' at 'limit' failed to satisfy constraint: Member must have value less than or equal to 100"},
	})
}

func TestValueErrors(t *testing.T) {
	put := func(name, value, message string) row {
		return row{name, "PutItem", `{"TableName":"$H","Item":{"pk":{"S":"a"},"v":` + value + `}}`, validation, message}
	}
	check(t, []row{
		put("empty value", `{}`, "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes"),
		put("unknown type", `{"dog":"x"}`, "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes"),
		put("two types", `{"S":"a","N":"1"}`, "Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported datatypes"),
		put("false null", `{"NULL":false}`, invalid+"Null attribute value types must have the value of true"),
		put("empty SS", `{"SS":[]}`, invalid+"An string set  may not be empty"),
		put("empty NS", `{"NS":[]}`, invalid+"An number set  may not be empty"),
		put("empty BS", `{"BS":[]}`, invalid+"Binary sets should not be empty"),
		put("SS twice", `{"SS":["a","a"]}`, invalid+`Input collection ["a", "a"] contains duplicates.`),
		put("BS twice", `{"BS":["Yg==","Yg=="]}`, invalid+`Input collection ["Yg==","Yg=="]of type BS contains duplicates.`),
		put("NS twice by value", `{"NS":["1","1.0"]}`, invalid+"Input collection contains duplicates."),
		put("empty number", `{"N":""}`, nan+": "),
		put("junk number", `{"N":"1+2"}`, "The parameter cannot be converted to a numeric value: 1+2"),
		put("NaN", `{"N":"NaN"}`, "The parameter cannot be converted to a numeric value: NaN"),
		put("blank in number", `{"N":" 1"}`, ""),
		put("39 digits", `{"N":"123456789012345678901234567890123456789"}`, "Attempting to store more than 38 significant digits in a Number"),
		put("too large", `{"N":"1e126"}`, "Number overflow. Attempting to store a number with magnitude larger than supported range"),
		put("too small", `{"N":"1e-131"}`, "Number underflow. Attempting to store a number with magnitude smaller than supported range"),
		put("in a list", `{"L":[{"N":"x"}]}`, "The parameter cannot be converted to a numeric value: x"),
		{"empty strings are values", "PutItem", `{"TableName":"$H","Item":{"pk":{"S":"a"},"s":{"S":""},"b":{"B":""},"ss":{"SS":[""]},"l":{"L":[]},"m":{"M":{}}}}`, "", ""},
	})
}

func TestKeyErrors(t *testing.T) {
	mismatch := "The provided key element does not match the schema"
	check(t, []row{
		{"missing key", "PutItem", `{"TableName":"$H","Item":{"a":{"S":"a"}}}`, validation, invalid + "Missing the key pk in the item"},
		{"missing sort key", "PutItem", `{"TableName":"$R","Item":{"pk":{"S":"a"}}}`, validation, invalid + "Missing the key sk in the item"},
		{"wrong type", "PutItem", `{"TableName":"$H","Item":{"pk":{"N":"1"}}}`, validation, invalid + "Type mismatch for key pk expected: S actual: N"},
		{"wrong sort type", "PutItem", `{"TableName":"$R","Item":{"pk":{"S":"a"},"sk":{"S":"1"}}}`, validation, invalid + "Type mismatch for key sk expected: N actual: S"},
		{"empty key", "PutItem", `{"TableName":"$H","Item":{"pk":{"S":""}}}`, validation, "One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty string value. Key: pk"},
		{"empty binary key", "PutItem", `{"TableName":"$B","Item":{"pk":{"B":""},"sk":{"S":"x"}}}`, validation, "One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty binary value. Key: pk"},
		{"long key", "PutItem", `{"TableName":"$H","Item":{"pk":{"S":"$LONG2049"}}}`, validation, invalid + "Size of hashkey has exceeded the maximum size limit of2048 bytes"},
		{"long key", "GetItem", `{"TableName":"$H","Key":{"pk":{"S":"$LONG2049"}}}`, validation, invalid + "Size of hashkey has exceeded the maximum size limit of2048 bytes"},
		{"long sort key", "PutItem", `{"TableName":"$B","Item":{"pk":{"B":"YQ=="},"sk":{"S":"$LONG2049"}}}`, validation, invalid + "Aggregated size of all range keys has exceeded the size limit of 1024 bytes"},
		{"wrong name", "GetItem", `{"TableName":"$H","Key":{"id":{"S":"a"}}}`, validation, mismatch},
		{"wrong type", "GetItem", `{"TableName":"$H","Key":{"pk":{"N":"1"}}}`, validation, mismatch},
		{"too many", "GetItem", `{"TableName":"$H","Key":{"pk":{"S":"a"},"sk":{"S":"a"}}}`, validation, mismatch},
		{"too few", "DeleteItem", `{"TableName":"$R","Key":{"pk":{"S":"a"}}}`, validation, mismatch},
		{"none", "UpdateItem", `{"TableName":"$R","Key":{}}`, validation, mismatch},
		{"of the key", "UpdateItem", `{"TableName":"$H","Key":{"pk":{"S":"a"}},"UpdateExpression":"SET pk = :a","ExpressionAttributeValues":{":a":{"S":"b"}}}`, validation,
			invalid + "Cannot update attribute pk. This attribute is part of the key"},
		{"bad put in a batch", "BatchWriteItem", `{"RequestItems":{"$H":[{"PutRequest":{"Item":{"pk":{"N":"1"}}}}]}}`, validation, mismatch},
	})
}

func TestTableErrors(t *testing.T) {
	gone := "Requested resource not found"
	check(t, []row{
		{"absent", "GetItem", `{"TableName":"$X","Key":{"pk":{"S":"a"}}}`, notFound, gone},
		{"absent", "PutItem", `{"TableName":"$X","Item":{"pk":{"S":"a"}}}`, notFound, gone},
		{"absent", "UpdateItem", `{"TableName":"$X","Key":{"pk":{"S":"a"}}}`, notFound, gone},
		{"absent", "DeleteItem", `{"TableName":"$X","Key":{"pk":{"S":"a"}}}`, notFound, gone},
		{"absent", "Query", `{"TableName":"$X","KeyConditionExpression":"pk = :a","ExpressionAttributeValues":{":a":{"S":"a"}}}`, notFound, gone},
		{"absent", "Scan", `{"TableName":"$X"}`, notFound, gone},
		{"absent", "BatchGetItem", `{"RequestItems":{"$X":{"Keys":[{"pk":{"S":"a"}}]}}}`, notFound, gone},
		{"absent", "BatchWriteItem", `{"RequestItems":{"$X":[{"DeleteRequest":{"Key":{"pk":{"S":"a"}}}}]}}`, notFound, gone},
		{"absent", "DescribeTable", `{"TableName":"$X"}`, notFound, "Requested resource not found: Table: $X not found"},
		{"absent", "DeleteTable", `{"TableName":"$X"}`, notFound, "Requested resource not found: Table: $X not found"},
		// A value error is met before the table is looked for, a key error after.
		{"value before table", "PutItem", `{"TableName":"$X","Item":{"pk":{"N":"x"}}}`, validation, "The parameter cannot be converted to a numeric value: x"},
		{"expression before table", "PutItem", `{"TableName":"$X","Item":{"pk":{"S":"a"}},"ConditionExpression":"x"}`, validation, ""},
		{"table before key", "PutItem", `{"TableName":"$X","Item":{}}`, notFound, gone},
	})
}

func TestParameterErrors(t *testing.T) {
	check(t, []row{
		{"ALL_NEW", "PutItem", `{"TableName":"$H","Item":{"pk":{"S":"a"}},"ReturnValues":"ALL_NEW"}`, validation, "ReturnValues can only be ALL_OLD or NONE"},
		{"UPDATED_OLD", "DeleteItem", `{"TableName":"$H","Key":{"pk":{"S":"a"}},"ReturnValues":"UPDATED_OLD"}`, validation, "ReturnValues can only be ALL_OLD or NONE"},
		{"both kinds", "PutItem", `{"TableName":"$H","Item":{"pk":{"S":"a"}},"Expected":{"a":{"Exists":false}},"ConditionExpression":"attribute_exists(a)"}`, validation,
			"Can not use both expression and non-expression parameters in the same request: Non-expression parameters: {Expected} Expression parameters: {ConditionExpression}"},
		{"names without expression", "GetItem", `{"TableName":"$H","Key":{"pk":{"S":"a"}},"ExpressionAttributeNames":{"#a":"a"}}`, validation, "ExpressionAttributeNames can only be specified when using expressions"},
		{"values without expression", "PutItem", `{"TableName":"$H","Item":{"pk":{"S":"a"}},"ExpressionAttributeValues":{":a":{"S":"a"}}}`, validation,
			"ExpressionAttributeValues can only be specified when using expressions"},
		{"values without expression", "UpdateItem", `{"TableName":"$H","Key":{"pk":{"S":"a"}},"ExpressionAttributeValues":{":a":{"S":"a"}}}`, validation,
			"ExpressionAttributeValues can only be specified when using expressions"},
		{"empty names", "GetItem", `{"TableName":"$H","Key":{"pk":{"S":"a"}},"ProjectionExpression":"a","ExpressionAttributeNames":{}}`, validation, "ExpressionAttributeNames must not be empty"},
		{"bad name key", "GetItem", `{"TableName":"$H","Key":{"pk":{"S":"a"}},"ProjectionExpression":"a","ExpressionAttributeNames":{"a":"a"}}`, validation,
			`ExpressionAttributeNames contains invalid key: Syntax error; key: "a"`},
		{"bad value", "PutItem", `{"TableName":"$H","Item":{"pk":{"S":"a"}},"ConditionExpression":"a = :a","ExpressionAttributeValues":{":a":{"N":"x"}}}`, validation,
			nan + ": x"},
		{"no key condition", "Query", `{"TableName":"$H"}`, validation, "Either the KeyConditions or KeyConditionExpression parameter must be specified in the request."},
		{"segment alone", "Scan", `{"TableName":"$H","Segment":0}`, validation, "The TotalSegments parameter is required but was not present in the request when Segment parameter is present"},
		{"total alone", "Scan", `{"TableName":"$H","TotalSegments":2}`, validation, "The Segment parameter is required but was not present in the request when parameter TotalSegments is present"},
		{"segment beyond", "Scan", `{"TableName":"$H","Segment":5,"TotalSegments":5}`, validation,
			"The Segment parameter is zero-based and must be less than parameter TotalSegments: Segment: 5 is not less than TotalSegments: 5"},
		{"select without projection", "Scan", `{"TableName":"$H","Select":"SPECIFIC_ATTRIBUTES"}`, validation,
			"Must specify the AttributesToGet or ProjectionExpression when choosing to get SPECIFIC_ATTRIBUTES"},
		{"count with projection", "Scan", `{"TableName":"$H","Select":"COUNT","ProjectionExpression":"a"}`, validation, "Cannot specify the ProjectionExpression when choosing to get only the Count"},
		{"projected without index", "Query", `{"TableName":"$H","Select":"ALL_PROJECTED_ATTRIBUTES","KeyConditionExpression":"pk = :a","ExpressionAttributeValues":{":a":{"S":"a"}}}`, validation,
			"ALL_PROJECTED_ATTRIBUTES can be used only when Querying using an IndexName"},
		{"unknown index", "Query", `{"TableName":"$H","IndexName":"none","KeyConditionExpression":"pk = :a","ExpressionAttributeValues":{":a":{"S":"a"}}}`, validation,
			"The table does not have the specified index: none"},
	})
}

func TestExpressionErrors(t *testing.T) {
	condition := func(name, expression, values, message string) row {
		body := `{"TableName":"$H","Item":{"pk":{"S":"a"}},"ConditionExpression":"` + expression + `"`
		if values != "" {
			body += `,"ExpressionAttributeValues":{` + values + `}`
		}
		if message != "" && !strings.HasPrefix(message, "Value provided") {
			message = "Invalid ConditionExpression: " + message
		}
		return row{name, "PutItem", body + "}", validation, message}
	}
	update := func(name, expression, values, message string) row {
		body := `{"TableName":"$H","Key":{"pk":{"S":"a"}},"UpdateExpression":"` + expression + `"`
		if values != "" {
			body += `,"ExpressionAttributeValues":{` + values + `}`
		}
		if message != "" {
			message = "Invalid UpdateExpression: " + message
		}
		return row{name, "UpdateItem", body + "}", validation, message}
	}
	const a = `":a":{"S":"a"}`
	check(t, []row{
		condition("empty", "", "", "The expression can not be empty;"),
		condition("reserved", "name = :a", a, "Attribute name is a reserved keyword; reserved keyword: name"),
		condition("reserved later", "a.Status = :a", a, "Attribute name is a reserved keyword; reserved keyword: Status"),
		condition("undefined name", "#a = :a", a, "An expression attribute name used in the document path is not defined; attribute name: #a"),
		condition("undefined value", "a = :b", a, "An expression attribute value used in expression is not defined; attribute value: :b"),
		condition("unused value", "attribute_exists(b)", a, "Value provided in ExpressionAttributeValues unused in expressions: keys: {:a}"),
		condition("unknown function", "foo(a)", "", "Invalid function name; function: foo"),
		condition("size alone", "size(a)", "", "The function is not allowed to be used this way in an expression; function: size"),
		condition("exists compared", "attribute_exists(a) = :a", a, "The function is not allowed to be used this way in an expression; function: attribute_exists"),
		condition("operand count", "attribute_exists(a, b)", "", "Incorrect number of operands for operator or function; operator or function: attribute_exists, number of operands: 2"),
		condition("exists of a value", "attribute_exists(:a)", a, "Operator or function requires a document path; operator or function: attribute_exists"),
		condition("same operands", "a = a", "", "The first operand must be distinct from the remaining operands for this operator or function; operator: =, first operand: [a]"),
		condition("parentheses", "((a = :a))", a, "The expression has redundant parentheses;"),
		condition("begins_with a number", "begins_with(a, :a)", `":a":{"N":"1"}`, "Incorrect operand type for operator or function; operator or function: begins_with, operand type: N"),
		condition("type name", "attribute_type(a, :a)", a, ""),
		condition("between types", "a BETWEEN :a AND :b", a+`,":b":{"N":"1"}`,
			"The BETWEEN operator requires same data type for lower and upper bounds; lower bound operand: AttributeValue: {S:a}, upper bound operand: AttributeValue: {N:1}"),
		condition("between order", "a BETWEEN :b AND :a", a+`,":b":{"S":"b"}`,
			"The BETWEEN operator requires upper bound to be greater than or equal to lower bound; lower bound operand: AttributeValue: {S:b}, upper bound operand: AttributeValue: {S:a}"),
		condition("too long", "$LONG4097", "", "Expression size has exceeded the maximum allowed size;"),
		condition("too many operators", "a = :a"+strings.Repeat(" OR a = :a", 150)+" OR a = :a", a, "The expression contains too many operators; operator count: 303"),
		condition("syntax at the end", "a =", "", `Syntax error; token: "<EOF>", near: "="`),
		condition("bare path", "a", "", ""),
		update("syntax", "INVALID SYNTAX HERE", "", `Syntax error; token: "INVALID", near: "INVALID SYNTAX"`),
		update("lexer", "!!! INVALID", "", `Syntax error; token: "!", near: "!!"`),
		update("underscore", "SET _123 = :a", a, `Syntax error; token: "_", near: "SET _123"`),
		update("two sections", "SET a = :a SET b = :a", a, `The "SET" section can only be used once in an update expression;`),
		update("overlap", "SET a = :a, a.b = :a", a, "Two document paths overlap with each other; must remove or rewrite one of these paths; path one: [a], path two: [a, b]"),
		update("conflict", "SET a.b = :a, a[1] = :a", a, "Two document paths conflict with each other; must remove or rewrite one of these paths; path one: [a, b], path two: [a, [1]]"),
		update("ADD of a string", "ADD a :a", a, "Incorrect operand type for operator or function; operator: ADD, operand type: STRING, typeSet: ALLOWED_FOR_ADD_OPERAND"),
		update("DELETE of a number", "DELETE a :a", `":a":{"N":"1"}`, "Incorrect operand type for operator or function; operator: DELETE, operand type: NUMBER, typeSet: ALLOWED_FOR_ADD_OPERAND"),
		update("plus a string", "SET b = b + :a", a, "Incorrect operand type for operator or function; operator or function: +, operand type: S"),
		update("list_append of a string", "SET b = list_append(b, :a)", a, "Incorrect operand type for operator or function; operator or function: list_append, operand type: S"),
		{"overlap", "GetItem", `{"TableName":"$H","Key":{"pk":{"S":"a"}},"ProjectionExpression":"a.b, a"}`, validation,
			"Invalid ProjectionExpression: Two document paths overlap with each other; must remove or rewrite one of these paths; path one: [a, b], path two: [a]"},
		{"unused name", "GetItem", `{"TableName":"$H","Key":{"pk":{"S":"a"}},"ProjectionExpression":"a","ExpressionAttributeNames":{"#a":"a"}}`, validation,
			"Value provided in ExpressionAttributeNames unused in expressions: keys: {#a}"},
	})
}

func TestKeyConditionErrors(t *testing.T) {
	query := func(name, condition, values, message string) row {
		return row{name, "Query", `{"TableName":"$R","KeyConditionExpression":"` + condition + `","ExpressionAttributeValues":{` + values + `}}`, validation, message}
	}
	const p = `":p":{"S":"a"}`
	const n = p + `,":n":{"N":"1"}`
	check(t, []row{
		query("OR", "pk = :p OR sk = :n", n, "Invalid operator used in KeyConditionExpression: OR"),
		query("NOT", "NOT pk = :p", p, "Invalid operator used in KeyConditionExpression: NOT"),
		query("IN", "pk IN (:p)", p, "Invalid operator used in KeyConditionExpression: IN"),
		query("not equal", "pk <> :p", p, "Invalid operator used in KeyConditionExpression: <>"),
		query("function", "pk = :p AND attribute_exists(sk)", p, "Invalid operator used in KeyConditionExpression: attribute_exists"),
		query("twice", "pk = :p AND pk = :p", p, "Invalid KeyConditionExpression: KeyConditionExpressions must only contain one condition per key"),
		query("not a key", "a = :p", p, "Query condition missed key schema element: pk"),
		query("no partition key", "sk = :n", `":n":{"N":"1"}`, "Query condition missed key schema element: pk"),
		query("another attribute", "pk = :p AND b = :n", n, "Query condition missed key schema element: sk"),
		query("not equality", "pk > :p", p, "Query key condition not supported"),
		query("type", "pk = :p", `":p":{"N":"1"}`, invalid+"Condition parameter type does not match schema type"),
		query("nested", "pk.a = :p", p, "Invalid KeyConditionExpression: KeyConditionExpressions cannot have conditions on nested attributes"),
		{"filter on key", "Query", `{"TableName":"$R","KeyConditionExpression":"pk = :p","FilterExpression":"sk = :n","ExpressionAttributeValues":{` + n + `}}`, validation,
			"Filter Expression can only contain non-primary key attributes: Primary key attribute: sk"},
		{"start key elsewhere", "Query", `{"TableName":"$R","KeyConditionExpression":"pk = :p","ExpressionAttributeValues":{` + p + `},"ExclusiveStartKey":{"pk":{"S":"b"},"sk":{"N":"1"}}}`, validation,
			"The provided starting key is outside query boundaries based on provided conditions"},
		{"start key outside", "Query", `{"TableName":"$R","KeyConditionExpression":"pk = :p AND sk > :n","ExpressionAttributeValues":{` + n + `},"ExclusiveStartKey":{"pk":{"S":"a"},"sk":{"N":"0"}}}`, validation,
			"The provided starting key does not match the range key predicate"},
		{"start key short", "Query", `{"TableName":"$R","KeyConditionExpression":"pk = :p","ExpressionAttributeValues":{` + p + `},"ExclusiveStartKey":{"pk":{"S":"a"}}}`, validation,
			"The provided starting key is invalid"},
		{"start key type", "Scan", `{"TableName":"$R","ExclusiveStartKey":{"pk":{"S":"a"},"sk":{"S":"1"}}}`, validation,
			"The provided starting key is invalid: The provided key element does not match the schema"},
	})
}

func TestBatchErrors(t *testing.T) {
	puts := make([]string, 26)
	for i := range puts {
		puts[i] = fmt.Sprintf(`{"PutRequest":{"Item":{"pk":{"S":"k%d"}}}}`, i)
	}
	keys := make([]string, 101)
	for i := range keys {
		keys[i] = fmt.Sprintf(`{"pk":{"S":"k%d"}}`, i)
	}
	check(t, []row{
		{"nothing", "BatchGetItem", `{"RequestItems":{}}`, validation, ""},
		{"nothing", "BatchWriteItem", `{"RequestItems":{}}`, validation, ""},
		{"101 keys", "BatchGetItem", `{"RequestItems":{"$H":{"Keys":[` + strings.Join(keys, ",") + `]}}}`, validation, ""},
		{"101 keys of two tables", "BatchGetItem", `{"RequestItems":{"$H":{"Keys":[` + strings.Join(keys[:99], ",") + `]},"$N":{"Keys":[{"pk":{"N":"1"}},{"pk":{"N":"2"}}]}}}`, validation,
			"Too many items requested for the BatchGetItem call"},
		{"twice", "BatchGetItem", `{"RequestItems":{"$H":{"Keys":[{"pk":{"S":"a"}},{"pk":{"S":"a"}}]}}}`, validation, "Provided list of item keys contains duplicates"},
		{"26 puts", "BatchWriteItem", `{"RequestItems":{"$H":[` + strings.Join(puts, ",") + `]}}`, validation, ""},
		{"26 of two tables", "BatchWriteItem", `{"RequestItems":{"$H":[` + strings.Join(puts[:25], ",") + `],"$N":[{"PutRequest":{"Item":{"pk":{"N":"1"}}}}]}}`, validation,
			"Too many items requested for the BatchWriteItem call"},
		{"put and delete", "BatchWriteItem", `{"RequestItems":{"$H":[{"PutRequest":{"Item":{"pk":{"S":"a"}}}},{"DeleteRequest":{"Key":{"pk":{"S":"a"}}}}]}}`, validation,
			"Provided list of item keys contains duplicates"},
		{"equal numbers", "BatchWriteItem", `{"RequestItems":{"$N":[{"PutRequest":{"Item":{"pk":{"N":"1000"}}}},{"DeleteRequest":{"Key":{"pk":{"N":"1e3"}}}}]}}`, validation,
			"Provided list of item keys contains duplicates"},
		{"both requests", "BatchWriteItem", `{"RequestItems":{"$H":[{"PutRequest":{"Item":{"pk":{"S":"a"}}},"DeleteRequest":{"Key":{"pk":{"S":"b"}}}}]}}`, validation,
			"Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported datatypes"},
	})
}

// One bad entry refuses the whole batch before anything is written.
func TestBatchWriteIsAllOrNothingInValidation(t *testing.T) {
	target := harness.The(t)
	names := shared(t, target)
	target.Raw(t, "BatchWriteItem", names.Replace(`{"RequestItems":{"$H":[{"PutRequest":{"Item":{"pk":{"S":"all-or-nothing"}}}},{"PutRequest":{"Item":{"pk":{"N":"1"}}}}]}}`)).
		Want(t, validation, "")
	reply := target.Raw(t, "GetItem", names.Replace(`{"TableName":"$H","Key":{"pk":{"S":"all-or-nothing"}},"ConsistentRead":true}`))
	if string(reply.Body) != "{}" {
		t.Errorf("the good entry was written: %s", reply.Body)
	}
}

func TestItemSizeLimit(t *testing.T) {
	target := harness.The(t)
	names := shared(t, target)
	put := func(bytes int) harness.Reply {
		// "pk" + "size" + "v" + the text
		return target.Raw(t, "PutItem", names.Replace(`{"TableName":"$H","Item":{"pk":{"S":"size"},"v":{"S":"`)+strings.Repeat("x", bytes-7)+`"}}}`)
	}
	put(409_600).Want(t, "", "")
	put(409_601).Want(t, validation, "Item size has exceeded the maximum allowed size")
	target.Raw(t, "UpdateItem", names.Replace(`{"TableName":"$H","Key":{"pk":{"S":"size"}},"UpdateExpression":"SET w = :w","ExpressionAttributeValues":{":w":{"S":"more"}}}`)).
		Want(t, validation, "Item size to update has exceeded the maximum allowed size")
}
