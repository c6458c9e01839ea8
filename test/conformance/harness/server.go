package harness

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// Server is a Millstream process that the suite started.
type Server struct {
	Endpoint string
	Dir      string // its data folder; empty with --in-memory
	args     []string

	mu   sync.Mutex
	cmd  *exec.Cmd
	done chan struct{} // closed when the process has ended and its output is whole
	out  *tail
}

var buildOnce = sync.OnceValues(func() (string, error) {
	if bin := os.Getenv("MILLSTREAM_BIN"); bin != "" {
		return filepath.Abs(bin)
	}
	root, err := repositoryRoot()
	if err != nil {
		return "", err
	}
	dir, err := scratch()
	if err != nil {
		return "", err
	}
	bin := filepath.Join(dir, "millstream")
	cmd := exec.Command("go", "build", "-o", bin, "./cmd/millstream")
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build millstream in %s: %w\n%s", root, err, out)
	}
	return bin, nil
})

// Binary returns the path of the millstream binary, built at the first call.
func Binary() (string, error) { return buildOnce() }

func repositoryRoot() (string, error) {
	_, file, _, ok := runtime.Caller(0)
	if !ok {
		return "", errors.New("harness: no source path; set MILLSTREAM_BIN")
	}
	root := filepath.Join(filepath.Dir(file), "..", "..", "..")
	if _, err := os.Stat(filepath.Join(root, "cmd", "millstream")); err != nil {
		return "", fmt.Errorf("harness: no millstream source beside the suite (%w); set MILLSTREAM_BIN or CONFORMANCE_ENDPOINT", err)
	}
	return root, nil
}

// StartServer starts a Millstream on the data folder dir and waits until it
// answers. An empty dir means --in-memory. The address is kept over restarts.
func StartServer(dir string, extra ...string) (*Server, error) {
	bin, err := Binary()
	if err != nil {
		return nil, err
	}
	addr, err := freeAddress()
	if err != nil {
		return nil, err
	}
	args := []string{bin, "serve", "--listen", addr}
	if dir == "" {
		args = append(args, "--in-memory")
	} else {
		args = append(args, "--data", dir)
	}
	s := &Server{Endpoint: "http://" + addr, Dir: dir, args: append(args, extra...)}
	return s, s.Start()
}

// Start starts the process again after Kill or Stop.
func (s *Server) Start() error {
	s.mu.Lock()
	s.out = &tail{}
	s.cmd = exec.Command(s.args[0], s.args[1:]...)
	s.cmd.Stdout, s.cmd.Stderr = s.out, s.out
	s.cmd.Env = cleanEnvironment()
	// Its own group, so that functions die with it and an interrupt at the
	// terminal reaches the tests first.
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	s.done = make(chan struct{})
	cmd, done := s.cmd, s.done
	err := cmd.Start()
	s.mu.Unlock()
	if err != nil {
		return fmt.Errorf("start %s: %w", s.args[0], err)
	}
	go func() {
		_ = cmd.Wait() // the state is read from ProcessState
		close(done)
	}()
	return s.awaitHealthy(60 * time.Second)
}

func (s *Server) awaitHealthy(limit time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	poll := time.NewTicker(5 * time.Millisecond)
	defer poll.Stop()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.Endpoint+"/healthz", nil)
		if err != nil {
			return err
		}
		if resp, err := http.DefaultClient.Do(req); err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-s.done:
			return fmt.Errorf("millstream ended before it answered: %v\n%s", s.cmd.ProcessState, s.out)
		case <-ctx.Done():
			return fmt.Errorf("millstream did not answer /healthz within %v\n%s", limit, s.out)
		case <-poll.C:
		}
	}
}

// Kill ends the process with SIGKILL and waits until it is gone.
func (s *Server) Kill() { s.signal(syscall.SIGKILL, false) }

// Stop asks the process to end and waits; it is killed after 20 s. It returns an
// error if the process did not end well.
func (s *Server) Stop() error {
	s.signal(syscall.SIGTERM, true)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cmd.ProcessState == nil || !s.cmd.ProcessState.Success() {
		return fmt.Errorf("millstream ended with %v\n%s", s.cmd.ProcessState, s.out)
	}
	return nil
}

func (s *Server) signal(sig syscall.Signal, patient bool) {
	s.mu.Lock()
	cmd, done := s.cmd, s.done
	s.mu.Unlock()
	_ = cmd.Process.Signal(sig) // gone already: done is closed
	if patient {
		limit := time.NewTimer(20 * time.Second)
		defer limit.Stop()
		select {
		case <-done:
			return
		case <-limit.C:
			_ = cmd.Process.Kill()
		}
	}
	<-done
}

// Output returns the last part of what the process has printed.
func (s *Server) Output() string { return s.out.String() }

// Pid returns the process id of the running server.
func (s *Server) Pid() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cmd.Process.Pid
}

func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// cleanEnvironment is the environment without what would change the server's
// settings or the endpoints of its functions.
func cleanEnvironment() []string {
	var env []string
	for _, kv := range os.Environ() {
		if !bytes.HasPrefix([]byte(kv), []byte("MILLSTREAM_")) && !bytes.HasPrefix([]byte(kv), []byte("AWS_")) {
			env = append(env, kv)
		}
	}
	return env
}

// tail keeps the last 64 KiB written to it.
type tail struct {
	mu  sync.Mutex
	buf []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf = append(t.buf, p...)
	if over := len(t.buf) - 64<<10; over > 0 {
		t.buf = append(t.buf[:0], t.buf[over:]...)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.buf)
}
