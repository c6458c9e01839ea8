package request

import (
	"fmt"
	"strings"
	"testing"
)

func init() {
	decoders["TransactWriteItems"] = erased(DecodeTransactWriteItems)
	decoders["TransactGetItems"] = erased(DecodeTransactGetItems)
}

func transactWrite(actions ...string) string {
	return `{"TransactItems":[` + strings.Join(actions, ",") + `]}`
}

const (
	transactPut    = `{"Put":{"TableName":"abc","Item":{"id":{"S":"a"}}}}`
	transactUpdate = `{"Update":{"TableName":"abc","Key":{"id":{"S":"a"}},"UpdateExpression":"SET x = :x","ExpressionAttributeValues":{":x":{"S":"a"}}}}`
	transactDelete = `{"Delete":{"TableName":"abc","Key":{"id":{"S":"a"}}}}`
	transactCheck  = `{"ConditionCheck":{"TableName":"abc","Key":{"id":{"S":"a"}},"ConditionExpression":"attribute_exists(id)"}}`
	transactGet    = `{"Get":{"TableName":"abc","Key":{"id":{"S":"a"}}}}`
)

func TestTransactTypes(t *testing.T) {
	checkRefusals(t, []refusal{
		{"TransactWriteItems", `{"TransactItems":"a"}`, serialization + ": Unexpected field type"},
		{"TransactWriteItems", `{"TransactItems":{}}`, serialization + ": Start of structure or map found where not expected"},
		{"TransactWriteItems", `{"TransactItems":[1]}`, serialization + ": Unexpected value type in payload"},
		{"TransactWriteItems", `{"TransactItems":[[]]}`, serialization + ": Unrecognized collection type class com.amazonaws.dynamodb.v20120810.TransactWriteItem"},
		{"TransactWriteItems", `{"TransactItems":[{"Put":1}]}`, serialization + ": Unexpected field type"},
		{"TransactWriteItems", `{"TransactItems":[{"Put":[]}]}`, serialization + ": Unrecognized collection type class com.amazonaws.dynamodb.v20120810.Put"},
		{"TransactWriteItems", `{"TransactItems":[{"Put":{"ExpressionAttributeNames":{"#a":7}}}]}`, serialization + ": NUMBER_VALUE cannot be converted to String"},
		{"TransactWriteItems", `{"ClientRequestToken":7,"TransactItems":[]}`, serialization + ": NUMBER_VALUE cannot be converted to String"},
		{"TransactGetItems", `{"TransactItems":[[]]}`, serialization + ": Unrecognized collection type class com.amazonaws.dynamodb.v20120810.TransactGetItem"},
		{"TransactGetItems", `{"TransactItems":[{"Get":[]}]}`, serialization + ": Unrecognized collection type class com.amazonaws.dynamodb.v20120810.Get"},
		// What is past the limit is read all the same.
		{"TransactWriteItems", `{"TransactItems":[` + strings.Repeat(transactPut+",", 200) + `{"Put":7}]}`, serialization + ": Unexpected field type"},
		// Older parameters are unknown here, and so ignored.
		{"TransactWriteItems", transactWrite(`{"Put":{"TableName":"abc","Item":{},"Expected":{"a":{"Exists":false}},"ReturnValues":"x"}}`), ""},
	})
}

func TestTransactConstraints(t *testing.T) {
	const (
		capacity = "Value 'x' at 'returnConsumedCapacity' failed to satisfy constraint: Member must satisfy enum value set: [INDEXES, TOTAL, NONE]"
		metrics  = "Value 'x' at 'returnItemCollectionMetrics' failed to satisfy constraint: Member must satisfy enum value set: [SIZE, NONE]"
		pattern  = " failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+"
		null     = " failed to satisfy constraint: Member must not be null"
	)
	long := strings.Repeat("x", 37)
	checkRefusals(t, []refusal{
		{"TransactWriteItems", `{}`, one + "Value null at 'transactItems'" + null},
		{"TransactWriteItems", `{"TransactItems":[]}`, one + "Value '[]' at 'transactItems' failed to satisfy constraint: Member must have length greater than or equal to 1"},
		{"TransactWriteItems", transactWrite(strings.Repeat(transactPut+",", 100) + transactPut), one + "Value '[...]' at 'transactItems' failed to satisfy constraint: Member must have length less than or equal to 100"},
		{"TransactWriteItems", `{"ClientRequestToken":"` + long + `","ReturnConsumedCapacity":"x","ReturnItemCollectionMetrics":"x","TransactItems":[` + transactPut + `]}`,
			validation + "3 validation errors detected: Value '" + long + "' at 'clientRequestToken' failed to satisfy constraint: Member must have length less than or equal to 36; " + capacity + "; " + metrics},
		{"TransactWriteItems", `{"ClientRequestToken":"","TransactItems":[` + transactPut + `]}`, one + "Value '' at 'clientRequestToken' failed to satisfy constraint: Member must have length greater than or equal to 1"},
		{"TransactWriteItems", transactWrite(transactCheck, `{"Put":{}}`), two + "Value null at 'transactItems.2.member.put.tableName'" + null + "; Value null at 'transactItems.2.member.put.item'" + null},
		{"TransactWriteItems", transactWrite(`{"Update":{"TableName":"abc"}}`), two + "Value null at 'transactItems.1.member.update.key'" + null + "; Value null at 'transactItems.1.member.update.updateExpression'" + null},
		{"TransactWriteItems", transactWrite(`{"Delete":{"TableName":"abc"}}`), one + "Value null at 'transactItems.1.member.delete.key'" + null},
		{"TransactWriteItems", transactWrite(`{"ConditionCheck":{"TableName":"abc"}}`), two + "Value null at 'transactItems.1.member.conditionCheck.key'" + null + "; Value null at 'transactItems.1.member.conditionCheck.conditionExpression'" + null},
		{"TransactWriteItems", transactWrite(transactPut, `{"Update":{"TableName":"bad!name","Key":{},"UpdateExpression":"REMOVE a"}}`), one + "Value 'bad!name' at 'transactItems.2.member.update.tableName'" + pattern},
		{"TransactWriteItems", transactWrite(`{"ConditionCheck":{"TableName":"bad!name","Key":{},"ConditionExpression":"a"}}`), one + "Value 'bad!name' at 'transactItems.1.member.conditionCheck.tableName'" + pattern},
		{"TransactWriteItems", transactWrite(`{"Delete":{"TableName":"abc","Key":{},"ReturnValuesOnConditionCheckFailure":"none"}}`),
			one + "Value 'none' at 'transactItems.1.member.delete.returnValuesOnConditionCheckFailure' failed to satisfy constraint: Member must satisfy enum value set: [ALL_OLD, NONE]"},
		{"TransactGetItems", `{"TransactItems":[{}]}`, one + "Value null at 'transactItems.1.member.get'" + null},
		{"TransactGetItems", `{"TransactItems":[{"Get":{}}],"ReturnConsumedCapacity":"x"}`, validation + "3 validation errors detected: Value null at 'transactItems.1.member.get.tableName'" + null + "; Value null at 'transactItems.1.member.get.key'" + null + "; " + capacity},
		{"TransactGetItems", `{"TransactItems":[]}`, one + "Value '[]' at 'transactItems' failed to satisfy constraint: Member must have length greater than or equal to 1"},
	})
}

func TestTransactRules(t *testing.T) {
	huge := `{"Put":{"TableName":"abc","Item":{"id":{"S":"` + strings.Repeat("a", 400<<10) + `"}}}}`
	deepValue := strings.Repeat(`{"M":{"a":`, 32) + `{"S":"a"}` + strings.Repeat("}}", 32)
	deep := `{"Put":{"TableName":"abc","Item":{"id":` + deepValue + `}}}`
	syntax := `{"ConditionCheck":{"TableName":"abc","Key":{},"ConditionExpression":"attribute_not_exists("}}`
	unused := `{"Delete":{"TableName":"abc","Key":{},"ConditionExpression":"attribute_exists(id)","ExpressionAttributeValues":{":v":{"S":"x"}}}}`
	const nesting = validation + "Nesting Levels have exceeded supported limits: Attributes in the item have nested levels beyond supported limit"
	const eof = validation + `Invalid ConditionExpression: Syntax error; token: "<EOF>", near: "("`
	var large []string
	for range 11 {
		large = append(large, `{"Put":{"TableName":"abc","Item":{"id":{"S":"`+strings.Repeat("a", 399<<10)+`"}}}}`)
	}
	checkRefusals(t, []refusal{
		{"TransactWriteItems", transactWrite(transactPut, transactUpdate, transactDelete, transactCheck), ""},
		{"TransactWriteItems", transactWrite(`{}`), validation + "Invalid Request: TransactWriteRequest should contain Delete or Put or Update request"},
		{"TransactWriteItems", transactWrite(`null`), validation + "Invalid Request: TransactWriteRequest should contain Delete or Put or Update request"},
		{"TransactWriteItems", transactWrite(`{"Put":{"TableName":"abc","Item":{}},"Delete":{"TableName":"abc","Key":{}}}`), validation + "TransactItems can only contain one of Check, Put, Update or Delete"},
		// Of what can be seen without a table, the first action's comes first.
		{"TransactWriteItems", transactWrite(huge, syntax), validation + "Item size has exceeded the maximum allowed size"},
		{"TransactWriteItems", transactWrite(syntax, deep), eof},
		{"TransactWriteItems", transactWrite(deep, syntax), nesting},
		{"TransactWriteItems", transactWrite(`{"Put":{"TableName":"abc","Item":{"m":{"M":{"":{"S":"x"}}},"d":` + deepValue + `}}}`), nesting},
		{"TransactWriteItems", transactWrite(`{"Put":{"TableName":"abc","Item":{"m":{"M":{"":{"S":"x"}}},"":{"S":"x"},"d":` + deepValue + `}}}`), validation + "Empty attribute name"},
		{"TransactWriteItems", transactWrite(transactPut, unused), validation + "Value provided in ExpressionAttributeValues unused in expressions: keys: {:v}"},
		{"TransactWriteItems", transactWrite(`{"Put":{"TableName":"abc","Item":{},"ConditionExpression":""}}`), validation + "Invalid ConditionExpression: The expression can not be empty;"},
		{"TransactWriteItems", transactWrite(`{"Put":{"TableName":"abc","Item":{},"ExpressionAttributeValues":{":v":{"S":"x"}}}}`), ""},
		{"TransactWriteItems", transactWrite(large...), validation + "Transaction payload size cannot exceed 4194304 bytes"},
		{"TransactWriteItems", transactWrite(large[:10]...), ""},
		{"TransactWriteItems", transactWrite(`{"Delete":{"TableName":"arn:aws:dynamodb:us-east-1:000000000000:table/abc","Key":{}}}`), ""},
		{"TransactWriteItems", transactWrite(`{"Delete":{"TableName":"arn:aws:dynamodb","Key":{}}}`), validation + "Invalid TableArn: Invalid ResourceArn provided as input arn:aws:dynamodb"},
		{"TransactGetItems", transactWrite(transactGet), ""},
		{"TransactGetItems", transactWrite(transactGet, `{"Get":{"TableName":"abc","Key":{},"ProjectionExpression":"!!!"}}`), validation + `Invalid ProjectionExpression: Syntax error; token: "!", near: "!!"`},
	})
}

// The digest of a request is of what it does, not of how it is written.
func TestTokenDigest(t *testing.T) {
	digest := func(actions ...string) [32]byte {
		t.Helper()
		op, err := DecodeTransactWriteItems([]byte(`{"ClientRequestToken":"t",` + transactWrite(actions...)[1:]))
		if err != nil {
			t.Fatal(err)
		}
		return op.Token.Digest
	}
	update := func(key, names, values, rest string) string {
		return fmt.Sprintf(`{"Update":{"TableName":"abc","Key":{%s},"UpdateExpression":"SET #a = :a, #b = :b","ExpressionAttributeNames":{%s},"ExpressionAttributeValues":{%s}%s}}`, key, names, values, rest)
	}
	const key, names, values = `"id":{"N":"1"},"r":{"S":"a"}`, `"#a":"x","#b":"y"`, `":a":{"S":"1"},":b":{"S":"2"}`
	first := digest(update(key, names, values, ""), transactPut)
	if again := digest(update(`"r":{"S":"a"},"id":{"N":"1.0"}`, `"#b":"y","#a":"x"`, `":b":{"S":"2"},":a":{"S":"1"}`, ""), transactPut); again != first {
		t.Error("the order of members changes the digest")
	}
	for what, other := range map[string][32]byte{
		"key":       digest(update(`"id":{"N":"2"},"r":{"S":"a"}`, names, values, ""), transactPut),
		"names":     digest(update(key, `"#a":"y","#b":"x"`, values, ""), transactPut),
		"values":    digest(update(key, names, `":a":{"S":"2"},":b":{"S":"1"}`, ""), transactPut),
		"condition": digest(update(key, names, values, `,"ConditionExpression":"a = :a"`), transactPut),
		"failure":   digest(update(key, names, values, `,"ReturnValuesOnConditionCheckFailure":"ALL_OLD"`), transactPut),
		"order":     digest(transactPut, update(key, names, values, "")),
		"fewer":     digest(update(key, names, values, "")),
		"more":      digest(update(key, names, values, ""), transactPut, transactCheck),
	} {
		if other == first {
			t.Errorf("another request (%s) has the same digest", what)
		}
	}
}
