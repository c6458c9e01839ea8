// Package topic has the topics of SNS in the store: their definitions, their subscriptions, and what becomes of a message.
//
// What it promises:
//
//   - What Publish is answered for is durable: a delivery is owed (outbox) to each subscription whose filter policy lets the message through. It is
//     made, or given up and told to the subscription's dead-letter queue. To queues and functions of this server it is made once.
//   - A FIFO topic takes one message for each deduplication id within five minutes, and hands the messages on in the order in which they were taken.
//
// # Layout
//
// Topics and subscriptions are rows, which the memory has as well. A message is no row of its own: it is rendered for each subscription, and lies with
// what is owed to that. A message for many subscriptions is written in pieces, so that the memory never has more than one.
//
// The room imports arn, awserr, outbox, pattern, store and worker.
package topic
