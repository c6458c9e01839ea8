package launch

import "golang.org/x/sys/unix"

const audit = unix.AUDIT_ARCH_X86_64

// refusedHere are calls that only this architecture has.
var refusedHere = []uint32{
	unix.SYS_IOPL, unix.SYS_IOPERM, unix.SYS_MODIFY_LDT, unix.SYS_KEXEC_FILE_LOAD, unix.SYS_USELIB, unix.SYS_CREATE_MODULE, unix.SYS__SYSCTL,
	unix.SYS_USTAT, unix.SYS_SYSFS,
}
