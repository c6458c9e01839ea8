package process

import (
	"bytes"
	"errors"
	"os"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// bindToParent makes the kernel kill the child when this program dies.
func bindToParent(a *syscall.SysProcAttr) { a.Pdeathsig = syscall.SIGKILL }

// noNewPrivileges makes the thread, and what it starts, gain none by a program's set-user-id bit or capabilities.
func noNewPrivileges() {
	_ = unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) // since Linux 3.5 it does not fail
}

// closeOnExec keeps from what is started the files that this program was given by who started it; its own are so already.
func closeOnExec() {
	_ = unix.CloseRange(framesFD, ^uint(0), unix.CLOSE_RANGE_CLOEXEC) // before Linux 5.11 they are passed on
}

// awaitExit returns when the process has ended, and leaves it to be reaped, so that
// its id, which is its group's, cannot be given to another in the meantime.
func awaitExit(pid int) {
	for {
		err := unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			return
		}
	}
}

// peakMemoryMB reads the process's high-water mark.
func peakMemoryMB(pid int) int {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		return 0
	}
	_, rest, ok := bytes.Cut(b, []byte("VmHWM:"))
	if !ok {
		return 0
	}
	kb, _, _ := bytes.Cut(bytes.TrimSpace(rest), []byte(" "))
	n, err := strconv.Atoi(string(kb))
	if err != nil {
		return 0
	}
	return (n + 1023) / 1024
}

// again opens a pipe's end once more, so that what a process does to the one (libuv makes
// its stdout non-blocking) leaves the other alone.
func again(w *os.File) (*os.File, error) {
	fd, err := unix.Open("/proc/self/fd/"+strconv.Itoa(int(w.Fd())), unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return dup(w)
	}
	return os.NewFile(uintptr(fd), "frames"), nil
}
