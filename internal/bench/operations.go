package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// A Peer is another DynamoDB endpoint that takes the same load, such as
// {"dynalite", "http://127.0.0.1:4567"}. It must accept any signature, as emulators
// do.
type Peer struct{ Name, Endpoint string }

const (
	groupSize  = 20    // items of one partition key in the table that is queried
	groups     = 10    // such keys of each client
	scannable  = 1_000 // items of the table that is scanned: a page of 1 MB
	transacted = 10    // items of a transaction
	written    = 25    // items of a batch that writes
	fetched    = 25    // items of a batch that reads
)

// An operation is one row of the table that measureOperations prints.
type operation struct {
	name string
	on   shape // of the table, which is made and filled for it
	// items is what one request writes or reads.
	items int
	next  func(host, table string, client int) func(n int) []byte
}

// shape is a table of the load: with a stream, and with what is named here.
type shape struct {
	sorted  bool // a sort key, and groups of items
	filled  bool // scannable items
	indexes int  // global, each with all attributes
}

var operations = []operation{
	{name: "PutItem, 1 KiB", items: 1, next: puts},
	{name: "PutItem, 1 global index", on: shape{indexes: 1}, items: 1, next: indexedPuts(1)},
	{name: "PutItem, 5 global indexes", on: shape{indexes: 5}, items: 1, next: indexedPuts(5)},
	{name: "UpdateItem, ADD on 1 KiB", on: shape{sorted: true}, items: 1, next: updates},
	{name: "GetItem, consistent", on: shape{sorted: true}, items: 1, next: groupGets},
	{name: fmt.Sprintf("BatchWriteItem, %d puts of 1 KiB", written), items: written, next: batchWrites},
	{name: fmt.Sprintf("BatchGetItem, %d of 1 KiB", fetched), on: shape{sorted: true}, items: fetched, next: batchGets},
	{name: fmt.Sprintf("Query, %d of 1 KiB", groupSize), on: shape{sorted: true}, items: groupSize, next: queries},
	{name: "Scan, a page of 1 MB", on: shape{filled: true}, items: scannable, next: scans},
	{name: fmt.Sprintf("TransactWriteItems, %d puts of 1 KiB", transacted), items: transacted, next: transactWrites},
	{name: fmt.Sprintf("TransactGetItems, %d of 1 KiB", transacted), on: shape{sorted: true}, items: transacted, next: transactGets},
}

// measureOperations prints requests per second of each operation, here and at each
// peer, one after the other on the same machine in the same run. It has one budget:
// PutItem, against the fastest peer.
func measureOperations(ctx context.Context, o Options, r *report) error {
	return onServer(ctx, o, func(c *child, _ string) error {
		rest := c.awaitQuiet
		if o.Quick {
			rest = nil
		}
		return compare(ctx, o, r, append([]Peer{{"Millstream", c.endpoint}}, o.Peers...), rest)
	})
}

// compare drives each operation at each endpoint, the first of which is the one
// under test. rest waits, before each, until that one has merged what the last has written, as the others hold all in memory; nil: it does not.
func compare(ctx context.Context, o Options, r *report, endpoints []Peer, rest func(context.Context) error) (err error) {
	length := max(o.duration()/4, 500*time.Millisecond)
	fmt.Fprintf(r.out, "requests a second, streams on, %d connections, %v each\n  %-36s", o.connections(), length, "")
	for _, e := range endpoints {
		fmt.Fprintf(r.out, "%18s", e.Name)
	}
	fmt.Fprintln(r.out)
	made := make([]tables, len(endpoints))
	for no := range made {
		made[no] = tables{}
		defer func() { err = errors.Join(err, made[no].drop(ctx, endpoints[no].Endpoint)) }()
	}
	var refusals []string
	var putRates []float64
	for i, op := range operations {
		fmt.Fprintf(r.out, "  %-36s", op.name)
		if rest != nil {
			if err := rest(ctx); err != nil {
				return err
			}
		}
		for no, e := range endpoints {
			rate, err := op.rate(ctx, o, e.Endpoint, made[no], length)
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err != nil && no == 0 {
				return fmt.Errorf("%s: %w", op.name, err)
			}
			if err != nil {
				refusals = append(refusals, fmt.Sprintf("%s at %s: %v", op.name, e.Name, err))
				fmt.Fprintf(r.out, "%18s", "failed")
				continue
			}
			if i == 0 {
				putRates = append(putRates, rate)
			}
			fmt.Fprintf(r.out, "%18s", perSecond(rate))
		}
		fmt.Fprintln(r.out)
	}
	for _, refusal := range refusals {
		fmt.Fprintf(r.out, "  %s\n", refusal)
	}
	fmt.Fprintln(r.out)
	if len(putRates) > 1 {
		fastest := putRates[1]
		for _, rate := range putRates[2:] {
			fastest = max(fastest, rate)
		}
		r.add(result{
			name:     fmt.Sprintf("PutItem beside the fastest of %d peers", len(putRates)-1),
			measured: putRates[0], budget: 3 * fastest, format: perSecond,
			why: fmt.Sprintf("%.1f times; Millstream syncs each write (unless --durability says otherwise).", putRates[0]/fastest),
		})
	}
	return nil
}

// tables are those of one endpoint that are filled: operations share them, as some
// endpoints take long to fill one.
type tables map[shape]string

func (made tables) drop(ctx context.Context, endpoint string) error {
	var failures []error
	for _, name := range made {
		failures = append(failures, dropTable(ctx, endpoint, name))
	}
	return errors.Join(failures...)
}

func dropTable(ctx context.Context, endpoint, name string) error {
	return call(context.WithoutCancel(ctx), endpoint, "DeleteTable", map[string]string{"TableName": name}, nil)
}

// rate drives the operation's load at its table, which is a new one unless it is
// filled.
func (op operation) rate(ctx context.Context, o Options, endpoint string, made tables, length time.Duration) (perSecond float64, err error) {
	host, err := hostOf(endpoint)
	if err != nil {
		return 0, err
	}
	name, found := made[op.on]
	if !found {
		name = fmt.Sprintf("bench-%d", time.Now().UnixNano())
		if err := op.on.make(ctx, endpoint, name); err != nil {
			return 0, err
		}
		if op.on.filled || op.on.sorted {
			made[op.on] = name
		} else {
			defer func() {
				if e := dropTable(ctx, endpoint, name); err == nil {
					err = e
				}
			}()
		}
		if err := op.on.fill(ctx, host, name, o.connections()); err != nil {
			return 0, err
		}
	}
	n, took, err := load(ctx, endpoint, o.connections(), length, func(client int) func(int) []byte { return op.next(host, name, client) })
	return float64(n) / took.Seconds(), err
}

// make creates the table and waits until it is ready.
func (s shape) make(ctx context.Context, endpoint, name string) error {
	attributes := []map[string]string{{"AttributeName": "pk", "AttributeType": "S"}}
	key := []map[string]string{{"AttributeName": "pk", "KeyType": "HASH"}}
	if s.sorted {
		attributes = append(attributes, map[string]string{"AttributeName": "sk", "AttributeType": "S"})
		key = append(key, map[string]string{"AttributeName": "sk", "KeyType": "RANGE"})
	}
	in := map[string]any{
		"TableName": name, "BillingMode": "PAY_PER_REQUEST", "KeySchema": key,
		"StreamSpecification": map[string]any{"StreamEnabled": true, "StreamViewType": "NEW_AND_OLD_IMAGES"},
	}
	var indexes []map[string]any
	for i := range s.indexes {
		attribute := fmt.Sprint("g", i)
		attributes = append(attributes, map[string]string{"AttributeName": attribute, "AttributeType": "S"})
		indexes = append(indexes, map[string]any{
			"IndexName": "index-" + attribute, "Projection": map[string]string{"ProjectionType": "ALL"},
			"KeySchema": []map[string]string{{"AttributeName": attribute, "KeyType": "HASH"}},
		})
	}
	if indexes != nil {
		in["GlobalSecondaryIndexes"] = indexes
	}
	in["AttributeDefinitions"] = attributes
	if err := call(ctx, endpoint, "CreateTable", in, nil); err != nil {
		return err
	}
	_, err := awaitActive(ctx, endpoint, name)
	return err
}

// fill writes what the reading operations find.
func (s shape) fill(ctx context.Context, host, name string, clients int) error {
	c, err := dial(ctx, host)
	if err != nil {
		return err
	}
	defer c.Close()
	switch {
	case s.sorted:
		for client := range clients {
			for group := range groups {
				if err := c.roundTrip(groupWrite(host, name, client, group)); err != nil {
					return err
				}
			}
		}
	case s.filled:
		next := batchWrites(host, name, 0)
		for n := range scannable / written {
			if err := c.roundTrip(next(n)); err != nil {
				return err
			}
		}
	}
	return ctx.Err()
}

// mark stands for a key of 16 digits in the body of a request, until fields
// replaces it in place.
var mark = strings.Repeat("0", keyDigits)

// fields returns a request whose marks are replaced, before each sending, by the key
// that key says: of the client, for the i-th mark of the n-th request.
func fields(host, operation, body string, client int, key func(n, i int) int) func(n int) []byte {
	return numbered(message(host, operation, []byte(body)), client, key)
}

// numbered is fields for a whole request.
func numbered(request []byte, client int, key func(n, i int) int) func(n int) []byte {
	var at []int
	for from := 0; ; {
		i := bytes.Index(request[from:], []byte(mark))
		if i < 0 {
			break
		}
		at = append(at, from+i)
		from += i + keyDigits
	}
	return func(n int) []byte {
		for i, offset := range at {
			writeKey(request[offset:offset+keyDigits], client, key(n, i))
		}
		return request
	}
}

// keyItem is one item of 1 KiB in JSON, whose key is a mark.
var keyItem = `{"pk":{"S":"` + mark + `"},"v":{"S":"` + filler + `"}}`

func list(n int, element string) string {
	return strings.Repeat(element+",", n-1) + element
}

func indexedPuts(indexes int) func(host, table string, client int) func(int) []byte {
	var keys strings.Builder
	for i := range indexes {
		fmt.Fprintf(&keys, `"g%d":{"S":"%s"},`, i, mark)
	}
	return func(host, table string, client int) func(int) []byte {
		body := `{"TableName":"` + table + `","Item":{"pk":{"S":"` + mark + `"},` + keys.String() + `"v":{"S":"` + filler + `"}}}`
		return fields(host, "PutItem", body, client, func(n, i int) int {
			if i == 0 {
				return n
			}
			return n*(7919+i)%1000 + i // a value of an index is shared by some items
		})
	}
}

func batchWrites(host, table string, client int) func(int) []byte {
	body := `{"RequestItems":{"` + table + `":[` + list(written, `{"PutRequest":{"Item":`+keyItem+`}}`) + `]}}`
	return fields(host, "BatchWriteItem", body, client, func(n, i int) int { return n*written + i })
}

func transactWrites(host, table string, client int) func(int) []byte {
	body := `{"TransactItems":[` + list(transacted, `{"Put":{"TableName":"`+table+`","Item":`+keyItem+`}}`) + `]}`
	return fields(host, "TransactWriteItems", body, client, func(n, i int) int { return n*transacted + i })
}

func scans(host, table string, _ int) func(int) []byte {
	request := message(host, "Scan", []byte(`{"TableName":"`+table+`","ConsistentRead":true}`))
	return func(int) []byte { return request }
}

// In a table with a sort key, a group is the items of one partition key, whose sort
// keys are 00, 01 and so on.

func groupWrite(host, table string, client, group int) []byte {
	var puts []string
	for i := range groupSize {
		puts = append(puts, fmt.Sprintf(`{"PutRequest":{"Item":{"pk":{"S":"%s"},"sk":{"S":"%02d"},"n":{"N":"0"},"v":{"S":"%s"}}}}`, mark, i, filler))
	}
	body := `{"RequestItems":{"` + table + `":[` + strings.Join(puts, ",") + `]}}`
	return fields(host, "BatchWriteItem", body, client, func(int, int) int { return group })(0)
}

// someGroup visits the client's groups in an order that is not the written one.
func someGroup(n, _ int) int { return n * 7919 % groups }

// nextGroups is someGroup for requests of more keys than a group has.
func nextGroups(n, i int) int { return (n*7919 + i/groupSize) % groups }

// groupKey is the key of the i-th item, modulo the size of a group, of a group.
func groupKey(i int) string {
	return fmt.Sprintf(`{"pk":{"S":"%s"},"sk":{"S":"%02d"}}`, mark, i%groupSize)
}

func updates(host, table string, client int) func(int) []byte {
	body := `{"TableName":"` + table + `","Key":` + groupKey(3) + `,"UpdateExpression":"ADD n :one","ExpressionAttributeValues":{":one":{"N":"1"}}}`
	return fields(host, "UpdateItem", body, client, someGroup)
}

func groupGets(host, table string, client int) func(int) []byte {
	return fields(host, "GetItem", `{"TableName":"`+table+`","Key":`+groupKey(7)+`,"ConsistentRead":true}`, client, someGroup)
}

func queries(host, table string, client int) func(int) []byte {
	body := `{"TableName":"` + table + `","KeyConditionExpression":"pk = :k","ExpressionAttributeValues":{":k":{"S":"` + mark + `"}},"ConsistentRead":true}`
	return fields(host, "Query", body, client, someGroup)
}

func batchGets(host, table string, client int) func(int) []byte {
	keys := make([]string, fetched)
	for i := range keys {
		keys[i] = groupKey(i)
	}
	body := `{"RequestItems":{"` + table + `":{"Keys":[` + strings.Join(keys, ",") + `],"ConsistentRead":true}}}`
	return fields(host, "BatchGetItem", body, client, nextGroups)
}

func transactGets(host, table string, client int) func(int) []byte {
	gets := make([]string, transacted)
	for i := range gets {
		gets[i] = `{"Get":{"TableName":"` + table + `","Key":` + groupKey(i) + `}}`
	}
	return fields(host, "TransactGetItems", `{"TransactItems":[`+strings.Join(gets, ",")+`]}`, client, nextGroups)
}
