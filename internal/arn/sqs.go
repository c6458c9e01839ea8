package arn

// QueueARN returns arn:aws:sqs:<region>:<account>:<name>.
func (s Scope) QueueARN(name string) string { return s.ARN("sqs", name) }

// Queue takes a queue's ARN apart, of any partition; ok is false for any other text.
func Queue(text string) (scope Scope, queue string, ok bool) {
	a, ok := Parse(text)
	if !ok || a.Service != "sqs" || !isWord(a.Resource, 80, ".") {
		return Scope{}, "", false
	}
	return a.Scope(), a.Resource, true
}
