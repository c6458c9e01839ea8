// Package bucket is the S3 that deploying tools lay their artefacts into: templates and
// the code of functions. Tables are exported to it and imported from it, too. It is gofakes3
// over a folder of the data, with what the tools need beside it: bodies in aws-chunked form
// with trailers, and the settings of buckets, which are accepted and not kept.
//
// It is no object store for applications: no event comes of a write, and one object is written
// at a time. But an object that was answered for is on the disk, and is whole; one that was
// deleted may be back after a loss of power.
package bucket
