// Package awsjson is the protocol that DynamoDB and DynamoDB Streams share
// (awsJson1_0): method, content type, target, bodies, checksums, request ids and
// errors, with their checks in AWS's order. It knows no operation: the doors
// register theirs.
package awsjson
