package tables

import (
	"strings"
	"testing"

	"github.com/millstreamdb/millstream/test/conformance/harness"
)

// What is checked when the table and its keys are known.
func TestWhatNeedsTheSchema(t *testing.T) {
	target := harness.The(t)
	name := made(t, target, key("pk")+","+definitions("pk:S a:S")+`,"GlobalSecondaryIndexes":[`+index("gsi", "a", "KEYS_ONLY")+`]`)
	const (
		all      = "[3.12 C DX 10-20 H]"
		wrong    = "[4.01 T PS R2 10 H]"
		order    = "[4.03 C DX R2 10 H]"
		inside   = "[4.06 T AL H]"
		batch    = "[4.08 C DX R2 10 H]"
		noKey    = "[5.09 C DX H]"
		reasons  = "[5.20 C DX R2 10 H]"
		keyTypes = "[5.21 C DX H]"
		keySizes = "[5.22 C DX H]"
		tables   = "[8.06 C DX H]"
		same     = "[8.07 T PS R2 10 H]"
		hashes   = "[2.07 T PS euc1/R2 10 H]"
	)
	const (
		mismatch  = invalid + "Type mismatch for Index Key a Expected: S Actual: N IndexName: gsi"
		cancelled = "TransactionCanceledException!Transaction cancelled, please refer cancellation reasons for specific reasons [ValidationError]"
		emptyKey  = "One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty string value. Key: pk"
		tableKey  = invalid + "Type mismatch for key pk expected: S actual: N"
	)
	create := func(rest string) string { return `{"TableName":"` + harness.Name("none") + `",` + rest + `}` }
	onDemand := `"BillingMode":"PAY_PER_REQUEST",`
	rows := []asked{
		{all, "", "Query", `{"TableName":"$T","IndexName":"gsi","Select":"ALL_ATTRIBUTES","KeyConditionExpression":"a = :v",` + eav(`{"S":"a"}`) + `}`,
			invalid + "Select type ALL_ATTRIBUTES is not supported for global secondary index gsi because its projection type is not ALL"},
		{all, "", "Scan", `{"TableName":"$T","IndexName":"gsi","Select":"ALL_ATTRIBUTES"}`,
			invalid + "Select type ALL_ATTRIBUTES is not supported for global secondary index gsi because its projection type is not ALL"},
		{wrong, "", "PutItem", `{"TableName":"$T","Item":{"pk":{"S":"a"},"a":{"N":"1"}}}`, mismatch},
		{order, "the table's key first", "PutItem", `{"TableName":"$T","Item":{"pk":{"N":"1"},"a":{"N":"1"}}}`, tableKey},
		{order, "an absent attribute", "PutItem", `{"TableName":"$T","Item":{"pk":{"S":"a"}}}`, ""},
		{order, "another attribute", "UpdateItem", `{"TableName":"$T",` + hashKey + `,"UpdateExpression":"SET b = :v",` + eav(number("1")) + `}`, ""},
		{inside, "", "UpdateItem", `{"TableName":"$T",` + hashKey + `,"UpdateExpression":"SET a.b = :v",` + eav(number("1")) + `}`,
			"Key attributes must be scalars; list random access '[]' and map lookup '.' are not allowed: IndexKey: a"},
		{batch, "", "BatchWriteItem", `{"RequestItems":{"$T":[{"PutRequest":{"Item":{"pk":{"S":"b"}}}},{"PutRequest":{"Item":{"pk":{"S":"c"},"a":{"N":"1"}}}}]}}`, mismatch},
		{reasons, "", "TransactWriteItems", transact("", action("Put", `"TableName":"$T","Item":{"pk":{"S":"a"},"a":{"N":"1"}}`)), cancelled},
		{keyTypes, "put", "TransactWriteItems", transact("", action("Put", `"TableName":"$T","Item":{"pk":{"N":"1"}}`)), cancelled},
		{keyTypes, "empty", "TransactWriteItems", transact("", action("Delete", `"TableName":"$T","Key":{}`)), cancelled},
		{keyTypes, "get", "TransactGetItems", transact("", action("Get", `"TableName":"$T","Key":{"pk":{"N":"1"}}`)), cancelled},
		{keySizes, "put", "TransactWriteItems", transact("", action("Put", `"TableName":"$T","Item":{"pk":{"S":"$LONG2049"}}`)), cancelled},
		{keySizes, "get", "TransactGetItems", transact("", action("Get", `"TableName":"$T","Key":{"pk":{"S":"$LONG2049"}}`)), cancelled},
		{noKey, "delete", "TransactWriteItems", transact("", action("Delete", `"TableName":"$T","Key":{"pk":{"S":""}}`)), emptyKey},
		{noKey, "put", "TransactWriteItems", transact("", action("Put", `"TableName":"$T","Item":{"pk":{"S":""}}`)), emptyKey},
		{tables, "", "CreateTable", create(onDemand + key("pk") + "," + definitions("pk:S a:S") + `,"GlobalSecondaryIndexes":[` +
			index("same", "a", "ALL") + "," + index("same", "a", "ALL") + `]`), invalid + "Duplicate index name: same"},
		{same, "throughput", "CreateTable", create(onDemand + key("pk") + "," + definitions("pk:S") + `,"ProvisionedThroughput":{"ReadCapacityUnits":1,"WriteCapacityUnits":1}`),
			invalid + "Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when BillingMode is PAY_PER_REQUEST"},
		{hashes, "", "CreateTable", create(onDemand + key("pk") + "," + definitions("pk:S a:S b:S c:S d:S e:S") + `,"GlobalSecondaryIndexes":[` +
			index("many", "a b c d e", "ALL") + `]`), invalid + "The KeySchema exceeds the maximum allowed number of HASH key attributes"},
	}
	for i := range rows {
		rows[i].body, rows[i].text = strings.ReplaceAll(rows[i].body, "$T", name), strings.ReplaceAll(rows[i].text, "$T", name)
	}
	ask(t, rows)
}
