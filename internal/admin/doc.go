// Package admin is the typed client of /_millstream/v1, Millstream's own
// protocol, for the command line and for test helpers. The protocol is described
// in package api/admin.
//
// It speaks the wire and imports of the project only package wire, which has the
// protocol's documents: a client of one release talks to a server of another.
package admin
