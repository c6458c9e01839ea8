package trigger

import (
	"testing"

	"github.com/millstreamdb/millstream/internal/backend"
	"github.com/millstreamdb/millstream/internal/trigger/lane"
	"github.com/millstreamdb/millstream/internal/trigger/mapping"
)

// A trigger that began with existing items goes on behind them when their row is gone, since they have been read then; not while the row says that some are left.
func TestItemsWhoseRowIsGoneHaveBeenRead(t *testing.T) {
	m := &running{uuid: "u", def: mapping.Definition{UUID: "u", Generation: 3, Snapshot: &mapping.Snapshot{}}}
	items := backend.SnapshotShard("u")
	for _, row := range []struct {
		rows  map[string]lane.Checkpoint
		waits bool
	}{
		{map[string]lane.Checkpoint{"s": {}}, false},
		{map[string]lane.Checkpoint{"s": {}, items: {Generation: 3}}, true},
		{map[string]lane.Checkpoint{"s": {}, items: {Generation: 3, Done: true}}, false},
	} {
		m.afterOlder(row.rows)
		if m.rows = row.rows; m.afterSnapshot("s") != row.waits {
			t.Errorf("%+v: the stream's shards wait: %v", row.rows, !row.waits)
		}
	}
	m.def.Snapshot = nil
	rows := map[string]lane.Checkpoint{"s": {}}
	if m.afterOlder(rows); len(rows) != 1 {
		t.Errorf("a trigger without them has %+v", rows)
	}
}
