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

// A restored folder that takes a place over whatever its server has said there goes on beside the standby that does.
func TestPlantedBlindClaimIsSeen(t *testing.T) {
	PlantedBug = "blind-claim"
	defer func() { PlantedBug = "" }()
	synctest.Test(t, func(t *testing.T) {
		place := newFaulty(1)
		dir, life := restoredBehindOne(t, place)
		if err := refusedBehindOne(t, dir, place, life); err == nil {
			t.Error("not seen: it is refused")
		}
	})
}

// A server that answers after it has said that it is over has acknowledged writes that the other one lacks.
func TestPlantedLateEndIsSeen(t *testing.T) {
	PlantedBug = "late-end"
	defer func() { PlantedBug = "" }()
	synctest.Test(t, func(t *testing.T) {
		l := feed(t, filepath.Join(t.TempDir(), "data"), nil, 0)
		way := &link{r: rand.New(rand.NewPCG(1, 1)), t: t, to: l}
		s := followServer(t, filepath.Join(t.TempDir(), "standby"), way)
		s.follows()
		dir, _ := s.promoteAs(false)
		if !l.try(0, 1) || has(t, dir)[0] != 0 {
			t.Error("not seen: the old one answers no more")
		}
		_ = l.end()
	})
}

// A standby that takes what an older folder has for newer loses what only it had.
func TestPlantedTrustIsSeen(t *testing.T) {
	PlantedBug = "trust"
	defer func() { PlantedBug = "" }()
	synctest.Test(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(1, 1))
		l := feed(t, filepath.Join(t.TempDir(), "data"), nil, 0)
		way := &link{r: r, t: t, to: l}
		s := followServer(t, filepath.Join(t.TempDir(), "standby"), way)
		s.follows()
		synctest.Wait()
		older := snapshot(t, l.dir)
		l.busy(2, r)
		s.follows()
		_ = l.end()
		back := feed(t, older, nil, 0)
		way.lead(back)
		s.follows()
		dir, _ := s.promoteAs(true)
		if has(t, dir)[0] != 0 {
			t.Error("not seen: the standby has kept what it had")
		}
		_ = back.end()
	})
}
