package app

import (
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
)

// aws_lambda_function_url: one that anybody may call has a permission made for that.
func TestTerraformFunctionURL(t *testing.T) {
	p := newProvider(t)
	p.createFunction(smallFunction(t, "f"))
	f := aws.String("f")
	read := func() (auth types.FunctionUrlAuthType, mode types.InvokeMode, cors *types.Cors) {
		t.Helper()
		is, err := p.lambda.GetFunctionUrlConfig(p.ctx, &lambda.GetFunctionUrlConfigInput{FunctionName: f})
		p.must(is, err)
		if aws.ToString(is.FunctionArn) != "arn:aws:lambda:us-east-1:000000000000:function:f" {
			t.Errorf("the URL is %+v", is)
		}
		return is.AuthType, is.InvokeMode, is.Cors
	}
	cors := &types.Cors{AllowOrigins: []string{"*"}, AllowMethods: []string{"GET"}, MaxAge: aws.Int32(60), AllowCredentials: aws.Bool(false)}
	p.refused("ResourceNotFoundException")(p.lambda.GetFunctionUrlConfig(p.ctx, &lambda.GetFunctionUrlConfigInput{FunctionName: f}))
	p.must(p.lambda.CreateFunctionUrlConfig(p.ctx, &lambda.CreateFunctionUrlConfigInput{FunctionName: f, AuthType: types.FunctionUrlAuthTypeNone, InvokeMode: types.InvokeModeBuffered, Cors: cors}))
	open := &lambda.AddPermissionInput{FunctionName: f, Action: aws.String("lambda:InvokeFunctionUrl"), Principal: aws.String("*"), StatementId: aws.String("FunctionURLAllowPublicAccess"), FunctionUrlAuthType: types.FunctionUrlAuthTypeNone}
	p.must(p.lambda.AddPermission(p.ctx, open))
	p.refused("ResourceConflictException")(p.lambda.AddPermission(p.ctx, open)) // which the provider takes for good
	auth, mode, is := read()
	undrifted(p, "after it is made", []any{auth, mode, is.AllowOrigins, is.AllowMethods, *is.MaxAge}, []any{types.FunctionUrlAuthTypeNone, types.InvokeModeBuffered, cors.AllowOrigins, cors.AllowMethods, *cors.MaxAge})
	p.must(p.lambda.UpdateFunctionUrlConfig(p.ctx, &lambda.UpdateFunctionUrlConfigInput{FunctionName: f, AuthType: types.FunctionUrlAuthTypeAwsIam, InvokeMode: types.InvokeModeResponseStream, Cors: &types.Cors{}}))
	if auth, mode, is = read(); auth != types.FunctionUrlAuthTypeAwsIam || mode != types.InvokeModeResponseStream || is != nil && (len(is.AllowOrigins)+len(is.AllowMethods) > 0 || is.MaxAge != nil) {
		t.Errorf("after an update it is %s, %s, %+v", auth, mode, is)
	}
	p.must(p.lambda.DeleteFunctionUrlConfig(p.ctx, &lambda.DeleteFunctionUrlConfigInput{FunctionName: f}))
	p.refused("ResourceNotFoundException")(p.lambda.GetFunctionUrlConfig(p.ctx, &lambda.GetFunctionUrlConfigInput{FunctionName: f}))
}

// aws_lambda_function_event_invoke_config.
func TestTerraformEventInvokeConfig(t *testing.T) {
	p := newProvider(t)
	p.createFunction(smallFunction(t, "f"))
	p.createFunction(smallFunction(t, "told"))
	f := aws.String("f")
	arn := aws.String("arn:aws:lambda:us-east-1:000000000000:function:told")
	get := &lambda.GetFunctionEventInvokeConfigInput{FunctionName: f}
	p.refused("ResourceNotFoundException")(p.lambda.GetFunctionEventInvokeConfig(p.ctx, get))
	for _, c := range []lambda.PutFunctionEventInvokeConfigInput{
		{FunctionName: f, MaximumEventAgeInSeconds: aws.Int32(3600), MaximumRetryAttempts: aws.Int32(1), DestinationConfig: &types.DestinationConfig{OnFailure: &types.OnFailure{Destination: arn}, OnSuccess: &types.OnSuccess{Destination: arn}}},
		{FunctionName: f, MaximumEventAgeInSeconds: aws.Int32(60), MaximumRetryAttempts: aws.Int32(0), DestinationConfig: &types.DestinationConfig{OnFailure: &types.OnFailure{Destination: arn}, OnSuccess: &types.OnSuccess{}}},
		{FunctionName: f, MaximumRetryAttempts: aws.Int32(2)},
	} {
		p.must(p.lambda.PutFunctionEventInvokeConfig(p.ctx, &c))
		is, err := p.lambda.GetFunctionEventInvokeConfig(p.ctx, get)
		p.must(is, err)
		var failure, success, wantFailure, wantSuccess string
		if d := is.DestinationConfig; d != nil && d.OnFailure != nil {
			failure = aws.ToString(d.OnFailure.Destination)
		}
		if d := is.DestinationConfig; d != nil && d.OnSuccess != nil {
			success = aws.ToString(d.OnSuccess.Destination)
		}
		if d := c.DestinationConfig; d != nil {
			wantFailure, wantSuccess = aws.ToString(d.OnFailure.Destination), aws.ToString(d.OnSuccess.Destination)
		}
		undrifted(p, "after a put", []any{aws.ToInt32(is.MaximumEventAgeInSeconds), aws.ToInt32(is.MaximumRetryAttempts), failure, success},
			[]any{aws.ToInt32(c.MaximumEventAgeInSeconds), aws.ToInt32(c.MaximumRetryAttempts), wantFailure, wantSuccess})
	}
	p.must(p.lambda.DeleteFunctionEventInvokeConfig(p.ctx, &lambda.DeleteFunctionEventInvokeConfigInput{FunctionName: f}))
	p.refused("ResourceNotFoundException")(p.lambda.GetFunctionEventInvokeConfig(p.ctx, get))
}

// aws_lambda_layer_version, which is replaced when it changes, and _layer_version_permission.
func TestTerraformLayerVersion(t *testing.T) {
	p := newProvider(t)
	l := aws.String("lib")
	for version := int64(1); version <= 2; version++ {
		made, err := p.lambda.PublishLayerVersion(p.ctx, &lambda.PublishLayerVersionInput{LayerName: l, Description: aws.String("a layer"), LicenseInfo: aws.String("MIT"),
			Content: &types.LayerVersionContentInput{ZipFile: bootstrap(t, "layer")}, CompatibleRuntimes: []types.Runtime{types.RuntimeNodejs22x}})
		if p.must(made, err); made.Version != version {
			t.Fatalf("it is version %d", made.Version)
		}
		is, err := p.lambda.GetLayerVersion(p.ctx, &lambda.GetLayerVersionInput{LayerName: l, VersionNumber: &version})
		p.must(is, err)
		undrifted(p, "after it is made", []string{*is.Description, *is.LicenseInfo, *is.LayerArn, *is.LayerVersionArn, *is.Content.CodeSha256},
			[]string{"a layer", "MIT", *made.LayerArn, *made.LayerArn + ":" + string(rune('0'+version)), *made.Content.CodeSha256})
		if !slices.Equal(is.CompatibleRuntimes, []types.Runtime{types.RuntimeNodejs22x}) || len(is.CompatibleArchitectures) != 0 || aws.ToString(is.CreatedDate) == "" {
			t.Errorf("it is %+v", is)
		}
		p.must(p.lambda.AddLayerVersionPermission(p.ctx, &lambda.AddLayerVersionPermissionInput{LayerName: l, VersionNumber: &version, StatementId: aws.String("other"), Action: aws.String("lambda:GetLayerVersion"), Principal: aws.String("123456789012")}))
		policy, err := p.lambda.GetLayerVersionPolicy(p.ctx, &lambda.GetLayerVersionPolicyInput{LayerName: l, VersionNumber: &version})
		if p.must(policy, err); policyOf(p, policy.Policy) == "" {
			t.Error("there is no policy")
		}
		p.must(p.lambda.RemoveLayerVersionPermission(p.ctx, &lambda.RemoveLayerVersionPermissionInput{LayerName: l, VersionNumber: &version, StatementId: aws.String("other")}))
		p.refused("ResourceNotFoundException")(p.lambda.GetLayerVersionPolicy(p.ctx, &lambda.GetLayerVersionPolicyInput{LayerName: l, VersionNumber: &version}))
		p.must(p.lambda.DeleteLayerVersion(p.ctx, &lambda.DeleteLayerVersionInput{LayerName: l, VersionNumber: &version}))
		p.refused("ResourceNotFoundException")(p.lambda.GetLayerVersion(p.ctx, &lambda.GetLayerVersionInput{LayerName: l, VersionNumber: &version}))
	}
}
