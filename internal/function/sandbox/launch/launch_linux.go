package launch

import (
	"strconv"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

func init() {
	if _, is := syscall.Getenv(Variable); is {
		syscall.Exit(run())
	}
}

// run is the whole life of a launcher. It stays on the program's first thread: what is given up is given up by that, which starts the others.
func run() int {
	for _, fd := range []int{ControlFD, FramesFD} {
		syscall.CloseOnExec(fd)
	}
	// For a server that ends without closing anything, and so that nothing of the sandbox reads this process.
	if err := unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0); err != nil {
		return 1
	}
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return 1
	}
	for _, part := range []struct {
		end      string
		carryOut func([][]string) (string, error)
	}{{Ground, ground}, {Files, files}, {End, furnish}} {
		var steps [][]string
		for {
			f, ok := read()
			if !ok {
				return 1
			}
			if f[0] == part.end {
				break
			}
			steps = append(steps, f)
		}
		if what, err := part.carryOut(steps); err != nil {
			write(Failed, what+": "+err.Error())
			return 1
		}
	}
	write(Ready)
	serve()
	return 0
}

// read reads a frame; false when the server is gone, or speaks otherwise.
func read() (fields []string, ok bool) {
	var head [4]byte
	if !full(head[:]) {
		return nil, false
	}
	n := Length(head)
	if n <= 0 {
		return nil, false
	}
	body := make([]byte, n)
	if !full(body) {
		return nil, false
	}
	fields = Fields(body)
	return fields, len(fields) > 0
}

// come is what was read and not used yet: a plan comes in one piece. given are the descriptors that came with it.
var (
	come  []byte
	given []int
)

// files puts the output and the frames where they belong.
func files([][]string) (what string, err error) {
	if len(given) < 2 {
		return "take the output", syscall.EBADF
	}
	for _, to := range []struct{ from, to, flags int }{{given[0], 1, 0}, {given[0], 2, 0}, {given[1], FramesFD, syscall.O_CLOEXEC}} {
		if err := syscall.Dup3(to.from, to.to, to.flags); err != nil {
			return "take the output", err
		}
	}
	_ = syscall.Close(given[0]) // it is there twice
	_ = syscall.Close(given[1])
	given = given[2:]
	return "", nil
}

func full(b []byte) bool {
	for len(b) > 0 {
		if len(come) > 0 {
			n := copy(b, come)
			b, come = b[n:], come[n:]
			continue
		}
		buffer, control := make([]byte, 32<<10), make([]byte, 4<<10)
		n, rights, _, _, err := syscall.Recvmsg(ControlFD, buffer, control, syscall.MSG_CMSG_CLOEXEC)
		if rights > 0 {
			if messages, err := syscall.ParseSocketControlMessage(control[:rights]); err == nil {
				for i := range messages {
					if fds, err := syscall.ParseUnixRights(&messages[i]); err == nil {
						given = append(given, fds...)
					}
				}
			}
		}
		switch {
		case err == syscall.EINTR:
		case err != nil || n == 0:
			return false
		default:
			come = buffer[:n]
		}
	}
	return true
}

var writing sync.Mutex

// write sends an answer. One that cannot be sent has nobody who waits for it.
func write(fields ...string) {
	writing.Lock()
	defer writing.Unlock()
	b := AppendFrame(nil, fields...)
	for len(b) > 0 {
		n, err := syscall.Write(ControlFD, b)
		if err == syscall.EINTR {
			continue
		}
		if err != nil {
			return
		}
		b = b[n:]
	}
}

// programs are those that were started and have not ended.
type programs struct {
	mu   sync.Mutex
	some *sync.Cond
	ids  map[int]string // by pid
	pids map[string]int
}

// serve starts programs and signals them until the server is gone.
func serve() {
	p := &programs{ids: map[int]string{}, pids: map[string]int{}}
	p.some = sync.NewCond(&p.mu)
	go p.reap()
	requests := make(chan []string)
	go func() {
		for {
			f, ok := read()
			if !ok {
				syscall.Exit(0)
			}
			requests <- f
		}
	}()
	for f := range requests {
		switch f[0] {
		case Start:
			p.start(f[1:])
		case Signal:
			p.signal(f[1], f[2])
		}
	}
}

func (p *programs) start(f []string) {
	id, path, dir, frames := f[0], f[1], f[2], f[3]
	n, err := strconv.Atoi(f[4])
	if err != nil || n > len(f)-5 {
		write(Refused, id, strconv.Itoa(int(syscall.EINVAL)))
		return
	}
	files := []uintptr{0, 1, 2}
	if frames != "" {
		files = append(files, FramesFD)
	}
	p.mu.Lock()
	pid, err := syscall.ForkExec(path, f[5:5+n], &syscall.ProcAttr{Dir: dir, Env: f[5+n:], Files: files, Sys: &syscall.SysProcAttr{Setsid: true}})
	if err == nil {
		p.ids[pid], p.pids[id] = id, pid
		p.some.Signal()
		write(Started, id, strconv.Itoa(pid)) // under the lock: its end is told after it
	}
	p.mu.Unlock()
	if err != nil {
		number, _ := err.(syscall.Errno)
		write(Refused, id, strconv.Itoa(int(number)))
	}
}

// signal signals a program's group, while its id is not free for another.
func (p *programs) signal(id, number string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	pid, ok := p.pids[id]
	n, err := strconv.Atoi(number)
	if ok && err == nil {
		_ = syscall.Kill(-pid, syscall.Signal(n)) // fails only when nobody is left
	}
}

// reap waits for what ends here: the programs, which are told of, and what they leave behind.
func (p *programs) reap() {
	for {
		var info unix.Siginfo
		err := unix.Waitid(unix.P_ALL, 0, &info, unix.WEXITED|unix.WNOWAIT, nil)
		if err == unix.ECHILD {
			p.mu.Lock()
			for len(p.ids) == 0 {
				p.some.Wait()
			}
			p.mu.Unlock()
			continue
		}
		if err != nil {
			continue
		}
		p.mu.Lock()
		var status syscall.WaitStatus
		// What waits longest is not known by Siginfo's public fields; any that has ended will do.
		pid, err := syscall.Wait4(-1, &status, syscall.WNOHANG, nil)
		id, own := p.ids[pid]
		if err == nil && own {
			_ = syscall.Kill(-pid, syscall.SIGKILL) // what is left of its group
			delete(p.ids, pid)
			delete(p.pids, id)
		}
		p.mu.Unlock()
		if err == nil && own {
			write(Ended, id, strconv.Itoa(int(status)))
		}
	}
}
