//go:build plantedbugs

package lane

import "testing"

// The model test must notice each planted bug.
func TestPlantedBugsAreCaught(t *testing.T) {
	defer func() { PlantedBug = "" }()
	for _, bug := range []string{
		"checkpoint-too-far", "late-completion", "shared-lane", "partial-too-far", "lost-half", "filter-blind", "window-mixed", "held-lost-in-split", "held-overtaken",
	} {
		PlantedBug = bug
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
