// Package trigger is the engine of event source mappings: it takes the records
// of a stream to functions, in order, at least once, and never drops one in
// silence.
//
// What happens to a record is decided by two machines without any I/O, in package lane. This
// package runs them and keeps the definitions:
//
//   - The runtime ([Engine]) brings the running machines into line with the stored definitions and the
//     stream's shards. One driver runs either kind of machine. It has a goroutine only while there is
//     an event to handle; an invocation has its own. An idle mapping costs some memory and nothing else.
//   - The committer stores what the machines have reached, for all mappings in one batch.
//   - The control plane (Create, Get, List, Update, Delete) checks what AWS checks,
//     with AWS's texts, and stores the definitions. Moves, pauses and what is set aside are controlled here too.
//
// Streams, definitions and positions live behind [backend.Backend], functions behind
// [Invoker]. The package imports neither tables nor streams nor functions, so that
// the same engine runs over any database that speaks DynamoDB.
//
// The words are explained in package lane.
package trigger
