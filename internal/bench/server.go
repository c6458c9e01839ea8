package bench

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// child is a server that runs as a process of its own, so that its memory and
// its processor time are its own too.
type child struct {
	endpoint string
	cmd      *exec.Cmd
	ended    chan struct{}
	output   *lastBytes
}

// serve starts this same program as `serve` on dir; it returns when /healthz
// answers, and how long that took from the start of the process.
func serve(ctx context.Context, o Options, dir string) (*child, time.Duration, error) {
	addr, err := freeAddress()
	if err != nil {
		return nil, 0, err
	}
	args := []string{cmp.Or(o.command, "serve"), "--listen", addr, "--data", dir, "--log-level", "warn"}
	if o.Durability != "" {
		args = append(args, "--durability", o.Durability)
	}
	return start(ctx, addr, o.env, append(args, o.ServerArgs...)...)
}

func start(ctx context.Context, addr string, env []string, args ...string) (*child, time.Duration, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, 0, err
	}
	c := &child{endpoint: "http://" + addr, cmd: exec.Command(self, args...), ended: make(chan struct{}), output: &lastBytes{}}
	c.cmd.Stdout, c.cmd.Stderr = c.output, c.output
	c.cmd.Env = append(withoutSettings(os.Environ()), env...)
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	began := time.Now()
	if err := c.cmd.Start(); err != nil {
		return nil, 0, err
	}
	go func() {
		_ = c.cmd.Wait() // the state is read from ProcessState
		close(c.ended)
	}()
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	poll := time.NewTicker(time.Millisecond)
	defer poll.Stop()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.endpoint+"/healthz", nil)
		if err != nil {
			return nil, 0, err
		}
		if resp, err := http.DefaultClient.Do(req); err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return c, time.Since(began), nil
			}
		}
		select {
		case <-c.ended:
			return nil, 0, fmt.Errorf("%s ended before it answered: %v: %s", args[0], c.cmd.ProcessState, c.output)
		case <-ctx.Done():
			c.kill()
			return nil, 0, fmt.Errorf("%s did not answer: %w: %s", args[0], ctx.Err(), c.output)
		case <-poll.C:
		}
	}
}

// withoutSettings drops the variables that would change the server's flags.
func withoutSettings(env []string) []string {
	return slices.DeleteFunc(env, func(kv string) bool { return strings.HasPrefix(kv, "MILLSTREAM_") })
}

func (c *child) kill() {
	_ = c.cmd.Process.Kill() // gone already: ended is closed
	<-c.ended
}

func (c *child) stop() error {
	_ = c.cmd.Process.Signal(syscall.SIGTERM)
	limit := time.NewTimer(30 * time.Second)
	defer limit.Stop()
	select {
	case <-c.ended:
	case <-limit.C:
		c.kill()
		return errors.New("the server did not end within 30 s of SIGTERM")
	}
	if !c.cmd.ProcessState.Success() {
		return fmt.Errorf("the server ended with %v: %s", c.cmd.ProcessState, c.output)
	}
	return nil
}

// resident returns the process's resident memory in bytes.
func (c *child) resident() (int64, error) {
	out, err := exec.Command("ps", "-o", "rss=", "-p", strconv.Itoa(c.cmd.Process.Pid)).Output()
	if err != nil {
		return 0, fmt.Errorf("ps: %w", err)
	}
	kib, err := strconv.ParseInt(strings.TrimSpace(string(out)), 10, 64)
	return kib << 10, err
}

// diskWrites returns the bytes that the process has had written to the disk so far; ok is false where the machine does not tell.
func (c *child) diskWrites() (bytes int64, ok bool) {
	all, err := os.ReadFile(fmt.Sprintf("/proc/%d/io", c.cmd.Process.Pid))
	if err != nil {
		return 0, false
	}
	for line := range strings.Lines(string(all)) {
		if value, found := strings.CutPrefix(line, "write_bytes: "); found {
			bytes, err := strconv.ParseInt(strings.TrimSpace(value), 10, 64)
			return bytes, err == nil
		}
	}
	return 0, false
}

// folderBytes is what the files of a folder have.
func folderBytes(dir string) (all int64, err error) {
	err = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if errors.Is(err, fs.ErrNotExist) { // removed meanwhile
			return nil
		}
		if err == nil {
			all += info.Size()
		}
		return err
	})
	return all, err
}

// clockTick is the unit of processor time in /proc, the same on every Linux.
const clockTick = 10 * time.Millisecond

// processorTime returns what the process has used so far, user and system: from
// /proc where there is one, else from the server's own metrics
// (process_cpu_seconds_total), which cost the server processor time themselves.
func (c *child) processorTime(ctx context.Context) (time.Duration, error) {
	if stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", c.cmd.Process.Pid)); err == nil {
		// The name, in parentheses, may hold blanks; utime and stime are the 12th and
		// 13th fields behind it.
		fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
		if len(fields) > 12 {
			user, err1 := strconv.ParseInt(fields[11], 10, 64)
			system, err2 := strconv.ParseInt(fields[12], 10, 64)
			return time.Duration(user+system) * clockTick, errors.Join(err1, err2)
		}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.endpoint+"/metrics", nil)
	if err != nil {
		return 0, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	var body bytes.Buffer
	if _, err := body.ReadFrom(resp.Body); err != nil {
		return 0, err
	}
	for line := range strings.Lines(body.String()) {
		if value, found := strings.CutPrefix(line, "process_cpu_seconds_total "); found {
			seconds, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
			return time.Duration(seconds * float64(time.Second)), err
		}
	}
	return 0, errors.New("/metrics shows no process_cpu_seconds_total")
}

// awaitQuiet returns when the server has used next to no processor time for a
// second: flushes and compactions are over.
func (c *child) awaitQuiet(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	for {
		before, err := c.processorTime(ctx)
		if err != nil {
			return err
		}
		if err := pause(ctx, time.Second); err != nil {
			return fmt.Errorf("the server did not become quiet: %w", err)
		}
		after, err := c.processorTime(ctx)
		if err != nil || after-before <= 2*clockTick {
			return err
		}
	}
}

func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// lastBytes keeps the end of what is written to it, for error messages.
type lastBytes struct {
	mu  sync.Mutex
	buf []byte
}

func (l *lastBytes) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.buf = append(l.buf, p...)
	if over := len(l.buf) - 8<<10; over > 0 {
		l.buf = append(l.buf[:0], l.buf[over:]...)
	}
	return len(p), nil
}

func (l *lastBytes) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.buf)
}
