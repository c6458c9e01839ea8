// Package harness is what the folders of the suite share: the server under
// test, its clients, raw signed requests, tables, stream readers, functions
// scripted by the test, and the report of what a target lacks.
//
// The target is, in this order: the endpoint in CONFORMANCE_ENDPOINT; the
// binary named by MILLSTREAM_BIN; a Millstream built from ../../cmd/millstream.
// The last two are started on a new folder for each test package and stopped
// at its end.
package harness
