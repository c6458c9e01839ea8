package tools

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestGuides runs the pages of docs/guides as a person would who begins in an empty folder:
// files, commands, and what the page says that is printed.
func TestGuides(t *testing.T) {
	needs := map[string][]string{ // of the pages whose functions are not in Go
		"typescript": {"node"}, "python": {"python3"}, "time": {"python3"}, "poison": {"python3"}, "exactly-once": {"python3"},
		"moving": {"python3"}, "dynamodb-local": {"python3"}, "localstack": {"python3"},
	}
	pages, err := filepath.Glob(filepath.Join("..", "..", "docs", "guides", "*.md"))
	if err != nil || len(pages) == 0 {
		t.Fatal("no pages", err)
	}
	for _, file := range pages {
		name := strings.TrimSuffix(filepath.Base(file), ".md")
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := prepare(t, newProject, needs[name]...)
			p.standInForGet()
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			p.page(string(text), func() {})
		})
	}
}

// standInForGet puts a program `go` before Go's own, by which `go get` of the module under
// test takes it from this checkout. Everything else it leaves to Go.
func (p *project) standInForGet() {
	p.t.Helper()
	own, err := exec.LookPath("go")
	if err != nil {
		p.t.Fatal(err)
	}
	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		p.t.Fatal(err)
	}
	const module = "github.com/millstreamdb/millstream"
	dir := p.t.TempDir()
	script := `#!/bin/sh
set -e
if [ "$*" = "get ` + module + `" ]; then
	name=$(awk '$1 == "module" { print $2 }' go.mod)
	sed "s|^module .*|module $name|" '` + root + `/go.mod' >go.mod
	cp '` + root + `/go.sum' go.sum
	exec '` + own + `' mod edit -require=` + module + `@v0.0.0 -replace=` + module + `='` + root + `'
fi
exec '` + own + `' "$@"
`
	if err := os.WriteFile(filepath.Join(dir, "go"), []byte(script), 0o700); err != nil {
		p.t.Fatal(err)
	}
	for i, kv := range p.env { // the last one counts
		if path, ok := strings.CutPrefix(kv, "PATH="); ok {
			p.env[i] = "PATH=" + dir + ":" + path
		}
	}
	p.env = append(p.env, "GOPROXY=off", "GOFLAGS=-mod=mod")
}
