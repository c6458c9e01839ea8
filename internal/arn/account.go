package arn

// OfOther returns the first of some ARNs that names another account. Texts that are none, and ARNs without an account, name none.
func OfOther(account string, texts ...string) (other string, found bool) {
	for _, text := range texts {
		if a, ok := Parse(text); ok && a.Account != "" && a.Account != account {
			return text, true
		}
	}
	return "", false
}

// Use is the action of who sends to what an ARN names, or has it called.
func Use(text string) (action string) {
	switch Service(text) {
	case "lambda":
		return "lambda:InvokeFunction"
	case "sqs":
		return "sqs:SendMessage"
	case "sns":
		return "sns:Publish"
	}
	return Service(text) + ":*"
}
