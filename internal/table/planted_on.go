//go:build plantedbugs

package table

import (
	"math/rand/v2"
	"os"
	"runtime"
)

// PlantedBug names the bug that this build carries, so that the tests of the
// promises can be seen to fail. It is set by the environment and by tests.
//
//	answer-early    no-ops, failed conditions and reads of one item do not wait (P3)
//	scan-early      Query and Scan do not wait (P3)
//	show-early      stream records are shown before they are durable (P3)
//	stamp-late      numbers are taken outside the lock under which the batch is applied (P2)
//	record-apart    the stream record is not in the item's batch (P1)
//	entry-apart     an index's entry is not in the item's batch (P1)
//	fill-unlocked   a back-fill does not lock the items that it brings in
//	torn-transaction   only the first item of a transaction is in its batch (P1)
//	replay-early    a client token's replay does not wait for the first request (P3)
//	read-unlocked   a transactional read does not lock its items
//	split-unlocked  a split does not wait for writers that have the old descriptor (P2)
//	sweep-unchecked time to live does not look at an item again under its lock
var PlantedBug = os.Getenv("MILLSTREAM_PLANTED_BUG")

func planted(bug string) bool { return PlantedBug == bug }

// plantedPause widens the gap that a bug opens, so that other writers are seen to
// come through it on a machine with one processor too.
func plantedPause(bug string) {
	if planted(bug) {
		for range rand.N(16) {
			runtime.Gosched()
		}
	}
}
