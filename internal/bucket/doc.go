// Package bucket is the S3 that deploying tools lay their artefacts into: templates and
// the code of functions. Tables are exported to it and imported from it, too. It is gofakes3
// over a folder of the data, with what the tools need beside it: bodies in aws-chunked form
// with trailers, and the settings of buckets, which are kept, given back and otherwise without effect.
//
// It is no object store for applications: no event comes of a write. But an object that was
// answered for is on the disk, and what was there before is there until then, whole and with its
// metadata: an object is one file, whatever its key looks like.
package bucket
