package process

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// The files of a language are written once, whatever its runtimes: those of the first may be starting from them.
func TestShimsAreWrittenOnce(t *testing.T) {
	for _, c := range []struct{ program, first, second, file string }{
		{"node", "nodejs22.x", "nodejs24.x", "node/errors.mjs"}, {"python3", "python3.12", "python3.13", "python.py"},
	} {
		t.Run(c.program, func(t *testing.T) {
			if _, err := exec.LookPath(c.program); err != nil {
				t.Skip(c.program + " is not in PATH")
			}
			i := &interpreters{dir: t.TempDir()}
			if _, err := i.find(c.first); err != nil {
				t.Fatal(err)
			}
			const mark = "not touched"
			if err := os.WriteFile(filepath.Join(i.dir, c.file), []byte(mark), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := i.find(c.second); err != nil {
				t.Fatal(err)
			}
			if got, err := os.ReadFile(filepath.Join(i.dir, c.file)); err != nil || string(got) != mark {
				t.Errorf("%s was written again: %v", c.file, err)
			}
		})
	}
}
