package lambda

import (
	"encoding/json"

	"github.com/millstreamdb/millstream/internal/arn"
	"github.com/millstreamdb/millstream/internal/awserr"
)

// namesOthers are the operations, beside those of mappings, whose bodies name what a function is to tell.
var namesOthers = map[string]bool{
	"PutFunctionEventInvokeConfig": true, "UpdateFunctionEventInvokeConfig": true, "CreateFunction": true, "UpdateFunctionConfiguration": true,
}

// elsewhere refuses a configuration that names another account's queue or topic. What cannot be read is refused by who reads it.
func elsewhere(account string, body []byte) error {
	type told struct{ Destination string }
	var in struct {
		EventSourceArn    string
		DestinationConfig struct{ OnSuccess, OnFailure told }
		DeadLetterConfig  struct{ TargetArn string }
	}
	_ = json.Unmarshal(body, &in)
	if other, is := arn.OfOther(account, in.EventSourceArn); is && arn.Service(other) == "sqs" {
		return awserr.LambdaRoleLacks("ReceiveMessage", other)
	}
	if other, is := arn.OfOther(account, in.DestinationConfig.OnSuccess.Destination, in.DestinationConfig.OnFailure.Destination, in.DeadLetterConfig.TargetArn); is {
		call := "SendMessage"
		if arn.Service(other) == "sns" {
			call = "Publish"
		}
		return awserr.LambdaRoleLacks(call, other)
	}
	return nil
}
