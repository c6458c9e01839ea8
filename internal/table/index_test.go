package table

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/millstreamdb/millstream/internal/request"
	"github.com/millstreamdb/millstream/internal/store"
	"github.com/millstreamdb/millstream/internal/store/crashtest"
)

const indexedKeys = 3 * fillPiece / 2

func (w *world) createIndexed(shards int, stream string) error {
	_, err := w.call("CreateTable", fmt.Sprintf(`{"TableName":"tab","BillingMode":"PAY_PER_REQUEST",
		"AttributeDefinitions":[{"AttributeName":"pk","AttributeType":"S"},{"AttributeName":"g","AttributeType":"S"},{"AttributeName":"r","AttributeType":"N"}],
		"KeySchema":[{"AttributeName":"pk","KeyType":"HASH"}],
		"GlobalSecondaryIndexes":[
		{"IndexName":"all","KeySchema":[{"AttributeName":"g","KeyType":"HASH"},{"AttributeName":"r","KeyType":"RANGE"}],"Projection":{"ProjectionType":"ALL"}},
		{"IndexName":"old","KeySchema":[{"AttributeName":"r","KeyType":"HASH"}],"Projection":{"ProjectionType":"INCLUDE","NonKeyAttributes":["v"]}}],
		"Tags":[{"Key":"millstream:shards","Value":"%d"}]%s}`, shards, stream))
	return err
}

// writeIndexed does one random write.
func (w *world) writeIndexed(rng *rand.Rand) error {
	key := fmt.Sprint("k", rng.IntN(indexedKeys))
	put := fmt.Sprintf(`{"TableName":"tab","Item":{"pk":{"S":%q},"g":{"S":"g%d"},"r":{"N":"%d"},"v":{"S":"v%d"},"x":{"N":"%d"}}}`,
		key, rng.IntN(4), rng.IntN(3), rng.IntN(3), rng.IntN(100))
	op, body := "PutItem", put
	switch rng.IntN(6) {
	case 0:
		op, body = "DeleteItem", fmt.Sprintf(`{"TableName":"tab","Key":{"pk":{"S":%q}}}`, key)
	case 1:
		op, body = "UpdateItem", fmt.Sprintf(`{"TableName":"tab","Key":{"pk":{"S":%q}},"UpdateExpression":"REMOVE g SET x = :x","ExpressionAttributeValues":{":x":{"S":"y"}}}`, key)
	case 2: // of a type that an index made later does not take
		op, body = "UpdateItem", fmt.Sprintf(`{"TableName":"tab","Key":{"pk":{"S":%q}},"UpdateExpression":"SET x = :x","ExpressionAttributeValues":{":x":{"BOOL":true}}}`, key)
	case 3:
		op = "TransactWriteItems"
		body = fmt.Sprintf(`{"TransactItems":[{"Put":%s},{"Delete":{"TableName":"tab","Key":{"pk":{"S":"k%dz"}}}}]}`, put, rng.IntN(9))
	}
	_, err := w.call(op, body)
	if isCode(err, "ValidationException") || isCode(err, "TransactionCanceledException") {
		return nil // the new index is there, and does not take the value
	}
	return err
}

// indexRound lets writers run while an index is made, another one removed and the
// stream switched, crashes in the middle, and checks both what goes on and what the
// crash left.
func indexRound(seed uint64, writes int) error {
	w, err := openWorld(crashtest.New(), store.Sync)
	if err != nil {
		return err
	}
	stream := []string{"", `,"StreamSpecification":{"StreamEnabled":true,"StreamViewType":"NEW_IMAGE"}`}[seed%2]
	if err := w.createIndexed(1+int(seed%3), stream); err != nil {
		return err
	}
	for i := range indexedKeys {
		if _, err := w.call("PutItem", fmt.Sprintf(`{"TableName":"tab","Item":{"pk":{"S":"k%d"},"g":{"S":"g"},"r":{"N":"1"},"v":{"S":"v"},"x":{"N":"7"}}}`, i)); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	errs := make(chan error, 8)
	var worker, writers sync.WaitGroup
	worker.Go(func() {
		if err := w.db.Fill(ctx); err != nil {
			errs <- err
		}
	})
	for n := range 3 {
		rng := rand.New(rand.NewPCG(seed, uint64(n)))
		writers.Go(func() {
			for range writes {
				if err := w.writeIndexed(rng); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	changes := []string{
		`{"TableName":"tab","AttributeDefinitions":[{"AttributeName":"x","AttributeType":"N"}],"GlobalSecondaryIndexUpdates":[{"Create":{"IndexName":"new","KeySchema":[{"AttributeName":"x","KeyType":"HASH"}],"Projection":{"ProjectionType":"KEYS_ONLY"}}}]}`,
		`{"TableName":"tab","GlobalSecondaryIndexUpdates":[{"Delete":{"IndexName":"old"}}]}`,
		`{"TableName":"tab","StreamSpecification":{"StreamEnabled":` + fmt.Sprint(stream == "") + []string{`,"StreamViewType":"KEYS_ONLY"`, ""}[seed%2] + `}}`,
	}
	for _, body := range changes {
		if _, err := w.call("UpdateTable", body); err != nil {
			return err
		}
	}
	disk := w.disk.Clone(seed)
	writers.Wait()
	cancel()
	worker.Wait()
	for range 2 { // what goes on, and what is left of the crash
		select {
		case err := <-errs:
			return err
		default:
		}
		if err := w.db.fillAll(context.Background()); err != nil {
			return err
		}
		if err := w.judgeIndexes("tab"); err != nil {
			return err
		}
		if err := w.store.Close(); err != nil {
			return err
		}
		if w, err = openWorld(disk, store.Sync); err != nil {
			return err
		}
	}
	return w.store.Close()
}

// A page of an index that is removed while it is read may lack entries, so it is not
// answered.
func TestReadMeetsTheRemovalOfItsIndex(t *testing.T) {
	w := newWorld(t)
	if err := w.createIndexed(1, ""); err != nil {
		t.Fatal(err)
	}
	w.must(t, "PutItem", `{"TableName":"tab","Item":{"pk":{"S":"a"},"g":{"S":"g"},"r":{"N":"1"}}}`)
	s, e := w.db.source(w.db.find(scope, "tab"), "all")
	if e != nil {
		t.Fatal(e)
	}
	w.must(t, "UpdateTable", `{"TableName":"tab","GlobalSecondaryIndexUpdates":[{"Delete":{"IndexName":"all"}}]}`)
	page, err := w.db.page(t.Context(), s, bounds{s.prefix, store.PrefixEnd(s.prefix)}, pageOptions{common: &request.Common{TableName: "tab"}})
	if !isCode(err, "ValidationException") {
		t.Fatalf("%+v, %v", page, err)
	}
}

// TestIndexesAreExact: whatever runs at once, and after a crash, each index is what
// a recomputation from the items gives, once its back-fill is done.
func TestIndexesAreExact(t *testing.T) {
	for seed := range uint64(crashes(t, 40)) {
		if err := indexRound(seed, 40); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
}
