package schema

import "strings"

// Scope is the account and region that a request's credential scope names. Two
// scopes share nothing.
type Scope struct {
	Account string // 12 digits
	Region  string
}

// TableARN returns arn:aws:dynamodb:<region>:<account>:table/<name>.
func (s Scope) TableARN(table string) string {
	return "arn:aws:dynamodb:" + s.Region + ":" + s.Account + ":table/" + table
}

// StreamARN returns the ARN of a table's stream with this label.
func (s Scope) StreamARN(table, label string) string {
	return s.TableARN(table) + "/stream/" + label
}

// FunctionARN returns arn:aws:lambda:<region>:<account>:function:<name>.
func (s Scope) FunctionARN(name string) string {
	return "arn:aws:lambda:" + s.Region + ":" + s.Account + ":function:" + name
}

// MappingARN returns the ARN of an event source mapping.
func (s Scope) MappingARN(uuid string) string {
	return "arn:aws:lambda:" + s.Region + ":" + s.Account + ":event-source-mapping:" + uuid
}

// ParseStreamARN takes a stream ARN apart; ok is false for any other text.
func ParseStreamARN(arn string) (scope Scope, table, label string, ok bool) {
	parts := strings.SplitN(arn, ":", 6)
	if len(parts) != 6 || parts[0] != "arn" || parts[1] != "aws" || parts[2] != "dynamodb" {
		return Scope{}, "", "", false
	}
	rest := strings.Split(parts[5], "/")
	if len(rest) != 4 || rest[0] != "table" || rest[2] != "stream" || rest[1] == "" || rest[3] == "" {
		return Scope{}, "", "", false
	}
	return Scope{Account: parts[4], Region: parts[3]}, rest[1], rest[3], true
}

// ParseFunctionARN takes the ARN of a function apart. qualified is its name, with a colon and the qualifier behind it
// when there is one; ok is false for any other text.
func ParseFunctionARN(arn string) (scope Scope, qualified string, ok bool) {
	parts := strings.SplitN(arn, ":", 7)
	if len(parts) != 7 || parts[0] != "arn" || parts[2] != "lambda" || parts[5] != "function" {
		return Scope{}, "", false
	}
	return Scope{Account: parts[4], Region: parts[3]}, parts[6], true
}
