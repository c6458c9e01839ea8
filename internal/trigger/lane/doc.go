// Package lane decides what happens to the records of a stream. It holds two machines:
//
//   - [Machine] is all of one mapping's work on one shard: what is read, which records make a
//     batch, when a batch is sent, tried again, cut or given up, and how far the shard has ended.
//   - [Aside] is what one mapping has set aside, from all its shards: the records that wait for
//     attempts of their own, those that a destination is still to be told of, and the parked ones.
//
// Both are pure. They are told what happened ([Event]) and when ([Instant]), and answer with what
// is to be done ([Action]). They start no goroutine, look at no clock, do no I/O and know no
// context, so every run can be replayed exactly, and the model test can try all orders.
//
// The one lock is that of an Aside. The machines of a mapping's shards step at the same time, and
// "is this key free?" has to be asked under the same lock under which the key's last row ends:
// otherwise a record could overtake an earlier one of its key. The lock is held for moments, and
// only inside methods of this package.
//
// What a machine knows is its own: callers use methods ([Machine.Step], [Machine.Stage],
// [Machine.Apply], [Machine.Unstage], [Machine.TakeChanges], [Machine.Status] and their like of
// an Aside), and the fields are not exported.
//
// # Words
//
// A virtual lane is one of 64 classes of item keys: the low 6 bits of the key's hash. A lane is
// what AWS means by it: one of ParallelizationFactor sequences of batches of a shard. Lane g has
// the virtual lanes v with v mod ParallelizationFactor = g. At most one batch of a virtual lane
// is under way at any moment, whatever the factor is or was, so the records of one key never
// overtake each other.
//
// A record has ended when it needs nothing more from its mapping: the function has processed it,
// a filter refused it, or it was given up. It goes aside when it leaves the order of its shard
// and gets a row of its own; then it is held (it waits for its attempts), telling (given up, and
// the destination is still to be told) or parked (given up, and waits for a person).
//
// How far a shard has ended is its position. It is stored as a [Checkpoint], in a row of the backend.
//
// The room imports pure rooms only.
package lane
