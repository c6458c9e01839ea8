package template

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	fn "github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"github.com/millstreamdb/millstream/internal/arn"
)

// nameOf is a function's name in what a template may name it by: a name or an ARN,
// with a qualifier or without.
func nameOf(function string) string {
	f, ok := arn.ParseFunction(function)
	if !ok {
		return function
	}
	return f.Name
}

// version is an AWS::Lambda::Version: what the function is now. Lambda makes no new
// one while that is the same as the newest. (CloudFormation makes none at all under
// the same logical id, which is why tools put a hash into it.)
type version struct {
	FunctionName, Description    string
	CodeSha256                   *string
	ProvisionedConcurrencyConfig *provisioned
	RuntimePolicy                ignored
	FunctionScalingConfig        unsupported
}

type provisioned struct{ ProvisionedConcurrentExecutions int32 }

func prepareVersion(c *preparation) step {
	v := &version{}
	if c.withoutFunction("FunctionName") {
		return nil
	}
	c.into(v)
	c.required("FunctionName")
	v.FunctionName = nameOf(v.FunctionName)
	return v
}

func (v *version) deploy(ctx context.Context, d *deployment) (outcome, error) {
	before, err := d.newest(ctx, v.FunctionName)
	if err != nil {
		return outcome{}, err
	}
	made, err := d.Functions.PublishVersion(ctx, &lambda.PublishVersionInput{FunctionName: &v.FunctionName, Description: &v.Description, CodeSha256: v.CodeSha256})
	if err != nil {
		return outcome{}, err
	}
	number := aws.ToString(made.Version)
	if err := d.provision(ctx, v.FunctionName, number, v.ProvisionedConcurrencyConfig); err != nil {
		return outcome{}, err
	}
	action := Created
	if number == before {
		action = Unchanged
	}
	return outcome{name: v.FunctionName + ":" + number, action: action, attributes: map[string]string{
		"": aws.ToString(made.FunctionArn), "FunctionArn": aws.ToString(made.FunctionArn), "Version": number,
	}}, nil
}

// newest is the number of a function's newest version; empty when it has none.
func (d *deployment) newest(ctx context.Context, function string) (number string, err error) {
	most := 0
	for in := (&lambda.ListVersionsByFunctionInput{FunctionName: &function}); ; {
		out, err := d.Functions.ListVersionsByFunction(ctx, in)
		if err != nil {
			return "", err
		}
		for _, v := range out.Versions {
			if n, err := strconv.Atoi(aws.ToString(v.Version)); err == nil && n > most { // $LATEST is none
				most, number = n, aws.ToString(v.Version)
			}
		}
		if in.Marker = out.NextMarker; aws.ToString(in.Marker) == "" {
			return number, nil
		}
	}
}

// provision sets the provisioned concurrency of a version or an alias; nil takes it away.
func (d *deployment) provision(ctx context.Context, function, qualifier string, want *provisioned) error {
	now, err := d.Functions.GetProvisionedConcurrencyConfig(ctx, &lambda.GetProvisionedConcurrencyConfigInput{FunctionName: &function, Qualifier: &qualifier})
	var none *fn.ProvisionedConcurrencyConfigNotFoundException
	switch {
	case err != nil && !errors.As(err, &none):
		return err
	case err != nil && want == nil, err == nil && want != nil && aws.ToInt32(now.RequestedProvisionedConcurrentExecutions) == want.ProvisionedConcurrentExecutions:
		return nil
	case want == nil:
		_, err := d.Functions.DeleteProvisionedConcurrencyConfig(ctx, &lambda.DeleteProvisionedConcurrencyConfigInput{FunctionName: &function, Qualifier: &qualifier})
		return err
	}
	_, err = d.Functions.PutProvisionedConcurrencyConfig(ctx, &lambda.PutProvisionedConcurrencyConfigInput{
		FunctionName: &function, Qualifier: &qualifier, ProvisionedConcurrentExecutions: &want.ProvisionedConcurrentExecutions,
	})
	return err
}

// alias is an AWS::Lambda::Alias.
type alias struct {
	Name, FunctionName, FunctionVersion, Description string
	ProvisionedConcurrencyConfig                     *provisioned
	RoutingConfig                                    *struct {
		AdditionalVersionWeights []struct {
			FunctionVersion string
			FunctionWeight  float64
		}
	}
}

func prepareAlias(c *preparation) step {
	a := &alias{}
	if c.withoutFunction("FunctionName") {
		return nil
	}
	c.into(a)
	c.required("Name", "FunctionName", "FunctionVersion")
	a.FunctionName = nameOf(a.FunctionName)
	c.aliasNamed(a.FunctionName, a.Name)
	a.FunctionVersion = a.FunctionVersion[strings.LastIndexByte(a.FunctionVersion, ':')+1:]
	return a
}

func (a *alias) there(ctx context.Context, d *deployment) (ref string, err error) {
	now, err := d.Functions.GetAlias(ctx, &lambda.GetAliasInput{FunctionName: &a.FunctionName, Name: &a.Name})
	var missing *fn.ResourceNotFoundException
	switch {
	case errors.As(err, &missing):
		return "", nil
	case err != nil:
		return "", err
	}
	return aws.ToString(now.AliasArn), nil
}

func (a *alias) deploy(ctx context.Context, d *deployment) (outcome, error) {
	routing := &fn.AliasRoutingConfiguration{AdditionalVersionWeights: map[string]float64{}}
	if a.RoutingConfig != nil {
		for _, w := range a.RoutingConfig.AdditionalVersionWeights {
			routing.AdditionalVersionWeights[w.FunctionVersion] = w.FunctionWeight
		}
	}
	action, arn := Unchanged, ""
	now, err := d.Functions.GetAlias(ctx, &lambda.GetAliasInput{FunctionName: &a.FunctionName, Name: &a.Name})
	var missing *fn.ResourceNotFoundException
	switch {
	case errors.As(err, &missing):
		in := &lambda.CreateAliasInput{FunctionName: &a.FunctionName, Name: &a.Name, FunctionVersion: &a.FunctionVersion, Description: &a.Description}
		if len(routing.AdditionalVersionWeights) > 0 {
			in.RoutingConfig = routing
		}
		made, err := d.Functions.CreateAlias(ctx, in)
		if err != nil {
			return outcome{}, err
		}
		action, arn = Created, aws.ToString(made.AliasArn)
	case err != nil:
		return outcome{}, err
	default:
		arn = aws.ToString(now.AliasArn)
		var weights map[string]float64
		if now.RoutingConfig != nil {
			weights = now.RoutingConfig.AdditionalVersionWeights
		}
		if aws.ToString(now.FunctionVersion) == a.FunctionVersion && aws.ToString(now.Description) == a.Description &&
			maps.Equal(weights, routing.AdditionalVersionWeights) {
			break
		}
		if _, err := d.Functions.UpdateAlias(ctx, &lambda.UpdateAliasInput{FunctionName: &a.FunctionName, Name: &a.Name, FunctionVersion: &a.FunctionVersion,
			Description: &a.Description, RoutingConfig: routing}); err != nil {
			return outcome{}, err
		}
		action = Updated
	}
	if err := d.provision(ctx, a.FunctionName, a.Name, a.ProvisionedConcurrencyConfig); err != nil {
		return outcome{}, err
	}
	return outcome{name: a.FunctionName + ":" + a.Name, action: action, detail: detailIf(action == Updated, "version "+a.FunctionVersion), attributes: map[string]string{
		"": arn, "AliasArn": arn,
	}}, nil
}

func detailIf(on bool, detail string) string {
	if on {
		return detail
	}
	return ""
}

// required tells of properties that must be there.
func (c *preparation) required(names ...string) {
	for _, name := range names {
		if c.props.get(name) == nil {
			c.problems.add(c.r.line, "%s has no %s", c.r.id, name)
		}
	}
}

// eventConfig is an AWS::Lambda::EventInvokeConfig: what becomes of asynchronous calls.
type eventConfig struct {
	FunctionName, Qualifier                        string
	MaximumEventAgeInSeconds, MaximumRetryAttempts *int32
	DestinationConfig                              *struct {
		OnSuccess, OnFailure *struct{ Type, Destination string }
	}
}

func prepareEventConfig(c *preparation) step {
	e := &eventConfig{Qualifier: "$LATEST"}
	if c.withoutFunction("FunctionName") {
		return nil
	}
	c.into(e)
	c.required("FunctionName")
	if e.DestinationConfig != nil {
		for _, one := range []*struct{ Type, Destination string }{e.DestinationConfig.OnSuccess, e.DestinationConfig.OnFailure} {
			if one != nil && one.Destination == "" {
				c.problems.lack(c.props.get("DestinationConfig").line, "nobody is told", fmt.Sprintf("%s: a destination of type %s that SAM makes is not supported: name one", c.r.id, one.Type))
			}
		}
	}
	e.FunctionName = nameOf(e.FunctionName)
	return e
}

func (e *eventConfig) there(ctx context.Context, d *deployment) (ref string, err error) {
	_, err = d.Functions.GetFunctionEventInvokeConfig(ctx, &lambda.GetFunctionEventInvokeConfigInput{FunctionName: &e.FunctionName, Qualifier: &e.Qualifier})
	var missing *fn.ResourceNotFoundException
	if errors.As(err, &missing) {
		return "", nil
	}
	return e.name(), err
}

func (e *eventConfig) name() string { return e.FunctionName + ":" + e.Qualifier }

func (e *eventConfig) deploy(ctx context.Context, d *deployment) (outcome, error) {
	destinations := &fn.DestinationConfig{OnSuccess: &fn.OnSuccess{}, OnFailure: &fn.OnFailure{}}
	if c := e.DestinationConfig; c != nil {
		if c.OnSuccess != nil && c.OnSuccess.Destination != "" {
			destinations.OnSuccess.Destination = &c.OnSuccess.Destination
		}
		if c.OnFailure != nil && c.OnFailure.Destination != "" {
			destinations.OnFailure.Destination = &c.OnFailure.Destination
		}
	}
	now, err := d.Functions.GetFunctionEventInvokeConfig(ctx, &lambda.GetFunctionEventInvokeConfigInput{FunctionName: &e.FunctionName, Qualifier: &e.Qualifier})
	var missing *fn.ResourceNotFoundException
	action := Updated
	switch {
	case errors.As(err, &missing):
		action = Created
	case err != nil:
		return outcome{}, err
	case equalInt(now.MaximumEventAgeInSeconds, e.MaximumEventAgeInSeconds) && equalInt(now.MaximumRetryAttempts, e.MaximumRetryAttempts) &&
		sameDestinations(now.DestinationConfig, destinations):
		action = Unchanged
	}
	if action != Unchanged {
		if _, err := d.Functions.PutFunctionEventInvokeConfig(ctx, &lambda.PutFunctionEventInvokeConfigInput{FunctionName: &e.FunctionName, Qualifier: &e.Qualifier,
			MaximumEventAgeInSeconds: e.MaximumEventAgeInSeconds, MaximumRetryAttempts: e.MaximumRetryAttempts, DestinationConfig: destinations}); err != nil {
			return outcome{}, err
		}
	}
	return outcome{name: e.name(), action: action, attributes: map[string]string{"": e.name()}}, nil
}

func equalInt(a, b *int32) bool { return a == nil && b == nil || a != nil && b != nil && *a == *b }

func sameDestinations(a, b *fn.DestinationConfig) bool {
	two := func(c *fn.DestinationConfig) (success, failure string) {
		if c != nil && c.OnSuccess != nil {
			success = aws.ToString(c.OnSuccess.Destination)
		}
		if c != nil && c.OnFailure != nil {
			failure = aws.ToString(c.OnFailure.Destination)
		}
		return
	}
	as, af := two(a)
	bs, bf := two(b)
	return as == bs && af == bf
}
