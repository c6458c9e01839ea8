// Package sdk runs the JavaScript and Python SDKs of AWS, unmodified,
// against a Millstream. Each script makes a table with a stream, a zip function
// in its own language and a mapping, writes items, and compares what the
// function received. The Go SDK is exercised by the conformance suite. On-failure
// destinations are tested with moto's server, which speaks SQS, SNS and S3; streams
// with other people's consumers, across splits and roll-overs of shards.
//
// SDKTEST_NODE_PATH names a node_modules folder with @aws-sdk/client-dynamodb,
// @aws-sdk/client-lambda, @aws-sdk/client-dynamodb-streams and
// dynamodb-streams-readable; SDKTEST_PYTHON a python that has boto3 and
// moto[server]; SDKTEST_KCL a folder with the jars of
// com.amazonaws:dynamodb-streams-kinesis-adapter. Where they are absent a test is
// skipped with the reason, unless SDKTEST_REQUIRE=1. SDKTEST_SLOW=1 adds what must
// wait for more than a minute. SDK_DOORS=closed has the servers verify signatures, speak TLS alone, and run functions in the
// sandbox.
package sdk
