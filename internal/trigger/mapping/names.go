package mapping

import (
	"strings"

	"github.com/millstreamdb/millstream/internal/schema"
)

// FunctionARN is the ARN that a function name, partial ARN or full ARN stands for,
// whether the function exists or not.
func FunctionARN(scope schema.Scope, name string) string {
	parts := strings.Split(name, ":")
	switch {
	case parts[0] == "arn":
		return name
	case len(parts) >= 3 && parts[1] == "function":
		scope.Account = parts[0]
		return scope.FunctionARN(strings.Join(parts[2:], ":"))
	case len(parts) >= 2 && parts[0] == "function":
		return scope.FunctionARN(strings.Join(parts[1:], ":"))
	}
	return scope.FunctionARN(name)
}

// FunctionName is the name within a function's ARN.
func FunctionName(arn string) string {
	parts := strings.Split(arn, ":")
	if len(parts) < 7 {
		return arn
	}
	return parts[6]
}

func isStream(arn string) bool {
	_, _, _, ok := schema.ParseStreamARN(arn)
	return ok
}

// DestinationService is the service in a destination's ARN, empty for what is no
// destination of a stream's mapping: a standard queue, a standard topic, a bucket.
func DestinationService(arn string) string {
	parts := strings.Split(arn, ":")
	if len(parts) != 6 || parts[0] != "arn" || !strings.HasPrefix(parts[1], "aws") || parts[5] == "" {
		return ""
	}
	switch s := parts[2]; s {
	case "sqs", "sns":
		if parts[3] == "" || len(parts[4]) != 12 || strings.HasSuffix(parts[5], ".fifo") {
			return ""
		}
		return s
	case "s3":
		return s
	}
	return ""
}
