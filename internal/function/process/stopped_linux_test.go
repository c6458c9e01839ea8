package process

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/millstreamdb/millstream/internal/function/runner"
	"github.com/millstreamdb/millstream/internal/function/sandbox"
)

// stopping is an extension that stops the interpreter which waits, and fills the pipe by which that is told what to run, before it registers.
const stopping = `#!/usr/bin/env python3
import os, signal, urllib.request
pid = WAITS
if not pid: # in a sandbox, where no other is to be seen
    for p in os.listdir("/proc"):
        if p.isdigit() and int(p) != os.getpid() and b"python.py" in open("/proc/%s/cmdline" % p, "rb").read():
            pid = int(p)
os.kill(pid, signal.SIGSTOP)
while open("/proc/%d/stat" % pid).read().split()[2] != "T":
    pass
fd = os.open("/proc/%d/fd/4" % pid, os.O_WRONLY | os.O_NONBLOCK)
try:
    while True:
        os.write(fd, b"x" * 4096)
except BlockingIOError:
    pass
base = "http://" + os.environ["AWS_LAMBDA_RUNTIME_API"] + "/2020-01-01/extension/"
r = urllib.request.urlopen(urllib.request.Request(base + "register", data=b'{"events":["INVOKE"]}', headers={"Lambda-Extension-Name": "x"}))
own = r.headers["Lambda-Extension-Identifier"]
while True:
    urllib.request.urlopen(urllib.request.Request(base + "event/next", headers={"Lambda-Extension-Identifier": own})).read()
`

// pythonPool is a pool whose function is in Python and has been called.
func pythonPool(t *testing.T, change func(*Options, *runner.Spec)) *Pool {
	t.Helper()
	if _, err := exec.LookPath("python3"); err != nil {
		t.Skip("python3 is not in PATH")
	}
	p := newPool(t, "", func(o *Options, s *runner.Spec) {
		if change != nil {
			change(o, s)
		}
		s.Runtime, s.Handler, s.Timeout = "python3.12", "index.handler", time.Minute
		write(t, filepath.Join(s.CodeDir, "index.py"), "def handler(event, context):\n    return 1\n")
	})
	if r := call(t, p); r.Status != runner.OK {
		t.Fatalf("%s: %s\n%s", r.Err, r.Payload, r.LogTail)
	}
	return p
}

// waiting has an interpreter wait as the last environment's was started, and returns it. The pool's own timer may be at the same, from before.
func waiting(p *Pool) *waiter {
	w := p.host.waiters
	for {
		w.prepare(w.kinds["python"])
		w.mu.Lock()
		k := *w.kinds["python"]
		w.mu.Unlock()
		if k.ready != nil && k.ready.begunAs(k.cmd) && k.ready.fresh(k.view) {
			return k.ready
		}
	}
}

// anew is a call of the function in an environment of its own, which is given to look and then ended. All of it has to come to an end.
func anew(t *testing.T, p *Pool, spec runner.Spec, look func(*environment)) runner.Result {
	t.Helper()
	other := p.host.NewPool(spec, 1, p.log)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	r := other.Invoke(ctx, runner.Call{RequestID: "id", Payload: []byte("{}")}, nil)
	for e := range other.envs {
		look(e)
	}
	within(t, "the function's end", other.Kill)
	return r
}

// within fails the test when do has not returned after a time that is long for it.
func within(t *testing.T, what string, do func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		do()
	}()
	select {
	case <-done:
	case <-time.After(30 * time.Second):
		t.Fatal(what + " hangs")
	}
}

// An interpreter that takes nothing of what it is told holds up neither the call, which gets another, nor the end of its function.
func TestInterpreterThatTakesNothing(t *testing.T) {
	t.Parallel()
	takesNothing := func(t *testing.T, change func(*Options, *runner.Spec)) {
		t.Parallel()
		p := pythonPool(t, change)
		w := waiting(p)
		pid := "0"
		if w.in == nil {
			pid = strconv.Itoa(w.child.pid())
		}
		spec := p.spec
		spec.Layers = []string{t.TempDir()}
		program := filepath.Join(spec.Layers[0], "extensions", "x")
		write(t, program, "")
		if err := os.WriteFile(program, []byte(strings.Replace(stopping, "WAITS", pid, 1)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(program, 0o755); err != nil {
			t.Fatal(err)
		}
		r := anew(t, p, spec, func(e *environment) {
			if e.child == w.child {
				t.Error("what was stopped runs the function: the extension has not done what it should")
			}
		})
		if r.Status != runner.OK {
			t.Errorf("%s: %s\n%s", r.Err, r.Payload, r.LogTail)
		}
	}
	t.Run("process", func(t *testing.T) { takesNothing(t, nil) })
	if os.Geteuid() != 0 { // the pipes of root's server are closed to a sandbox's user
		t.Run("sandbox", func(t *testing.T) { takesNothing(t, boxed(machine(t))) })
	}
}

// A sandbox whose first process was stopped, while it waits, while it becomes an environment's or later, holds up neither calls nor their function's end.
func TestStoppedSandbox(t *testing.T) {
	t.Parallel()
	m := machine(t)
	p := pythonPool(t, boxed(m))
	stop := func(b *child) {
		t.Helper()
		if err := syscall.Kill(b.cmd.Process.Pid, syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
	}

	w := waiting(p)
	in := w.in
	stop(in.first)
	r := anew(t, p, p.spec, func(e *environment) {
		if e.first == in.first {
			t.Error("the stopped one answers")
		}
	})
	if r.Status != runner.OK {
		t.Errorf("with a stopped one that waits: %s: %s\n%s", r.Err, r.Payload, r.LogTail)
	}

	for reason, want := range map[string]error{spindown: errEnding, timeout: errNoBox} {
		e := newEnvironment(p, false)
		e.view = &sandbox.View{TmpMB: 1}
		b, err := p.host.spares.start()
		if err != nil {
			t.Fatal(err)
		}
		stop(b.first)
		begins := make(chan struct{})
		within(t, "what waits for a box", func() {
			go func() {
				<-begins
				e.end(reason)
			}()
			err = e.into(b, false, func() error {
				close(begins)
				return b.box.Begin(e.view, os.Stdout, os.Stdout)
			})
		})
		if err != want || e.box != nil {
			t.Errorf("an environment that ends, for %s, has a box: %v", reason, err)
		}
		b.end()
	}

	r = anew(t, p, p.spec, func(e *environment) {
		stop(e.first)
		within(t, "the start of a program", func() {
			if _, err := e.box.Start("/bin/true", []string{"true"}, nil, "/", 0); err == nil {
				t.Error("a stopped one has started a program")
			}
		})
	})
	if r.Status != runner.OK {
		t.Errorf("before it was stopped: %s: %s\n%s", r.Err, r.Payload, r.LogTail)
	}
}

// An interpreter that has begun to wait before its program was replaced is nobody's.
func TestReplacedInterpreter(t *testing.T) {
	replaced := func(t *testing.T, change func(*Options, *runner.Spec)) {
		p := pythonPool(t, change)
		found := p.host.runtimes.found
		i := found[p.spec.Runtime]
		program, link := i.path, filepath.Join(t.TempDir(), "bin", "python3")
		if err := os.Mkdir(filepath.Dir(link), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(program, link); err != nil {
			t.Fatal(err)
		}
		i.path, i.modules = link, append(i.modules, filepath.Dir(filepath.Dir(program))) // which is to be seen
		found[p.spec.Runtime] = i
		anew(t, p, p.spec, func(*environment) {})
		w := waiting(p)
		if w.of.path != link {
			t.Fatalf("%s waits", w.of.path)
		}
		if err := os.Remove(link); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(link, []byte("#!/bin/sh\nexec "+program+" \"$@\"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		r := anew(t, p, p.spec, func(e *environment) {
			if e.child == w.child {
				t.Error("a function has the program of before")
			}
		})
		if r.Status != runner.OK {
			t.Errorf("%s: %s\n%s", r.Err, r.Payload, r.LogTail)
		}
		if waiting(p) == w {
			t.Error("what nobody can use waits on")
		}
	}
	t.Run("process", func(t *testing.T) { replaced(t, nil) })
	t.Run("sandbox", func(t *testing.T) { replaced(t, boxed(machine(t))) })
}

// Folders of modules that lie in a function's own code make no difference between what waits and what the function needs.
func TestWaitingWithModulesInTheCode(t *testing.T) {
	m := machine(t)
	p := pythonPool(t, func(o *Options, s *runner.Spec) {
		boxed(m)(o, s)
		o.Project = s.CodeDir
	})
	modules, _ := p.host.Supplied(p.spec.Runtime)
	write(t, filepath.Join(modules[0], "a.py"), "")
	w := waiting(p)
	for i := range 2 {
		r := anew(t, p, p.spec, func(e *environment) {
			if e.child != w.child {
				t.Errorf("call %d: what waits was not taken", i)
			}
		})
		if r.Status != runner.OK {
			t.Errorf("%s: %s\n%s", r.Err, r.Payload, r.LogTail)
		}
		w = waiting(p)
	}
}
