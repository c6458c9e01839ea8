package template

import (
	"context"
	"errors"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/smithy-go"

	"github.com/millstreamdb/millstream/internal/admin"
	"github.com/millstreamdb/millstream/internal/arn"
)

// Kept is a resource that a deployment has made.
type Kept struct {
	Type string // as the template names it
	ID   string // Change.Ref
}

// SameResource reports whether what Ref gives for one type is what it gives for another. SAM's types are those that it makes of them.
func SameResource(typA, refA, typB, refB string) bool {
	return plain(typA) == plain(typB) && refB != "" && Same(plain(typB), refA, refB)
}

// Same reports whether two of Change.Ref of a type are of one resource. The address of a queue
// begins with the host by which it was asked for. Of a schedule older releases have kept the
// name without the group.
func Same(typ, a, b string) bool {
	if typ == "AWS::SQS::Queue" || typ == queuePolicyType {
		x, errA := url.Parse(a)
		y, errB := url.Parse(b)
		if errA == nil && errB == nil {
			return x.Path == y.Path
		}
	}
	if typ == scheduleType && strings.Contains(a, "/") != strings.Contains(b, "/") {
		return Physical(typ, a) == Physical(typ, b)
	}
	return a == b
}

const scheduleType = "AWS::Scheduler::Schedule"

// Physical is what Ref gives of a resource, and CloudFormation's physical id, of its Change.Ref.
func Physical(typ, ref string) string {
	if typ == scheduleType {
		return ref[strings.LastIndexByte(ref, '/')+1:]
	}
	return ref
}

// Remove takes a resource away. One that is not there any more is no error, and neither is
// one of a type that nothing was made for.
func (t *Target) Remove(ctx context.Context, is Kept) error {
	err := t.remove(ctx, is)
	var e smithy.APIError
	if errors.As(err, &e) && (strings.HasSuffix(e.ErrorCode(), "NotFoundException") || strings.Contains(e.ErrorCode(), "NonExistentQueue") || slices.Contains([]string{"NotFound", "NoSuchBucket", "ParameterNotFound"}, e.ErrorCode())) {
		return nil
	}
	return err
}

func (t *Target) remove(ctx context.Context, is Kept) (err error) {
	function, qualifier := is.ID, ""
	if f, ok := arn.ParseFunction(is.ID); ok {
		function, qualifier = f.Name, f.Qualifier
	}
	switch is.Type {
	case "AWS::DynamoDB::Table", "AWS::DynamoDB::GlobalTable", "AWS::Serverless::SimpleTable":
		if _, err = t.Tables.DeleteTable(ctx, &dynamodb.DeleteTableInput{TableName: &is.ID}); err != nil {
			return err
		}
		for wait := minWait; err == nil; wait = min(2*wait, maxWait) {
			if _, err = t.Tables.DescribeTable(ctx, &dynamodb.DescribeTableInput{TableName: &is.ID}); err == nil {
				err = pause(ctx, wait)
			}
		}
	case "AWS::Lambda::Function", "AWS::Serverless::Function":
		_, err = t.Functions.DeleteFunction(ctx, &lambda.DeleteFunctionInput{FunctionName: &function})
	case "AWS::Lambda::Version":
		if qualifier != "" {
			_, err = t.Functions.DeleteFunction(ctx, &lambda.DeleteFunctionInput{FunctionName: &function, Qualifier: &qualifier})
		}
	case "AWS::Lambda::Alias":
		_, err = t.Functions.DeleteAlias(ctx, &lambda.DeleteAliasInput{FunctionName: &function, Name: &qualifier})
	case "AWS::Lambda::EventInvokeConfig":
		_, err = t.Functions.DeleteFunctionEventInvokeConfig(ctx, &lambda.DeleteFunctionEventInvokeConfigInput{FunctionName: &function, Qualifier: &qualifier})
	case "AWS::Lambda::Url":
		in := &lambda.DeleteFunctionUrlConfigInput{FunctionName: &function}
		if qualifier != "" {
			in.Qualifier = &qualifier
		}
		_, err = t.Functions.DeleteFunctionUrlConfig(ctx, in)
	case "AWS::Lambda::LayerVersion", "AWS::Serverless::LayerVersion":
		m := layerARN.FindStringSubmatch(is.ID)
		if m == nil {
			return nil
		}
		number, err := strconv.ParseInt(m[3], 10, 64)
		if err != nil {
			return err
		}
		_, err = t.Functions.DeleteLayerVersion(ctx, &lambda.DeleteLayerVersionInput{LayerName: &m[2], VersionNumber: &number})
		return err
	case "AWS::Lambda::EventSourceMapping", dynamoEvent:
		if _, err = t.Functions.DeleteEventSourceMapping(ctx, &lambda.DeleteEventSourceMappingInput{UUID: &is.ID}); err != nil {
			return err
		}
		for wait := minWait; err == nil; wait = min(2*wait, maxWait) {
			if _, err = t.Functions.GetEventSourceMapping(ctx, &lambda.GetEventSourceMappingInput{UUID: &is.ID}); err == nil {
				err = pause(ctx, wait)
			}
		}
	case "AWS::Serverless::HttpApi", "AWS::Serverless::Api", "AWS::ApiGatewayV2::Api", "AWS::ApiGateway::RestApi":
		return t.removeAPI(ctx, is.ID)
	case "AWS::SQS::Queue":
		_, err = t.Queues.DeleteQueue(ctx, &sqs.DeleteQueueInput{QueueUrl: &is.ID})
	case "AWS::Events::Rule":
		return t.removeRule(ctx, is.ID)
	case scheduleType:
		return t.removeSchedule(ctx, is.ID)
	case "AWS::Scheduler::ScheduleGroup":
		err = t.schedules.removeGroup(ctx, is.ID)
	case "AWS::SNS::Subscription":
		if strings.HasPrefix(is.ID, "arn:") { // what nobody has confirmed goes with its topic
			_, err = t.Topics.Unsubscribe(ctx, &sns.UnsubscribeInput{SubscriptionArn: &is.ID})
		}
	case "AWS::SNS::Topic":
		if t.Topics == nil {
			return errors.New("there is no server of topics: name one by AWS_ENDPOINT_URL_SNS")
		}
		_, err = t.Topics.DeleteTopic(ctx, &sns.DeleteTopicInput{TopicArn: &is.ID})
	case queuePolicyType, topicPolicyType:
		return t.removePolicy(ctx, is.Type, is.ID)
	case "AWS::S3::Bucket":
		err = t.buckets.remove(ctx, is.ID)
	case "AWS::SSM::Parameter":
		err = t.parameters.remove(ctx, is.ID)
	}
	return err
}

func (t *Target) removeAPI(ctx context.Context, id string) error {
	all, err := t.Front.APIs(ctx)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(all, func(a admin.API) bool { return a.ID == id })
	if i < 0 {
		return nil
	}
	return t.Front.DeleteAPI(ctx, all[i].Name)
}

// StepError is a deployment's failure at one of its resources.
type StepError struct {
	File, ID, Type string
	Line           int
	Err            error
}

// ofSDK is what the SDK says around a refusal: which request was made, and over what.
var ofSDK = regexp.MustCompile(`operation error [^:]+: \w+, https? response error StatusCode: \d+, RequestID: [^,]*, (?:api error )?`)

func (e *StepError) Error() string {
	return e.File + ":" + strconv.Itoa(e.Line) + ": " + e.ID + " (" + e.Type + "): " + ofSDK.ReplaceAllString(e.Err.Error(), "")
}

func (e *StepError) Unwrap() error { return e.Err }

// text of the service alone, without the names of the SDK's operations.
func (e *StepError) Reason() string {
	var api smithy.APIError
	if errors.As(e.Err, &api) {
		return api.ErrorMessage() + " (Service: " + aws.ToString(aws.String(api.ErrorCode())) + ")"
	}
	return e.Err.Error()
}
