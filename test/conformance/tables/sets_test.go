package tables

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/millstreamdb/millstream/test/conformance/harness"
)

// TestOrderOfSets reads an item with sets that were written in another order
// [9.05 C DX 10 M].
func TestOrderOfSets(t *testing.T) {
	target := harness.The(t)
	table := made(t, target, key("pk")+","+definitions("pk:S"))
	const at = `"Key":{"pk":{"S":"a"}}`
	on := `{"TableName":"` + table + `",`
	old := target.Raw(t, "PutItem", on+`"Item":{"pk":{"S":"a"},"m":{"M":{"l":{"L":[{"NS":["3","20","1","2"]}]}}},"ss":{"SS":["b","a","B"]},"bs":{"BS":["/w==","AA==","AAA="]}}}`)
	old.Want(t, "", "")
	byValue, byHash := []string{"1", "2", "3", "20"}, []string{"3", "20", "2", "1"}
	sets := func(name string, reply harness.Reply, numbers ...[]string) {
		t.Helper()
		body := string(reply.Body)
		for _, want := range []string{`{"SS":["B","a","b"]}`, `{"BS":["AA==","AAA=","/w=="]}`} {
			if !strings.Contains(body, want) {
				t.Errorf("%s: no %s in %s", name, want, body)
			}
		}
		_, rest, _ := strings.Cut(body, `{"NS":`)
		list, _, _ := strings.Cut(rest, "}")
		var got []string
		if json.Unmarshal([]byte(list), &got) != nil || !slices.ContainsFunc(numbers, func(want []string) bool { return slices.Equal(got, want) }) {
			t.Errorf("%s: numbers %q, want one of %q", name, got, numbers)
		}
	}
	const pk = `"KeyConditionExpression":"pk = :a","ExpressionAttributeValues":{":a":{"S":"a"}}`
	sets("GetItem", target.Raw(t, "GetItem", on+at+`}`), byValue)
	sets("BatchGetItem", target.Raw(t, "BatchGetItem", `{"RequestItems":{"`+table+`":{"Keys":[{"pk":{"S":"a"}}]}}}`), byValue)
	sets("Query", target.Raw(t, "Query", on+pk+`}`), byValue)
	sets("UpdateItem", target.Raw(t, "UpdateItem", on+at+`,"ReturnValues":"ALL_OLD"}`), byValue)
	sets("a failed condition", target.Raw(t, "DeleteItem", on+at+`,"ConditionExpression":"attribute_not_exists(pk)","ReturnValuesOnConditionCheckFailure":"ALL_OLD"}`), byValue)
	// Some regions give these by value as well.
	sets("Scan", target.Raw(t, "Scan", `{"TableName":"`+table+`"}`), byHash, byValue)
	sets("TransactGetItems", target.Raw(t, "TransactGetItems", `{"TransactItems":[{"Get":`+on+at+`}}]}`), byHash, byValue)
	check := `{"TransactItems":[{"ConditionCheck":` + on + at + `,"ConditionExpression":"attribute_not_exists(pk)","ReturnValuesOnConditionCheckFailure":"ALL_OLD"}}]}`
	sets("a cancellation", target.Raw(t, "TransactWriteItems", check), byHash, byValue)
	sets("ExecuteStatement", target.Raw(t, "ExecuteStatement", `{"Statement":"SELECT * FROM \"`+table+`\" WHERE pk = 'a'"}`), byHash)
	sets("BatchExecuteStatement", target.Raw(t, "BatchExecuteStatement", `{"Statements":[{"Statement":"SELECT * FROM \"`+table+`\" WHERE pk = 'a'"}]}`), byHash)
	sets("DeleteItem", target.Raw(t, "DeleteItem", on+at+`,"ReturnValues":"ALL_OLD"}`), byValue)
}
