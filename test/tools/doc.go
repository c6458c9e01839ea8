// Package tools tests that other people's deploying tools work with a Millstream server
// and nothing but AWS_ENDPOINT_URL: the SAM CLI, the AWS CDK and the Serverless
// Framework with its fork osls. Each test deploys an application of testdata with the
// real tool, sees a write reach its function, changes the application, lets an update fail,
// and removes everything. The pages of docs/start are run here too, command by command.
//
// TOOLS_PYTHON names a folder (a virtual environment) whose bin holds sam and a python
// with the CDK's library; TOOLS_NODE_MODULES a node_modules folder with the CDK, osls and
// the Serverless Framework. What is absent skips a test with the reason, unless
// TOOLS_REQUIRE=1. The step "deploying tools" of .ci/tools installs it. OpenTofu comes from no
// package registry: TestTerraform runs it where it is, with TOOLS_TOFU=1.
package tools
