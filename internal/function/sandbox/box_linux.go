package sandbox

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/millstreamdb/millstream/internal/function/sandbox/launch"
)

// The user that a function is inside, with AWS's numbers and name, and, when the server is root, the one that it is outside: a number that
// nobody gives out. Another server's is the server's own.
const (
	insideUser, insideGroup = 993, 990
	ownUser                 = 2_000_000_993
)

const (
	passwd = "root:x:0:0:root:/root:/sbin/nologin\nsbx_user1051:x:993:990::/home/sbx_user1051:/sbin/nologin\nnobody:x:65534:65534::/:/sbin/nologin\n"
	group  = "root:x:0:\nsbx_user1051:x:990:\nnobody:x:65534:\n"
)

// The limits of a process, as on AWS where it has them.
const (
	maxDescriptors = 1024
	maxProcesses   = 1024 // with their threads, of a box
)

// system are the folders with a machine's programs and libraries, and what is read of /etc. None has secrets in it.
var (
	system = []string{
		"/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/nix/store", "/home/linuxbrew/.linuxbrew",
	}
	settings = []string{
		"alternatives", "crypto-policies", "dotnet", "hosts", "ld.so.cache", "localtime", "mime.types", "nsswitch.conf", "pki", "resolv.conf", "services",
	}
	devices = []string{"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"}
)

// Machine is what this one can do. Its methods are safe for concurrent use.
type Machine struct {
	landlock, seccomp bool
	owners            *os.File // of root's server: the user namespace that makes its files the function's; else nil
}

// Box is one sandbox. Its methods are safe for concurrent use.
type Box struct {
	machine *Machine
	cmd     *exec.Cmd
	control *os.File
	given   []*os.File // to the launcher
	plan    []byte
	ground  string // what it is made of: see fingerprint
	kept    bool   // Keep was called

	mu       sync.Mutex
	last     int
	programs map[string]*Program
	ready    chan struct{} // one of Keep and one of Begin, when it was carried out
	gone     chan struct{} // closed when the launcher says nothing any more
	failed   string
}

// Program is one that runs in a box.
type Program struct {
	box    *Box
	id     string
	begun  chan error // one slot
	ended  chan struct{}
	status syscall.WaitStatus

	mu     sync.Mutex
	inside int // its pid
	pid    int // outside; 0: not looked up yet
}

// New prepares a box, with what all have. Who calls starts Command, calls Ground, and Begin when it is known for whom the box is, or, when only the
// kind of functions is known, Keep before that; at the end it kills what it has started and calls Close.
func (m *Machine) New() (*Box, error) {
	b := &Box{machine: m, programs: map[string]*Program{}, ready: make(chan struct{}, 2), gone: make(chan struct{})}
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("make a socket for the sandbox: %w", err)
	}
	if err := unix.SetNonblock(fds[0], true); err != nil {
		unix.Close(fds[0])
		unix.Close(fds[1])
		return nil, fmt.Errorf("make a socket for the sandbox: %w", err)
	}
	b.control = os.NewFile(uintptr(fds[0]), "sandbox")
	other := os.NewFile(uintptr(fds[1]), "sandbox")
	b.given = []*os.File{other}
	place, err := os.Open(os.DevNull) // in the place of the frames
	if err != nil {
		b.Close()
		return nil, fmt.Errorf("make a sandbox: %w", err)
	}
	b.given = append(b.given, place)
	extra := []*os.File{other, place} // launch.ControlFD, launch.FramesFD
	steps := m.ground()
	b.ground = fingerprint(steps)
	trees, err := b.take(steps, func(i int) string { return "#" + strconv.Itoa(launch.TreesFD+i) })
	b.given, extra = append(b.given, trees...), append(extra, trees...)
	if err != nil {
		b.Close()
		return nil, err
	}
	b.plan = launch.AppendFrame(b.plan, launch.Ground)
	b.cmd = &exec.Cmd{
		Path: "/proc/self/exe", Args: []string{"millstream-sandbox"}, Env: []string{launch.Variable + "=1"}, Dir: "/",
		ExtraFiles: extra, SysProcAttr: m.attributes(),
	}
	return b, nil
}

// take appends steps to the plan. Those trees that the server has to open itself come back, named in the plan by name.
func (b *Box) take(steps []step, name func(i int) string) (trees []*os.File, err error) {
	for _, s := range steps {
		if b.machine.owners != nil && (s.op == launch.Tree || s.op == launch.Device) {
			fd, err := b.machine.open(s)
			if err != nil {
				return trees, fmt.Errorf("clone %s for the sandbox: %w", s.value, err)
			}
			s.value = name(len(trees))
			trees = append(trees, os.NewFile(uintptr(fd), "tree"))
		}
		b.plan = launch.AppendFrame(b.plan, s.op, s.path, s.value)
	}
	return trees, nil
}

// Fresh reports whether a box that waits is there, and what it is made of is what the machine has now: files of /etc are replaced, and the box has
// the file systems that were mounted when it was made. Of one with Keep it reports that for the view that it is to have.
func (b *Box) Fresh(v *View) bool {
	select {
	case <-b.gone:
		return false
	default:
	}
	steps := b.machine.ground()
	if b.kept {
		steps = append(steps, v.ofKind()...)
	}
	return b.ground == fingerprint(steps)
}

// Stale has Fresh report that the machine has changed, for tests.
func (b *Box) Stale() { b.ground = "" }

// fingerprint tells the files apart that steps show.
func fingerprint(steps []step) string {
	var all strings.Builder
	for _, s := range steps {
		var st unix.Stat_t
		if s.op == launch.Tree && unix.Stat(s.value, &st) == nil {
			fmt.Fprintf(&all, "%s %d %d\n", s.value, st.Dev, st.Ino)
		} else {
			all.WriteString(s.op + " " + s.path + " " + s.value + "\n")
		}
	}
	mounts, _ := os.ReadFile("/proc/self/mountinfo") // empty where there is none: then nothing tells
	all.Write(mounts)
	return all.String()
}

func (m *Machine) attributes() *syscall.SysProcAttr {
	a := &syscall.SysProcAttr{
		Setsid: true, Pdeathsig: syscall.SIGKILL,
		Cloneflags:  unix.CLONE_NEWUSER | unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWIPC | unix.CLONE_NEWUTS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: insideUser, HostID: os.Geteuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: insideGroup, HostID: os.Getegid(), Size: 1}},
		AmbientCaps: []uintptr{unix.CAP_SYS_ADMIN, unix.CAP_SETPCAP},
	}
	if m.owners != nil {
		a.UidMappings[0].HostID, a.GidMappings[0].HostID = ownUser, ownUser
		a.GidMappingsEnableSetgroups = true
		a.Credential = &syscall.Credential{Uid: insideUser, Gid: insideGroup}
	}
	return a
}

// step of a plan: see package launch.
type step struct {
	op, path, value string
	owned           bool // the tree may be for its owner alone
}

func (m *Machine) open(s step) (int, error) {
	owners := 0
	if s.owned {
		owners = int(m.owners.Fd())
	}
	return launch.OpenTree(s.value, s.op == launch.Device, owners)
}

// ground is what all sandboxes have.
func (m *Machine) ground() (plan []step) {
	do := func(op, path, value string) { plan = append(plan, step{op: op, path: path, value: value}) }
	for _, path := range systemThere() {
		if to, err := os.Readlink(path); err == nil {
			do(launch.Link, path, to)
		} else {
			do(launch.Tree, path, path)
		}
	}
	for _, path := range readable() {
		do(launch.Tree, path, path)
	}
	do(launch.File, "/etc/passwd", passwd)
	do(launch.File, "/etc/group", group)
	for _, path := range devices {
		do(launch.Device, path, path)
	}
	do(launch.Link, "/dev/fd", "/proc/self/fd")
	for i, name := range []string{"stdin", "stdout", "stderr"} {
		do(launch.Link, "/dev/"+name, "/proc/self/fd/"+strconv.Itoa(i))
	}
	do(launch.Proc, "/proc", "")
	do(launch.Tmpfs, "/tmp", "mode=700,"+sizeOfTmp(usualTmpMB))
	limit := func(resource int, value int) { do(launch.Limit, strconv.Itoa(resource), strconv.Itoa(value)) }
	limit(unix.RLIMIT_CORE, 0)
	limit(unix.RLIMIT_NOFILE, maxDescriptors)
	limit(unix.RLIMIT_NPROC, maxProcesses)
	if m.landlock {
		do(launch.Confine, launch.Landlock, "")
	}
	if m.seccomp {
		do(launch.Confine, launch.Seccomp, "")
	}
	return plan
}

// usualTmpMB is what most functions have.
const usualTmpMB = 512

func sizeOfTmp(mb int) string { return fmt.Sprintf("size=%dm,nr_inodes=%d", mb, mb*256) }

// systemThere are those of system that the machine has.
func systemThere() (there []string) {
	for _, path := range system {
		if _, err := os.Lstat(path); err == nil {
			there = append(there, path)
		}
	}
	return there
}

// ofKind are the steps, on the ground, for what a view shows beside the code and the layers.
func (v *View) ofKind() (plan []step) {
	if v.Runtime != "" {
		plan = append(plan, step{launch.Tree, RuntimeDir, v.Runtime, true})
	}
	there := systemThere()
	needs := v.shown(there)
	for _, n := range needs {
		plan = append(plan, step{launch.Tree, n, n, true})
	}
	return append(plan, v.hide(append(there, needs...))...)
}

// hide are the steps that hide what lies below folders that are shown.
func (v *View) hide(shown []string) (plan []step) {
	for _, h := range v.Hidden {
		real, err := filepath.EvalSymlinks(h)
		if err == nil && slices.ContainsFunc(shown, func(p string) bool { return within(real, p) }) {
			plan = append(plan, step{op: launch.Tmpfs, path: real, value: "mode=000,size=4k"})
		}
	}
	return plan
}

// own are the steps for the rest of a view, when the others are done.
func (v *View) own() (plan []step) {
	do := func(op, path, value string) { plan = append(plan, step{op: op, path: path, value: value}) }
	owned := func(path, source string) { plan = append(plan, step{launch.Tree, path, source, true}) }
	do(launch.Resize, "/tmp", sizeOfTmp(v.TmpMB))
	do(launch.Dir, TaskDir, "")
	if v.Code != "" {
		owned(TaskDir, v.Code)
	}
	inOpt := slices.DeleteFunc(v.shown(systemThere()), func(n string) bool { return !strings.HasPrefix(n, LayersDir+"/") })
	switch {
	case len(v.Layers) == 0:
		do(launch.Dir, LayersDir, "")
	case len(v.Layers) == 1 && len(inOpt) == 0:
		owned(LayersDir, v.Layers[0])
	default: // the lowest layer has the places of what the machine has in /opt
		const places = "/.layers/places"
		do(launch.Dir, places, "")
		for _, n := range inOpt {
			if st, err := os.Stat(n); err == nil && !st.IsDir() {
				do(launch.File, places+strings.TrimPrefix(n, LayersDir), "")
			} else {
				do(launch.Dir, places+strings.TrimPrefix(n, LayersDir), "")
			}
		}
		lower := "@" + places
		for i, l := range v.Layers {
			at := "/.layers/" + strconv.Itoa(i)
			owned(at, l)
			lower = "@" + at + ":" + lower
		}
		do(launch.Overlay, LayersDir, "lowerdir="+lower)
		for _, n := range inOpt { // once more: the layers are over it
			owned(n, n)
		}
		plan = append(plan, v.hide(inOpt)...)
	}
	if v.DataMB > 0 {
		do(launch.Limit, strconv.Itoa(unix.RLIMIT_DATA), strconv.Itoa(v.DataMB<<20))
	}
	return plan
}

// readable are the files and folders of /etc that are shown.
func readable() (paths []string) {
	add := func(path string) {
		if _, err := os.Stat(path); err == nil {
			paths = append(paths, path)
		}
	}
	for _, name := range settings {
		add("/etc/" + name)
	}
	found, _ := filepath.Glob("/etc/java*") // the pattern is good
	for _, path := range found {
		add(path)
	}
	if entries, err := os.ReadDir("/etc/ssl"); err == nil { // without its private keys
		for _, e := range entries {
			if e.Name() != "private" {
				add("/etc/ssl/" + e.Name())
			}
		}
	}
	return paths
}

// Command is what starts the launcher.
func (b *Box) Command() *exec.Cmd { return b.cmd }

// Ground has a launcher that was started make what all boxes have. It does not wait for that.
func (b *Box) Ground() {
	b.drop()
	go b.listen()
	_, _ = b.control.Write(b.plan) // it fails when the launcher has ended, and why is told by listen
	b.plan = nil
}

// Keep has a launcher on its ground add what a view shows beside the code and the layers, and returns when that is done. The rest of what a box gets
// comes with Begin, which takes a view with the same; a program may be started before that. Output is where all programs print, frames
// what is given to those that ask, as descriptor 3, and told what is given to one, as descriptor 4.
func (b *Box) Keep(v *View, output, frames, told *os.File) error {
	steps := v.ofKind()
	b.ground, b.kept = fingerprint(append(b.machine.ground(), steps...)), true
	return b.add(steps, launch.Keep, output, frames, told)
}

// Begin has a launcher make the box, and returns when that is done. Output and frames are those of Keep: they are needed where it was not called.
func (b *Box) Begin(v *View, output, frames *os.File) error {
	if b.kept {
		return b.add(v.own(), launch.End)
	}
	return b.add(append(v.ofKind(), v.own()...), launch.End, output, frames)
}

// add has a launcher do steps.
func (b *Box) add(steps []step, end string, files ...*os.File) error {
	b.plan = launch.AppendFrame(nil, launch.Files, strconv.Itoa(len(files)))
	trees, err := b.take(steps, func(i int) string { return "+" + strconv.Itoa(i) })
	if err == nil {
		b.plan = launch.AppendFrame(b.plan, end)
		err = b.send(b.plan, append(files, trees...))
	}
	b.plan = nil
	for _, t := range trees {
		t.Close()
	}
	if err != nil {
		return err
	}
	select {
	case <-b.ready:
		return nil
	case <-b.gone:
		b.mu.Lock()
		defer b.mu.Unlock()
		if b.failed == "" {
			b.failed = "its first process has ended"
		}
		return errors.New("no sandbox: " + b.failed)
	}
}

// send sends a text, and descriptors with its first byte. That a launcher has ended is told by listen.
func (b *Box) send(text []byte, files []*os.File) error {
	if len(files) == 0 {
		_, _ = b.control.Write(text)
		return nil
	}
	fds := make([]int, len(files))
	for i, f := range files {
		fds[i] = int(f.Fd())
	}
	conn, err := b.control.SyscallConn()
	if err != nil {
		return fmt.Errorf("speak to the sandbox: %w", err)
	}
	var sent int
	var sending error
	err = conn.Write(func(fd uintptr) bool {
		sent, sending = unix.SendmsgN(int(fd), text[:1], unix.UnixRights(fds...), nil, unix.MSG_NOSIGNAL)
		return sending != unix.EAGAIN
	})
	switch err := errors.Join(err, sending); {
	case errors.Is(err, unix.EPIPE), errors.Is(err, unix.ECONNRESET):
		return nil // the launcher has ended: gone tells why
	case err != nil:
		return fmt.Errorf("speak to the sandbox: %w", err)
	}
	if sent == 1 {
		_, _ = b.control.Write(text[1:])
	}
	return nil
}

// drop closes what the launcher has now.
func (b *Box) drop() {
	for _, f := range b.given {
		f.Close()
	}
	b.given = nil
}

// Close lets go of the box, whose launcher then ends.
func (b *Box) Close() {
	b.drop()
	b.control.Close()
}

// listen takes the launcher's answers until there are no more.
func (b *Box) listen() {
	defer func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		close(b.gone)
		for _, p := range b.programs { // they have ended with it
			p.status = syscall.WaitStatus(syscall.SIGKILL)
			p.begun <- errors.New("the sandbox has ended")
			close(p.ended)
		}
		b.programs = nil
	}()
	for {
		var head [4]byte
		if _, err := io.ReadFull(b.control, head[:]); err != nil {
			return
		}
		n := launch.Length(head)
		if n < 0 {
			return
		}
		body := make([]byte, n)
		if _, err := io.ReadFull(b.control, body); err != nil {
			return
		}
		if !b.answer(launch.Fields(body)) {
			return
		}
	}
}

// answer takes one; false when it is none.
func (b *Box) answer(f []string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case len(f) == 1 && f[0] == launch.Ready:
		select {
		case b.ready <- struct{}{}:
			return true
		default:
			return false
		}
	case len(f) == 2 && f[0] == launch.Failed:
		b.failed = f[1]
		return true
	case len(f) != 3:
		return false
	}
	number, err := strconv.Atoi(f[2])
	p := b.programs[f[1]]
	if err != nil || p == nil {
		return false
	}
	switch f[0] {
	case launch.Started:
		p.mu.Lock()
		p.inside = number
		p.mu.Unlock()
		p.begun <- nil
	case launch.Refused:
		delete(b.programs, p.id)
		p.begun <- syscall.Errno(number)
	case launch.Ended:
		delete(b.programs, p.id)
		p.status = syscall.WaitStatus(number)
		close(p.ended)
	default:
		return false
	}
	return true
}

// startLimit is how long a box may take to start a program: its first process may have been stopped.
const startLimit = 10 * time.Second

// Start starts a program in a session of its own. Paths are those inside. Extra is how many descriptors it gets beside its output: the frames, and
// what is told, which one program can have.
func (b *Box) Start(path string, args, env []string, dir string, extra int) (*Program, error) {
	b.mu.Lock()
	if b.programs == nil {
		b.mu.Unlock()
		return nil, errors.New("the sandbox has ended")
	}
	b.last++
	p := &Program{box: b, id: strconv.Itoa(b.last), begun: make(chan error, 2), ended: make(chan struct{})}
	b.programs[p.id] = p
	b.mu.Unlock()
	fields := append([]string{launch.Start, p.id, path, dir, strconv.Itoa(extra), strconv.Itoa(len(args))}, args...)
	b.write(append(fields, env...))
	late := time.NewTimer(startLimit)
	defer late.Stop()
	select {
	case err := <-p.begun:
		if err != nil {
			return nil, &os.PathError{Op: "fork/exec", Path: path, Err: err}
		}
		return p, nil
	case <-late.C: // the box's end is that of what may begin yet
		return nil, errors.New("the sandbox does not answer")
	}
}

// write sends a request whole. One that cannot be sent is answered by the end of the box.
func (b *Box) write(fields []string) {
	_, _ = b.control.Write(launch.AppendFrame(nil, fields...)) // os.File writes all of it, and one at a time
}

// Signal signals the program's group, unless it has ended.
func (p *Program) Signal(s syscall.Signal) {
	p.box.write([]string{launch.Signal, p.id, strconv.Itoa(int(s))})
}

// Wait returns when the program has ended: "" for success, else how, as os/exec says it.
func (p *Program) Wait() string {
	<-p.ended
	switch s := p.status; {
	case s.Exited() && s.ExitStatus() == 0:
		return ""
	case s.Exited():
		return "exit status " + strconv.Itoa(s.ExitStatus())
	case s.CoreDump():
		return "signal: " + s.Signal().String() + " (core dumped)"
	default:
		return "signal: " + s.Signal().String()
	}
}

// PID is the program's on the machine; 0 when the kernel does not tell.
func (p *Program) PID() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.pid != 0 || p.box.cmd.Process == nil {
		return p.pid
	}
	first := strconv.Itoa(p.box.cmd.Process.Pid)
	children, _ := os.ReadFile("/proc/" + first + "/task/" + first + "/children")
	want := "\t" + strconv.Itoa(p.inside)
	for _, child := range strings.Fields(string(children)) {
		status, _ := os.ReadFile("/proc/" + child + "/status")
		for line := range strings.SplitSeq(string(status), "\n") {
			if strings.HasPrefix(line, "NSpid:") && strings.HasSuffix(line, want) {
				p.pid, _ = strconv.Atoi(child) // the kernel writes numbers
			}
		}
	}
	return p.pid
}

// Owns reports whether a process of the box has a socket, by its inode.
func (b *Box) Owns(inode uint32) bool {
	if b.cmd.Process == nil {
		return false
	}
	want := "socket:[" + strconv.FormatUint(uint64(inode), 10) + "]"
	proc := "/proc/" + strconv.Itoa(b.cmd.Process.Pid) + "/root/proc" // the box's own, which has its processes alone
	for _, pid := range names(proc) {
		if pid[0] < '1' || pid[0] > '9' {
			continue
		}
		open := proc + "/" + pid + "/fd"
		for _, fd := range names(open) {
			if to, err := os.Readlink(open + "/" + fd); err == nil && to == want {
				return true
			}
		}
	}
	return false
}

func names(dir string) []string {
	d, err := os.Open(dir)
	if err != nil {
		return nil
	}
	defer d.Close()
	names, _ := d.Readdirnames(-1) // those that it had
	return names
}
