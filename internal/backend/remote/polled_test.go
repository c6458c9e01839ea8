package remote

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/millstreamdb/millstream/internal/backend"
	"github.com/millstreamdb/millstream/internal/seqnum"
	"github.com/millstreamdb/millstream/internal/trigger/lane"
)

// shardAlone is an engine that is no Millstream, with one shard.
type shardAlone struct {
	mu     sync.Mutex
	recs   []shortRecord // kept
	closed bool
	start  int64 // that its list tells, in front of which it fails; 0: 1
	// horizon is the least number that is not Trimmed. atRead: that is told by GetRecords, and not by GetShardIterator; silent: it is not told.
	horizon        int64
	atRead, silent bool
	clock          time.Duration // ahead of the node's
	slow           time.Time     // pages are empty before
	calls          map[string]int
}

type shortRecord struct{ n, at int64 }

// RoundTrip implements http.RoundTripper.
func (f *shardAlone) RoundTrip(r *http.Request) (*http.Response, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	w := httptest.NewRecorder()
	w.Header().Set("Date", time.Now().Add(f.clock).UTC().Format(http.TimeFormat))
	f.answer(w, r)
	return w.Result(), nil
}

func (f *shardAlone) answer(w *httptest.ResponseRecorder, r *http.Request) {
	_, op, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	if f.calls[op]++; f.calls[op] > 2000 { // the node asks without a pause: time stands still
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	var in struct {
		ShardIteratorType, SequenceNumber, ShardIterator string
		Limit                                            int
	}
	_ = json.NewDecoder(r.Body).Decode(&in)
	trimmed := func() {
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprint(w, `{"__type":"x#TrimmedDataAccessException","message":"m"}`)
	}
	switch op {
	case "DescribeStream":
		fmt.Fprintf(w, `{"StreamDescription":{"TableName":"t","Shards":[{"ShardId":"s","SequenceNumberRange":{"StartingSequenceNumber":"%d"}}]}}`, max(f.start, 1))
	case "GetShardIterator":
		from, _ := strconv.ParseInt(in.SequenceNumber, 10, 64)
		if from > 0 && from < f.horizon && !f.atRead && !f.silent {
			trimmed()
			return
		}
		if from > 0 && from < f.start {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		if in.ShardIteratorType == "AT_SEQUENCE_NUMBER" {
			from--
		}
		fmt.Fprintf(w, `{"ShardIterator":"%s %d"}`, in.ShardIteratorType, from)
	case "GetRecords":
		kind, number, _ := strings.Cut(in.ShardIterator, " ")
		from, _ := strconv.ParseInt(number, 10, 64)
		if strings.HasSuffix(kind, "_SEQUENCE_NUMBER") && f.atRead && from+1 < f.horizon {
			trimmed()
			return
		}
		var out []string
		for _, x := range f.recs {
			if x.n > from && len(out) < in.Limit && !time.Now().Before(f.slow) {
				out, from = append(out, fmt.Sprintf(`{"eventID":"e","eventName":"INSERT","dynamodb":{"ApproximateCreationDateTime":%d,"Keys":{"id":{"S":"k"}},"SequenceNumber":"%d"}}`, x.at, x.n)), x.n
			}
		}
		next := fmt.Sprintf(`,"NextShardIterator":"NEXT %d"`, from)
		if f.closed && (len(f.recs) == 0 || from >= f.recs[len(f.recs)-1].n) {
			next = ""
		}
		fmt.Fprintf(w, `{"Records":[%s]%s}`, strings.Join(out, ","), next)
	}
}

func (f *shardAlone) called(op string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls[op]
}

// polling runs test in a bubble, with a claim on the stream of an engine.
func polling(t *testing.T, f *shardAlone, idle time.Duration, test func(t *testing.T, p *Polled, b *Backend, c *claim)) {
	synctest.Test(t, func(t *testing.T) {
		f.calls = map[string]int{}
		p := NewPolled(&Client{URL: "http://engine", Region: "us-east-1", Credentials: credentials.NewStaticCredentialsProvider("a", "b", ""), HTTP: &http.Client{Transport: f}}, idle)
		b := New(Options{Endpoint: p, Polled: true, Log: slog.New(slog.DiscardHandler)})
		b.deadline.Store(1 << 60)
		c := newClaim(b, "arn", 1, 1)
		b.claims["arn"] = c
		test(t, p, b, c)
		b.dropAll()
		b.work.Wait()
	})
}

// Times of records are whole seconds, so a moment amid one is in front of all of it.
func TestAMomentIsInFrontOfItsSecond(t *testing.T) {
	polling(t, &shardAlone{recs: []shortRecord{{1, 999}, {2, 1000}, {3, 1000}, {4, 1001}}}, time.Second, func(t *testing.T, _ *Polled, b *Backend, _ *claim) {
		lows, err := b.beginAt(t.Context(), "arn", []DescribedShard{{ID: "s"}}, atTime(1000_500))
		if err != nil || lows[0] != (seqnum.Num{Lo: 1}) {
			t.Errorf("a start at 1000.5 is behind %v, %v", lows, err)
		}
	})
}

// What was trimmed before it was read is told, however the engine says so, and also when nothing is left.
func TestTrimmedRecordsAreTold(t *testing.T) {
	for name, one := range map[string]struct {
		engine *shardAlone
		at     uint64 // of the other mapping, whose reader it is
		last   uint64 // that is told
	}{
		"by the iterator":                         {&shardAlone{horizon: 100, recs: []shortRecord{{100, 5}}}, 7, 99},
		"by the read":                             {&shardAlone{horizon: 100, atRead: true, recs: []shortRecord{{100, 5}}}, 7, 99},
		"by nothing":                              {&shardAlone{silent: true, recs: []shortRecord{{100, 5}}}, 7, 99},
		"a shard that has ended":                  {&shardAlone{horizon: 101, closed: true}, 7, 8},
		"another mapping is further":              {&shardAlone{horizon: 101}, 100, 100},
		"another mapping is further, and the end": {&shardAlone{horizon: 101, closed: true}, 100, 101},
	} {
		t.Run(name, func(t *testing.T) {
			polling(t, one.engine, time.Second, func(t *testing.T, _ *Polled, b *Backend, c *claim) {
				c.feed.begin(map[string]lane.Checkpoint{"s": {Low: seqnum.Num{Lo: one.at}}}, true)
				time.Sleep(10 * time.Second)
				if n := one.engine.called("GetRecords"); n > 30 {
					t.Errorf("%d reads in ten seconds", n)
				}
				page, err := b.Read(t.Context(), "arn", "s", seqnum.Num{Lo: 7}, 100, 1<<20)
				want := lane.Missed{First: seqnum.Num{Lo: 8}, Last: seqnum.Num{Lo: one.last}, Unknown: true}
				if err != nil || page.Missed == nil || *page.Missed != want || page.End != one.engine.closed || len(page.Records) != len(one.engine.recs) {
					t.Errorf("%+v, %+v, %v", page, page.Missed, err)
				}
				from := one.engine.called("GetRecords")
				time.Sleep(time.Minute)
				if n := one.engine.called("GetRecords") - from; n > 70 {
					t.Errorf("%d reads in a minute", n)
				}
			})
		})
	}
}

// Nothing is told where nothing is missing.
func TestNothingIsTrimmedWhereTheRecordIsThere(t *testing.T) {
	f := &shardAlone{recs: []shortRecord{{7, 5}, {100, 5}}}
	polling(t, f, time.Second, func(t *testing.T, _ *Polled, b *Backend, c *claim) {
		c.feed.begin(map[string]lane.Checkpoint{"s": {Low: seqnum.Num{Lo: 7}}}, true)
		time.Sleep(time.Second)
		page, err := b.Read(t.Context(), "arn", "s", seqnum.Num{Lo: 7}, 100, 1<<20)
		if err != nil || page.Missed != nil || len(page.Records) != 1 {
			t.Errorf("%+v, %+v, %v", page, page.Missed, err)
		}
	})
}

// An idle shard is asked as often as --poll-idle says, also where that is longer than one read is held; a record that comes sets it back.
func TestAnIdleShardIsAskedAsSeldomAsTold(t *testing.T) {
	f := &shardAlone{}
	polling(t, f, time.Minute, func(t *testing.T, _ *Polled, b *Backend, c *claim) {
		c.feed.begin(map[string]lane.Checkpoint{"s": {}}, true)
		time.Sleep(10 * time.Minute)
		before := f.called("GetRecords")
		time.Sleep(time.Hour)
		if n := f.called("GetRecords") - before; n < 59 || n > 61 {
			t.Errorf("%d reads in an hour", n)
		}
		f.mu.Lock()
		f.recs = append(f.recs, shortRecord{1, 5})
		f.mu.Unlock()
		time.Sleep(time.Minute)
		if shards, err := b.Shards(t.Context(), "arn"); err != nil || shards[0].Head != (seqnum.Num{Lo: 1}) {
			t.Errorf("%+v, %v", shards, err)
		}
	})
}

// The end is that of the engine's clock, and of an engine that answers empty pages before it comes to its records.
func TestTheEndIsTheEngines(t *testing.T) {
	for name, change := range map[string]func(f *shardAlone){
		"its clock is ahead":  func(f *shardAlone) { f.clock = time.Minute },
		"its pages are empty": func(f *shardAlone) { f.slow = time.Now().Add(soonPoll / 2) },
	} {
		t.Run(name, func(t *testing.T) {
			f := &shardAlone{}
			polling(t, f, time.Second, func(t *testing.T, p *Polled, _ *Backend, _ *claim) {
				change(f)
				now := time.Now().Add(f.clock).Unix()
				f.recs = []shortRecord{{1, now - 90}, {2, now}, {3, now}, {4, now + 9}}
				at, err := p.Iterator(t.Context(), "arn", "s", Latest)
				if err != nil {
					t.Fatal(err)
				}
				if page, err := p.Records(t.Context(), at, 1, 0); err != nil || page.After != "3" {
					t.Errorf("the end is behind %s, %v", page.After, err)
				}
			})
		})
	}
}

// A record that is far from the horizon costs a read for a page of those before it, and is the only one that is answered where one was asked for.
func TestAPlaceFarFromTheHorizon(t *testing.T) {
	f := &shardAlone{horizon: 1 << 40}
	for i := range int64(3000) {
		f.recs = append(f.recs, shortRecord{i*10 + 10, 5})
	}
	polling(t, f, time.Second, func(t *testing.T, p *Polled, _ *Backend, _ *claim) {
		at, err := p.Iterator(t.Context(), "arn", "s", "25999")
		if err != nil {
			t.Fatal(err)
		}
		for want := 26000; want < 26030; want += 10 {
			page, err := p.Records(t.Context(), at, 1, 0)
			if err != nil || len(page.Records) != 1 || !strings.Contains(string(page.Records[0]), fmt.Sprintf(`"%d"`, want)) {
				t.Fatalf("%s, %v, want %d", page.Records, err, want)
			}
			at = page.Next
		}
		if n := f.called("GetRecords"); n > 12 {
			t.Errorf("%d reads", n)
		}
	})
}

// The place of a shard's first record is found where the engine fails when it is asked for what is in front of it, as moto does.
func TestThePlaceOfTheFirstRecord(t *testing.T) {
	polling(t, &shardAlone{start: 100, recs: []shortRecord{{100, 5}, {101, 5}}}, time.Second, func(t *testing.T, p *Polled, b *Backend, _ *claim) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := p.Describe(ctx, "arn"); err != nil {
			t.Fatal(err)
		}
		l, err := b.Locate(ctx, "arn", "s", backend.Place{Record: seqnum.Num{Lo: 100}})
		if err != nil || !l.Here || l.Low != (seqnum.Num{Lo: 99}) {
			t.Errorf("%+v, %v", l, err)
		}
	})
}

// A record that comes behind later ones is left out, and that is said once a minute.
func TestALateRecordIsSaid(t *testing.T) {
	f := &shardAlone{recs: []shortRecord{{5, 5}, {9, 5}}}
	polling(t, f, time.Second, func(t *testing.T, p *Polled, _ *Backend, _ *claim) {
		var said bytes.Buffer
		p.Log = slog.New(slog.NewTextHandler(&said, nil))
		for range 2 {
			page, _, err := p.page(t.Context(), &place{Stream: "arn", Shard: "s", After: seqnum.Num{Lo: 7}, Iterator: "NEXT 0"}, 10)
			if err != nil || len(page.Records) != 1 {
				t.Errorf("%+v, %v", page, err)
			}
		}
		if n := strings.Count(said.String(), "left out since"); n != 1 || !strings.Contains(said.String(), "record=5") {
			t.Errorf("said %q", said.String())
		}
		if n := p.LeftOut(); n != 2 {
			t.Errorf("%d are counted, want one for each read", n)
		}
	})
}
