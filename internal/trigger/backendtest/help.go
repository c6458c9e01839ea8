package backendtest

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/millstreamdb/millstream/internal/backend"
	"github.com/millstreamdb/millstream/internal/seqnum"
	"github.com/millstreamdb/millstream/internal/trigger/lane"
	"github.com/millstreamdb/millstream/internal/trigger/mapping"
)

const lots = 1 << 20

// check ends the case when there is an error.
func check(t T, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%v", err)
	}
}

func shardsOf(t T, w World, arn string) []backend.Shard {
	t.Helper()
	all, err := w.Backend().Shards(t.Context(), arn)
	check(t, err)
	return all
}

// only is the stream's one shard.
func only(t T, w World, arn string) backend.Shard {
	t.Helper()
	all := shardsOf(t, w, arn)
	if len(all) != 1 {
		t.Fatalf("%d shards, want one", len(all))
	}
	return all[0]
}

func page(t T, w World, arn, shard string, after seqnum.Num, records, bytes int) lane.Page {
	t.Helper()
	p, err := w.Backend().Read(t.Context(), arn, shard, after, records, bytes)
	check(t, err)
	return p
}

// read reads a shard from a place on, some records at a time, until nothing comes.
func read(t T, w World, arn, shard string, after seqnum.Num) (all []lane.Record, end bool) {
	t.Helper()
	for {
		p := page(t, w, arn, shard, after, 7, lots)
		all = append(all, p.Records...)
		if len(p.Records) == 0 || p.End {
			return all, p.End
		}
		after = p.Records[len(p.Records)-1].Seq()
	}
}

// write is one write of an item.
type write struct{ key, nth int }

func itemsOf(w World, records []lane.Record) (out []write) {
	for _, r := range records {
		key, nth := w.Item(r)
		out = append(out, write{key, nth})
	}
	return out
}

// rising checks that numbers, ordinals and times of a shard's records rise.
func rising(t T, records []lane.Record) {
	t.Helper()
	for i := 1; i < len(records); i++ {
		a, b := records[i-1], records[i]
		if !a.Seq().Less(b.Seq()) || b.Ordinal() != a.Ordinal()+1 || b.Time() < a.Time() {
			t.Fatalf("after %s (ordinal %d, time %d) comes %s (%d, %d)", a.Seq(), a.Ordinal(), a.Time(), b.Seq(), b.Ordinal(), b.Time())
		}
	}
}

func equal[E comparable](t T, what string, got, want []E) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

var ids struct {
	sync.Mutex
	n int
}

// define is a definition of a mapping on a stream.
func define(t T, w World, arn string, start mapping.StartingPosition) mapping.Definition {
	t.Helper()
	s, err := w.Backend().ResolveStream(t.Context(), arn)
	check(t, err)
	ids.Lock()
	defer ids.Unlock()
	ids.n++
	at := time.Now().UTC().Round(0).Add(time.Duration(ids.n))
	return mapping.Definition{
		UUID: fmt.Sprintf("%08x-1111-4222-8333-444444444444", ids.n), Scope: s.Scope, StreamARN: arn, FunctionARN: s.Scope.FunctionARN("f"),
		Enabled: true, Generation: 1, Start: start, Created: at, Modified: at, BatchSize: 100, ParallelizationFactor: 1,
		MaximumRetryAttempts: -1, MaximumRecordAgeSeconds: -1,
	}
}

func create(t T, w World, m mapping.Definition) map[string]lane.Checkpoint {
	t.Helper()
	rows, err := w.Backend().CreateMapping(t.Context(), m)
	check(t, err)
	return rows
}

// made makes a mapping that begins with the first record.
func made(t T, w World, arn string) mapping.Definition {
	t.Helper()
	m := define(t, w, arn, mapping.StartTrimHorizon)
	create(t, w, m)
	return m
}

// stored is what the backend has of a mapping; nil when it has none.
func stored(t T, w World, uuid string) *backend.Stored {
	t.Helper()
	all, err := w.Backend().Mappings(t.Context())
	check(t, err)
	i := slices.IndexFunc(all, func(s backend.Stored) bool { return s.UUID == uuid })
	if i < 0 {
		return nil
	}
	return &all[i]
}

func commit(t T, w World, rows []backend.Row, aside ...backend.AsideRows) {
	t.Helper()
	check(t, w.Backend().Commit(t.Context(), rows, aside))
}

// place is a checkpoint at a number.
func place(n uint64) lane.Checkpoint {
	return lane.Checkpoint{Generation: 1, Low: seqnum.Num{Hi: 1 << 40, Lo: n}, Ordinal: n}
}

func row(uuid, shard string, cp lane.Checkpoint) backend.Row {
	return backend.Row{UUID: uuid, Shard: shard, Checkpoint: cp}
}

// parked is a row of a record that is set aside.
func parked(hash, n uint64) lane.SetAside {
	event := fmt.Sprintf(`{"hash":%d,"n":%d}`, hash, n)
	return lane.SetAside{
		AsideKey: lane.AsideKey{Hash: hash, Shard: "shard", Seq: seqnum.Num{Hi: 1 << 40, Lo: n}}, Kind: lane.Parked, Since: int64(n) + 1,
		Attempts: 3, Error: "boom", Reason: lane.RetryAttemptsExhausted, RequestID: "r", Version: "7", Unhandled: true, Group: seqnum.Num{Hi: 1, Lo: n},
		Time: 5, Ordinal: n, Cause: 2, Keys: `{"pk":{"S":"a"}}`, Size: len(event), Event: []byte(event),
	}
}

func put(rows ...lane.SetAside) (changes []lane.AsideChange) {
	for i := range rows {
		r := rows[i]
		changes = append(changes, lane.AsideChange{Key: r.AsideKey, Put: &r, New: true})
	}
	return changes
}

// asideOf reads what a mapping has set aside, whole.
func asideOf(t T, w World, uuid string) []lane.SetAside {
	t.Helper()
	rows, err := w.Backend().Aside(t.Context(), uuid, lane.AsideKey{}, 1000, lots, false)
	check(t, err)
	return rows
}

// same compares rows; what differs is printed.
func same(t T, got, want []lane.SetAside) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d rows, want %d", len(got), len(want))
	}
	type plain lane.SetAside // without String
	for i := range got {
		if !reflect.DeepEqual(got[i], want[i]) {
			t.Errorf("row %d is %#v, want %#v", i, plain(got[i]), plain(want[i]))
		}
	}
}

// someWrites is as many writes of each writer as do for who reads up to the head: on a
// backend in memory writers without end would outrun the reader, and fill the memory.
const someWrites = 1000

// writers write items, each by one of them, until stop, or until each has written max
// times.
func writers(w World, arn string, keys, max int) (stop func()) {
	quit := make(chan struct{})
	var wg sync.WaitGroup
	for k := range keys {
		wg.Go(func() {
			for range max {
				select {
				case <-quit:
					return
				default:
					w.Write(arn, k)
				}
			}
		})
	}
	return sync.OnceFunc(func() { close(quit); wg.Wait() })
}

// ItemOf reads a record's item as the worlds over real tables write them: its key, and the number of the write.
func ItemOf(r lane.Record) (key, nth int, err error) {
	var event struct {
		DynamoDB struct {
			NewImage struct {
				PK struct{ S string } `json:"pk"`
				N  struct{ N string } `json:"n"`
			}
		} `json:"dynamodb"`
	}
	if err := json.Unmarshal(r.Event(), &event); err != nil {
		return 0, 0, err
	}
	key, err = strconv.Atoi(event.DynamoDB.NewImage.PK.S)
	if err != nil {
		return 0, 0, err
	}
	nth, err = strconv.Atoi(event.DynamoDB.NewImage.N.N)
	return key, nth, err
}

// Messages is what the worlds over real queues send.
func Messages(queueURL string, bodies ...string) []byte {
	type message struct{ QueueUrl, MessageBody string }
	all := make([]message, len(bodies))
	for i, body := range bodies {
		all[i] = message{queueURL, body}
	}
	text, err := json.Marshal(all)
	if err != nil {
		panic(err) // texts have a JSON
	}
	return text
}

// AndOne adds a message to another queue.
func AndOne(messages []byte, queueURL string) []byte {
	return append(append(messages[:len(messages)-1], ','), Messages(queueURL, "other")[1:]...)
}
