// Package iam keeps IAM's roles and policies, so that tools that make them before they make
// anything else find what they made. They are kept and given back, and that is all: no
// request is ever refused for what a policy says, and any role's ARN may be passed to a
// function.
//
// AWS's own policies (arn:aws:iam::aws:policy/...) may be attached by name; their texts are
// not here. Users, groups and instance profiles are not here either.
//
// A role with its inline policies is one row, and a policy with its versions is one. A row is
// durable before a call returns.
package iam
