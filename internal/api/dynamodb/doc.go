// Package dynamodb is the door of the DynamoDB API: it decodes a request, makes
// one call, and encodes the answer. It has no rule of its own: what a request may
// say is package request's, what it does is the tables'.
package dynamodb
