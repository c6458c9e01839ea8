package lambda

import (
	"errors"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/smithy-go"
)

// Function URLs are made, read, changed, listed and removed, with AWS's errors.
func TestFunctionURLs(t *testing.T) {
	d := newDoor(t)
	ctx := t.Context()
	name := aws.String("hello")
	if _, err := d.client.CreateFunction(ctx, &sdk.CreateFunctionInput{FunctionName: name, PackageType: types.PackageTypeImage,
		Code: &types.FunctionCode{ImageUri: aws.String("http://127.0.0.1:1")}, Role: aws.String("arn:aws:iam::000000000000:role/r")}); err != nil {
		t.Fatal(err)
	}
	want := func(err error, code, message string) {
		t.Helper()
		var e smithy.APIError
		if !errors.As(err, &e) || e.ErrorCode() != code || e.ErrorMessage() != message {
			t.Errorf("got %v, want %s: %s", err, code, message)
		}
	}
	const none = "The resource you requested does not exist."
	_, err := d.client.GetFunctionUrlConfig(ctx, &sdk.GetFunctionUrlConfigInput{FunctionName: name})
	want(err, "ResourceNotFoundException", none)
	_, err = d.client.UpdateFunctionUrlConfig(ctx, &sdk.UpdateFunctionUrlConfigInput{FunctionName: name})
	want(err, "ResourceNotFoundException", none)
	_, err = d.client.DeleteFunctionUrlConfig(ctx, &sdk.DeleteFunctionUrlConfigInput{FunctionName: name})
	want(err, "ResourceNotFoundException", none)
	_, err = d.client.CreateFunctionUrlConfig(ctx, &sdk.CreateFunctionUrlConfigInput{FunctionName: aws.String("nobody"), AuthType: types.FunctionUrlAuthTypeNone})
	want(err, "ResourceNotFoundException", "Function does not exist")
	_, err = d.client.CreateFunctionUrlConfig(ctx, &sdk.CreateFunctionUrlConfigInput{FunctionName: name, AuthType: "SOME"})
	want(err, "ValidationException", "1 validation error detected: Value 'SOME' at 'authType' failed to satisfy constraint: Member must satisfy enum value set: [NONE, AWS_IAM]")
	made, err := d.client.CreateFunctionUrlConfig(ctx, &sdk.CreateFunctionUrlConfigInput{FunctionName: name, AuthType: types.FunctionUrlAuthTypeNone,
		Cors: &types.Cors{AllowOrigins: []string{"*"}, MaxAge: aws.Int32(60)}})
	if err != nil || made.AuthType != types.FunctionUrlAuthTypeNone || aws.ToString(made.CreationTime) == "" || made.InvokeMode != types.InvokeModeBuffered {
		t.Fatal(made, err)
	}
	_, err = d.client.CreateFunctionUrlConfig(ctx, &sdk.CreateFunctionUrlConfigInput{FunctionName: name, AuthType: types.FunctionUrlAuthTypeNone})
	want(err, "ResourceConflictException", "Failed to create function url config for [functionArn = arn:aws:lambda:us-east-1:000000000000:function:hello]. Error message:  FunctionUrlConfig exists for this Lambda function")
	if _, err := d.client.UpdateFunctionUrlConfig(ctx, &sdk.UpdateFunctionUrlConfigInput{FunctionName: name, AuthType: types.FunctionUrlAuthTypeAwsIam, Cors: &types.Cors{}, InvokeMode: types.InvokeModeResponseStream}); err != nil {
		t.Fatal(err)
	}
	got, err := d.client.GetFunctionUrlConfig(ctx, &sdk.GetFunctionUrlConfigInput{FunctionName: name})
	if err != nil || got.AuthType != types.FunctionUrlAuthTypeAwsIam || got.Cors != nil || got.InvokeMode != types.InvokeModeResponseStream || aws.ToString(got.LastModifiedTime) == "" {
		t.Fatal(got, err)
	}
	if l, err := d.client.ListFunctionUrlConfigs(ctx, &sdk.ListFunctionUrlConfigsInput{FunctionName: name}); err != nil || len(l.FunctionUrlConfigs) != 1 {
		t.Fatal(l, err)
	}
	if u, ok := d.functions.SoleURL(); !ok || u.Function != "hello" || !u.Signed {
		t.Fatal(u, ok)
	}
	if _, err := d.client.DeleteFunctionUrlConfig(ctx, &sdk.DeleteFunctionUrlConfigInput{FunctionName: name}); err != nil {
		t.Fatal(err)
	}
	if l, err := d.client.ListFunctionUrlConfigs(ctx, &sdk.ListFunctionUrlConfigsInput{FunctionName: name}); err != nil || len(l.FunctionUrlConfigs) != 0 {
		t.Fatal(l, err)
	}
	// A function that is deleted takes its URL with it.
	if _, err := d.client.CreateFunctionUrlConfig(ctx, &sdk.CreateFunctionUrlConfigInput{FunctionName: name, AuthType: types.FunctionUrlAuthTypeNone}); err != nil {
		t.Fatal(err)
	}
	if _, err := d.client.DeleteFunction(ctx, &sdk.DeleteFunctionInput{FunctionName: name}); err != nil {
		t.Fatal(err)
	}
	if _, ok := d.functions.SoleURL(); ok {
		t.Fatal("the URL is still there")
	}
}
