//go:build race

package lane

// underRace says that the race detector is on: tests of many seeds, of which a few
// show all interleavings' kinds, run fewer.
const underRace = true
