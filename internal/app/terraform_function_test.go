package app

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// functionConfig is an aws_lambda_function, as it is configured and as it is read.
type functionConfig struct {
	name, role, handler, runtime, description, dlq, kms, tracing, snap string
	memory, timeout, storage, reserved                                 int32
	environment, tags                                                  map[string]string
	architectures, layers, groups, subnets, files                      []string
	format, applicationLevel, systemLevel, group                       string // of logging_config
	publish                                                            bool
	code                                                               []byte
}

func bootstrap(t *testing.T, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	h := &zip.FileHeader{Name: "bootstrap", Method: zip.Deflate}
	h.SetMode(0o755)
	f, err := w.CreateHeader(h)
	if err == nil {
		_, err = f.Write([]byte("#!/bin/sh\n# " + text + "\nexit 1\n"))
	}
	if err := errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func given(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func (c *functionConfig) logging() *types.LoggingConfig {
	if c.format == "" {
		return nil
	}
	return &types.LoggingConfig{LogFormat: types.LogFormat(c.format), LogGroup: given(c.group), ApplicationLogLevel: types.ApplicationLogLevel(c.applicationLevel), SystemLogLevel: types.SystemLogLevel(c.systemLevel)}
}

func (c *functionConfig) fileSystems() (all []types.FileSystemConfig) {
	for _, arn := range c.files {
		all = append(all, types.FileSystemConfig{Arn: &arn, LocalMountPath: aws.String("/mnt/a")})
	}
	return all
}

func (c *functionConfig) vpc() *types.VpcConfig {
	return &types.VpcConfig{SecurityGroupIds: slices.Clone(c.groups), SubnetIds: slices.Clone(c.subnets), Ipv6AllowedForDualStack: aws.Bool(false)}
}

// functionIs is what the provider waits for after CreateFunction, and after an update.
func (p *provider) functionIs(name string) (state, update string) {
	p.Helper()
	out, err := p.lambda.GetFunction(p.ctx, &lambda.GetFunctionInput{FunctionName: &name})
	p.must(out, err)
	return string(out.Configuration.State), string(out.Configuration.LastUpdateStatus)
}

func (p *provider) createFunction(c functionConfig) {
	p.Helper()
	in := &lambda.CreateFunctionInput{FunctionName: &c.name, Code: &types.FunctionCode{ZipFile: c.code}, Description: &c.description, MemorySize: &c.memory, PackageType: types.PackageTypeZip,
		Publish: c.publish, Role: &c.role, Tags: c.tags, Timeout: &c.timeout, Handler: &c.handler, Runtime: types.Runtime(c.runtime), KMSKeyArn: given(c.kms), Layers: c.layers,
		LoggingConfig: c.logging(), FileSystemConfigs: c.fileSystems()}
	for _, a := range c.architectures {
		in.Architectures = append(in.Architectures, types.Architecture(a))
	}
	if c.dlq != "" {
		in.DeadLetterConfig = &types.DeadLetterConfig{TargetArn: &c.dlq}
	}
	if len(c.environment) > 0 {
		in.Environment = &types.Environment{Variables: c.environment}
	}
	if c.storage != 0 {
		in.EphemeralStorage = &types.EphemeralStorage{Size: &c.storage}
	}
	if c.snap != "" {
		in.SnapStart = &types.SnapStart{ApplyOn: types.SnapStartApplyOn(c.snap)}
	}
	if c.tracing != "" {
		in.TracingConfig = &types.TracingConfig{Mode: types.TracingMode(c.tracing)}
	}
	if len(c.subnets) > 0 {
		in.VpcConfig = c.vpc()
	}
	p.must(p.lambda.CreateFunction(p.ctx, in))
	p.until("the function", func() string { state, _ := p.functionIs(c.name); return state }, []string{"Pending"}, "Active", "ActiveNonInvocable")
	if c.reserved >= 0 {
		p.must(p.lambda.PutFunctionConcurrency(p.ctx, &lambda.PutFunctionConcurrencyInput{FunctionName: &c.name, ReservedConcurrentExecutions: &c.reserved}))
	}
}

// readFunction reads what is configurable; what the configuration leaves out and the server
// fills in is taken from like, as computed attributes are.
func (p *provider) readFunction(like functionConfig) (c functionConfig, version string) {
	p.Helper()
	out, err := p.lambda.GetFunction(p.ctx, &lambda.GetFunctionInput{FunctionName: &like.name})
	p.must(out, err)
	f := out.Configuration
	if out.Code == nil || f == nil || aws.ToString(f.FunctionArn) != "arn:aws:lambda:us-east-1:000000000000:function:"+like.name || aws.ToString(f.CodeSha256) == "" || f.CodeSize == 0 || aws.ToString(f.LastModified) == "" {
		p.Fatalf("the function is %+v", f)
	}
	c = functionConfig{name: aws.ToString(f.FunctionName), role: aws.ToString(f.Role), handler: aws.ToString(f.Handler), runtime: string(f.Runtime), description: aws.ToString(f.Description),
		kms: aws.ToString(f.KMSKeyArn), memory: aws.ToInt32(f.MemorySize), timeout: aws.ToInt32(f.Timeout), reserved: -1, tags: out.Tags,
		publish: like.publish, code: like.code, tracing: "PassThrough"}
	if f.DeadLetterConfig != nil && f.DeadLetterConfig.TargetArn != nil {
		if c.dlq = aws.ToString(f.DeadLetterConfig.TargetArn); c.dlq == "" {
			c.dlq = "an empty one"
		}
	}
	if f.Environment != nil {
		if c.environment = f.Environment.Variables; len(c.environment) == 0 {
			p.Error("there is an environment without variables")
		}
	}
	if f.EphemeralStorage != nil {
		c.storage = aws.ToInt32(f.EphemeralStorage.Size)
	}
	for _, a := range f.Architectures {
		c.architectures = append(c.architectures, string(a))
	}
	for _, l := range f.Layers {
		c.layers = append(c.layers, aws.ToString(l.Arn))
	}
	for _, s := range f.FileSystemConfigs {
		c.files = append(c.files, aws.ToString(s.Arn))
	}
	if l := f.LoggingConfig; l != nil {
		c.format, c.group = string(l.LogFormat), aws.ToString(l.LogGroup)
		c.applicationLevel, c.systemLevel = string(l.ApplicationLogLevel), string(l.SystemLogLevel)
		if like.applicationLevel == "" { // levels that are not configured are no drift
			c.applicationLevel = ""
		}
		if like.systemLevel == "" {
			c.systemLevel = ""
		}
		if like.group == "" {
			c.group = ""
		}
		if like.format == "" && c.format == "Text" {
			c.format = ""
		}
	}
	if f.SnapStart != nil && f.SnapStart.ApplyOn != types.SnapStartApplyOnNone {
		c.snap = string(f.SnapStart.ApplyOn)
	}
	if f.TracingConfig != nil {
		c.tracing = string(f.TracingConfig.Mode)
	}
	if like.tracing == "" { // computed, where the configuration says nothing
		c.tracing = ""
	}
	if v := f.VpcConfig; v != nil {
		c.groups, c.subnets = v.SecurityGroupIds, v.SubnetIds
	}
	if out.Concurrency != nil {
		c.reserved = aws.ToInt32(out.Concurrency.ReservedConcurrentExecutions)
	}
	pages := lambda.NewListVersionsByFunctionPaginator(p.lambda, &lambda.ListVersionsByFunctionInput{FunctionName: &like.name, MaxItems: aws.Int32(10000)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(p.ctx)
		p.must(page, err)
		for _, v := range page.Versions {
			version = aws.ToString(v.Version)
		}
	}
	signing, err := p.lambda.GetFunctionCodeSigningConfig(p.ctx, &lambda.GetFunctionCodeSigningConfigInput{FunctionName: &like.name})
	if err != nil || aws.ToString(signing.CodeSigningConfigArn) != "" {
		p.Errorf("its code's signature is %+v %v", signing, err)
	}
	return c, version
}

func (p *provider) functionUpdated(name string) {
	p.Helper()
	p.until("the update", func() string { _, update := p.functionIs(name); return update }, []string{"InProgress"}, "Successful")
}

// updateFunction sends what the provider sends: of a group of settings that was removed, an empty one.
func (p *provider) updateFunction(is, c functionConfig) {
	p.Helper()
	in := &lambda.UpdateFunctionConfigurationInput{FunctionName: &c.name}
	change := false
	set := func(different bool, do func()) {
		if different {
			change = true
			do()
		}
	}
	set(is.description != c.description, func() { in.Description = &c.description })
	set(is.handler != c.handler, func() { in.Handler = &c.handler })
	set(is.memory != c.memory, func() { in.MemorySize = &c.memory })
	set(is.role != c.role, func() { in.Role = &c.role })
	set(is.timeout != c.timeout, func() { in.Timeout = &c.timeout })
	set(is.kms != c.kms, func() { in.KMSKeyArn = &c.kms })
	set(is.runtime != c.runtime, func() { in.Runtime = types.Runtime(c.runtime) })
	set(is.dlq != c.dlq, func() { in.DeadLetterConfig = &types.DeadLetterConfig{TargetArn: &c.dlq} })
	set(!maps.Equal(is.environment, c.environment), func() {
		in.Environment = &types.Environment{Variables: map[string]string{}}
		maps.Copy(in.Environment.Variables, c.environment)
	})
	set(is.storage != c.storage, func() { in.EphemeralStorage = &types.EphemeralStorage{Size: &c.storage} })
	set(!slices.Equal(is.layers, c.layers), func() { in.Layers = append([]string{}, c.layers...) })
	set(!slices.Equal(is.files, c.files), func() { in.FileSystemConfigs = append([]types.FileSystemConfig{}, c.fileSystems()...) })
	set(*loggingOf(is) != *loggingOf(c), func() {
		if in.LoggingConfig = c.logging(); in.LoggingConfig == nil {
			in.LoggingConfig = &types.LoggingConfig{LogFormat: types.LogFormatText}
		}
	})
	set(is.snap != c.snap, func() {
		in.SnapStart = &types.SnapStart{ApplyOn: types.SnapStartApplyOn(c.snap)}
		if c.snap == "" {
			in.SnapStart.ApplyOn = types.SnapStartApplyOnNone
		}
	})
	set(is.tracing != c.tracing && c.tracing != "", func() { in.TracingConfig = &types.TracingConfig{Mode: types.TracingMode(c.tracing)} })
	set(!slices.Equal(is.subnets, c.subnets) || !slices.Equal(is.groups, c.groups), func() {
		in.VpcConfig = c.vpc()
		if len(c.subnets) == 0 {
			in.VpcConfig.SecurityGroupIds, in.VpcConfig.SubnetIds = []string{}, []string{}
		}
	})
	if change {
		p.must(p.lambda.UpdateFunctionConfiguration(p.ctx, in))
		p.functionUpdated(c.name)
	}
	if !bytes.Equal(is.code, c.code) || !slices.Equal(is.architectures, c.architectures) {
		code := &lambda.UpdateFunctionCodeInput{FunctionName: &c.name, ZipFile: c.code}
		for _, a := range c.architectures {
			code.Architectures = append(code.Architectures, types.Architecture(a))
		}
		p.must(p.lambda.UpdateFunctionCode(p.ctx, code))
		p.functionUpdated(c.name)
		change = true
	}
	switch {
	case is.reserved == c.reserved:
	case c.reserved < 0:
		p.must(p.lambda.DeleteFunctionConcurrency(p.ctx, &lambda.DeleteFunctionConcurrencyInput{FunctionName: &c.name}))
	default:
		p.must(p.lambda.PutFunctionConcurrency(p.ctx, &lambda.PutFunctionConcurrencyInput{FunctionName: &c.name, ReservedConcurrentExecutions: &c.reserved}))
	}
	if c.publish && change {
		v, err := p.lambda.PublishVersion(p.ctx, &lambda.PublishVersionInput{FunctionName: &c.name})
		p.must(v, err)
		p.until("the version", func() string {
			out, err := p.lambda.GetFunctionConfiguration(p.ctx, &lambda.GetFunctionConfigurationInput{FunctionName: &c.name, Qualifier: v.Version})
			p.must(out, err)
			if out.LastUpdateStatus == "" {
				return "InProgress"
			}
			return string(out.LastUpdateStatus)
		}, []string{"InProgress"}, "Successful")
	}
	p.tagFunction("arn:aws:lambda:us-east-1:000000000000:function:"+c.name, is.tags, c.tags)
}

func loggingOf(c functionConfig) *struct{ format, application, system, group string } {
	return &struct{ format, application, system, group string }{c.format, c.applicationLevel, c.systemLevel, c.group}
}

// tagFunction makes tags of Lambda's what they are to be.
func (p *provider) tagFunction(arn string, is, tags map[string]string) {
	p.Helper()
	var gone []string
	for k := range is {
		if _, ok := tags[k]; !ok {
			gone = append(gone, k)
		}
	}
	if len(gone) > 0 {
		p.must(p.lambda.UntagResource(p.ctx, &lambda.UntagResourceInput{Resource: &arn, TagKeys: gone}))
	}
	if len(tags) > 0 && !maps.Equal(is, tags) {
		p.must(p.lambda.TagResource(p.ctx, &lambda.TagResourceInput{Resource: &arn, Tags: tags}))
	}
}

func (p *provider) deleteFunction(name string) {
	p.Helper()
	p.must(p.lambda.DeleteFunction(p.ctx, &lambda.DeleteFunctionInput{FunctionName: &name}))
	p.refused("ResourceNotFoundException")(p.lambda.GetFunction(p.ctx, &lambda.GetFunctionInput{FunctionName: &name}))
}

const functionRole = "arn:aws:iam::000000000000:role/r"

// smallFunction is what most configurations have.
func smallFunction(t *testing.T, name string) functionConfig {
	return functionConfig{name: name, role: functionRole, handler: "x", runtime: "provided.al2023", memory: 128, timeout: 3, reserved: -1, storage: 512,
		architectures: []string{"x86_64"}, code: bootstrap(t, "one")}
}

func TestTerraformFunction(t *testing.T) {
	p := newProvider(t)
	layer, err := p.lambda.PublishLayerVersion(p.ctx, &lambda.PublishLayerVersionInput{LayerName: aws.String("l"), Content: &types.LayerVersionContentInput{ZipFile: bootstrap(t, "layer")}})
	p.must(layer, err)
	small := smallFunction(t, "small")
	published := smallFunction(t, "published")
	published.publish = true
	whole := functionConfig{name: "f", role: functionRole, handler: "a.b", runtime: "provided.al2023", description: "does it", dlq: "arn:aws:sqs:us-east-1:000000000000:dead",
		tracing: "Active", memory: 512, timeout: 30, storage: 1024, reserved: 2, environment: map[string]string{"AA": "b", "CC": "d"}, tags: map[string]string{"t": "u"},
		architectures: []string{"x86_64"}, layers: []string{aws.ToString(layer.LayerVersionArn)}, format: "JSON", applicationLevel: "WARN", systemLevel: "DEBUG", group: "/shop/all",
		groups: []string{"sg-1"}, subnets: []string{"subnet-1"}, kms: "arn:aws:kms:us-east-1:000000000000:key/k", snap: "PublishedVersions", publish: true, code: bootstrap(t, "one")}
	same := func(when string, c functionConfig, version string) {
		t.Helper()
		is, v := p.readFunction(c)
		undrifted(p, when, fmt.Sprintf("%+v", withoutCode(is)), fmt.Sprintf("%+v", withoutCode(c)))
		if v != version {
			t.Errorf("%s the newest version is %s, not %s", when, v, version)
		}
	}
	p.refused("ResourceNotFoundException")(p.lambda.GetFunction(p.ctx, &lambda.GetFunctionInput{FunctionName: aws.String("f")}))
	for _, c := range []functionConfig{small, published, whole} {
		p.createFunction(c)
		version := "$LATEST"
		if c.publish {
			version = "1"
		}
		same("after its creation", c, version)
	}
	// Everything that can be taken away is, and comes back.
	less := smallFunction(t, "f")
	less.publish, less.tracing, less.code = true, "PassThrough", bootstrap(t, "two")
	p.updateFunction(whole, less)
	same("after settings were taken away", less, "2")
	p.updateFunction(less, whole)
	same("after they came back", whole, "3")
	p.updateFunction(whole, whole) // nothing differs
	same("without a change", whole, "3")
	for _, name := range []string{"small", "published", "f"} {
		p.deleteFunction(name)
	}
	p.must(p.lambda.DeleteLayerVersion(p.ctx, &lambda.DeleteLayerVersionInput{LayerName: aws.String("l"), VersionNumber: aws.Int64(layer.Version)}))
}

func withoutCode(c functionConfig) functionConfig { c.code = nil; return c }

func TestTerraformAlias(t *testing.T) {
	p := newProvider(t)
	f := smallFunction(t, "f")
	f.publish = true
	p.createFunction(f)
	next := f
	next.code = bootstrap(t, "two")
	p.updateFunction(f, next)
	name := aws.String("live")
	read := func() string {
		t.Helper()
		out, err := p.lambda.GetAlias(p.ctx, &lambda.GetAliasInput{FunctionName: &f.name, Name: name})
		p.must(out, err)
		routing := map[string]float64{}
		if out.RoutingConfig != nil {
			routing = out.RoutingConfig.AdditionalVersionWeights
		}
		return fmt.Sprint(aws.ToString(out.AliasArn), " ", aws.ToString(out.Description), " ", aws.ToString(out.FunctionVersion), " ", aws.ToString(out.Name), " ", routing)
	}
	const arn = "arn:aws:lambda:us-east-1:000000000000:function:f:live"
	p.must(p.lambda.CreateAlias(p.ctx, &lambda.CreateAliasInput{FunctionName: &f.name, Name: name, FunctionVersion: aws.String("1"), Description: aws.String("now"),
		RoutingConfig: &types.AliasRoutingConfiguration{AdditionalVersionWeights: map[string]float64{"2": 0.25}}}))
	undrifted(p, "after its creation", read(), arn+" now 1 live map[2:0.25]")
	p.must(p.lambda.UpdateAlias(p.ctx, &lambda.UpdateAliasInput{FunctionName: &f.name, Name: name, FunctionVersion: aws.String("2"), Description: aws.String(""),
		RoutingConfig: &types.AliasRoutingConfiguration{}}))
	undrifted(p, "after its update", read(), arn+"  2 live map[]")
	p.must(p.lambda.DeleteAlias(p.ctx, &lambda.DeleteAliasInput{FunctionName: &f.name, Name: name}))
	p.refused("ResourceNotFoundException")(p.lambda.GetAlias(p.ctx, &lambda.GetAliasInput{FunctionName: &f.name, Name: name}))
	p.deleteFunction("f")
}

func TestTerraformPermission(t *testing.T) {
	p := newProvider(t)
	f := smallFunction(t, "f")
	f.publish = true
	p.createFunction(f)
	p.must(p.lambda.CreateAlias(p.ctx, &lambda.CreateAliasInput{FunctionName: &f.name, Name: aws.String("live"), FunctionVersion: aws.String("1")}))
	type condition struct{ StringEquals, ArnLike, Bool map[string]string }
	type statement struct {
		Sid, Effect, Action, Resource string
		Principal                     any
		Condition                     condition
	}
	// statements are those of the policy of the function, or of its alias.
	statements := func(qualifier *string) (all []statement) {
		t.Helper()
		out, err := p.lambda.GetPolicy(p.ctx, &lambda.GetPolicyInput{FunctionName: &f.name, Qualifier: qualifier})
		if code(out, err) == "ResourceNotFoundException" {
			return nil
		}
		p.must(out, err)
		var policy struct{ Statement []statement }
		if err := json.Unmarshal([]byte(aws.ToString(out.Policy)), &policy); err != nil {
			t.Fatal(err)
		}
		return policy.Statement
	}
	const arn = "arn:aws:lambda:us-east-1:000000000000:function:f"
	for _, c := range []struct {
		in   lambda.AddPermissionInput
		want statement
	}{
		{lambda.AddPermissionInput{Principal: aws.String("apigateway.amazonaws.com"), SourceArn: aws.String("arn:aws:execute-api:us-east-1:000000000000:x/*/*")},
			statement{Resource: arn, Principal: map[string]any{"Service": "apigateway.amazonaws.com"}, Condition: condition{ArnLike: map[string]string{"AWS:SourceArn": "arn:aws:execute-api:us-east-1:000000000000:x/*/*"}}}},
		{lambda.AddPermissionInput{Principal: aws.String("s3.amazonaws.com"), SourceAccount: aws.String("111111111111"), Qualifier: aws.String("live")},
			statement{Resource: arn + ":live", Principal: map[string]any{"Service": "s3.amazonaws.com"}, Condition: condition{StringEquals: map[string]string{"AWS:SourceAccount": "111111111111"}}}},
		{lambda.AddPermissionInput{Principal: aws.String("111111111111")},
			statement{Resource: arn, Principal: map[string]any{"AWS": "arn:aws:iam::111111111111:root"}}},
		{lambda.AddPermissionInput{Action: aws.String("lambda:InvokeFunctionUrl"), Principal: aws.String("*"), FunctionUrlAuthType: types.FunctionUrlAuthTypeNone},
			statement{Action: "lambda:InvokeFunctionUrl", Resource: arn, Principal: "*", Condition: condition{StringEquals: map[string]string{"lambda:FunctionUrlAuthType": "NONE"}}}},
		{lambda.AddPermissionInput{Principal: aws.String("*"), PrincipalOrgID: aws.String("o-abcdefghij")},
			statement{Resource: arn, Principal: "*", Condition: condition{StringEquals: map[string]string{"aws:PrincipalOrgID": "o-abcdefghij"}}}},
		{lambda.AddPermissionInput{Principal: aws.String("alexa-appkit.amazon.com"), EventSourceToken: aws.String("skill")},
			statement{Resource: arn, Principal: map[string]any{"Service": "alexa-appkit.amazon.com"}, Condition: condition{StringEquals: map[string]string{"lambda:EventSourceToken": "skill"}}}},
		{lambda.AddPermissionInput{Principal: aws.String("*"), InvokedViaFunctionUrl: aws.Bool(true)},
			statement{Resource: arn, Principal: "*", Condition: condition{Bool: map[string]string{"lambda:InvokedViaFunctionUrl": "true"}}}},
	} {
		c.in.FunctionName, c.in.StatementId = &f.name, aws.String("s")
		if c.in.Action == nil {
			c.in.Action, c.want.Action = aws.String("lambda:InvokeFunction"), "lambda:InvokeFunction"
		}
		c.want.Sid, c.want.Effect = "s", "Allow"
		p.must(p.lambda.AddPermission(p.ctx, &c.in))
		undrifted(p, "after its creation", statements(c.in.Qualifier), []statement{c.want})
		p.refused("ResourceConflictException")(p.lambda.AddPermission(p.ctx, &c.in))
		p.must(p.lambda.RemovePermission(p.ctx, &lambda.RemovePermissionInput{FunctionName: &f.name, StatementId: c.in.StatementId, Qualifier: c.in.Qualifier}))
		undrifted(p, "after its end", statements(c.in.Qualifier), nil)
		p.refused("ResourceNotFoundException")(p.lambda.RemovePermission(p.ctx, &lambda.RemovePermissionInput{FunctionName: &f.name, StatementId: c.in.StatementId, Qualifier: c.in.Qualifier}))
	}
	p.deleteFunction("f")
}

// mappingState is an aws_lambda_event_source_mapping as it is read.
type mappingState struct {
	function, source, filter, failure, position, responses string
	batch, window, age, attempts, parallel, tumbling       int32
	bisect, enabled                                        bool
	tags                                                   map[string]string
}

func (p *provider) readMapping(id *string) (m mappingState) {
	p.Helper()
	out, err := p.lambda.GetEventSourceMapping(p.ctx, &lambda.GetEventSourceMappingInput{UUID: id})
	p.must(out, err)
	m = mappingState{function: aws.ToString(out.FunctionArn), source: aws.ToString(out.EventSourceArn), position: string(out.StartingPosition), batch: aws.ToInt32(out.BatchSize),
		window: aws.ToInt32(out.MaximumBatchingWindowInSeconds), age: aws.ToInt32(out.MaximumRecordAgeInSeconds), attempts: aws.ToInt32(out.MaximumRetryAttempts),
		parallel: aws.ToInt32(out.ParallelizationFactor), tumbling: aws.ToInt32(out.TumblingWindowInSeconds), bisect: aws.ToBool(out.BisectBatchOnFunctionError), enabled: aws.ToString(out.State) == "Enabled"}
	for _, r := range out.FunctionResponseTypes {
		m.responses += string(r)
	}
	if out.FilterCriteria != nil {
		for _, f := range out.FilterCriteria.Filters {
			m.filter += aws.ToString(f.Pattern)
		}
	}
	if d := out.DestinationConfig; d != nil && d.OnFailure != nil {
		m.failure = aws.ToString(d.OnFailure.Destination)
	}
	tags, err := p.lambda.ListTags(p.ctx, &lambda.ListTagsInput{Resource: out.EventSourceMappingArn})
	p.must(tags, err)
	m.tags = tags.Tags
	return m
}

func TestTerraformEventSourceMapping(t *testing.T) {
	p := newProvider(t)
	p.createFunction(smallFunction(t, "f"))
	table := tableConfig{name: "orders", billing: "PAY_PER_REQUEST", hash: "id", attributes: []string{"id:S"}, stream: "NEW_IMAGE"}
	p.createTable(table)
	source := p.streamOf("orders")
	state := func(id *string) func() string {
		return func() string {
			out, err := p.lambda.GetEventSourceMapping(p.ctx, &lambda.GetEventSourceMappingInput{UUID: id})
			var http *smithyhttp.ResponseError
			if errors.As(err, &http) && http.HTTPStatusCode() == 404 {
				return "gone"
			}
			p.must(out, err)
			return aws.ToString(out.State)
		}
	}
	const arn = "arn:aws:lambda:us-east-1:000000000000:function:f"
	least := mappingState{function: arn, source: source, position: "LATEST", batch: 100, age: -1, attempts: -1, parallel: 1, enabled: true, tags: map[string]string{}}
	whole := mappingState{function: arn, source: source, position: "TRIM_HORIZON", batch: 10, window: 5, age: 600, attempts: 3, parallel: 2, tumbling: 0, bisect: true,
		responses: "ReportBatchItemFailures", filter: `{"eventName":["INSERT"]}`, failure: "arn:aws:sqs:us-east-1:000000000000:dead", tags: map[string]string{"a": "b"}}
	create := func(m mappingState) *string {
		t.Helper()
		in := &lambda.CreateEventSourceMappingInput{FunctionName: &m.function, EventSourceArn: &m.source, StartingPosition: types.EventSourcePosition(m.position), Enabled: &m.enabled, Tags: m.tags}
		if m.batch != 100 {
			in.BatchSize, in.MaximumBatchingWindowInSeconds, in.MaximumRecordAgeInSeconds, in.MaximumRetryAttempts, in.ParallelizationFactor = &m.batch, &m.window, &m.age, &m.attempts, &m.parallel
			in.BisectBatchOnFunctionError = &m.bisect
			in.FunctionResponseTypes = []types.FunctionResponseType{types.FunctionResponseType(m.responses)}
			in.FilterCriteria = &types.FilterCriteria{Filters: []types.Filter{{Pattern: &m.filter}}}
			in.DestinationConfig = &types.DestinationConfig{OnFailure: &types.OnFailure{Destination: &m.failure}}
		}
		out, err := p.lambda.CreateEventSourceMapping(p.ctx, in)
		p.must(out, err)
		p.until("the mapping", state(out.UUID), []string{"Creating", "Enabling", "Disabling"}, "Enabled", "Disabled")
		return out.UUID
	}
	end := func(id *string) {
		t.Helper()
		p.must(p.lambda.DeleteEventSourceMapping(p.ctx, &lambda.DeleteEventSourceMappingInput{UUID: id}))
		p.until("the mapping", state(id), []string{"Deleting"}, "gone")
	}
	id := create(least)
	undrifted(p, "after its creation", p.readMapping(id), least)
	end(id)
	id = create(whole)
	undrifted(p, "after its creation with everything", p.readMapping(id), whole)
	next := least
	next.position, next.tags = whole.position, map[string]string{"c": "d"}
	p.must(p.lambda.UpdateEventSourceMapping(p.ctx, &lambda.UpdateEventSourceMappingInput{UUID: id, FunctionName: &next.function, Enabled: &next.enabled, BatchSize: &next.batch,
		BisectBatchOnFunctionError: &next.bisect, MaximumBatchingWindowInSeconds: &next.window, MaximumRecordAgeInSeconds: &next.age, MaximumRetryAttempts: &next.attempts,
		ParallelizationFactor: &next.parallel, FilterCriteria: &types.FilterCriteria{}, FunctionResponseTypes: []types.FunctionResponseType{},
		DestinationConfig: &types.DestinationConfig{OnFailure: &types.OnFailure{}}}))
	p.until("the mapping", state(id), []string{"Enabling", "Disabling", "Updating"}, "Enabled", "Disabled")
	p.tagFunction("arn:aws:lambda:us-east-1:000000000000:event-source-mapping:"+*id, whole.tags, next.tags)
	undrifted(p, "after its update", p.readMapping(id), next)
	end(id)
	p.deleteFunction("f")
	p.deleteTable("orders")
}
