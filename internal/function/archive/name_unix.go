//go:build unix

package archive

import (
	"errors"
	"syscall"
)

// isNameError reports whether a system call failed because of the name it was
// given.
func isNameError(err error) bool {
	for _, e := range []error{syscall.ENAMETOOLONG, syscall.EINVAL, syscall.EILSEQ, syscall.ENOTDIR, syscall.EISDIR, syscall.EEXIST} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}
