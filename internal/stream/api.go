package stream

import (
	"context"
	"time"

	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/request"
	"github.com/millstreamdb/millstream/internal/schema"
)

// maxPageBytes bounds one answer of GetRecords, by the stored size of records.
const maxPageBytes = 1 << 20

// ListStreams shows streams, enabled and disabled, in the order of their ARNs.
func (ss *Streams) ListStreams(ctx context.Context, scope schema.Scope, r *request.ListStreams) (*ListResult, error) {
	res := &ListResult{Streams: []StreamSummary{}}
	for _, s := range ss.All() {
		if s.Scope != scope || s.Hidden() || r.Table != "" && s.Table != r.Table || r.After != nil && s.ARN <= r.After.ARN {
			continue
		}
		if len(res.Streams) == r.Limit {
			res.LastEvaluated = res.Streams[r.Limit-1].ARN
			break
		}
		res.Streams = append(res.Streams, StreamSummary{ARN: s.ARN, Table: s.Table, Label: s.Label})
	}
	return res, ss.store.Barrier(ctx)
}

// find returns a stream for an answer. That there is none is answered once it is
// durable.
func (ss *Streams) find(ctx context.Context, scope schema.Scope, name *request.StreamName) (*Stream, error) {
	if s := ss.Get(name.ARN); s != nil && s.Scope == scope && !s.Hidden() {
		return s, nil
	}
	if err := ss.store.Barrier(ctx); err != nil {
		return nil, err
	}
	return nil, awserr.NoSuchStream(name.ARN)
}

// DescribeStream shows a stream and one page of its shards.
func (ss *Streams) DescribeStream(ctx context.Context, scope schema.Scope, r *request.DescribeStream) (*Description, error) {
	s, err := ss.find(ctx, scope, &r.Stream)
	if err != nil {
		return nil, err
	}
	d := &Description{
		ARN: s.ARN, Label: s.Label, Status: "ENABLED", ViewType: s.View.String(), Created: s.Created,
		Table: s.Table, Keys: s.Keys, Shards: []ShardDescription{},
	}
	if _, disabled := s.Disabled(); disabled {
		d.Status = "DISABLED"
	}
	for {
		list := s.shards.Load()
		d.Shards, d.LastEvaluatedShardID = describeShards(*list, r)
		if s.shards.Load() == list {
			break // else a shard may be shown to have ended without its children
		}
	}
	return d, ss.store.Barrier(ctx)
}

// describeShards is a page of shards and the last one's id when more follow.
func describeShards(shards []*Shard, r *request.DescribeStream) (page []ShardDescription, last string) {
	page = []ShardDescription{}
	for _, sh := range shards {
		if sh.ID <= r.After || r.Parent != "" && sh.Parent != r.Parent {
			continue
		}
		if len(page) == r.Limit {
			return page, page[r.Limit-1].ID
		}
		end, closed := sh.End()
		page = append(page, ShardDescription{ID: sh.ID, Parent: sh.Parent, Start: sh.Start, End: end, Closed: closed})
	}
	return page, ""
}

// GetShardIterator makes an iterator. It has no effect on the stream.
func (ss *Streams) GetShardIterator(ctx context.Context, scope schema.Scope, r *request.GetShardIterator) (string, error) {
	s, err := ss.find(ctx, scope, &r.Stream)
	if err != nil {
		return "", err
	}
	sh := s.Shard(r.Shard)
	if sh == nil {
		return "", awserr.ShardNotFound()
	}
	now := ss.now()
	it := iterator{stream: s.ID, shard: sh.No, issued: now.UnixMilli()}
	switch r.Type {
	case request.TrimHorizon:
		it.horizon = true
	case request.Latest:
		it.after = sh.Head()
	case request.AtSequenceNumber:
		it.after = r.Sequence.Prev()
	case request.AfterSequenceNumber:
		it.after = r.Sequence
	case request.AtTimestamp:
		if r.TimestampMillis > now.UnixMilli() {
			return "", awserr.TimestampInFuture()
		}
		if it.after, err = sh.Before(r.TimestampMillis); err != nil {
			return "", err
		}
		it.horizon = it.after.Less(sh.Past())
	}
	if positioned := r.Type == request.AtSequenceNumber || r.Type == request.AfterSequenceNumber; positioned && it.after.Less(sh.Past()) {
		return "", awserr.TrimmedData()
	}
	return ss.encodeIterator(s, it), nil
}

// locate returns the shard of an iterator, and what the iterator says.
func (ss *Streams) locate(scope schema.Scope, text string, now time.Time) (*Stream, *Shard, iterator, *awserr.Error) {
	it, arn, e := ss.decodeIterator(text, now)
	if e != nil {
		return nil, nil, it, e
	}
	s := ss.ByID(it.stream)
	if s == nil || s.Scope != scope || s.Hidden() {
		return nil, nil, it, awserr.ShardNotFound()
	}
	if s.ARN != arn {
		return nil, nil, it, awserr.InvalidIterator()
	}
	for _, sh := range s.Shards() {
		if sh.No == it.shard {
			return s, sh, it, nil
		}
	}
	return nil, nil, it, awserr.ShardNotFound()
}

// GetRecords reads from an iterator on. Only durable records are shown.
func (ss *Streams) GetRecords(_ context.Context, scope schema.Scope, r *request.GetRecords) (*RecordsResult, error) {
	now := ss.now()
	s, sh, it, e := ss.locate(scope, r.Iterator, now)
	if e != nil {
		return nil, e
	}
	after := it.after
	if it.horizon {
		after = sh.Horizon()
	}
	page, err := sh.Read(after, r.Limit, maxPageBytes, func(r *Record) int { return len(r.value) })
	if err != nil {
		return nil, err
	}
	// After the read: retention may have overtaken it.
	if !it.horizon && after.Less(sh.Past()) {
		return nil, awserr.TrimmedData()
	}
	res := &RecordsResult{Records: make([][]byte, len(page.Records))}
	var all []byte // where it grows, what was rendered before stays where it is
	for i, rec := range page.Records {
		from := len(all)
		all = rec.AppendJSON(all)
		res.Records[i] = all[from:len(all):len(all)]
		after = rec.seq
	}
	if !page.End {
		next := iterator{stream: s.ID, shard: sh.No, after: after, issued: now.UnixMilli()}
		if it.horizon && len(page.Records) == 0 {
			next.horizon = true
		}
		res.Next = ss.encodeIterator(s, next)
	}
	return res, nil
}
