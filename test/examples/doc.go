// Package examples tests the applications of the folder examples. Each test starts the real
// server as a process, with the servers that the application needs around it, drives it
// over HTTP and with the AWS SDK, and looks at what has come of it.
//
// With EXAMPLES_NODES=3 the applications run on three nodes over one server's tables, and what the tests kill is the node that works a stream.
//
// EXAMPLES_NODE_PATH names a node_modules folder and EXAMPLES_PYTHON a python with what
// the applications need; further variables, named in the tests, say where servers are. What
// is absent skips a test with the reason, unless EXAMPLES_REQUIRE=1. The steps
// "applications" of .ci/run, .ci/tools and .ci/long install it.
package examples
