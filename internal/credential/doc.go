// Package credential keeps the access keys of a server that verifies signatures, and makes
// credentials of sessions.
//
// A key belongs to one account and has all of it, in every region. An operator's key may also
// use Millstream's own protocol, which spans accounts. A key is a row, durable before a call
// returns; its secret is sealed by AES-256-GCM under a key that lies in a file beside the
// data, readable by its owner only. So a copy of the database tells no secret, and without
// the file no key of it can be used; the data can.
//
// Sessions are not stored: their token says whose they are and until when, sealed; their
// secret is derived from their access key. A function's credentials hold while the process
// that was given them is there.
//
// Imports: store and sigv4.
package credential
