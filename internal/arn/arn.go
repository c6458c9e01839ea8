package arn

import "strings"

// ARN is an ARN's parts: arn:<partition>:<service>:<region>:<account>:<resource>. Region, account and resource may be
// empty; the resource may hold colons.
type ARN struct {
	Partition, Service, Region, Account, Resource string
}

// Is reports whether a text was meant as an ARN rather than as a name. It says nothing of the rest of it.
func Is(text string) bool { return strings.HasPrefix(text, "arn:") }

// Parse takes any service's ARN apart; ok is false for what has not the six parts, or no partition or service.
func Parse(text string) (a ARN, ok bool) {
	p := strings.SplitN(text, ":", 6)
	if len(p) != 6 || p[0] != "arn" || p[1] == "" || p[2] == "" {
		return ARN{}, false
	}
	return ARN{Partition: p[1], Service: p[2], Region: p[3], Account: p[4], Resource: p[5]}, true
}

func (a ARN) String() string {
	return "arn:" + a.Partition + ":" + a.Service + ":" + a.Region + ":" + a.Account + ":" + a.Resource
}

// Scope is the account and region in which the resource is.
func (a ARN) Scope() Scope { return Scope{Account: a.Account, Region: a.Region} }

// Service is the service of an ARN, empty for any other text.
func Service(text string) string {
	a, _ := Parse(text)
	return a.Service
}

// Scope is the account and region that a request's credential scope names. Two
// scopes share nothing.
type Scope struct {
	Account string // 12 digits
	Region  string
}

// ARN returns arn:aws:<service>:<region>:<account>:<resource>.
func (s Scope) ARN(service, resource string) string {
	return ARN{Partition: "aws", Service: service, Region: s.Region, Account: s.Account, Resource: resource}.String()
}

// Global is ARN of a service whose ARNs name no region, such as iam.
func (s Scope) Global(service, resource string) string {
	return Scope{Account: s.Account}.ARN(service, resource)
}

// TableARN returns arn:aws:dynamodb:<region>:<account>:table/<name>.
func (s Scope) TableARN(table string) string { return s.ARN("dynamodb", "table/"+table) }

// StreamARN returns the ARN of a table's stream with this label.
func (s Scope) StreamARN(table, label string) string { return s.TableARN(table) + "/stream/" + label }

// FunctionARN returns arn:aws:lambda:<region>:<account>:function:<name>. The name may have a qualifier behind a colon.
func (s Scope) FunctionARN(name string) string { return s.ARN("lambda", "function:"+name) }

// MappingARN returns the ARN of an event source mapping.
func (s Scope) MappingARN(uuid string) string { return s.ARN("lambda", "event-source-mapping:"+uuid) }

// isWord reports whether a text has at least one character and no more than limit, all of them letters, digits, - and _
// or one of others.
func isWord(s string, limit int, others string) bool {
	if s == "" || len(s) > limit {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_' ||
			strings.IndexByte(others, c) >= 0) {
			return false
		}
	}
	return true
}

// IsAccount reports whether a text is the number of an account: 12 digits.
func IsAccount(s string) bool { return len(s) == 12 && strings.Trim(s, "0123456789") == "" }

// isRegion accepts the form of region names: two letters, words, a digit.
func isRegion(s string) bool {
	p := strings.Split(s, "-")
	if len(p) < 3 || len(p[0]) != 2 {
		return false
	}
	last := p[len(p)-1]
	return len(last) == 1 && last[0] >= '0' && last[0] <= '9' && isWord(strings.Join(p, ""), 64, "")
}
