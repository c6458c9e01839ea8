package process

import (
	"os"
	"path/filepath"
	"strings"

	"github.com/millstreamdb/millstream/internal/function/runner"
)

// A function's layers lie in folders of their own here, where AWS unpacks one over the
// other into /opt: what a later layer has hides what an earlier one has. So the folders are
// searched from the last layer to the first, wherever AWS searches a folder of /opt.

// inLayers returns the folders of that name in a function's layers that are there, the
// last layer's first.
func inLayers(s *runner.Spec, name ...string) (folders []string) {
	for i := len(s.Layers) - 1; i >= 0; i-- {
		folder := filepath.Join(append([]string{s.Layers[i]}, name...)...)
		if st, err := os.Stat(folder); err == nil && st.IsDir() {
			folders = append(folders, folder)
		}
	}
	return folders
}

// layerModules are the folders of layers in which Node.js or Python looks for modules.
func layerModules(s *runner.Spec) []string {
	if version, is := strings.CutPrefix(s.Runtime, "nodejs"); is {
		major, _, _ := strings.Cut(version, ".")
		return append(inLayers(s, "nodejs", "node_modules"), inLayers(s, "nodejs", "node"+major, "node_modules")...)
	}
	return append(inLayers(s, "python", "lib", s.Runtime, "site-packages"), inLayers(s, "python")...)
}

// searchPath is a variable of this server's own environment with the folders of layers
// behind it.
func searchPath(value string, s *runner.Spec, folder string) string {
	for _, f := range inLayers(s, folder) {
		if value != "" {
			value += string(os.PathListSeparator)
		}
		value += f
	}
	return value
}
