package process

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
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

// In a sandbox an interpreter waits in one that is the next environment's, and knows of no function. One whose sandbox has ended, or was made of what the
// machine has not any more, is nobody's.
func TestWaitingInSandboxes(t *testing.T) {
	m := machine(t)
	for language := range waitingLanguages {
		t.Run(language, func(t *testing.T) { waitingInterpreters(t, language, boxed(m)) })
	}
	t.Run("what it waits in", func(t *testing.T) {
		if _, err := exec.LookPath("python3"); err != nil {
			t.Skip("python3 is not in PATH")
		}
		modules := filepath.Join(t.TempDir(), "modules")
		write(t, filepath.Join(modules, "first"), "")
		t.Setenv("SSL_CERT_DIR", modules) // which is shown to all
		p := newPool(t, "", func(o *Options, s *runner.Spec) {
			boxed(m)(o, s)
			s.Runtime, s.Handler = "python3.12", "index.handler"
			s.Layers = []string{t.TempDir()}
			write(t, filepath.Join(s.Layers[0], "python", "of_the_layer.py"), "")
			write(t, filepath.Join(s.CodeDir, "index.py"), "import os, of_the_layer\ndef handler(event, context):\n    return os.listdir(os.environ['SSL_CERT_DIR'])\n")
		})
		w := p.host.waiters
		answer := func() (payload string, taken *spare) {
			t.Helper()
			other := p.host.NewPool(p.spec, 1, p.log)
			defer other.Kill()
			r := call(t, other)
			if r.Status != runner.OK {
				t.Fatalf("%s: %s\n%s", r.Err, r.Payload, r.LogTail)
			}
			for e := range other.envs {
				taken = &spare{e.box, e.first}
			}
			return string(r.Payload), taken
		}
		waits := func() *spare {
			w.prepare(w.kinds["python"])
			return w.kinds["python"].ready.in
		}
		answer()
		in := waits()
		// Not even the folders of the function's and of its layers are there before they are one's.
		root := "/proc/" + strconv.Itoa(w.kinds["python"].ready.child.pid()) + "/root"
		for _, path := range []string{"/var/task", "/opt", p.spec.CodeDir, p.spec.Layers[0]} {
			if _, err := os.Lstat(root + path); err == nil {
				t.Errorf("what waits sees %s", path)
			}
		}
		if _, err := os.Lstat(root + "/var/runtime/python.py"); err != nil {
			t.Error(err)
		}
		if _, taken := answer(); taken.box != in.box {
			t.Error("the sandbox that what waits is in was not taken")
		}

		in = waits()
		if err := syscall.Kill(in.first.cmd.Process.Pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		awaitExit(in.first.cmd.Process.Pid)
		if _, taken := answer(); taken.box == in.box {
			t.Error("a sandbox that has ended was taken")
		}

		in = waits()
		if err := os.Rename(modules, modules+"-old"); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(modules, "second"), "")
		if payload, taken := answer(); payload != `["second"]` || taken.box == in.box {
			t.Errorf("it sees %s, of before", payload)
		}
		if next := waits(); next == in {
			t.Error("what nobody can use waits on")
		}
	})
}
