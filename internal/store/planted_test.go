//go:build plantedbugs

package store_test

import (
	"errors"
	"testing"

	"github.com/millstreamdb/millstream/internal/store"
)

// Run with -tags plantedbugs: the detector of P1 must fire on a Sync that does
// nothing.
func TestPlantedSyncThatDoesNothingIsSeen(t *testing.T) {
	store.PlantedBug = "sync-does-nothing"
	defer func() { store.PlantedBug = "" }()
	for seed := range 50 {
		if err := crashes(t, uint64(seed), 8, store.Sync); err != nil {
			if !errors.Is(err, errLost) {
				t.Fatal(err)
			}
			return
		}
	}
	t.Fatal("no loss was seen although Sync does nothing")
}
