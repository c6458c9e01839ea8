package lane

// Deliberate bugs, compiled in only with the build tag plantedbugs: they prove
// that the model tests of this package would catch the real ones.
const (
	bugCheckpointTooFar = "checkpoint-too-far" // the low-water mark covers the first record under way
	bugLateCompletion   = "late-completion"    // a completion of an earlier generation moves the position
	bugPartialTooFar    = "partial-too-far"    // a reported failure ends the record that it names
	bugLostHalf         = "lost-half"          // cutting a batch in two forgets the second half
	bugFilterBlind      = "filter-blind"       // a filtered record also passes what is pending before it
	bugWindowMixed      = "window-mixed"       // a batch takes records of two windows
	bugSharedLane       = "shared-lane"        // two batches of one virtual lane run at once
	bugHeldLostInSplit  = "held-lost-in-split" // a shard that ends forgets to store what it set aside last
	bugHeldOvertaken    = "held-overtaken"     // a batch sends records of a key that has held rows
)
