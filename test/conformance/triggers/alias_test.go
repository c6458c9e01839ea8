package triggers

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"github.com/millstreamdb/millstream/test/conformance/harness"
)

// A mapping may name an alias: it keeps the name, and its calls go to the version that
// the alias names at the time.
func TestMappingOfAnAlias(t *testing.T) {
	t.Parallel()
	target := harness.The(t)
	table := table(t, target)
	f, g := target.NewFunction(t, nil), target.NewFunction(t, nil)
	// The second version reports to g.
	other, err := target.Lambda.GetFunctionConfiguration(t.Context(), &lambda.GetFunctionConfigurationInput{FunctionName: &g.Name})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := target.Lambda.PublishVersion(t.Context(), &lambda.PublishVersionInput{FunctionName: &f.Name}); err != nil {
		t.Fatal(err)
	}
	if _, err := target.Lambda.UpdateFunctionConfiguration(t.Context(), &lambda.UpdateFunctionConfigurationInput{
		FunctionName: &f.Name, Environment: &types.Environment{Variables: other.Environment.Variables},
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := target.Lambda.PublishVersion(t.Context(), &lambda.PublishVersionInput{FunctionName: &f.Name}); err != nil {
		t.Fatal(err)
	}
	if _, err := target.Lambda.CreateAlias(t.Context(), &lambda.CreateAliasInput{FunctionName: &f.Name, Name: aws.String("live"), FunctionVersion: aws.String("1")}); err != nil {
		t.Fatal(err)
	}
	id := f.Map(t, table.StreamARN, with(func(in *lambda.CreateEventSourceMappingInput) { in.FunctionName = aws.String(f.Name + ":live") }))
	m, err := target.Lambda.GetEventSourceMapping(t.Context(), &lambda.GetEventSourceMappingInput{UUID: &id})
	if err != nil || !strings.HasSuffix(aws.ToString(m.FunctionArn), ":function:"+f.Name+":live") {
		t.Fatalf("the mapping names %s (%v)", aws.ToString(m.FunctionArn), err)
	}
	table.Put(t, harness.Item{"pk": harness.S("first")})
	f.AwaitRecords(t, 1)
	if _, err := target.Lambda.UpdateAlias(t.Context(), &lambda.UpdateAliasInput{FunctionName: &f.Name, Name: aws.String("live"), FunctionVersion: aws.String("2")}); err != nil {
		t.Fatal(err)
	}
	table.Put(t, harness.Item{"pk": harness.S("second")})
	if got := keys(g.AwaitRecords(t, 1)); len(got) != 1 || got[0] != "second" {
		t.Errorf("the second version got %v", got)
	}
	if got := keys(f.Received()); len(got) != 1 || got[0] != "first" {
		t.Errorf("the first version got %v", got)
	}
}
