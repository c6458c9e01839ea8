// Package outbox makes deliveries that are owed: what a topic has taken for its subscriptions, and what a schedule starts.
//
// What it promises:
//
//   - A delivery is stored in the batch of what caused it, and is owed until it was made, or given up and told to its dead-letter queue. A crash
//     loses none.
//   - Where the receiver stores what it gets in this same store, the delivery ends in the receiver's batch, so that it is made once, also over a crash.
//     Any other delivery is made at least once.
//   - Deliveries of one source whose deliveries are ordered are made one after another, each until it was made or given up.
//   - A delivery that cannot be read is read again, for as long as it may be owed and at least 14 days. Then it is given up with an error in the log.
//   - The memory has a few words of each delivery, and the payloads of those that are being made, which are at most so many (pool.go). How many are
//     owed is bounded, for one source and for all (room.go); who would owe more is refused.
//   - No source waits for another: each has its turn, and a receiver that takes long has one of the places for such.
//
// It knows nothing of topics and schedules. It imports store and worker.
package outbox
