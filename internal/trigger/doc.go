// Package trigger is the engine of event source mappings: it takes the records
// of a stream to functions, in order, at least once, and never drops one in
// silence.
//
// It has three parts.
//
//   - The lane machine ([Machine]) is a pure state machine for one mapping and one
//     shard: no I/O, no clock, no goroutine. It is told what happened
//     (a page was read, an invocation ended, a timer fired) and answers with what
//     to do (read, invoke, set a timer, commit). Everything about order, batching,
//     retries and positions is decided there and can be replayed exactly.
//   - The runtime ([Engine]) reconciles the stored definitions with running
//     machines. A machine has a goroutine only while it has an event to handle;
//     an invocation has its own. An idle mapping costs some memory and nothing else.
//   - The control plane (Create, Get, List, Update, Delete) checks what AWS checks,
//     with AWS's texts, and keeps the definitions.
//
// Streams, definitions and positions live behind [Backend], functions behind
// [Invoker]. The package imports neither tables nor streams nor functions, so that
// the same engine runs over any database that speaks DynamoDB.
//
// # Words
//
// A virtual lane is one of 64 classes of item keys (the low 6 bits of the key's
// hash). A lane is what AWS means by it: one of ParallelizationFactor concurrent
// sequences of batches within a shard; lane g takes the virtual lanes v with
// v mod ParallelizationFactor = g. At most one batch of a virtual lane is under
// way at any moment, whatever the factor is or was, so the records of one key
// never overtake each other.
package trigger
