// Package stream keeps the change log of tables: shards with their lineage,
// sequence numbers, records, the tail of newest records in memory, retention,
// and the read side of the DynamoDB Streams API.
//
// # How a record gets in
//
// package table calls NewRecord outside all locks, then, under the lock of the
// partition that a shard belongs to, Append, which stamps the next number and the
// time and puts the record into the same batch as the item. After the batch was
// applied and its sync has returned, Committed raises the shard's durable mark
// and wakes the watchers. Because the number is taken and the batch is applied
// under one lock, the order of numbers is the order of the log; because durable
// is a prefix of the log, one mark per shard says what may be shown.
//
// # What a reader sees
//
// Nothing above the durable mark. Readers take no lock that a writer holds: the
// tail is a ring of atomic pointers, and what has left it is read from the store.
//
// # Numbers
//
// A number is the incarnation of the database (high half; every open raises it)
// and an ordinal (low half) that counts the records of a shard and goes on in
// its children. Hence a number is never given twice, also when a log was trimmed
// to nothing or a copy of the data was opened elsewhere, and the difference of two
// ordinals of a shard is the number of records between them.
package stream
