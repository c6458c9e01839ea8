//go:build plantedbugs

package chain

import (
	"math/rand/v2"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"
)

// Run with -tags plantedbugs. A segment that is put over another's: both of two owners believe that they ship.
func TestPlantedPlainPutIsSeen(t *testing.T) {
	PlantedBug = "plain-put"
	defer func() { PlantedBug = "" }()
	synctest.Test(t, func(t *testing.T) {
		place, r := newFaulty(1), rand.New(rand.NewPCG(1, 1))
		first := begin(t, filepath.Join(t.TempDir(), "data"), place, nil)
		first.busy(3, r)
		first.shipped()
		second := begin(t, snapshot(t, first.dir), place, first)
		second.busy(3, r)
		second.shipped()
		first.write(0, 1)
		time.Sleep(time.Minute)
		if lag := first.shipper.Status().Lag; lag != 0 {
			t.Errorf("not seen: the first is %f seconds behind", lag)
		}
		_, _ = first.end(), second.end()
	})
}

// An owner that looks for no floor believes in a put whose number another had taken, and removed.
func TestPlantedBlindOwnerIsSeen(t *testing.T) {
	PlantedBug = "no-floor"
	defer func() { PlantedBug = "" }()
	synctest.Test(t, func(t *testing.T) {
		if _, counts, backs, _, err := stalled(t); err != nil || !counts || !backs {
			t.Errorf("not seen: %v, it counts as shipped: %v, it puts backups: %v", err, counts, backs)
		}
	})
}

// A restore that looks for no floor takes a segment that was removed for the chain's end.
func TestPlantedBlindRestoreIsSeen(t *testing.T) {
	PlantedBug = "no-floor"
	defer func() { PlantedBug = "" }()
	synctest.Test(t, func(t *testing.T) {
		if err := overtaken(t); err != nil {
			t.Error("not seen:", err)
		}
	})
}
