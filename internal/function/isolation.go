package function

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/millstreamdb/millstream/internal/function/sandbox"
)

// isolation is what runs functions by Options.Isolation; nil: processes of this program's user. folder is made, and tried with.
func (s *Service) isolation(folder string) (*sandbox.Machine, error) {
	mode := s.opts.Isolation
	switch mode {
	case "", "process":
		return nil, nil
	case "sandbox", "require":
	default:
		return nil, fmt.Errorf("function: isolation %q: want process, sandbox or require", mode)
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, fmt.Errorf("function: make the folder of the shims: %w", err)
	}
	machine, missing := sandbox.Look(folder)
	if mode == "require" && len(missing) > 0 {
		return nil, fmt.Errorf("function: --isolation require: this machine lacks %s", strings.Join(missing, "; "))
	}
	if machine == nil {
		s.opts.Logger.Error("functions run as processes of this server's user, without a sandbox", "missing", strings.Join(missing, "; "))
		return nil, nil
	}
	for _, m := range missing {
		s.opts.Logger.Warn("the sandbox of functions is without a part of its own", "missing", m)
	}
	return machine, nil
}

// hidden are the folders that no function may be shown: the server's data, and where code lies when there are none.
func hidden(folders ...string) (all []string) {
	for _, f := range folders {
		if abs, err := filepath.Abs(f); f != "" && err == nil {
			all = append(all, abs)
		}
	}
	return all
}
