package launch

import (
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// refused are the calls that no function needs, and by which kernels were broken or sandboxes left: their errno is EPERM.
var refused = append([]uint32{
	unix.SYS_MOUNT, unix.SYS_UMOUNT2, unix.SYS_PIVOT_ROOT, unix.SYS_CHROOT, unix.SYS_OPEN_TREE, unix.SYS_MOVE_MOUNT, unix.SYS_FSOPEN,
	unix.SYS_FSCONFIG, unix.SYS_FSMOUNT, unix.SYS_FSPICK, unix.SYS_MOUNT_SETATTR, unix.SYS_UNSHARE, unix.SYS_SETNS,
	unix.SYS_PTRACE, unix.SYS_PROCESS_VM_READV, unix.SYS_PROCESS_VM_WRITEV, unix.SYS_PROCESS_MADVISE, unix.SYS_PIDFD_GETFD, unix.SYS_KCMP,
	unix.SYS_BPF, unix.SYS_PERF_EVENT_OPEN, unix.SYS_USERFAULTFD, unix.SYS_IO_URING_SETUP, unix.SYS_IO_URING_ENTER, unix.SYS_IO_URING_REGISTER,
	unix.SYS_ADD_KEY, unix.SYS_REQUEST_KEY, unix.SYS_KEYCTL, unix.SYS_INIT_MODULE, unix.SYS_FINIT_MODULE, unix.SYS_DELETE_MODULE,
	unix.SYS_KEXEC_LOAD, unix.SYS_REBOOT, unix.SYS_SWAPON, unix.SYS_SWAPOFF, unix.SYS_ACCT, unix.SYS_QUOTACTL, unix.SYS_SYSLOG,
	unix.SYS_OPEN_BY_HANDLE_AT, unix.SYS_NAME_TO_HANDLE_AT, unix.SYS_FANOTIFY_INIT, unix.SYS_VHANGUP, unix.SYS_SETTIMEOFDAY,
	unix.SYS_CLOCK_SETTIME, unix.SYS_CLOCK_ADJTIME, unix.SYS_ADJTIMEX, unix.SYS_SETHOSTNAME, unix.SYS_SETDOMAINNAME, unix.SYS_MOVE_PAGES,
	unix.SYS_MIGRATE_PAGES, unix.SYS_MBIND, unix.SYS_SET_MEMPOLICY, unix.SYS_LOOKUP_DCOOKIE,
}, refusedHere...)

// families of sockets that functions may have; of NETLINK only what getaddrinfo asks.
var families = []uint32{unix.AF_UNIX, unix.AF_INET, unix.AF_INET6}

const namespaces = unix.CLONE_NEWUSER | unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWNET | unix.CLONE_NEWIPC | unix.CLONE_NEWUTS |
	unix.CLONE_NEWCGROUP

// Offsets in struct seccomp_data, and of the lower half of an argument: both architectures are little-endian.
const (
	dataNumber = 0
	dataArch   = 4
	dataArgs   = 16
)

const (
	load  = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS
	equal = unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K
	above = unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K
	set   = unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K
	ret   = unix.BPF_RET | unix.BPF_K
)

// HasSeccomp reports whether the kernel has it, and this program knows the machine's calls.
func HasSeccomp() bool {
	if audit == 0 {
		return false
	}
	action := uint32(unix.SECCOMP_RET_ERRNO)
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_GET_ACTION_AVAIL, 0, uintptr(unsafe.Pointer(&action)))
	return errno == 0
}

// program is what the kernel runs at each call. Another architecture's calls (int 0x80, x32) have other numbers, and end the process.
func program() []unix.SockFilter {
	fail := func(errno uint32) uint32 { return unix.SECCOMP_RET_ERRNO | errno }
	p := []unix.SockFilter{
		{Code: load, K: dataArch},
		{Code: equal, K: audit, Jt: 1},
		{Code: ret, K: unix.SECCOMP_RET_KILL_PROCESS},
		{Code: load, K: dataNumber},
	}
	if runtime.GOARCH == "amd64" {
		const x32 = 0x40000000
		p = append(p, unix.SockFilter{Code: above, K: x32, Jf: 1}, unix.SockFilter{Code: ret, K: unix.SECCOMP_RET_KILL_PROCESS})
	}
	for _, n := range refused {
		p = append(p, unix.SockFilter{Code: equal, K: n, Jf: 1}, unix.SockFilter{Code: ret, K: fail(uint32(unix.EPERM))})
	}
	// Its flags lie in memory, which no filter reads: libraries then use clone.
	p = append(p, unix.SockFilter{Code: equal, K: unix.SYS_CLONE3, Jf: 1}, unix.SockFilter{Code: ret, K: fail(uint32(unix.ENOSYS))})
	p = append(p,
		unix.SockFilter{Code: equal, K: unix.SYS_CLONE, Jf: 4},
		unix.SockFilter{Code: load, K: dataArgs},
		unix.SockFilter{Code: set, K: namespaces, Jf: 1},
		unix.SockFilter{Code: ret, K: fail(uint32(unix.EPERM))},
		unix.SockFilter{Code: ret, K: unix.SECCOMP_RET_ALLOW},
	)
	sockets := []unix.SockFilter{{Code: load, K: dataArgs}}
	for _, f := range families {
		sockets = append(sockets, unix.SockFilter{Code: equal, K: f, Jf: 1}, unix.SockFilter{Code: ret, K: unix.SECCOMP_RET_ALLOW})
	}
	sockets = append(sockets,
		unix.SockFilter{Code: equal, K: unix.AF_NETLINK, Jf: 3},
		unix.SockFilter{Code: load, K: dataArgs + 16},
		unix.SockFilter{Code: equal, K: unix.NETLINK_ROUTE, Jf: 1},
		unix.SockFilter{Code: ret, K: unix.SECCOMP_RET_ALLOW},
		unix.SockFilter{Code: ret, K: fail(uint32(unix.EAFNOSUPPORT))},
	)
	p = append(p, unix.SockFilter{Code: equal, K: unix.SYS_SOCKET, Jf: uint8(len(sockets))})
	p = append(p, sockets...)
	return append(p, unix.SockFilter{Code: ret, K: unix.SECCOMP_RET_ALLOW})
}

func seccomp() error {
	if audit == 0 {
		return unix.ENOSYS
	}
	p := program()
	prog := unix.SockFprog{Len: uint16(len(p)), Filter: &p[0]}
	return unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&prog)), 0, 0)
}
