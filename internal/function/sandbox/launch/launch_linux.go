package launch

import (
	"runtime"
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

// run is the whole life of a launcher. Two of its threads matter. The program's first starts the programs, in mounts and with rights that are
// theirs. The keeper's adds to what they see for as long as the sandbox is not whole.
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
	k := newKeeper()
	var steps [][]string
	for {
		f, ok := read()
		if !ok {
			return 1
		}
		if f[0] == Ground {
			break
		}
		steps = append(steps, f)
	}
	if what, err := k.do(func() (string, error) { return ground(steps) }); err != nil {
		return fail(what, err)
	}
	if what, err := leave(steps); err != nil {
		return fail(what, err)
	}
	return serve(k)
}

func fail(what string, err error) int {
	write(Failed, what+": "+err.Error())
	return 1
}

// keeper is a thread that keeps the rights that the launcher was started with, and the machine's mounts.
type keeper chan func()

func newKeeper() keeper {
	k := make(keeper)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		for f := range k {
			f()
		}
	}()
	return k
}

// do has the keeper do something.
func (k keeper) do(f func() (string, error)) (what string, err error) {
	done := make(chan struct{})
	k <- func() {
		what, err = f()
		close(done)
	}
	<-done
	return what, err
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

// come is what was read and not used yet: a plan comes in one piece. given are the descriptors that came since the last Files.
var (
	come  []byte
	given []int
)

// told is from where a program that waits is told what to run; -1: there is no such.
var told = -1

// files puts the first n of the descriptors that came where they belong: the output, the frames, and told. It returns the others, which are trees.
func files(n string, come []int) (trees []int, what string, err error) {
	own, err := strconv.Atoi(n)
	if err != nil || own < 0 || own == 1 || own > 3 || len(come) < own {
		return nil, "take the output", syscall.EBADF
	}
	if own == 0 {
		return come, "", nil
	}
	for _, to := range []struct{ from, to, flags int }{{come[0], 1, 0}, {come[0], 2, 0}, {come[1], FramesFD, syscall.O_CLOEXEC}} {
		if err := syscall.Dup3(to.from, to.to, to.flags); err != nil {
			return nil, "take the output", err
		}
	}
	_ = syscall.Close(come[0]) // it is there twice
	_ = syscall.Close(come[1])
	if own == 3 {
		told = come[2]
	}
	return come[own:], "", nil
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

// request is a frame, with the descriptors that came for it.
type request struct {
	fields []string
	files  []int
}

// serve makes the sandbox whole, and starts programs and signals them until the server is gone.
func serve(k keeper) int {
	p := &programs{ids: map[int]string{}, pids: map[string]int{}}
	p.some = sync.NewCond(&p.mu)
	go p.reap()
	requests := make(chan request)
	go func() {
		for {
			f, ok := read()
			if !ok {
				syscall.Exit(0)
			}
			r := request{fields: f}
			if f[0] == Files {
				r.files, given = given, nil
			}
			requests <- r
		}
	}()
	var steps [][]string
	var trees []int
	begun := false // what is to be seen by the first program is there
	for r := range requests {
		f := r.fields
		switch f[0] {
		case Start:
			p.start(f[1:], begun)
		case Signal:
			p.signal(f[1], f[2])
		case Files:
			var what string
			var err error
			if trees, what, err = files(f[1], r.files); err != nil {
				return fail(what, err)
			}
		case Keep, End:
			if k == nil {
				return fail("add to the sandbox", syscall.EPERM)
			}
			what, err := k.do(func() (string, error) { return furnish(steps, trees, f[0] == End) })
			if err == nil {
				what, err = p.limit(steps)
			}
			if err != nil {
				return fail(what, err)
			}
			if steps, trees, begun = nil, nil, true; f[0] == End {
				close(k)
				k = nil
			}
			write(Ready)
		default:
			steps = append(steps, f)
		}
	}
	return 0
}

// limit sets limits of this process, which those that it starts have from it, and of the programs that there are.
func (p *programs) limit(steps [][]string) (what string, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var pids []int
	for pid := range p.ids {
		pids = append(pids, pid)
	}
	return limit(steps, pids)
}

func (p *programs) start(f []string, allowed bool) {
	id, path, dir := f[0], f[1], f[2]
	extra, err := strconv.Atoi(f[3])
	n, err2 := strconv.Atoi(f[4])
	files := []uintptr{0, 1, 2, FramesFD, uintptr(told)}
	if err != nil || err2 != nil || n > len(f)-5 || !allowed || extra < 0 || extra > 2 || extra == 2 && told < 0 {
		write(Refused, id, strconv.Itoa(int(syscall.EINVAL)))
		return
	}
	files = files[:3+extra]
	p.mu.Lock()
	pid, err := syscall.ForkExec(path, f[5:5+n], &syscall.ProcAttr{Dir: dir, Env: f[5+n:], Files: files, Sys: &syscall.SysProcAttr{Setsid: true}})
	if err == nil && mostData > 0 {
		_ = unix.Prlimit(pid, unix.RLIMIT_DATA, &unix.Rlimit{Cur: mostData, Max: mostData}, nil) // one that has ended takes none
	}
	if err == nil {
		p.ids[pid], p.pids[id] = id, pid
		p.some.Signal()
		write(Started, id, strconv.Itoa(pid)) // under the lock: its end is told after it
	}
	p.mu.Unlock()
	if extra == 2 { // it alone has what tells it
		_ = syscall.Close(told)
		told = -1
	}
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
