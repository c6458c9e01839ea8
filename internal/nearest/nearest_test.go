package nearest

import "testing"

func TestWord(t *testing.T) {
	known := []string{"block-shard", "block-key", "park", "TRIM_HORIZON", "LATEST", "ls", "show", "index.handler"}
	for typed, want := range map[string]string{
		"blockkey": "block-key", "block_key": "block-key", "prak": "park", "LATST": "LATEST", "latest": "LATEST",
		"lst": "ls", "shwo": "show", "indx.handler": "index.handler", "trimhorizon": "TRIM_HORIZON",
		"": "", "yes": "", "zebra": "", "x": "",
	} {
		if got := Word(typed, known); got != want {
			t.Errorf("%q: %q, want %q", typed, got, want)
		}
	}
	if got := Hint("prak", known); got != "; did you mean park?" {
		t.Error(got)
	}
	if got := Hint("zebra", known); got != "" {
		t.Error(got)
	}
}
