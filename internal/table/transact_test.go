package table

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/request"
	"github.com/millstreamdb/millstream/internal/store"
	"github.com/millstreamdb/millstream/internal/store/crashtest"
)

func addOnce(token string, n int) string {
	return fmt.Sprintf(`{"ClientRequestToken":%q,"TransactItems":[{"Update":{"TableName":"tab","Key":{"pk":{"S":"a"}},
		"UpdateExpression":"ADD n :x","ExpressionAttributeValues":{":x":{"N":"%d"}}}}]}`, token, n)
}

func (w *world) number(t *testing.T, key string) int64 {
	t.Helper()
	a := w.must(t, "GetItem", fmt.Sprintf(`{"TableName":"tab","Key":{"pk":{"S":%q}},"ConsistentRead":true}`, key))
	n, _ := a.(*GetResult).Item.Get("n").Int64()
	return n
}

// tokenRows counts the rows of client tokens, both kinds.
func (w *world) tokenRows(t *testing.T) (n int) {
	t.Helper()
	it, err := w.store.NewIter([]byte{store.SpaceToken}, []byte{store.SpaceToken + 1})
	if err != nil {
		t.Fatal(err)
	}
	defer it.Close()
	for ok := it.First(); ok; ok = it.Next() {
		n++
	}
	return n
}

// TestTokensExpire: a token is remembered for ten minutes, across a restart, and
// trimmed after them; one that is used again lives on.
func TestTokensExpire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.createTable(t, "tab", 1, "")
		stop := make(chan struct{})
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			defer close(stop)
			if err := w.db.TrimTokens(ctx, w.db.log); err != nil {
				t.Error(err)
			}
		}()
		defer func() { cancel(); <-stop }()
		w.must(t, "TransactWriteItems", addOnce("one", 1))
		w.must(t, "TransactWriteItems", addOnce("other", 1))
		time.Sleep(tokenLife - time.Second)
		w.must(t, "TransactWriteItems", addOnce("one", 1))
		if _, err := w.call("TransactWriteItems", addOnce("one", 2)); !isCode(err, "IdempotentParameterMismatchException") {
			t.Errorf("another request with the token: %v", err)
		}
		if n := w.number(t, "a"); n != 2 {
			t.Fatalf("two transactions and a replay made %d", n)
		}
		time.Sleep(2 * time.Second)
		w.must(t, "TransactWriteItems", addOnce("one", 5)) // it has expired
		if n := w.number(t, "a"); n != 7 {
			t.Fatalf("after the token expired: %d", n)
		}
		time.Sleep(2 * tokenTrimEvery)
		if n := w.tokenRows(t); n != 2 {
			t.Errorf("%d rows are left, want those of the token that was used again", n)
		}
		w.must(t, "TransactWriteItems", addOnce("one", 5))
		if n := w.number(t, "a"); n != 7 {
			t.Errorf("trimming forgot a token that lives: %d", n)
		}
		time.Sleep(tokenLife + tokenTrimEvery)
		if n := w.tokenRows(t); n != 0 {
			t.Errorf("%d rows are left", n)
		}
	})
}

// TestManyTokensAreTrimmed in more than one piece.
func TestManyTokensAreTrimmed(t *testing.T) {
	w := newWorld(t)
	b := w.store.NewBatch()
	defer b.Close()
	const expired, alive = 2*tokenTrimPiece + 7, 5
	now := time.Now()
	for i := range expired + alive {
		at := now
		if i < expired {
			at = now.Add(-2 * tokenLife)
		}
		token := token{suffix: tokenSuffix(scope, &request.ClientToken{Text: fmt.Sprint(i)})}
		for _, r := range token.rows(at, nil) {
			b.Set(r.Key, r.Value)
		}
	}
	if err := w.store.Write(b); err != nil {
		t.Fatal(err)
	}
	n, err := w.db.trimTokens(now)
	if err != nil || n != expired {
		t.Errorf("trimmed %d, %v; want %d", n, err, expired)
	}
	if left := w.tokenRows(t); left != 2*alive {
		t.Errorf("%d rows are left", left)
	}
}

// TestOneTokenAtOnce: of many equal requests at once one is done; the others are
// told that it is running, or what it did.
func TestOneTokenAtOnce(t *testing.T) {
	w := newWorld(t)
	w.createTable(t, "tab", 1, "")
	for i := range 50 {
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				if _, err := w.call("TransactWriteItems", addOnce(fmt.Sprint(i), 1)); err != nil && !isCode(err, "TransactionInProgressException") {
					t.Error(err)
				}
			})
		}
		wg.Wait()
	}
	if n := w.number(t, "a"); n != 50 {
		t.Errorf("50 tokens made %d", n)
	}
	if len(w.db.tokens.set) != 0 {
		t.Errorf("%d tokens are running for ever", len(w.db.tokens.set))
	}
}

// Tokens of another account, region or operation are others.
func TestTokenScope(t *testing.T) {
	seen := map[string]bool{}
	for _, account := range []string{"000000000000", "111111111111"} {
		for _, region := range []string{"a", "ab"} {
			for _, api := range []request.TokenAPI{request.TokenTransactWriteItems, request.TokenExecuteTransaction} {
				for _, text := range []string{"t", "bt", "\x00t"} {
					s := scope
					s.Account, s.Region = account, region
					seen[string(tokenSuffix(s, &request.ClientToken{Text: text, API: api}))] = true
				}
			}
		}
	}
	if len(seen) != 2*2*2*3 {
		t.Errorf("%d different suffixes", len(seen))
	}
}

// TestRider: the rows of a rider are there exactly when the transaction is, also
// when it changes no item.
func TestRider(t *testing.T) {
	w := newWorld(t)
	w.createTable(t, "tab", 1, "KEYS_ONLY")
	key := []byte{store.SpaceAside, 'x'}
	there := func() string {
		t.Helper()
		v, _, err := w.store.Get(nil, key)
		if err != nil {
			t.Fatal(err)
		}
		return string(v)
	}
	applied := 0
	var refuse error
	try := func(value, body string) error {
		t.Helper()
		r, err := request.DecodeTransactWriteItems([]byte(body))
		if err != nil {
			t.Fatal(err)
		}
		_, err = w.db.TransactWith(t.Context(), scope, r, &Rider{Build: func(b *store.Batch) error { b.Set(key, []byte(value)); return refuse }, Cause: 3, Applied: func(*store.Commit) {
			if there() != value {
				t.Error("the rows cannot be seen when they should have been applied")
			}
			applied++
		}})
		return err
	}
	const put = `{"TransactItems":[{"Put":{"TableName":"tab","Item":{"pk":{"S":"a"}},"ConditionExpression":"attribute_not_exists(n)"}}]}`
	if err := try("1", put); err != nil || applied != 1 {
		t.Fatal(err, applied)
	}
	if err := try("2", put); err != nil || applied != 2 { // no item changes
		t.Fatal(err, applied)
	}
	w.must(t, "UpdateItem", `{"TableName":"tab","Key":{"pk":{"S":"a"}},"UpdateExpression":"SET n = pk"}`)
	if err := try("3", put); !isCode(err, "TransactionCanceledException") || applied != 2 || there() != "2" {
		t.Errorf("a cancelled transaction: %v, applied %d times, the row is %q", err, applied, there())
	}
	refuse = errors.New("not now")
	if err := try("4", strings.Replace(put, `"a"`, `"b"`, 1)); !errors.Is(err, refuse) || applied != 2 || there() != "2" {
		t.Errorf("without rows: %v, applied %d times, the row is %q", err, applied, there())
	}
	all, err := w.records("tab")
	if err != nil {
		t.Fatal(err)
	}
	if recs := all[0]; len(recs) != 2 || recs[0].Cause() != 3 || recs[1].Cause() != 0 {
		t.Errorf("%d records", len(recs))
	}
	w.reopen(t)
	if there() != "2" {
		t.Errorf("the row is %q after a restart", there())
	}
}

// TestExistence is for what statements ask of an item beside their condition.
func TestExistence(t *testing.T) {
	w := newWorld(t)
	w.createTable(t, "tab", 1, "")
	w.must(t, "PutItem", `{"TableName":"tab","Item":{"pk":{"S":"there"}}}`)
	for _, row := range []struct {
		key       string
		existence request.Existence
		want      string
	}{
		{"there", request.SomeItem, ""},
		{"absent", request.NoItem, ""},
		{"there", request.NoItem, "DuplicateItem: Duplicate primary key exists in table"},
		{"nobody", request.SomeItem, "ConditionalCheckFailed: The conditional request failed"},
	} {
		r, err := request.DecodeTransactWriteItems(fmt.Appendf(nil, `{"TransactItems":[{"Put":{"TableName":"tab","Item":{"pk":{"S":"other"}}}},{"Put":{"TableName":"tab","Item":{"pk":{"S":%q},"n":{"N":"1"}}}}]}`, row.key))
		if err != nil {
			t.Fatal(err)
		}
		r.Writes[1].Existence = row.existence
		_, err = w.db.TransactWriteItems(t.Context(), scope, r)
		got := ""
		if e, ok := errors.AsType[*awserr.Error](err); ok && len(e.Reasons) == 2 && e.Reasons[0].Code == "None" {
			got = e.Reasons[1].Code + ": " + e.Reasons[1].Message
		} else if err != nil {
			got = err.Error()
		}
		if got != row.want {
			t.Errorf("%s: %q, want %q", row.key, got, row.want)
		}
	}
}

// TestTransactionsDoNotDeadlock: transactions that take the same items and tables
// in all orders, beside single writes and changes of the tables, all end.
func TestTransactionsDoNotDeadlock(t *testing.T) {
	w := newWorld(t)
	for i := range 3 {
		w.createTable(t, fmt.Sprintf("tab%d", i), 1+i, []string{"", "KEYS_ONLY", "NEW_IMAGE"}[i])
	}
	var wg sync.WaitGroup
	for n := range 8 {
		wg.Go(func() {
			for i := range 60 {
				var items string
				for j := range 6 {
					at := (n + i + j*(1+2*(n%2))) % 6 // forwards and backwards
					if j > 0 {
						items += ","
					}
					items += fmt.Sprintf(`{"Put":{"TableName":"tab%d","Item":{"pk":{"S":"%d"},"n":{"N":"%d"}}}}`, at%3, at, i)
				}
				_, err := w.call("TransactWriteItems", `{"TransactItems":[`+items+`]}`)
				if err != nil && !isCode(err, "ValidationException") {
					t.Error(err)
				}
				if i%10 == n {
					if _, err := w.call("UpdateTable", fmt.Sprintf(`{"TableName":"tab%d","DeletionProtectionEnabled":%v}`, i%3, i%2 == 0)); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	wg.Wait()
}

// TestTokenAcrossCrashes: what a transaction with a token was answered, its replay
// is answered after any crash, and its writes are there once.
func TestTokenAcrossCrashes(t *testing.T) {
	for seed := range uint64(100) {
		w, err := openWorld(crashtest.New(), store.Sync)
		if err != nil {
			t.Fatal(err)
		}
		w.createTable(t, "tab", 1, "")
		acknowledged := int64(0)
		for i := range 1 + seed%5 {
			w.must(t, "TransactWriteItems", addOnce(fmt.Sprint(i), 1))
			acknowledged++
		}
		under := make(chan struct{})
		go func() {
			defer close(under)
			_, _ = w.call("TransactWriteItems", addOnce("last", 1))
		}()
		disk := w.disk.Clone(seed)
		<-under
		if err := w.store.Close(); err != nil {
			t.Fatal(err)
		}
		if w, err = openWorld(disk, store.Sync); err != nil {
			t.Fatal(err)
		}
		for i := range acknowledged {
			w.must(t, "TransactWriteItems", addOnce(fmt.Sprint(i), 1))
		}
		w.must(t, "TransactWriteItems", addOnce("last", 1))
		if n := w.number(t, "a"); n != acknowledged+1 {
			t.Fatalf("seed %d: %d after %d transactions and their replays", seed, n, acknowledged+1)
		}
		if err := w.store.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
