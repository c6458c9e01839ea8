//go:build linux

package process

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/millstreamdb/millstream/internal/function/logs"
	"github.com/millstreamdb/millstream/internal/function/runner"
)

// means are what attempts are made with, in a shell.
const means = `
export LC_ALL=C
try() { if "$@" >/dev/null 2>&1; then echo done; else echo refused; fi; }
call() { perl -e '$r = syscall(map {0 + $_} @ARGV); print $r < 0 ? "refused" : "done"' -- "$@"; }
shows() { case "$("$@" 2>/dev/null | tr '\0' '\n')" in *"of the victim"*) echo done;; *) echo refused;; esac; }
`

// hostile is a function that does what its event says, as a shell, and answers with what that prints; it speaks to the Runtime API by curl.
const hostile = means + `
api=http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime/invocation
answer=$(mktemp)
while :; do
  curl -sS -D $answer.head -o $answer.body $api/next
  id=$(tr -d '\r' < $answer.head | sed -n 's/^[Ll]ambda-[Rr]untime-[Aa]ws-[Rr]equest-[Ii]d: //p')
  ( . $answer.body ) > $answer 2>&1
  curl -sS -o /dev/null --data-binary @$answer $api/$id/response
done
`

// hostileInPython is the same for an interpreter, by a shell of its own.
const hostileInPython = `
import subprocess, tempfile
def handler(event, context):
    with tempfile.TemporaryFile() as printed:
        subprocess.run(["/bin/sh", "-c", r"""` + means + `""" + event], stdin=subprocess.DEVNULL, stdout=printed, stderr=subprocess.STDOUT)
        printed.seek(0)
        return printed.read().decode()
`

// The outcomes of an attempt. Some differ by who runs the tests, or by the machine, where there is no sandbox.
const (
	done    = "done"
	refused = "refused"
	varies  = ""
)

// attempt is what a function tries, and what comes of it in a sandbox and without one: see docs/security.md, "Functions".
type attempt struct{ name, script, boxed, bare string }

// attempts are those that leave the function as it was. Variables are set by victims.
var attempts = []attempt{
	// Secrets, data and code.
	{"read the key of the secrets", `shows cat $DATA/secrets.key`, refused, done},
	{"read the database", `shows cat $DATA/store/000001.log`, refused, done},
	{"write into the database", `try sh -c 'echo x >> $DATA/store/000001.log'`, refused, done},
	{"read another function's code", `shows cat $OTHER/bootstrap`, refused, done},
	{"write another function's code", `try sh -c 'echo "# x" >> $OTHER/bootstrap'`, refused, done},
	{"read another function's log", `shows cat $DATA/logs/other.log`, refused, done},
	{"list the data folder", `try ls $DATA`, refused, done},
	{"write its own code", `try sh -c 'echo "# x" >> $LAMBDA_TASK_ROOT/bootstrap'`, refused, done},
	{"write the code that starts functions", `try touch $LAMBDA_RUNTIME_DIR/x`, refused, done},
	{"write beside the system's programs", `try touch /usr/bin/millstream-x && rm -f /usr/bin/millstream-x`, refused, varies},
	{"read the passwords of the machine", `try cat /etc/shadow`, refused, varies},
	{"list the server's home", `[ "$(ls -A $SERVER_HOME 2>/dev/null | wc -l)" -gt 1 ] && echo done || echo refused`, refused, varies}, // a runtime in it has its place,
	{"make a file of a device", `try mknod /tmp/device-$$ b 8 0; rm -f /tmp/device-$$`, refused, varies},
	// The server's process, and others.
	{"find the server's variables in its own", `shows env`, refused, refused},
	{"read the server's variables", `shows cat /proc/$SERVER/environ`, refused, varies},
	{"open the server's memory", `try sh -c ': < /proc/$SERVER/mem'`, refused, varies},
	{"see the server's process", `try kill -0 $SERVER`, refused, done},
	{"see the server's files by its process", `try ls /proc/$SERVER/root/`, refused, varies},
	{"use the server's descriptors", `ls -l /proc/$$/fd 2>/dev/null | grep -q secrets.key && echo done || echo refused`, refused, refused},
	{"trace the server", fmt.Sprintf(`call %d 16 $SERVER 0 0`, unix.SYS_PTRACE), refused, varies},
	{"trace its own first process", fmt.Sprintf(`call %d 16 1 0 0`, unix.SYS_PTRACE), refused, varies},
	{"read a process's memory", fmt.Sprintf(`call %d $$ 0 0 0 0 0`, unix.SYS_PROCESS_VM_READV), refused, varies},
	{"read another function's variables", `shows sh -c 'cat /proc/[0-9]*/environ'`, refused, varies},
	{"signal another function", `try kill -0 $OTHER_PID`, refused, done},
	{"read the first process's variables", `try cat /proc/1/environ`, refused, varies},
	{"see files by the first process's threads", `(for t in /proc/1/task/*; do ls $t/root/ && exit 0; ls $t/cwd/ && exit 0; ls $t/fd/ && exit 0; done; exit 1) >/dev/null 2>&1 && echo done || echo refused`, refused, varies},
	{"see mounts by the first process's threads", `cut -d' ' -f4,5,6 /proc/1/task/*/mountinfo | sort -u > /tmp/m1-$$; cut -d' ' -f4,5,6 /proc/self/mountinfo | sort -u | cmp -s - /tmp/m1-$$ && echo refused || echo done; rm -f /tmp/m1-$$`, refused, varies},
	{"find a right in the first process", `cat /proc/1/status | grep -E '^Cap(Prm|Eff|Bnd|Amb)' | grep -qv 0000000000000000 && echo done || echo refused`, refused, varies},
	{"read what lies below what it is shown", `shows cat $SSL_CERT_DIR/hidden/x`, refused, done},
	{"read what lies below the system's folders and is hidden", `try ls /usr/share/doc`, refused, varies},
	{"read what it is shown", `shows cat $SSL_CERT_DIR/shown/x`, done, done},
	{"reach a terminal", `try sh -c ': < /dev/tty'`, refused, refused},
	// The kernel.
	{"gain rights by a program", `grep -q "NoNewPrivs:.1" /proc/self/status && echo refused || echo done`, refused, refused},
	{"keep a capability", `grep -q "CapBnd:.0000000000000000" /proc/self/status && echo refused || echo done`, refused, varies},
	{"make a user namespace", fmt.Sprintf(`call %d %d`, unix.SYS_UNSHARE, unix.CLONE_NEWUSER), refused, varies},
	{"make a namespace by clone", fmt.Sprintf(`call %d %d 0 0 0 0`, unix.SYS_CLONE, unix.CLONE_NEWUSER|int(syscall.SIGCHLD)), refused, varies},
	{"mount", fmt.Sprintf(`call %d 0 0 0 0 0`, unix.SYS_MOUNT), refused, varies},
	{"set up io_uring", fmt.Sprintf(`call %d 1 0`, unix.SYS_IO_URING_SETUP), refused, varies},
	{"keep a key in the kernel", fmt.Sprintf(`call %d 0 -1 1`, unix.SYS_KEYCTL), refused, varies},
	{"open a socket past the network", fmt.Sprintf(`call %d %d 3 0`, unix.SYS_SOCKET, unix.AF_PACKET), refused, varies},
	{"open a socket of the kernel's ciphers", fmt.Sprintf(`call %d %d 5 0`, unix.SYS_SOCKET, unix.AF_ALG), refused, varies},
	{"write what the kernel runs", `try sh -c ': >> /proc/sys/kernel/core_pattern'`, refused, varies},
	// Addresses, and answers of others.
	{"reach the admin socket", `shows curl -sS --max-time 5 --unix-socket $DATA/admin.sock http://x/`, refused, done},
	{"reach a socket with an abstract name", `shows curl -sS --max-time 5 --abstract-unix-socket $ABSTRACT http://x/`, refused, done},
	{"take another function's event", `curl -sS --max-time 1 -o /dev/null http://$OTHER_API/2018-06-01/runtime/invocation/next 2>/dev/null; case $? in 0|28) echo done;; *) echo refused;; esac`, refused, varies},
	{"forge another function's answer", `code=$(curl -sS --max-time 5 -o /dev/null -w '%{http_code}' -d forged http://$OTHER_API/2018-06-01/runtime/invocation/other/response 2>/dev/null); case $code in 000) echo refused;; *) echo done;; esac`, refused, done},
	{"reach another service of the machine", `shows curl -sS --max-time 5 http://$SERVICE/`, done, done}, // it has the machine's network
	// Limits.
	{"have a larger /tmp than its own", `try fallocate -l 600M /tmp/large-$$; rm -f /tmp/large-$$`, refused, varies},
	{"open files without end", `[ "$(ulimit -Hn)" = 1024 ] && echo refused || echo done`, refused, varies},
	{"leave a core", `[ "$(ulimit -Hc)" = 0 ] && echo refused || echo done`, refused, varies},
	{"take memory without end", `try perl -e '$x = "x" x 600e6'`, refused, varies},
}

// victims are what attempts are made on; it returns the variables that lead there.
func victims(t *testing.T, change func(*Options, *runner.Spec)) map[string]string {
	data := t.TempDir()
	for _, name := range []string{"secrets.key", "store/000001.log", "logs/other.log"} {
		write(t, filepath.Join(data, name), "of the victim")
	}
	t.Setenv("MILLSTREAM_TEST_SECRET", "of the victim")
	shows := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "of the victim") })
	abstract := "millstream-test-" + strconv.Itoa(os.Getpid())
	// Sockets in folders have short names.
	short, err := os.MkdirTemp("", "ms")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(short) })
	if err := os.Symlink(data, filepath.Join(short, "d")); err != nil {
		t.Fatal(err)
	}
	var service string
	for _, at := range []struct{ network, address string }{{"unix", filepath.Join(short, "d", "admin.sock")}, {"unix", "@" + abstract}, {"tcp", "127.0.0.1:0"}} {
		ln, err := net.Listen(at.network, at.address)
		if err != nil {
			t.Fatal(err)
		}
		server := &http.Server{Handler: shows}
		go server.Serve(ln)
		t.Cleanup(func() { server.Close() })
		service = ln.Addr().String()
	}
	// Another function of the same kind, with a call under way.
	var code string
	other := hostilePool(t, func(o *Options, s *runner.Spec) {
		change(o, s)
		s.Name, s.Env, code = "other", map[string]string{"SECRET": "of the victim"}, s.CodeDir
		b, err := os.ReadFile(filepath.Join(code, "bootstrap"))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(code, "bootstrap"), append(b, "# of the victim\n"...), 0o755); err != nil {
			t.Fatal(err)
		}
	})
	var api string
	var pid int
	other.mu.Lock()
	for e := range other.envs {
		e.mu.Lock()
		api, pid = e.addr, e.child.pid()
		e.mu.Unlock()
	}
	other.mu.Unlock()
	home, _ := os.UserHomeDir()
	return map[string]string{
		"DATA": filepath.Join(short, "d"), "OTHER": code, "SERVER": strconv.Itoa(os.Getpid()), "SERVER_HOME": home,
		"OTHER_API": api, "OTHER_PID": strconv.Itoa(pid), "ABSTRACT": abstract, "SERVICE": service,
	}
}

// hostilePool is that of a hostile function, which runs. One in Python runs in an interpreter that has waited.
func hostilePool(t *testing.T, change func(*Options, *runner.Spec)) *Pool {
	t.Helper()
	p := newPool(t, hostile, change)
	var waits *waiter
	if p.spec.Runtime != "provided.al2023" {
		first := p.host.NewPool(p.spec, 1, p.log)
		ask(t, first, `:`)
		first.Kill()
		w := p.host.waiters
		w.prepare(w.kinds["python"])
		if waits = w.kinds["python"].ready; waits == nil {
			t.Fatal("no interpreter waits")
		}
	}
	if answer := ask(t, p, `echo ready`); answer != "ready" {
		t.Fatalf("the function answered %q", answer)
	}
	for e := range p.envs {
		if waits != nil && e.child != waits.child {
			t.Fatal("the interpreter that waits was not taken")
		}
	}
	return p
}

// ask has a hostile function do something, and returns what that prints.
func ask(t *testing.T, p *Pool, script string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	payload := []byte(script)
	inPython := p.spec.Runtime != "provided.al2023"
	if inPython {
		payload, _ = json.Marshal(script) // of a string it does not fail
	}
	r := p.Invoke(ctx, runner.Call{RequestID: "id", Payload: payload}, nil)
	if r.Status != runner.OK {
		t.Fatalf("the call failed: %s %s", r.Err, r.Payload)
	}
	answer := string(r.Payload)
	if inPython {
		if err := json.Unmarshal(r.Payload, &answer); err != nil {
			t.Fatal(err)
		}
	}
	return strings.TrimSpace(answer)
}

// modes are how functions are run: see attempt.
func modes(t *testing.T, test func(t *testing.T, inBox bool, change func(*Options, *runner.Spec))) {
	for _, need := range []string{"curl", "setsid", "sed", "perl", "mktemp", "fallocate"} {
		if _, err := exec.LookPath(need); err != nil {
			t.Skip("needs " + need)
		}
	}
	AdoptOrphans()
	t.Run("process", func(t *testing.T) {
		test(t, false, func(_ *Options, s *runner.Spec) { s.Timeout = time.Minute })
	})
	t.Run("sandbox", func(t *testing.T) { test(t, true, boxed(machine(t))) })
	t.Run("sandbox, in an interpreter that has waited there", func(t *testing.T) {
		if _, err := exec.LookPath("python3"); err != nil {
			t.Skip("python3 is not in PATH")
		}
		m := machine(t)
		test(t, true, func(o *Options, s *runner.Spec) {
			boxed(m)(o, s)
			s.Runtime, s.Handler = "python3.12", "index.handler"
			write(t, filepath.Join(s.CodeDir, "index.py"), hostileInPython)
		})
	})
}

// TestHostile: what a function tries, and what comes of it. In a sandbox each attempt fails that can without a network of its own.
func TestHostile(t *testing.T) {
	modes(t, func(t *testing.T, inBox bool, change func(*Options, *runner.Spec)) {
		shown := t.TempDir() // as certificates are
		for _, name := range []string{"shown/x", "hidden/x"} {
			write(t, filepath.Join(shown, name), "of the victim")
		}
		t.Setenv("SSL_CERT_DIR", shown)
		hidden := filepath.Join(t.TempDir(), "hidden") // a link: what is seen to hold a hidden folder is not shown at all
		if err := os.Symlink(filepath.Join(shown, "hidden"), hidden); err != nil {
			t.Fatal(err)
		}
		variables := victims(t, change)
		open, err := os.Open(filepath.Join(variables["DATA"], "secrets.key"))
		if err != nil {
			t.Fatal(err)
		}
		defer open.Close()
		inherited, err := syscall.Dup(int(open.Fd())) // as from who started the server: it is not closed by exec
		if err != nil {
			t.Fatal(err)
		}
		defer syscall.Close(inherited)
		p := hostilePool(t, func(o *Options, s *runner.Spec) {
			change(o, s)
			s.Env, o.Hidden = variables, []string{hidden, "/usr/share/doc"}
		})
		for _, a := range attempts {
			want := a.boxed
			if !inBox {
				want = a.bare
				if want == varies {
					continue // by the rights of the server's user
				}
			}
			if got := ask(t, p, a.script); got != want {
				t.Errorf("to %s: %s, want %s", a.name, got, want)
			}
		}
		if b, err := os.ReadFile(filepath.Join(variables["DATA"], "store", "000001.log")); inBox && (err != nil || string(b) != "of the victim") {
			t.Errorf("the database is %q: %v", b, err)
		}
	})
}

// TestNothingOutlives: whatever a function does, what it has started is there while the function is, and is not when that has ended.
func TestNothingOutlives(t *testing.T) {
	modes(t, func(t *testing.T, inBox bool, change func(*Options, *runner.Spec)) {
		for i, c := range []struct{ name, script string }{
			{"in its group", `sleep $LONG &`},
			{"in a session of its own", `setsid sh -c 'sleep $LONG & :' & wait`},
			{"without variables", `env -i /usr/bin/setsid sh -c "sleep $LONG & :" & wait`},
			{"by forking on", `setsid sh -c 'setsid sh -c "setsid sleep $LONG & :" & :' & wait`},
			{"by ignoring signals", `sh -c 'trap "" HUP INT TERM; exec sleep $LONG' &`},
		} {
			t.Run(c.name, func(t *testing.T) {
				mark := fmt.Sprintf("%d%d%d", 1000+i, os.Getpid(), time.Now().UnixNano()%1e6)
				p := hostilePool(t, func(o *Options, s *runner.Spec) {
					change(o, s)
					s.Env = map[string]string{"LONG": mark}
				})
				if got := ask(t, p, c.script+`
 until perl -e 'exit !grep { open F, $_; local $/; <F> eq "sleep\0$ENV{LONG}\0" } glob "/proc/[0-9]*/cmdline"'; do :; done; echo there`); !strings.HasSuffix(got, "there") {
					t.Fatalf("answered %q", got)
				}
				orphans.sweep()
				if !runs("sleep\x00" + mark) {
					t.Fatal("the process is gone before the function")
				}
				p.Kill()
				if runs("sleep\x00" + mark) {
					t.Error("a process has outlived its function")
				}
			})
		}
	})
}

// runs reports whether a process is there with such a command line.
func runs(command string) bool {
	for _, pid := range processes() {
		line, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cmdline")
		if bytes.Contains(line, []byte(command)) {
			return true
		}
	}
	return false
}

// TestProcessesWithoutEnd: in a sandbox a function can start a thousand processes and no more, and the next one runs all the same.
func TestProcessesWithoutEnd(t *testing.T) {
	modes(t, func(t *testing.T, inBox bool, change func(*Options, *runner.Spec)) {
		if !inBox {
			return // nothing limits them
		}
		p := hostilePool(t, change)
		got := ask(t, p, `perl -e '$n = 0; while ($n < 2000) { $pid = fork; last if !defined $pid; if (!$pid) { sleep 1000; exit } $n++ } print $n'`)
		if n, err := strconv.Atoi(got); err != nil || n < 500 || n > 1024 {
			t.Errorf("the function could start %s processes", got)
		}
		p.Kill()
		next := hostilePool(t, change)
		if got := ask(t, next, `echo runs`); got != "runs" {
			t.Errorf("the next function answered %q", got)
		}
	})
}

// One that stays open holds nobody up.
func TestProgramThatStaysOpen(t *testing.T) {
	p := newPool(t, "exit 1", nil)
	f, err := os.OpenFile(filepath.Join(p.spec.CodeDir, "bootstrap"), os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	called := make(chan runner.Result, 1)
	go func() { called <- p.Invoke(t.Context(), runner.Call{RequestID: "id"}, nil) }()
	var longest time.Duration
	for r := (*runner.Result)(nil); r == nil; {
		select {
		case got := <-called:
			r = &got
		default:
		}
		p.host.running.Range(func(_, v any) bool {
			e, begun := v.(*environment), time.Now()
			e.mu.Lock()
			longest = max(longest, time.Since(begun))
			e.mu.Unlock()
			return false
		})
		runtime.Gosched()
	}
	if longest > time.Second {
		t.Errorf("its environment could not be ended for %v", longest)
	}
}

// A program may still be open for writing, in a process that is just being started.
func TestProgramThatIsStillOpen(t *testing.T) {
	for name, change := range map[string]func(*Options, *runner.Spec){"process": nil, "sandbox": boxed(machine(t))} {
		t.Run(name, func(t *testing.T) {
			p := newPool(t, "echo started; exit 1", change)
			f, err := os.OpenFile(filepath.Join(p.spec.CodeDir, "bootstrap"), os.O_WRONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			time.AfterFunc(20*time.Millisecond, func() { f.Close() })
			r := call(t, p)
			if lines := p.log.Recent(100); !slices.ContainsFunc(lines, func(l logs.Line) bool { return l.Text == "started" }) {
				t.Errorf("%+v, payload %s, %+v", r, r.Payload, lines)
			}
		})
	}
}
