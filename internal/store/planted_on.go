//go:build plantedbugs

package store

import "os"

// PlantedBug names the bug that this build carries, so that the tests of
// durability can be seen to fail. It is set by the environment and by tests.
//
//	sync-does-nothing    a commit is reported durable without a sync of the log
var PlantedBug = os.Getenv("MILLSTREAM_PLANTED_BUG")

func plantedSyncDoesNothing() bool { return PlantedBug == "sync-does-nothing" }
