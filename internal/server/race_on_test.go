//go:build race

package server

// underRace: the race detector has pools forget a part of what they are given.
const underRace = true
