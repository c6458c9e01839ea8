//go:build plantedbugs

package backup

import "testing"

// Run with -tags plantedbugs. A manifest that is there before what it names: a backup that is cut is listed.
func TestPlantedEarlyManifestIsSeen(t *testing.T) {
	PlantedBug = "manifest-first"
	defer func() { PlantedBug = "" }()
	if err := cutBackups(t); err == nil {
		t.Error("not seen")
	}
}
