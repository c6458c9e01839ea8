package main

import (
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// trimAfter is when the start of a server is over, with what functions and clients ask for at once.
const trimAfter = time.Second

// trimLater gives back the program's code that only its start has needed. The kernel maps it with all that lies near it, which is a good third of the
// memory of an idle server; what is needed again is mapped again, from the page cache as a rule.
func trimLater() { time.AfterFunc(trimAfter, trim) }

func trim() {
	self, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return // it is only given back where that can be done
	}
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		return
	}
	for line := range strings.Lines(string(maps)) {
		// Code alone: other parts may have been changed when the program was loaded.
		f := strings.Fields(line)
		if len(f) != 6 || f[1] != "r-xp" || f[5] != self {
			continue
		}
		from, to, _ := strings.Cut(f[0], "-")
		first, err1 := strconv.ParseUint(from, 16, 64)
		end, err2 := strconv.ParseUint(to, 16, 64)
		if err1 == nil && err2 == nil && end > first {
			_, _, _ = syscall.Syscall(unix.SYS_MADVISE, uintptr(first), uintptr(end-first), unix.MADV_DONTNEED)
		}
	}
}
