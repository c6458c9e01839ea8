package tables

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/millstreamdb/millstream/test/conformance/harness"
)

func fill(t *testing.T, table harness.Made, items []harness.Item) {
	t.Helper()
	target := harness.The(t)
	for chunk := range slices.Chunk(items, 25) {
		writes := make([]types.WriteRequest, len(chunk))
		for i, item := range chunk {
			writes[i] = types.WriteRequest{PutRequest: &types.PutRequest{Item: item}}
		}
		pending := map[string][]types.WriteRequest{table.Name: writes}
		for len(pending) > 0 {
			out, err := target.DB.BatchWriteItem(t.Context(), &dynamodb.BatchWriteItemInput{RequestItems: pending})
			if err != nil {
				t.Fatalf("BatchWriteItem: %v", err)
			}
			pending = out.UnprocessedItems
		}
	}
}

// query runs a query to its end and returns the sort keys of each page.
func query(t *testing.T, table harness.Made, in dynamodb.QueryInput) (pages [][]int) {
	t.Helper()
	in.TableName = &table.Name
	if in.KeyConditionExpression == nil {
		in.KeyConditionExpression = aws.String("pk = :p")
		in.ExpressionAttributeValues = map[string]types.AttributeValue{":p": harness.S("p")}
	}
	for {
		out, err := harness.The(t).DB.Query(t.Context(), &in)
		if err != nil {
			t.Fatalf("Query: %v", err)
		}
		page := []int{}
		for _, item := range out.Items {
			page = append(page, harness.IntOf(item["sk"]))
		}
		if int(out.Count) != len(page) {
			t.Errorf("Count is %d with %d items", out.Count, len(page))
		}
		pages = append(pages, page)
		if len(out.LastEvaluatedKey) == 0 {
			return pages
		}
		in.ExclusiveStartKey = out.LastEvaluatedKey
	}
}

func TestQueryOrderAndPages(t *testing.T) {
	table := harness.The(t).Create(t, harness.Table{Range: "sk:N"})
	var items []harness.Item
	for _, n := range []int{5, -3, 100, 0, 42, -100, 7} {
		items = append(items, harness.Item{"pk": harness.S("p"), "sk": harness.Int(n)}, harness.Item{"pk": harness.S("other"), "sk": harness.Int(n)})
	}
	fill(t, table, items)
	sorted := []int{-100, -3, 0, 5, 7, 42, 100}
	for _, c := range []struct {
		name string
		in   dynamodb.QueryInput
		want [][]int
	}{
		{"ascending", dynamodb.QueryInput{}, [][]int{sorted}},
		{"descending", dynamodb.QueryInput{ScanIndexForward: aws.Bool(false)}, [][]int{{100, 42, 7, 5, 0, -3, -100}}},
		{"pages of three", dynamodb.QueryInput{Limit: aws.Int32(3)}, [][]int{{-100, -3, 0}, {5, 7, 42}, {100}}},
		{"an exact last page is followed by an empty one", dynamodb.QueryInput{Limit: aws.Int32(7)}, [][]int{sorted, {}}},
		{"pages backwards", dynamodb.QueryInput{Limit: aws.Int32(5), ScanIndexForward: aws.Bool(false)}, [][]int{{100, 42, 7, 5, 0}, {-3, -100}}},
		{"between", condition("pk = :p AND sk BETWEEN :a AND :b", -3, 7), [][]int{{-3, 0, 5, 7}}},
		{"less", condition("pk = :p AND sk < :a", 0, 0), [][]int{{-100, -3}}},
		{"at least", condition("sk >= :a AND pk = :p", 42, 0), [][]int{{42, 100}}},
		{"equal", condition("pk = :p AND sk = :a", 5, 0), [][]int{{5}}},
		{"equal to none", condition("pk = :p AND sk = :a", 6, 0), [][]int{{}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := query(t, table, c.in); fmt.Sprint(got) != fmt.Sprint(c.want) {
				t.Errorf("pages %v, want %v", got, c.want)
			}
		})
	}
	t.Run("the filter comes after the limit", func(t *testing.T) {
		out, err := harness.The(t).DB.Query(t.Context(), &dynamodb.QueryInput{
			TableName: &table.Name, KeyConditionExpression: aws.String("pk = :p"), FilterExpression: aws.String("attribute_exists(nothing)"),
			ExpressionAttributeValues: map[string]types.AttributeValue{":p": harness.S("p")}, Limit: aws.Int32(4),
		})
		if err != nil {
			t.Fatal(err)
		}
		if out.Count != 0 || out.ScannedCount != 4 || out.LastEvaluatedKey == nil || out.Items == nil {
			t.Errorf("Count %d, ScannedCount %d, LastEvaluatedKey %v, Items %v", out.Count, out.ScannedCount, out.LastEvaluatedKey, out.Items)
		}
	})
	t.Run("count", func(t *testing.T) {
		reply := harness.The(t).Raw(t, "Query", `{"TableName":"`+table.Name+`","Select":"COUNT","KeyConditionExpression":"pk = :p","ExpressionAttributeValues":{":p":{"S":"p"}}}`)
		sameJSON(t, "COUNT", reply.Body, `{"Count":7,"ScannedCount":7}`)
	})
	t.Run("a start key need not exist", func(t *testing.T) {
		in := dynamodb.QueryInput{ExclusiveStartKey: harness.Item{"pk": harness.S("p"), "sk": harness.N("6.5")}}
		if got := query(t, table, in); fmt.Sprint(got) != "[[7 42 100]]" {
			t.Errorf("pages %v", got)
		}
	})
}

func condition(expression string, a, b int) dynamodb.QueryInput {
	values := map[string]types.AttributeValue{":p": harness.S("p"), ":a": harness.Int(a)}
	if strings.Contains(expression, ":b") {
		values[":b"] = harness.Int(b)
	}
	return dynamodb.QueryInput{KeyConditionExpression: &expression, ExpressionAttributeValues: values}
}

func TestSortKeyOrderOfStringsAndBinary(t *testing.T) {
	for kind, keys := range map[string][]types.AttributeValue{
		"S": {harness.S("\x00"), harness.S("\x00\x01"), harness.S("A"), harness.S("a"), harness.S("a\x00"), harness.S("ab"), harness.S("b"), harness.S("é"), harness.S("\U0001F600")},
		"B": {harness.B([]byte{0}), harness.B([]byte{0, 0}), harness.B([]byte{0, 1}), harness.B([]byte{1}), harness.B([]byte{127}), harness.B([]byte{128}), harness.B([]byte{255}), harness.B([]byte{255, 0}), harness.B([]byte{255, 255})},
		"N": {harness.N("-9.9e125"), harness.N("-1e50"), harness.N("-10"), harness.N("-9.5"), harness.N("-1e-130"), harness.N("0"), harness.N("1e-130"), harness.N("0.5"), harness.N("1"), harness.N("9"), harness.N("10"), harness.N("99.99"), harness.N("100"), harness.N("1e125")},
	} {
		t.Run(kind, func(t *testing.T) {
			table := harness.The(t).Create(t, harness.Table{Range: "sk:" + kind})
			var items []harness.Item
			for i, key := range slices.Backward(keys) {
				items = append(items, harness.Item{"pk": harness.S("p"), "sk": key, "i": harness.Int(i)})
			}
			fill(t, table, items)
			out, err := harness.The(t).DB.Query(t.Context(), &dynamodb.QueryInput{
				TableName: &table.Name, KeyConditionExpression: aws.String("pk = :p"), ExpressionAttributeValues: map[string]types.AttributeValue{":p": harness.S("p")},
			})
			if err != nil {
				t.Fatal(err)
			}
			for i, item := range out.Items {
				if harness.IntOf(item["i"]) != i {
					t.Fatalf("place %d has item %d", i, harness.IntOf(item["i"]))
				}
			}
			if len(out.Items) != len(keys) {
				t.Errorf("%d items, want %d", len(out.Items), len(keys))
			}
		})
	}
	t.Run("begins_with", func(t *testing.T) {
		table := harness.The(t).Create(t, harness.Table{Range: "sk:S"})
		for _, sk := range []string{"a", "a#", "a#1", "a#\U0010FFFF", "a$", "b"} {
			table.Put(t, harness.Item{"pk": harness.S("p"), "sk": harness.S(sk)})
		}
		out, err := harness.The(t).DB.Query(t.Context(), &dynamodb.QueryInput{
			TableName: &table.Name, KeyConditionExpression: aws.String("pk = :p AND begins_with(sk, :a)"),
			ExpressionAttributeValues: map[string]types.AttributeValue{":p": harness.S("p"), ":a": harness.S("a#")},
		})
		if err != nil {
			t.Fatal(err)
		}
		if out.Count != 3 {
			t.Errorf("%d items begin with a#, want 3", out.Count)
		}
	})
}

// A page stops at 1 MB of evaluated items, the crossing one included, whatever
// the projection and the filter leave of them.
func TestPagesOfOneMegabyte(t *testing.T) {
	table := harness.The(t).Create(t, harness.Table{Range: "sk:N"})
	var items []harness.Item
	for i := range 30 {
		items = append(items, harness.Item{"pk": harness.S("p"), "sk": harness.Int(i), "v": harness.S(strings.Repeat("x", 100_000))})
	}
	fill(t, table, items)
	for name, in := range map[string]dynamodb.QueryInput{
		"whole":     {},
		"projected": {ProjectionExpression: aws.String("sk")},
	} {
		t.Run(name, func(t *testing.T) {
			pages := query(t, table, in)
			if len(pages) != 3 || len(pages[0]) != 11 || len(pages[1]) != 11 || len(pages[2]) != 8 {
				t.Errorf("pages of %d, %v", len(pages), pages)
			}
		})
	}
	out, err := harness.The(t).DB.Scan(t.Context(), &dynamodb.ScanInput{TableName: &table.Name})
	if err != nil {
		t.Fatal(err)
	}
	if out.Count < 10 || out.Count > 11 || out.LastEvaluatedKey == nil {
		t.Errorf("a Scan page holds %d items of 100 KB, last key %v", out.Count, out.LastEvaluatedKey)
	}
}

func TestParallelScan(t *testing.T) {
	table := harness.The(t).Create(t, harness.Table{Range: "sk:N"})
	var items []harness.Item
	for i := range 500 {
		items = append(items, harness.Item{"pk": harness.S(fmt.Sprint("p", i/5)), "sk": harness.Int(i % 5)})
	}
	fill(t, table, items)
	for _, segments := range []int32{1, 2, 7, 64, 1000} {
		t.Run(fmt.Sprint(segments), func(t *testing.T) {
			seen := map[string]int32{}
			for segment := range segments {
				in := &dynamodb.ScanInput{TableName: &table.Name, Segment: aws.Int32(segment), TotalSegments: aws.Int32(segments), Limit: aws.Int32(37)}
				for {
					out, err := harness.The(t).DB.Scan(t.Context(), in)
					if err != nil {
						t.Fatal(err)
					}
					for _, item := range out.Items {
						key := harness.StringOf(item["pk"]) + "/" + fmt.Sprint(harness.IntOf(item["sk"]))
						if other, twice := seen[key]; twice {
							t.Fatalf("%s is in segments %d and %d", key, other, segment)
						}
						seen[key] = segment
					}
					if in.ExclusiveStartKey = out.LastEvaluatedKey; len(in.ExclusiveStartKey) == 0 {
						break
					}
				}
			}
			if len(seen) != len(items) {
				t.Errorf("%d of %d items were seen", len(seen), len(items))
			}
		})
	}
}

func TestBatches(t *testing.T) {
	target := harness.The(t)
	one := target.Create(t, harness.Table{})
	two := target.Create(t, harness.Table{Range: "sk:N"})
	var writes []types.WriteRequest
	for i := range 20 {
		writes = append(writes, types.WriteRequest{PutRequest: &types.PutRequest{Item: harness.Item{"pk": harness.S(fmt.Sprint(i)), "v": harness.Int(i)}}})
	}
	out, err := target.DB.BatchWriteItem(t.Context(), &dynamodb.BatchWriteItemInput{RequestItems: map[string][]types.WriteRequest{
		one.Name: writes,
		two.Name: {{PutRequest: &types.PutRequest{Item: harness.Item{"pk": harness.S("0"), "sk": harness.Int(0)}}}},
	}})
	if err != nil || len(out.UnprocessedItems) != 0 || out.UnprocessedItems == nil {
		t.Fatalf("BatchWriteItem: %v, UnprocessedItems %v", err, out)
	}
	out, err = target.DB.BatchWriteItem(t.Context(), &dynamodb.BatchWriteItemInput{RequestItems: map[string][]types.WriteRequest{
		one.Name: {{DeleteRequest: &types.DeleteRequest{Key: harness.Item{"pk": harness.S("3")}}}, {DeleteRequest: &types.DeleteRequest{Key: harness.Item{"pk": harness.S("absent")}}}},
	}})
	if err != nil || len(out.UnprocessedItems) != 0 {
		t.Fatalf("BatchWriteItem: %v", err)
	}
	var keys []map[string]types.AttributeValue
	for i := range 25 {
		keys = append(keys, harness.Item{"pk": harness.S(fmt.Sprint(i))})
	}
	got, err := target.DB.BatchGetItem(t.Context(), &dynamodb.BatchGetItemInput{RequestItems: map[string]types.KeysAndAttributes{
		one.Name: {Keys: keys, ConsistentRead: aws.Bool(true), ProjectionExpression: aws.String("v")},
		two.Name: {Keys: []map[string]types.AttributeValue{{"pk": harness.S("none"), "sk": harness.Int(0)}}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	if n := len(got.Responses[one.Name]); n != 19 {
		t.Errorf("%d items of the first table, want 19", n)
	}
	for _, item := range got.Responses[one.Name] {
		if len(item) != 1 || item["v"] == nil {
			t.Errorf("projected item is %v", item)
		}
	}
	if rest, present := got.Responses[two.Name]; !present || len(rest) != 0 {
		t.Errorf("the second table's responses are %v, present %v", rest, present)
	}
	if got.UnprocessedKeys == nil {
		t.Error("UnprocessedKeys is absent")
	}
}

// 100 items of 400 KB do not fit in 16 MB: the rest comes back unprocessed with
// what was asked for.
func TestBatchGetResponseLimit(t *testing.T) {
	target := harness.The(t)
	table := target.Create(t, harness.Table{})
	var keys []map[string]types.AttributeValue
	for i := range 50 {
		key := harness.Item{"pk": harness.S(fmt.Sprint(i))}
		keys = append(keys, key)
		table.Put(t, harness.Item{"pk": key["pk"], "v": harness.S(strings.Repeat("x", 390_000))})
	}
	pending := map[string]types.KeysAndAttributes{table.Name: {Keys: keys, ConsistentRead: aws.Bool(true)}}
	total, rounds := 0, 0
	for ; len(pending) > 0; rounds++ {
		out, err := target.DB.BatchGetItem(t.Context(), &dynamodb.BatchGetItemInput{RequestItems: pending})
		if err != nil {
			t.Fatal(err)
		}
		got := len(out.Responses[table.Name])
		if got == 0 || got > 43 {
			t.Fatalf("one answer holds %d items of 390 KB", got)
		}
		total += got
		pending = out.UnprocessedKeys
		if rest, more := pending[table.Name]; more && !aws.ToBool(rest.ConsistentRead) {
			t.Error("UnprocessedKeys lost ConsistentRead")
		}
	}
	if total != 50 || rounds < 2 {
		t.Errorf("%d items in %d rounds", total, rounds)
	}
}
