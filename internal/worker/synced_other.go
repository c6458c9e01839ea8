//go:build !linux

package worker

// MachineSynchronized is the Synchronized of this machine: it cannot be told.
func MachineSynchronized() bool { return false }
