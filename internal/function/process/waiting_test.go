package process

import (
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"syscall"
	"testing"

	"github.com/millstreamdb/millstream/internal/function/runner"
)

// waitingLanguages have an interpreter that waits. tells answers with all that a function may see of how it was started; pid with its process's id.
var waitingLanguages = map[string]struct{ runtime, program, file, pid, tells string }{
	"python": {"python3.12", "python3", "index.py", "import os\ndef handler(event, context):\n    return os.getpid()\n", `
import os, resource, signal, subprocess, sys, threading
def handler(event, context):
    fds = {}
    for fd in os.listdir("/dev/fd"):
        try:
            fds[fd] = (os.readlink("/dev/fd/" + fd), os.get_inheritable(int(fd)))
        except OSError:
            pass
    return {
        "env": dict(os.environ), "raw": {k.decode(): v.decode() for k, v in os.environ._data.items()}, "childEnv": subprocess.check_output(["env"]).decode().split("\n"),
        "cwd": os.getcwd(), "argv": sys.argv, "path": sys.path, "flags": str(sys.flags), "fds": fds, "modules": sorted(sys.modules),
        "streams": [(s.encoding, s.errors, s.line_buffering, s.write_through) for s in (sys.stdin, sys.stdout, sys.stderr)],
        "signals": [str(signal.getsignal(n)) for n in range(1, 32)], "leads": os.getsid(0) == os.getpid() == os.getpgrp(),
        "limits": [resource.getrlimit(n) for n in range(10)], "umask": os.umask(0o22), "threads": threading.active_count(),
        "executable": sys.executable, "prefix": sys.prefix, "name": sys.modules["__main__"].__file__, "bytecode": sys.dont_write_bytecode, "stdin": sys.stdin.read(),
    }
`},
	"nodejs": {"nodejs22.x", "node", "index.mjs", "export const handler = async () => process.pid\n", `
import fs from 'node:fs';
import module from 'node:module';
import { spawnSync } from 'node:child_process';
export const handler = async () => {
  const fds = {};
  for (const fd of fs.readdirSync('/dev/fd')) try { fds[fd] = fs.readlinkSync('/dev/fd/' + fd); } catch {}
  return {
    env: { ...process.env }, childEnv: spawnSync('env').stdout.toString().split('\n'), cwd: process.cwd(), argv: process.argv, execArgv: process.execArgv, title: process.title,
    fds: [0, 1, 2, 3].map((fd) => fds[fd]), opened: Object.keys(fds).length, paths: module.globalPaths, umask: process.umask(), listeners: process.eventNames().map(String), main: import.meta.url, stdin: fs.readFileSync(0, 'utf8'),
    options: process.allowedNodeEnvironmentFlags.size, globals: Object.keys(globalThis),
  };
};
`},
}

// ofEnvironment is what differs from environment to environment.
var ofEnvironment = regexp.MustCompile(tokenPrefix + `[0-9a-f]{32}|127\.0\.0\.1:\d+|\[\][0-9a-f]{32}|(pipe|socket|anon_inode|eventpoll|eventfd):\[\w*\]|/proc/\d+/`)

// What waits is the next environment's, and the function sees of it nothing that it does not see of one that was started for it.
func TestWaitingInterpreters(t *testing.T) {
	for language, c := range waitingLanguages {
		t.Run(language, func(t *testing.T) {
			if _, err := exec.LookPath(c.program); err != nil {
				t.Skipf("%s is not in PATH", c.program)
			}
			pool := func(code string) *Pool {
				return newPool(t, "", func(o *Options, s *runner.Spec) {
					s.Runtime, s.Handler, s.Timeout = c.runtime, "index.handler", 30e9
					s.Env = map[string]string{"NODE_ENV": "production", "OWN": "a = b\nand c", "EMPTY": "", "UMLAUT": "ü"}
					write(t, filepath.Join(s.CodeDir, c.file), code)
				})
			}
			p := pool(c.pid)
			w := p.host.waiters
			ready := func() *waiter {
				w.mu.Lock()
				defer w.mu.Unlock()
				if k := w.kinds[language]; k != nil {
					return k.ready
				}
				return nil
			}
			// answer is that of an environment of its own; waited tells whether it is of the process that waits.
			answer := func(of *Pool, change func(*runner.Spec)) (payload string, waited bool) {
				t.Helper()
				before := ready()
				spec := of.spec
				if change != nil {
					change(&spec)
				}
				other := p.host.NewPool(spec, 1, p.log)
				defer other.Kill()
				r := call(t, other)
				if r.Status != runner.OK {
					t.Fatalf("%s: %s\n%s", r.Err, r.Payload, r.LogTail)
				}
				return string(r.Payload), before != nil && ready() != before
			}
			prepare := func() { w.prepare(w.kinds[language]) }

			if _, waited := answer(p, nil); waited {
				t.Error("an interpreter has waited before there was an environment")
			}
			prepare()
			waits := ready()
			prepare() // there is one at most
			if waits == nil || ready() != waits {
				t.Fatal("no interpreter waits, or another")
			}
			if pid, waited := answer(p, nil); !waited || pid != strconv.Itoa(waits.child.pid()) {
				t.Errorf("process %s was taken, not %d, which waits", pid, waits.child.pid())
			}

			tells := pool(c.tells)
			p.host.waiters = nil
			anew, _ := answer(tells, nil)
			p.host.waiters = w
			prepare()
			told, waited := answer(tells, nil)
			anew, told = ofEnvironment.ReplaceAllString(anew, "-"), ofEnvironment.ReplaceAllString(told, "-")
			if told != anew || !waited {
				at := 0
				for at < min(len(told), len(anew)) && told[at] == anew[at] {
					at++
				}
				from := max(0, at-200)
				t.Errorf("a function sees that it was started before it was known (%v):\n%s\nanew:\n%s", waited, told[from:min(len(told), at+200)], anew[from:min(len(anew), at+200)])
			}

			prepare()
			for name, change := range map[string]func(*runner.Spec){
				"a time zone":         func(s *runner.Spec) { s.Env = map[string]string{"TZ": "Asia/Tokyo"} },
				"Python's own":        func(s *runner.Spec) { s.Env = map[string]string{"PYTHONHASHSEED": "1"} },
				"Node's own":          func(s *runner.Spec) { s.Env = map[string]string{"NODE_NO_WARNINGS": "1"} },
				"the system's own":    func(s *runner.Spec) { s.Env = map[string]string{"LD_BIND_NOW": "1"} },
				"another search path": func(s *runner.Spec) { s.Env = map[string]string{"PATH": "/usr/bin:/bin"} },
				"a wrapper":           func(s *runner.Spec) { s.Env = map[string]string{"AWS_LAMBDA_EXEC_WRAPPER": "/usr/bin/env"} },
			} {
				if _, waited := answer(p, change); waited {
					t.Errorf("one that sets %s was given what had started without", name)
				}
			}

			pid := ready().child.pid()
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			awaitExit(pid)
			if _, waited := answer(p, nil); !waited { // another is started in place of what has ended
				t.Error("what had ended was left")
			}

			prepare()
			pid = ready().child.pid()
			p.Kill()
			tells.Kill()
			w.close()
			if err := syscall.Kill(pid, 0); err == nil {
				t.Error("an interpreter is left")
			}
			prepare()
			if ready() != nil {
				t.Error("one was started after the end")
			}
		})
	}
}
