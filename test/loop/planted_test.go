//go:build plantedbugs

package loop

import (
	"testing"

	"github.com/millstreamdb/millstream/internal/store"
	"github.com/millstreamdb/millstream/internal/table"
	"github.com/millstreamdb/millstream/internal/trigger/lane"
)

// TestPlantedBugsAreCaught plants a bug in each room of the loop in turn, and
// asserts that the crash test of the whole finds it.
func TestPlantedBugsAreCaught(t *testing.T) {
	if store.PlantedBug != "" || table.PlantedBug != "" {
		t.Skip("a bug was planted from outside")
	}
	inStore := func(bug string) { store.PlantedBug = bug }
	inLane := func(bug string) { lane.PlantedBug = bug }
	inTable := func(bug string) { table.PlantedBug = bug }
	for _, c := range []struct {
		plant func(string)
		bug   string
	}{
		{inStore, "sync-does-nothing"},
		{inTable, "show-early"},
		{inTable, "record-apart"},
		{inLane, "checkpoint-too-far"},
		{inLane, "late-completion"},
		{inLane, "shared-lane"},
	} {
		t.Run(c.bug, func(t *testing.T) {
			c.plant(c.bug)
			defer c.plant("")
			if caught(t, 300, plan{shards: 1}) == nil {
				t.Fatal("300 rounds did not show the bug: the detector is blind")
			}
		})
	}
}
