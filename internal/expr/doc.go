// Package expr is DynamoDB's expression language: condition, filter,
// projection, update and key-condition expressions, parsed once and evaluated
// many times on the binary form of items.
//
// It is pure: no I/O, no clock, no goroutine. It imports item and awserr only.
//
// # How it works
//
// A lexer yields one token at a time; a recursive-descent parser, one function
// per rule of the grammar, builds a small tree and makes every check that needs
// no item on the way. AWS reports only one of several faults, by a fixed order
// of kinds that is not the order of the text, so the parser keeps the first
// fault of each kind (see fault) and the end of parsing picks. A syntax error
// ends parsing and wins over all of them.
//
// Sources are at most 4096 bytes, which bounds the depth of every recursion
// here, over the source and over the tree.
//
// The older request parameters say the same things in other words: they are built
// here, into the same trees (comparisons.go).
//
// Parsed expressions are immutable: any number of goroutines may evaluate one
// at once. Params is for the one goroutine that parses a request.
package expr
