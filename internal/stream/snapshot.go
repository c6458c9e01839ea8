package stream

import (
	"github.com/millstreamdb/millstream/internal/item"
	"github.com/millstreamdb/millstream/internal/seqnum"
)

// snapshotShard is the shard number that records of a snapshot have in their event ids.
const snapshotShard = 1<<32 - 1

// Snapshot returns the record of an item that is there already, as if it was inserted: the nth (from 1) of its snapshot.
// Its number is below every number of the stream.
func (st *Stream) Snapshot(n uint64, it item.Item, keyHash uint64, ms int64) *Record {
	r := st.NewRecord(Change{Keys: st.Keys.Extract(it), New: it, KeyHash: keyHash})
	r.stamp(snapshotShard, SnapshotNumber(n), ms, 0, 0)
	return r
}

// SnapshotNumber is the number of the nth record of a snapshot.
func SnapshotNumber(n uint64) seqnum.Num { return seqnum.Num{Hi: incarnationBase, Lo: n} }

// Stamped is the number of the last record, which may not be durable yet. The caller holds the table exclusively.
func (sh *Shard) Stamped() seqnum.Num { return sh.next.Prev() }
