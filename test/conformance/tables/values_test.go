package tables

import (
	"slices"
	"strings"
	"testing"

	"github.com/millstreamdb/millstream/test/conformance/harness"
)

func TestNumbersThatAreNone(t *testing.T) {
	const (
		current    = "[1.01, 1.03, 1.10 T PS R4 10-09 H]"
		ofReads    = "[1.11, 1.25 T PS R4 10-09 H]"
		ofOlder    = "[1.02, 1.12 T PS R4 10-09 H]"
		emptyWrite = "[1.13 T PS R4 10-09 H]"
		emptyRead  = "[1.14 T PS R4 10-09 H]"
		emptyOld   = "[1.15 T PS R4 10-09 H]"
	)
	var rows []asked
	for _, text := range []string{"abc", "1.2.3", " 1", "1 ", "0x10", "1e", "NaN", "Infinity"} {
		rows = append(rows, asked{current, "item " + text, "PutItem", `{"TableName":"$H","Item":{"pk":{"S":"a"},"v":` + number(text) + `}}`, env + nan + ": " + text})
	}
	rows = slices.Concat(rows,
		writes(current, "abc", number("abc"), env+nan+": abc"),
		writes(current, "abc in a set", `{"NS":["1","abc"]}`, env+nan+": abc"),
		reads(ofReads, "abc", number("abc"), nan+": abc"),
		olds(ofOlder, "abc", number("abc"), nan+": abc"),
		writes(emptyWrite, "empty", number(""), env+nan+": "),
		reads(emptyRead, "empty", number(""), nan+": "),
		olds(emptyOld, "empty", number(""), nan),
		statementsOf(emptyOld, "empty", number(""), nan),
	)
	ask(t, rows)
}

func TestNumbersOutOfRange(t *testing.T) {
	const (
		large   = "[1.16 T PS R4 10-09 H]"
		small   = "[1.17 T PS R4 10-09 H]"
		huge    = "[1.18 T PS R4 10-09 M]"
		oldEnds = "[1.19 T PS R4 10-09 H]"
		wraps   = "[1.20 T PS R4 10-09 H]"
		wide    = "[1.21 T PS R4 10-09 H]"
		digits  = "[1.22 T PS R4 10-09 H]"
		zero    = "[1.23 T PS R2 10 M]"
		params  = "[7.30 T PS R2 10 H]"
	)
	const precise, tooPrecise = "1234567890123456789012345678901234567891", "Attempting to store more than 38 significant digits in a Number"
	var rows []asked
	add := func(more ...[]asked) { rows = append(rows, slices.Concat(more...)...) }
	for _, text := range []string{"1e126", "-1e126", "1e2147483647", "1e2147483648", "1e99999999999"} {
		add(writes(large, text, number(text), env+over)[:1], reads(large, text, number(text), over)[:2])
	}
	for _, text := range []string{"1e-131", "1e-2147483648", "1e-99999999999"} {
		add(writes(small, text, number(text), env+under)[:1], reads(small, text, number(text), under)[:2])
	}
	add(writes(large, "1e126", number("1e126"), env+over), reads(large, "1e126 everywhere", number("1e126"), over),
		writes(huge, "beyond 64 bits", number("1e9223372036854775808"), env+nan+": 1e9223372036854775808"),
		olds(oldEnds, "1e126", number("1e126"), over), olds(oldEnds, "1e-131", number("1e-131"), under),
		olds(wraps, "1e2147483647", number("1e2147483647"), under),
		writes(digits, "39 digits", number(precise), env+tooPrecise), reads(digits, "39 digits", number(precise), tooPrecise),
		olds(digits, "39 digits", number(precise), tooPrecise),
		statementsOf(params, "1e2147483647", number("1e2147483647"), under),
		statementsOf(params, "in a set", `{"NS":["1e99999999999"]}`, nan+": 1e99999999999"),
		writes(zero, "0e126", number("0e126"), env+over), writes(zero, "0e-131", number("0e-131"), env+under),
		olds(zero, "0e126", number("0e126"), over),
	)
	for _, text := range []string{"1e2147483648", "-1e99999999999", "1e-99999999999"} {
		add(olds(wide, text, number(text), nan+": "+text), statementsOf(params, text, number(text), nan+": "+text))
	}
	ask(t, rows)
}

// [1.23 T PS R2 10 M] [1.24 T PS R2 10 H]
func TestNumbersThatAreTaken(t *testing.T) {
	target := harness.The(t)
	names := shared(t, target)
	for text, want := range map[string]string{
		"+5": "5", "+1.5": "1.5", "+0": "0", "-0": "0", "+1e2": "100", "1e+2": "100", "+.5": "0.5", ".5": "0.5", "5.": "5", "1.e5": "100000",
		"00042": "42", "0e125": "0",
		"1e-130": "0." + strings.Repeat("0", 129) + "1",
	} {
		target.Raw(t, "PutItem", names.Replace(`{"TableName":"$H","Item":{"pk":{"S":"number"},"v":`+number(text)+`}}`)).Want(t, "", "")
		var got struct {
			Item struct{ V struct{ N string } }
		}
		target.Raw(t, "GetItem", names.Replace(`{"TableName":"$H","Key":{"pk":{"S":"number"}},"ConsistentRead":true}`)).JSON(t, &got)
		if got.Item.V.N != want {
			t.Errorf("%s became %s, want %s", text, got.Item.V.N, want)
		}
	}
}

func TestSets(t *testing.T) {
	const (
		strs    = "[1.30 T PS R4 10-09 H]"
		bins    = "[1.31 T PS R4 10-09 H]"
		nums    = "[1.32 T PS R4 10-09 H]"
		oldSets = "[1.33 T PS R4 10-09 H]"
		empty   = "[1.35 T MT use1 08 H]"
		null    = "[1.36 C DX R2 10-09 H]"
		order   = "[1.37 C DX R2 10-09 M]"
	)
	bab, zaa, ones := `{"SS":["b","a","b"]}`, `{"BS":["/w==","AA==","AA=="]}`, `{"NS":["1","2","1.0"]}`
	put := func(fact, value, text string) asked {
		return asked{fact, "item " + value, "PutItem", `{"TableName":"$H","Item":{"pk":{"S":"a"},"v":` + value + `}}`, text}
	}
	list := func(texts, end string) string { return invalid + "Input collection " + texts + end }
	ask(t, slices.Concat(
		writes(strs, "b, a, b", bab, env+list(`["a", "b", "b"]`, " contains duplicates.")),
		reads(strs, "b, a, b", bab, list(`["a", "b", "b"]`, " contains duplicates.")),
		writes(bins, "binaries", zaa, env+list(`["AA==","/w==","AA=="]`, "of type BS contains duplicates.")),
		reads(bins, "binaries", zaa, list(`["AA==","/w==","AA=="]`, "of type BS contains duplicates.")),
		writes(nums, "numbers", ones, env+invalid+"Input collection contains duplicates."),
		reads(nums, "numbers", ones, invalid+"Input collection contains duplicates."),
		olds(oldSets, "b, a, b", bab, list("[b, a, b]", " contains duplicates.")),
		olds(oldSets, "binaries", zaa, list("[/w==, AA==, AA==]", "of type BS contains duplicates.")),
		olds(oldSets, "numbers", ones, "Input collection contains duplicates"),
		writes(empty, "strings", `{"SS":[]}`, env+invalid+"An string set  may not be empty"),
		writes(empty, "numbers", `{"NS":[]}`, env+invalid+"An number set  may not be empty"),
		writes(empty, "binaries", `{"BS":[]}`, env+invalid+"Binary sets should not be empty"),
		writes(null, "false", `{"NULL":false}`, env+invalid+"Null attribute value types must have the value of true"),
		[]asked{
			put(order, `{"SS":["c","a","c","a","b"]}`, env+list(`["a", "c", "c", "a", "b"]`, " contains duplicates.")),
			put(order, `{"SS":["b","a","b","C"]}`, env+list(`["a", "b", "b", "C"]`, " contains duplicates.")),
			put(order, `{"SS":["\"","\""]}`, env+list(`["\"", "\""]`, " contains duplicates.")),
		},
	))
}

func TestValuesOfSeveralMembers(t *testing.T) {
	const (
		order   = "[1.38 C DX R2 10-10 M]"
		several = "[1.08, 1.57 C DX R2 10-10 H]"
		texts   = "[1.39 C DX R2 10-10 H]"
	)
	put := func(fact, value, text string) asked {
		return asked{fact, "item " + value, "PutItem", `{"TableName":"$H","Item":{"pk":{"S":"a"},"v":` + value + `}}`, text}
	}
	const twoTypes = "Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported datatypes"
	rows := []asked{
		put(order, `{"N":"x","BOOL":"maybe"}`, "SerializationException!Unexpected token received from parser"),
		put(order, `{"NULL":false,"N":"x","SS":[]}`, invalid+"An string set  may not be empty"),
		put(order, `{"NULL":false,"N":"x"}`, nan+": x"),
		put(order, `{"S":"a","NULL":false}`, invalid+"Null attribute value types must have the value of true"),
		put(several, `{"S":"a","N":"1"}`, twoTypes),
		{several, "values, older wrapping", "PutItem", `{"TableName":"$H","Item":{"pk":{"S":"a"}},"ConditionExpression":"v <> :v",` +
			eav(`{"S":"a","N":"1"}`) + `}`, via(twoTypes)},
		{several, "enums in their older form", "PutItem", `{"TableName":"$H","Item":{"pk":{"S":"a"},"v":{"BOOL":"true"}},"ReturnValues":"X"}`, env + oldRV},
		put(texts, `{"NULL":"false"}`, invalid+"Null attribute value types must have the value of true"),
		put(texts, `{"BOOL":"maybe"}`, "SerializationException!Unexpected token received from parser"),
		put(texts, `{"BOOL":1}`, "SerializationException!..."),
		put(texts, `{"BOOL":[]}`, "SerializationException!..."),
		put(texts, `{"BOOL":null,"S":"a"}`, ""),
	}
	for _, text := range []string{"true", "T", "yes", "Y", "1", "false", "f", "NO", "n", "0"} {
		rows = append(rows, put(texts, `{"BOOL":"`+text+`"}`, ""))
	}
	ask(t, rows)
}

func TestEmptyAttributeNames(t *testing.T) {
	const (
		current = "[1.40 C DX R2 10-09 H]"
		others  = "[1.41 C DX R2 10-09 H]"
		older   = "[1.42 C DX R2 10-09 H]"
		names   = "[1.43 C DX R2 10-09 H]"
		toGet   = "[1.44 C DX R2 10-09 M]"
		taken   = "[1.45 C DX R2 10-09 M]"
	)
	noName := `{"M":{"":{"S":"x"}}}`
	const badName = "ExpressionAttributeNames contains invalid value: Empty attribute name for key #e"
	ask(t, slices.Concat(
		writes(current, "in a map", noName, env+emptyName),
		reads(others, "in a map", noName, emptyName),
		[]asked{
			{current, "item", "PutItem", `{"TableName":"$H","Item":{"pk":{"S":"a"},"":{"S":"x"}}}`, env + emptyName},
			{current, "expected", "PutItem", `{"TableName":"$H","Item":{"pk":{"S":"a"}},"Expected":{"":{"Exists":false}}}`, env + emptyName},
			{current, "attribute", "UpdateItem", `{"TableName":"$H","Key":{"pk":{"S":"a"}},"AttributeUpdates":{"":{"Action":"DELETE"}}}`, env + emptyName},
			{current, "key", "DeleteItem", `{"TableName":"$H","Key":{"":{"S":"a"}}}`, env + emptyName},
			{current, "before the table", "PutItem", `{"TableName":"$X","Item":{"":{"S":"x"}}}`, env + emptyName},
			{current, "before syntax", "PutItem", `{"TableName":"$H","Item":{"pk":{"S":"a"},"":{"S":"x"}},"ConditionExpression":"a b c"}`, env + emptyName},
			{current, "before unused names", "PutItem", `{"TableName":"$H","Item":{"pk":{"S":"a"},"":{"S":"x"}},"ConditionExpression":"attribute_exists(a)",` +
				`"ExpressionAttributeNames":{"#x":"x"}}`, env + emptyName},
			{others, "key", "GetItem", `{"TableName":"$H","Key":{"":{"S":"a"}}}`, emptyName},
			{others, "key", "BatchGetItem", `{"RequestItems":{"$H":{"Keys":[{"":{"S":"a"}}]}}}`, emptyName},
			{others, "start key", "Query", `{"TableName":"$H","KeyConditionExpression":"pk = :v",` + eav(`{"S":"a"}`) + `,"ExclusiveStartKey":{"":{"S":"a"}}}`, emptyName},
			{others, "start key", "Scan", `{"TableName":"$H","ExclusiveStartKey":{"":{"S":"a"}}}`, emptyName},
			{others, "put", "BatchWriteItem", `{"RequestItems":{"$H":[{"PutRequest":{"Item":{"pk":{"S":"a"},"":{"S":"x"}}}}]}}`, emptyName},
			{others, "get", "TransactGetItems", `{"TransactItems":[{"Get":{"TableName":"$H","Key":{"":{"S":"a"}}}}]}`, emptyName},
			{others, "put", "TransactWriteItems", `{"TransactItems":[{"Put":{"TableName":"$H","Item":{"pk":{"S":"a"},"":{"S":"x"}}}}]}`, emptyName},
			{others, "delete", "TransactWriteItems", `{"TransactItems":[{"Delete":{"TableName":"$H","Key":{"":{"S":"a"}}}}]}`, emptyName},
			{older, "check", "TransactWriteItems", `{"TransactItems":[{"ConditionCheck":{"TableName":"$H","Key":{"pk":{"S":"a"}},"ConditionExpression":"v = :v",` +
				eav(noName) + `}}]}`, via(emptyName)},
			{names, "condition", "PutItem", `{"TableName":"$H","Item":{"pk":{"S":"a"}},"ConditionExpression":"attribute_exists(#e)","ExpressionAttributeNames":{"#e":""}}`, env + badName},
			{names, "projection", "GetItem", `{"TableName":"$H","Key":{"pk":{"S":"a"}},"ProjectionExpression":"#e","ExpressionAttributeNames":{"#e":""}}`, badName},
			{names, "check", "TransactWriteItems", `{"TransactItems":[{"ConditionCheck":{"TableName":"$H","Key":{"pk":{"S":"a"}},` +
				`"ConditionExpression":"attribute_exists(#e)","ExpressionAttributeNames":{"#e":""}}}]}`, badName},
			{toGet, "key", "GetItem", `{"TableName":"$H","Key":{"pk":{"S":"a"}},"AttributesToGet":[""]}`, emptyName},
			{toGet, "key", "BatchGetItem", `{"RequestItems":{"$H":{"Keys":[{"pk":{"S":"a"}}],"AttributesToGet":[""]}}}`, emptyName},
			{toGet, "key condition", "Query", `{"TableName":"$H","KeyConditions":{"pk":{"ComparisonOperator":"EQ","AttributeValueList":[{"S":"a"}]}},"AttributesToGet":[""]}`, emptyName},
			{toGet, "all", "Scan", `{"TableName":"$H","AttributesToGet":[""]}`, emptyName},
			{taken, "older filter", "Scan", `{"TableName":"$H","ScanFilter":{"":{"ComparisonOperator":"NULL"}}}`, ""},
			{taken, "older filter", "Query", `{"TableName":"$H","KeyConditions":{"pk":{"ComparisonOperator":"EQ","AttributeValueList":[{"S":"a"}]}},` +
				`"QueryFilter":{"":{"ComparisonOperator":"NULL"}}}`, ""},
			{taken, "a blank", "PutItem", `{"TableName":"$H","Item":{"pk":{"S":"a"}," ":{"S":"x"}}}`, ""},
		},
	))
}

func TestDepth(t *testing.T) {
	const (
		current = "[1.46, 1.07 C DX R2 10-09 H]"
		abyss   = "[1.47, 1.08 C DX R2 10-10 M]"
		keys    = "[1.48 C DX R2 10-09 H]"
		others  = "[1.49 C DX R2 10-09 H]"
	)
	item := func(levels int, rest string) string {
		return `{"TableName":"$H","Item":{"pk":{"S":"a"},"v":` + deep(levels) + `}` + rest + `}`
	}
	values := func(levels int, rest string) string {
		return `{"TableName":"$H","Key":{"pk":{"S":"a"}},"ConditionExpression":"w <> :v",` + eav(deep(levels)) + rest + `}`
	}
	legacy := func(rest string) string {
		return `{"TableName":"$H","Key":{"pk":{"S":"a"}},"Expected":{"v":{"ComparisonOperator":"NE","Value":` + deep(63) + `},"w":{"Exists":false}}` + rest + `}`
	}
	key := `"Key":{"pk":` + deep(32) + `}`
	ask(t, []asked{
		{current, "31", "PutItem", item(31, ""), ""},
		{current, "32", "PutItem", item(32, ""), env + nest},
		{current, "62", "PutItem", item(62, ""), env + nest},
		{current, "values 31", "DeleteItem", values(31, ""), ""},
		{current, "values 32", "DeleteItem", values(32, ""), env + nest},
		{current, "values 62", "DeleteItem", values(62, ""), env + nest},
		{abyss, "63", "PutItem", item(63, ""), nest},
		{abyss, "values 63", "DeleteItem", values(63, ""), via(nest)},
		{abyss, "enums first", "PutItem", item(63, `,"ReturnValues":"BOGUS"`),
			env + "Value 'BOGUS' at 'returnValues'" + enumSet + "[ALL_NEW, UPDATED_OLD, ALL_OLD, NONE, UPDATED_NEW]"},
		{abyss, "operator first", "DeleteItem", legacy(`,"ConditionalOperator":"XOR"`), env + "Value 'XOR' at 'conditionalOperator'" + enumSet + "[OR, AND]"},
		{abyss, "values 63 and ReturnValues", "DeleteItem", values(63, `,"ReturnValues":"UPDATED_NEW"`), "ReturnValues can only be ALL_OLD or NONE"},
		{keys, "key", "UpdateItem", `{"TableName":"$H",` + key + `}`, env + nest},
		{keys, "key", "DeleteItem", `{"TableName":"$H",` + key + `}`, env + nest},
		{keys, "expected", "PutItem", `{"TableName":"$H","Item":{"pk":{"S":"a"}},"Expected":{"v":{"ComparisonOperator":"NE","Value":` + deep(32) + `}}}`, env + nest},
		{keys, "attribute", "UpdateItem", `{"TableName":"$H","Key":{"pk":{"S":"a"}},"AttributeUpdates":{"v":{"Value":` + deep(32) + `}}}`, env + nest},
		{others, "key", "GetItem", `{"TableName":"$H",` + key + `}`, nest},
		{others, "key", "BatchGetItem", `{"RequestItems":{"$H":{"Keys":[{"pk":` + deep(32) + `}]}}}`, nest},
		{others, "delete", "BatchWriteItem", `{"RequestItems":{"$H":[{"DeleteRequest":{` + key + `}}]}}`, nest},
		{others, "get", "TransactGetItems", `{"TransactItems":[{"Get":{"TableName":"$H",` + key + `}}]}`, nest},
		{others, "delete", "TransactWriteItems", `{"TransactItems":[{"Delete":{"TableName":"$H",` + key + `}}]}`, nest},
	})
}

// [1.50 C DX R2 10-09 H]
func TestAnUpdateWhoseResultIsTooDeep(t *testing.T) {
	target := harness.The(t)
	names := shared(t, target)
	target.Raw(t, "PutItem", names.Replace(`{"TableName":"$H","Item":{"pk":{"S":"deep"},"m":{"M":{}}}}`)).Want(t, "", "")
	ask(t, []asked{{"[1.50 C DX R2 10-09 H]", "below a map", "UpdateItem",
		`{"TableName":"$H","Key":{"pk":{"S":"deep"}},"UpdateExpression":"SET m.x = :v",` + eav(deep(31)) + `}`,
		"Nesting Levels have exceeded supported limits"}})
}
