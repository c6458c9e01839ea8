// Package bucket is the S3 that deploying tools lay their artefacts into: templates and
// the code of functions. Tables are exported to it and imported from it, too. It is gofakes3 over a folder of the data, with what the tools
// need beside it: bodies in aws-chunked form with trailers, and the settings of buckets,
// which are taken and not kept.
//
// It is no object store for applications: an object that was answered for may be gone after
// a loss of power, and no event comes of a write. Whoever deploys sends what is missing
// again. But an object that is there is whole.
package bucket
