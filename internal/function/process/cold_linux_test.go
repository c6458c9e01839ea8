package process

import (
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/millstreamdb/millstream/internal/function/logs"
	"github.com/millstreamdb/millstream/internal/function/runner"
	"github.com/millstreamdb/millstream/internal/schema"
)

// TestColdStarts tells what a sandbox adds to the first call of an environment and to a warm one, in pairs. It is no test of anything, since
// that is the machine's: MILLSTREAM_COLD says how many pairs.
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
	host := func() *Host {
		return NewHost(Options{
			ShimDir: t.TempDir(), Endpoint: func() string { return "" }, Credentials: func(schema.Scope) Credentials { return Credentials{} },
			InitLimit: time.Minute, IdleTimeout: time.Minute, Now: time.Now, Logger: slog.New(slog.DiscardHandler),
		})
	}
	plain, box := host(), host()
	box.spares = &spares{machine: m, spawner: box.spawner}
	defer plain.Close()
	defer box.Close()
	for _, c := range []struct{ runtime, program, file, code string }{
		{"python3.12", "python3", "index.py", "def handler(event, context):\n    return 1\n"},
		{"nodejs22.x", "node", "index.mjs", "export const handler = async () => 1\n"},
	} {
		if _, err := exec.LookPath(c.program); err != nil {
			continue
		}
		dir := t.TempDir()
		write(t, filepath.Join(dir, c.file), c.code)
		start := func(h *Host) (cold, warm time.Duration) {
			p := h.NewPool(runner.Spec{Name: "f", Runtime: c.runtime, Handler: "index.handler", CodeDir: dir, Timeout: time.Minute, MemoryMB: 128}, 1, sink.Log(schema.Scope{}, "f"))
			defer p.Kill()
			began := time.Now()
			if r := call(t, p); r.Status != runner.OK {
				t.Fatalf("%s: %s", r.Err, r.LogTail)
			}
			cold = time.Since(began)
			began = time.Now()
			for range 20 {
				call(t, p)
			}
			return cold, time.Since(began) / 20
		}
		waits := func() bool {
			box.spares.mu.Lock()
			defer box.spares.mu.Unlock()
			return box.spares.ready != nil
		}
		least := map[string]time.Duration{}
		colds, warms := map[string][]time.Duration{}, map[string][]time.Duration{}
		for range pairs {
			took := map[string][2]time.Duration{}
			note := func(kind string, cold, warm time.Duration) {
				took[kind] = [2]time.Duration{cold, warm}
				if is, ok := least[kind]; !ok || cold < is {
					least[kind] = cold
				}
			}
			cold, warm := start(plain)
			note("plain", cold, warm)
			for !waits() && len(colds["none"]) > 0 {
				time.Sleep(10 * time.Millisecond)
			}
			time.Sleep(100 * time.Millisecond) // it is on its ground
			cold, warm = start(box)
			note("waited", cold, warm)
			box.spares.mu.Lock()
			b := box.spares.ready
			box.spares.ready = nil
			box.spares.mu.Unlock()
			if b != nil {
				b.end()
			}
			cold, warm = start(box)
			note("none", cold, warm)
			for kind, is := range took {
				colds[kind] = append(colds[kind], is[0]-took["plain"][0])
				warms[kind] = append(warms[kind], is[1]-took["plain"][1])
			}
			colds["of plain"] = append(colds["of plain"], took["plain"][0])
			warms["of plain"] = append(warms["of plain"], took["plain"][1])
		}
		for _, kind := range []string{"of plain", "waited", "none"} {
			middle := func(d []time.Duration) time.Duration {
				slices.Sort(d)
				return d[len(d)/2].Round(10 * time.Microsecond)
			}
			t.Logf("%s, %s: cold %v, warm %v (medians of %d; of pairs but for the first)", c.runtime, kind, middle(colds[kind]), middle(warms[kind]), pairs)
		}
		t.Logf("%s: the quickest plain, waited, none: %v, %v, %v", c.runtime, least["plain"], least["waited"], least["none"])
	}
}
