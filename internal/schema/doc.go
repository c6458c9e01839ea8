// Package schema holds what a table declares (key schema, attribute types,
// indexes, stream view), the checks of items and keys against it, and the
// capacity arithmetic. It is pure: no I/O, no clock, no goroutine.
package schema
