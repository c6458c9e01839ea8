package arn

import "strings"

// Latest is the qualifier of the version that can be changed.
const Latest = "$LATEST"

const (
	maxFunction   = 64
	maxQualifier  = 128
	maxDesignator = 256
)

// Function is what names a function, taken apart. Of a text that was no full ARN, the parts of the scope that it
// left out are empty. Qualifier is a version, an alias or Latest; empty: none was given.
type Function struct {
	Scope
	Name, Qualifier string
}

// Qualified is the name with its qualifier behind a colon, when it has one: what is shown, and what a caller may name.
func (f Function) Qualified() string {
	if f.Qualifier == "" {
		return f.Name
	}
	return f.Name + ":" + f.Qualifier
}

// String is the ARN, with the qualifier when there is one.
func (f Function) String() string { return f.FunctionARN(f.Qualified()) }

// In fills what was left out of the scope.
func (f Function) In(scope Scope) Function {
	if f.Account == "" {
		f.Account = scope.Account
	}
	if f.Region == "" {
		f.Region = scope.Region
	}
	return f
}

// ParseFunction takes apart what a caller names a function by: a name, a partial ARN or a full ARN, each with or without a
// qualifier, by the pattern that the Lambda API states. ok is false for any other text. (The pattern takes the word
// "function" as optional, so it accepts the ARN of a mapping too; nothing has such a name.)
func ParseFunction(text string) (f Function, ok bool) {
	if text == "" || len(text) > maxDesignator {
		return Function{}, false
	}
	p := strings.Split(text, ":")
	if p[0] == "arn" {
		if len(p) < 3 || !strings.HasPrefix(p[1], "aws") || p[2] != "lambda" {
			return Function{}, false
		}
		p = p[3:]
	}
	if len(p) > 1 && isRegion(p[0]) {
		f.Region, p = p[0], p[1:]
	}
	if len(p) > 1 && IsAccount(p[0]) {
		f.Account, p = p[0], p[1:]
	}
	if len(p) > 1 && p[0] == "function" {
		p = p[1:]
	}
	switch len(p) {
	case 1:
	case 2:
		f.Qualifier = p[1]
		if f.Qualifier != Latest && !isWord(f.Qualifier, maxQualifier, "") {
			return Function{}, false
		}
	default:
		return Function{}, false
	}
	f.Name = p[0]
	if !isWord(f.Name, maxFunction, "") {
		return Function{}, false
	}
	return f, true
}

// FunctionOf is the name in a function's ARN, with its qualifier; empty for any other text.
func FunctionOf(functionARN string) string {
	f, _ := ParseFunction(functionARN)
	return f.Qualified()
}

// LogGroup is the name in a log group's ARN, whose end may be ":*"; any other text is the name itself.
func LogGroup(text string) string {
	a, ok := Parse(text)
	if !ok {
		return text
	}
	name, ok := strings.CutPrefix(a.Resource, "log-group:")
	if !ok {
		return text
	}
	return strings.TrimSuffix(name, ":*")
}
