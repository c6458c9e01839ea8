//go:build linux

package process

import (
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/millstreamdb/millstream/internal/function/runner"
)

// asUser runs this test's own program again as another user, which runs the part of the test named; it skips where that needs rights.
func asUser(t *testing.T, test string, env ...string) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can start a program of another user")
	}
	// The test's program lies in a folder of its maker's alone; this process opens it, and the other runs what is open.
	exe, err := os.Open("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	defer exe.Close()
	cmd := exec.Command("/proc/self/fd/3", "-test.run=^"+test+"$", "-test.v")
	cmd.ExtraFiles = []*os.File{exe}
	cmd.Dir = "/"
	cmd.Env = append([]string{"MILLSTREAM_TEST_OTHER=1"}, env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return string(out)
}

// TestRuntimeAPIIsTheUsersAlone: another user of the machine is given no event, and the same user is, by either form of IPv4.
func TestRuntimeAPIIsTheUsersAlone(t *testing.T) {
	if addr := os.Getenv("MILLSTREAM_TEST_ADDR"); addr != "" {
		r, err := http.Get("http://" + addr + "/")
		if err == nil {
			body, _ := io.ReadAll(r.Body)
			t.Fatalf("another user was answered %s", body)
		}
		return
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "an event") })}
	go server.Serve(ownUser{ln, slog.New(slog.DiscardHandler)})
	defer server.Close()
	for _, network := range []string{"tcp4", "tcp6"} {
		c, err := dialAs(network, ln.Addr().(*net.TCPAddr).Port)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(c, "GET / HTTP/1.0\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		if answer, _ := io.ReadAll(c); !strings.Contains(string(answer), "an event") {
			t.Errorf("%s: answered %q", network, answer)
		}
		c.Close()
	}
	asUser(t, t.Name(), "MILLSTREAM_TEST_ADDR="+ln.Addr().String())
}

// dialAs connects to a port of 127.0.0.1, for tcp6 with a socket of IPv6, as Java does.
func dialAs(network string, port int) (io.ReadWriteCloser, error) {
	if network == "tcp4" {
		return net.Dial("tcp4", "127.0.0.1:"+strconv.Itoa(port))
	}
	fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	to := &unix.SockaddrInet6{Port: port, Addr: [16]byte{10: 0xff, 11: 0xff, 12: 127, 15: 1}}
	if err := unix.Connect(fd, to); err != nil {
		unix.Close(fd)
		return nil, err
	}
	return os.NewFile(uintptr(fd), "socket"), nil
}

// hostile is a function that does what is in attempt once, then answers; it speaks to the Runtime API by curl.
const hostile = `
attempt() { :; }
%ATTEMPT%
attempt
while :; do
  id=$(curl -sS -D - -o /dev/null http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime/invocation/next | tr -d '\r' | sed -n 's/^[Ll]ambda-[Rr]untime-[Aa]ws-[Rr]equest-[Ii]d: //p')
  curl -sS -o /dev/null -d "$(cat out 2>/dev/null)" http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime/invocation/$id/response
done
`

// TestHostile: what a function tries in its process, and what comes of it without a sandbox.
func TestHostile(t *testing.T) {
	for _, need := range []string{"curl", "setsid", "sed"} {
		if _, err := exec.LookPath(need); err != nil {
			t.Skip("needs " + need)
		}
	}
	AdoptOrphans()
	t.Setenv("MILLSTREAM_TEST_SECRET", "of the server")
	open, err := os.Create(filepath.Join(t.TempDir(), "secrets.key"))
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	inherited, err := syscall.Dup(int(open.Fd())) // as from who started the server: it is not closed by exec
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(inherited)
	for _, c := range []struct {
		name, attempt string
		want          func(t *testing.T, dir, answer string, p *Pool)
	}{
		{"gain rights", `attempt() { grep NoNewPrivs /proc/self/status > out; }`, says("NoNewPrivs:\t1")},
		{"find the server's variables in its own", `attempt() { env | grep -c MILLSTREAM_TEST_SECRET > out; }`, says("0")},
		{"reach a terminal", `attempt() { (: < /dev/tty) 2>/dev/null && echo terminal > out || echo none > out; }`, says("none")},
		{"use the server's descriptors", `attempt() { ls -l /proc/$$/fd | grep -c secrets.key > out; }`, says("0")},
		{"outlive in its group", `attempt() { sleep 1000 & echo $! > pid; }`, ends},
		{"outlive in a session of its own", `attempt() { setsid sh -c 'sleep 1000 & echo $! > pid' & wait; }`, ends},
		{"outlive without variables", `attempt() { env -i /usr/bin/setsid sh -c 'sleep 1000 & echo $! > pid' & wait; }`, ends},
		{"outlive by forking on", `attempt() { setsid sh -c 'setsid sh -c "setsid sleep 1000 & echo \$! > pid" &' & wait; until [ -s pid ]; do :; done; }`, ends},
	} {
		t.Run(c.name, func(t *testing.T) {
			var dir string
			p := newPool(t, strings.Replace(hostile, "%ATTEMPT%", c.attempt, 1), func(_ *Options, s *runner.Spec) {
				dir, s.Timeout = s.CodeDir, time.Minute
			})
			r := call(t, p)
			if r.Status != runner.OK {
				t.Fatalf("the call failed: %s", r.Payload)
			}
			c.want(t, dir, string(r.Payload), p)
		})
	}
}

func says(want string) func(*testing.T, string, string, *Pool) {
	return func(t *testing.T, _, answer string, _ *Pool) {
		if strings.TrimSpace(answer) != want {
			t.Errorf("the function found %q, want %q", answer, want)
		}
	}
}

// ends: the process whose id is in the file pid is there while the function is, and is not when that has ended.
func ends(t *testing.T, dir, _ string, p *Pool) {
	b, err := os.ReadFile(filepath.Join(dir, "pid"))
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, 0); err != nil {
		t.Fatalf("the process is gone before the function: %v", err)
	}
	orphans.sweep()
	if err := syscall.Kill(pid, 0); err != nil {
		t.Fatalf("the process was ended while the function is there: %v", err)
	}
	p.Kill()
	if err := syscall.Kill(pid, 0); err == nil {
		t.Errorf("process %d has outlived its function", pid)
	}
}
