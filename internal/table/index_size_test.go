package table

import (
	"fmt"
	"strings"
	"testing"

	"github.com/millstreamdb/millstream/internal/schema"
)

// An item and its entries in local indexes share the limit of an item's size:
// "Constraints in Amazon DynamoDB", local secondary indexes.
func TestItemsFitWithTheirLocalEntries(t *testing.T) {
	w := newWorld(t)
	w.must(t, "CreateTable", `{"TableName":"tab","BillingMode":"PAY_PER_REQUEST",
		"AttributeDefinitions":[{"AttributeName":"p","AttributeType":"S"},{"AttributeName":"s","AttributeType":"S"},{"AttributeName":"l","AttributeType":"S"}],
		"KeySchema":[{"AttributeName":"p","KeyType":"HASH"},{"AttributeName":"s","KeyType":"RANGE"}],
		"LocalSecondaryIndexes":[{"IndexName":"all","KeySchema":[{"AttributeName":"p","KeyType":"HASH"},{"AttributeName":"l","KeyType":"RANGE"}],"Projection":{"ProjectionType":"ALL"}}],
		"GlobalSecondaryIndexes":[{"IndexName":"global","KeySchema":[{"AttributeName":"l","KeyType":"HASH"}],"Projection":{"ProjectionType":"ALL"}}]}`)
	const keys = `"p":{"S":"1"},"s":{"S":"2"}`
	half := schema.MaxItemSize/2 - len("p1s2l3b")
	for _, c := range []struct {
		op, attributes string
		b              int
		want           string
	}{
		{"PutItem", `,"l":{"S":"3"}`, half, ""},
		{"PutItem", `,"l":{"S":"3"}`, half + 1, "Item size has exceeded the maximum allowed size"},
		{"PutItem", "", 2 * half, ""}, // it is not in the index
		{"UpdateItem", "", half + 1, "Item size to update has exceeded the maximum allowed size"},
		{"UpdateItem", "", half, ""},
	} {
		value := strings.Repeat("b", c.b)
		body := fmt.Sprintf(`{"TableName":"tab","Item":{%s%s,"b":{"S":%q}}}`, keys, c.attributes, value)
		if c.op == "UpdateItem" {
			body = fmt.Sprintf(`{"TableName":"tab","Key":{%s},"UpdateExpression":"SET b = :b, l = :l","ExpressionAttributeValues":{":b":{"S":%q},":l":{"S":"3"}}}`, keys, value)
		}
		_, err := w.call(c.op, body)
		if got := fmt.Sprint(err); err == nil && c.want != "" || err != nil && (c.want == "" || !strings.Contains(got, c.want)) {
			t.Errorf("%s with %d bytes%s: %.200s, want %q", c.op, c.b, c.attributes, got, c.want)
		}
	}
}
