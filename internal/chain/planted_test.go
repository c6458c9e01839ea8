//go:build plantedbugs

package chain

import (
	"math/rand/v2"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/millstreamdb/millstream/internal/backup"
	"github.com/millstreamdb/millstream/internal/store"
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

// A run that goes on as if nothing had been written since the last segment.
func TestPlantedGapIsSeen(t *testing.T) {
	PlantedBug = "gap-is-none"
	defer func() { PlantedBug = "" }()
	synctest.Test(t, func(t *testing.T) {
		place := newFaulty(1)
		dir := filepath.Join(t.TempDir(), "data")
		l := begin(t, dir, place, nil)
		l.write(0, 1)
		l.shipped()
		_ = l.end()
		s, err := store.Open(store.Options{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		without := &life{t: t, store: s, begun: l.begun, acked: l.acked}
		without.write(1, 1)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		l = begin(t, dir, place, without)
		l.write(2, 1)
		l.shipped()
		_ = l.end()
		if _, err := Restore(t.Context(), place, time.Time{}, filepath.Join(t.TempDir(), "restored"), backup.Options{}); err == nil {
			t.Error("not seen")
		}
	})
}
