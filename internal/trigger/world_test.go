package trigger

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/millstreamdb/millstream/internal/backend"
	"github.com/millstreamdb/millstream/internal/seqnum"
	"github.com/millstreamdb/millstream/internal/trigger/backendtest"
	"github.com/millstreamdb/millstream/internal/trigger/lane"
	"github.com/millstreamdb/millstream/internal/trigger/mapping"
)

// The fake that the tests of the engine run over keeps every promise of a backend.
func TestFakeBackend(t *testing.T) {
	backendtest.Run(t, func(t *testing.T) backendtest.World { return newFakeWorld() })
}

// Every case of the suite fails for a backend that breaks its promise.
func TestSuiteSeesBrokenBackends(t *testing.T) {
	backendtest.RunBroken(t, func() backendtest.World { return newFakeWorld() })
}

// fakeWorld is the fake for the suite of backends.
type fakeWorld struct {
	b    *fakeBackend
	made int
}

func newFakeWorld() *fakeWorld {
	w := &fakeWorld{b: newFakeBackend()}
	w.b.anyOrder = true
	return w
}

func (w *fakeWorld) Backend() backend.Backend { return w.b.open() }

func (w *fakeWorld) Stream(shards int) string {
	w.b.mu.Lock()
	defer w.b.mu.Unlock()
	w.made++
	s := &fakeStream{watchers: map[int]func(){}, orders: map[int]int{}}
	for i := range shards {
		s.shards = append(s.shards, &fakeShard{Shard: backend.Shard{ID: fmt.Sprintf("shard-%d", i), Head: num(0)}})
	}
	arn := testScope.StreamARN(fmt.Sprint("t", w.made), testLabel)
	w.b.streams[arn] = s
	return arn
}

// home is the shard in which an item's next record lands. The caller holds the lock.
func (s *fakeStream) home(key int) *fakeShard {
	roots := 0
	for roots < len(s.shards) && s.shards[roots].Parent == "" {
		roots++
	}
	sh, bits := s.shards[key%roots], key/roots
	for sh.Closed {
		var children []*fakeShard
		for _, c := range s.shards {
			if c.Parent == sh.ID {
				children = append(children, c)
			}
		}
		if len(children) == 0 {
			panic("a write to a stream that has ended")
		}
		sh, bits = children[bits%len(children)], bits/len(children)
	}
	return sh
}

// put writes an item. The caller holds the lock.
func (s *fakeStream) put(key, cause int) {
	s.orders[key]++
	sh := s.home(key)
	r := newRecord(uint64(len(sh.log)+1), key, s.orders[key], time.Now().UnixMilli(), 0)
	r.Depth = cause
	sh.append(r)
}

func (w *fakeWorld) Write(arn string, keys ...int) {
	w.b.mu.Lock()
	s := w.b.streams[arn]
	for _, k := range keys {
		s.put(k, 0)
	}
	w.b.wakeLocked(s)
}

func (w *fakeWorld) Item(r lane.Record) (key, nth int) {
	if s, ok := r.(existingRecord); ok {
		r = s.testRecord
	}
	t := r.(*testRecord)
	return t.Key, t.Nth
}

func (w *fakeWorld) Stored(arn string, key int) int {
	w.b.mu.Lock()
	defer w.b.mu.Unlock()
	return w.b.streams[arn].orders[key]
}

// fakeWrite is the form of TransactItems that the fake understands.
type fakeWrite struct {
	ARN     string
	Key     int
	Refused bool
}

func (w *fakeWorld) Writes(arn string, key, _ int) []byte {
	text, _ := json.Marshal(fakeWrite{ARN: arn, Key: key})
	return text
}

func (w *fakeWorld) Refused(arn string) []byte {
	text, _ := json.Marshal(fakeWrite{ARN: arn, Refused: true})
	return text
}

// transactOwn makes writes in the fake's own form.
func (b incarnation) transactOwn(t backend.Transaction) error {
	var write fakeWrite
	if t.Items != nil && (json.Unmarshal(t.Items, &write) != nil || write.Refused) {
		return &backend.Refused{Why: "the condition failed"}
	}
	var send fakeSend
	if t.Messages != nil && (json.Unmarshal(t.Messages, &send) != nil || send.Refused) {
		return &backend.Refused{Why: "there is no such queue"}
	}
	rows, aside, err := t.Build()
	if err != nil {
		return err
	}
	b.mu.Lock()
	if err := b.commitLocked(rows, aside); err != nil {
		b.mu.Unlock()
		return err
	}
	b.sent = append(b.sent, send.Bodies...)
	if t.Items == nil {
		b.mu.Unlock()
	} else {
		s := b.streams[write.ARN]
		s.put(write.Key, t.Cause)
		b.wakeLocked(s)
	}
	t.Applied()
	return nil
}

// fakeSend is the form of messages that the fake understands.
type fakeSend struct {
	Bodies  []string
	Refused bool
}

func (w *fakeWorld) Sends(bodies ...string) []byte {
	text, _ := json.Marshal(fakeSend{Bodies: bodies})
	return text
}

func (w *fakeWorld) Unsendable(body string) []byte {
	text, _ := json.Marshal(fakeSend{Bodies: []string{body}, Refused: true})
	return text
}

func (w *fakeWorld) Sent() []string {
	w.b.mu.Lock()
	defer w.b.mu.Unlock()
	return slices.Clone(w.b.sent)
}

func (w *fakeWorld) Split(arn, shard string) {
	w.b.mu.Lock()
	i := slices.IndexFunc(w.b.streams[arn].shards, func(s *fakeShard) bool { return s.ID == shard })
	w.b.mu.Unlock()
	w.b.splitStream(arn, i)
}

func (w *fakeWorld) SwitchOff(arn string) {
	w.b.mu.Lock()
	s := w.b.streams[arn]
	for _, sh := range s.shards {
		sh.Closed = true
	}
	w.b.wakeLocked(s)
}

func (w *fakeWorld) Age(arn string) {
	w.b.mu.Lock()
	defer w.b.mu.Unlock()
	for _, sh := range w.b.streams[arn].shards {
		sh.trimmed = uint64(len(sh.log))
	}
}

func (w *fakeWorld) Crash() { w.b.crash() }

// existingRecord is a record of an item that a mapping begins with.
type existingRecord struct {
	*testRecord
	place uint64
}

func (r existingRecord) Seq() seqnum.Num { return seqnum.Num{Lo: r.place} }
func (r existingRecord) Ordinal() uint64 { return r.place }

// freeze keeps the items of a stream's table for a mapping. The caller holds the lock.
func (b *fakeBackend) freeze(uuid string, s *fakeStream) *mapping.Snapshot {
	items := map[int]*testRecord{}
	for _, sh := range s.shards {
		for _, r := range sh.log {
			items[r.Key] = r
		}
	}
	b.existing[uuid] = nil
	for _, k := range slices.Sorted(maps.Keys(items)) {
		r := *items[k]
		r.MS = time.Now().UnixMilli()
		b.existing[uuid] = append(b.existing[uuid], &r)
	}
	n := uint64(len(items))
	return &mapping.Snapshot{Items: n, Last: seqnum.Num{Lo: n}, AtMS: time.Now().UnixMilli()}
}

func pageOfSnapshot(items []*testRecord, after seqnum.Num, maxRecords int) (p lane.Page) {
	for i := after.Lo; i < uint64(len(items)) && len(p.Records) < maxRecords; i++ {
		p.Records = append(p.Records, existingRecord{items[i], i + 1})
	}
	p.End = after.Lo+uint64(len(p.Records)) == uint64(len(items))
	return p
}
