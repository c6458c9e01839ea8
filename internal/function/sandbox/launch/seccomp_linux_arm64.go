package launch

import "golang.org/x/sys/unix"

const audit = unix.AUDIT_ARCH_AARCH64

// refusedHere are calls that only this architecture has.
var refusedHere = []uint32{unix.SYS_KEXEC_FILE_LOAD}
