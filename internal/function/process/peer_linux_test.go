//go:build linux

package process

import (
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
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
	go server.Serve(ownUser{Listener: ln, logger: slog.New(slog.DiscardHandler)})
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
