//go:build plantedbugs

package lane

import "testing"

// The model test must notice each planted bug.
func TestPlantedBugsAreCaught(t *testing.T) {
	defer func() { planted = "" }()
	for _, bug := range []string{bugCheckpointTooFar, bugLateCompletion, bugSharedLane, bugPartialTooFar, bugLostHalf, bugFilterBlind, bugWindowMixed, bugHeldLostInSplit, bugHeldOvertaken} {
		planted = bug
		caught := false
		for seed := uint64(0); seed < 300 && !caught; seed++ {
			if _, err := runModel(seeded(seed), 600); err != nil {
				t.Logf("%s: caught by seed %d: %v", bug, seed, err)
				caught = true
			}
		}
		if !caught {
			t.Errorf("%s was not caught", bug)
		}
	}
}
