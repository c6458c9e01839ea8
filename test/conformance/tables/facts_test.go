package tables

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/millstreamdb/millstream/test/conformance/harness"
)

// asked is one request about a fact (see facts.md), and the text of its answer, to the
// letter: with or without "1 validation error detected: " is what most of these facts
// are about. No text means success. "A || B" takes either, where regions move from one
// to the other. The type is ValidationException unless the text begins with another and
// a "!"; a text that ends in "..." is compared up to there.
type asked struct {
	fact, name string
	op, body   string
	text       string
}

func ask(t *testing.T, rows []asked) {
	t.Helper()
	target := harness.The(t)
	names := shared(t, target)
	for _, r := range rows {
		id, _, _ := strings.Cut(strings.TrimPrefix(r.fact, "["), " ")
		t.Run(id+"/"+r.op+"/"+r.name, func(t *testing.T) {
			reply := target.Raw(t, r.op, names.Replace(r.body))
			wanted := strings.Split(names.Replace(r.text), " || ")
			if !slices.ContainsFunc(wanted, func(want string) bool { return answers(reply, want) }) {
				t.Errorf("%s\n got  %d %s: %s\n want %s", r.fact, reply.Status, reply.Type, reply.Message, strings.Join(wanted, "\n   or "))
			}
		})
	}
}

func answers(reply harness.Reply, want string) bool {
	if want == "" {
		return reply.Status == http.StatusOK
	}
	kind, text, ok := strings.Cut(want, "!")
	if !ok || strings.Contains(kind, " ") {
		kind, text = validation, want
	}
	if reply.Status != http.StatusBadRequest || reply.Type != kind {
		return false
	}
	if begin, ok := strings.CutSuffix(text, "..."); ok {
		return strings.HasPrefix(reply.Message, begin)
	}
	return reply.Message == text
}

// The shorthand of facts.md.
const (
	env   = "1 validation error detected: "
	env2  = "2 validation errors detected: "
	env3  = "3 validation errors detected: "
	env4  = "4 validation errors detected: "
	nan   = "The parameter cannot be converted to a numeric value"
	over  = "Number overflow. Attempting to store a number with magnitude larger than supported range"
	under = "Number underflow. Attempting to store a number with magnitude smaller than supported range"
	nest  = "Nesting Levels have exceeded supported limits: Attributes in the item have nested levels beyond supported limit"

	cst      = " failed to satisfy constraint: "
	enumSet  = cst + "Member must satisfy enum value set: "
	notNull  = cst + "Member must not be null"
	pattern  = cst + "Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+"
	atLeast1 = cst + "Member must have length greater than or equal to 1"
	atLeast3 = cst + "Member must have length greater than or equal to 3"

	badRCC     = "Value 'X' at 'returnConsumedCapacity'" + enumSet + "[INDEXES, TOTAL, NONE]"
	badRICM    = "Value 'X' at 'returnItemCollectionMetrics'" + enumSet + "[SIZE, NONE]"
	badRVOCCF  = "Value 'X' at 'returnValuesOnConditionCheckFailure'" + enumSet + "[ALL_OLD, NONE]"
	badRV      = "Failed to satisfy constraint: Member must satisfy enum value set: [ALL_OLD, UPDATED_OLD, ALL_NEW, UPDATE_NEW, NONE]"
	oldRV      = "Value 'X' at 'returnValues'" + enumSet + "[ALL_NEW, UPDATED_OLD, ALL_OLD, NONE, UPDATED_NEW]"
	emptyTable = "Value at 'TableName'" + atLeast1
	emptyName  = "Empty attribute name"
)

// via is how the older layer wraps what is wrong with a value of
// ExpressionAttributeValues.
func via(text string) string {
	return "ExpressionAttributeValues contains invalid value: " + text + " for key :v"
}

// The places in which a value can stand, by layer.

// writes have a value in each place of PutItem, UpdateItem and DeleteItem.
func writes(fact, name, value, text string) (rows []asked) {
	for _, p := range [][3]string{
		{"item", "PutItem", `{"TableName":"$H","Item":{"pk":{"S":"a"},"v":` + value + `}}`},
		{"nested", "PutItem", `{"TableName":"$H","Item":{"pk":{"S":"a"},"v":{"L":[{"M":{"x":` + value + `}}]}}}`},
		{"condition", "PutItem", `{"TableName":"$H","Item":{"pk":{"S":"a"}},"ConditionExpression":"v <> :v",` + eav(value) + `}`},
		{"expected", "PutItem", `{"TableName":"$H","Item":{"pk":{"S":"a"}},"Expected":{"v":{"ComparisonOperator":"NE","Value":` + value + `}}}`},
		{"update", "UpdateItem", `{"TableName":"$H","Key":{"pk":{"S":"a"}},"UpdateExpression":"SET v = :v",` + eav(value) + `}`},
		{"attribute", "UpdateItem", `{"TableName":"$H","Key":{"pk":{"S":"a"}},"AttributeUpdates":{"v":{"Action":"PUT","Value":` + value + `}}}`},
		{"key", "UpdateItem", `{"TableName":"$H","Key":{"pk":` + value + `}}`},
		{"key", "DeleteItem", `{"TableName":"$H","Key":{"pk":` + value + `}}`},
		{"condition", "DeleteItem", `{"TableName":"$H","Key":{"pk":{"S":"a"}},"ConditionExpression":"v <> :v",` + eav(value) + `}`},
	} {
		if text == "" && p[0] == "key" {
			continue // what is accepted is of a type that the key has not
		}
		rows = append(rows, asked{fact, p[0] + " " + name, p[1], p[2], text})
	}
	return rows
}

// reads have it in GetItem, BatchGetItem and Query.
func reads(fact, name, value, text string) (rows []asked) {
	for _, p := range [][3]string{
		{"key", "GetItem", `{"TableName":"$H","Key":{"pk":` + value + `}}`},
		{"key", "BatchGetItem", `{"RequestItems":{"$H":{"Keys":[{"pk":` + value + `}]}}}`},
		{"key condition", "Query", `{"TableName":"$H","KeyConditionExpression":"pk = :v",` + eav(value) + `}`},
		{"filter", "Query", `{"TableName":"$H","KeyConditionExpression":"pk = :a","FilterExpression":"v = :v",` +
			`"ExpressionAttributeValues":{":a":{"S":"a"},":v":` + value + `}}`},
		{"older filter", "Query", `{"TableName":"$H","KeyConditions":{"pk":{"ComparisonOperator":"EQ","AttributeValueList":[{"S":"a"}]}},` +
			`"QueryFilter":{"v":{"ComparisonOperator":"EQ","AttributeValueList":[` + value + `]}}}`},
		{"start key", "Query", `{"TableName":"$H","KeyConditionExpression":"pk = :a","ExpressionAttributeValues":{":a":{"S":"a"}},` +
			`"ExclusiveStartKey":{"pk":` + value + `}}`},
	} {
		rows = append(rows, asked{fact, p[0] + " " + name, p[1], p[2], text})
	}
	return rows
}

// olds have it in the operations of the older layer: as it is, and wrapped.
func olds(fact, name, value, text string) []asked {
	transact := func(action string) string { return `{"TransactItems":[` + action + `]}` }
	put := `{"TableName":"$H","Item":{"pk":{"S":"a"},"v":` + value + `}}`
	return []asked{
		{fact, "put " + name, "BatchWriteItem", `{"RequestItems":{"$H":[{"PutRequest":{"Item":{"pk":{"S":"a"},"v":` + value + `}}}]}}`, text},
		{fact, "delete " + name, "BatchWriteItem", `{"RequestItems":{"$H":[{"DeleteRequest":{"Key":{"pk":` + value + `}}}]}}`, text},
		{fact, "put " + name, "TransactWriteItems", transact(`{"Put":` + put + `}`), text},
		{fact, "delete " + name, "TransactWriteItems", transact(`{"Delete":{"TableName":"$H","Key":{"pk":` + value + `}}}`), text},
		{fact, "check " + name, "TransactWriteItems", transact(`{"ConditionCheck":{"TableName":"$H","Key":{"pk":{"S":"a"}},` +
			`"ConditionExpression":"v = :v",` + eav(value) + `}}`), via(text)},
		{fact, "key " + name, "TransactGetItems", transact(`{"Get":{"TableName":"$H","Key":{"pk":` + value + `}}}`), text},
	}
}

// statementsOf have it as a parameter, where AWS's texts are those of the older layer.
func statementsOf(fact, name, value, text string) []asked {
	insert := `{"Statement":"INSERT INTO \"$H\" VALUE {'pk':'a','v':?}","Parameters":[` + value + `]}`
	return []asked{
		{fact, "insert " + name, "ExecuteStatement", insert, text},
		{fact, "where " + name, "ExecuteStatement", `{"Statement":"SELECT * FROM \"$H\" WHERE v = ?","Parameters":[` + value + `]}`, text},
		{fact, "in a list " + name, "ExecuteStatement", strings.Replace(insert, value, `{"L":[`+value+`]}`, 1), text},
		{fact, "insert " + name, "ExecuteTransaction", `{"TransactStatements":[` + insert + `]}`, text},
	}
}

func eav(value string) string { return `"ExpressionAttributeValues":{":v":` + value + `}` }

func number(text string) string { return `{"N":"` + text + `"}` }

// deep is a value of that many lists around a text.
func deep(levels int) string {
	return strings.Repeat(`{"L":[`, levels) + `{"S":"x"}` + strings.Repeat(`]}`, levels)
}
