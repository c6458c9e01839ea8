package template

import (
	"cmp"
	"context"
	"errors"
	"reflect"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	fn "github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/millstreamdb/millstream/internal/arn"
)

// functionURL is an AWS::Lambda::Url, which SAM makes of FunctionUrlConfig.
type functionURL struct {
	TargetFunctionArn string
	AuthType          fn.FunctionUrlAuthType
	Cors              *fn.Cors
	InvokeMode        fn.InvokeMode
	Qualifier         string
}

func prepareURL(c *preparation) step {
	u := &functionURL{AuthType: fn.FunctionUrlAuthTypeNone, InvokeMode: fn.InvokeModeBuffered}
	if c.withoutFunction("TargetFunctionArn") {
		return nil
	}
	c.into(u)
	if !c.plan.opts.HTTP {
		c.problems.add(c.r.line, "%s: function URLs are answered by a Millstream, and the endpoint is none", c.r.id)
	}
	if f, ok := arn.ParseFunction(u.TargetFunctionArn); ok {
		u.TargetFunctionArn = f.Name
		u.Qualifier = cmp.Or(u.Qualifier, f.Qualifier)
	}
	return u
}

func (u *functionURL) there(ctx context.Context, d *deployment) (ref string, err error) {
	now, err := d.Functions.GetFunctionUrlConfig(ctx, &lambda.GetFunctionUrlConfigInput{FunctionName: &u.TargetFunctionArn, Qualifier: u.qualifier()})
	var missing *fn.ResourceNotFoundException
	switch {
	case errors.As(err, &missing):
		return "", nil
	case err != nil:
		return "", err
	}
	return aws.ToString(now.FunctionArn), nil
}

func (u *functionURL) deploy(ctx context.Context, d *deployment) (outcome, error) {
	now, err := d.Functions.GetFunctionUrlConfig(ctx, &lambda.GetFunctionUrlConfigInput{FunctionName: &u.TargetFunctionArn, Qualifier: u.qualifier()})
	var missing *fn.ResourceNotFoundException
	switch {
	case errors.As(err, &missing):
		made, err := d.Functions.CreateFunctionUrlConfig(ctx, &lambda.CreateFunctionUrlConfigInput{FunctionName: &u.TargetFunctionArn, Qualifier: u.qualifier(), AuthType: u.AuthType, Cors: u.Cors, InvokeMode: u.InvokeMode})
		if err != nil {
			return outcome{}, err
		}
		return u.outcome(Created, made.FunctionArn, made.FunctionUrl), nil
	case err != nil:
		return outcome{}, err
	case now.AuthType == u.AuthType && now.InvokeMode == u.InvokeMode && corsEqual(now.Cors, u.Cors):
		return u.outcome(Unchanged, now.FunctionArn, now.FunctionUrl), nil
	}
	in := &lambda.UpdateFunctionUrlConfigInput{FunctionName: &u.TargetFunctionArn, Qualifier: u.qualifier(), AuthType: u.AuthType, Cors: u.Cors, InvokeMode: u.InvokeMode}
	if in.Cors == nil {
		in.Cors = &fn.Cors{}
	}
	is, err := d.Functions.UpdateFunctionUrlConfig(ctx, in)
	if err != nil {
		return outcome{}, err
	}
	return u.outcome(Updated, is.FunctionArn, is.FunctionUrl), nil
}

func corsEqual(a, b *fn.Cors) bool {
	empty := func(c *fn.Cors) fn.Cors {
		if c == nil {
			return fn.Cors{}
		}
		return *c
	}
	return reflect.DeepEqual(empty(a), empty(b))
}

// qualifier is the alias that is called; nil for the function itself.
func (u *functionURL) qualifier() *string {
	if u.Qualifier == "" {
		return nil
	}
	return &u.Qualifier
}

func (u *functionURL) outcome(action Action, arn, url *string) outcome {
	return outcome{name: aws.ToString(url), action: action, attributes: map[string]string{
		"": aws.ToString(arn), "FunctionArn": aws.ToString(arn), "FunctionUrl": aws.ToString(url),
	}}
}
