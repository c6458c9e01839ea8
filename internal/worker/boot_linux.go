package worker

import (
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

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
