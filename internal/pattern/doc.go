// Package pattern is the language of FilterCriteria: which stream records an
// event source mapping wants. It is EventBridge's pattern language as Lambda
// takes it (reference event-source-mapping.md §8), applied to the record as a Lambda
// event carries it. It is pure: no I/O, no clock, no goroutine.
//
// A pattern is compiled once ([Parse]) and matched against the record's binary
// form; no JSON is rendered for it. What is no stream record, such as a message
// of a queue, is matched as a [Document].
//
// # What a pattern means
//
// The event is seen as leaves: scalars with a path, whose levels dots join, arrays
// being left out of it. A pattern is a set of paths with matchers. It matches when
// for each path some leaf satisfies one of its matchers, where leaves that are
// reached through an array come from the same element of it. {"exists":false} is
// satisfied when no leaf has the path, so on a path that leads to an object it
// always is.
//
// $or multiplies out, as in AWS's implementation: a pattern becomes alternatives,
// of which one must match. Of a key that is repeated in one object the objects are
// merged, and of repeated arrays the last one counts.
package pattern
