package process

import (
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/millstreamdb/millstream/internal/function/logs"
	"github.com/millstreamdb/millstream/internal/function/runner"
	"github.com/millstreamdb/millstream/internal/function/sandbox"
	"github.com/millstreamdb/millstream/internal/schema"
)

// TestColdStarts tells how long the first call of an environment takes, and a warm one: as a process and in a sandbox, each with an interpreter that
// waits and without one, and what the sandbox adds, in pairs. It is no test of anything, since that is the machine's: MILLSTREAM_COLD says how many pairs.
func TestColdStarts(t *testing.T) {
	pairs := 1 // which shows that it can be measured
	if text := os.Getenv("MILLSTREAM_COLD"); text != "" {
		var err error
		if pairs, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	m := machine(t)
	sink, err := logs.Open("", time.Now, nil)
	if err != nil {
		t.Fatal(err)
	}
	host := func(m *sandbox.Machine) *Host {
		h := NewHost(Options{
			ShimDir: t.TempDir(), Endpoint: func() string { return "" }, Credentials: func(schema.Scope) Credentials { return Credentials{} },
			InitLimit: time.Minute, IdleTimeout: time.Minute, Now: time.Now, Logger: slog.New(slog.DiscardHandler), Sandbox: m,
		})
		t.Cleanup(h.Close)
		return h
	}
	plain, waiting, box, boxWaiting := host(nil), host(nil), host(m), host(m)
	plain.waiters, box.waiters = nil, nil
	initTook := regexp.MustCompile(`Init Duration: ([0-9.]+) ms`)
	for _, c := range []struct{ language, runtime, program, file, code string }{
		{"python", "python3.12", "python3", "index.py", "def handler(event, context):\n    return 1\n"},
		{"nodejs", "nodejs22.x", "node", "index.mjs", "export const handler = async () => 1\n"},
	} {
		if _, err := exec.LookPath(c.program); err != nil {
			continue
		}
		dir := t.TempDir()
		write(t, filepath.Join(dir, c.file), c.code)
		start := func(h *Host) (cold, init, warm time.Duration) {
			p := h.NewPool(runner.Spec{Name: "f", Runtime: c.runtime, Handler: "index.handler", CodeDir: dir, Timeout: time.Minute, MemoryMB: 128}, 1, sink.Log(schema.Scope{}, "f"))
			defer p.Kill()
			began := time.Now()
			r := p.Invoke(t.Context(), runner.Call{RequestID: "id", Payload: []byte("{}"), Tail: true}, nil)
			if r.Status != runner.OK {
				t.Fatalf("%s: %s", r.Err, r.LogTail)
			}
			cold = time.Since(began)
			ms, err := strconv.ParseFloat(string(append(initTook.FindSubmatch(r.LogTail), nil, nil)[1]), 64)
			if err != nil {
				t.Fatalf("no init in %s", r.LogTail)
			}
			init = time.Duration(ms * float64(time.Millisecond))
			began = time.Now()
			for range 20 {
				call(t, p)
			}
			return cold, init, time.Since(began) / 20
		}
		spare := func() bool {
			box.spares.mu.Lock()
			defer box.spares.mu.Unlock()
			return box.spares.ready != nil
		}
		waits := func(h *Host) func() bool {
			return func() bool {
				h.waiters.mu.Lock()
				defer h.waiters.mu.Unlock()
				k := h.waiters.kinds[c.language]
				return k != nil && k.ready != nil
			}
		}
		colds, inits, warms := map[string][]time.Duration{}, map[string][]time.Duration{}, map[string][]time.Duration{}
		for n := range pairs {
			note := func(kind string, h *Host) {
				cold, init, warm := start(h)
				colds[kind] = append(colds[kind], cold)
				inits[kind] = append(inits[kind], init)
				warms[kind] = append(warms[kind], warm)
			}
			await := func(there func() bool) {
				for n > 0 && !there() {
					time.Sleep(10 * time.Millisecond)
				}
				time.Sleep(200 * time.Millisecond) // it is on its ground, and has loaded its shim
			}
			note("process", plain)
			await(waits(waiting))
			note("process, interpreter waits", waiting)
			await(spare)
			note("sandbox, which waits", box)
			await(waits(boxWaiting))
			note("sandbox, interpreter waits", boxWaiting)
			box.spares.mu.Lock()
			b := box.spares.ready
			box.spares.ready = nil
			box.spares.mu.Unlock()
			if b != nil {
				b.end()
			}
			note("sandbox", box)
		}
		for _, kinds := range [][2]string{
			{"process", "process"}, {"process, interpreter waits", "process"},
			{"sandbox", "process"}, {"sandbox, which waits", "process"}, {"sandbox, interpreter waits", "process, interpreter waits"},
		} {
			kind, beside := kinds[0], kinds[1]
			middle := func(d, beside []time.Duration) time.Duration {
				d = slices.Clone(d)
				for i, b := range beside {
					d[i] -= b
				}
				slices.Sort(d)
				return d[len(d)/2].Round(10 * time.Microsecond)
			}
			t.Logf("%s, %s: init %v, first call %v (quickest %v), warm %v; beside %s %v, %v, %v (medians of %d)", c.runtime, kind,
				middle(inits[kind], nil), middle(colds[kind], nil), slices.Min(colds[kind]).Round(10*time.Microsecond), middle(warms[kind], nil),
				beside, middle(inits[kind], inits[beside]), middle(colds[kind], colds[beside]), middle(warms[kind], warms[beside]), pairs)
		}
	}
}
