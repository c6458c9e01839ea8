//go:build !race

package sigv4

// underRace: the race detector has pools forget a part of what they are given.
const underRace = false
