//go:build plantedbugs

package trigger

import "testing"

// The test of moves must notice that machines of before a move go on.
func TestPlantedMoveIsCaught(t *testing.T) {
	PlantedBug, lenient = "moved-late", true
	defer func() { PlantedBug, lenient = "", false }()
	for seed := range uint64(100) {
		if err := runMoves(t, seed); err != nil {
			t.Logf("caught by seed %d: %v", seed, err)
			return
		}
	}
	t.Error("it was not caught")
}
