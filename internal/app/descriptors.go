package app

import (
	"syscall"

	"github.com/millstreamdb/millstream/internal/server"
)

// The process may hold so many files and sockets open (RLIMIT_NOFILE). A disk that cannot open a file is a disk that has
// failed, so callers must never take what the store needs: the number is divided once, at the start.

const (
	// keptDescriptors are for what is not counted below: the log, manifests, listeners, checkpoints, and the connections of the
	// operator's own listener.
	keptDescriptors = 96
	// maxStoreFiles is as many of the database's files as are worth keeping open.
	maxStoreFiles = 1000
)

// descriptors is how many of them each part may have; 0: as many as it likes.
type descriptors struct {
	storeFiles  int // files of the database that are kept open
	connections int // of each of the two listeners
}

// shareDescriptors divides limit: a quarter for the database, an eighth and keptDescriptors for functions and the rest, and
// half of what is left for each listener.
func shareDescriptors(limit uint64) descriptors {
	const plenty = 1 << 20
	n := int(min(limit, plenty))
	files := min(max(n/4, 32), maxStoreFiles)
	return descriptors{storeFiles: files, connections: min(max((n-files-n/8-keptDescriptors)/2, 8), server.MaxConnections)}
}

// openDescriptors divides what the process has. Go raises the soft limit to the hard one at its start.
func openDescriptors() descriptors {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return descriptors{}
	}
	return shareDescriptors(uint64(limit.Cur))
}
