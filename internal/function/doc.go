// Package function holds functions: their definitions, their code by hash, and
// Invoke, which runs them. How one runs is the business of its subpackages:
// process (a local process on the Lambda Runtime API) and http (a service that is
// posted to); a Go function of this program runs in place.
//
// Definitions are rows of the store, written before a control operation answers
// and read from memory after that. Code lies in a folder named by the hash of its
// zip, unpacked once, and is removed when nothing names or runs it any more.
//
// Invocations of type Event wait on the disk, in rows of the store, until they have
// succeeded or failed for good and whoever has to be told of it was told. (Records of a
// stream never pass through that queue.)
package function
