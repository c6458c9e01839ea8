// Package poll has the event source mappings on queues: their definitions, and the workers that take messages off a queue, filter
// them, invoke the function and delete what it was done with.
//
// A worker waits in its queue and costs nothing while that is empty. It takes up to BatchSize messages, waits for the window,
// deletes those that no filter matches, and invokes the function. What succeeded is deleted. What failed stays, comes back after its
// visibility timeout, and goes to the dead-letter queue by the queue's own rules; so the order of a FIFO queue's groups is the
// queue's matter too. A call that did not reach the function is made again while the messages are invisible to others.
//
// The room imports arn, awserr, backend for one error, counter, item, pattern, queue, setting, store, trigger/lane for the outcome of a call, trigger/mapping for definitions and
// checks, and worker.
package poll
