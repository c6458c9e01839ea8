package template_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
)

const published = `
Transform: AWS::Serverless-2016-10-31
Resources:
  Seen: {Type: AWS::Serverless::SimpleTable}
  Orders:
    Type: AWS::DynamoDB::Table
    Properties:
      AttributeDefinitions: [{AttributeName: id, AttributeType: S}]
      KeySchema: [{AttributeName: id, KeyType: HASH}]
      BillingMode: PAY_PER_REQUEST
      StreamSpecification: {StreamViewType: NEW_IMAGE}
  Fn:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: fn
      Handler: index.handler
      Runtime: nodejs22.x
      AutoPublishAlias: live
      ProvisionedConcurrencyConfig: {ProvisionedConcurrentExecutions: 1}
      Layers: [!Ref Words]
      Tracing: Active
      FunctionUrlConfig: {AuthType: NONE}
      EventInvokeConfig: {MaximumRetryAttempts: 1, DestinationConfig: {OnFailure: {Type: SQS, Destination: 'arn:aws:sqs:us-east-1:000000000000:failed'}}}
      DeadLetterQueue: {Type: SQS, TargetArn: 'arn:aws:sqs:us-east-1:000000000000:dead'}
      Environment: {Variables: {LEVEL: one}}
      Events:
        Changes: {Type: DynamoDB, Properties: {Stream: !GetAtt Orders.StreamArn, StartingPosition: TRIM_HORIZON}}
        Http: {Type: HttpApi, Properties: {Path: /say, Method: get}}
  Words:
    Type: AWS::Serverless::LayerVersion
    Metadata: {BuildMethod: nodejs22.x}
    Properties: {ContentUri: words, CompatibleRuntimes: [nodejs22.x]}
Outputs:
  Alias: {Value: !Ref Fn.Alias}
  Version: {Value: !GetAtt FnVersion.Version}
  Url: {Value: !GetAtt FnUrl.FunctionUrl}
  Api: {Value: !Sub 'https://${ServerlessHttpApi}.execute-api.${AWS::Region}.amazonaws.com/'}
`

// An alias follows the versions that are published, its events call it, and what was deployed stays as it is when
// nothing has changed.
func TestDeployedVersions(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	if _, err := exec.LookPath("node"); err != nil {
		t.Skip("node is not installed")
	}
	b := newBed(t)
	write := func(name, body string) {
		t.Helper()
		name = filepath.Join(b.dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(body), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("template.yaml", published)
	write("words/node_modules/words/index.js", "exports.word = 'hello'")
	write("words/package.json", "")
	write("fn/index.js", `const words = require("words");
exports.handler = async (event, context) => {
  console.log("records", (event.Records || []).length, context.invokedFunctionArn);
  return {statusCode: 200, body: words.word + " " + process.env.LEVEL + " " + context.functionVersion + " " + context.invokedFunctionArn};
};`)
	r, actions := b.deploy(nil)
	for id, action := range actions {
		if action != "created" {
			t.Errorf("%s: %s", id, action)
		}
	}
	if got := output(t, r, "Alias"); got != "arn:aws:lambda:us-east-1:000000000000:function:shop-Fn:live" {
		t.Errorf("the alias is %s", got)
	}
	said := func(level, version string) {
		t.Helper()
		for _, url := range []string{output(t, r, "Url"), output(t, r, "Api") + "say"} {
			if _, body := b.call("GET", url, "", nil); body != "hello "+level+" "+version+" arn:aws:lambda:us-east-1:000000000000:function:shop-Fn:live" {
				t.Errorf("%s says %q", url, body)
			}
		}
	}
	said("one", "1")
	if _, err := b.target.Tables.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: aws.String("shop-Orders"), Item: map[string]types.AttributeValue{"id": text("o-1")}}); err != nil {
		t.Fatal(err)
	}
	b.settle()
	all, err := b.target.Functions.ListEventSourceMappings(t.Context(), &lambda.ListEventSourceMappingsInput{FunctionName: aws.String("shop-Fn:live")})
	if err != nil || len(all.EventSourceMappings) != 1 || aws.ToString(all.EventSourceMappings[0].LastProcessingResult) != "OK" {
		t.Fatalf("the alias's mappings are %+v %v", all, err)
	}
	config, err := b.target.Functions.GetFunctionEventInvokeConfig(t.Context(), &lambda.GetFunctionEventInvokeConfigInput{FunctionName: aws.String("shop-Fn"), Qualifier: aws.String("live")})
	if err != nil || aws.ToInt32(config.MaximumRetryAttempts) != 1 || !strings.HasSuffix(aws.ToString(config.DestinationConfig.OnFailure.Destination), ":failed") {
		t.Fatalf("asynchronous calls: %+v %v", config, err)
	}
	is, err := b.target.Functions.GetFunctionConfiguration(t.Context(), &lambda.GetFunctionConfigurationInput{FunctionName: aws.String("shop-Fn")})
	if err != nil || !strings.HasSuffix(aws.ToString(is.DeadLetterConfig.TargetArn), ":dead") || is.TracingConfig.Mode != "Active" || len(is.Layers) != 1 {
		t.Fatalf("the function is %+v %v", is, err)
	}

	_, actions = b.deploy(nil)
	for id, action := range actions {
		if action != "unchanged" {
			t.Errorf("again: %s: %s", id, action)
		}
	}
	b.edit("LEVEL: one", "LEVEL: two")
	r, actions = b.deploy(nil)
	if actions["FnVersion"] != "created" || actions["FnAliaslive"] != "updated version 2" || actions["FnChanges"] != "unchanged" {
		t.Errorf("a change gave %v", actions)
	}
	said("two", "2")
	write("words/node_modules/words/index.js", "exports.word = 'hello '") // a new version of the layer, which the function then has
	if _, actions = b.deploy(nil); actions["Words"] != "updated" || actions["Fn"] != "updated configuration" {
		t.Errorf("a change of the layer gave %v", actions)
	}
}
