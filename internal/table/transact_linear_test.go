package table

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/anishathalye/porcupine"

	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/item"
	"github.com/millstreamdb/millstream/internal/store"
	"github.com/millstreamdb/millstream/internal/store/crashtest"
)

// cells are a few items with a number each, -1 for none: the state of the whole
// database, so that histories of transactions are judged as one.
type cells [3]int64

const noCell = -1

// A cellsOp acts on cell a, and transactions on b as well.
type cellsOp struct {
	kind   string
	a, b   int
	x      int64 // amount, or value to be written
	expect int64 // of swap and checked
}

type cellsAnswer struct {
	unknown bool // it had not answered when the disk crashed
	held    bool
	saw     cells // all cells, or cell a in the first
}

// cellsModel is what the API promises: every operation happens at one moment.
var cellsModel = porcupine.Model{
	Init: func() any { return cells{10, 10, 10} },
	Step: func(state, input, output any) (bool, any) {
		now, op, a := state.(cells), input.(cellsOp), output.(cellsAnswer)
		next, held := now, true
		saw := cells{now[op.a]}
		switch op.kind {
		case "transfer": // if a has it
			if held = now[op.a] >= op.x; held {
				next[op.a] -= op.x
				next[op.b] = max(next[op.b], 0) + op.x
				saw = cells{}
			}
		case "both": // the multi-key register
			next[op.a], next[op.b], saw = op.x, op.x, cells{}
		case "move": // a is put and b is deleted
			next[op.a], next[op.b], saw = op.x, noCell, cells{}
		case "checked": // b is put if a is as expected
			if held = now[op.a] == op.expect; held {
				next[op.b], saw = op.x, cells{}
			}
		case "all":
			saw = now
		case "put":
			next[op.a] = op.x
		case "swap":
			if held = now[op.a] == op.expect; held {
				next[op.a] = op.x
			}
		case "add":
			next[op.a] = max(now[op.a], 0) + op.x
			saw = cells{next[op.a]}
		}
		return a.unknown || a.held == held && a.saw == saw, next
	},
	DescribeOperation: func(input, output any) string { return fmt.Sprintf("%+v -> %+v", input, output) },
	DescribeState:     func(state any) string { return fmt.Sprint(state) },
}

func cellKey(i int) string {
	return fmt.Sprintf(`"TableName":"tab%d","Key":{"pk":{"S":"c%d"}}`, i%2, i)
}

func cellPut(i int, x int64) string {
	return fmt.Sprintf(`"TableName":"tab%d","Item":{"pk":{"S":"c%d"},"n":{"N":"%d"}}`, i%2, i, x)
}

func cellOf(it item.Item) int64 {
	if it == nil {
		return noCell
	}
	n, _ := it.Get("n").Int64()
	return n
}

// do runs an operation. Cells lie in two tables.
func (op cellsOp) do(w *world) (cellsAnswer, error) {
	const failing = `"ReturnValuesOnConditionCheckFailure":"ALL_OLD"`
	expect := fmt.Sprintf(`"ConditionExpression":"n = :e","ExpressionAttributeValues":{":e":{"N":"%d"}},%s`, op.expect, failing)
	if op.expect == noCell {
		expect = `"ConditionExpression":"attribute_not_exists(pk)",` + failing
	}
	transact := func(actions ...string) (any, error) {
		return w.call("TransactWriteItems", `{"TransactItems":[`+strings.Join(actions, ",")+`]}`)
	}
	var res any
	var err error
	switch op.kind {
	case "transfer":
		res, err = transact(
			fmt.Sprintf(`{"Update":{%s,"UpdateExpression":"SET n = n - :x","ConditionExpression":"n >= :x","ExpressionAttributeValues":{":x":{"N":"%d"}},%s}}`, cellKey(op.a), op.x, failing),
			fmt.Sprintf(`{"Update":{%s,"UpdateExpression":"ADD n :x","ExpressionAttributeValues":{":x":{"N":"%d"}}}}`, cellKey(op.b), op.x))
	case "both":
		res, err = transact(`{"Put":{`+cellPut(op.a, op.x)+`}}`, `{"Put":{`+cellPut(op.b, op.x)+`}}`)
	case "move":
		res, err = transact(`{"Put":{`+cellPut(op.a, op.x)+`}}`, `{"Delete":{`+cellKey(op.b)+`}}`)
	case "checked":
		res, err = transact(`{"ConditionCheck":{`+cellKey(op.a)+`,`+expect+`}}`, `{"Put":{`+cellPut(op.b, op.x)+`}}`)
	case "all":
		res, err = w.call("TransactGetItems", fmt.Sprintf(`{"TransactItems":[{"Get":{%s}},{"Get":{%s}},{"Get":{%s}}]}`, cellKey(2), cellKey(1), cellKey(0)))
	case "get":
		res, err = w.call("GetItem", `{`+cellKey(op.a)+`,"ConsistentRead":true}`)
	case "put":
		res, err = w.call("PutItem", `{`+cellPut(op.a, op.x)+`,"ReturnValues":"ALL_OLD"}`)
	case "swap":
		res, err = w.call("PutItem", `{`+cellPut(op.a, op.x)+`,"ReturnValues":"ALL_OLD",`+expect+`}`)
	case "add":
		res, err = w.call("UpdateItem", fmt.Sprintf(`{%s,"UpdateExpression":"ADD n :x","ExpressionAttributeValues":{":x":{"N":"%d"}},"ReturnValues":"ALL_NEW"}`, cellKey(op.a), op.x))
	}
	if failed, ok := errors.AsType[*awserr.Error](err); ok {
		switch failed.Code {
		case "ConditionalCheckFailedException":
			return cellsAnswer{saw: cells{cellOf(failed.Item)}}, nil
		case "TransactionCanceledException":
			return cellsAnswer{saw: cells{cellOf(failed.Reasons[0].Item)}}, nil
		}
	}
	if err != nil {
		return cellsAnswer{}, err
	}
	a := cellsAnswer{held: true}
	switch r := res.(type) {
	case *WriteResult:
		a.saw[0] = cellOf(r.Attributes)
	case *GetResult:
		a.saw[0] = cellOf(r.Item)
	case *TransactGetResult:
		for i, it := range r.Items {
			a.saw[2-i] = cellOf(it)
		}
	}
	return a, nil
}

// workload is a mix of operations.
type workload []string

var (
	bank      = workload{"transfer", "transfer", "transfer", "all", "all", "get", "add", "swap"}
	registers = workload{"both", "both", "move", "checked", "all", "all", "get", "put", "swap"}
)

func (kinds workload) client(h *history, t *testing.T, w *world, client int, rng *rand.Rand) {
	op := cellsOp{kind: kinds[rng.IntN(len(kinds))], a: rng.IntN(3), x: int64(1 + rng.IntN(6))}
	op.b = (op.a + 1 + rng.IntN(2)) % 3
	if op.kind == "swap" || op.kind == "checked" {
		// A guess at what is there: the item as an eventual read shows it.
		res, err := w.call("GetItem", `{`+cellKey(op.a)+`}`)
		if err != nil {
			t.Error(err)
			return
		}
		op.expect = cellOf(res.(*GetResult).Item)
	}
	h.do(t, client, op, func() (any, error) { return op.do(w) })
}

func (w *world) createCells(t *testing.T, seed uint64) {
	w.createTable(t, "tab0", 1+2*int(seed/2%2), []string{"", "KEYS_ONLY"}[seed%2])
	w.createTable(t, "tab1", 1, "")
	for i := range 3 {
		w.must(t, "PutItem", `{`+cellPut(i, 10)+`}`)
	}
}

// TestTransactionsLinearizable: whatever clients are told by transactions, single
// writes and reads at once, some order of their operations explains it.
func TestTransactionsLinearizable(t *testing.T) {
	for name, kinds := range map[string]workload{"bank": bank, "registers": registers} {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(linearRounds(t, 60)) {
				w, err := openWorld(crashtest.New(), store.Sync)
				if err != nil {
					t.Fatal(err)
				}
				w.createCells(t, seed)
				h := &history{}
				h.clients(t, w, 5, 30, seed, kinds.client)
				if err := w.store.Close(); err != nil {
					t.Fatal(err)
				}
				h.check(t, cellsModel, seed)
			}
		})
	}
}

// TestTransactionsLinearizableAcrossCrashes is the same on a disk that crashes under
// the clients.
func TestTransactionsLinearizableAcrossCrashes(t *testing.T) {
	for name, kinds := range map[string]workload{"bank": bank, "registers": registers} {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(linearRounds(t, 40)) {
				w, err := openWorld(crashtest.New(), store.Sync)
				if err != nil {
					t.Fatal(err)
				}
				w.createCells(t, seed)
				h := &history{}
				h.acrossCrashes(t, w, seed, cellsAnswer{unknown: true}, kinds.client)
				h.check(t, cellsModel, seed)
			}
		})
	}
}
