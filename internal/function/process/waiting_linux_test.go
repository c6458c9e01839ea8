package process

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/millstreamdb/millstream/internal/function/runner"
)

// What a function has forked, without another program, has the variables with which its interpreter began to wait. It ends with its function all
// the same, and not before, though an older function lives.
func TestForksOfWhatHasWaitedEnd(t *testing.T) {
	if _, err := exec.LookPath("python3"); err != nil {
		t.Skip("python3 is not in PATH")
	}
	AdoptOrphans()
	p := newPool(t, "", func(_ *Options, s *runner.Spec) {
		s.Runtime, s.Handler, s.Timeout = "python3.12", "index.handler", 30e9
		write(t, filepath.Join(s.CodeDir, "index.py"), `
import os, time
def handler(event, context):
    r, w = os.pipe()
    first = os.fork()
    if first == 0:
        os.setsid()
        pid = os.fork()
        if pid == 0:
            os.closerange(0, 100)
            time.sleep(1000)
        os.write(w, b"%d" % pid)
        os._exit(0)
    os.waitpid(first, 0)
    return int(os.read(r, 20))
`)
	})
	if r := call(t, p); r.Status != runner.OK { // an older one, which lives
		t.Fatalf("%s: %s\n%s", r.Err, r.Payload, r.LogTail)
	}
	// The shim was written just now, for which an interpreter that has looked at it begins anew once it is told what to run.
	if past := time.Now().Add(-time.Minute); os.Chtimes(p.host.opts.ShimDir, past, past) != nil {
		t.Fatal("the time of the shim's folder cannot be set")
	}
	w := p.host.waiters
	w.prepare(w.kinds["python"])
	waits := w.kinds["python"].ready
	other := p.host.NewPool(p.spec, 1, p.log)
	r := call(t, other)
	pid, err := strconv.Atoi(string(r.Payload))
	if err != nil {
		t.Fatalf("%s: %s\n%s", r.Err, r.Payload, r.LogTail)
	}
	there := func() bool { // one that is ending has no variables any more
		env, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/environ")
		return strings.Contains(string(env), waits.token)
	}
	orphans.sweep()
	if !there() {
		t.Error("the fork is none of what has waited, or has ended before its function")
	}
	other.Kill()
	if there() {
		t.Error("the fork has outlived its function")
	}
}
