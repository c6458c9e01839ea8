// Package iam answers IAM's API for roles and policies, over package iam, whose rules it
// passes on: a form in, XML out. The shapes are those of AWS, policies encoded as in an
// address.
package iam
