// Package turns tells callers that were refused for lack of room when to come back:
// one after the other, as fast as room has been made lately, so that they neither come
// in vain nor all at once.
//
// It imports nothing of the project.
package turns
