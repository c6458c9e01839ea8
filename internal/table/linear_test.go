package table

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/item"
	"github.com/millstreamdb/millstream/internal/store"
	"github.com/millstreamdb/millstream/internal/store/crashtest"
)

// An item here is its value, "" for none. Every operation tells what was there.
type linearOp struct {
	key, kind string
	value     string // what put, create, swap and add write
	expect    string // what swap wants to find
}

type linearAnswer struct {
	unknown bool   // it had not answered when the disk crashed
	held    bool   // the condition
	saw     string // the old value; of add, the new one
}

// linearModel is an item as the API promises it.
var linearModel = porcupine.Model{
	Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
		byKey := map[string][]porcupine.Operation{}
		for _, o := range history {
			key := o.Input.(linearOp).key
			byKey[key] = append(byKey[key], o)
		}
		var parts [][]porcupine.Operation
		for _, part := range byKey {
			parts = append(parts, part)
		}
		return parts
	},
	Init: func() any { return "" },
	Step: func(state, input, output any) (bool, any) {
		now, op, a := state.(string), input.(linearOp), output.(linearAnswer)
		next, held, saw := now, true, now
		switch op.kind {
		case "put":
			next = op.value
		case "delete":
			next = ""
		case "create":
			if held = now == ""; held {
				next = op.value
			}
		case "swap":
			if held = now == op.expect; held {
				next = op.value
			}
		case "add":
			next = now + op.value
			saw = next
		}
		return a.unknown || a.held == held && a.saw == saw, next
	},
	DescribeOperation: func(input, output any) string { return fmt.Sprintf("%+v -> %+v", input, output) },
	DescribeState:     func(state any) string { return state.(string) },
}

// do runs an operation on the table. "add" is an update that appends to a list.
func (op linearOp) do(w *world) (linearAnswer, error) {
	var res any
	var err error
	switch op.kind {
	case "put":
		res, err = w.call("PutItem", fmt.Sprintf(`{"TableName":"tab","Item":{"pk":{"S":%q},"v":{"L":[{"S":%q}]}},"ReturnValues":"ALL_OLD"}`, op.key, op.value))
	case "delete":
		res, err = w.call("DeleteItem", fmt.Sprintf(`{"TableName":"tab","Key":{"pk":{"S":%q}},"ReturnValues":"ALL_OLD"}`, op.key))
	case "create":
		res, err = w.call("PutItem", fmt.Sprintf(`{"TableName":"tab","Item":{"pk":{"S":%q},"v":{"L":[{"S":%q}]}},
			"ConditionExpression":"attribute_not_exists(pk)","ReturnValues":"ALL_OLD","ReturnValuesOnConditionCheckFailure":"ALL_OLD"}`, op.key, op.value))
	case "swap":
		res, err = w.call("UpdateItem", fmt.Sprintf(`{"TableName":"tab","Key":{"pk":{"S":%q}},"UpdateExpression":"SET v = :v","ConditionExpression":"v = :e",
			"ExpressionAttributeValues":{":v":{"L":[{"S":%q}]},":e":{"L":%s}},"ReturnValues":"ALL_OLD","ReturnValuesOnConditionCheckFailure":"ALL_OLD"}`, op.key, op.value, listOf(op.expect)))
	case "add":
		res, err = w.call("UpdateItem", fmt.Sprintf(`{"TableName":"tab","Key":{"pk":{"S":%q}},"UpdateExpression":"SET v = list_append(if_not_exists(v, :none), :v)",
			"ExpressionAttributeValues":{":v":{"L":[{"S":%q}]},":none":{"L":[]}},"ReturnValues":"ALL_NEW"}`, op.key, op.value))
	case "get":
		res, err = w.call("GetItem", fmt.Sprintf(`{"TableName":"tab","Key":{"pk":{"S":%q}},"ConsistentRead":true}`, op.key))
	case "query":
		res, err = w.call("Query", fmt.Sprintf(`{"TableName":"tab","KeyConditionExpression":"pk = :k","ExpressionAttributeValues":{":k":{"S":%q}},"ConsistentRead":true}`, op.key))
	}
	var failed *awserr.Error
	if errors.As(err, &failed) && failed.Code == "ConditionalCheckFailedException" {
		return linearAnswer{saw: linearValue(failed.Item)}, nil
	}
	if err != nil {
		return linearAnswer{}, err
	}
	a := linearAnswer{held: true}
	switch r := res.(type) {
	case *WriteResult:
		a.saw = linearValue(r.Attributes)
	case *GetResult:
		a.saw = linearValue(r.Item)
	case *QueryResult:
		if len(r.Items) > 0 {
			a.saw = linearValue(r.Items[0])
		}
	}
	return a, nil
}

func linearValue(it item.Item) (value string) {
	if it != nil {
		for v := range it.Get("v").Elements() {
			value += v.Text()
		}
	}
	return value
}

// listOf is the list that linearValue reads as value.
func listOf(value string) string {
	elements := []string{}
	for part := range strings.SplitAfterSeq(value, ";") {
		if part != "" {
			elements = append(elements, fmt.Sprintf(`{"S":%q}`, part))
		}
	}
	return "[" + strings.Join(elements, ",") + "]"
}

// history collects operations; its clock orders their calls and returns.
type history struct {
	mu    sync.Mutex
	clock atomic.Int64
	ops   []porcupine.Operation
}

// act runs one operation of a client.
type act func(h *history, t *testing.T, w *world, client int, rng *rand.Rand)

// do runs an operation and notes what it was answered and when.
func (h *history) do(t *testing.T, client int, input any, run func() (any, error)) {
	call := h.clock.Add(1)
	a, err := run()
	if err != nil {
		t.Error(err)
		return
	}
	end := h.clock.Add(1)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ops = append(h.ops, porcupine.Operation{ClientId: client, Input: input, Call: call, Output: a, Return: end})
}

func linearClient(h *history, t *testing.T, w *world, client int, rng *rand.Rand) {
	kinds := [...]string{"put", "delete", "create", "swap", "add", "get", "get", "query"}
	n := rng.Uint32()
	op := linearOp{
		key: "k" + strconv.Itoa(rng.IntN(3)), kind: kinds[rng.IntN(len(kinds))],
		value: fmt.Sprintf("%d.%x;", client, n),
	}
	if op.kind == "swap" {
		// A guess at what is there: the item as an eventual read shows it.
		res, err := w.call("GetItem", fmt.Sprintf(`{"TableName":"tab","Key":{"pk":{"S":%q}}}`, op.key))
		if err != nil {
			t.Error(err)
			return
		}
		if op.expect = linearValue(res.(*GetResult).Item); op.expect == "" {
			op.kind = "create"
		}
	}
	h.do(t, client, op, func() (any, error) { return op.do(w) })
}

// clients run n operations each.
func (h *history) clients(t *testing.T, w *world, clients, n int, seed uint64, act act) {
	var wg sync.WaitGroup
	for c := range clients {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(seed, uint64(c)))
			for range n {
				act(h, t, w, c, rng)
			}
		})
	}
	wg.Wait()
}

func (h *history) check(t *testing.T, model porcupine.Model, seed uint64) {
	t.Helper()
	result, info := porcupine.CheckOperationsVerbose(model, h.ops, 5*time.Second)
	switch result {
	case porcupine.Illegal:
		page := t.ArtifactDir() + "/history.html"
		if err := porcupine.VisualizePath(model, info, page); err != nil {
			t.Error(err)
		}
		t.Fatalf("seed %d: no order of the operations explains the answers (run with -artifacts to keep %s)", seed, page)
	case porcupine.Unknown:
		t.Logf("seed %d: the history was too long to be judged", seed)
	}
}

// linearRounds is how many histories the ordinary tests judge;
// MILLSTREAM_HISTORIES asks for more.
func linearRounds(t *testing.T, ordinary int) int {
	if s := os.Getenv("MILLSTREAM_HISTORIES"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil {
			t.Fatal("MILLSTREAM_HISTORIES is not a number: ", s)
		}
		return n
	}
	if testing.Short() {
		return max(1, ordinary/10)
	}
	return ordinary
}

// TestLinearizable: whatever concurrent clients are told of an item, some order of
// their operations explains it. Odd seeds have a stream of three shards.
func TestLinearizable(t *testing.T) {
	for seed := range uint64(linearRounds(t, 60)) {
		w, err := openWorld(crashtest.New(), store.Sync)
		if err != nil {
			t.Fatal(err)
		}
		w.createTable(t, "tab", 1+2*int(seed%2), []string{"", "KEYS_ONLY"}[seed%2])
		h := &history{}
		h.clients(t, w, 8, 60, seed, linearClient)
		if err := w.store.Close(); err != nil {
			t.Fatal(err)
		}
		h.check(t, linearModel, seed)
	}
}

// TestLinearizableAcrossCrashes holds P1 and P3: the disk crashes under the clients,
// and the history goes on on what is left. What had been answered stays; what was
// under way may have happened or not.
func TestLinearizableAcrossCrashes(t *testing.T) {
	for seed := range uint64(linearRounds(t, 60)) {
		w, err := openWorld(crashtest.New(), store.Sync)
		if err != nil {
			t.Fatal(err)
		}
		w.createTable(t, "tab", 1, "")
		h := &history{}
		h.acrossCrashes(t, w, seed, linearAnswer{unknown: true}, linearClient)
		h.check(t, linearModel, seed)
	}
}

// acrossCrashes runs clients while the disk of w crashes three times under them,
// and closes what is left. unknown is the answer of an operation that a crash cut
// off.
func (h *history) acrossCrashes(t *testing.T, w *world, seed uint64, unknown any, act act) {
	t.Helper()
	for crash := range uint64(3) {
		var wg sync.WaitGroup
		var ended atomic.Bool
		moment := h.clock.Load() + int64(rand.New(rand.NewPCG(seed, crash)).IntN(200))
		wg.Go(func() {
			defer ended.Store(true)
			h.clients(t, w, 6, 25, seed<<8|crash, act)
		})
		for h.clock.Load() < moment && !ended.Load() {
			runtime.Gosched() // until the clients have come that far
		}
		begin := h.clock.Add(1)
		disk := w.disk.Clone(seed<<8 | crash)
		end := h.clock.Add(1)
		wg.Wait()
		if err := w.store.Close(); err != nil {
			t.Fatal(err)
		}
		kept := h.ops[:0]
		for _, o := range h.ops {
			switch {
			case o.Return < begin:
			case o.Call > end:
				continue // it ran on a disk that is gone
			case o.Return != math.MaxInt64:
				o.Output, o.Return = unknown, math.MaxInt64
			}
			kept = append(kept, o)
		}
		h.ops = kept
		var err error
		if w, err = openWorld(disk, store.Sync); err != nil {
			t.Fatal(err)
		}
	}
	h.clients(t, w, 3, 10, seed, act)
	if err := w.store.Close(); err != nil {
		t.Fatal(err)
	}
}
