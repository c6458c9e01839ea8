package lambda

import (
	"errors"
	"fmt"
	"strings"
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
func (d *door) newFunction(t *testing.T, name string, change ...func(in *sdk.CreateFunctionInput)) *string {
	t.Helper()
	in := &sdk.CreateFunctionInput{FunctionName: &name, PackageType: types.PackageTypeImage, Publish: true,
		Code: &types.FunctionCode{ImageUri: aws.String("http://127.0.0.1:1")}, Role: aws.String("arn:aws:iam::000000000000:role/r")}
	for _, f := range change {
		f(in)
	}
	if _, err := d.client.CreateFunction(t.Context(), in); err != nil {
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
	_, err = d.client.AddPermission(ctx, &sdk.AddPermissionInput{FunctionName: name, StatementId: aws.String("x"), Action: aws.String("foo"), Principal: aws.String("*")})
	wantCode(t, err, "ValidationException", "1 validation error detected: Value 'foo' at 'action' failed to satisfy constraint: Member must satisfy regular expression pattern: (lambda:[*]|lambda:[a-zA-Z]+|[*])")
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
	if out, err := d.client.GetFunctionRecursionConfig(ctx, &sdk.GetFunctionRecursionConfigInput{FunctionName: name}); err != nil || out.RecursiveLoop != types.RecursiveLoopTerminate {
		t.Error(out, err)
	}
	if _, err := d.client.PutFunctionRecursionConfig(ctx, &sdk.PutFunctionRecursionConfigInput{FunctionName: name, RecursiveLoop: types.RecursiveLoopAllow}); err != nil {
		t.Error(err)
	}
	if out, err := d.client.GetFunctionRecursionConfig(ctx, &sdk.GetFunctionRecursionConfigInput{FunctionName: name}); err != nil || out.RecursiveLoop != types.RecursiveLoopAllow {
		t.Error(out, err)
	}
	// What CreateFunction was given is shown until it is taken away.
	const config = "arn:aws:lambda:us-east-1:000000000000:code-signing-config:csc-0123456789abcdef0"
	signed := d.newFunction(t, "signed", func(in *sdk.CreateFunctionInput) { in.CodeSigningConfigArn = aws.String(config) })
	for _, want := range []string{config, ""} {
		if out, err := d.client.GetFunctionCodeSigningConfig(ctx, &sdk.GetFunctionCodeSigningConfigInput{FunctionName: signed}); err != nil || aws.ToString(out.CodeSigningConfigArn) != want {
			t.Errorf("%v %v, want %s", out, err, want)
		}
		if _, err := d.client.DeleteFunctionCodeSigningConfig(ctx, &sdk.DeleteFunctionCodeSigningConfigInput{FunctionName: signed}); err != nil {
			t.Error(err)
		}
	}
	_, err := d.client.GetFunctionCodeSigningConfig(ctx, &sdk.GetFunctionCodeSigningConfigInput{FunctionName: aws.String("none")})
	wantCode(t, err, "ResourceNotFoundException", "Function not found: arn:aws:lambda:us-east-1:000000000000:function:none")
	if out, err := d.client.ListCapacityProviders(ctx, &sdk.ListCapacityProvidersInput{}); err != nil || len(out.CapacityProviders) != 0 {
		t.Error(out, err)
	}
	_, err = d.client.CreateCodeSigningConfig(ctx, &sdk.CreateCodeSigningConfigInput{AllowedPublishers: &types.AllowedPublishers{SigningProfileVersionArns: []string{"x"}}})
	wantCode(t, err, "InvalidParameterValueException", "CreateCodeSigningConfig is not supported: no signatures of code are verified here.")
}

// A policy may also be put whole. It is the one that AddPermission adds to.
func TestResourcePolicies(t *testing.T) {
	d := newDoor(t)
	ctx := t.Context()
	name := d.newFunction(t, "f")
	const arn = "arn:aws:lambda:us-east-1:000000000000:function:f"
	get := func(of string) (string, string) {
		t.Helper()
		p, err := d.client.GetResourcePolicy(ctx, &sdk.GetResourcePolicyInput{ResourceArn: &of})
		if err != nil {
			t.Fatal(err)
		}
		return aws.ToString(p.Policy), aws.ToString(p.RevisionId)
	}
	put := func(of, policy string, revision *string) (*sdk.PutResourcePolicyOutput, error) {
		return d.client.PutResourcePolicy(ctx, &sdk.PutResourcePolicyInput{ResourceArn: &of, Policy: &policy, RevisionId: revision})
	}
	gone := func(of string) {
		t.Helper()
		_, err := d.client.GetResourcePolicy(ctx, &sdk.GetResourcePolicyInput{ResourceArn: &of})
		wantCode(t, err, "ResourceNotFoundException", "The resource you requested does not exist.")
	}
	gone(arn)
	_, err := d.client.DeleteResourcePolicy(ctx, &sdk.DeleteResourcePolicyInput{ResourceArn: aws.String(arn)})
	wantCode(t, err, "ResourceNotFoundException", "The resource you requested does not exist.")

	const own = `{"Version":"2008-10-17","Id":"mine","Statement":[{"Sid":"a","Effect":"Allow","Principal":{"AWS":["111111111111","222222222222"]},"Action":["lambda:InvokeFunction","lambda:GetFunction"],` +
		`"Resource":"` + arn + `","Condition":{"StringEquals":{"aws:SourceAccount":["1","2"]},"StringLike":{"x":"a&b<c>"}}},{"Effect":"Deny","NotPrincipal":"*","NotAction":"lambda:*","NotResource":"*"}]}`
	made, err := put(arn, own, nil)
	if err != nil || aws.ToString(made.Policy) != own {
		t.Fatal(made, err)
	}
	if text, revision := get(arn); text != own || revision != aws.ToString(made.RevisionId) {
		t.Fatal(text, revision)
	}
	gone(arn + ":live") // it has its own
	_, err = put(arn, own, aws.String("00000000-0000-0000-0000-000000000000"))
	wantCode(t, err, "PreconditionFailedException", "The Revision Id provided does not match the latest Revision Id. Call the GetPolicy API to retrieve the latest Revision Id")

	// Statement by statement it goes on.
	if _, err := d.client.AddPermission(ctx, &sdk.AddPermissionInput{FunctionName: name, StatementId: aws.String("b"), Action: aws.String("lambda:InvokeFunction"), Principal: aws.String("*")}); err != nil {
		t.Fatal(err)
	}
	added := strings.TrimSuffix(own, "]}") + `,{"Sid":"b","Effect":"Allow","Principal":"*","Action":"lambda:InvokeFunction","Resource":"` + arn + `"}]}`
	if p, err := d.client.GetPolicy(ctx, &sdk.GetPolicyInput{FunctionName: name}); err != nil || aws.ToString(p.Policy) != added {
		t.Fatal(aws.ToString(p.Policy), err)
	}
	if _, err := d.client.RemovePermission(ctx, &sdk.RemovePermissionInput{FunctionName: name, StatementId: aws.String("b")}); err != nil {
		t.Fatal(err)
	}
	text, revision := get(arn)
	if text != own {
		t.Fatal(text)
	}
	// A single statement needs no list.
	alone := `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":"*","Action":"lambda:InvokeFunction","Resource":"x"}}`
	if made, err = put(arn, alone, &revision); err != nil || aws.ToString(made.Policy) != strings.Replace(strings.TrimSuffix(alone, "}"), `{"Effect"`, `[{"Effect"`, 1)+"]}" {
		t.Fatal(made, err)
	}
	for what, policy := range map[string]string{
		"it is not a JSON document of a policy":               `{`,
		"it has no Statement":                                 `{"Statement":[]}`,
		"its Version is neither 2012-10-17 nor 2008-10-17":    `{"Version":"1","Statement":[{}]}`,
		"the Effect of a statement is neither Allow nor Deny": `{"Statement":[{"Effect":"Perhaps"}]}`,
		"a statement has one of Principal and NotPrincipal":   `{"Statement":[{"Effect":"Deny"}]}`,
		"a statement has one of Action and NotAction":         `{"Statement":[{"Effect":"Deny","Principal":"*"}]}`,
		"a statement has one of Resource and NotResource":     `{"Statement":[{"Effect":"Deny","Principal":"*","Action":"*"}]}`,
		"the Sid s is there twice":                            `{"Statement":[{"Sid":"s","Effect":"Deny","Principal":"*","Action":"*","Resource":"*"},{"Sid":"s","Effect":"Deny","Principal":"*","Action":"*","Resource":"*"}]}`,
	} {
		_, err := put(arn, policy, nil)
		wantCode(t, err, "InvalidParameterValueException", "The provided policy is not valid: "+what+". Please check the policy and try again.")
	}
	long := strings.Replace(own, `"mine"`, `"`+strings.Repeat("x", 20480)+`"`, 1)
	_, err = put(arn, long, nil)
	wantCode(t, err, "PolicyLengthExceededException", fmt.Sprintf("The final policy size (%d) is bigger than the limit (20480).", len(long)))
	_, err = put(arn+":$LATEST", own, nil)
	wantCode(t, err, "InvalidParameterValueException", "We currently do not support adding policies for $LATEST.")
	_, err = put(arn+":none", own, nil)
	wantCode(t, err, "ResourceNotFoundException", "Function not found: "+arn+":none")
	for _, short := range []string{"f", "function:f", "arn:aws:lambda:us-east-1:function:f"} {
		if _, err := put(short, own, nil); err == nil || !strings.Contains(err.Error(), "'resourceArn' failed to satisfy constraint") {
			t.Errorf("%s: %v", short, err)
		}
	}

	if _, err := d.client.DeleteResourcePolicy(ctx, &sdk.DeleteResourcePolicyInput{ResourceArn: aws.String(arn), RevisionId: made.RevisionId}); err != nil {
		t.Fatal(err)
	}
	gone(arn)
	if _, err := put(arn+":live", own, nil); err != nil {
		t.Fatal(err)
	}
	// An alias takes its policy along, and the next of that name has none.
	if _, err := d.client.DeleteAlias(ctx, &sdk.DeleteAliasInput{FunctionName: name, Name: aws.String("live")}); err != nil {
		t.Fatal(err)
	}
	if _, err := d.client.CreateAlias(ctx, &sdk.CreateAliasInput{FunctionName: name, Name: aws.String("live"), FunctionVersion: aws.String("1")}); err != nil {
		t.Fatal(err)
	}
	gone(arn + ":live")
	if _, err := d.client.AddPermission(ctx, &sdk.AddPermissionInput{FunctionName: name, Qualifier: aws.String("live"), StatementId: aws.String("b"), Action: aws.String("lambda:InvokeFunction"), Principal: aws.String("*")}); err != nil {
		t.Fatal(err)
	}
	if text, _ := get(arn + ":live"); !strings.HasPrefix(text, `{"Version":"2012-10-17","Id":"default",`) {
		t.Fatal(text)
	}
}

// When a version is to get updates of its runtime is kept and given back, for each version.
func TestRuntimeManagement(t *testing.T) {
	d := newDoor(t)
	ctx := t.Context()
	name, first := d.newFunction(t, "f"), aws.String("1")
	runtime := aws.String("arn:aws:lambda:us-east-1::runtime:0123")
	want := func(qualifier *string, arn string, on types.UpdateRuntimeOn, version *string) {
		t.Helper()
		got, err := d.client.GetRuntimeManagementConfig(ctx, &sdk.GetRuntimeManagementConfigInput{FunctionName: name, Qualifier: qualifier})
		if err != nil || aws.ToString(got.FunctionArn) != "arn:aws:lambda:us-east-1:000000000000:function:"+arn || got.UpdateRuntimeOn != on || aws.ToString(got.RuntimeVersionArn) != aws.ToString(version) {
			t.Errorf("%+v %v", got, err)
		}
	}
	put := func(qualifier *string, on types.UpdateRuntimeOn, version *string) error {
		_, err := d.client.PutRuntimeManagementConfig(ctx, &sdk.PutRuntimeManagementConfigInput{FunctionName: name, Qualifier: qualifier, UpdateRuntimeOn: on, RuntimeVersionArn: version})
		return err
	}
	want(nil, "f", types.UpdateRuntimeOnAuto, nil)
	if err := put(first, types.UpdateRuntimeOnManual, runtime); err != nil {
		t.Fatal(err)
	}
	want(first, "f:1", types.UpdateRuntimeOnManual, runtime)
	want(nil, "f", types.UpdateRuntimeOnAuto, nil)
	if err := put(nil, types.UpdateRuntimeOnFunctionUpdate, nil); err != nil {
		t.Fatal(err)
	}
	want(aws.String("$LATEST"), "f:$LATEST", types.UpdateRuntimeOnFunctionUpdate, nil)
	if err := put(first, types.UpdateRuntimeOnAuto, nil); err != nil {
		t.Fatal(err)
	}
	want(first, "f:1", types.UpdateRuntimeOnAuto, nil)
	wantCode(t, put(aws.String("live"), types.UpdateRuntimeOnAuto, nil), "InvalidParameterValueException",
		"The provided function name arn:aws:lambda:us-east-1:000000000000:function:f:live is invalid. Aliases are not allowed.")
	wantCode(t, put(nil, types.UpdateRuntimeOnManual, nil), "InvalidParameterValueException", "RuntimeVersionArn is required when UpdateRuntimeOn is Manual.")
	wantCode(t, put(nil, types.UpdateRuntimeOnAuto, runtime), "InvalidParameterValueException", "RuntimeVersionArn is only taken when UpdateRuntimeOn is Manual.")
	wantCode(t, put(nil, "Never", nil), "ValidationException",
		"1 validation error detected: Value 'Never' at 'updateRuntimeOn' failed to satisfy constraint: Member must satisfy enum value set: [Auto, Manual, FunctionUpdate]")
	wantCode(t, put(aws.String("9"), types.UpdateRuntimeOnAuto, nil), "ResourceNotFoundException", "Function not found: arn:aws:lambda:us-east-1:000000000000:function:f:9")
}

// Tags belong to whole functions, values that AWS does not have are refused, and a page of URLs is as long as was asked.
func TestTagsAndPages(t *testing.T) {
	d := newDoor(t)
	ctx := t.Context()
	name := d.newFunction(t, "f")
	const version = "arn:aws:lambda:us-east-1:000000000000:function:f:1"
	const text = "Tags on function aliases and versions are not supported. Please specify a function ARN."
	_, err := d.client.TagResource(ctx, &sdk.TagResourceInput{Resource: aws.String(version), Tags: map[string]string{"a": "b"}})
	wantCode(t, err, "InvalidParameterValueException", text)
	_, err = d.client.UntagResource(ctx, &sdk.UntagResourceInput{Resource: aws.String(version), TagKeys: []string{"a"}})
	wantCode(t, err, "InvalidParameterValueException", text)
	_, err = d.client.ListTags(ctx, &sdk.ListTagsInput{Resource: aws.String(version)})
	wantCode(t, err, "InvalidParameterValueException", text)
	_, err = d.client.ListTags(ctx, &sdk.ListTagsInput{Resource: name})
	wantCode(t, err, "ValidationException", "1 validation error detected: Value 'f' at 'resource' failed to satisfy constraint: Member must satisfy regular expression pattern: "+taggable)
	_, err = d.client.TagResource(ctx, &sdk.TagResourceInput{Resource: aws.String("arn:aws:lambda:us-east-1:000000000000:function:f"), Tags: map[string]string{}})
	wantCode(t, err, "InvalidParameterValueException", "An error occurred and the request cannot be processed.")
	_, err = d.client.ListFunctions(ctx, &sdk.ListFunctionsInput{FunctionVersion: "SOME"})
	wantCode(t, err, "ValidationException", "1 validation error detected: Value 'SOME' at 'functionVersion' failed to satisfy constraint: Member must satisfy enum value set: [ALL]")
	_, err = d.client.UpdateFunctionConfiguration(ctx, &sdk.UpdateFunctionConfigurationInput{FunctionName: name, SnapStart: &types.SnapStart{ApplyOn: "SOME"}})
	wantCode(t, err, "ValidationException", "1 validation error detected: Value 'SOME' at 'snapStart.applyOn' failed to satisfy constraint: Member must satisfy enum value set: [PublishedVersions, None]")
	long := strings.Repeat("x", 65)
	_, err = d.client.CreateFunction(ctx, &sdk.CreateFunctionInput{FunctionName: &long, Code: &types.FunctionCode{}, Role: aws.String("arn:aws:iam::000000000000:role/r")})
	wantCode(t, err, "ValidationException", "1 validation error detected: Value '"+long+"' at 'functionName' failed to satisfy constraint: Member must have length less than or equal to 64")
	for _, alias := range []*string{nil, aws.String("live")} {
		if _, err := d.client.CreateFunctionUrlConfig(ctx, &sdk.CreateFunctionUrlConfigInput{FunctionName: name, Qualifier: alias, AuthType: types.FunctionUrlAuthTypeNone}); err != nil {
			t.Fatal(err)
		}
	}
	first, err := d.client.ListFunctionUrlConfigs(ctx, &sdk.ListFunctionUrlConfigsInput{FunctionName: name, MaxItems: aws.Int32(1)})
	if err != nil || len(first.FunctionUrlConfigs) != 1 || first.NextMarker == nil {
		t.Fatal(first, err)
	}
	next, err := d.client.ListFunctionUrlConfigs(ctx, &sdk.ListFunctionUrlConfigsInput{FunctionName: name, MaxItems: aws.Int32(1), Marker: first.NextMarker})
	if err != nil || len(next.FunctionUrlConfigs) != 1 || next.NextMarker != nil || aws.ToString(next.FunctionUrlConfigs[0].FunctionArn) != "arn:aws:lambda:us-east-1:000000000000:function:f:live" {
		t.Fatal(next, err)
	}
}
