package worker

import (
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// MachineSynchronized is the Synchronized of this machine: what the kernel was told by the time service (adjtimex(2)). Setting the clock
// takes that back until the service tells it anew.
func MachineSynchronized() bool {
	var t unix.Timex // asks, and changes nothing
	state, err := unix.Adjtimex(&t)
	return err == nil && state != unix.TIME_ERROR && t.Status&unix.STA_UNSYNC == 0
}

// MachineBoot is the Boot of this machine; nil when it cannot be told.
func MachineBoot() Boot {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return nil
	}
	name := strings.TrimSpace(string(id))
	return func() (string, time.Duration) {
		var t unix.Timespec
		if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &t); err != nil {
			return "", 0
		}
		return name, time.Duration(t.Nano())
	}
}
