package stream

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/millstreamdb/millstream/internal/request"
	"github.com/millstreamdb/millstream/internal/schema"
	"github.com/millstreamdb/millstream/internal/seqnum"
)

// iterator asks for one and fails the test if there is none.
func (w *world) iterator(s *Stream, sh *Shard, q request.GetShardIterator) string {
	w.t.Helper()
	it, err := w.askIterator(s, sh.ID, q)
	w.check(err)
	if len(it) < 1 || len(it) > 2048 {
		w.t.Fatalf("an iterator of %d characters", len(it))
	}
	return it
}

func (w *world) askIterator(s *Stream, shard string, q request.GetShardIterator) (string, error) {
	q.Stream, q.Shard = request.StreamName{ARN: s.ARN}, shard
	return w.ss.GetShardIterator(w.t.Context(), scope, &q)
}

func (w *world) get(it string, limit int) (*RecordsResult, error) {
	return w.ss.GetRecords(w.t.Context(), scope, &request.GetRecords{Iterator: it, Limit: limit})
}

// ordinals gets one page and returns the records' ordinals.
func (w *world) ordinals(it string, limit int) (got []uint64, next string) {
	w.t.Helper()
	res, err := w.get(it, limit)
	w.check(err)
	for _, r := range res.Records {
		_, rest, _ := strings.Cut(string(r), `"SequenceNumber":"`)
		text, _, _ := strings.Cut(rest, `"`)
		n, err := seqnum.Parse(text)
		w.check(err)
		got = append(got, n.Lo)
	}
	return got, res.Next
}

func TestIteratorTypes(t *testing.T) {
	w := newWorld(t)
	s := w.create(KeysOnly, 1)
	t0 := w.ms.Load()
	for range 5 { // records 1 to 5, a second apart
		w.advance(time.Second)
		w.write(root(s), 1)
	}
	s = w.reopen(s)
	sh := root(s)
	at := func(lo uint64) seqnum.Num { return seqnum.Num{Hi: sh.Start.Hi, Lo: lo} }
	pending := w.apply(sh, 1, 0) // 6, stamped but not durable
	for _, c := range []struct {
		name  string
		q     request.GetShardIterator
		first uint64 // of all up to 7
	}{
		{"TRIM_HORIZON", request.GetShardIterator{Type: request.TrimHorizon}, 1},
		{"LATEST", request.GetShardIterator{Type: request.Latest}, 6},
		{"AT 1", request.GetShardIterator{Type: request.AtSequenceNumber, Sequence: at(1)}, 1},
		{"AT start", request.GetShardIterator{Type: request.AtSequenceNumber, Sequence: sh.Start}, 1},
		{"AT 3", request.GetShardIterator{Type: request.AtSequenceNumber, Sequence: at(3)}, 3},
		{"AT between", request.GetShardIterator{Type: request.AtSequenceNumber, Sequence: at(6)}, 6},
		{"AT zero", request.GetShardIterator{Type: request.AtSequenceNumber}, 1},
		{"AFTER 3", request.GetShardIterator{Type: request.AfterSequenceNumber, Sequence: at(3)}, 4},
		{"AFTER 5", request.GetShardIterator{Type: request.AfterSequenceNumber, Sequence: at(5)}, 6},
		{"AT_TIMESTAMP long ago", request.GetShardIterator{Type: request.AtTimestamp}, 1},
		{"AT_TIMESTAMP of 2", request.GetShardIterator{Type: request.AtTimestamp, TimestampMillis: t0 + 2000}, 2},
		{"AT_TIMESTAMP past 2", request.GetShardIterator{Type: request.AtTimestamp, TimestampMillis: t0 + 2001}, 3},
		{"AT_TIMESTAMP now", request.GetShardIterator{Type: request.AtTimestamp, TimestampMillis: t0 + 5000}, 5},
	} {
		it := w.iterator(s, sh, c.q)
		want := span(c.first, 5)
		for range 2 { // an iterator may be used again
			got, next := w.ordinals(it, 1000)
			if !slices.Equal(got, want) || next == "" {
				t.Errorf("%s: got %v, want %v, next %q", c.name, got, want, next)
			}
		}
	}
	latest := w.iterator(s, sh, request.GetShardIterator{Type: request.Latest})
	if _, err := w.askIterator(s, sh.ID, request.GetShardIterator{Type: request.AtTimestamp, TimestampMillis: w.ms.Load() + 1}); !isCode(err, "ValidationException") {
		t.Errorf("a timestamp in the future: %v", err)
	}
	pending.durable()
	w.write(sh, 1)
	if got, _ := w.ordinals(latest, 10); !slices.Equal(got, span(6, 7)) {
		t.Errorf("LATEST missed a record that was not durable when it was taken: %v", got)
	}
	// Beyond the end of an open shard: nothing, then what comes above.
	ahead := w.iterator(s, sh, request.GetShardIterator{Type: request.AfterSequenceNumber, Sequence: seqnum.Num{Hi: sh.Head().Hi, Lo: 8}})
	if got, next := w.ordinals(ahead, 10); len(got) > 0 || next == "" {
		t.Errorf("beyond the end: %v", got)
	}
	w.write(sh, 2)
	if got, _ := w.ordinals(ahead, 10); !slices.Equal(got, []uint64{9}) {
		t.Errorf("beyond the former end: %v", got)
	}
	w.close(s)
	for _, typ := range []request.IteratorType{request.Latest, request.TrimHorizon} {
		it, n := w.iterator(s, sh, request.GetShardIterator{Type: typ}), 0
		for it != "" {
			var got []uint64
			if got, it = w.ordinals(it, 4); len(got) > 0 {
				n += len(got)
			}
		}
		if want := map[request.IteratorType]int{request.Latest: 0, request.TrimHorizon: 9}[typ]; n != want {
			t.Errorf("closed shard, iterator type %d: %d records, want %d", typ, n, want)
		}
	}
}

// TestIteratorLife: an iterator survives a restart, lives for 15 minutes since its
// issue, and each page begins a new life; changed ones are refused.
func TestIteratorLife(t *testing.T) {
	w := newWorld(t)
	s := w.create(KeysOnly, 1)
	other := w.create(KeysOnly, 1)
	w.write(root(s), 4)
	it := w.iterator(s, root(s), request.GetShardIterator{Type: request.TrimHorizon})
	if !strings.HasPrefix(it, s.ARN+"|1|") {
		t.Errorf("the form is %s", it)
	}
	w.reopen(s)
	w.advance(iteratorLife)
	got, next := w.ordinals(it, 3)
	if !slices.Equal(got, span(1, 3)) {
		t.Errorf("after a restart: %v", got)
	}
	w.advance(time.Millisecond)
	if _, err := w.get(it, 1); !isCode(err, "ExpiredIteratorException") {
		t.Errorf("after 15 minutes: %v", err)
	}
	w.advance(iteratorLife - time.Millisecond)
	if got, _ := w.ordinals(next, 3); !slices.Equal(got, span(4, 4)) {
		t.Errorf("the next page: %v", got)
	}

	prefix, body, _ := strings.Cut(next, "|1|")
	for i := range body {
		changed := []byte(body)
		if changed[i]++; changed[i] == body[i] {
			continue
		}
		if _, err := w.get(prefix+"|1|"+string(changed), 1); !isCode(err, "ValidationException") {
			t.Fatalf("changed at %d: %v", i, err)
		}
	}
	for _, bad := range []string{"", "x", "|1|", prefix, prefix + "|1|", body, prefix + "|1|" + body[4:], prefix + "|2|" + body,
		other.ARN + "|1|" + body, "|1|" + body} {
		if _, err := w.get(bad, 1); !isCode(err, "ValidationException") {
			t.Errorf("%q: %v", bad, err)
		}
	}
	// One from another database, whose ids are the same.
	w2 := newWorld(t)
	s2 := w2.create(KeysOnly, 1)
	foreign := w2.iterator(s2, root(s2), request.GetShardIterator{Type: request.TrimHorizon})
	w2.ms.Store(w.ms.Load())
	if _, err := w.get(foreign, 1); !isCode(err, "ValidationException") {
		t.Errorf("from another database: %v", err)
	}
	if _, err := w.ss.GetRecords(t.Context(), schema.Scope{Account: "1", Region: "us-east-1"}, &request.GetRecords{Iterator: next, Limit: 1}); !isCode(err, "ResourceNotFoundException") {
		t.Errorf("for another account: %v", err)
	}
}

func TestTrimmedAccess(t *testing.T) {
	w := newWorld(t)
	s := w.create(KeysOnly, 1)
	w.write(root(s), 6)
	s = w.reopen(s)
	sh := root(s)
	at := func(typ request.IteratorType, lo uint64) request.GetShardIterator {
		return request.GetShardIterator{Type: typ, Sequence: seqnum.Num{Hi: sh.Start.Hi, Lo: lo}}
	}
	horizon := w.iterator(s, sh, request.GetShardIterator{Type: request.TrimHorizon})
	early, later := w.iterator(s, sh, at(request.AfterSequenceNumber, 2)), w.iterator(s, sh, at(request.AfterSequenceNumber, 3))
	w.check(sh.trimTo(seqnum.Num{Hi: sh.Start.Hi, Lo: 3}, AgeLoss))
	for _, q := range []request.GetShardIterator{at(request.AtSequenceNumber, 3), at(request.AfterSequenceNumber, 2), at(request.AtSequenceNumber, 0)} {
		if _, err := w.askIterator(s, sh.ID, q); !isCode(err, "TrimmedDataAccessException") {
			t.Errorf("%+v: %v", q, err)
		}
	}
	for _, q := range []request.GetShardIterator{
		at(request.AtSequenceNumber, 4), at(request.AfterSequenceNumber, 3), {Type: request.TrimHorizon}, {Type: request.AtTimestamp},
	} {
		if got, _ := w.ordinals(w.iterator(s, sh, q), 10); !slices.Equal(got, span(4, 6)) {
			t.Errorf("%+v: %v", q, got)
		}
	}
	if _, err := w.get(early, 10); !isCode(err, "TrimmedDataAccessException") {
		t.Errorf("an iterator whose position was trimmed: %v", err)
	}
	for name, it := range map[string]string{"just above": later, "TRIM_HORIZON": horizon} {
		if got, _ := w.ordinals(it, 10); !slices.Equal(got, span(4, 6)) {
			t.Errorf("an iterator %s the cut: %v", name, got)
		}
	}
	// An idle TRIM_HORIZON iterator follows the horizon from page to page.
	w.check(sh.trimTo(sh.Head(), AgeLoss))
	_, horizon = w.ordinals(horizon, 10)
	w.write(sh, 2)
	w.check(sh.trimTo(seqnum.Num{Hi: sh.Head().Hi, Lo: 7}, AgeLoss))
	if got, _ := w.ordinals(horizon, 10); !slices.Equal(got, span(8, 8)) {
		t.Errorf("TRIM_HORIZON moves on: %v", got)
	}
}

// TestGetRecordsBytes: a page ends at 1 MB, but holds one record at least.
func TestGetRecordsBytes(t *testing.T) {
	w := newWorld(t)
	s := w.create(NewImage, 1)
	for range 5 {
		w.apply(root(s), 1, 390<<10).durable()
	}
	w.apply(root(s), 1, 2<<20).durable()
	w.apply(root(s), 1, 0).durable()
	it := w.iterator(s, root(s), request.GetShardIterator{Type: request.TrimHorizon})
	for _, want := range [][]uint64{{1, 2}, {3, 4}, {5}, {6}, {7}} {
		var got []uint64
		if got, it = w.ordinals(it, 1000); !slices.Equal(got, want) {
			t.Fatalf("a page of %v, want %v", got, want)
		}
	}
}

// TestDisabledStream: a disabled stream is read and described for its day, beside
// the new one, then gone.
func TestDisabledStream(t *testing.T) {
	w := newWorld(t)
	old := w.create(OldImage, 1)
	w.write(root(old), 2)
	it := w.iterator(old, root(old), request.GetShardIterator{Type: request.TrimHorizon})
	w.close(old)
	next := w.create(NewImage, 1) // the clock has not moved
	if next.ARN <= old.ARN || next.Label <= old.Label || root(next).ID <= root(old).ID {
		t.Errorf("%s (%s) follows %s (%s)", next.ARN, root(next).ID, old.ARN, root(old).ID)
	}
	got, end := w.ordinals(it, 10)
	if !slices.Equal(got, span(1, 2)) || end != "" {
		t.Errorf("read %v, next %q", got, end)
	}
	describe := func(s *Stream) (*Description, error) {
		return w.ss.DescribeStream(t.Context(), scope, &request.DescribeStream{Stream: request.StreamName{ARN: s.ARN}, Limit: 100})
	}
	for range 2 {
		d, err := describe(old)
		if err != nil || d.Status != "DISABLED" || d.ViewType != "OLD_IMAGE" || len(d.Shards) != 1 || !d.Shards[0].Closed ||
			d.Shards[0].End != root(old).Head() || d.Shards[0].Start != root(old).Start || d.Table != "tab" || d.Label != old.Label ||
			d.Created.UnixMilli() != started.UnixMilli() || d.Label != "2026-05-11T21:21:33.291" {
			t.Fatalf("%+v %v", d, err)
		}
		if d, err := describe(next); err != nil || d.Status != "ENABLED" || d.Shards[0].Closed {
			t.Fatalf("%+v %v", d, err)
		}
		old = w.reopen(old)
		next = w.ss.Get(next.ARN)
	}
	it = w.iterator(old, root(old), request.GetShardIterator{Type: request.Latest})
	w.check(w.ss.remove(old))
	if _, err := describe(old); !isCode(err, "ResourceNotFoundException") || !strings.Contains(err.Error(), "Requested resource not found: Stream: "+old.ARN+" not found") {
		t.Errorf("%v", err)
	}
	if _, err := w.get(it, 1); !isCode(err, "ResourceNotFoundException") {
		t.Errorf("%v", err)
	}
	if _, err := w.askIterator(old, root(old).ID, request.GetShardIterator{}); !isCode(err, "ResourceNotFoundException") {
		t.Errorf("%v", err)
	}
	if _, err := w.askIterator(next, root(old).ID, request.GetShardIterator{}); !isCode(err, "ResourceNotFoundException") {
		t.Errorf("a shard of another stream: %v", err)
	}
}

func TestListStreams(t *testing.T) {
	w := newWorld(t)
	var want []string
	for range 7 {
		want = append(want, w.create(KeysOnly, 1).ARN)
	}
	page := func(table string, limit int, after string) *ListResult {
		t.Helper()
		q := &request.ListStreams{Table: table, Limit: limit}
		if after != "" {
			q.After = &request.StreamName{ARN: after}
		}
		r, err := w.ss.ListStreams(t.Context(), scope, q)
		w.check(err)
		return r
	}
	for limit := 1; limit <= 8; limit++ {
		var got []string
		after := ""
		for {
			r := page("tab", limit, after)
			for _, s := range r.Streams {
				got = append(got, s.ARN)
			}
			if after = r.LastEvaluated; after == "" {
				break
			}
			if after != got[len(got)-1] || len(r.Streams) != limit {
				t.Fatalf("a page of %d ends at %s", len(r.Streams), after)
			}
		}
		if !slices.Equal(got, want) {
			t.Fatalf("by %d: %v", limit, got)
		}
	}
	if r := page("other", 10, ""); r.Streams == nil || len(r.Streams) != 0 {
		t.Errorf("%+v", r)
	}
	w.close(w.ss.Get(want[3]))
	w.check(w.ss.remove(w.ss.Get(want[3])))
	if r := page("", 10, want[3]); len(r.Streams) != 3 || r.Streams[0].ARN != want[4] {
		t.Errorf("after a stream that has gone: %+v", r)
	}
	if r, err := w.ss.ListStreams(t.Context(), schema.Scope{Account: "9", Region: "x"}, &request.ListStreams{Limit: 10}); err != nil || len(r.Streams) != 0 {
		t.Errorf("%+v %v", r, err)
	}
}

func TestDescribeShards(t *testing.T) {
	w := newWorld(t)
	s := w.create(KeysOnly, 5)
	ids := []string{}
	for i, sh := range s.Shards() {
		ids = append(ids, sh.ID)
		if len(sh.ID) != 37 || !strings.HasPrefix(sh.ID, fmt.Sprintf("shardId-%020d-", started.UnixMilli()+1+int64(i))) {
			t.Errorf("shard %d is %s", i, sh.ID)
		}
	}
	if !slices.IsSorted(ids) {
		t.Error("ids are not in the order of creation")
	}
	s.Shards()[3].Parent, s.Shards()[4].Parent = ids[1], ids[1]
	page := func(limit int, after, parent string) (got []string, last string) {
		d, err := w.ss.DescribeStream(t.Context(), scope, &request.DescribeStream{Stream: request.StreamName{ARN: s.ARN}, Limit: limit, After: after, Parent: parent})
		w.check(err)
		for _, sh := range d.Shards {
			got = append(got, sh.ID)
		}
		return got, d.LastEvaluatedShardID
	}
	for limit := 1; limit <= 6; limit++ {
		var all []string
		for after := ""; ; {
			var got []string
			got, after = page(limit, after, "")
			if all = append(all, got...); after == "" {
				break
			}
			if len(got) != limit || after != got[limit-1] {
				t.Fatalf("a page of %v ends at %s", got, after)
			}
		}
		if !slices.Equal(all, ids) {
			t.Fatalf("by %d: %v", limit, all)
		}
	}
	if got, last := page(100, "shardId-00000000000000000000-00000000", ""); !slices.Equal(got, ids) || last != "" {
		t.Errorf("after an unknown id: %v", got)
	}
	if got, _ := page(100, "", ids[1]); !slices.Equal(got, ids[3:]) {
		t.Errorf("children: %v", got)
	}
	if got, last := page(1, "", ids[1]); !slices.Equal(got, ids[3:4]) || last != ids[3] {
		t.Errorf("the first child: %v, then %s", got, last)
	}
	if got, _ := page(100, "", ids[0]); len(got) != 0 {
		t.Errorf("children of a shard without: %v", got)
	}
}
