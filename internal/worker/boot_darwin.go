package worker

import (
	"time"

	"golang.org/x/sys/unix"
)

// MachineBoot is the Boot of this machine; nil when it cannot be told.
func MachineBoot() Boot {
	id, err := unix.Sysctl("kern.bootsessionuuid")
	if err != nil {
		return nil
	}
	return func() (string, time.Duration) {
		var t unix.Timespec
		// On macOS this clock goes on while the machine sleeps.
		if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &t); err != nil {
			return "", 0
		}
		return id, time.Duration(t.Nano())
	}
}
