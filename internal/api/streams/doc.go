// Package streams is the door of the DynamoDB Streams API: it decodes a request,
// makes one call, and encodes the answer.
package streams
