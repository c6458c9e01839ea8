// Package stack keeps CloudFormation's stacks: what a template was deployed with, what
// was made of it, and how that went, for the tools that deploy through CloudFormation.
// It deploys with package template, over calls of the server's own API.
//
// A stack is one row, and each template that it is or may be deployed with one more. Its row
// is written before a resource is touched and after, so a server that ends in the middle
// of an operation goes on with it when it starts again: a deployment compares with what is
// there, and does the rest. What fails is rolled back by deploying the version before,
// which is in the row too; what was made meanwhile is removed.
//
// Parameters of Parameter Store, which templates and tools set, are kept here as well, and
// the list of what the deployments of a client have made, which it asks for.
package stack
