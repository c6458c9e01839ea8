//go:build !plantedbugs

package store

// plantedSyncDoesNothing is false in every ordinary build; see planted_on.go.
func plantedSyncDoesNothing() bool { return false }
