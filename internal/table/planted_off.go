//go:build !plantedbugs

package table

// planted reports whether this build carries a bug on purpose; see planted_on.go.
func planted(string) bool { return false }

// plantedPause does nothing; see planted_on.go.
func plantedPause(string) {}
