//go:build !linux && !darwin

package worker

// MachineBoot is the Boot of this machine; nil: it cannot be told.
func MachineBoot() Boot { return nil }
