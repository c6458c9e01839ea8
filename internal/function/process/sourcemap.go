package process

import (
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/millstreamdb/millstream/internal/function/runner"
)

// withSourceMaps has Node.js name the lines of the source in errors, when a source map lies beside the file that Handler
// names: who builds one has asked for it. (SAM's build sets NODE_OPTIONS for the same.)
func withSourceMaps(c command, s *runner.Spec) command {
	folder, file := path.Split(s.Handler)
	module, _, _ := strings.Cut(file, ".")
	for _, ext := range []string{".js.map", ".mjs.map", ".cjs.map"} {
		if _, err := os.Stat(filepath.Join(s.CodeDir, filepath.FromSlash(folder+module)+ext)); err == nil {
			last := len(c.args) - 1 // the shim
			c.args = append(append([]string(nil), c.args[:last]...), "--enable-source-maps", c.args[last])
			break
		}
	}
	return c
}
