package tables

import (
	"slices"
	"strconv"
	"strings"
	"testing"
)

// transact is a TransactWriteItems request of actions, with more members.
func transact(rest string, actions ...string) string {
	return `{"TransactItems":[` + strings.Join(actions, ",") + `]` + rest + `}`
}

func action(kind, rest string) string { return `{"` + kind + `":{` + rest + `}}` }

func TestMembersOfTransactions(t *testing.T) {
	const (
		joined  = "[5.01 C DX use1 10-09 H]"
		token   = "[5.02 C DX R2 10-09 H]"
		lengths = "[5.03, 1.05 T PS 10-09 H]"
		actions = "[5.04 C DX R7 10-09 M]"
		gets    = "[5.05 C DX 5 regions 10-09 H]"
		names   = "[5.06 C DX R7 10-09 H]"
	)
	const (
		none   = "Invalid Request: TransactWriteRequest should contain Delete or Put or Update request"
		most36 = cst + "Member must have length less than or equal to 36"
	)
	onFailure := func(path string) string {
		return "Value 'BOGUS' at 'transactItems." + path + ".returnValuesOnConditionCheckFailure'" + enumSet + "[ALL_OLD, NONE]"
	}
	put, del := `"TableName":"$H",`+hashItem, `"TableName":"$H",`+hashKey
	bogus := `,"ReturnValuesOnConditionCheckFailure":"BOGUS"`
	long := strings.Repeat("x", 37)
	enums := `,"ReturnConsumedCapacity":"X","ReturnItemCollectionMetrics":"X"`
	ask(t, []asked{
		{joined, "all", "TransactWriteItems", transact(`,"ClientRequestToken":"`+long+`"`+enums, action("Put", put+bogus), action("Delete", del), action("Update", del+bogus+`,"UpdateExpression":"REMOVE a"`)),
			"5 validation errors detected: " + strings.Join([]string{onFailure("1.member.put"), onFailure("3.member.update"),
				"Value '" + long + "' at 'clientRequestToken'" + most36, badRCC, badRICM}, "; ") + " || " + "1 validation error detected: ..."},
		{joined, "before the table", "TransactWriteItems", transact(enums, action("Put", `"TableName":"$X",`+hashItem)), env2 + badRCC + "; " + badRICM + " || " + env + "..."},
		{token, "", "TransactWriteItems", transact(`,"ClientRequestToken":"`+long+`"`, action("Put", put)),
			env + "Value '" + long + "' at 'clientRequestToken'" + most36 + " || " + env + "Value at 'ClientRequestToken'" + most36},
		{lengths, "empty", "TransactWriteItems", transact(""), env + "Value '[]' at 'transactItems'" + atLeast1 + " || " + env + "Value at 'TransactItems'" + atLeast1},
		{lengths, "empty", "TransactGetItems", transact(""), env + "Value '[]' at 'transactItems'" + atLeast1 + " || " + env + "Value at 'TransactItems'" + atLeast1},
		{lengths, "101", "TransactWriteItems", transact("", slices.Repeat([]string{action("Put", put)}, 101)...), env + "Value..."},
		{actions, "none", "TransactWriteItems", transact("", action("Put", `"TableName":"bad!name",`+hashItem), `{}`), none},
		{actions, "enums first", "TransactWriteItems", transact(`,"ReturnConsumedCapacity":"X"`, `{}`), env + badRCC},
		{actions, "two", "TransactWriteItems", transact("", `{"Put":{`+put+`},"Delete":{`+del+`}}`), "TransactItems can only contain one of Check, Put, Update or Delete"},
		{gets, "none", "TransactGetItems", transact(`,"ReturnConsumedCapacity":"X"`, action("Get", `"TableName":"bad!name",`+hashKey), `{}`),
			env2 + "Value null at 'transactItems.2.member.get'" + notNull + "; " + badRCC},
		{names, "two", "TransactWriteItems", transact("", action("Put", `"TableName":"a!",`+hashItem), action("Delete", `"TableName":"bad!name",`+hashKey)),
			env3 + "Value 'a!' at 'transactItems.1.member.put.tableName'" + atLeast3 + "; Value 'a!' at 'transactItems.1.member.put.tableName'" + pattern +
				"; Value 'bad!name' at 'transactItems.2.member.delete.tableName'" + pattern},
		{names, "before values", "TransactWriteItems", transact("", action("Put", `"TableName":"$H","Item":{"pk":{"N":"x"}}`), action("Delete", `"TableName":"bad!name",`+hashKey)),
			env + "Value 'bad!name' at 'transactItems.2.member.delete.tableName'" + pattern},
	})
}

func TestActionsOfTransactions(t *testing.T) {
	const (
		inOrder = "[5.07 C DX R2 10-09 H]"
		within  = "[5.08 C DX R2 10-09 M]"
		large   = "[5.10 C DX H]"
		deepEAV = "[5.11 T PS 10-09 H]"
		unused  = "[5.12 C TH extenddb 169 use1 M]"
		overlap = "[5.13 C DX H]"
	)
	item := func(value string) string {
		return action("Put", `"TableName":"$H","Item":{"pk":{"S":"a"},"v":`+value+`}`)
	}
	check := func(table, condition, values string) string {
		return action("ConditionCheck", `"TableName":"`+table+`",`+hashKey+`,"ConditionExpression":"`+condition+`"`+values)
	}
	key := func(levels int, rest string) string {
		return action("Delete", `"TableName":"$H","Key":{"pk":`+deep(levels)+`}`+rest)
	}
	const syntax = `Invalid ConditionExpression: Syntax error; token: "b", near: "a b c"`
	const undefined = "Invalid ConditionExpression: An expression attribute value used in expression is not defined; attribute value: :v"
	ask(t, []asked{
		{inOrder, "a number before a syntax error", "TransactWriteItems", transact("", item(number("x")), check("$H", "a b c", "")), nan + ": x"},
		{inOrder, "a syntax error before a number", "TransactWriteItems", transact("", check("$H", "a b c", ""), item(number("x"))), syntax},
		{inOrder, "an undefined value before a set", "TransactWriteItems", transact("", check("$H", "a = :v", ""), item(`{"SS":[]}`)), undefined},
		{inOrder, "depth before a name", "TransactWriteItems", transact("", item(deep(32)), item(`{"M":{"":{"S":"x"}}}`)), nest},
		{inOrder, "values before expressions", "TransactWriteItems", transact("", check("$H", "a b c", `,`+eav(number("x")))), via(nan + ": x")},
		{inOrder, "unused", "TransactWriteItems", transact("", check("$H", "attribute_exists(a)", `,`+eav(`{"S":"x"}`)), item(number("x"))),
			"Value provided in ExpressionAttributeValues unused in expressions: keys: {:v}"},
		{within, "syntax before a very deep key", "TransactWriteItems", transact("", key(100, `,"ConditionExpression":"a b c"`)), syntax},
		{within, "a deep key before later actions", "TransactWriteItems", transact("", key(40, ""), check("$H", "a b c", "")), nest},
		{within, "depth before an empty key in a map", "TransactWriteItems",
			transact("", action("Put", `"TableName":"$H","Item":{"pk":{"S":"a"},"v":`+deep(40)+`,"w":{"M":{"":{"S":"x"}}}}`)), nest},
		{within, "depth behind an empty key in a map", "TransactWriteItems",
			transact("", action("Put", `"TableName":"$H","Item":{"pk":{"S":"a"},"m":{"M":{"":{"S":"x"}}},"v":`+deep(40)+`}`)), nest},
		{within, "an empty name before a very deep value", "TransactWriteItems",
			transact("", action("Put", `"TableName":"$H","Item":{"pk":{"S":"a"},"":{"S":"x"},"v":`+deep(100)+`}`)), emptyName},
		{within, "an empty name after a very deep value", "TransactWriteItems",
			transact("", action("Put", `"TableName":"$H","Item":{"pk":{"S":"a"},"v":`+deep(100)+`,"":{"S":"x"}}`)), emptyName},
		{large, "", "TransactWriteItems", transact("", item(`{"S":"`+strings.Repeat("x", 410_000)+`"}`)), "Item size has exceeded the maximum allowed size"},
		{deepEAV, "32", "TransactWriteItems", transact("", check("$X", "a = :v", `,`+eav(deep(32)))), "ResourceNotFoundException!Requested resource not found || " + via(nest) + " || " + nest},
		{deepEAV, "40", "TransactWriteItems", transact("", check("$H", "a = :v", `,`+eav(deep(40)))), via(nest) + " || " + nest},
		{unused, "put", "TransactWriteItems", transact("", action("Put", `"TableName":"$H","Item":{"pk":{"S":"unused"}},"ExpressionAttributeNames":{"#a":"a"},`+eav(`{"S":"x"}`))), ""},
		{unused, "delete", "TransactWriteItems", transact("", action("Delete", `"TableName":"$H","Key":{"pk":{"S":"unused"}},"ExpressionAttributeNames":{"#a":"a"}`)), ""},
		{unused, "get", "TransactGetItems", transact("", action("Get", `"TableName":"$H",`+hashKey+`,"ExpressionAttributeNames":{"#a":"a"}`)), ""},
		{overlap, "paths", "TransactWriteItems", transact("", action("Update", `"TableName":"$X",`+hashKey+`,"UpdateExpression":"SET a = :v, a.b = :v",`+eav(`{"S":"x"}`))),
			"Invalid UpdateExpression: Two document paths overlap with each other; must remove or rewrite one of these paths; path one: [a], path two: [a, b]"},
		{overlap, "the table last", "TransactWriteItems", transact("", action("Delete", `"TableName":"$X",`+hashKey)), "ResourceNotFoundException!Requested resource not found"},
		{overlap, "one item twice last", "TransactWriteItems", transact("", action("Delete", `"TableName":"$H",`+hashKey), check("$H", "a b c", "")), syntax},
		{overlap, "one item twice", "TransactWriteItems", transact("", action("Delete", `"TableName":"$H",`+hashKey), check("$H", "attribute_exists(a)", "")),
			"Transaction request cannot include multiple operations on one item"},
	})
}

func TestMembersOfBatches(t *testing.T) {
	const (
		enums    = "[6.01 C DX R7 10-09 H]"
		names    = "[6.02 C DX R7 10-09 H]"
		givesWay = "[6.09 T PS R2 10-09 H]"
		empty    = "[6.03, 1.06 T PS 33 regions 10-03 H]"
		keys     = "[6.04 T PS R2 10 H]"
		lists    = "[6.05, 6.07 C DX R7 H]"
		keyRules = "[6.06 C DX 06-24 H]"
		mixed    = "[6.08 C DX 10 M]"
	)
	const (
		mapKeys  = cst + "Map keys must satisfy constraint: ["
		mapValue = cst + "Map value must satisfy constraint: [Member must have length less than or equal to 25, Member must have length greater than or equal to 1]"
		mismatch = "The provided key element does not match the schema"
	)
	both := `,"ReturnConsumedCapacity":"X","ReturnItemCollectionMetrics":"X"`
	get := func(table, part, rest string) string {
		return `{"RequestItems":{"` + table + `":{` + part + `}}` + rest + `}`
	}
	write := func(table, list, rest string) string {
		return `{"RequestItems":{"` + table + `":[` + list + `]}` + rest + `}`
	}
	put := func(item string) string { return `{"PutRequest":{"Item":{` + item + `}}}` }
	del := func(key string) string { return `{"DeleteRequest":{"Key":{` + key + `}}}` }
	many := func(n int, one func(i string) string) string {
		var list []string
		for i := range n {
			list = append(list, one(strconv.Itoa(i)))
		}
		return strings.Join(list, ",")
	}
	keyed := func(i string) string { return `{"pk":{"S":"` + i + `"}}` }
	emptyKey := func(kind string) string {
		return "One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty " + kind + " value. Key: pk"
	}
	ask(t, []asked{
		{enums, "joined", "BatchWriteItem", write("$X", put(`"pk":{"N":"x"}`), both), env2 + badRCC + "; " + badRICM},
		{enums, "before the table", "BatchGetItem", get("$X", `"Keys":[{"pk":{"S":"a"}},{"pk":{"S":"a"}}]`, `,"ReturnConsumedCapacity":"X"`), env + badRCC},
		{names, "joined, in JSON", "BatchGetItem", get("bad!name", `"Keys":[{"pk":{"S":"a"}}]`, `,"ReturnConsumedCapacity":"X"`),
			env2 + `Value '{"bad!name":{"Keys":[{"pk":{"S":"a"}}]}}' at 'requestItems'` + mapKeys + "..."},
		{names, "before the limit", "BatchGetItem", `{"RequestItems":{"bad!name":{"Keys":[` + many(60, keyed) + `]},"$H":{"Keys":[` + many(60, keyed) + `]}}}`, env + `Value '{"bad!name":...`},
		{givesWay, "name and enums", "BatchWriteItem", write("bad!name", put(`"pk":{"S":"a"}`), `,"ReturnConsumedCapacity":"X"`), env + badRCC},
		{empty, "get", "BatchGetItem", `{"RequestItems":{}}`, env + "Value at 'RequestItems'" + atLeast1},
		{empty, "write", "BatchWriteItem", `{"RequestItems":{}}`, "The requestItems parameter is required for BatchWriteItem || " + env + "Value at 'RequestItems'" + atLeast1},
		{keys, "none", "BatchGetItem", get("$H", `"Keys":[]`, ""), env + "Value at 'RequestItems.$H.member.Keys'" + atLeast1},
		{keys, "101", "BatchGetItem", get("$H", `"Keys":[`+many(101, keyed)+`]`, ""), env + "Value at 'RequestItems.$H.member.Keys'" + cst + "Member must have length less than or equal to 100"},
		{lists, "none", "BatchWriteItem", write("$H", "", both), env3 + "Value '{$H=[]}' at 'requestItems'" + mapValue + "; " + badRCC + "; " + badRICM},
		{lists, "26", "BatchWriteItem", write("$H", many(26, func(i string) string { return put(`"pk":{"S":"` + i + `"}`) }), ""),
			env + "Value '{... || " + env + "Value at 'RequestItems.$H.member'" + cst + "Member must have length less than or equal to 25"},
		{keyRules, "missing", "BatchWriteItem", write("$H", put(`"v":{"S":"a"}`), ""), mismatch},
		{keyRules, "of another type", "BatchWriteItem", write("$H", put(`"pk":{"N":"1"}`), ""), mismatch},
		{keyRules, "a map", "BatchWriteItem", write("$H", del(`"pk":{"M":{}}`), ""), mismatch},
		{keyRules, "empty", "BatchWriteItem", write("$H", put(`"pk":{"S":""}`), ""), emptyKey("string")},
		{keyRules, "empty binary", "BatchWriteItem", write("$B", del(`"pk":{"B":""},"sk":{"S":"a"}`), ""), emptyKey("binary")},
		{mixed, "tables", "BatchGetItem", `{"RequestItems":{"$H":{"Keys":[{"pk":{"S":"a"}}],"AttributesToGet":["a"]},"$N":{"Keys":[{"pk":{"N":"1"}}],"ProjectionExpression":"a"}}}`,
			"Can not use both expression and non-expression parameters in the same request: Non-expression parameters: {AttributesToGet} Expression parameters: {ProjectionExpression}"},
		{mixed, "overlap", "BatchGetItem", get("$H", `"Keys":[{"pk":{"S":"a"}}],"ProjectionExpression":"a, a.b"`, ""),
			"Invalid ProjectionExpression: Two document paths overlap with each other; must remove or rewrite one of these paths; path one: [a], path two: [a, b]"},
	})
}

func TestMembersOfStatements(t *testing.T) {
	const (
		depth   = "[7.31 C DX R2 10 M]"
		members = "[7.35 C DX R2 10-10 H]"
		order   = "[7.36 C DX R2 10-10 M]"
	)
	const most8192 = cst + "Member must have length less than or equal to 8192"
	long := strings.Repeat("é", 8193)
	insert := func(value string) string {
		return `{"Statement":"INSERT INTO \"$H\" VALUE {'pk':'a','v':?}","Parameters":[` + value + `]}`
	}
	tooLong := func(path string) string { return "Value '" + long + "' at '" + path + "'" + most8192 }
	noParameters := func(path string) string { return "Value '[]' at '" + path + "'" + atLeast1 }
	const bad = `"Parameters":[],"ReturnValuesOnConditionCheckFailure":"X"`
	fine := `{"Statement":"SELECT * FROM \"$H\" WHERE pk = 'a'"}`
	failed := func(path string) string {
		return "Value 'X' at '" + path + ".returnValuesOnConditionCheckFailure'" + enumSet + "[ALL_OLD, NONE]"
	}
	token := strings.Repeat("x", 37)
	ask(t, []asked{
		{depth, "33", "ExecuteStatement", insert(deep(33)), nest},
		{depth, "32", "ExecuteStatement", insert(deep(32)), "Nesting Levels have exceeded supported limits"},
		{depth, "32 compared", "ExecuteStatement", `{"Statement":"SELECT * FROM \"$H\" WHERE pk = 'none' AND v = ?","Parameters":[` + deep(32) + `]}`, ""},
		{depth, "33 in a later statement", "ExecuteTransaction",
			`{"TransactStatements":[{"Statement":"INSRT"},{"Statement":"INSERT INTO \"$H\" VALUE {'pk':'a','v':?}","Parameters":[` + deep(40) + `]}]}`,
			"Validation failed in TransactStatements[0]: " + malformed + "Expected data manipulation"},
		{depth, "a number first", "ExecuteStatement", insert(`{"L":[{"N":"x"},` + deep(40) + `]}`), nan + ": x"},
		{depth, "depth first", "ExecuteStatement", insert(`{"L":[` + deep(40) + `,{"N":"x"}]}`), nest},
		{members, "joined", "ExecuteStatement", `{"Statement":"` + long + `","Parameters":[],"ReturnConsumedCapacity":"X"}`,
			env3 + strings.Join([]string{tooLong("statement"), badRCC, noParameters("parameters")}, "; ")},
		{members, "one of a batch", "BatchExecuteStatement", `{"Statements":[` + fine + `,{"Statement":"` + long + `"}]}`, env + tooLong("statements.2.member.statement")},
		{members, "one of a transaction", "ExecuteTransaction", `{"TransactStatements":[` + fine + `,{"Statement":"x","Parameters":[]}]}`,
			env + noParameters("transactStatements.2.member.parameters")},
		{order, "transaction", "ExecuteTransaction",
			`{"ReturnConsumedCapacity":"X","ClientRequestToken":"` + token + `","TransactStatements":[{"Statement":"` + long + `",` + bad + `}]}`,
			"5 validation errors detected: " + strings.Join([]string{"Value '" + token + "' at 'clientRequestToken'" + cst + "Member must have length less than or equal to 36",
				failed("transactStatements.1.member"), tooLong("transactStatements.1.member.statement"), noParameters("transactStatements.1.member.parameters"), badRCC}, "; ")},
		{order, "batch", "BatchExecuteStatement", `{"ReturnConsumedCapacity":"X","Statements":[` + strings.Join(slices.Repeat([]string{fine}, 26), ",") + `]}`,
			env2 + badRCC + "; Value..."},
	})
}
