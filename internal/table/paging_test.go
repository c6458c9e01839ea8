package table

import (
	"context"
	"fmt"
	"math/big"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/millstreamdb/millstream/internal/item"
	"github.com/millstreamdb/millstream/internal/request"
	"github.com/millstreamdb/millstream/internal/schema"
	"github.com/millstreamdb/millstream/internal/store"
	"github.com/millstreamdb/millstream/internal/store/crashtest"
)

// put stores items, 25 at a time.
func (w *world) put(t testing.TB, table string, items []string) {
	t.Helper()
	for chunk := range slices.Chunk(items, 25) {
		var writes []string
		for _, it := range chunk {
			writes = append(writes, `{"PutRequest":{"Item":`+it+`}}`)
		}
		w.must(t, "BatchWriteItem", fmt.Sprintf(`{"RequestItems":{%q:[%s]}}`, table, strings.Join(writes, ",")))
	}
}

func (w *world) createKeyed(t testing.TB, name, hash, sort string) {
	t.Helper()
	w.must(t, "CreateTable", fmt.Sprintf(`{"TableName":%q,"BillingMode":"PAY_PER_REQUEST",
		"AttributeDefinitions":[{"AttributeName":"pk","AttributeType":%q},{"AttributeName":"sk","AttributeType":%q}],
		"KeySchema":[{"AttributeName":"pk","KeyType":"HASH"},{"AttributeName":"sk","KeyType":"RANGE"}]}`, name, hash, sort))
}

// pages follows LastEvaluatedKey to the end.
func (w *world) pages(t testing.TB, op, members string) []*QueryResult {
	t.Helper()
	var all []*QueryResult
	start := ""
	for {
		page := w.must(t, op, "{"+members+start+"}").(*QueryResult)
		all = append(all, page)
		if page.LastEvaluatedKey == nil {
			return all
		}
		if len(all) > 10_000 {
			t.Fatal("paging does not end")
		}
		start = `,"ExclusiveStartKey":` + jsonOf(page.LastEvaluatedKey)
	}
}

func joined(pages []*QueryResult) (items []string) {
	for _, p := range pages {
		for _, it := range p.Items {
			items = append(items, jsonOf(it))
		}
	}
	return items
}

// Pages of any limit, in both directions, are the whole without gap or repetition;
// each but the last holds exactly the limit.
func TestPagesAreTheWhole(t *testing.T) {
	w := newWorld(t)
	w.createKeyed(t, "tab", "S", "N")
	var items []string
	for i := range 40 {
		items = append(items, fmt.Sprintf(`{"pk":{"S":"p%d"},"sk":{"N":"%d"}}`, i%3, i-20))
	}
	w.put(t, "tab", items)
	for _, q := range []struct{ op, members string }{
		{"Query", `"TableName":"tab","KeyConditionExpression":"pk = :p","ExpressionAttributeValues":{":p":{"S":"p1"}}`},
		{"Query", `"TableName":"tab","KeyConditionExpression":"pk = :p AND sk BETWEEN :a AND :b","ExpressionAttributeValues":{":p":{"S":"p1"},":a":{"N":"-10"},":b":{"N":"11"}}`},
		{"Query", `"TableName":"tab","KeyConditionExpression":"pk = :p AND sk = :a","ExpressionAttributeValues":{":p":{"S":"p1"},":a":{"N":"2"}}`},
		{"Query", `"TableName":"tab","KeyConditionExpression":"pk = :p AND sk < :a","ScanIndexForward":false,"ExpressionAttributeValues":{":p":{"S":"p0"},":a":{"N":"9"}}`},
		{"Scan", `"TableName":"tab"`},
	} {
		whole := joined(w.pages(t, q.op, q.members))
		if len(whole) == 0 {
			t.Fatal(q.members, " finds nothing")
		}
		for limit := 1; limit <= len(whole)+1; limit++ {
			pages := w.pages(t, q.op, fmt.Sprintf(`%s,"Limit":%d`, q.members, limit))
			if got := joined(pages); !slices.Equal(got, whole) {
				t.Fatalf("%s by %d:\n%v\nwhole:\n%v", q.members, limit, got, whole)
			}
			for _, p := range pages[:len(pages)-1] {
				if p.ScannedCount != limit {
					t.Fatalf("%s by %d: a page of %d", q.members, limit, p.ScannedCount)
				}
			}
			if want := len(whole)/limit + 1; len(pages) != want {
				t.Fatalf("%s by %d: %d pages, want %d", q.members, limit, len(pages), want)
			}
		}
	}
}

// A page ends with the item that reaches 1 MB, before the filter and whatever is
// shown, in both directions.
func TestPagesEndAtOneMegabyte(t *testing.T) {
	w := newWorld(t)
	w.createKeyed(t, "tab", "S", "N")
	// Names and keys make 2+1 + 2+2 + 1 bytes: 104,858 in all, ten are 4 over 1 MB.
	value := strings.Repeat("x", 104_850)
	for i := range 25 {
		w.put(t, "tab", []string{fmt.Sprintf(`{"pk":{"S":"p"},"sk":{"N":"%d"},"v":{"S":%q}}`, i+1, value)})
	}
	const query = `"TableName":"tab","KeyConditionExpression":"pk = :p","ProjectionExpression":"sk"`
	for _, q := range []struct{ op, members string }{
		{"Query", query + `,"ExpressionAttributeValues":{":p":{"S":"p"}}`},
		{"Query", query + `,"ScanIndexForward":false,"ExpressionAttributeValues":{":p":{"S":"p"}}`},
		{"Query", query + `,"FilterExpression":"v = :v","ExpressionAttributeValues":{":p":{"S":"p"},":v":{"S":"none"}}`},
		{"Query", `"TableName":"tab","KeyConditionExpression":"pk = :p","Select":"COUNT","ExpressionAttributeValues":{":p":{"S":"p"}}`},
		{"Scan", `"TableName":"tab","ProjectionExpression":"sk"`},
	} {
		var counts []int
		for _, p := range w.pages(t, q.op, q.members) {
			counts = append(counts, p.ScannedCount)
		}
		if !slices.Equal(counts, []int{10, 10, 5}) {
			t.Errorf("%s: pages of %v items", q.members, counts)
		}
	}
}

// BatchGetItem leaves what passes 16 MB unprocessed, and what it leaves can be
// asked for again until nothing is left.
func TestBatchGetLeavesTheRest(t *testing.T) {
	w := newWorld(t)
	w.createTable(t, "one", 1, "")
	w.createTable(t, "two", 1, "")
	value := strings.Repeat("x", 380<<10)
	ask := map[string][]string{}
	for i := range 60 {
		table := []string{"one", "two"}[i%2]
		w.put(t, table, []string{fmt.Sprintf(`{"pk":{"S":"k%d"},"v":{"S":%q}}`, i, value)})
		ask[table] = append(ask[table], fmt.Sprintf(`{"pk":{"S":"k%d"}}`, i))
	}
	seen := map[string]bool{}
	rounds := 0
	for len(ask) > 0 {
		var tables []string
		for table, keys := range ask {
			tables = append(tables, fmt.Sprintf(`%q:{"ConsistentRead":true,"Keys":[%s]}`, table, strings.Join(keys, ",")))
		}
		res := w.must(t, "BatchGetItem", `{"RequestItems":{`+strings.Join(tables, ",")+`}}`).(*BatchGetResult)
		ask = map[string][]string{}
		size := 0
		for _, table := range res.Tables {
			for _, it := range table.Items {
				size += it.Size()
				if key := table.Requested + it.Get("pk").Text(); seen[key] {
					t.Fatal(key, " came twice")
				} else {
					seen[key] = true
				}
			}
			if rest := table.Unprocessed; rest != nil {
				if !rest.ConsistentRead {
					t.Error("the rest forgets ConsistentRead")
				}
				for _, key := range rest.Keys {
					ask[table.Requested] = append(ask[table.Requested], jsonOf(key))
				}
			}
		}
		if size > 16<<20 {
			t.Fatalf("an answer of %d bytes", size)
		}
		rounds++
	}
	if len(seen) != 60 || rounds != 2 {
		t.Errorf("%d items in %d rounds, want 60 in 2", len(seen), rounds)
	}
}

// The segments of a parallel scan partition the items, however many there are, and
// also page by page.
func TestSegmentsPartitionTheTable(t *testing.T) {
	w := newWorld(t)
	w.createKeyed(t, "tab", "S", "N")
	var items []string
	for i := range 200 {
		items = append(items, fmt.Sprintf(`{"pk":{"S":"p%d"},"sk":{"N":"%d"}}`, i/2, i))
	}
	w.put(t, "tab", items)
	slices.Sort(items)
	scan := func(total, segment int, members string) []string {
		return joined(w.pages(t, "Scan", fmt.Sprintf(`"TableName":"tab","TotalSegments":%d,"Segment":%d%s`, total, segment, members)))
	}
	for _, total := range []int{1, 2, 3, 4, 7, 16, 100, 1000} {
		var got []string
		for segment := range total {
			got = append(got, scan(total, segment, `,"Limit":3`)...)
		}
		slices.Sort(got)
		if !slices.Equal(got, items) {
			t.Fatalf("%d segments hold %d of %d items, or not once each", total, len(got), len(items))
		}
	}
	// The key of another segment starts none.
	of0 := w.must(t, "Scan", `{"TableName":"tab","TotalSegments":4,"Segment":0,"Limit":1}`).(*QueryResult).LastEvaluatedKey
	_, err := w.call("Scan", fmt.Sprintf(`{"TableName":"tab","TotalSegments":4,"Segment":1,"ExclusiveStartKey":%s}`, jsonOf(of0)))
	const want = "ValidationException: The provided starting key is invalid: Invalid ExclusiveStartKey. Please use ExclusiveStartKey with correct Segment. TotalSegments: 4 Segment: 1"
	if err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}

// Whatever the number of segments, a hash lies in the one that its range names.
func TestSegmentBoundsAgree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 1_000_000).Draw(t, "segments")
		hash := rapid.Uint64().Draw(t, "hash")
		i := schema.Partition(hash, n)
		start, end := schema.PartitionStart(i, n), schema.PartitionStart(i+1, n)
		if i < 0 || i >= n || hash < start || i < n-1 && hash >= end || i == n-1 && end != 0 || schema.PartitionStart(0, n) != 0 {
			t.Fatalf("hash %x is in %d of %d, which is [%x, %x)", hash, i, n, start, end)
		}
	})
}

// Number sort keys come in numeric order, and conditions on them mean numbers,
// whatever their spelling.
func TestNumberKeysOrder(t *testing.T) {
	w := newWorld(t)
	w.createKeyed(t, "tab", "S", "N")
	rng := rand.New(rand.NewPCG(1, 2))
	numbers := []string{"0", "-0.1", "1e125", "-1e125", "1e-130", "-1e-130", "99999999999999999999999999999999999999", "-99999999999999999999999999999999999999", "0.5", "10", "9", "-9", "-10", "100", "1.5e2"}
	for range 150 {
		numbers = append(numbers, fmt.Sprintf("%d.%de%d", rng.IntN(200)-100, rng.IntN(100), rng.IntN(40)-20))
	}
	value := func(s string) *big.Rat {
		r, ok := new(big.Rat).SetString(s)
		if !ok {
			t.Fatal(s)
		}
		return r
	}
	slices.SortFunc(numbers, func(a, b string) int { return value(a).Cmp(value(b)) })
	numbers = slices.CompactFunc(numbers, func(a, b string) bool { return value(a).Cmp(value(b)) == 0 })
	var items []string
	for _, n := range numbers {
		items = append(items, fmt.Sprintf(`{"pk":{"S":"p"},"sk":{"N":%q}}`, n))
	}
	w.put(t, "tab", items)
	query := func(condition string, values string) []*big.Rat {
		var got []*big.Rat
		for _, p := range w.pages(t, "Query", fmt.Sprintf(`"TableName":"tab","KeyConditionExpression":"pk = :p%s","ExpressionAttributeValues":{":p":{"S":"p"}%s}`, condition, values)) {
			for _, it := range p.Items {
				got = append(got, value(string(it.Get("sk").AppendNumberText(nil))))
			}
		}
		return got
	}
	check := func(what string, got []*big.Rat, want []string) {
		t.Helper()
		if !slices.EqualFunc(got, want, func(a *big.Rat, b string) bool { return a.Cmp(value(b)) == 0 }) {
			t.Errorf("%s: %d numbers, want %v", what, len(got), want)
		}
	}
	check("all", query("", ""), numbers)
	for range 50 {
		i, j := rng.IntN(len(numbers)), rng.IntN(len(numbers))
		i, j = min(i, j), max(i, j)
		n := fmt.Sprintf(`,":n":{"N":%q}`, numbers[i])
		check("< "+numbers[i], query(" AND sk < :n", n), numbers[:i])
		check("<= "+numbers[i], query(" AND sk <= :n", n), numbers[:i+1])
		check("> "+numbers[i], query(" AND sk > :n", n), numbers[i+1:])
		check(">= "+numbers[i], query(" AND sk >= :n", n), numbers[i:])
		check("= "+numbers[i], query(" AND sk = :n", n), numbers[i:i+1])
		check("BETWEEN", query(" AND sk BETWEEN :n AND :m", fmt.Sprintf(`%s,":m":{"N":%q}`, n, numbers[j])), numbers[i:j+1])
	}
}

// Byte order of sort keys is kept, also for keys that hold zero bytes and that begin
// each other, and begins_with finds exactly what begins so.
func TestTextKeysOrder(t *testing.T) {
	ctx := context.Background()
	rapid.Check(t, func(rt *rapid.T) {
		w, err := openWorld(crashtest.New(), store.NoSync)
		if err != nil {
			rt.Fatal(err)
		}
		defer w.store.Close()
		w.createKeyed(t, "tab", "B", "B")
		bytesOf := rapid.SliceOfN(rapid.SampledFrom([]byte{0, 1, 'a', 0xfe, 0xff}), 1, 6)
		keys := rapid.SliceOfNDistinct(bytesOf, 1, 20, func(b []byte) string { return string(b) }).Draw(rt, "keys")
		for _, k := range keys {
			it := item.NewItem([]item.Entry{{Name: "pk", Value: item.AppendBinary(nil, []byte{0, 0xff})}, {Name: "sk", Value: item.AppendBinary(nil, k)}})
			if _, err := w.db.PutItem(ctx, scope, &request.PutItem{Common: request.Common{TableName: "tab"}, Item: it}); err != nil {
				rt.Fatal(err)
			}
		}
		slices.SortFunc(keys, func(a, b []byte) int { return strings.Compare(string(a), string(b)) })
		prefix := bytesOf.Draw(rt, "prefix")
		for _, q := range []struct {
			condition string
			keep      func(k string) bool
		}{
			{"", func(string) bool { return true }},
			{" AND begins_with(sk, :s)", func(k string) bool { return strings.HasPrefix(k, string(prefix)) }},
			{" AND sk < :s", func(k string) bool { return k < string(prefix) }},
			{" AND sk <= :s", func(k string) bool { return k <= string(prefix) }},
			{" AND sk > :s", func(k string) bool { return k > string(prefix) }},
			{" AND sk >= :s", func(k string) bool { return k >= string(prefix) }},
		} {
			values := `":p":{"B":"AP8="}`
			if q.condition != "" {
				values += `,":s":` + string(item.Value(item.AppendBinary(nil, prefix)).AppendJSON(nil))
			}
			res := w.must(t, "Query", fmt.Sprintf(`{"TableName":"tab","KeyConditionExpression":"pk = :p%s","ExpressionAttributeValues":{%s}}`, q.condition, values)).(*QueryResult)
			var got, want []string
			for _, it := range res.Items {
				got = append(got, string(it.Get("sk").Bytes()))
			}
			for _, k := range keys {
				if q.keep(string(k)) {
					want = append(want, string(k))
				}
			}
			if !slices.Equal(got, want) {
				rt.Fatalf("%s %q: %q, want %q", q.condition, prefix, got, want)
			}
		}
	})
}

// Two scopes share nothing.
func TestScopesShareNothing(t *testing.T) {
	w := newWorld(t)
	w.createTable(t, "tab", 1, "")
	w.put(t, "tab", []string{`{"pk":{"S":"a"}}`})
	ctx := context.Background()
	for _, other := range []schema.Scope{{Account: scope.Account, Region: "eu-west-1"}, {Account: "111111111111", Region: scope.Region}} {
		key := item.NewItem([]item.Entry{{Name: "pk", Value: item.AppendString(nil, "a")}})
		if _, err := w.db.GetItem(ctx, other, &request.GetItem{Common: request.Common{TableName: "tab"}, Key: key}); !isCode(err, "ResourceNotFoundException") {
			t.Error(other, ": ", err)
		}
		list, err := w.db.ListTables(ctx, other, &request.ListTables{Limit: 100})
		if err != nil || len(list.Names) != 0 {
			t.Error(other, " lists ", list, err)
		}
		create, err := request.DecodeCreateTable([]byte(`{"TableName":"tab","BillingMode":"PAY_PER_REQUEST","AttributeDefinitions":[{"AttributeName":"pk","AttributeType":"S"}],"KeySchema":[{"AttributeName":"pk","KeyType":"HASH"}]}`))
		if err != nil {
			t.Fatal(err)
		}
		desc, err := w.db.CreateTable(ctx, other, create)
		if err != nil || desc.ARN != "arn:aws:dynamodb:"+other.Region+":"+other.Account+":table/tab" {
			t.Error(desc, err)
		}
		got, err := w.db.GetItem(ctx, other, &request.GetItem{Common: request.Common{TableName: "tab"}, Key: key, ConsistentRead: true})
		if err != nil || got.Found {
			t.Error(other, " sees another's item: ", err)
		}
	}
}

// A scan costs a block at least for each of the four partitions of a table on demand that it looks at; of one with throughput of
// its own, and of an index, one block.
func TestScansLookAtEachPartition(t *testing.T) {
	w := newWorld(t)
	w.createKeyed(t, "tab", "S", "N")
	units := func(members string) float64 {
		return w.must(t, "Scan", `{"TableName":"tab","ReturnConsumedCapacity":"TOTAL","ConsistentRead":true`+members+`}`).(*QueryResult).Capacity.Units
	}
	if got := units(""); got != 4 {
		t.Errorf("an empty table: %v units, want 4", got)
	}
	var items []string
	for i := range 40 {
		items = append(items, fmt.Sprintf(`{"pk":{"S":"p%d"},"sk":{"N":"1"}}`, i))
	}
	w.put(t, "tab", items)
	for _, row := range []struct {
		members string
		want    float64
	}{
		{``, 4}, {`,"Limit":1`, 1}, {`,"Limit":39`, 4}, {`,"TotalSegments":1,"Segment":0`, 4},
		{`,"TotalSegments":4,"Segment":0`, 1}, {`,"TotalSegments":4,"Segment":2`, 1}, {`,"TotalSegments":4,"Segment":3`, 1},
		{`,"TotalSegments":2,"Segment":0`, 2}, {`,"TotalSegments":2,"Segment":1`, 2},
		{`,"TotalSegments":100,"Segment":99`, 1}, {`,"TotalSegments":3,"Segment":1`, 2},
	} {
		if got := units(row.members); got != row.want {
			t.Errorf("Scan%s: %v units, want %v", row.members, got, row.want)
		}
	}
	last := w.must(t, "Scan", `{"TableName":"tab","Limit":39}`).(*QueryResult).LastEvaluatedKey
	if got := units(`,"ExclusiveStartKey":` + jsonOf(last)); got != 1 {
		t.Errorf("the rest behind a page: %v units, want 1", got)
	}
	w.must(t, "UpdateTable", `{"TableName":"tab","BillingMode":"PROVISIONED","ProvisionedThroughput":{"ReadCapacityUnits":5,"WriteCapacityUnits":5}}`)
	if got := units(""); got != 1 {
		t.Errorf("a table with throughput of its own: %v units, want 1", got)
	}
}
