package tables

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/millstreamdb/millstream/test/conformance/harness"
)

// indexed makes a table of pk:S and sk:S with the indexes gsi1 of a:S, aidx of a2:S and
// n:N, lsi1 of lk:S and bin of b:B.
func indexed(t *testing.T, target *harness.Target) string {
	t.Helper()
	return made(t, target, key("pk/sk")+","+definitions("pk:S sk:S a:S a2:S n:N lk:S b:B")+
		`,"LocalSecondaryIndexes":[`+index("lsi1", "pk/lk", "ALL")+`],"GlobalSecondaryIndexes":[`+
		index("gsi1", "a", "ALL")+","+index("aidx", "a2/n", "KEYS_ONLY")+","+index("bin", "b", "o")+`]`)
}

func TestIndexKeysInWrites(t *testing.T) {
	target := harness.The(t)
	table := indexed(t, target)
	mismatch := func(attribute, expected, actual, index string) string {
		return invalid + "Type mismatch for Index Key " + attribute + " Expected: " + expected + " Actual: " + actual + " IndexName: " + index
	}
	const (
		empty       = "One or more parameter values are not valid. A value specified for a secondary index key is not supported. The AttributeValue for a key attribute cannot contain an empty "
		emptyUpdate = "One or more parameter values are not valid. The update expression attempted to update a secondary index key to a value that is not supported. The AttributeValue for a key attribute cannot contain an empty string value."
	)
	put := func(attributes string) string {
		return `{"TableName":"` + table + `","Item":{"pk":{"S":"p"},"sk":{"S":"s"},` + attributes + `}}`
	}
	update := func(expression, values string) string {
		return `{"TableName":"` + table + `","Key":{"pk":{"S":"p"},"sk":{"S":"s"}},"UpdateExpression":"` + expression + `","ExpressionAttributeValues":{` + values + `}}`
	}
	for _, r := range []struct{ operation, body, message string }{
		// [4.01 T PS R2 10; C DX H] a wrong type
		{"PutItem", put(`"a":{"N":"1"}`), mismatch("a", "S", "N", "gsi1")},
		{"PutItem", put(`"n":{"S":"x"}`), mismatch("n", "N", "S", "aidx")},
		{"PutItem", put(`"a":{"M":{}}`), mismatch("a", "S", "M", "gsi1")},
		{"UpdateItem", update("SET a = :v", `":v":{"N":"1"}`), mismatch("a", "S", "N", "gsi1")},
		// [4.08 C DX R2 10 H] a batch as a whole
		{"BatchWriteItem", `{"RequestItems":{"` + table + `":[{"PutRequest":{"Item":{"pk":{"S":"x"},"sk":{"S":"s"}}}},{"PutRequest":{"Item":{"pk":{"S":"p"},"sk":{"S":"s"},"lk":{"N":"1"}}}}]}}`,
			mismatch("lk", "S", "N", "lsi1")},
		// [4.02 T PS R2 10; TH extenddb 184 H] the first index by name
		{"PutItem", put(`"a":{"N":"1"},"lk":{"N":"1"},"a2":{"N":"1"}`), mismatch("a2", "S", "N", "aidx")},
		{"PutItem", put(`"lk":{"N":"1"},"a":{"S":""}`), empty + "string value. IndexName: gsi1, IndexKey: a"},
		{"UpdateItem", update("SET lk = :v, a = :v", `":v":{"N":"1"}`), mismatch("a", "S", "N", "gsi1")},
		// [4.03 C DX R2 10 H] the table's key first; absent attributes are fine
		{"PutItem", `{"TableName":"` + table + `","Item":{"pk":{"N":"1"},"sk":{"S":"s"},"a":{"N":"1"}}}`, invalid + "Type mismatch for key pk expected: S actual: N"},
		{"PutItem", put(`"a2":{"S":"only"}`), ""},
		// [4.04 T AL; C DX H] literals of an update
		{"UpdateItem", update("SET a = :v", `":v":{"NULL":true}`), mismatch("a", "S", "NULL", "gsi1")},
		{"UpdateItem", update("SET b = :v", `":v":{"L":[]}`), mismatch("b", "B", "L", "bin")},
		{"UpdateItem", `{"TableName":"` + table + `","Key":{"pk":{"S":"p"},"sk":{"S":"s"}},"AttributeUpdates":{"a":{"Value":{"M":{}}}}}`, mismatch("a", "S", "M", "gsi1")},
		// [4.05 C DX; T PS H] empty values
		{"PutItem", put(`"a":{"S":""}`), empty + "string value. IndexName: gsi1, IndexKey: a"},
		{"PutItem", put(`"b":{"B":""}`), empty + "binary value. IndexName: bin, IndexKey: b"},
		{"UpdateItem", update("SET a = :v", `":v":{"S":""}`), emptyUpdate},
		// [4.06 T AL H] a path below an index's key
		{"UpdateItem", update("SET a.x = :v", `":v":{"S":"x"}`), "Key attributes must be scalars; list random access '[]' and map lookup '.' are not allowed: IndexKey: a"},
		// [4.07 T AL M] a value that is too long for a key
		{"PutItem", put(`"a":{"S":"` + strings.Repeat("x", 2049) + `"}`), invalid + "Size of hashkey has exceeded the maximum size limit of2048 bytes"},
		{"PutItem", put(`"lk":{"S":"` + strings.Repeat("x", 1025) + `"}`), invalid + "Aggregated size of all range keys has exceeded the size limit of 1024 bytes"},
		// [6.06 C DX 06-24; T PS H] keys in batches
		{"BatchWriteItem", `{"RequestItems":{"` + table + `":[{"PutRequest":{"Item":{"sk":{"S":"s"}}}}]}}`, "The provided key element does not match the schema"},
		{"BatchWriteItem", `{"RequestItems":{"` + table + `":[{"PutRequest":{"Item":{"pk":{"N":"1"},"sk":{"S":"s"}}}}]}}`, "The provided key element does not match the schema"},
		{"BatchWriteItem", `{"RequestItems":{"` + table + `":[{"DeleteRequest":{"Key":{"pk":{"M":{}},"sk":{"S":"s"}}}}]}}`, "The provided key element does not match the schema"},
		{"BatchWriteItem", `{"RequestItems":{"` + table + `":[{"PutRequest":{"Item":{"pk":{"S":""},"sk":{"S":"s"}}}}]}}`,
			"One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty string value. Key: pk"},
	} {
		t.Run(r.operation+" "+r.body[:min(len(r.body), 200)], func(t *testing.T) {
			if r.message == "" {
				target.Raw(t, r.operation, r.body).Want(t, "", "")
				return
			}
			target.Raw(t, r.operation, r.body).Want(t, validation, r.message)
		})
	}

	transact := func(actions ...string) harness.Reply {
		return target.Raw(t, "TransactWriteItems", `{"TransactItems":[`+strings.ReplaceAll(strings.Join(actions, ","), "$T", table)+`]}`)
	}
	reasons := func(reply harness.Reply, want ...string) {
		t.Helper()
		var answer struct {
			CancellationReasons []struct{ Code, Message string }
		}
		if err := json.Unmarshal(reply.Body, &answer); err != nil || reply.Type != canceled {
			t.Errorf("answer is %s: %s", reply.Type, reply.Message)
			return
		}
		for i, r := range answer.CancellationReasons {
			if got := strings.TrimSuffix(r.Code+": "+r.Message, ": "); i >= len(want) || got != want[i] {
				t.Errorf("reason %d is %q, want %q", i, got, want)
			}
		}
	}
	const fine = `{"Put":{"TableName":"$T","Item":{"pk":{"S":"fine"},"sk":{"S":"s"}}}}`
	// [5.09 C DX; TH extenddb 211 H] empty key values come before all, also of indexes
	transact(fine, `{"Put":{"TableName":"$T","Item":{"pk":{"S":"p"},"sk":{"S":"s"},"a":{"S":""}}}}`).Want(t, validation, empty+"string value. IndexName: gsi1, IndexKey: a")
	transact(fine, `{"Update":{"TableName":"$T","Key":{"pk":{"S":"p"},"sk":{"S":"s"}},"UpdateExpression":"SET a = :v","ExpressionAttributeValues":{":v":{"S":""}}}}`).Want(t, validation, emptyUpdate)
	transact(fine, `{"Delete":{"TableName":"$T","Key":{"pk":{"S":""},"sk":{"S":"s"}}}}`).Want(t, validation,
		"One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty string value. Key: pk")
	// [5.20 C DX R2 10; T PS H] wrong types of index keys are reasons
	reasons(transact(fine, `{"Put":{"TableName":"$T","Item":{"pk":{"S":"p"},"sk":{"S":"s"},"a":{"N":"1"}}}}`), "None", "ValidationError: "+mismatch("a", "S", "N", "gsi1"))
	reasons(transact(`{"Update":{"TableName":"$T","Key":{"pk":{"S":"p"},"sk":{"S":"s"}},"UpdateExpression":"SET a = :v","ExpressionAttributeValues":{":v":{"L":[]}}}}`, fine),
		"ValidationError: "+mismatch("a", "S", "L", "gsi1"), "None")
	// [5.21 C DX H] and of the table's key; [5.22 C DX; TH extenddb 211 H] lengths too
	reasons(transact(`{"Put":{"TableName":"$T","Item":{"pk":{"N":"1"},"sk":{"S":"s"}}}}`), "ValidationError: "+invalid+"Type mismatch for key pk expected: S actual: N")
	reasons(transact(`{"Delete":{"TableName":"$T","Key":{"pk":{"N":"1"},"sk":{"S":"s"}}}}`), "ValidationError: The provided key element does not match the schema")
	reasons(transact(`{"Delete":{"TableName":"$T","Key":{}}}`), "ValidationError: The provided key element does not match the schema")
	reasons(transact(`{"Delete":{"TableName":"$T","Key":{"pk":{"S":"`+strings.Repeat("x", 2049)+`"},"sk":{"S":"s"}}}}`),
		"ValidationError: "+invalid+"Size of hashkey has exceeded the maximum size limit of2048 bytes")
	reasons(target.Raw(t, "TransactGetItems", `{"TransactItems":[{"Get":{"TableName":"`+table+`","Key":{"pk":{"S":"p"},"sk":{"S":"`+strings.Repeat("x", 1025)+`"}}}}]}`),
		"ValidationError: "+invalid+"Aggregated size of all range keys has exceeded the size limit of 1024 bytes")
	// [5.13 C DX H] duplicates come after values, and before keys
	transact(fine, fine).Want(t, validation, "Transaction request cannot include multiple operations on one item")
	// [5.24 C DX euw2 10 M] a reason for every failed statement, a wrong key alone
	statements := func(list ...string) harness.Reply {
		return target.Raw(t, "ExecuteTransaction", `{"TransactStatements":[{"Statement":"`+strings.ReplaceAll(strings.Join(list, `"},{"Statement":"`), "$T", `\"`+table+`\"`)+`"}]}`)
	}
	reasons(statements(`UPDATE $T SET x=1 WHERE pk='none' AND sk='1'`, `DELETE FROM $T WHERE pk='fine' AND sk='s'`, `UPDATE $T SET x=1 WHERE pk='none' AND sk='2'`),
		"ConditionalCheckFailed: The conditional request failed", "None", "ConditionalCheckFailed: The conditional request failed")
	reasons(statements(`UPDATE $T SET x=1 WHERE pk='none' AND sk='1'`, `DELETE FROM $T WHERE pk=1 AND sk='s'`),
		"None", "ValidationError: The provided key element does not match the schema")
	const nothing = `UPDATE $T SET x=1 WHERE pk='none' AND sk='1'`
	reasons(statements(`INSERT INTO $T VALUE {'sk':'s'}`, nothing, `INSERT INTO $T VALUE {'pk':'new'}`),
		"ValidationError: "+invalid+"Missing the key pk in the item", "ConditionalCheckFailed: The conditional request failed", "ValidationError: "+invalid+"Missing the key sk in the item")
	reasons(statements(`INSERT INTO $T VALUE {'pk':'new','sk':'s','a':1}`, `DELETE FROM $T WHERE pk='fine' AND sk='s'`, nothing),
		"ValidationError: "+mismatch("a", "S", "N", "gsi1"), "None", "ConditionalCheckFailed: The conditional request failed")
	reasons(statements(`INSERT INTO $T VALUE {'sk':'s'}`, `INSERT INTO $T VALUE {'pk':1,'sk':'s'}`, nothing),
		"None", "ValidationError: "+invalid+"Type mismatch for key pk expected: S actual: N", "None")
}

func TestReadsOfIndexesThatProjectLess(t *testing.T) {
	target := harness.The(t)
	table := indexed(t, target)
	target.Raw(t, "PutItem", `{"TableName":"`+table+`","Item":{"pk":{"S":"p"},"sk":{"S":"s"},"a":{"S":"x"},"a2":{"S":"x"},"n":{"N":"1"},"b":{"B":"AQ=="},"o":{"S":"o"},"u":{"S":"u"}}}`).Want(t, "", "")
	query := func(index, rest string) harness.Reply {
		attribute := map[string]string{"gsi1": "a", "aidx": "a2", "bin": "b", "": "pk"}[index]
		value := map[string]string{"bin": `{"B":"AQ=="}`, "": `{"S":"p"}`}[index]
		if value == "" {
			value = `{"S":"x"}`
		}
		body := `{"TableName":"` + table + `","KeyConditionExpression":"` + attribute + ` = :k","ExpressionAttributeValues":{":k":` + value + `,":u":{"S":"u"}}`
		if index != "" {
			body += `,"IndexName":"` + index + `"`
		}
		return target.Raw(t, "Query", body+rest+`}`)
	}
	const use = `,"FilterExpression":"u = :u"`
	// [3.12 C DX 10-20 H] ALL_ATTRIBUTES of a global index that projects less; Scan says so
	// before it looks at the starting key, Query after
	all := invalid + "Select type ALL_ATTRIBUTES is not supported for global secondary index bin because its projection type is not ALL"
	query("bin", `,"Select":"ALL_ATTRIBUTES"`+use).Want(t, validation, all)
	query("bin", `,"Select":"ALL_ATTRIBUTES","ExclusiveStartKey":{"x":{"S":"x"}}`+use).Want(t, validation, "The provided starting key is invalid")
	target.Raw(t, "Scan", `{"TableName":"`+table+`","IndexName":"bin","Select":"ALL_ATTRIBUTES","ExclusiveStartKey":{"x":{"S":"x"}}}`).Want(t, validation, all)
	// [3.14 T PS/MT H] an index that is not there, and a consistent read
	query("gsi1", `,"ConsistentRead":true`+use).Want(t, validation, "Consistent reads are not supported on global secondary indexes")
	target.Raw(t, "Scan", `{"TableName":"`+table+`","IndexName":"nope"}`).Want(t, validation, "The table does not have the specified index: nope")
	target.Raw(t, "Scan", `{"TableName":"`+table+`","IndexName":"gsi1","ConsistentRead":true}`).Want(t, validation, "Consistent reads are not supported on global secondary indexes")
	// [3.03 C DX euw2 10 H] the type of a key condition, after the table and the index
	target.Raw(t, "Query", `{"TableName":"`+table+`","KeyConditionExpression":"pk = :k AND sk > :s","ExpressionAttributeValues":{":k":{"S":"p"},":s":{"N":"1"}}}`).Want(t, validation,
		invalid+"Condition parameter type does not match schema type")
	target.Raw(t, "Query", `{"TableName":"`+table+`","KeyConditions":{"pk":{"ComparisonOperator":"EQ","AttributeValueList":[{"N":"1"}]}}}`).Want(t, validation,
		invalid+"Condition parameter type does not match schema type")
	target.Raw(t, "Query", `{"TableName":"`+table+`","IndexName":"nope","KeyConditionExpression":"pk = :k","ExpressionAttributeValues":{":k":{"M":{}}}}`).Want(t, validation,
		"The table does not have the specified index: nope")
	// A scan's filter sees the entries, as a statement's does (7.12); a query of a global
	// index refuses one that reads more.
	var counted struct{ Count, ScannedCount int }
	target.Raw(t, "Scan", `{"TableName":"`+table+`","IndexName":"bin","FilterExpression":"u = :u","ExpressionAttributeValues":{":u":{"S":"u"}}}`).JSON(t, &counted)
	if counted.Count != 0 || counted.ScannedCount != 1 {
		t.Errorf("a scan with a filter on what the index lacks finds %+v", counted)
	}
	query("bin", use).Want(t, validation, invalid+"Secondary index bin does not project one or more filter attributes: [u]")
}

func TestListIndexes(t *testing.T) {
	target := harness.The(t)
	table := target.Create(t, harness.Table{})
	update := func(expression, values string) harness.Reply {
		return target.Raw(t, "UpdateItem", `{"TableName":"`+table.Name+`","Key":{"pk":{"S":"a"}},"ReturnValues":"ALL_NEW","UpdateExpression":"`+expression+`","ExpressionAttributeValues":{`+values+`}}`)
	}
	list := func(reply harness.Reply) string {
		t.Helper()
		var answer struct {
			Attributes struct {
				L struct{ L []map[string]string }
			}
		}
		reply.JSON(t, &answer)
		var values []string
		for _, v := range answer.Attributes.L.L {
			values = append(values, v["S"])
		}
		return strings.Join(values, "")
	}
	update("SET l = :l", `":l":{"L":[{"S":"a"},{"S":"b"},{"S":"c"}]}`).Want(t, "", "")
	for _, step := range []struct{ fact, expression, values, want string }{
		{"[9.01 C TH floci 3073 use1 09-05 M]", "SET l[4294967294] = :v", `":v":{"S":"d"}`, "abcd"},
		{"[9.02 C DX 10-20 H]", "SET l[9] = :x, l[7] = :v", `":v":{"S":"e"},":x":{"S":"f"}`, "abcdef"},
		{"[9.02 C DX 10-20 H]", "SET l[1] = :v REMOVE l[0], l[2], l[30]", `":v":{"S":"B"}`, "Bdef"},
	} {
		if got := list(update(step.expression, step.values)); got != step.want {
			t.Errorf("%s %s: %s, want %s", step.fact, step.expression, got, step.want)
		}
	}
	// [9.01 C TH floci 3073 use1 09-05 M]
	update("SET l[4294967295] = :v", `":v":{"S":"x"}`).Want(t, validation, "Invalid UpdateExpression: List index is not within the allowable range; index: [4294967295]")
	target.Raw(t, "GetItem", `{"TableName":"`+table.Name+`","Key":{"pk":{"S":"a"}},"ProjectionExpression":"l[4294967295]"}`).Want(t, validation,
		"Invalid ProjectionExpression: List index is not within the allowable range; index: [4294967295]")
	target.Raw(t, "GetItem", `{"TableName":"`+table.Name+`","Key":{"pk":{"S":"a"}},"ProjectionExpression":"l[4294967294]"}`).Want(t, "", "")
}

func TestTagsAreOnePage(t *testing.T) {
	target := harness.The(t)
	table := target.Create(t, harness.Table{})
	var tags []string
	for i := range 30 {
		tags = append(tags, fmt.Sprintf(`{"Key":"k%02d","Value":"v"}`, i))
	}
	target.Raw(t, "TagResource", `{"ResourceArn":"`+table.ARN+`","Tags":[`+strings.Join(tags, ",")+`]}`).Want(t, "", "")
	// [9.04 T AL/PS H] all of them in one answer, and nothing of what is another's or not
	// there
	harness.Eventually(t, time.Minute, "30 tags in one answer", func() bool {
		reply := target.Raw(t, "ListTagsOfResource", `{"ResourceArn":"`+table.ARN+`"}`)
		return reply.Status == http.StatusOK && strings.Count(string(reply.Body), `"Key"`) == 30 && !strings.Contains(string(reply.Body), "NextToken")
	})
	parts := strings.Split(table.ARN, ":")
	parts[4] = "999999999999"
	target.Raw(t, "ListTagsOfResource", `{"ResourceArn":"`+strings.Join(parts, ":")+`"}`).Want(t, "AccessDeniedException", "")
	target.Raw(t, "ListTagsOfResource", `{"ResourceArn":"`+table.ARN+`-absent"}`).Want(t, "AccessDeniedException", "")
}

func TestShapesOfAnswers(t *testing.T) {
	target := harness.The(t)
	table := indexed(t, target)
	// [9.08 T PS M] the size of a small collection; [9.09 T LS 2025-10-08; C DX H] the
	// casing of an error's text, with an item and without
	put := target.Raw(t, "PutItem", `{"TableName":"`+table+`","Item":{"pk":{"S":"p"},"sk":{"S":"s"}},"ReturnItemCollectionMetrics":"SIZE"}`)
	if !strings.Contains(string(put.Body), `"SizeEstimateRangeGB":[0.0,1.0]`) {
		t.Errorf("the metrics are %s", put.Body)
	}
	failing := `{"TableName":"` + table + `","Item":{"pk":{"S":"p"},"sk":{"S":"s"}},"ConditionExpression":"attribute_not_exists(pk)"`
	if body := string(target.Raw(t, "PutItem", failing+`}`).Body); !strings.Contains(body, `"message":`) || strings.Contains(body, `"Message":`) {
		t.Errorf("a failed condition answers %s", body)
	}
	if body := string(target.Raw(t, "PutItem", failing+`,"ReturnValuesOnConditionCheckFailure":"ALL_OLD"}`).Body); !strings.Contains(body, `"Message":`) || strings.Contains(body, `"message":`) {
		t.Errorf("a failed condition with its item answers %s", body)
	}
	// [9.07 C DX 10-23; T AL M] a projection makes a read no cheaper
	target.Raw(t, "PutItem", `{"TableName":"`+table+`","Item":{"pk":{"S":"p"},"sk":{"S":"big"},"x":{"S":"`+strings.Repeat("x", 9000)+`"}}}`).Want(t, "", "")
	got := target.Raw(t, "GetItem", `{"TableName":"`+table+`","Key":{"pk":{"S":"p"},"sk":{"S":"big"}},"ProjectionExpression":"sk","ConsistentRead":true,"ReturnConsumedCapacity":"TOTAL"}`)
	if !strings.Contains(string(got.Body), `"CapacityUnits":3`) {
		t.Errorf("a projected read of 9 KB: %s", got.Body)
	}
	// and a scan looks at each of the four partitions of a small table on demand
	small := target.Create(t, harness.Table{})
	small.Put(t, harness.Item{"pk": harness.S("a")})
	for more, want := range map[string]string{``: `2`, `,"ConsistentRead":true`: `4`, `,"ConsistentRead":true,"FilterExpression":"attribute_exists(zz9)"`: `4`} {
		got := target.Raw(t, "Scan", `{"TableName":"`+small.Name+`","ReturnConsumedCapacity":"TOTAL"`+more+`}`)
		var answer struct {
			ConsumedCapacity struct{ CapacityUnits json.Number }
		}
		if got.JSON(t, &answer); string(answer.ConsumedCapacity.CapacityUnits) != want && string(answer.ConsumedCapacity.CapacityUnits) != want+".0" {
			t.Errorf("a scan of a tiny table (%s): %s, want %s units", more, got.Body, want)
		}
	}
	// [9.10 T AL/LS M] what DeleteTable does not show
	var deleted struct{ TableDescription map[string]json.RawMessage }
	target.Raw(t, "DeleteTable", `{"TableName":"`+table+`"}`).JSON(t, &deleted)
	for _, absent := range []string{"CreationDateTime", "KeySchema", "AttributeDefinitions", "GlobalSecondaryIndexes", "LocalSecondaryIndexes"} {
		if deleted.TableDescription[absent] != nil {
			t.Errorf("DeleteTable shows %s", absent)
		}
	}
	for _, shown := range []string{"BillingModeSummary", "ProvisionedThroughput"} {
		if deleted.TableDescription[shown] == nil {
			t.Errorf("DeleteTable does not show %s", shown)
		}
	}
}
