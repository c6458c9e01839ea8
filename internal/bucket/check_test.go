package bucket

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// TestCheck: an object that is not what was put is found, be it in its content or its end; a folder without buckets is whole.
func TestCheck(t *testing.T) {
	dir := t.TempDir()
	if n, faults, err := Check(t.Context(), dir); n != 0 || faults != nil || err != nil {
		t.Errorf("an empty folder: %d, %v, %v", n, faults, err)
	}
	s := open(t, dir)
	if err := errors.Join(s.Create("", "things"), s.Put("things", "k", []byte("content")), s.Put("things", "other", nil)); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, objectsDir, "things", ".DS_Store"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if n, faults, err := Check(t.Context(), dir); n != 2 || faults != nil || err != nil {
		t.Errorf("whole objects: %d, %v, %v", n, faults, err)
	}
	at := filepath.Join(dir, place("things", "k"))
	whole, err := os.ReadFile(at)
	if err != nil {
		t.Fatal(err)
	}
	for i := range whole {
		text := slices.Clone(whole)
		text[i] ^= 1
		if err := os.WriteFile(at, text, 0o600); err != nil {
			t.Fatal(err)
		}
		if n, faults, err := Check(t.Context(), dir); n != 2 || len(faults) != 1 || err != nil {
			t.Errorf("with byte %d changed: %d, %v, %v", i, n, faults, err)
		}
	}
}
