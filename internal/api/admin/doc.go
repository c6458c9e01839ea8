// Package admin answers /_millstream/v1, Millstream's own protocol: what its
// command line, console and test helpers need and AWS's protocols do not show.
//
// It decodes, asks the rooms and encodes; it has no rule of its own.
// The door in front of it (package server) keeps web pages out, which is why every
// request that is not a GET carries the header X-Millstream: 1.
//
// docs/admin-protocol.md has the paths, what they ask for and what they answer. Answers are
// JSON documents; those of tail, logs and activity are streams of documents, one a line
// (application/x-ndjson), written as things happen. An empty line there says only that
// the server is still alive.
//
// A failure is {"error":{"code","message"}}, with a status of 4xx or 5xx; once a
// stream has begun it is its last line.
package admin
