package lambda

import (
	"errors"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/smithy-go"
)

// wantCode fails unless err is AWS's error of that code and text.
func wantCode(t *testing.T, err error, code, message string) {
	t.Helper()
	var e smithy.APIError
	if !errors.As(err, &e) || e.ErrorCode() != code || e.ErrorMessage() != message {
		t.Errorf("got %v, want %s: %s", err, code, message)
	}
}

// newFunction makes a function with a published version and an alias.
func (d *door) newFunction(t *testing.T, name string) *string {
	t.Helper()
	if _, err := d.client.CreateFunction(t.Context(), &sdk.CreateFunctionInput{FunctionName: &name, PackageType: types.PackageTypeImage, Publish: true,
		Code: &types.FunctionCode{ImageUri: aws.String("http://127.0.0.1:1")}, Role: aws.String("arn:aws:iam::000000000000:role/r")}); err != nil {
		t.Fatal(err)
	}
	if _, err := d.client.CreateAlias(t.Context(), &sdk.CreateAliasInput{FunctionName: &name, Name: aws.String("live"), FunctionVersion: aws.String("1")}); err != nil {
		t.Fatal(err)
	}
	return &name
}

// Policies are kept by function, version and alias, and given back in AWS's form.
func TestPermissions(t *testing.T) {
	d := newDoor(t)
	ctx := t.Context()
	name := d.newFunction(t, "f")
	_, err := d.client.GetPolicy(ctx, &sdk.GetPolicyInput{FunctionName: name})
	wantCode(t, err, "ResourceNotFoundException", "The resource you requested does not exist.")
	add := func(qualifier *string, in sdk.AddPermissionInput) (string, error) {
		in.FunctionName, in.Qualifier, in.Action = name, qualifier, aws.String("lambda:InvokeFunction")
		out, err := d.client.AddPermission(ctx, &in)
		if err != nil {
			return "", err
		}
		return aws.ToString(out.Statement), nil
	}
	const s3 = `{"Sid":"s3","Effect":"Allow","Principal":{"Service":"s3.amazonaws.com"},"Action":"lambda:InvokeFunction","Resource":"arn:aws:lambda:us-east-1:000000000000:function:f",` +
		`"Condition":{"ArnLike":{"AWS:SourceArn":"arn:aws:s3:::b"},"StringEquals":{"AWS:SourceAccount":"111111111111"}}}`
	if st, err := add(nil, sdk.AddPermissionInput{StatementId: aws.String("s3"), Principal: aws.String("s3.amazonaws.com"), SourceArn: aws.String("arn:aws:s3:::b"), SourceAccount: aws.String("111111111111")}); err != nil || st != s3 {
		t.Errorf("%s %v", st, err)
	}
	const other = `{"Sid":"other","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111111111111:root"},"Action":"lambda:InvokeFunction","Resource":"arn:aws:lambda:us-east-1:000000000000:function:f:live"}`
	if st, err := add(aws.String("live"), sdk.AddPermissionInput{StatementId: aws.String("other"), Principal: aws.String("111111111111")}); err != nil || st != other {
		t.Errorf("%s %v", st, err)
	}
	_, err = add(nil, sdk.AddPermissionInput{StatementId: aws.String("s3"), Principal: aws.String("*")})
	wantCode(t, err, "ResourceConflictException", "The statement id (s3) provided already exists. Please provide a new statement id, or remove the existing statement.")
	_, err = add(nil, sdk.AddPermissionInput{StatementId: aws.String("x"), Principal: aws.String("somebody")})
	wantCode(t, err, "InvalidParameterValueException", "The provided principal was invalid. Please check the principal and try again.")
	_, err = add(aws.String("$LATEST"), sdk.AddPermissionInput{StatementId: aws.String("x"), Principal: aws.String("*")})
	wantCode(t, err, "InvalidParameterValueException", "We currently do not support adding policies for $LATEST.")
	_, err = add(nil, sdk.AddPermissionInput{StatementId: aws.String("x"), Principal: aws.String("*"), RevisionId: aws.String("y")})
	wantCode(t, err, "PreconditionFailedException", "The Revision Id provided does not match the latest Revision Id. Call the GetPolicy API to retrieve the latest Revision Id")
	p, err := d.client.GetPolicy(ctx, &sdk.GetPolicyInput{FunctionName: name})
	if err != nil || aws.ToString(p.Policy) != `{"Version":"2012-10-17","Id":"default","Statement":[`+s3+`]}` {
		t.Fatal(p, err)
	}
	_, err = d.client.RemovePermission(ctx, &sdk.RemovePermissionInput{FunctionName: name, StatementId: aws.String("none")})
	wantCode(t, err, "ResourceNotFoundException", "Statement none is not found in resource policy.")
	if _, err := d.client.RemovePermission(ctx, &sdk.RemovePermissionInput{FunctionName: name, StatementId: aws.String("s3"), RevisionId: p.RevisionId}); err != nil {
		t.Fatal(err)
	}
	_, err = d.client.GetPolicy(ctx, &sdk.GetPolicyInput{FunctionName: name})
	wantCode(t, err, "ResourceNotFoundException", "The resource you requested does not exist.")
	if p, err := d.client.GetPolicy(ctx, &sdk.GetPolicyInput{FunctionName: name, Qualifier: aws.String("live")}); err != nil || aws.ToString(p.RevisionId) == "" {
		t.Fatal(p, err)
	}
}

func TestProvisionedConcurrency(t *testing.T) {
	d := newDoor(t)
	ctx := t.Context()
	name, live := d.newFunction(t, "f"), aws.String("live")
	_, err := d.client.GetProvisionedConcurrencyConfig(ctx, &sdk.GetProvisionedConcurrencyConfigInput{FunctionName: name, Qualifier: live})
	wantCode(t, err, "ProvisionedConcurrencyConfigNotFoundException", "No Provisioned Concurrency Config found for this function")
	_, err = d.client.PutProvisionedConcurrencyConfig(ctx, &sdk.PutProvisionedConcurrencyConfigInput{FunctionName: name, Qualifier: aws.String("$LATEST"), ProvisionedConcurrentExecutions: aws.Int32(1)})
	wantCode(t, err, "InvalidParameterValueException", "Provisioned Concurrency Configs cannot be applied to unpublished function versions.")
	p, err := d.client.PutProvisionedConcurrencyConfig(ctx, &sdk.PutProvisionedConcurrencyConfigInput{FunctionName: name, Qualifier: live, ProvisionedConcurrentExecutions: aws.Int32(2)})
	if err != nil || p.Status != types.ProvisionedConcurrencyStatusEnumReady || aws.ToInt32(p.AvailableProvisionedConcurrentExecutions) != 2 {
		t.Fatal(p, err)
	}
	_, err = d.client.PutProvisionedConcurrencyConfig(ctx, &sdk.PutProvisionedConcurrencyConfigInput{FunctionName: name, Qualifier: aws.String("1"), ProvisionedConcurrentExecutions: aws.Int32(2)})
	wantCode(t, err, "ResourceConflictException", "Version is pointed by a Provisioned Concurrency alias")
	if l, err := d.client.ListProvisionedConcurrencyConfigs(ctx, &sdk.ListProvisionedConcurrencyConfigsInput{FunctionName: name}); err != nil || len(l.ProvisionedConcurrencyConfigs) != 1 {
		t.Fatal(l, err)
	}
	if _, err := d.client.DeleteProvisionedConcurrencyConfig(ctx, &sdk.DeleteProvisionedConcurrencyConfigInput{FunctionName: name, Qualifier: live}); err != nil {
		t.Fatal(err)
	}
	if l, err := d.client.ListProvisionedConcurrencyConfigs(ctx, &sdk.ListProvisionedConcurrencyConfigsInput{FunctionName: name}); err != nil || len(l.ProvisionedConcurrencyConfigs) != 0 {
		t.Fatal(l, err)
	}
}

// What nobody uses is answered as AWS answers who does not use it, and what would turn it
// on is refused by name.
func TestUnusedOperations(t *testing.T) {
	d := newDoor(t)
	ctx := t.Context()
	name := d.newFunction(t, "f")
	if out, err := d.client.GetFunctionCodeSigningConfig(ctx, &sdk.GetFunctionCodeSigningConfigInput{FunctionName: name}); err != nil || out.CodeSigningConfigArn != nil {
		t.Error(out, err)
	}
	if out, err := d.client.GetRuntimeManagementConfig(ctx, &sdk.GetRuntimeManagementConfigInput{FunctionName: name}); err != nil || out.UpdateRuntimeOn != types.UpdateRuntimeOnAuto {
		t.Error(out, err)
	}
	if out, err := d.client.GetFunctionRecursionConfig(ctx, &sdk.GetFunctionRecursionConfigInput{FunctionName: name}); err != nil || out.RecursiveLoop != types.RecursiveLoopTerminate {
		t.Error(out, err)
	}
	if _, err := d.client.PutFunctionRecursionConfig(ctx, &sdk.PutFunctionRecursionConfigInput{FunctionName: name, RecursiveLoop: types.RecursiveLoopAllow}); err != nil {
		t.Error(err)
	}
	if out, err := d.client.GetFunctionRecursionConfig(ctx, &sdk.GetFunctionRecursionConfigInput{FunctionName: name}); err != nil || out.RecursiveLoop != types.RecursiveLoopAllow {
		t.Error(out, err)
	}
	_, err := d.client.GetFunctionCodeSigningConfig(ctx, &sdk.GetFunctionCodeSigningConfigInput{FunctionName: aws.String("none")})
	wantCode(t, err, "ResourceNotFoundException", "Function not found: arn:aws:lambda:us-east-1:000000000000:function:none")
	if out, err := d.client.ListCapacityProviders(ctx, &sdk.ListCapacityProvidersInput{}); err != nil || len(out.CapacityProviders) != 0 {
		t.Error(out, err)
	}
	_, err = d.client.CreateCodeSigningConfig(ctx, &sdk.CreateCodeSigningConfigInput{AllowedPublishers: &types.AllowedPublishers{SigningProfileVersionArns: []string{"x"}}})
	wantCode(t, err, "InvalidParameterValueException", "CreateCodeSigningConfig is not supported: no signatures of code are verified here.")
}
