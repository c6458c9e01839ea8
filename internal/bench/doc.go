// Package bench measures what Millstream promises about speed, each figure
// beside the ceiling that the machine sets in the same run: the bare engine for
// writes, an empty HTTP handler for reads. It starts the server under test as a
// child process on an empty folder and drives it over raw keep-alive connections
// with requests built beforehand, so that the load generator is not what is
// measured.
//
// It speaks the wire and imports no other room.
package bench
