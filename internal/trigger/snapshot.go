package trigger

import (
	"strings"
	"time"

	"github.com/millstreamdb/millstream/internal/seqnum"
)

// Snapshot is what the backend knows of the items that a mapping begins with: those of its table
// between two writes, of which it is given the positions in the stream at the same moment.
type Snapshot struct {
	Items uint64 `json:"items"`
	// Last is the number of the last of them.
	Last seqnum.Num `json:"last"`
	AtMS int64      `json:"atMs"`
	// Lower and Upper are the backend's own.
	Lower []byte `json:"lower"`
	Upper []byte `json:"upper"`
}

// The items are read as a closed shard of the mapping's own, before all others. Its name is below those of
// streams' shards, so that what is set aside of it comes before what is set aside of them.
const snapshotPrefix = "existing-items/"

// SnapshotShard is the name of a mapping's shard of existing items.
func SnapshotShard(uuid string) string { return snapshotPrefix + uuid }

// IsSnapshot reports whether a shard is one of existing items.
func IsSnapshot(shard string) bool { return strings.HasPrefix(shard, snapshotPrefix) }

// SnapshotOf is the mapping to which a shard of existing items belongs; false for another shard.
func SnapshotOf(shard string) (uuid string, ok bool) { return strings.CutPrefix(shard, snapshotPrefix) }

// withSnapshot puts the mapping's shard of existing items before those of its stream.
func (m *Mapping) withSnapshot(shards []Shard) []Shard {
	if m.Snapshot == nil {
		return shards
	}
	own := Shard{ID: SnapshotShard(m.UUID), Closed: true, Head: m.Snapshot.Last, Records: m.Snapshot.Items}
	return append([]Shard{own}, shards...)
}

// afterSnapshot reports whether a shard waits for the existing items. The caller holds mu.
func (m *running) afterSnapshot(shard string) bool {
	return m.def.Snapshot != nil && !IsSnapshot(shard) && !m.rows[SnapshotShard(m.uuid)].Done
}

// startOf is where a new mapping is to begin by its tags; neither when they do not say.
func (e *Engine) startOf(def Mapping) (at time.Time, snapshot *Snapshot) {
	for _, tags := range e.tagsOf(def) {
		if v, ok := tags[tagStart]; ok {
			if t, ok := parseStart(v); ok {
				at, snapshot = t, nil
				if t.IsZero() {
					snapshot = &Snapshot{}
				}
			}
		}
	}
	return at, snapshot
}
