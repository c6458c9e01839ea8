// Package backend says what the trigger engine asks of the place where streams, definitions and positions live.
// It has an interface and the values that travel through it, and no code that does anything: backend/local
// implements it over this machine's streams and store, and another implementation may over any database that
// speaks DynamoDB. Every implementation passes the suite of package trigger/backendtest.
//
// The room imports schema and seqnum, and the values of trigger/lane and trigger/mapping.
package backend
