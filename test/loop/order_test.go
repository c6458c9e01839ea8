package loop

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/request"
	"github.com/millstreamdb/millstream/internal/store"
	"github.com/millstreamdb/millstream/internal/store/crashtest"
	"github.com/millstreamdb/millstream/internal/trigger/lane"
	"github.com/millstreamdb/millstream/internal/trigger/mapping"
)

// held is a loop whose log syncs can be held back. It has a table "orders" with
// a stream and a function that notes the values it is given.
type held struct {
	*loop
	t       *testing.T
	release chan struct{}

	mu      sync.Mutex
	invoked []string
	answers map[string]any
}

func withHeld(t *testing.T, test func(h *held)) {
	synctest.Test(t, func(t *testing.T) {
		h := &held{t: t, answers: map[string]any{}}
		f := functions{"f": func(_ context.Context, payload []byte) lane.Result {
			events, err := parseEvents(payload, true)
			if err != nil {
				t.Error(err)
			}
			h.mu.Lock()
			defer h.mu.Unlock()
			for _, e := range events {
				h.invoked = append(h.invoked, e.Body.Keys.Pk.S+"="+e.Body.New.W.S)
			}
			return lane.Result{}
		}}
		var err error
		if h.loop, err = openLoop(crashtest.New(), store.Sync, f, nil); err != nil {
			t.Fatal(err)
		}
		h.run()
		arn, err := h.createTable("orders", 1)
		if err == nil {
			_, err = h.create(arn, "f", mapping.StartTrimHorizon, mapping.Settings{}, "")
		}
		if err == nil {
			err = h.put("orders", "old", "1")
		}
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		h.invoked = nil
		test(h)
		synctest.Wait()
		if err := h.close(); err != nil {
			t.Error(err)
		}
	})
}

// hold blocks every sync of the log from now on.
func (h *held) hold() {
	release := make(chan struct{})
	h.release = release
	h.disk.Fail(func(op, file string) error {
		if op == "sync" && strings.HasSuffix(file, ".log") {
			<-release
		}
		return nil
	})
}

// letGo lets syncs through again.
func (h *held) letGo() {
	h.disk.Fail(nil)
	close(h.release)
}

// ask runs an operation in the background and notes its answer (or error) under
// its name.
func (h *held) ask(name string, op func() (any, error)) {
	go func() {
		a, err := op()
		if err != nil {
			a = err
		}
		h.mu.Lock()
		defer h.mu.Unlock()
		h.answers[name] = a
	}()
}

// silent asserts that nothing was answered and no function ran, though everything
// that could run has run.
func (h *held) silent() {
	h.t.Helper()
	synctest.Wait()
	h.mu.Lock()
	defer h.mu.Unlock()
	for name, a := range h.answers {
		h.t.Errorf("%s was answered before the sync of what it tells of: %v", name, a)
	}
	if len(h.invoked) > 0 {
		h.t.Errorf("the function was given %v before the sync", h.invoked)
	}
}

func (h *held) putIf(key, value, condition string) (any, error) {
	return do(request.DecodePutItem, h.db.PutItem, `{"TableName":"orders","Item":{"pk":{"S":%q},"w":{"S":%q}},
		"ConditionExpression":%q,"ReturnValuesOnConditionCheckFailure":"ALL_OLD"}`, key, value, condition)
}

func (h *held) get(key string) (any, error) {
	return do(request.DecodeGetItem, h.db.GetItem, `{"TableName":"orders","Key":{"pk":{"S":%q}},"ConsistentRead":true}`, key)
}

// P3: while the log's sync hangs, whatever would tell of the unsynced write waits
// with it: the write itself, its repeat (which changes nothing), a condition that
// fails because of it, reads of the item and of the table, the stream's records,
// and the function.
func TestNothingTellsOfAnUnsyncedWrite(t *testing.T) {
	for _, c := range []struct {
		name  string
		write func(h *held) (any, error)
		value string // what the function is to see
		asks  map[string]func(h *held) (any, error)
	}{
		{
			"put", func(h *held) (any, error) { return nil, h.put("orders", "new", "2") }, "new=2",
			map[string]func(h *held) (any, error){
				"repeated put":     func(h *held) (any, error) { return nil, h.put("orders", "new", "2") },
				"failed condition": func(h *held) (any, error) { return h.putIf("new", "3", "attribute_not_exists(pk)") },
				"GetItem":          func(h *held) (any, error) { return h.get("new") },
				"Scan": func(h *held) (any, error) {
					return do(request.DecodeScan, h.db.Scan, `{"TableName":"orders","ConsistentRead":true}`)
				},
				"BatchGetItem": func(h *held) (any, error) {
					return do(request.DecodeBatchGetItem, h.db.BatchGetItem,
						`{"RequestItems":{"orders":{"Keys":[{"pk":{"S":"new"}}],"ConsistentRead":true}}}`)
				},
				"DescribeTable": func(h *held) (any, error) {
					return do(request.DecodeDescribeTable, h.db.DescribeTable, `{"TableName":"orders"}`)
				},
			},
		},
		{
			"delete", func(h *held) (any, error) {
				return do(request.DecodeDeleteItem, h.db.DeleteItem, `{"TableName":"orders","Key":{"pk":{"S":"old"}}}`)
			}, "old=",
			map[string]func(h *held) (any, error){
				"repeated delete": func(h *held) (any, error) {
					return do(request.DecodeDeleteItem, h.db.DeleteItem, `{"TableName":"orders","Key":{"pk":{"S":"old"}}}`)
				},
				"failed condition": func(h *held) (any, error) { return h.putIf("old", "3", "attribute_exists(pk)") },
				"GetItem":          func(h *held) (any, error) { return h.get("old") },
				"Query": func(h *held) (any, error) {
					return do(request.DecodeQuery, h.db.Query, `{"TableName":"orders","ConsistentRead":true,
						"KeyConditionExpression":"pk = :k","ExpressionAttributeValues":{":k":{"S":"old"}}}`)
				},
			},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			withHeld(t, func(h *held) {
				h.hold()
				h.ask(c.name, func() (any, error) { return c.write(h) })
				synctest.Wait() // it is applied, and waits
				for name, op := range c.asks {
					h.ask(name, func() (any, error) { return op(h) })
				}
				h.silent()
				h.letGo()
				synctest.Wait()
				if len(h.answers) != 1+len(c.asks) {
					t.Errorf("after the sync %d of %d are answered", len(h.answers), 1+len(c.asks))
				}
				for name, a := range h.answers {
					err, failed := a.(error)
					if want := name == "failed condition"; failed != want || want && !isConditionFailure(err) {
						t.Errorf("%s: %v", name, a)
					}
				}
				if fmt.Sprint(h.invoked) != "["+c.value+"]" {
					t.Errorf("the function was given %v, not [%s]", h.invoked, c.value)
				}
			})
		})
	}
}

func isConditionFailure(err error) bool {
	e, ok := errors.AsType[*awserr.Error](err)
	return ok && e.Code == "ConditionalCheckFailedException"
}

// P3: a failed sync answers nobody with data, and no function runs on what it
// did not make durable. (Not in a bubble: a poisoned store cannot be closed.)
func TestFailedSyncReachesNobody(t *testing.T) {
	var calls atomic.Int64
	f := functions{"f": func(context.Context, []byte) lane.Result {
		calls.Add(1)
		return lane.Result{}
	}}
	l, err := openLoop(crashtest.New(), store.Sync, f, nil)
	if err != nil {
		t.Fatal(err)
	}
	l.run()
	arn, err := l.createTable("orders", 1)
	if err == nil {
		_, err = l.create(arn, "f", mapping.StartTrimHorizon, mapping.Settings{}, "")
	}
	if err != nil {
		t.Fatal(err)
	}
	l.disk.Fail(func(op, file string) error {
		if op == "sync" && strings.HasSuffix(file, ".log") {
			return errors.New("the disk is broken")
		}
		return nil
	})
	for _, name := range []string{"put", "repeated put"} {
		if err := l.put("orders", "k", "1"); !errors.Is(err, store.ErrPoisoned) {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err = do(request.DecodeGetItem, l.db.GetItem, `{"TableName":"orders","Key":{"pk":{"S":"k"}},"ConsistentRead":true}`)
	if !errors.Is(err, store.ErrPoisoned) {
		t.Errorf("GetItem: %v", err)
	}
	l.cancel()
	if err := <-l.ran; err != nil && !errors.Is(err, store.ErrPoisoned) {
		t.Error(err)
	}
	if n := calls.Load(); n > 0 { // the engine has ended: no more will come
		t.Errorf("the function was invoked %d times on a record that is not durable", n)
	}
}

// P1: each acknowledged write of one sequential writer has a sync of the log of
// its own.
func TestEachWriteOfOneWriterIsASync(t *testing.T) {
	l, err := openLoop(crashtest.New(), store.Sync, functions{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.createTable("orders", 1); err != nil {
		t.Fatal(err)
	}
	for n := range 200 {
		before := l.disk.LogSyncs()
		if err := l.put("orders", fmt.Sprint("k", n%7), fmt.Sprint(n)); err != nil {
			t.Fatal(err)
		}
		if l.disk.LogSyncs() == before {
			t.Fatalf("write %d was acknowledged without a sync of the log", n)
		}
	}
	if err := l.close(); err != nil {
		t.Error(err)
	}
}
