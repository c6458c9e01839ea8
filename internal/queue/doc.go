// Package queue has the queues of SQS in the store: their definitions, their messages, and the rules of delivery.
//
// What it promises:
//
//   - A message is durable when SendMessage is answered, and so is a delete, a receive and a change of visibility.
//   - A message that was sent and not deleted is delivered again and again, until it is deleted, moved to the dead-letter
//     queue, or older than the queue keeps messages. Receive counts are exact, also over a crash.
//   - A standard queue delivers in the order in which messages became visible, as far as receivers go one at a time.
//   - A FIFO queue delivers each group in the order in which it was sent, and none that is behind one of its group in flight. Of
//     the messages with one deduplication id within five minutes it keeps the first.
//
// # Layout
//
// A message is a row that never changes, and, once it has been received, a small row of its state. An index by the moment at which
// it is visible says what is to be delivered next: one entry for each message of a standard queue, and one for each group of a FIFO
// queue. The index has two parts, one for messages that were sent with a delay, and one for all others, so that the next moment at
// which something becomes visible is known without looking past what was deleted. The memory holds a few thousand entries of the
// index from its front on (line), the messages in flight, which are at most 120,000, and who waits; and, for all queues together, some
// thousands of small messages that were sent a moment ago (recent), since most are received at once and then need not be read back.
// So a receive costs what it delivers, however many messages there are, and a queue that nobody uses costs nothing.
//
// The rows of a message of a standard queue are written once each, but for its state when it is received again, and are deleted as such
// (store.Batch.DeleteOnce): a message that was sent and deleted before the engine's memory is flushed is written to the log only.
//
// Who commits messages with changes of its own (a function's answer, a record that is given up) has an Outbox: it fills the caller's
// batch under the queues' locks, which are released once the batch is visible.
//
// All changes of a queue are made under its lock, which is held until the batch is visible, and never over the wait for the disk.
//
// The room imports arn, awserr, item, store and worker.
package queue
