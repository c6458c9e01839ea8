// Package app wires the rooms into one server: it opens them in order, gives each what it needs of the others, puts the
// protocols behind one door, and is the only place that starts groups of goroutines. The public package is its face.
//
// It has no rule of its own: what a room can decide, the room decides.
package app
