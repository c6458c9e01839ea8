// Package process runs functions as local processes on the Lambda Runtime API.
//
// A Pool holds the execution environments of one revision of a function. An
// environment is one process in its own process group, one listener that serves
// the Runtime API to that process alone, and one pipe for what it prints. It runs
// one invocation at a time; parallel calls need more environments, up to the
// function's concurrency, and idle ones are stopped after a while.
//
// External extensions are further processes of an environment (extensions.go): programs of
// layers, started before the function's and told of its calls and its end.
//
// Functions in Node.js and Python run on shims of the host's own (shim/), which do what
// AWS's runtime clients do; testdata/clients holds them to it, handler by handler. The
// runtime's name decides which client, not the version of the program.
// One interpreter of each language waits, with the shim loaded, to be the next environment's process (waiting.go); in
// a sandbox the box waits alone (spare.go).
//
// From Invoke to the answer of a waiting /next nothing polls: the call is handed
// over a channel to the request that waits. Only the process group of the
// function is ever signalled, and a function that ends, hangs, prints without end
// or answers nonsense costs nobody but itself.
package process
