package archive

import (
	"os"
	"path/filepath"
	"strings"
)

// Misplaced says that the file of a Handler lies one folder deeper in an unpacked package than it is looked for, as when a folder was
// zipped and not what is in it; "" otherwise.
func Misplaced(runtime, handler, folder string) string {
	var endings []string
	i := strings.LastIndexByte(handler, '.')
	if i <= 0 || strings.HasPrefix(handler, "/") {
		return ""
	}
	module := handler[:i]
	switch {
	case strings.HasPrefix(runtime, "nodejs"):
		endings = []string{".js", ".mjs", ".cjs"}
	case strings.HasPrefix(runtime, "python"):
		module, endings = strings.ReplaceAll(module, ".", "/"), []string{".py", "/__init__.py"}
	case strings.HasPrefix(runtime, "ruby"):
		endings = []string{".rb"}
	default:
		return ""
	}
	deeper := ""
	for _, ending := range endings {
		if _, err := os.Stat(filepath.Join(folder, module+ending)); err == nil {
			return ""
		}
		if found, err := filepath.Glob(filepath.Join(folder, "*", module+ending)); err == nil && len(found) > 0 && deeper == "" {
			deeper = found[0]
		}
	}
	if name, err := filepath.Rel(folder, deeper); err == nil && deeper != "" {
		return "the package has " + filepath.ToSlash(name) + ", and Handler " + handler + " asks for " + module + " at its top. Zip what is in the folder, not the folder itself."
	}
	return ""
}
