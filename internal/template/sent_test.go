package template

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A template that a client sent to CloudFormation reads no file of the server's machine.
func TestSentTemplates(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"code/index.js": "exports.handler = 1", "some.yaml": "{paths: {}, TableName: stolen}"} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	function := func(code string) string {
		return "{Type: AWS::Serverless::Function, Properties: {Runtime: nodejs22.x, Handler: index.handler" + code + "}}"
	}
	plan := func(resource string) error {
		tpl, err := New(filepath.Join(dir, "t.yaml"), []byte("Resources:\n  A: "+resource))
		if err != nil {
			t.Fatal(err)
		}
		_, err = tpl.Plan(Options{Stack: "s", Account: "000000000000", Region: "us-east-1", HTTP: true, SkipUnsupported: true,
			Object: func(_ context.Context, bucket, key, _ string) ([]byte, error) {
				if key == "openapi" {
					return []byte("{paths: {}}"), nil
				}
				return []byte("{TableName: " + bucket + "-" + key + ", KeySchema: [{AttributeName: a, KeyType: HASH}], AttributeDefinitions: [{AttributeName: a, AttributeType: S}], BillingMode: PAY_PER_REQUEST}"), nil
			}})
		return err
	}
	for name, resource := range map[string]string{
		"CodeUri":       function(", CodeUri: code"),
		"no CodeUri":    function(""),
		"Code":          "{Type: AWS::Lambda::Function, Properties: {Runtime: nodejs22.x, Handler: index.handler, Code: code}}",
		"asset":         "{Type: AWS::Lambda::Function, Metadata: {'aws:asset:path': code}, Properties: {Runtime: nodejs22.x, Handler: index.handler, Code: code}}",
		"layer":         "{Type: AWS::Serverless::LayerVersion, Properties: {ContentUri: code}}",
		"AWS::Include":  "{Type: AWS::DynamoDB::Table, Properties: {Fn::Transform: {Name: AWS::Include, Parameters: {Location: some.yaml}}}}",
		"DefinitionUri": "{Type: AWS::Serverless::Api, Properties: {StageName: a, DefinitionUri: some.yaml}}",
	} {
		t.Run(name, func(t *testing.T) {
			if err := plan(resource); err == nil || !strings.Contains(err.Error(), "which was sent without it: run `sam deploy`") {
				t.Fatal(err)
			}
		})
	}
	for name, resource := range map[string]string{
		"asset in S3":    "{Type: AWS::Lambda::Function, Metadata: {'aws:asset:path': code}, Properties: {Runtime: nodejs22.x, Handler: index.handler, Code: {S3Bucket: b, S3Key: k}}}",
		"include in S3":  "{Type: AWS::DynamoDB::Table, Properties: {Fn::Transform: {Name: AWS::Include, Parameters: {Location: 's3://bucket/key'}}}}",
		"document in S3": "{Type: AWS::Serverless::Api, Properties: {StageName: a, DefinitionUri: {Bucket: b, Key: openapi}}}",
	} {
		t.Run(name, func(t *testing.T) {
			if err := plan(resource); err != nil {
				t.Fatal(err)
			}
		})
	}
	if _, err := (&Template{Dir: "/dev"}).include("zero"); err == nil || !strings.Contains(err.Error(), "want a file") { // of one that was not sent
		t.Error(err)
	}
}
