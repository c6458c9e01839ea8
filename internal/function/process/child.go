package process

import (
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"time"

	"github.com/millstreamdb/millstream/internal/function/sandbox"
)

// command is what is started for an environment.
type command struct {
	path string
	args []string // with the name of the program first
	env  []string // beyond what every function is given
	// needs are files and folders of the machine that it reads, beside those of the system, the function, its layers and the shims.
	needs []string
}

// spawner starts processes from one operating system thread that lives as long
// as it does: Linux kills a child with Pdeathsig when the thread that started it
// ends, which for other threads may be before the program does.
type spawner struct {
	work chan func()
	quit chan struct{}
}

func newSpawner() *spawner {
	s := &spawner{work: make(chan func()), quit: make(chan struct{})}
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		noNewPrivileges()      // of this thread, and of all that it starts
		for {
			select {
			case f := <-s.work:
				f()
			case <-s.quit:
				return
			}
		}
	}()
	return s
}

// close ends the thread, and with it every child that is still there.
func (s *spawner) close() { close(s.quit) }

// framesFD is the descriptor at which a process finds the end of the pipe for its frames.
const framesFD = 3

// start starts a process in a session and a group of its own, its output going to out, its frames to
// frames unless that is nil. token is the one in env.
func (s *spawner) start(c command, env []string, token, dir string, out, frames *os.File) (*child, error) {
	cmd := &exec.Cmd{
		Path: c.path, Args: c.args, Env: env, Dir: dir,
		Stdout: out, Stderr: out, SysProcAttr: &syscall.SysProcAttr{Setsid: true},
	}
	if frames != nil {
		cmd.ExtraFiles = []*os.File{frames}
	}
	bindToParent(cmd.SysProcAttr)
	return s.run(cmd, token)
}

// run starts cmd, which is in a session of its own and whose environment has that token.
func (s *spawner) run(cmd *exec.Cmd, token string) (*child, error) {
	done := make(chan error, 1)
	select {
	case s.work <- func() {
		done <- orphans.started(token, func() (int, error) {
			closeOnExec()
			if err := cmd.Start(); err != nil {
				return 0, err
			}
			return cmd.Process.Pid, nil
		})
	}:
	case <-s.quit:
		return nil, errEnding
	}
	if err := <-done; err != nil {
		return nil, err
	}
	return &child{cmd: cmd}, nil
}

// child is a running process and its group: one of this program's, or one in an environment's box.
type child struct {
	cmd    *exec.Cmd
	inside *sandbox.Program // else nil

	mu     sync.Mutex // guards reaped: a group may be signalled only while its leader's id is taken
	reaped bool

	memory   int // last sample, in MB
	sampled  time.Time
	memoryMu sync.Mutex
}

// kill ends the whole group at once.
func (c *child) kill() { c.signal(syscall.SIGKILL) }

// terminate asks the whole group to end.
func (c *child) terminate() { c.signal(syscall.SIGTERM) }

func (c *child) signal(s syscall.Signal) {
	if c.inside != nil {
		c.inside.Signal(s)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.reaped {
		_ = syscall.Kill(-c.cmd.Process.Pid, s) // fails only when nobody is left
	}
}

// wait returns when the process has ended: "" for success, else how it ended. What
// is left of its group is killed, and what has left the group.
func (c *child) wait() string {
	if c.inside != nil {
		return c.inside.Wait()
	}
	awaitExit(c.cmd.Process.Pid)
	c.kill()
	c.mu.Lock()
	c.reaped = true
	c.mu.Unlock()
	err := c.cmd.Wait()
	orphans.ended(c.cmd.Process.Pid)
	if err != nil {
		return err.Error()
	}
	return ""
}

// memoryMB returns the most memory that the process has used, sampled at most
// once a second; 0 where the system does not tell.
func (c *child) memoryMB() int {
	c.memoryMu.Lock()
	defer c.memoryMu.Unlock()
	if now := time.Now(); now.Sub(c.sampled) >= time.Second {
		c.sampled = now
		c.memory = max(c.memory, peakMemoryMB(c.pid()))
	}
	return c.memory
}

func (c *child) pid() int {
	if c.inside != nil {
		return c.inside.PID()
	}
	return c.cmd.Process.Pid
}
