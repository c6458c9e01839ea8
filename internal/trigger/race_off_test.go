//go:build !race

package trigger

const underRace = false
