// Package mapping has event source mappings as values: what is stored of one ([Definition]), what requests say
// ([CreateRequest], [Settings], [ListRequest]), and every check that needs no state, with AWS's ranges, its texts and its
// order. The Lambda API decodes into these values; the engine of package trigger acts on them.
//
// It is a pure room: no I/O, no clock, no goroutine.
package mapping
