// Package worker runs what lives as long as the program: named workers of one
// shape, Run(ctx) error. Nothing is restarted in silence: a worker that returns
// before it was asked to, with an error or without, makes its group unhealthy,
// and the owner of the group decides what follows.
//
// It also has the one clock (clock.go): wall time, timers, whether the wall time is to be believed, and the manual clock of tests.
//
// The package imports nothing of the project.
package worker
