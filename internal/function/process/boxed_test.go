//go:build linux

package process

import (
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/millstreamdb/millstream/internal/function/logs"
	"github.com/millstreamdb/millstream/internal/function/runner"
	"github.com/millstreamdb/millstream/internal/function/sandbox"
	"github.com/millstreamdb/millstream/internal/schema"
)

// machine is what can run functions in a sandbox here; it skips where the kernel refuses.
func machine(t *testing.T) *sandbox.Machine {
	t.Helper()
	m, missing := sandbox.Look(t.TempDir())
	if m == nil {
		t.Skip("no sandbox here: " + strings.Join(missing, "; "))
	}
	return m
}

// boxed has a pool's functions run in a sandbox.
func boxed(m *sandbox.Machine) func(*Options, *runner.Spec) {
	return func(o *Options, s *runner.Spec) { o.Sandbox, s.Timeout = m, time.Minute }
}

// TestRuntimesInASandbox: each runtime of this machine runs there, from the places that AWS has, with a layer and without.
func TestRuntimesInASandbox(t *testing.T) {
	m := machine(t)
	for _, c := range []struct{ runtime, program, file, code, inLayer, text string }{
		{"nodejs22.x", "node", "index.mjs", `import fs from 'node:fs'; import {word} from '/opt/word.mjs';
export const handler = async () => { fs.writeFileSync('/tmp/x', ''); return [process.env.LAMBDA_TASK_ROOT, process.cwd(), process.getuid(), process.env.HOME ?? null, process.env.TMPDIR ?? null, word, import.meta.url].join(' ') }`,
			"word.mjs", `export const word = 'layer'`},
		{"python3.12", "python3", "index.py", `import os, ssl, json, word
def handler(event, context):
    open('/tmp/x', 'w').close()
    return ' '.join(str(x) for x in [os.environ['LAMBDA_TASK_ROOT'], os.getcwd(), os.getuid(), os.environ.get('HOME', ''), os.environ.get('TMPDIR', ''), word.word, 'file://' + __file__])`,
			"python/word.py", `word = 'layer'`},
	} {
		t.Run(c.runtime, func(t *testing.T) {
			if _, err := exec.LookPath(c.program); err != nil {
				t.Skip(c.program + " is not in PATH")
			}
			layer, other := t.TempDir(), t.TempDir()
			p := newPool(t, "", func(o *Options, s *runner.Spec) {
				boxed(m)(o, s)
				s.Runtime, s.Handler, s.Layers = c.runtime, "index.handler", []string{layer, other}
				write(t, filepath.Join(s.CodeDir, c.file), c.code)
				write(t, filepath.Join(layer, c.inLayer), c.text)
			})
			want := `"/var/task /var/task 993   layer file:///var/task/` + c.file + `"`
			for range 2 {
				if r := call(t, p); r.Status != runner.OK || string(r.Payload) != want {
					t.Fatalf("%s answered %s %s, want %s\n%s", c.runtime, r.Err, r.Payload, want, r.LogTail)
				}
			}
		})
	}
}

// TestExtensionsInASandbox: they share one with the function's process, from two layers, and have the same order there.
func TestExtensionsInASandbox(t *testing.T) {
	t.Parallel()
	extensionsInOrder(t, machine(t))
}

// BenchmarkColdStart measures a cold start without one and with one, in turns.
func BenchmarkColdStart(b *testing.B) {
	for _, c := range []struct{ runtime, file, code string }{
		{"provided.al2023", "", ""},
		{"python3.12", "index.py", "def handler(event, context): return 1"},
		{"nodejs22.x", "index.mjs", "export const handler = async () => 1"},
	} {
		b.Run(c.runtime, func(b *testing.B) {
			m, missing := sandbox.Look(b.TempDir())
			if m == nil {
				b.Skip(missing)
			}
			var took [2][]float64
			for b.Loop() {
				for i, m := range []*sandbox.Machine{nil, m} {
					p := benchPool(b, m, c.runtime, c.file, c.code)
					began := time.Now()
					if r := p.Invoke(b.Context(), runner.Call{RequestID: "id", Payload: []byte("{}")}, nil); r.Status != runner.OK {
						b.Fatalf("%s %s", r.Err, r.Payload)
					}
					took[i] = append(took[i], float64(time.Since(began).Microseconds())/1000)
					p.Kill()
					p.host.Close()
				}
			}
			for i := range took {
				slices.Sort(took[i])
			}
			b.ReportMetric(took[0][len(took[0])/2], "ms-process")
			b.ReportMetric(took[1][len(took[1])/2], "ms-sandbox")
		})
	}
}

func benchPool(b *testing.B, m *sandbox.Machine, runtime, file, code string) *Pool {
	dir := b.TempDir()
	if file == "" {
		file, code = "bootstrap", "#!/bin/sh\n"+answering
	}
	if err := os.WriteFile(filepath.Join(dir, file), []byte(code), 0o755); err != nil {
		b.Fatal(err)
	}
	sink, err := logs.Open("", time.Now, nil)
	if err != nil {
		b.Fatal(err)
	}
	h := NewHost(Options{
		ShimDir: b.TempDir(), Endpoint: func() string { return "" }, Credentials: func(schema.Scope) Credentials { return Credentials{} },
		InitLimit: time.Minute, IdleTimeout: time.Minute, Now: time.Now, Logger: slog.New(slog.DiscardHandler), Sandbox: m,
	})
	h.Missing(runtime) // looks for the runtime
	spec := runner.Spec{Name: "f", Runtime: runtime, Handler: "index.handler", CodeDir: dir, Timeout: time.Minute, MemoryMB: 128}
	return h.NewPool(spec, 1, sink.Log(schema.Scope{}, "f"))
}

// answering is a function of as little as can be.
const answering = `
id=$(curl -sS -D - -o /dev/null http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime/invocation/next | tr -d '\r' | sed -n 's/^[Ll]ambda-[Rr]untime-[Aa]ws-[Rr]equest-[Ii]d: //p')
curl -sS -o /dev/null -d 1 http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime/invocation/$id/response
sleep 100
`
