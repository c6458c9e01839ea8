package tables

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/millstreamdb/millstream/test/conformance/harness"
)

const canceled = "TransactionCanceledException"

// cancelledFor is the message of a cancellation for these codes.
func cancelledFor(codes ...string) string {
	return "Transaction cancelled, please refer cancellation reasons for specific reasons [" + strings.Join(codes, ", ") + "]"
}

func TestTransactionErrors(t *testing.T) {
	write := func(name, actions, want, message string) row {
		return row{name, "TransactWriteItems", `{"TransactItems":[` + actions + `]}`, want, message}
	}
	get := func(name, gets, want, message string) row {
		return row{name, "TransactGetItems", `{"TransactItems":[` + gets + `]}`, want, message}
	}
	const (
		empty  = "One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty string value. Key: pk"
		one    = "1 validation error detected: "
		syntax = `Invalid ConditionExpression: Syntax error; token: "<EOF>", near: "("`
		bad    = `{"ConditionCheck":{"TableName":"$H","Key":{"pk":{"S":"tx"}},"ConditionExpression":"attribute_not_exists("}}`
		twice  = "Transaction request cannot include multiple operations on one item"
	)
	check(t, []row{
		write("malformed table name", `{"Put":{"TableName":"bad!name","Item":{"pk":{"S":"a"}}}}`, validation,
			one+"Value 'bad!name' at 'transactItems.1.member.put.tableName' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+"),
		write("no action", `{}`, validation, "Invalid Request: TransactWriteRequest should contain Delete or Put or Update request"),
		write("two actions", `{"Put":{"TableName":"$H","Item":{"pk":{"S":"tx"}}},"Delete":{"TableName":"$H","Key":{"pk":{"S":"tx"}}}}`, validation, "TransactItems can only contain one of Check, Put, Update or Delete"),
		write("check without condition", `{"ConditionCheck":{"TableName":"$H","Key":{"pk":{"S":"tx"}}}}`, validation, one+"Value null at 'transactItems.1.member.conditionCheck.conditionExpression' failed to satisfy constraint: Member must not be null"),
		write("syntax before a missing table", `{"Put":{"TableName":"$X","Item":{"pk":{"S":"a"}}}},`+bad, validation, syntax),
		write("missing table before keys", `{"Put":{"TableName":"$H","Item":{"pk":{"N":"5"}}}},{"Delete":{"TableName":"$X","Key":{"pk":{"S":"a"}}}}`, notFound, "Requested resource not found"),
		write("empty key of a put", `{"Put":{"TableName":"$H","Item":{"pk":{"S":""}}}}`, validation, empty),
		write("empty key of a delete", `{"Delete":{"TableName":"$H","Key":{"pk":{"S":""}}}}`, validation, empty),
		write("put of a wrong type", `{"Put":{"TableName":"$H","Item":{"pk":{"N":"5"}}}}`, canceled, cancelledFor("ValidationError")),
		write("only the first invalid action counts", `{"Put":{"TableName":"$H","Item":{"pk":{"S":"tx"}},"ConditionExpression":"pk = pk2"}},{"Put":{"TableName":"$H","Item":{"pk":{"N":"5"}}}},{"Put":{"TableName":"$H","Item":{"pk":{"N":"6"}}}}`, canceled, cancelledFor("None", "ValidationError", "None")),
		write("one item twice", `{"Put":{"TableName":"$N","Item":{"pk":{"N":"1000"}}}},{"Delete":{"TableName":"$N","Key":{"pk":{"N":"1e3"}}}}`, validation, twice),
		write("conditions", `{"Put":{"TableName":"$H","Item":{"pk":{"S":"tx1"}}}},{"Put":{"TableName":"$H","Item":{"pk":{"S":"tx2"}},"ConditionExpression":"attribute_exists(pk)"}},{"ConditionCheck":{"TableName":"$H","Key":{"pk":{"S":"tx3"}},"ConditionExpression":"attribute_exists(pk)"}}`,
			canceled, cancelledFor("None", "ConditionalCheckFailed", "ConditionalCheckFailed")),
		write("none", ``, validation, one+"Value '[]' at 'transactItems' failed to satisfy constraint: Member must have length greater than or equal to 1"),
		{"long token", "TransactWriteItems", `{"ClientRequestToken":"` + strings.Repeat("x", 37) + `","TransactItems":[{"Delete":{"TableName":"$H","Key":{"pk":{"S":"a"}}}}]}`, validation,
			one + "Value '" + strings.Repeat("x", 37) + "' at 'clientRequestToken' failed to satisfy constraint: Member must have length less than or equal to 36"},
		get("missing table", `{"Get":{"TableName":"$X","Key":{"pk":{"S":"a"}}}}`, notFound, "Requested resource not found"),
		get("projection", `{"Get":{"TableName":"$H","Key":{"pk":{"S":"a"}},"ProjectionExpression":"!!!"}}`, validation, `Invalid ProjectionExpression: Syntax error; token: "!", near: "!!"`),
		get("no key", `{"Get":{"TableName":"$H","Key":{}}}`, canceled, cancelledFor("ValidationError")),
		get("one item twice", `{"Get":{"TableName":"$H","Key":{"pk":{"S":"a"}}}},{"Get":{"TableName":"$H","Key":{"pk":{"S":"a"}}}}`, validation, twice),
	})
}

// TestTransaction does one with all four actions over two tables, replays it by
// its token, and reads what it left.
func TestTransaction(t *testing.T) {
	target := harness.The(t)
	names := shared(t, target)
	call := func(op, body string) harness.Reply {
		t.Helper()
		return target.Raw(t, op, names.Replace(body))
	}
	token := harness.Name("token")
	call("PutItem", `{"TableName":"$H","Item":{"pk":{"S":"tx-gone"}}}`).Want(t, "", "")
	body := func(n int) string {
		return fmt.Sprintf(`{"ClientRequestToken":%q,"ReturnConsumedCapacity":"TOTAL","TransactItems":[
			{"Update":{"TableName":"$H","Key":{"pk":{"S":"tx-count"}},"UpdateExpression":"ADD n :n","ExpressionAttributeValues":{":n":{"N":"%d"}}}},
			{"Put":{"TableName":"$R","Item":{"pk":{"S":"tx"},"sk":{"N":"1"},"v":{"S":"x"},"w":{"S":"y"}}}},
			{"Delete":{"TableName":"$H","Key":{"pk":{"S":"tx-gone"}}}},
			{"ConditionCheck":{"TableName":"$H","Key":{"pk":{"S":"tx-absent"}},"ConditionExpression":"attribute_not_exists(pk)"}}]}`, token, n)
	}
	reply := call("TransactWriteItems", body(1))
	reply.Want(t, "", "")
	sameJSON(t, "the capacity of a transaction", reply.Body, names.Replace(`{"ConsumedCapacity":[{"TableName":"$H","CapacityUnits":6,"WriteCapacityUnits":6},{"TableName":"$R","CapacityUnits":2,"WriteCapacityUnits":2}]}`))
	reply = call("TransactWriteItems", body(1))
	reply.Want(t, "", "")
	sameJSON(t, "the capacity of its replay", reply.Body, names.Replace(`{"ConsumedCapacity":[{"TableName":"$H","CapacityUnits":6,"ReadCapacityUnits":6},{"TableName":"$R","CapacityUnits":2,"ReadCapacityUnits":2}]}`))
	call("TransactWriteItems", body(2)).Want(t, "IdempotentParameterMismatchException", "")
	reply = call("TransactGetItems", `{"TransactItems":[{"Get":{"TableName":"$H","Key":{"pk":{"S":"tx-count"}}}},{"Get":{"TableName":"$H","Key":{"pk":{"S":"tx-gone"}}}},
		{"Get":{"TableName":"$R","Key":{"pk":{"S":"tx"},"sk":{"N":"1"}},"ProjectionExpression":"v"}},{"Get":{"TableName":"$R","Key":{"pk":{"S":"tx"},"sk":{"N":"2"}}}}]}`)
	reply.Want(t, "", "")
	sameJSON(t, "what it left", reply.Body, `{"Responses":[{"Item":{"pk":{"S":"tx-count"},"n":{"N":"1"}}},{},{"Item":{"v":{"S":"x"}}},{}]}`)

	reply = call("TransactWriteItems", `{"TransactItems":[{"Put":{"TableName":"$H","Item":{"pk":{"S":"tx-count"}},"ConditionExpression":"attribute_not_exists(pk)","ReturnValuesOnConditionCheckFailure":"ALL_OLD"}}]}`)
	reply.Want(t, canceled, cancelledFor("ConditionalCheckFailed"))
	var got struct{ CancellationReasons json.RawMessage }
	if err := json.Unmarshal(reply.Body, &got); err != nil {
		t.Fatal(err)
	}
	sameJSON(t, "the reasons", got.CancellationReasons, `[{"Code":"ConditionalCheckFailed","Message":"The conditional request failed","Item":{"pk":{"S":"tx-count"},"n":{"N":"1"}}}]`)
}
