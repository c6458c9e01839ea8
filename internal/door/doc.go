// Package door serves connections. It answers one kind of request itself, on the connection's own goroutine and without
// net/http: POST / with a target of DynamoDB, HTTP/1.1, and a body whose length is stated. Any connection that asks for
// anything else goes to net/http, with the bytes that have been read of it, and stays there.
//
//   - One reading. What is ours is a narrow form, without a line that could be read in two ways (head.go). What is not plainly
//     ours is left to net/http, which decides whether it is well formed. So the door never reads a request otherwise than
//     net/http does; FuzzRequest holds it to that.
//   - One watch. No request sets a timer. A connection notes what it is doing and since when in one word, and a watch looks at
//     all connections a few times a second. It ends those that send a header or a body too slowly, that take nothing of an
//     answer, or that have been idle for long.
//   - Newcomers first. When all places are taken, the connection that has been idle longest makes room.
//   - Room for what is large. Bodies and answers above SmallBody hold room (room.go). When somebody waits for it, those who
//     neither send nor take at a least rate lose their connection, and so their room.
//
// A caller that leaves while its request runs is noticed when the answer is written: a write that has begun is never given up.
//
// It imports nothing of the project.
package door
