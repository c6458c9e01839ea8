package remote

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/millstreamdb/millstream/internal/seqnum"
)

// Probed is what an endpoint was found to do.
type Probed struct {
	What     string `json:"what"`
	Has      bool   `json:"has"`
	Detail   string `json:"detail,omitempty"`  // what it did instead, or how much
	Without  string `json:"without,omitempty"` // what does not work on an endpoint that lacks it
	Required bool   `json:"required,omitempty"`
}

// ProbedTransactions is the probe of what exactly-once writes take.
const ProbedTransactions = "transactions with checks"

// verifier makes probes with a table of its own.
type verifier struct {
	c      *Client
	table  string
	arn    string // of its stream
	report func(Probed)
}

// verifyItem is one of the table's: a key, a version, and text.
func verifyItem(key string, v uint64, data string) map[string]attribute {
	return map[string]attribute{attrP: text(key), attrS: text("-"), attrV: wholeOf(v), attrData: text(data)}
}

func itemKey(key string) map[string]attribute {
	return map[string]attribute{attrP: text(key), attrS: text("-")}
}

func (v *verifier) do(ctx context.Context, service, operation string, in, out any) (err error) {
	if out == nil {
		out = &struct{}{}
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	_, err = v.c.call(ctx, service, operation, in, out, 0)
	return err
}

func (v *verifier) put(ctx context.Context, key string, version uint64, more map[string]any) error {
	in := map[string]any{"TableName": v.table, "Item": verifyItem(key, version, "data")}
	for name, value := range more {
		in[name] = value
	}
	return v.do(ctx, tablesAPI, "PutItem", in, nil)
}

// Verify finds out what an endpoint can do of what nodes need, with tables of its own that it removes. It returns an error when it could not find out.
func Verify(ctx context.Context, c *Client, report func(Probed)) (err error) {
	own := c.OwnTables()
	defer func() { err = errors.Join(err, own.Remove(ctx)) }()
	v := &verifier{c: c, report: report}
	if v.table, v.arn, err = own.Make(ctx, "probes", NewTable{Partition: attrP, Sort: attrS, Stream: "NEW_AND_OLD_IMAGES"}); err != nil {
		return err
	}
	for _, probe := range []func(context.Context) error{v.conditions, v.races, v.transactions, v.tags, v.streams, v.switched} {
		if err := probe(ctx); err != nil {
			return err
		}
	}
	return nil
}

const maxDetail = 150

// found reports a probe whose call went well or not.
func (v *verifier) found(what, without string, required bool, err error) {
	f := Probed{What: what, Has: err == nil, Without: without, Required: required}
	if err != nil {
		f.Detail = strings.Join(strings.Fields(err.Error()), " ") // one line, also of a page of HTML
		f.Detail = strings.ToValidUTF8(f.Detail[:min(len(f.Detail), maxDetail)], "")
	}
	v.report(f)
}

func (v *verifier) conditions(ctx context.Context) error {
	absent := map[string]any{"ConditionExpression": "attribute_not_exists(p)", "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}
	if err := v.put(ctx, "condition", 1, absent); err != nil {
		return fmt.Errorf("a conditional write that holds: %w", err)
	}
	err := v.put(ctx, "condition", 2, absent)
	f, refused := errors.AsType[*failure](err)
	if refused = refused && f.Code == "ConditionalCheckFailedException"; !refused {
		err = fmt.Errorf("a condition that does not hold is answered %v", err)
	} else {
		err = nil
	}
	v.found("conditional writes", "nodes do not work", true, err)
	if err == nil && f.Item[attrV].N == nil {
		err = errors.New("the item is not in the answer")
	}
	v.found("the item beside a condition that failed", "nodes do not work yet", true, err)
	return nil
}

// races has four writers count one item up, each by what it has read: each write that was acknowledged has to be in the count.
func (v *verifier) races(ctx context.Context) error {
	if err := v.put(ctx, "race", 1, nil); err != nil {
		return err
	}
	var wins atomic.Uint64
	errs := make([]error, 4)
	read := func() (uint64, error) { return v.c.versionOf(ctx, v.table, "race") }
	var all sync.WaitGroup
	for i := range errs {
		all.Go(func() {
			for range 25 {
				now, err := read()
				if err != nil {
					errs[i] = err
					return
				}
				in := map[string]any{
					"TableName": v.table, "Item": verifyItem("race", now+1, "data"), "ConditionExpression": "v = :v", "ExpressionAttributeValues": map[string]attribute{":v": wholeOf(now)},
				}
				_, err = v.c.call(ctx, tablesAPI, "PutItem", in, &struct{}{}, 0)
				if err == nil {
					wins.Add(1)
				} else if codeOf(err) != "ConditionalCheckFailedException" {
					errs[i] = err
					return
				}
			}
		})
	}
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("racing writes: %w", err)
	}
	last, err := read()
	if err != nil {
		return err
	}
	if last != wins.Load()+1 {
		err = fmt.Errorf("%d of 100 racing writes were acknowledged, and %d are counted", wins.Load(), last-1)
	}
	v.found("racing compare-and-sets", "nodes do not work (ScyllaDB Alternator: set write isolation to always)", true, err)
	return nil
}

// versionOf reads the version of an item as it is now.
func (c *Client) versionOf(ctx context.Context, table, key string) (uint64, error) {
	var out struct{ Item map[string]attribute }
	if _, err := c.call(ctx, tablesAPI, "GetItem", map[string]any{"TableName": table, "Key": itemKey(key), "ConsistentRead": true}, &out, 0); err != nil {
		return 0, err
	}
	var n uint64
	_, err := fmt.Sscan(out.Item[attrV].string(), &n)
	return n, err
}

func (v *verifier) transactions(ctx context.Context) error {
	const without = "millstream:exactly-once does not work"
	write := func(key, check string, token string) error {
		in := map[string]any{"TransactItems": []any{
			map[string]any{"ConditionCheck": map[string]any{"TableName": v.table, "Key": itemKey(check), "ConditionExpression": "attribute_exists(p)"}},
			map[string]any{"Update": map[string]any{
				"TableName": v.table, "Key": itemKey(key), "UpdateExpression": "ADD v :one", "ExpressionAttributeValues": map[string]attribute{":one": wholeOf(1)},
			}},
		}}
		if token != "" {
			in["ClientRequestToken"] = token
		}
		return v.do(ctx, tablesAPI, "TransactWriteItems", in, nil)
	}
	err := write("transaction", "condition", "")
	if err == nil {
		if err = write("transaction", "nobody", ""); codeOf(err) == "TransactionCanceledException" {
			err = nil
		} else {
			err = fmt.Errorf("a transaction whose check does not hold is answered %v", err)
		}
	}
	v.found(ProbedTransactions, without, false, err)
	if err != nil {
		return nil
	}
	token := nonce() + nonce()
	if err = errors.Join(write("token", "condition", token), write("token", "condition", token)); err == nil {
		n, readErr := v.c.versionOf(ctx, v.table, "token")
		if err = readErr; err == nil && n != 1 {
			err = fmt.Errorf("a transaction that was sent twice with one token was made %d times", n)
		}
	}
	v.found("tokens of transactions", "nothing of nodes: they do not rely on it", false, err)
	return nil
}

func (v *verifier) tags(ctx context.Context) error {
	var out struct{ Table struct{ TableArn string } }
	if err := v.do(ctx, tablesAPI, "DescribeTable", map[string]any{"TableName": v.table}, &out); err != nil {
		return err
	}
	err := v.do(ctx, tablesAPI, "TagResource", map[string]any{"ResourceArn": out.Table.TableArn, "Tags": []map[string]string{{"Key": "millstream:rate", "Value": "5"}}}, nil)
	if err == nil {
		tags, listErr := v.c.Tags(ctx, out.Table.TableArn)
		if err = listErr; err == nil && tags["millstream:rate"] != "5" {
			err = fmt.Errorf("the tags are %v", tags)
		}
	}
	v.found("tags of tables", "settings of streams by tags do not work", false, err)
	v.found("time to live", "old rows are not removed by the endpoint", false, v.do(ctx, tablesAPI, "UpdateTimeToLive",
		map[string]any{"TableName": v.table, "TimeToLiveSpecification": map[string]any{"AttributeName": "x", "Enabled": true}}, nil))
	return nil
}

func (v *verifier) streams(ctx context.Context) error {
	d, err := v.c.Describe(ctx, v.arn)
	if err == nil && len(d.Shards) == 0 {
		err = errors.New("the stream has no shards")
	}
	v.found("streams of tables", "triggers do not work", true, err)
	if err != nil {
		return nil
	}
	// Iterators at the end see what is written from now on.
	latest := map[string]string{}
	for _, s := range d.Shards {
		if latest[s.ID], err = v.c.Iterator(ctx, v.arn, s.ID, Latest); err != nil {
			return fmt.Errorf("an iterator at the end: %w", err)
		}
	}
	const writes = 20
	for i := range uint64(writes) {
		if err := v.put(ctx, fmt.Sprint("key", i%4), i+1, nil); err != nil {
			return err
		}
	}
	type seen struct{ shard, number string }
	var all []seen
	newest := map[string]int{}
	err = nil
	for late := time.Now().Add(30 * time.Second); len(all) < writes && err == nil && time.Now().Before(late) && ctx.Err() == nil; {
		before := len(all)
		for id, iterator := range latest {
			if iterator == "" {
				continue
			}
			page, readErr := v.c.Records(ctx, iterator, 1000, 0)
			if err = readErr; err != nil {
				break
			}
			latest[id] = page.Next
			for _, raw := range page.Records {
				var r struct {
					DynamoDB struct {
						SequenceNumber string
						NewImage       map[string]attribute
					} `json:"dynamodb"`
				}
				if err = json.Unmarshal(raw, &r); err != nil {
					break
				}
				all = append(all, seen{id, r.DynamoDB.SequenceNumber})
				key, n := r.DynamoDB.NewImage[attrP].string(), 0
				_, _ = fmt.Sscan(*r.DynamoDB.NewImage[attrV].N, &n) // its own number
				if n <= newest[key] {
					err = fmt.Errorf("the records of the item %s are out of order", key)
				}
				newest[key] = n
			}
		}
		if len(all) == before && err == nil {
			err = betweenReads(ctx)
		}
	}
	if err == nil && len(all) != writes {
		err = fmt.Errorf("of %d writes %d are in the stream", writes, len(all))
	}
	v.found("records in order, from an iterator at the end on", "triggers do not work", true, err)
	if err != nil {
		return nil
	}
	first := all[0]
	count := func(in map[string]any) (int, error) {
		in["StreamArn"], in["ShardId"] = v.arn, first.shard
		var out struct{ ShardIterator string }
		if err := v.do(ctx, streamsAPI, "GetShardIterator", in, &out); err != nil {
			return 0, err
		}
		page, err := v.c.Records(ctx, out.ShardIterator, 1000, 0)
		return len(page.Records), err
	}
	of := len(slices.DeleteFunc(slices.Clone(all), func(s seen) bool { return s.shard != first.shard }))
	n, err := count(map[string]any{"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "SequenceNumber": first.number})
	if err == nil && n != of-1 {
		err = fmt.Errorf("behind the first of %d records are %d", of, n)
	}
	v.found("reading behind a record", "triggers do not work", true, err)
	v.found("a number of its own for each record of writes at once", "nodes lose records where two items are written at once", true, v.together(ctx, d.Shards))
	_, err = count(map[string]any{"ShardIteratorType": "AT_TIMESTAMP", "Timestamp": time.Now().Add(-time.Minute).Unix()})
	v.found("reading from a time on", "start and rewind by time read from the oldest record to the place", false, err)
	var out struct{ ShardIterator string }
	if err := v.do(ctx, streamsAPI, "GetShardIterator", map[string]any{"StreamArn": v.arn, "ShardId": first.shard, "ShardIteratorType": Latest}, &out); err != nil {
		return err
	}
	began := time.Now()
	header, err := v.c.call(ctx, streamsAPI, "GetRecords", map[string]any{"ShardIterator": out.ShardIterator, "Limit": 1}, &struct{}{}, 200*time.Millisecond)
	if err != nil {
		return err
	}
	if time.Since(began) < 150*time.Millisecond {
		err = errors.New("an empty read is answered at once")
	}
	v.found("reads that wait for records (X-Millstream-Wait)", "streams are polled (--poll-idle)", false, err)
	if err = nil; header.Get("X-Millstream-After") == "" {
		err = errors.New("an answer does not say behind which number it begins")
	}
	v.found("positions without a record (X-Millstream-After)", "who begins at the end, or at a moment, reads the stream through for the place; trimmed records are told without their number", false, err)
	return nil
}

// betweenReads is the time between two looks at shards where nothing comes: Amazon DynamoDB takes five a second.
func betweenReads(ctx context.Context) error {
	select {
	case <-time.After(250 * time.Millisecond):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// together has eight writers write at once. Of each shard the records have numbers that rise, and none has that of another: nodes, as all who read streams, know
// records by them.
func (v *verifier) together(ctx context.Context, shards []DescribedShard) (err error) {
	latest := map[string]string{}
	for _, s := range shards {
		if latest[s.ID], err = v.c.Iterator(ctx, v.arn, s.ID, Latest); err != nil {
			return err
		}
	}
	const writers, writes = 8, 800
	errs := make([]error, writers)
	var all sync.WaitGroup
	for k := range writers {
		all.Go(func() {
			for n := 0; n < writes/writers && errs[k] == nil; n++ {
				errs[k] = v.put(ctx, fmt.Sprint("writer", k), uint64(n+1), nil)
			}
		})
	}
	all.Wait()
	if err = errors.Join(errs...); err != nil {
		return err
	}
	newest, seen := map[string]seqnum.Num{}, 0
	for late := time.Now().Add(30 * time.Second); seen < writes && time.Now().Before(late) && ctx.Err() == nil; {
		before := seen
		for id, iterator := range latest {
			if iterator == "" {
				continue
			}
			page, err := v.c.Records(ctx, iterator, 1000, 0)
			if err != nil {
				return err
			}
			latest[id] = page.Next
			for _, raw := range page.Records {
				var r struct {
					DynamoDB struct{ SequenceNumber string } `json:"dynamodb"`
				}
				if err := json.Unmarshal(raw, &r); err != nil {
					return err
				}
				n, err := number(r.DynamoDB.SequenceNumber)
				if err != nil {
					return err
				}
				if !newest[id].Less(n) {
					return fmt.Errorf("behind the record %s of a shard comes %s", newest[id], n)
				}
				newest[id] = n
				seen++
			}
		}
		if seen == before && betweenReads(ctx) != nil {
			return ctx.Err()
		}
	}
	if seen < writes {
		return fmt.Errorf("of %d writes %d are in the stream", writes, seen)
	}
	return ctx.Err()
}

// switchedFor is how long the end of a stream that was switched off may take to be seen.
const switchedFor = 15 * time.Second

// switched finds out what becomes of records when a stream is switched off and on.
func (v *verifier) switched(ctx context.Context) error {
	_, before, err := v.shards(ctx)
	if err == nil {
		err = v.stream(ctx, false)
	}
	for late := time.Now().Add(switchedFor); err == nil; {
		var open, after int
		if open, after, err = v.shards(ctx); err != nil {
			err = fmt.Errorf("the stream cannot be read any more: %w", err)
		} else if after != before {
			err = fmt.Errorf("of %d records %d can be read", before, after)
		} else if open == 0 {
			break
		} else if time.Now().After(late) {
			err = errors.New("it can be read, and has no end")
		}
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	v.found("a stream that was switched off is read to its end", "what triggers have not read when a stream is switched off is lost", false, err)
	if err = v.stream(ctx, true); err == nil {
		var arn string
		if arn, err = v.c.active(ctx, v.table); err == nil && (arn == "" || arn == v.arn) {
			err = fmt.Errorf("it is %q, as before", arn)
		}
	}
	v.found("one that is switched on again is another", "triggers of a stream that was switched off and on begin anew, or stand still", false, err)
	return ctx.Err()
}

// stream switches the table's stream.
func (v *verifier) stream(ctx context.Context, on bool) error {
	as := map[string]any{"StreamEnabled": on}
	if on {
		as["StreamViewType"] = "NEW_AND_OLD_IMAGES"
	}
	if err := v.do(ctx, tablesAPI, "UpdateTable", map[string]any{"TableName": v.table, "StreamSpecification": as}, nil); err != nil {
		return err
	}
	_, err := v.c.active(ctx, v.table)
	return err
}

// shards reads the stream from the horizon: how many shards have no end, and how many records there are.
func (v *verifier) shards(ctx context.Context) (open, records int, err error) {
	d, err := v.c.Describe(ctx, v.arn)
	if err != nil {
		return 0, 0, err
	}
	for _, s := range d.Shards {
		at, err := v.c.Iterator(ctx, v.arn, s.ID, TrimHorizon)
		for empty := 0; err == nil && at != "" && empty < 5; empty++ { // an empty page is not the end
			var page Records
			if page, err = v.c.Records(ctx, at, 1000, 0); len(page.Records) > 0 {
				records += len(page.Records)
				empty = 0
			}
			at = page.Next
		}
		if err != nil {
			return 0, 0, err
		}
		if at != "" {
			open++
		}
	}
	return open, records, nil
}
