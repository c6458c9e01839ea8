package main

import "testing"

// Each sure fact has a case, and of each other one it is said what was chosen.
func TestEveryFactHasACase(t *testing.T) {
	missing, err := list([]string{"..", "../" + own}, false)
	if err != nil || missing > 0 {
		t.Errorf("%d facts have no case (%v): go run ./facts lists them", missing, err)
	}
}
