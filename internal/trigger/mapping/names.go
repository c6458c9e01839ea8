package mapping

import (
	"strings"

	"github.com/millstreamdb/millstream/internal/arn"
	"github.com/millstreamdb/millstream/internal/schema"
)

// FunctionARN is the ARN that a function name, partial ARN or full ARN stands for,
// whether the function exists or not.
func FunctionARN(scope schema.Scope, name string) string {
	f, ok := arn.ParseFunction(name)
	if !ok {
		return name // it names nothing
	}
	return f.In(scope).String()
}

func isStream(text string) bool {
	_, _, _, ok := arn.Stream(text)
	return ok
}

// DestinationService is the service in a destination's ARN, empty for what is no
// destination of a stream's mapping: a standard queue, a standard topic, a bucket.
func DestinationService(text string) string {
	a, ok := arn.Parse(text)
	if !ok || !strings.HasPrefix(a.Partition, "aws") || a.Resource == "" || strings.Contains(a.Resource, ":") {
		return ""
	}
	switch a.Service {
	case "sqs", "sns":
		if a.Region == "" || len(a.Account) != 12 || strings.HasSuffix(a.Resource, ".fifo") {
			return ""
		}
		return a.Service
	case "s3":
		return a.Service
	}
	return ""
}
