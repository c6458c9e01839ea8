package store

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// TestPacedReads: over all files together no more is read than the rate says, and what was not read before is not made up for.
func TestPacedReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem := vfs.NewMem()
		f := pacedFS{mem, &pace{rate: 100_000}}
		if err := writeFile(mem, "", "file", make([]byte, 500_000)); err != nil {
			t.Fatal(err)
		}
		read := func() time.Duration {
			began := time.Now()
			for range 2 {
				text, err := readFile(f, "file")
				if err != nil || len(text) != 500_000 {
					t.Fatal(len(text), err)
				}
			}
			return time.Since(began)
		}
		if took := read(); took < 9*time.Second || took > 11*time.Second {
			t.Errorf("a million bytes took %s", took)
		}
		time.Sleep(time.Minute)
		if took := read(); took < 9*time.Second {
			t.Errorf("after a pause a million bytes took %s", took)
		}
	})
}
