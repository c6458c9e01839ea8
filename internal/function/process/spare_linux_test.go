package process

import (
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/millstreamdb/millstream/internal/function/runner"
)

// A box that waits is the next environment's. One that has ended meanwhile is no harm, and none is left when the host is closed.
func TestSpares(t *testing.T) {
	m := machine(t)
	if _, err := exec.LookPath("python3"); err != nil {
		t.Skip("python3 is not in PATH")
	}
	p := newPool(t, "", func(o *Options, s *runner.Spec) {
		boxed(m)(o, s)
		s.Runtime, s.Handler = "python3.12", "index.handler"
		write(t, filepath.Join(s.CodeDir, "index.py"), "import os\ndef handler(event, context):\n    return os.getpid()\n")
	})
	h := p.host
	h.waiters = nil // then the box is empty
	ready := func() *spare {
		h.spares.mu.Lock()
		defer h.spares.mu.Unlock()
		return h.spares.ready
	}
	if ready() != nil {
		t.Error("a box waits before there was an environment")
	}
	// again has a process of its own for the next call.
	again := func(what string) {
		t.Helper()
		other := h.NewPool(p.spec, 1, p.log)
		defer other.Kill()
		if r := call(t, other); r.Status != runner.OK {
			t.Errorf("%s: %s\n%s", what, r.Err, r.LogTail)
		}
	}
	again("without a box that waits")
	h.spares.prepare()
	waits := ready()
	if waits == nil {
		t.Fatal("no box waits")
	}
	h.spares.prepare() // there is one at most
	if ready() != waits {
		t.Error("another box waits")
	}
	other := h.NewPool(p.spec, 1, p.log)
	if r := call(t, other); r.Status != runner.OK {
		t.Errorf("with the box that has waited: %s\n%s", r.Err, r.LogTail)
	}
	used := false
	for e := range other.envs {
		used = e.first == waits.first
	}
	if !used {
		t.Error("the box that has waited was not taken")
	}
	other.Kill()

	h.spares.prepare()
	if err := syscall.Kill(ready().first.cmd.Process.Pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	again("with a box that has ended")

	h.spares.prepare()
	waits = ready()
	waits.box.Stale()
	again("with a box from before the machine has changed")
	if err := syscall.Kill(waits.first.cmd.Process.Pid, 0); err == nil {
		t.Error("the box of before is there")
	}

	h.spares.prepare()
	pid := ready().first.cmd.Process.Pid
	p.Kill()
	h.spares.close()
	if err := syscall.Kill(pid, 0); err == nil {
		t.Error("a box is left")
	}
	h.spares.prepare()
	if ready() != nil {
		t.Error("a box was made after the end")
	}
}
