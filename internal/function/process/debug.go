package process

import (
	"errors"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/millstreamdb/millstream/internal/function/runner"
)

// patience stands for no timeout.
const patience = 24 * time.Hour

// Where debuggers are attached: the customary ports.
const (
	NodeDebugger   = "127.0.0.1:9229"
	PythonDebugger = "127.0.0.1:5678"
)

// debugs reports whether a function is to be run under a debugger: it is named, or is what a template has made of that
// name (STACK-NAME or STACK-NAME-...).
func (h *Host) debugs(s *runner.Spec) bool {
	d := h.opts.Debug
	return d != "" && (s.Name == d || strings.HasSuffix(s.Name, "-"+d) || strings.Contains(s.Name, "-"+d+"-"))
}

// underDebugger changes how a function is started.
func underDebugger(c command, s *runner.Spec) (command, error) {
	interpreter, shim := c.args[:len(c.args)-1], c.args[len(c.args)-1]
	switch {
	case strings.HasPrefix(s.Runtime, "nodejs"):
		c.args = append(append([]string(nil), interpreter...), "--inspect="+NodeDebugger, "--enable-source-maps", shim)
	case strings.HasPrefix(s.Runtime, "python"):
		if err := exec.Command(c.path, "-c", "import debugpy").Run(); err != nil {
			return command{}, errors.New("debugging a Python function takes debugpy: " + filepath.Base(c.path) + " -m pip install debugpy")
		}
		c.args = append(append([]string(nil), interpreter...), "-Xfrozen_modules=off", "-m", "debugpy", "--listen", PythonDebugger, shim)
	}
	return c, nil
}
