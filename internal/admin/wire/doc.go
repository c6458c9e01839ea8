// Package wire has the documents of Millstream's own protocol, each once: the door
// (package api/admin) writes them and the client (package admin) reads them.
//
// A field keeps its name and meaning for ever, since a client of one release talks to
// a server of another; new ones are only added. Its imports are the standard library and the list of counters.
package wire
