package trigger

import (
	"github.com/millstreamdb/millstream/internal/backend"
	"github.com/millstreamdb/millstream/internal/trigger/lane"
	"github.com/millstreamdb/millstream/internal/trigger/mapping"
)

// withSnapshot puts a mapping's shard of existing items before those of its stream.
func withSnapshot(m *mapping.Definition, shards []backend.Shard) []backend.Shard {
	if m.Snapshot == nil {
		return shards
	}
	own := backend.Shard{ID: backend.SnapshotShard(m.UUID), Closed: true, Head: m.Snapshot.Last, Records: m.Snapshot.Items}
	return append([]backend.Shard{own}, shards...)
}

// afterSnapshot reports whether a shard waits for the existing items. The caller holds mu.
func (m *running) afterSnapshot(shard string) bool {
	return m.def.Snapshot != nil && !backend.IsSnapshot(shard) && !m.rows[backend.SnapshotShard(m.uuid)].Done
}

// afterOlder mends what a node of a release without existing items has done to rows: once those have been read it removes their row, which it takes for a shard's
// that is past its retention. The row is there before the definition is, and nobody else removes it. The caller holds mu.
func (m *running) afterOlder(rows map[string]lane.Checkpoint) {
	id := backend.SnapshotShard(m.uuid)
	if _, there := rows[id]; m.def.Snapshot != nil && !there {
		rows[id] = lane.Checkpoint{Generation: m.def.Generation, Done: true}
	}
}
