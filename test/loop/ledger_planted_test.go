//go:build plantedbugs

package loop

import (
	"testing"
	"testing/synctest"

	"github.com/millstreamdb/millstream/internal/trigger"
)

// The ledger must not add up when returned writes are made apart from the position.
func TestPlantedLedgerBugIsCaught(t *testing.T) {
	trigger.PlantedBug = "transact-apart"
	defer func() { trigger.PlantedBug = "" }()
	for seed := range uint64(20) {
		var err error
		synctest.Test(t, func(*testing.T) { _, _, _, err = ledgerRound(seed) })
		if err != nil {
			t.Logf("caught by seed %d: %v", seed, err)
			return
		}
	}
	t.Error("20 rounds did not show the bug: the detector is blind")
}
