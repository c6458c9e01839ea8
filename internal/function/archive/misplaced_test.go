package archive

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A folder that was zipped, and not what is in it, is seen; a package that is as it should be is not.
func TestMisplaced(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"code/index.js", "code/app.py", "top.js", "code/top.js"} {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct{ runtime, handler, want string }{
		{"nodejs22.x", "index.handler", "the package has code/index.js, and Handler index.handler asks for index at its top."},
		{"python3.12", "app.handler", "the package has code/app.py, and"},
		{"nodejs22.x", "top.handler", ""},
		{"nodejs22.x", "code/index.handler", ""},
		{"python3.12", "code.app.handler", ""},
		{"nodejs22.x", "nowhere.handler", ""},
		{"nodejs22.x", "[.handler", ""},
		{"provided.al2023", "bootstrap", ""},
	} {
		if got := Misplaced(c.runtime, c.handler, dir); !strings.HasPrefix(got, c.want) || c.want == "" && got != "" {
			t.Errorf("%s %s: %q", c.runtime, c.handler, got)
		}
	}
}
