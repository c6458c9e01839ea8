// Package arn is the one place that knows the form of Amazon Resource Names: it builds them and takes them apart. Other
// rooms ask it and never split such a text themselves.
//
// # What becomes of a qualifier
//
// A function may be named with a version or an alias: orders:live. The qualifier stays wherever a name stands for what is
// called: in the ARN of a mapping, in what is shown of it, in a call. It is dropped only where the function itself is
// meant, with all its versions: its tags, its URL, its log group. Function has both in fields of their own, so that the
// choice is seen where it is made; Function.Qualified is the first.
//
// # Promise
//
// All functions are pure, safe for concurrent use, and never panic: every text is either taken apart or not ok. What
// String builds, the parser of its kind reads back to the same value (fuzzed).
//
// It imports no other room.
package arn
