package function

import (
	"context"
	"errors"
	"runtime"
	"syscall"
	"testing"
	"time"
)

// awaitGone waits for a process that was killed to disappear. Its parent is gone,
// so another process reaps it, in its own time.
func awaitGone(t *testing.T, pid int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for !gone(pid) {
		if ctx.Err() != nil {
			t.Fatalf("process %d still runs", pid)
		}
		runtime.Gosched()
	}
}

// gone reports whether a process has ended: it is no more, or waits to be reaped.
func gone(pid int) bool {
	return errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) || isZombie(pid)
}
