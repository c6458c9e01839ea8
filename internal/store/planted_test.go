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

// A witness that nobody asks lets damage of the log pass in silence.
func TestPlantedBlindWitnessIsSeen(t *testing.T) {
	store.PlantedBug = "blind-witness"
	defer func() { store.PlantedBug = "" }()
	for _, name := range []string{"the log cut", "the log missing", "the manifest cut", "a byte of the log"} {
		folder, seen := killed(t, 1, 60_000, 40), false
		for seed := range uint64(20) { // the engine sees some damage of the log by itself
			seen = seen || damageOnce(t, folder, name, 60_000, 40, seed) != nil
		}
		if !seen {
			t.Errorf("%s: not seen", name)
		}
	}
}

// A read that takes damage for absence.
func TestPlantedDamageAsAbsenceIsSeen(t *testing.T) {
	store.PlantedBug = "damage-is-absence"
	defer func() { store.PlantedBug = "" }()
	folder := killed(t, 1, 500, 600)
	for seed := range uint64(20) {
		if err := damageOnce(t, folder, "a byte of a table", 500, 600, seed); err != nil {
			return
		}
	}
	t.Fatal("not seen")
}

// A witness that is ahead of the disk cries out after crashes that lost nothing.
func TestPlantedEarlyWitnessIsSeen(t *testing.T) {
	store.PlantedBug = "note-before-sync"
	defer func() { store.PlantedBug = "" }()
	for seed := range 200 {
		if err := crashes(t, uint64(seed), 8, store.Sync); err != nil {
			if !errors.Is(err, store.ErrDamaged) {
				t.Fatal(err)
			}
			return
		}
	}
	t.Fatal("no false alarm was seen although the witness runs ahead")
}

// Reads that take what is in quarantine for absent, and ranges that are taken out without
// a look at what the engine finds at their edges.
func TestPlantedQuarantineIsSeen(t *testing.T) {
	defer func() { store.PlantedBug = "" }()
	for _, bug := range []string{"quarantine-is-absence", "blind-edge"} {
		t.Run(bug, bubble(func(t *testing.T) {
			store.PlantedBug = bug
			folder := killed(t, 1, 20_000, 60)
			for seed := range uint64(10) {
				if _, err := quarantineOnce(t, folder, 20_000, 60, seed); err != nil {
					return
				}
			}
			t.Fatal("not seen")
		}))
	}
}

// A change that is handed out before the log is synced could be in a copy, and not in what this database recovers.
func TestPlantedEarlyChangesAreSeen(t *testing.T) {
	store.PlantedBug = "changes-early"
	defer func() { store.PlantedBug = "" }()
	if !early(t) {
		t.Error("not seen")
	}
}

// Changes that come before their predecessors and are forgotten, and ones that are asked for only once the engine has let go of them.
func TestPlantedLostChangesAreSeen(t *testing.T) {
	defer func() { store.PlantedBug = "" }()
	for _, bug := range []string{"early-forgotten", "repr-late"} {
		t.Run(bug, func(t *testing.T) {
			store.PlantedBug = bug
			for range 400 { // a tenth of them or so meet it, less on a machine with nothing else to do
				if err := allTaken(t); err != nil {
					return
				}
			}
			t.Fatal("not seen")
		})
	}
}

// A copy of the log as it is while it is written, without a sync behind it.
func TestPlantedCopyAheadIsSeen(t *testing.T) {
	store.PlantedBug = "copy-ahead"
	defer func() { store.PlantedBug = "" }()
	if err := copyAhead(t); err == nil {
		t.Error("not seen")
	}
}
