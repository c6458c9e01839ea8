package trigger

import (
	"context"
	"errors"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/millstreamdb/millstream/internal/backend"
	"github.com/millstreamdb/millstream/internal/trigger/lane"
	"github.com/millstreamdb/millstream/internal/trigger/mapping"
)

const (
	testQueue  = "arn:aws:sqs:us-east-1:000000000000:failed"
	testBucket = "arn:aws:s3:::failed"
)

// fakeDestination keeps what it is told, or does as deliver says.
type fakeDestination struct {
	mu      sync.Mutex
	deliver func(ctx context.Context) error
	told    []string // key, blank, document
}

func (f *fakeDestination) Deliver(ctx context.Context, _, _, key string, document []byte) error {
	f.mu.Lock()
	deliver := f.deliver
	f.mu.Unlock()
	if deliver != nil {
		if err := deliver(ctx); err != nil {
			return err
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.told = append(f.told, key+" "+string(document))
	return nil
}

func (f *fakeDestination) take() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	told := f.told
	f.told = nil
	return told
}

// toldBubble is bubble with a destination.
func toldBubble(t *testing.T, f func(t *testing.T, h *harness, d *fakeDestination)) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, "t")
		h.stop()
		d := &fakeDestination{}
		h.opts.Destination = d
		h.start()
		f(t, h, d)
		h.stop()
	})
}

func failTo(arn string, retries int) func(*mapping.CreateRequest) {
	return func(r *mapping.CreateRequest) {
		r.MaximumRetryAttempts = &retries
		r.DestinationConfig = &mapping.DestinationConfig{OnFailure: destination(arn)}
	}
}

var someUUID = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)

// A queue that may be the backend's own is told in one commit with the records, and as others are where the backend does not do that.
func TestAQueueThatIsNotTheBackends(t *testing.T) {
	for _, own := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			h := newHarness(t, "t")
			h.stop()
			d := &fakeDestination{}
			h.opts.Destination, h.opts.Here = d, func(to string) bool { return to == testQueue }
			h.start()
			var mu sync.Mutex
			var noticed []string
			h.backend.mu.Lock()
			h.backend.transact = func(m made) error {
				mu.Lock()
				defer mu.Unlock()
				if !own {
					return backend.ErrNoNotice
				}
				noticed = append(noticed, m.Notice.Queue)
				return nil
			}
			h.backend.mu.Unlock()
			h.invoker.set("f", func(context.Context, []byte) lane.Result {
				return lane.Result{Outcome: lane.FunctionError, Error: "boom"}
			})
			v := h.create("t", "f", failTo(testQueue, 0))
			h.backend.write("t", 0, 1, 2)
			if err := h.Settle(t.Context()); err != nil {
				t.Fatal(err)
			}
			told := len(d.take())
			mu.Lock()
			defer mu.Unlock()
			if own && (told != 0 || len(noticed) != 1) || !own && (told != 1 || len(noticed) != 0) {
				t.Errorf("own %t: %d commits, %d deliveries", own, len(noticed), told)
			}
			if c := h.status(v.UUID).Counters; c.Delivered != 2 {
				t.Errorf("own %t: counters %+v", own, c)
			}
			h.stop()
		})
	}
}

// The documents are AWS's as recorded, to the order of their members.
func TestDocuments(t *testing.T) {
	const batch = `"DDBStreamBatchInfo":{"shardId":"shard-0","startSequenceNumber":"18446744073709551617","endSequenceNumber":"18446744073709551618",` +
		`"approximateArrivalOfFirstRecord":"2000-01-01T00:00:00Z","approximateArrivalOfLastRecord":"2000-01-01T00:00:00Z","batchSize":2,` +
		`"streamArn":"arn:aws:dynamodb:us-east-1:000000000000:table/t/stream/2026-01-01T00:00:00.000"}`
	head := func(id, condition, count string) string {
		return `{"requestContext":{"requestId":"` + id + `","functionArn":"arn:aws:lambda:us-east-1:000000000000:function:f","condition":"` + condition +
			`","approximateInvokeCount":` + count + `},`
	}
	t.Run("function error", func(t *testing.T) {
		toldBubble(t, func(t *testing.T, h *harness, d *fakeDestination) {
			h.invoker.set("f", func(context.Context, []byte) lane.Result {
				return lane.Result{Outcome: lane.FunctionError, Error: "boom", RequestID: "the-last", Version: "7"}
			})
			v := h.create("t", "f", failTo(testQueue, 1))
			expect(t, v.Destination, testQueue)
			h.backend.write("t", 0, 1, 2)
			if err := h.Settle(t.Context()); err != nil {
				t.Fatal(err)
			}
			expect(t, strings.Join(d.take(), "\n"), " "+head("the-last", "RetryAttemptsExhausted", "2")+
				`"responseContext":{"statusCode":200,"executedVersion":"7","functionError":"Unhandled"},"version":"1.0","timestamp":"2000-01-01T00:00:00.500Z",`+batch+"}")
			if c := h.status(v.UUID).Counters; c.Delivered != 2 || c.Dropped != 0 {
				t.Errorf("counters %+v", c)
			}
		})
	})
	t.Run("partial, to a bucket", func(t *testing.T) {
		toldBubble(t, func(t *testing.T, h *harness, d *fakeDestination) {
			h.invoker.set("f", func(context.Context, []byte) lane.Result {
				return lane.Result{Payload: []byte(`{"batchItemFailures":[{"itemIdentifier":""}]}`), RequestID: "r"}
			})
			v := h.create("t", "f", func(r *mapping.CreateRequest) {
				failTo(testBucket, 0)(r)
				r.FunctionResponseTypes = []string{"ReportBatchItemFailures"}
			})
			h.backend.write("t", 0, 1, 2)
			synctest.Wait()
			told := d.take()
			if len(told) != 1 {
				t.Fatalf("told %q", told)
			}
			event := `{"Records":[` + string(newRecord(1, 1, 1, 0, 0).Event()) + "," + string(newRecord(2, 2, 1, 0, 0).Event()) + `]}`
			expect(t, someUUID.ReplaceAllString(strings.Replace(told[0], v.UUID, "MAPPING", 1), "ID"),
				"aws/lambda/MAPPING/shard-0/2000/01/01/2000-01-01T00.00.00-ID "+head("r", "RetryAttemptsExhausted", "1")+
					`"responseContext":{"statusCode":200,"executedVersion":"$LATEST","functionError":null},"version":"1.0","timestamp":"2000-01-01T00:00:00.000Z",`+batch+
					`,"payload":`+strconv.Quote(event)+`}`)
		})
	})
	t.Run("age, never invoked", func(t *testing.T) {
		toldBubble(t, func(t *testing.T, h *harness, d *fakeDestination) {
			h.invoker.set("f", ok)
			h.backend.write("t", 0, 1, 2)
			time.Sleep(61 * time.Second)
			h.create("t", "f", func(r *mapping.CreateRequest) {
				failTo(testQueue, 0)(r)
				r.MaximumRecordAgeInSeconds = new(60)
			})
			synctest.Wait()
			expect(t, someUUID.ReplaceAllString(strings.Join(d.take(), "\n"), "ID"), " "+head("ID", "RecordAgeExceeded", "1")+
				`"version":"1.0","timestamp":"2000-01-01T00:01:01.000Z",`+batch+"}")
			expect(t, batches(t, h.invoker.take("f")), "")
		})
	})
}

// A destination that hangs or fails holds nobody up; what it was not told of is set
// aside, and not lost by a crash.
func TestDestinationFails(t *testing.T) {
	toldBubble(t, func(t *testing.T, h *harness, d *fakeDestination) {
		h.invoker.set("bad", fails)
		h.invoker.set("good", ok)
		d.deliver = func(ctx context.Context) error {
			<-ctx.Done() // until the call's time is up
			return ctx.Err()
		}
		v := h.create("t", "bad", failTo(testQueue, 0))
		h.create("t", "good", nil)
		h.backend.write("t", 0, 1, 2)
		synctest.Wait()
		expect(t, batches(t, h.invoker.take("good")), "1,2")
		expect(t, batches(t, h.invoker.take("bad")), "1,2")
		time.Sleep(10 * time.Second)
		if cp := h.backend.row(v.UUID, "shard-0"); cp.Low == num(2) {
			t.Errorf("the position has passed records that nobody was told of, nor set aside: %+v", cp)
		}
		time.Sleep(2 * time.Minute)
		if st := h.status(v.UUID); st.Shards[0].Blocked != nil || st.Telling != 2 {
			t.Errorf("status %+v", st)
		}
		if cp := h.backend.row(v.UUID, "shard-0"); cp.Low != num(2) {
			t.Errorf("the position waits for a destination: %+v", cp)
		}
		h.crash()
		d.mu.Lock()
		d.deliver = nil
		d.mu.Unlock()
		time.Sleep(time.Minute)
		told := d.take()
		if len(told) != 1 || !strings.Contains(told[0], `"batchSize":2`) {
			t.Errorf("told %q", told)
		}
		if st := h.status(v.UUID); st.Telling != 0 || st.Counters.Delivered != 2 || len(h.backend.aside[v.UUID]) != 0 {
			t.Errorf("status %+v, set aside %v", st, h.backend.aside[v.UUID])
		}
	})
}

// After an hour of failures the records are parked, whole.
func TestDestinationGivenUp(t *testing.T) {
	toldBubble(t, func(t *testing.T, h *harness, d *fakeDestination) {
		h.invoker.set("f", fails)
		d.deliver = func(context.Context) error { return errors.New("no such queue") }
		v := h.create("t", "f", failTo(testQueue, 0))
		h.backend.write("t", 0, 1)
		time.Sleep(59 * time.Minute)
		if st := h.status(v.UUID); st.Parked != 0 || st.Telling != 1 || st.Counters.DestinationFailures < 10 {
			t.Errorf("status %+v", st)
		}
		time.Sleep(7 * time.Minute)
		st := h.status(v.UUID)
		if st.Parked != 1 || st.Telling != 0 || st.Counters.Parked != 1 || st.Counters.Dropped != 0 || st.Counters.Delivered != 0 {
			t.Errorf("status %+v", st)
		}
		for _, r := range h.backend.aside[v.UUID] {
			if r.Kind != lane.Parked || !strings.Contains(r.Error, "no such queue") || r.Reason != lane.RetryAttemptsExhausted || len(r.Event) == 0 {
				t.Errorf("stored %+v", r)
			}
		}
	})
}
