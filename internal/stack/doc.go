// Package stack keeps CloudFormation's stacks: what a template was deployed with, what
// was made of it, and how that went, for the tools that deploy through CloudFormation.
// It deploys with package template, over calls of the server's own API.
//
// A stack is one row. It is written before a resource is touched and after, so a server
// that ends in the middle of an operation goes on with it when it starts again: a
// deployment compares with what is there, and does the rest. What fails is rolled back
// by deploying the version before, which is in the row too; what was made meanwhile is
// removed.
//
// Parameters of Parameter Store, which templates and tools set, are kept here as well.
package stack
