package table

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/item"
	"github.com/millstreamdb/millstream/internal/store"
	"github.com/millstreamdb/millstream/internal/store/crashtest"
	"github.com/millstreamdb/millstream/internal/table/appends"
)

const (
	appendClients = 8
	appendGroups  = 3 // partitions of the table at a time, of appendSorts items each
	appendSorts   = 4
	// appendLife is how many transactions use a group of lists, about, until others are begun: what a list shows is worth little
	// when it has become long.
	appendLife = 400
)

// appending is a run: clients on a database whose disk crashes, and what they were told.
type appending struct {
	w     *world
	clock atomic.Int64
	value atomic.Int64

	mu      sync.Mutex
	history appends.History
}

// list names an item of the table "lists".
type list struct{ group, sort int }

func (l list) name() string { return fmt.Sprintf("%d/%d", l.group, l.sort) }

func (l list) key() string {
	return fmt.Sprintf(`"TableName":"lists","Key":{"pk":{"S":"%d"},"sk":{"N":"%d"}}`, l.group, l.sort)
}

func (w *world) createLists(t *testing.T, stream string) {
	t.Helper()
	w.must(t, "CreateTable", `{"TableName":"lists","BillingMode":"PAY_PER_REQUEST",
		"AttributeDefinitions":[{"AttributeName":"pk","AttributeType":"S"},{"AttributeName":"sk","AttributeType":"N"}],
		"KeySchema":[{"AttributeName":"pk","KeyType":"HASH"},{"AttributeName":"sk","KeyType":"RANGE"}]`+stream+`}`)
}

// listIn is a list as an item has it.
func listIn(it item.Item) (values []int) {
	if it != nil {
		for v := range it.Get("v").Elements() {
			n, _ := v.Int64()
			values = append(values, int(n))
		}
	}
	return values
}

// transact is one transaction of a client; group is the first of those that are in use.
func (a *appending) transact(rng *rand.Rand, group int) (x appends.Txn, err error) {
	some := func(n int) (all []list) { // different ones
		for _, i := range rng.Perm(appendGroups * appendSorts)[:n] {
			all = append(all, list{group + i/appendSorts, i % appendSorts})
		}
		return all
	}
	switch kind := rng.IntN(10); {
	case kind < 4: // appends
		var actions []string
		for _, l := range some(1 + rng.IntN(4)) {
			v := int(a.value.Add(1))
			x.Ops = append(x.Ops, appends.Op{Key: l.name(), Append: v})
			actions = append(actions, fmt.Sprintf(`{"Update":{%s,"UpdateExpression":"SET v = list_append(if_not_exists(v, :none), :v)",
				"ExpressionAttributeValues":{":v":{"L":[{"N":"%d"}]},":none":{"L":[]}}}}`, l.key(), v))
		}
		x.Kind = "TransactWriteItems"
		_, err = a.w.call(x.Kind, `{"TransactItems":[`+strings.Join(actions, ",")+`]}`)
		return x, err
	case kind < 5: // one read and an append: the list must still be what an earlier read has shown, so the transaction reads it, too
		all := some(2)
		res, err := a.w.call("GetItem", `{`+all[0].key()+`}`)
		if err != nil {
			return x, err
		}
		is := listIn(res.(*GetResult).Item)
		condition := `"ConditionExpression":"attribute_not_exists(v)"`
		if len(is) > 0 {
			condition = fmt.Sprintf(`"ConditionExpression":"size(v) = :n","ExpressionAttributeValues":{":n":{"N":"%d"}}`, len(is))
		}
		v := int(a.value.Add(1))
		x.Kind = "TransactWriteItems"
		x.Ops = []appends.Op{{Key: all[0].name(), Read: is}, {Key: all[1].name(), Append: v}}
		_, err = a.w.call(x.Kind, fmt.Sprintf(`{"TransactItems":[{"ConditionCheck":{%s,%s}},{"Update":{%s,"UpdateExpression":"SET v = list_append(if_not_exists(v, :none), :v)",
			"ExpressionAttributeValues":{":v":{"L":[{"N":"%d"}]},":none":{"L":[]}}}}]}`, all[0].key(), condition, all[1].key(), v))
		return x, err
	case kind < 8:
		x.Kind = "TransactGetItems"
		var gets []string
		all := some(2 + rng.IntN(4))
		for _, l := range all {
			gets = append(gets, `{"Get":{`+l.key()+`}}`)
		}
		res, err := a.w.call(x.Kind, `{"TransactItems":[`+strings.Join(gets, ",")+`]}`)
		if err != nil {
			return x, err
		}
		for i, it := range res.(*TransactGetResult).Items {
			x.Ops = append(x.Ops, appends.Op{Key: all[i].name(), Read: listIn(it)})
		}
		return x, nil
	case kind < 9:
		x.Kind = "Query"
		g := group + rng.IntN(appendGroups)
		return x, a.page(&x, []int{g}, fmt.Sprintf(`{"TableName":"lists","ConsistentRead":true,"KeyConditionExpression":"pk = :k","ExpressionAttributeValues":{":k":{"S":"%d"}}}`, g))
	default:
		x.Kind = "Scan"
		var groups []int
		for g := range appendGroups {
			groups = append(groups, group+g)
		}
		return x, a.page(&x, groups, `{"TableName":"lists","ConsistentRead":true}`)
	}
}

// page reads the lists of some groups in one page, which shows one moment.
func (a *appending) page(x *appends.Txn, groups []int, request string) error {
	res, err := a.w.call(x.Kind, request)
	if err != nil {
		return err
	}
	r := res.(*QueryResult)
	if r.LastEvaluatedKey != nil {
		return errors.New("the lists do not fit one page")
	}
	there := map[string][]int{}
	for _, it := range r.Items {
		n, _ := it.Get("sk").Int64()
		there[it.Get("pk").Text()+"/"+strconv.Itoa(int(n))] = listIn(it)
	}
	for _, g := range groups {
		for sort := range appendSorts {
			name := list{g, sort}.name()
			x.Ops = append(x.Ops, appends.Op{Key: name, Read: there[name]})
		}
	}
	return nil
}

// clients run until they have done so many transactions together.
func (a *appending) clients(t *testing.T, seed uint64, n int) {
	var wg sync.WaitGroup
	var left atomic.Int64
	left.Store(int64(n))
	for client := range appendClients {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(seed, uint64(client)))
			for left.Add(-1) >= 0 {
				a.mu.Lock()
				group := len(a.history) / appendLife * appendGroups
				a.mu.Unlock()
				call := a.clock.Add(1)
				x, err := a.transact(rng, group)
				x.Call, x.Return, x.Is = call, a.clock.Add(1), appends.OK
				if failed, ok := errors.AsType[*awserr.Error](err); ok && failed.Code == "TransactionCanceledException" {
					x.Is = appends.Failed
				} else if err != nil {
					t.Error(err)
					return
				}
				a.mu.Lock()
				a.history = append(a.history, x)
				a.mu.Unlock()
			}
		})
	}
	wg.Wait()
}

// crash runs clients while the disk crashes under them, and goes on with what is left of it.
func (a *appending) crash(t *testing.T, seed uint64, n int) {
	t.Helper()
	var ended atomic.Bool
	done := make(chan struct{})
	moment := a.clock.Load() + int64(n) + rand.New(rand.NewPCG(seed, 99)).Int64N(int64(n)/2) // two a transaction
	go func() {
		defer close(done)
		defer ended.Store(true)
		a.clients(t, seed, n)
	}()
	for a.clock.Load() < moment && !ended.Load() {
		runtime.Gosched()
	}
	begin := a.clock.Add(1)
	disk := a.w.disk.Clone(seed)
	end := a.clock.Add(1)
	<-done
	if err := a.w.store.Close(); err != nil {
		t.Fatal(err)
	}
	kept := a.history[:0]
	for _, x := range a.history {
		switch {
		case x.Return < begin || x.Return == appends.Never:
		case x.Call > end:
			continue // it ran on a disk that is gone
		case x.Is == appends.OK:
			x.Is, x.Return = appends.Unknown, appends.Never
		}
		kept = append(kept, x)
	}
	a.history = kept
	w, err := openWorld(disk, store.Sync)
	if err != nil {
		t.Fatal(err)
	}
	a.w = w
}

// readAll reads every list once more, in one transaction that comes after all.
func (a *appending) readAll(t *testing.T) {
	t.Helper()
	x := appends.Txn{Kind: "Scan", Is: appends.OK, Call: a.clock.Add(1)}
	var groups []int
	for g := range (len(a.history)/appendLife + 1) * appendGroups {
		groups = append(groups, g)
	}
	if err := a.page(&x, groups, `{"TableName":"lists","ConsistentRead":true}`); err != nil {
		t.Fatal(err)
	}
	x.Return = a.clock.Add(1)
	a.history = append(a.history, x)
}

// appendHistory makes a history of so many crashes with so many transactions before each.
func appendHistory(t *testing.T, seed uint64, crashes, transactions int) appends.History {
	t.Helper()
	w, err := openWorld(crashtest.New(), store.Sync)
	if err != nil {
		t.Fatal(err)
	}
	w.createLists(t, []string{"", `,"StreamSpecification":{"StreamEnabled":true,"StreamViewType":"KEYS_ONLY"}`}[seed%2])
	a := &appending{w: w}
	for crash := range crashes {
		a.crash(t, seed<<16+uint64(crash), transactions)
	}
	a.clients(t, seed<<16+uint64(crashes), 100)
	a.readAll(t)
	if err := a.w.store.Close(); err != nil {
		t.Fatal(err)
	}
	return a.history
}

// save keeps a history in the test's artifacts, or in the folder that MILLSTREAM_APPENDS_DIR names.
func save(t *testing.T, seed uint64, h appends.History) string {
	t.Helper()
	dir := os.Getenv("MILLSTREAM_APPENDS_DIR")
	if dir == "" {
		dir = t.ArtifactDir()
	}
	name := filepath.Join(dir, fmt.Sprintf("appends-%d.jsonl", seed))
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(h.Write(f), f.Close()); err != nil {
		t.Fatal(err)
	}
	return name
}

// TestTransactionsHaveAnOrder: 10,000 transactions that append to lists and read them, by every operation that reads several items, on a disk that
// crashes 20 times: one order explains all that was answered, the times of calls and returns included. Each history is
// saved; TestJudgeHistory judges it again.
func TestTransactionsHaveAnOrder(t *testing.T) {
	crashes, transactions := 20, 1000 // about half of them run on disks that are gone
	if testing.Short() {
		crashes = 2
	}
	seed := uint64(1)
	h := appendHistory(t, seed, crashes, transactions)
	name := save(t, seed, h)
	kinds := map[string]int{}
	for _, x := range h {
		kinds[x.Kind+" "+string(x.Is)]++
	}
	t.Logf("%d transactions in %d crashes: %v; saved in %s", len(h), crashes, kinds, name)
	if len(h) < 500*crashes {
		t.Errorf("only %d transactions", len(h))
	}
	for _, a := range appends.Check(h) {
		t.Error(a)
	}
}

// TestJudgeHistory judges the saved history that MILLSTREAM_APPENDS names.
func TestJudgeHistory(t *testing.T) {
	name := os.Getenv("MILLSTREAM_APPENDS")
	if name == "" {
		return // nothing to judge
	}
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	h, err := appends.Read(f)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d transactions", len(h))
	for _, a := range appends.Check(h) {
		t.Error(a)
	}
}
