package process

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"syscall"
	"testing"

	"github.com/millstreamdb/millstream/internal/function/runner"
)

// waitingLanguages have an interpreter that waits. tells answers with all that a function may see of how it was started.
var waitingLanguages = map[string]struct{ runtime, program, file, least, tells string }{
	"python": {"python3.12", "python3", "index.py", "def handler(event, context):\n    return 1\n", `
import os, resource, signal, subprocess, sys, threading
def lines(path, keep=lambda line: True):
    try:
        return [line for line in open(path).read().split("\n") if keep(line)]
    except OSError as e:
        return str(e)
def mounts():
    at = [line.split(" ")[3:] for line in open("/proc/self/mountinfo")] if os.path.exists("/proc/self/mountinfo") else []
    return sorted(at)
def tree(path):
    try:
        return sorted((p, os.lstat(path + "/" + p).st_mode, os.lstat(path + "/" + p).st_uid) for p in os.listdir(path))
    except OSError as e:
        return str(e)
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
        "limits": [resource.getrlimit(n) for n in range(16)], "umask": os.umask(0o22), "threads": threading.active_count(),
        "executable": sys.executable, "prefix": sys.prefix, "name": sys.modules["__main__"].__file__, "bytecode": sys.dont_write_bytecode, "stdin": sys.stdin.read(),
        "mounts": mounts(), "rights": lines("/proc/self/status", lambda l: l.startswith(("Cap", "NoNew", "Seccomp", "Uid", "Gid", "Groups", "SigB", "SigI", "SigC", "Umask"))),
        "trees": {p: tree(p) for p in ("/var", "/var/task", "/opt", "/opt/x", "/dev", "/etc")}, "host": os.uname().nodename, "user": os.getuid(), "nice": os.nice(0),
        "layer": lines("/opt/x/of-the-layer"), "room": (lambda s: (s.f_blocks, s.f_files))(os.statvfs("/tmp")),
    }
`},
	"nodejs": {"nodejs22.x", "node", "index.mjs", "export const handler = async () => 1\n", `
import fs from 'node:fs';
import module from 'node:module';
import os from 'node:os';
import v8 from 'node:v8';
import { spawnSync } from 'node:child_process';
const read = (path) => { try { return fs.readFileSync(path, 'utf8'); } catch (error) { return error.code; } };
const list = (path) => { try { return fs.readdirSync(path).sort(); } catch (error) { return error.code; } };
export const handler = async () => {
  const fds = {};
  for (const fd of fs.readdirSync('/dev/fd')) try { fds[fd] = fs.readlinkSync('/dev/fd/' + fd); } catch {}
  return {
    env: { ...process.env }, childEnv: spawnSync('env').stdout.toString().split('\n'), cwd: process.cwd(), argv: process.argv, execArgv: process.execArgv, title: process.title,
    fds: [0, 1, 2, 3].map((fd) => fds[fd]), opened: Object.keys(fds).length, paths: module.globalPaths, umask: process.umask(), listeners: process.eventNames().map(String), main: import.meta.url, stdin: fs.readFileSync(0, 'utf8'),
    options: process.allowedNodeEnvironmentFlags.size, globals: Object.keys(globalThis),
    mounts: read('/proc/self/mountinfo').split('\n').map((line) => line.split(' ').slice(3).join(' ')).sort(), limits: read('/proc/self/limits'),
    rights: read('/proc/self/status').split('\n').filter((line) => /^(Cap|NoNew|Seccomp|Uid|Gid|Groups|Sig[BIC]|Umask)/.test(line)),
    trees: ['/var', '/var/task', '/opt', '/opt/x', '/dev', '/etc'].map(list), host: os.hostname(), heap: v8.getHeapStatistics().heap_size_limit, layer: read('/opt/x/of-the-layer'),
  };
};
`},
}

// ofEnvironment is what differs from environment to environment.
var ofEnvironment = regexp.MustCompile(tokenPrefix + `[0-9a-f]{32}|127\.0\.0\.1:\d+|\[\][0-9a-f]{32}|(pipe|socket|anon_inode|eventpoll|eventfd):\[\w*\]|/proc/\d+/`)

// What waits is the next environment's, and the function sees of it nothing that it does not see of one that was started for it, nor has what waits
// seen anything of a function.
func TestWaitingInterpreters(t *testing.T) {
	for language := range waitingLanguages {
		t.Run(language, func(t *testing.T) { waitingInterpreters(t, language, nil) })
	}
}

func waitingInterpreters(t *testing.T, language string, change func(*Options, *runner.Spec)) {
	c := waitingLanguages[language]
	if _, err := exec.LookPath(c.program); err != nil {
		t.Skipf("%s is not in PATH", c.program)
	}
	layer := t.TempDir()
	write(t, filepath.Join(layer, "x", "of-the-layer"), "a layer's")
	pool := func(code string) *Pool {
		return newPool(t, "", func(o *Options, s *runner.Spec) {
			if change != nil {
				change(o, s)
			}
			s.Runtime, s.Handler, s.Timeout = c.runtime, "index.handler", 30e9
			s.Layers, s.EphemeralMB, s.MemoryMB = []string{layer}, 700, 200
			s.Env = map[string]string{"NODE_ENV": "production", "OWN": "a = b\nand c", "EMPTY": "", "UMLAUT": "ü"}
			write(t, filepath.Join(s.CodeDir, c.file), code)
		})
	}
	p := pool(c.least)
	w := p.host.waiters
	ready := func() *waiter {
		w.mu.Lock()
		defer w.mu.Unlock()
		if k := w.kinds[language]; k != nil {
			return k.ready
		}
		return nil
	}
	// answer is that of an environment of its own; waited tells whether its process is the one that waits.
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
		for e := range other.envs {
			waited = before != nil && e.child == before.child
		}
		return string(r.Payload), waited
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
	if _, waited := answer(p, nil); !waited {
		t.Error("what waits was not taken")
	}
	if ready() == waits {
		t.Error("what was taken waits still")
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
		"another search path": func(s *runner.Spec) { s.Env = map[string]string{"PATH": os.Getenv("PATH") + ":/usr"} },
		"a wrapper":           func(s *runner.Spec) { s.Env = map[string]string{"AWS_LAMBDA_EXEC_WRAPPER": "/usr/bin/env"} },
	} {
		if _, waited := answer(p, change); waited {
			t.Errorf("one that sets %s was given what had started without", name)
		}
	}

	waits = ready()
	if err := syscall.Kill(waits.child.pid(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if waits.child.inside != nil {
		waits.child.wait()
	} else {
		awaitExit(waits.child.pid())
	}
	answer(p, nil) // another is started in place of what has ended
	if ready() == waits {
		t.Error("what had ended was left")
	}

	prepare()
	pid := ready().child.pid()
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
}
