package lambda

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
)

// Versions, aliases and the settings of events, through AWS's SDK.
func TestVersionsAndAliases(t *testing.T) {
	d := newDoor(t)
	ctx := t.Context()
	name := aws.String("f")
	made, err := d.client.CreateFunction(ctx, &sdk.CreateFunctionInput{FunctionName: name, PackageType: types.PackageTypeImage, Publish: true,
		Code: &types.FunctionCode{ImageUri: aws.String("http://127.0.0.1:1")}, Role: aws.String("arn:aws:iam::000000000000:role/r")})
	if err != nil || aws.ToString(made.Version) != "1" {
		t.Fatal(made, err)
	}
	if _, err := d.client.UpdateFunctionConfiguration(ctx, &sdk.UpdateFunctionConfigurationInput{FunctionName: name, Timeout: aws.Int32(9)}); err != nil {
		t.Fatal(err)
	}
	second, err := d.client.PublishVersion(ctx, &sdk.PublishVersionInput{FunctionName: name, Description: aws.String("second")})
	if err != nil || aws.ToString(second.Version) != "2" || aws.ToString(second.Description) != "second" {
		t.Fatal(second, err)
	}
	versions, err := d.client.ListVersionsByFunction(ctx, &sdk.ListVersionsByFunctionInput{FunctionName: name})
	if err != nil || len(versions.Versions) != 3 || aws.ToString(versions.Versions[0].Version) != "$LATEST" {
		t.Fatal(versions, err)
	}
	alias, err := d.client.CreateAlias(ctx, &sdk.CreateAliasInput{FunctionName: name, Name: aws.String("live"), FunctionVersion: aws.String("1"),
		RoutingConfig: &types.AliasRoutingConfiguration{AdditionalVersionWeights: map[string]float64{"2": 0.5}}})
	if err != nil || aws.ToString(alias.AliasArn) != aws.ToString(made.FunctionArn)+":live" || alias.RoutingConfig.AdditionalVersionWeights["2"] != 0.5 {
		t.Fatal(alias, err)
	}
	got, err := d.client.GetFunction(ctx, &sdk.GetFunctionInput{FunctionName: name, Qualifier: aws.String("live")})
	if err != nil || aws.ToString(got.Configuration.FunctionArn) != aws.ToString(alias.AliasArn) || aws.ToString(got.Configuration.Version) != "1" {
		t.Fatal(got, err)
	}
	if a, err := d.client.UpdateAlias(ctx, &sdk.UpdateAliasInput{FunctionName: name, Name: aws.String("live"), FunctionVersion: aws.String("2"), RevisionId: alias.RevisionId,
		RoutingConfig: &types.AliasRoutingConfiguration{}}); err != nil || a.RoutingConfig != nil {
		t.Fatal(a, err)
	}
	if a, err := d.client.GetAlias(ctx, &sdk.GetAliasInput{FunctionName: name, Name: aws.String("live")}); err != nil || aws.ToString(a.FunctionVersion) != "2" {
		t.Fatal(a, err)
	}
	if l, err := d.client.ListAliases(ctx, &sdk.ListAliasesInput{FunctionName: name}); err != nil || len(l.Aliases) != 1 {
		t.Fatal(l, err)
	}

	events, err := d.client.PutFunctionEventInvokeConfig(ctx, &sdk.PutFunctionEventInvokeConfigInput{FunctionName: name, Qualifier: aws.String("live"), MaximumRetryAttempts: aws.Int32(1)})
	if err != nil || aws.ToString(events.FunctionArn) != aws.ToString(alias.AliasArn) || events.LastModified == nil {
		t.Fatal(events, err)
	}
	if _, err := d.client.UpdateFunctionEventInvokeConfig(ctx, &sdk.UpdateFunctionEventInvokeConfigInput{FunctionName: name, Qualifier: aws.String("live"), MaximumEventAgeInSeconds: aws.Int32(60)}); err != nil {
		t.Fatal(err)
	}
	if c, err := d.client.GetFunctionEventInvokeConfig(ctx, &sdk.GetFunctionEventInvokeConfigInput{FunctionName: name, Qualifier: aws.String("live")}); err != nil || aws.ToInt32(c.MaximumRetryAttempts) != 1 || aws.ToInt32(c.MaximumEventAgeInSeconds) != 60 {
		t.Fatal(c, err)
	}
	if l, err := d.client.ListFunctionEventInvokeConfigs(ctx, &sdk.ListFunctionEventInvokeConfigsInput{FunctionName: name}); err != nil || len(l.FunctionEventInvokeConfigs) != 1 {
		t.Fatal(l, err)
	}
	if _, err := d.client.DeleteFunctionEventInvokeConfig(ctx, &sdk.DeleteFunctionEventInvokeConfigInput{FunctionName: name, Qualifier: aws.String("live")}); err != nil {
		t.Fatal(err)
	}

	if _, err := d.client.DeleteAlias(ctx, &sdk.DeleteAliasInput{FunctionName: name, Name: aws.String("live")}); err != nil {
		t.Fatal(err)
	}
	if _, err := d.client.DeleteFunction(ctx, &sdk.DeleteFunctionInput{FunctionName: name, Qualifier: aws.String("1")}); err != nil {
		t.Fatal(err)
	}
	if l, err := d.client.ListFunctions(ctx, &sdk.ListFunctionsInput{FunctionVersion: types.FunctionVersionAll}); err != nil || len(l.Functions) != 2 {
		t.Fatal(l, err)
	}
}
