package process

import (
	"errors"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// bindToParent does nothing: only Linux can. Runtimes end by themselves when
// their Runtime API is gone.
func bindToParent(*syscall.SysProcAttr) {}

// noNewPrivileges does nothing: only Linux can.
func noNewPrivileges() {}

// closeOnExec does nothing: only Linux can.
func closeOnExec() {}

// awaitExit returns when the process has ended, and leaves it to be reaped, so that
// its id, which is its group's, cannot be given to another in the meantime.
func awaitExit(pid int) {
	kq, err := unix.Kqueue()
	if err != nil {
		return
	}
	defer unix.Close(kq)
	var ev unix.Kevent_t
	unix.SetKevent(&ev, pid, unix.EVFILT_PROC, unix.EV_ADD|unix.EV_ONESHOT)
	ev.Fflags = unix.NOTE_EXIT
	out := make([]unix.Kevent_t, 1)
	for {
		// It fails with ESRCH when the process has ended already.
		if _, err := unix.Kevent(kq, []unix.Kevent_t{ev}, out, nil); !errors.Is(err, unix.EINTR) {
			return
		}
	}
}

// peakMemoryMB is not known here.
func peakMemoryMB(int) int { return 0 }

// again is a second descriptor of a pipe's end.
func again(w *os.File) (*os.File, error) { return dup(w) }
