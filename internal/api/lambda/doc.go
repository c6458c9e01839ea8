// Package lambda is the HTTP door of the Lambda API: it decodes a request, makes
// one call of package function (or hands an event source mapping request to
// Mappings), and encodes the answer. It has no rule of its own.
package lambda
