// Package worker runs what lives as long as the program: named workers of one
// shape, Run(ctx) error. Nothing is restarted in silence: a worker that returns
// before it was asked to, with an error or without, makes its group unhealthy,
// and the owner of the group decides what follows.
//
// The package imports nothing of the project.
package worker
