package template

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// needsGo reports whether a function's folder holds the source of a program in Go
// that was not built yet.
func (f *function) needsGo() bool {
	if !strings.HasPrefix(f.Runtime, "provided") {
		return false
	}
	if _, err := os.Stat(filepath.Join(f.source, "bootstrap")); err == nil {
		return false
	}
	sources, err := filepath.Glob(filepath.Join(f.source, "*.go"))
	return err == nil && len(sources) > 0
}

// buildGo builds a function's program for this machine, as `sam build` does for
// AWS's. The build is reproducible, so that the same source is the same code.
func (f *function) buildGo(ctx context.Context) (*archive, error) {
	dir, err := os.MkdirTemp("", "millstream-build-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	program := filepath.Join(dir, "bootstrap")
	cmd := exec.CommandContext(ctx, "go", "build", "-buildvcs=false", "-ldflags=-s -w", "-tags=lambda.norpc", "-o", program, ".")
	cmd.Dir = f.source
	cmd.Env = append(os.Environ(), "GOOS=", "GOARCH=")
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("go build in %s: %w\n%s", f.source, err, out)
	}
	return pack([]file{{"bootstrap", 0o755, func() (io.ReadCloser, error) { return os.Open(program) }}})
}
