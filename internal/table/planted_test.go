//go:build plantedbugs

package table

import (
	"strings"
	"testing"

	"github.com/millstreamdb/millstream/internal/store"
	"github.com/millstreamdb/millstream/internal/table/appends"
)

// TestPlantedSweepIsCaught plants the bug of the sweeper.
func TestPlantedSweepIsCaught(t *testing.T) {
	if PlantedBug != "" {
		t.Skip("a bug was planted from outside")
	}
	PlantedBug = "sweep-unchecked"
	defer func() { PlantedBug = "" }()
	w := newWorld(t)
	w.createTable(t, "tab", 1, "")
	if err := w.setTimeToLive(t, "tab", true, "t"); err != nil {
		t.Fatal(err)
	}
	for i := range 20000 {
		if err := extendUnderSweep(w, i); err != nil {
			t.Logf("caught in round %d: %v", i, err)
			return
		}
	}
	t.Fatal("20,000 extended items did not show the bug: the detector is blind")
}

// TestPlantedBugsAreCaught plants each bug in turn and asserts that the crash test
// finds it.
func TestPlantedBugsAreCaught(t *testing.T) {
	if PlantedBug != "" {
		t.Skip("a bug was planted from outside")
	}
	for _, bug := range []string{"answer-early", "scan-early", "show-early", "stamp-late", "record-apart", "torn-transaction", "replay-early", "read-unlocked", "split-unlocked", "undo-apart", "undo-torn"} {
		t.Run(bug, func(t *testing.T) {
			PlantedBug = bug
			defer func() { PlantedBug = "" }()
			for round := range 2000 {
				if err := crashRound(uint64(round), 1, 8, 20, store.Sync); err != nil {
					t.Logf("caught in round %d: %v", round, err)
					return
				}
			}
			t.Fatal("40,000 crashes did not show the bug: the detector is blind")
		})
	}
}

// TestPlantedTornTransactionMakesACircle: with a transaction in two batches, histories of appends have circles.
func TestPlantedTornTransactionMakesACircle(t *testing.T) {
	if PlantedBug != "" {
		t.Skip("a bug was planted from outside")
	}
	PlantedBug = "torn-transaction"
	defer func() { PlantedBug = "" }()
	for seed := range uint64(20) {
		for _, a := range appends.Check(appendHistory(t, seed, 1, 400)) {
			if strings.HasPrefix(a.Kind, "G") {
				t.Logf("caught with seed %d: %v", seed, a)
				return
			}
		}
	}
	t.Fatal("8,000 transactions did not show the bug: the detector is blind")
}

// TestPlantedIndexBugsAreCaught plants the bugs of indexes.
func TestPlantedIndexBugsAreCaught(t *testing.T) {
	if PlantedBug != "" {
		t.Skip("a bug was planted from outside")
	}
	for _, bug := range []string{"entry-apart", "fill-unlocked"} {
		t.Run(bug, func(t *testing.T) {
			PlantedBug = bug
			defer func() { PlantedBug = "" }()
			for round := range 400 {
				if err := indexRound(uint64(round), 60); err != nil {
					t.Logf("caught in round %d: %v", round, err)
					return
				}
			}
			t.Fatal("400 rounds did not show the bug: the detector is blind")
		})
	}
}
