//go:build plantedbugs

package keep

import (
	"testing"
	"testing/synctest"

	"github.com/millstreamdb/millstream/internal/table"
)

// TestPlantedPastIsCaught plants each bug of recovery logs and restores in turn, and asserts that the test of the past finds it.
func TestPlantedPastIsCaught(t *testing.T) {
	if table.PlantedBug != "" {
		t.Skip("a bug was planted from outside")
	}
	defer func() { table.PlantedBug = "" }()
	for _, bug := range []string{"undo-oldest", "undo-late", "undo-one", "undo-expired", "moments-fall", "past-kept", "deleted-empty"} {
		t.Run(bug, func(t *testing.T) {
			table.PlantedBug = bug
			caught := false
			for seed := uint64(0); seed < 20 && !caught; seed++ {
				synctest.Test(t, func(t *testing.T) {
					n, err := pastRound(t, seed, 35)
					if caught = err != nil; caught {
						t.Logf("caught with seed %d, after %d moments", seed, n)
					}
				})
			}
			if !caught {
				t.Fatal("700 moments did not show the bug: the detector is blind")
			}
		})
	}
}
