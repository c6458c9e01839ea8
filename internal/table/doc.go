// Package table is the tables: their control plane, the one write path (Tx),
// and the reads.
//
// # Locks
//
// In the order in which they are taken:
//
//  1. DB.control: one change of definitions at a time. Not held over a sync.
//  2. Table.mu: a writer holds it shared until its batch has been applied; a
//     change of the table (stream on or off, delete) holds it exclusively while it
//     applies one batch and swaps the descriptor. Several tables: by id.
//  3. Item stripes: 4,096 mutexes over the hash of the item's key, held from the
//     read of the old item until the batch was applied. Several: in ascending
//     order.
//  4. Partition.mu: number the records, count, apply. Several: by table, number.
//
// None is held over a sync, a wait or an invocation.
//
// # What an answer may depend on
//
// Applied is visible before it is durable. Each stripe keeps the commit that last
// wrote under it, set before that commit is applied; an answer about an item
// that does not end in a commit of its own (a failed condition, a no-op, a
// consistent read, an absence) loads it after its read and waits for it. The log
// is a prefix, so the last commit covers the earlier ones. Answers about many
// items wait for a barrier of the store instead. Only eventually consistent reads
// skip the wait.
package table
