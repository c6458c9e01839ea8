package trigger

// Deliberate bugs, compiled in only with the build tag plantedbugs: they prove
// that the tests would catch the real ones. See also package lane.
const (
	bugTransactApart = "transact-apart" // the position is not in the batch of an answer's writes
	bugMovedLate     = "moved-late"     // machines from before a move go on
)
