package table

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/item"
	"github.com/millstreamdb/millstream/internal/request"
	"github.com/millstreamdb/millstream/internal/schema"
	"github.com/millstreamdb/millstream/internal/store"
	"github.com/millstreamdb/millstream/internal/store/crashtest"
	"github.com/millstreamdb/millstream/internal/stream"
)

var scope = schema.Scope{Account: "000000000000", Region: "us-east-1"}

// world is a database on a disk in memory.
type world struct {
	disk    *crashtest.Disk
	store   *store.Store
	streams *stream.Streams
	db      *DB
}

func openWorld(disk *crashtest.Disk, d store.Durability) (*world, error) {
	w := &world{disk: disk}
	var err error
	if w.store, err = store.Open(store.Options{FS: disk.FS(), Dir: "data", Durability: d}); err != nil {
		return nil, err
	}
	if w.streams, err = stream.Open(w.store, time.Now); err != nil {
		return nil, err
	}
	w.db, err = Open(Options{Store: w.store, Streams: w.streams})
	return w, err
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w, err := openWorld(crashtest.New(), store.Sync)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.store.Close(); err != nil {
			t.Error(err)
		}
	})
	return w
}

// reopen closes the database and opens it again.
func (w *world) reopen(t testing.TB) {
	t.Helper()
	if err := w.store.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := openWorld(w.disk, store.Sync)
	if err != nil {
		t.Fatal(err)
	}
	*w = *again
}

// call runs one operation from its JSON, as the door would.
func (w *world) call(op, body string) (any, error) {
	ctx := context.Background()
	b := []byte(body)
	switch op {
	case "CreateTable":
		return run(ctx, b, request.DecodeCreateTable, w.db.CreateTable)
	case "UpdateTable":
		return run(ctx, b, request.DecodeUpdateTable, w.db.UpdateTable)
	case "DeleteTable":
		return run(ctx, b, request.DecodeDeleteTable, w.db.DeleteTable)
	case "DescribeTable":
		return run(ctx, b, request.DecodeDescribeTable, w.db.DescribeTable)
	case "ListTables":
		return run(ctx, b, request.DecodeListTables, w.db.ListTables)
	case "PutItem":
		return run(ctx, b, request.DecodePutItem, w.db.PutItem)
	case "UpdateItem":
		return run(ctx, b, request.DecodeUpdateItem, w.db.UpdateItem)
	case "DeleteItem":
		return run(ctx, b, request.DecodeDeleteItem, w.db.DeleteItem)
	case "GetItem":
		return run(ctx, b, request.DecodeGetItem, w.db.GetItem)
	case "Query":
		return run(ctx, b, request.DecodeQuery, w.db.Query)
	case "Scan":
		return run(ctx, b, request.DecodeScan, w.db.Scan)
	case "BatchWriteItem":
		return run(ctx, b, request.DecodeBatchWriteItem, w.db.BatchWriteItem)
	case "BatchGetItem":
		return run(ctx, b, request.DecodeBatchGetItem, w.db.BatchGetItem)
	case "TransactWriteItems":
		return run(ctx, b, request.DecodeTransactWriteItems, w.db.TransactWriteItems)
	case "UpdateTimeToLive":
		return run(ctx, b, request.DecodeUpdateTimeToLive, w.db.UpdateTimeToLive)
	case "UpdateContinuousBackups":
		return run(ctx, b, request.DecodeUpdateContinuousBackups, w.db.UpdateContinuousBackups)
	case "DescribeContinuousBackups":
		return run(ctx, b, request.DecodeDescribeContinuousBackups, w.db.DescribeContinuousBackups)
	case "TagResource":
		return run(ctx, b, request.DecodeTagResource, w.db.TagResource)
	case "UntagResource":
		return run(ctx, b, request.DecodeUntagResource, w.db.UntagResource)
	case "ListTagsOfResource":
		return run(ctx, b, request.DecodeListTagsOfResource, w.db.ListTagsOfResource)
	case "PutResourcePolicy":
		return run(ctx, b, request.DecodePutResourcePolicy, w.db.PutResourcePolicy)
	case "GetResourcePolicy":
		return run(ctx, b, request.DecodeGetResourcePolicy, w.db.GetResourcePolicy)
	case "DeleteResourcePolicy":
		return run(ctx, b, request.DecodeDeleteResourcePolicy, w.db.DeleteResourcePolicy)
	case "DescribeTimeToLive":
		return run(ctx, b, request.DecodeDescribeTimeToLive, w.db.DescribeTimeToLive)
	case "ExecuteStatement":
		return run(ctx, b, request.DecodeExecuteStatement, w.db.ExecuteStatement)
	case "BatchExecuteStatement":
		return run(ctx, b, request.DecodeBatchExecuteStatement, w.db.BatchExecuteStatement)
	case "ExecuteTransaction":
		return run(ctx, b, request.DecodeExecuteTransaction, w.db.ExecuteTransaction)
	case "TransactGetItems":
		return run(ctx, b, request.DecodeTransactGetItems, w.db.TransactGetItems)
	}
	return nil, errors.New("no operation " + op)
}

func run[Q, A any](ctx context.Context, body []byte, decode func([]byte) (*Q, error), do func(context.Context, schema.Scope, *Q) (*A, error)) (any, error) {
	q, err := decode(body)
	if err != nil {
		return nil, err
	}
	a, err := do(ctx, scope, q)
	if err != nil {
		return nil, err
	}
	return a, nil
}

func (w *world) must(t testing.TB, op, body string) any {
	t.Helper()
	a, err := w.call(op, body)
	if err != nil {
		t.Fatalf("%s %s: %v", op, body, err)
	}
	return a
}

func (w *world) createTable(t testing.TB, name string, shards int, view string) {
	t.Helper()
	streamSpec := ""
	if view != "" {
		streamSpec = fmt.Sprintf(`,"StreamSpecification":{"StreamEnabled":true,"StreamViewType":%q}`, view)
	}
	w.must(t, "CreateTable", fmt.Sprintf(`{"TableName":%q,"BillingMode":"PAY_PER_REQUEST",
		"AttributeDefinitions":[{"AttributeName":"pk","AttributeType":"S"}],
		"KeySchema":[{"AttributeName":"pk","KeyType":"HASH"}],
		"Tags":[{"Key":"millstream:shards","Value":"%d"}]%s}`, name, shards, streamSpec))
}

func isCode(err error, code string) bool {
	var e *awserr.Error
	return errors.As(err, &e) && e.Code == code
}

// records reads every durable record of a table's newest stream, shard by shard.
func (w *world) records(table string) ([][]*stream.Record, error) {
	t := w.db.find(scope, table)
	s := w.streams.Get(t.desc.Load().def.LatestStream)
	var all [][]*stream.Record
	for _, sh := range s.Shards() {
		recs, err := readShard(sh)
		if err != nil {
			return nil, err
		}
		all = append(all, recs)
	}
	return all, nil
}

// readShard reads the durable records of a shard, in small pages.
func readShard(sh *stream.Shard) ([]*stream.Record, error) {
	var recs []*stream.Record
	for after := sh.Horizon(); ; {
		page, err := sh.Read(after, 7, 1<<20, func(*stream.Record) int { return 1 })
		if err != nil {
			return nil, err
		}
		if len(page.Records) == 0 {
			return recs, nil
		}
		recs = append(recs, page.Records...)
		after = recs[len(recs)-1].Seq()
	}
}

// replay checks that the records of a table's stream, applied in order, give
// exactly its items, that each record's old image is the item it was made from,
// that numbers strictly rise, and that the counters are the truth (P2, and that
// no item is without its record or the reverse). It returns the ids ("w") of all
// new images seen, and of all removed ones.
func (w *world) replay(table string) (written, removed map[string]bool, err error) {
	shards, err := w.records(table)
	if err != nil {
		return nil, nil, err
	}
	if err := w.checkLineage(table); err != nil {
		return nil, nil, err
	}
	written, removed = map[string]bool{}, map[string]bool{}
	items := map[string]item.Item{}
	for _, recs := range shards {
		for i, r := range recs {
			if i > 0 && !recs[i-1].Seq().Less(r.Seq()) {
				return nil, nil, fmt.Errorf("number %s follows %s", r.Seq(), recs[i-1].Seq())
			}
			if i > 0 && r.Time() < recs[i-1].Time() {
				return nil, nil, fmt.Errorf("time falls at %s", r.Seq())
			}
			key := r.Keys().Get("pk").Text()
			if !item.Equal(item.Value(items[key]), item.Value(r.Old())) {
				return nil, nil, fmt.Errorf("key %s, number %s: the old image is not what the records before it left", key, r.Seq())
			}
			if r.New() == nil {
				removed[id(r.Old())] = true
				delete(items, key)
			} else {
				written[id(r.New())] = true
				items[key] = r.New()
			}
		}
	}
	if err := w.replayUndone(table, shards); err != nil {
		return nil, nil, err
	}
	scan, err := w.call("Scan", fmt.Sprintf(`{"TableName":%q,"ConsistentRead":true}`, table))
	if err != nil {
		return nil, nil, err
	}
	size := 0
	stored := scan.(*QueryResult).Items
	for _, it := range stored {
		size += it.Size()
		if !item.Equal(item.Value(items[it.Get("pk").Text()]), item.Value(it)) {
			return nil, nil, fmt.Errorf("key %s: the item is not what its records make", it.Get("pk").Text())
		}
	}
	if len(stored) != len(items) {
		return nil, nil, fmt.Errorf("%d items, the records make %d", len(stored), len(items))
	}
	desc, err := w.call("DescribeTable", fmt.Sprintf(`{"TableName":%q}`, table))
	if err != nil {
		return nil, nil, err
	}
	if d := desc.(*Description); d.ItemCount != int64(len(stored)) || d.SizeBytes != int64(size) {
		return nil, nil, fmt.Errorf("counted %d items of %d bytes, there are %d of %d", d.ItemCount, d.SizeBytes, len(stored), size)
	}
	return written, removed, nil
}

// replayUndone checks that a table's recovery log has what each record of its stream was made from, and nothing else, in the order of each
// item's changes, and that the two items that are only written together have the same moments.
func (w *world) replayUndone(table string, shards [][]*stream.Record) error {
	def := w.db.find(scope, table).desc.Load().def
	if def.Recovery == nil {
		return nil
	}
	type row struct {
		moment uint64
		was    undone
	}
	log := map[string][]row{}
	err := w.store.Each(def.Recovery.prefix(), func(key, value []byte) error {
		tail, was, err := parseUndo(bytes.Clone(value))
		log[string(tail)] = append(log[string(tail)], row{binary.BigEndian.Uint64(key[undoPrefix:]), was})
		return err
	})
	if err != nil {
		return err
	}
	keyOf := func(it item.Item) string { return string(def.Keys.AppendKey(nil, it)) }
	for _, recs := range shards {
		for _, r := range recs {
			rows, err := log[keyOf(r.Keys())], errUndo
			var old item.Item
			if len(rows) > 0 {
				old, err = rows[0].was.of(nil, r.New())
			}
			if err != nil || !item.Equal(item.Value(old), item.Value(r.Old())) {
				return fmt.Errorf("%w: number %s of %s was made of %s, and the log has %d rows", errUndone, r.Seq(), r.Keys().Get("pk").Text(), jsonOf(r.Old()), len(rows))
			}
			if len(rows) > 1 && rows[1].moment < rows[0].moment {
				return fmt.Errorf("%w: moments fall", errUndone)
			}
			log[keyOf(r.Keys())] = rows[1:]
		}
	}
	for tail, rows := range log {
		if len(rows) > 0 {
			return fmt.Errorf("%w: %d rows without a record of %x", errUndone, len(rows), tail)
		}
	}
	return w.momentsOfPair(def.Recovery, keyOf(itemOf("p0", "")), keyOf(itemOf("p1", "")))
}

// errUndone is what replayUndone finds.
var errUndone = errors.New("the recovery log is not what happened")

func (w *world) momentsOfPair(r *recovery, one, other string) error {
	moments := map[string][]uint64{}
	err := w.store.Each(r.prefix(), func(key, value []byte) error {
		tail, _, err := parseUndo(value)
		moments[string(tail)] = append(moments[string(tail)], binary.BigEndian.Uint64(key[undoPrefix:]))
		return err
	})
	if err == nil && !slices.Equal(moments[one], moments[other]) {
		err = fmt.Errorf("%w: a transaction has two moments", errUndone)
	}
	return err
}

func id(it item.Item) string { return it.Get("w").Text() }

// evidence is what clients have been told: ids of writes that were acknowledged
// or shown in any consistent answer, and of items that were told to be gone.
type evidence struct {
	mu       sync.Mutex
	shown    map[string]bool
	gone     map[string]bool
	pairs    [][2]string // ids that one transaction writes, told or not
	shards   []string    // shards that a split told of, or a reader saw
	failures []error
}

func newEvidence() *evidence { return &evidence{shown: map[string]bool{}, gone: map[string]bool{}} }

func (e *evidence) saw(it item.Item) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.shown[id(it)] = true
}

func (e *evidence) sawGone(id string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.gone[id] = true
}

func (e *evidence) fail(err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.failures = append(e.failures, err)
}

// wrote notes that a transaction will write a pair.
func (e *evidence) wrote(w string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.pairs = append(e.pairs, [2]string{w + "/0", w + "/1"})
}

func (e *evidence) sawShards(ids []string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.shards = append(e.shards, ids...)
}

// lineage are the shards told of up to now.
func (e *evidence) lineage() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.shards)
}

// transactions are the pairs that may have been written up to now.
func (e *evidence) transactions() [][2]string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.pairs)
}

// cut returns what has been told up to now.
func (e *evidence) cut() (shown, gone map[string]bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return maps.Clone(e.shown), maps.Clone(e.gone)
}

// client does random operations on few keys and notes what it was told: one for
// each turn, until turns is closed.
func (w *world) client(n int, seed uint64, e *evidence, turns <-chan struct{}) {
	rng := rand.New(rand.NewPCG(seed, uint64(n)))
	i := 0
	for range turns {
		i++
		key := fmt.Sprintf("k%d", rng.IntN(6))
		w1 := fmt.Sprintf("%d-%d", n, i)
		var a any
		var err error
		switch rng.IntN(14) {
		case 0, 1:
			_, err = w.call("PutItem", fmt.Sprintf(`{"TableName":"tab","Item":{"pk":{"S":%q},"w":{"S":%q}}}`, key, w1))
			if err == nil {
				e.saw(itemOf(key, w1))
			}
		case 2: // a failed condition tells of the item that is there
			_, err = w.call("PutItem", fmt.Sprintf(`{"TableName":"tab","Item":{"pk":{"S":%q},"w":{"S":%q}},
				"ConditionExpression":"attribute_not_exists(pk)","ReturnValuesOnConditionCheckFailure":"ALL_OLD"}`, key, w1))
			if err == nil {
				e.saw(itemOf(key, w1))
			}
		case 3: // the same write twice: the second changes nothing
			for range 2 {
				a, err = w.call("UpdateItem", fmt.Sprintf(`{"TableName":"tab","Key":{"pk":{"S":%q}},"UpdateExpression":"SET w = :w",
					"ExpressionAttributeValues":{":w":{"S":%q}},"ReturnValues":"ALL_NEW"}`, key, w1))
				if err == nil {
					e.saw(a.(*WriteResult).Attributes)
				}
			}
		case 4:
			a, err = w.call("DeleteItem", fmt.Sprintf(`{"TableName":"tab","Key":{"pk":{"S":%q}},"ReturnValues":"ALL_OLD"}`, key))
			if err == nil {
				if old := a.(*WriteResult).Attributes; old != nil {
					e.sawGone(id(old))
				}
			}
		case 5, 6:
			a, err = w.call("GetItem", fmt.Sprintf(`{"TableName":"tab","Key":{"pk":{"S":%q}},"ConsistentRead":true}`, key))
			if err == nil && a.(*GetResult).Found {
				e.saw(a.(*GetResult).Item)
			}
		case 7:
			a, err = w.call("Scan", `{"TableName":"tab","ConsistentRead":true}`)
			if err == nil {
				for _, it := range a.(*QueryResult).Items {
					e.saw(it)
				}
			}
		case 8:
			var shards [][]*stream.Record
			if shards, err = w.records("tab"); err == nil {
				for _, recs := range shards {
					for _, r := range recs {
						if r.New() != nil {
							e.saw(r.New())
						}
					}
				}
			}
		case 9, 10: // one transaction, sent twice at once: whichever is answered tells of it
			e.wrote(w1)
			body := fmt.Sprintf(`{"ClientRequestToken":%q,"TransactItems":[%s,%s]}`, w1, putPair(0, w1), putPair(1, w1))
			again := make(chan error, 1)
			go func() {
				_, err := w.call("TransactWriteItems", body)
				if err == nil {
					e.saw(itemOf("", w1+"/0"))
					e.saw(itemOf("", w1+"/1"))
				}
				again <- err
			}()
			if _, err = w.call("TransactWriteItems", body); err == nil {
				e.saw(itemOf("", w1+"/0"))
				e.saw(itemOf("", w1+"/1"))
			}
			if other := <-again; err == nil {
				err = other
			}
		case 13: // shards end and have children
			err = w.reshape(rng.IntN(3), e)
		case 11: // a transaction that is cancelled tells of the item that is there
			_, err = w.call("TransactWriteItems", fmt.Sprintf(`{"TransactItems":[%s,{"Put":{"TableName":"tab","Item":{"pk":{"S":%q},"w":{"S":%q}},
				"ConditionExpression":"attribute_not_exists(pk)","ReturnValuesOnConditionCheckFailure":"ALL_OLD"}}]}`,
				`{"ConditionCheck":{"TableName":"tab","Key":{"pk":{"S":"none"}},"ConditionExpression":"attribute_not_exists(pk)"}}`, key, w1))
			if err == nil {
				e.saw(itemOf(key, w1))
			}
		case 12: // the pair is always of one transaction
			a, err = w.call("TransactGetItems", `{"TransactItems":[{"Get":{"TableName":"tab","Key":{"pk":{"S":"p0"}}}},{"Get":{"TableName":"tab","Key":{"pk":{"S":"p1"}}}}]}`)
			if err == nil {
				if pair := a.(*TransactGetResult).Items; pair[0] != nil && pair[1] != nil {
					e.saw(pair[0])
					e.saw(pair[1])
					if strings.TrimSuffix(id(pair[0]), "/0") != strings.TrimSuffix(id(pair[1]), "/1") {
						e.fail(fmt.Errorf("%w: read %s beside %s", errTorn, id(pair[0]), id(pair[1])))
					}
				} else if pair[0] != nil || pair[1] != nil {
					e.fail(fmt.Errorf("%w: half of a pair is there", errTorn))
				}
			}
		}
		var failure *awserr.Error
		switch {
		case err == nil:
		case isCode(err, "TransactionInProgressException"):
		case errors.As(err, &failure) && failure.Code == "TransactionCanceledException":
			for _, reason := range failure.Reasons {
				if reason.Item != nil {
					e.saw(reason.Item)
				}
			}
		case errors.As(err, &failure) && failure.Code == "ConditionalCheckFailedException":
			if failure.Item != nil {
				e.saw(failure.Item)
			}
		default:
			e.fail(err)
		}
	}
}

// putPair writes item p0 or p1, which only transactions write, and only together.
func putPair(n int, w string) string {
	return fmt.Sprintf(`{"Put":{"TableName":"tab","Item":{"pk":{"S":"p%d"},"w":{"S":"%s/%d"}}}}`, n, w, n)
}

func itemOf(key, w string) item.Item {
	return item.NewItem([]item.Entry{{Name: "pk", Value: item.AppendString(nil, key)}, {Name: "w", Value: item.AppendString(nil, w)}})
}

// jsonOf shows an item in a failure.
func jsonOf(it item.Item) string {
	if it == nil {
		return "none"
	}
	return string(json.RawMessage(it.AppendJSON(nil)))
}
