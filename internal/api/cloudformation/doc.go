// Package cloudformation answers CloudFormation's API for the tools that deploy through
// it: a form in, XML out (the query protocol), over package stack. It has no rule of its
// own; the shapes and texts are those that sam, cdk and osls read.
package cloudformation
