// Package sqs is the door of queues: Amazon SQS in both of its protocols, which are AWS JSON 1.0 (targets AmazonSQS.*) and the
// older query form with answers in XML. A request of either becomes one value (request), and each answer is written once, for both.
// Whatever is checked without the state of a queue and is about a request as a whole is checked here; the rest is package queue's.
package sqs
