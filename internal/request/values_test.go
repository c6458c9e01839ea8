package request

import (
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/millstreamdb/millstream/internal/schema"
)

func TestPutItemValue(t *testing.T) {
	op, err := DecodePutItem([]byte(`{"Unknown":[{}],"TableName":"arn:aws:dynamodb:eu-west-1:123456789012:table/abc","Item":{"id":{"S":"x"},"n":{"N":"1.50"}},
		"ConditionExpression":"attribute_not_exists(id)","ReturnValues":"ALL_OLD","ReturnConsumedCapacity":"INDEXES",
		"ReturnItemCollectionMetrics":"SIZE","ReturnValuesOnConditionCheckFailure":"ALL_OLD","ExpressionAttributeNames":null}`))
	if err != nil {
		t.Fatal(err)
	}
	if op.TableName != "abc" || op.Requested != "arn:aws:dynamodb:eu-west-1:123456789012:table/abc" {
		t.Errorf("table %q, requested %q", op.TableName, op.Requested)
	}
	if got := string(op.Item.AppendJSON(nil)); got != `{"id":{"S":"x"},"n":{"N":"1.5"}}` {
		t.Errorf("item %s", got)
	}
	if op.Condition == nil || op.ReturnValues != ReturnAllOld || op.ReturnConsumedCapacity != CapacityIndexes ||
		!op.ReturnItemCollectionMetrics || !op.ReturnOldOnConditionFailure {
		t.Errorf("got %+v", op)
	}
	here := schema.Scope{Account: "123456789012", Region: "eu-west-1"}
	if op.Foreign(here) {
		t.Error("the request's own scope counts as another one")
	}
	here.Region = "us-east-1"
	if !op.Foreign(here) {
		t.Error("another region's table passes for one of this region")
	}
	if (&Common{TableName: "abc", Requested: "abc"}).Foreign(here) {
		t.Error("a plain name is of no other scope")
	}
}

func TestLastOfRepeatedMembersCounts(t *testing.T) {
	op, err := DecodeGetItem([]byte(`{"TableName":"abc","TableName":"bcd","Key":null,"Key":{"id":{"S":"x"}},"ConsistentRead":true,"ConsistentRead":null}`))
	if err != nil {
		t.Fatal(err)
	}
	if op.TableName != "bcd" || op.ConsistentRead || op.Key.Len() != 1 {
		t.Errorf("got %+v", op)
	}
}

func TestQueryValue(t *testing.T) {
	op, err := DecodeQuery([]byte(`{"TableName":"abc","IndexName":"byX","KeyConditionExpression":"id = :a","ExpressionAttributeValues":{":a":{"S":"x"}},
		"Limit":7,"ScanIndexForward":false,"ConsistentRead":true,"ExclusiveStartKey":{"id":{"S":"y"}},"Select":"COUNT"}`))
	if err != nil {
		t.Fatal(err)
	}
	if op.IndexName != "byX" || op.Limit != 7 || !op.Descending || !op.ConsistentRead || op.Select != SelectCount ||
		op.ExclusiveStartKey.Len() != 1 || len(op.KeyCondition.Conditions) != 1 {
		t.Errorf("got %+v", op)
	}
	if op, err = DecodeQuery([]byte(`{"TableName":"abc","KeyConditionExpression":"id = :a","ExpressionAttributeValues":{":a":{"S":"x"}}}`)); err != nil || op.Descending || op.ExclusiveStartKey != nil {
		t.Errorf("got %+v, %v", op, err)
	}
}

func TestAttributesToGetNamesAreLiteral(t *testing.T) {
	op, err := DecodeGetItem([]byte(`{"TableName":"abc","Key":{"id":{"S":"x"}},"AttributesToGet":["a.b","size"]}`))
	if err != nil {
		t.Fatal(err)
	}
	put, err := DecodePutItem([]byte(`{"TableName":"abc","Item":{"a.b":{"S":"1"},"a":{"M":{"b":{"S":"2"}}},"size":{"N":"3"}}}`))
	if err != nil {
		t.Fatal(err)
	}
	if got := string(op.Projection.Apply(put.Item).AppendJSON(nil)); got != `{"a.b":{"S":"1"},"size":{"N":"3"}}` {
		t.Errorf("got %s", got)
	}
}

func TestBatchValues(t *testing.T) {
	get, err := DecodeBatchGetItem([]byte(`{"RequestItems":{"bbb":{"Keys":[{"id":{"S":"1"}},{"id":{"S":"2"}}],"ConsistentRead":true,"ProjectionExpression":"#a","ExpressionAttributeNames":{"#a":"a\"b"}},"arn:aws:dynamodb:us-east-1:000000000000:table/a":{"Keys":[{"id":{"S":"1"}}]}},"ReturnConsumedCapacity":"TOTAL"}`))
	if err != nil {
		t.Fatal(err)
	}
	if len(get.Tables) != 2 || get.Tables[0].TableName != "bbb" || get.Tables[1].TableName != "a" || get.Tables[1].Requested != "arn:aws:dynamodb:us-east-1:000000000000:table/a" {
		t.Fatalf("got %+v", get.Tables)
	}
	b := get.Tables[0]
	if len(b.Keys) != 2 || !b.ConsistentRead || b.Projection == nil || b.ReturnConsumedCapacity != CapacityTotal ||
		string(b.Raw) != `"ProjectionExpression":"#a","ExpressionAttributeNames":{"#a":"a\"b"},"ConsistentRead":true` {
		t.Errorf("got %+v, raw %s", b, b.Raw)
	}
	write, err := DecodeBatchWriteItem([]byte(`{"RequestItems":{"bbb":[{"PutRequest":{"Item":{"id":{"S":"1"}}}},{"DeleteRequest":{"Key":{"id":{"S":"2"}}}}]}}`))
	if err != nil {
		t.Fatal(err)
	}
	w := write.Tables[0].Writes
	if len(w) != 2 || w[0].Item == nil || w[0].Key != nil || w[1].Item != nil || w[1].Key == nil {
		t.Errorf("got %+v", w)
	}
}

// FuzzDecode holds that no body makes a decoder panic, and that an answer is
// either a value or an AWS error.
func FuzzDecode(f *testing.F) {
	for op := range decoders {
		f.Add(op, []byte(`{"TableName":"abc","Item":{"a":{"L":[{"M":{}}]}},"Key":{"a":{"S":""}},"RequestItems":{"abc":[{"PutRequest":{"Item":{}}}]},"Limit":1.5e3}`))
		f.Add(op, []byte(`{"TableName":"abc","KeyConditionExpression":"a = :a","ExpressionAttributeValues":{":a":{"N":"1"}},"RequestItems":{"abc":{"Keys":[{}]}}}`))
		f.Add(op, []byte(create("a b", "a:HASH b:RANGE", lsi(index("ind", "a:HASH b:RANGE", all))+gsi(index("gin", "b:HASH", all)))))
	}
	f.Fuzz(func(t *testing.T, op string, body []byte) {
		decoder := decoders[op]
		if decoder == nil {
			return
		}
		value, err := decoder(body)
		if err == nil && value == nil {
			t.Fatal("neither a value nor an error")
		}
		if err != nil && (strings.HasPrefix(err.Error(), "ValidationException: ") || strings.HasPrefix(err.Error(), serialization) || strings.HasPrefix(err.Error(), "LimitExceededException")) {
			return
		}
		if err != nil {
			t.Fatalf("%T: %v", err, err)
		}
	})
}

// item1KiB is a PutItem body whose item is about 1 KiB: a key, numbers, a map and
// a text.
var item1KiB = []byte(`{"TableName":"Orders","Item":{"id":{"S":"order-0000001"},"total":{"N":"123.45"},"paid":{"BOOL":true},"lines":{"L":[{"M":{"sku":{"S":"A-1"},"qty":{"N":"2"}}},{"M":{"sku":{"S":"B-2"},"qty":{"N":"1"}}}]},"note":{"S":"` + strings.Repeat("x", 900) + `"}}}`)

func BenchmarkDecodePutItem(b *testing.B) {
	b.ReportAllocs()
	b.SetBytes(int64(len(item1KiB)))
	for b.Loop() {
		if _, err := DecodePutItem(item1KiB); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecodeGetItem(b *testing.B) {
	body := []byte(`{"TableName":"Orders","Key":{"id":{"S":"order-0000001"}},"ConsistentRead":true}`)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := DecodeGetItem(body); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecodeUpdateItem(b *testing.B) {
	body := []byte(`{"TableName":"Orders","Key":{"id":{"S":"order-0000001"}},"UpdateExpression":"SET #n = if_not_exists(#n, :zero) + :one","ExpressionAttributeNames":{"#n":"count"},"ExpressionAttributeValues":{":zero":{"N":"0"},":one":{"N":"1"}}}`)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := DecodeUpdateItem(body); err != nil {
			b.Fatal(err)
		}
	}
}

// Small elements by the million must not take many times the body's size.
func TestHostileBodiesTakeLittleMemory(t *testing.T) {
	const size = 4 << 20
	many := func(head, element, tail string) []byte {
		var b strings.Builder
		b.WriteString(head)
		for i := 0; b.Len() < size; i++ {
			b.WriteString(strings.ReplaceAll(element, "#", strconv.Itoa(i)))
			b.WriteByte(',')
		}
		return append([]byte(strings.TrimSuffix(b.String(), ",")), tail...)
	}
	for _, row := range []struct {
		op   string
		body []byte
	}{
		{"BatchGetItem", many(`{"RequestItems":{`, `"a#":{}`, `}}`)},
		{"BatchGetItem", many(`{"RequestItems":{"a":{"Keys":[`, `{}`, `]}}}`)},
		{"BatchWriteItem", many(`{"RequestItems":{`, `"a#":[]`, `}}`)},
		{"BatchWriteItem", many(`{"RequestItems":{"a":[`, `{}`, `]}}`)},
		{"TransactWriteItems", many(`{"TransactItems":[`, `{}`, `]}`)},
		{"TransactWriteItems", many(`{"TransactItems":[`, `{"Put":{}}`, `]}`)},
		{"TransactGetItems", many(`{"TransactItems":[`, `{"Get":{}}`, `]}`)},
		{"CreateTable", many(`{"TableName":"abc","GlobalSecondaryIndexes":[`, `{}`, `]}`)},
		{"CreateTable", many(`{"TableName":"abc","AttributeDefinitions":[`, `{}`, `]}`)},
		{"UpdateTable", many(`{"TableName":"abc","GlobalSecondaryIndexUpdates":[`, `{}`, `]}`)},
		{"GetItem", many(`{"TableName":"abc","Key":{},"AttributesToGet":[`, `""`, `]}`)},
		{"PutItem", many(`{"TableName":"abc","Item":{},"ConditionExpression":"a = :a","ExpressionAttributeNames":{`, `"#":""`, `}}`)},
		{"PutItem", many(`{"TableName":"abc","Item":{},"ConditionExpression":"a = :a","ExpressionAttributeValues":{`, `":#":{"S":""}`, `}}`)},
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := decoders[row.op](row.body)
		runtime.ReadMemStats(&after)
		if err == nil {
			t.Errorf("%s %.60s… was accepted", row.op, row.body)
		}
		if used := after.TotalAlloc - before.TotalAlloc; used > 16*size {
			t.Errorf("%s %.60s… of %d MiB took %d MiB", row.op, row.body, size>>20, used>>20)
		}
	}
}
