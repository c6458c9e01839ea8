// Package sigv4 says whether a request has been signed with a secret, by version 4 of AWS's
// signatures (AWS4-HMAC-SHA256), in its header or in its query.
//
// It is pure: it knows no keys, no clock and no request of net/http, and imports the standard
// library only. It follows the client: what the client says it has signed is what is looked
// at, so that signers that differ in what they sign are all understood, and Unsigned tells
// what they should have signed and have not.
//
// Source: AWS's "Signature Version 4 signing process"; the signers of botocore, of the SDKs
// for Go and for JavaScript are the tests' measure.
package sigv4
