package template

import (
	"archive/zip"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	fn "github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"github.com/millstreamdb/millstream/internal/admin"
	"github.com/millstreamdb/millstream/internal/arn"
	"github.com/millstreamdb/millstream/internal/bundle"
	"github.com/millstreamdb/millstream/internal/nearest"
	"github.com/millstreamdb/millstream/internal/setting"
)

// settings are the properties that SAM's functions and Lambda's own share.
type settings struct {
	FunctionName                 string
	Runtime                      string
	Handler                      string
	Description                  string
	Timeout, MemorySize          *int32
	Role                         string
	Environment                  *struct{ Variables map[string]string }
	Architectures                []string
	EphemeralStorage             *struct{ Size *int32 }
	ReservedConcurrentExecutions *int32
	LoggingConfig                *fn.LoggingConfig
	PackageType                  string
	Layers                       []string
}

// serverlessFunction are the properties of AWS::Serverless::Function.
type serverlessFunction struct {
	settings
	CodeUri                apart
	InlineCode             string
	ImageUri               string
	ImageConfig            ignored
	Tags                   map[string]string
	Tracing                string
	DeadLetterQueue        *struct{ Type, TargetArn string }
	Policies               ignored
	VpcConfig              ignored
	FileSystemConfigs      unsupported `effect:"the function sees no file system but this machine's"`
	DurableConfig          unsupported `effect:"the function is called as an ordinary one, and what it asks of durable executions fails"`
	CapacityProviderConfig unsupported
	TenancyConfig          unsupported
	KmsKeyArn              ignored
	PropagateTags          ignored
	SnapStart              ignored
	PermissionsBoundary, AssumeRolePolicyDocument, RolePath, DeploymentPreference,
	RuntimeManagementConfig, AutoPublishCodeSha256, AutoPublishAliasAllProperties, CodeSigningConfigArn,
	RecursiveLoop, VersionDeletionPolicy, SourceKMSKeyArn ignored
}

// lambdaFunction are the properties of AWS::Lambda::Function.
type lambdaFunction struct {
	settings
	Code                                                         apart
	Tags                                                         []tag
	TracingConfig                                                *struct{ Mode string }
	DeadLetterConfig                                             *struct{ TargetArn string }
	FileSystemConfigs                                            unsupported `effect:"the function sees no file system but this machine's"`
	DurableConfig                                                unsupported `effect:"the function is called as an ordinary one, and what it asks of durable executions fails"`
	CapacityProviderConfig, TenancyConfig, FunctionScalingConfig unsupported
	VpcConfig, KmsKeyArn, SnapStart, CodeSigningConfigArn, RuntimeManagementConfig, RecursiveLoop, PublishToLatestPublished,
	ImageConfig ignored
}

func prepareServerlessFunction(c *preparation) step {
	var p serverlessFunction
	c.into(&p)
	f := &function{id: c.r.id, settings: p.settings, tags: p.Tags, inline: p.InlineCode, image: p.ImageUri, tracing: p.Tracing}
	if p.DeadLetterQueue != nil {
		f.deadLetters = p.DeadLetterQueue.TargetArn
	}
	code := c.props.get("CodeUri")
	switch {
	case p.ImageUri != "" || p.PackageType == "Image":
		f.checkImage(c)
	case p.InlineCode != "":
	case code == nil: // the folder of the template, as SAM has it
		f.from(c.local(c.r.line, c.r.id+" has no CodeUri", "."))
	default:
		f.from(c.codeIn(code, c.r.id+".CodeUri"))
	}
	f.prepared(c)
	return f
}

func prepareLambdaFunction(c *preparation) step {
	var p lambdaFunction
	c.into(&p)
	f := &function{id: c.r.id, settings: p.settings, tags: tagMap(p.Tags)}
	if p.TracingConfig != nil {
		f.tracing = p.TracingConfig.Mode
	}
	if p.DeadLetterConfig != nil {
		f.deadLetters = p.DeadLetterConfig.TargetArn
	}
	code := c.props.get("Code")
	if asset := c.asset(); asset != "" { // the CDK tells where the code lies
		code = text(c.r.line, asset)
	}
	member := func(name string) string {
		if n := code.get(name); n != nil {
			return n.text
		}
		return ""
	}
	switch {
	case code == nil:
		c.problems.add(c.r.line, "%s has no Code", c.r.id)
	case member("ImageUri") != "" || p.PackageType == "Image":
		f.image = member("ImageUri")
		f.checkImage(c)
	case member("ZipFile") != "":
		f.inline = member("ZipFile")
	case code.kind == object && code.get("S3Key") == nil && code.get("Key") == nil:
		c.problems.add(code.line, "%s.Code has neither ZipFile nor S3Key", c.r.id)
	default: // a folder, as `aws cloudformation package` takes it, or an object in S3
		f.from(c.codeIn(code, c.r.id+".Code"))
	}
	f.prepared(c)
	return f
}

// from sets where the code lies.
func (f *function) from(s source) { f.source, f.object = s.path, s.object }

// asset is the folder of a resource's code in the assembly that the CDK made; empty
// when its Metadata names none that is there.
func (c *preparation) asset() string {
	n := c.r.metadata.get("aws:asset:path")
	if n == nil || filepath.IsAbs(n.text) || c.plan.sent() {
		return ""
	}
	if _, err := os.Stat(filepath.Join(c.plan.template.Dir, filepath.FromSlash(n.text))); err != nil {
		return ""
	}
	return n.text
}

// function is a function to deploy.
type function struct {
	settings
	id     string
	tags   map[string]string
	source string // a folder, a zip file or a single file
	object *stored
	inline string
	// tracing is Active, PassThrough or empty; deadLetters an ARN.
	tracing, deadLetters string
	image                string          // the http(s) URL of a running service
	file                 string          // that Handler names, in source
	method               string          // Metadata's BuildMethod
	bundle               *bundle.Options // how it is built from TypeScript; nil: it is not
	strayEntry           bool            // its EntryPoints name a file that is not there
	old                  string          // the Runtime in the template, when AWS takes it no longer
}

// The runtimes that stand in for those of their languages that AWS takes for new
// functions no longer. Public templates are full of them, and the code runs as
// well on what the machine has.
const (
	currentNode   = "nodejs22.x"
	currentPython = "python3.13"
)

// renewRuntime replaces a runtime that is past its time.
func (f *function) renewRuntime() {
	current := ""
	switch f.Runtime {
	case "nodejs4.3", "nodejs6.10", "nodejs8.10", "nodejs10.x", "nodejs12.x", "nodejs14.x", "nodejs16.x":
		current = currentNode
	case "python3.6", "python3.7", "python3.8":
		current = currentPython
	default:
		return
	}
	f.old, f.Runtime = f.Runtime, current
}

// uninstalled tells of packages that the code's folder asks for and does not hold,
// as before `sam build`.
func (f *function) uninstalled() string {
	there := func(pattern string) bool {
		found, _ := filepath.Glob(filepath.Join(f.source, pattern)) // the patterns are well-formed, the folder's name may not be
		return len(found) > 0
	}
	switch {
	case f.source == "":
	case strings.HasPrefix(f.Runtime, "python") && there("requirements.txt") && !there("*.dist-info"):
		return fmt.Sprintf("%s needs what its requirements.txt names: install it for the python3 of this machine (pip install -r %s), or run `sam build` and deploy .aws-sam/build/template.yaml",
			f.id, filepath.Join(f.source, "requirements.txt"))
	case strings.HasPrefix(f.Runtime, "nodejs") && there("package-lock.json") && !there("node_modules"):
		return fmt.Sprintf("%s needs what its package.json names: run npm install in %s, or `sam build` and deploy .aws-sam/build/template.yaml", f.id, f.source)
	}
	return ""
}

// checkImage accepts what runs as PackageType Image here.
func (f *function) checkImage(c *preparation) {
	if !strings.HasPrefix(f.image, "http://") && !strings.HasPrefix(f.image, "https://") {
		c.leave(c.r.line, "it is not there to be called", "container images are not supported (an ImageUri may be the http(s) URL of a running service)")
	}
	f.PackageType = "Image"
}

// checkRuntime finds out whether functions of the runtime can run where they go.
func (f *function) checkRuntime(c *preparation) {
	n := c.props.get("Runtime")
	if n == nil || f.image != "" || c.plan.opts.Runtime == nil || c.r.missing {
		return
	}
	why := c.plan.opts.Runtime(f.Runtime)
	if real := fn.Runtime("").Values(); why != "" && !slices.Contains(real, fn.Runtime(f.Runtime)) { // a slip is never left out
		var names []string
		for _, name := range real {
			names = append(names, string(name))
		}
		c.problems.add(n.line, "%s.Runtime: there is no runtime %q%s", c.r.id, f.Runtime, nearest.Hint(f.Runtime, names))
		return
	}
	if why != "" {
		c.leave(n.line, "it is not there to be called", why)
	}
}

func (f *function) prepared(c *preparation) {
	c.checkTags(setting.Function)
	f.FunctionName = c.plan.name(c.r.id, f.FunctionName)
	c.functionNamed(f.FunctionName)
	f.renewRuntime()
	f.checkRuntime(c)
	f.Layers = slices.DeleteFunc(f.Layers, func(layer string) bool { return c.plan.leftOutLayer(layer) })
	if f.Role == "" || !arn.Is(f.Role) { // roles are not looked at
		f.Role = c.plan.role(c.r.id + "Role")
	}
	if m := c.r.metadata.get("BuildMethod"); m != nil {
		f.method = m.text
	}
	if c.r.missing {
		return
	}
	f.bundling(c)
	if f.source != "" {
		f.checkSource(c)
	}
	f.checkHandler(c)
	if len(f.Architectures) > 1 {
		c.problems.add(c.r.line, "%s.Architectures must name one", c.r.id)
	}
}

func (f *function) build(ctx context.Context, d *deployment) error {
	if f.image != "" {
		return nil
	}
	code, err := f.archive(ctx, d.plan)
	if err != nil {
		return err
	}
	d.code[f.id] = code
	return f.checkClient(ctx, d, code)
}

// checkClient refuses a package that lacks AWS's client, on which functions of some languages run, before anything is touched. A layer may
// have it: that shows when the function is made.
func (f *function) checkClient(ctx context.Context, d *deployment, code *archive) error {
	own := slices.ContainsFunc([]string{"java", "ruby", "dotnet"}, func(language string) bool { return strings.HasPrefix(f.Runtime, language) })
	if !own || len(f.Layers) > 0 || d.Front == nil {
		return nil
	}
	z, err := zip.NewReader(bytes.NewReader(code.zip), int64(len(code.zip)))
	if err != nil {
		return nil //nolint:nilerr // the server says what is wrong with it
	}
	p := admin.Package{Handler: f.Handler}
	for _, file := range z.File {
		p.Files = append(p.Files, file.Name)
	}
	if why, err := d.Front.PackageProblem(ctx, f.Runtime, p); err == nil && why != "" { // a server that cannot be asked tells it when the function is made
		return errors.New(why)
	}
	return nil
}

func (f *function) there(ctx context.Context, d *deployment) (ref string, err error) {
	_, err = d.Functions.GetFunctionConfiguration(ctx, &lambda.GetFunctionConfigurationInput{FunctionName: &f.FunctionName})
	var missing *fn.ResourceNotFoundException
	if errors.As(err, &missing) {
		return "", nil
	}
	return f.FunctionName, err
}

func (f *function) deploy(ctx context.Context, d *deployment) (outcome, error) {
	d.result.Notes = append(d.result.Notes, f.foreignLayers(d.plan.opts)...)
	if f.source != "" {
		for _, link := range strays(f.source, d.plan.template.project()) {
			d.result.Notes = append(d.result.Notes, fmt.Sprintf("%s: %s is a link that leads out of the project; what it leads to was deployed", f.id, link))
		}
	}
	if note := f.uninstalled(); note != "" {
		d.result.Notes = append(d.result.Notes, note)
	}
	if f.old != "" {
		d.result.Notes = append(d.result.Notes, fmt.Sprintf("%s has Runtime %s, which AWS no longer takes: it runs as %s here; change it before you deploy to AWS", f.id, f.old, f.Runtime))
	}
	now, err := d.Functions.GetFunction(ctx, &lambda.GetFunctionInput{FunctionName: &f.FunctionName})
	var missing *fn.ResourceNotFoundException
	switch {
	case errors.As(err, &missing):
		return f.create(ctx, d)
	case err != nil:
		return outcome{}, err
	}
	return f.update(ctx, d, now)
}

func (f *function) outcome(arn *string, action Action, changed []string) outcome {
	return outcome{name: f.FunctionName, action: action, detail: strings.Join(changed, ", "), attributes: map[string]string{
		"": f.FunctionName, "Arn": aws.ToString(arn),
	}}
}

// input is the whole of the settings, with AWS's defaults where the template
// leaves them out, so that a property that was taken away is taken back.
func (f *function) input() *lambda.UpdateFunctionConfigurationInput {
	in := &lambda.UpdateFunctionConfigurationInput{
		FunctionName: &f.FunctionName, Role: &f.Role, Description: &f.Description, Timeout: aws.Int32(3), MemorySize: aws.Int32(128),
		Environment: &fn.Environment{Variables: map[string]string{}}, Layers: append([]string{}, f.Layers...),
		TracingConfig: &fn.TracingConfig{Mode: fn.TracingModePassThrough}, DeadLetterConfig: &fn.DeadLetterConfig{TargetArn: &f.deadLetters},
		LoggingConfig: f.logging(),
	}
	if f.tracing == string(fn.TracingModeActive) {
		in.TracingConfig.Mode = fn.TracingModeActive
	}
	if f.image == "" {
		in.Runtime, in.Handler = fn.Runtime(f.Runtime), &f.Handler
	}
	if f.Timeout != nil {
		in.Timeout = f.Timeout
	}
	if f.MemorySize != nil {
		in.MemorySize = f.MemorySize
	}
	if f.Environment != nil && f.Environment.Variables != nil {
		in.Environment.Variables = f.Environment.Variables
	}
	if f.EphemeralStorage != nil {
		in.EphemeralStorage = &fn.EphemeralStorage{Size: f.EphemeralStorage.Size}
	}
	return in
}

func (f *function) architectures() []fn.Architecture {
	var all []fn.Architecture
	for _, a := range f.Architectures {
		all = append(all, fn.Architecture(a))
	}
	return all
}

func (f *function) create(ctx context.Context, d *deployment) (outcome, error) {
	c := f.input()
	in := &lambda.CreateFunctionInput{
		FunctionName: c.FunctionName, Role: c.Role, Description: c.Description, Timeout: c.Timeout, MemorySize: c.MemorySize, Runtime: c.Runtime, Handler: c.Handler,
		EphemeralStorage: c.EphemeralStorage, LoggingConfig: c.LoggingConfig, Architectures: f.architectures(), Tags: f.tags, Code: &fn.FunctionCode{},
		Layers: c.Layers, TracingConfig: c.TracingConfig,
	}
	if f.deadLetters != "" {
		in.DeadLetterConfig = c.DeadLetterConfig
	}
	if len(c.Environment.Variables) > 0 {
		in.Environment = c.Environment
	}
	if f.image != "" {
		in.PackageType, in.Code.ImageUri = fn.PackageTypeImage, &f.image
	} else {
		in.Code.ZipFile = d.code[f.id].zip
	}
	out, err := d.Functions.CreateFunction(ctx, in)
	if err != nil {
		return outcome{}, err
	}
	if err := d.settledFunction(ctx, f.FunctionName); err != nil {
		return outcome{}, err
	}
	if f.ReservedConcurrentExecutions != nil {
		if _, err := d.Functions.PutFunctionConcurrency(ctx, &lambda.PutFunctionConcurrencyInput{FunctionName: &f.FunctionName, ReservedConcurrentExecutions: f.ReservedConcurrentExecutions}); err != nil {
			return outcome{}, err
		}
	}
	return f.outcome(out.FunctionArn, Created, nil), nil
}

// settledFunction waits until a function can be called and changed again.
func (d *deployment) settledFunction(ctx context.Context, name string) error {
	for wait := minWait; ; wait = min(2*wait, maxWait) {
		now, err := d.Functions.GetFunctionConfiguration(ctx, &lambda.GetFunctionConfigurationInput{FunctionName: &name})
		switch {
		case err != nil:
			return err
		case now.State == fn.StateFailed || now.LastUpdateStatus == fn.LastUpdateStatusFailed:
			return fmt.Errorf("%s: %s%s", name, aws.ToString(now.StateReason), aws.ToString(now.LastUpdateStatusReason))
		case now.State != fn.StatePending && now.LastUpdateStatus != fn.LastUpdateStatusInProgress:
			return nil
		}
		if err := pause(ctx, wait); err != nil {
			return err
		}
	}
}

func (f *function) update(ctx context.Context, d *deployment, now *lambda.GetFunctionOutput) (outcome, error) {
	var changed []string
	is := now.Configuration
	code := &lambda.UpdateFunctionCodeInput{FunctionName: &f.FunctionName, Architectures: f.architectures()}
	switch {
	case (is.PackageType == fn.PackageTypeImage) != (f.image != ""):
		return outcome{}, fmt.Errorf("the package type of a function cannot be changed: delete %s yourself, or give the resource another name", f.FunctionName)
	case f.image != "":
		code.ImageUri = &f.image
	default:
		code.ZipFile = d.code[f.id].zip
	}
	if f.image != "" && aws.ToString(now.Code.ImageUri) != f.image || f.image == "" && aws.ToString(is.CodeSha256) != d.code[f.id].sha256 ||
		len(code.Architectures) == 1 && (len(is.Architectures) != 1 || is.Architectures[0] != code.Architectures[0]) {
		changed = append(changed, "code")
		if _, err := d.Functions.UpdateFunctionCode(ctx, code); err != nil {
			return outcome{}, err
		}
		if err := d.settledFunction(ctx, f.FunctionName); err != nil {
			return outcome{}, err
		}
	}
	if in := f.input(); f.differs(in, is) {
		changed = append(changed, "configuration")
		if _, err := d.Functions.UpdateFunctionConfiguration(ctx, in); err != nil {
			return outcome{}, err
		}
		if err := d.settledFunction(ctx, f.FunctionName); err != nil {
			return outcome{}, err
		}
	}
	reserved, err := f.reserve(ctx, d, now)
	if err != nil {
		return outcome{}, err
	}
	if reserved {
		changed = append(changed, "concurrency")
	}
	set, unset := tagChanges(now.Tags, f.tags)
	if len(set) > 0 {
		if _, err := d.Functions.TagResource(ctx, &lambda.TagResourceInput{Resource: is.FunctionArn, Tags: set}); err != nil {
			return outcome{}, err
		}
	}
	if len(unset) > 0 {
		if _, err := d.Functions.UntagResource(ctx, &lambda.UntagResourceInput{Resource: is.FunctionArn, TagKeys: unset}); err != nil {
			return outcome{}, err
		}
	}
	if len(set)+len(unset) > 0 {
		changed = append(changed, "tags")
	}
	action := Unchanged
	if len(changed) > 0 {
		action = Updated
	}
	return f.outcome(is.FunctionArn, action, changed), nil
}

func (f *function) differs(in *lambda.UpdateFunctionConfigurationInput, is *fn.FunctionConfiguration) bool {
	var env map[string]string
	if is.Environment != nil {
		env = is.Environment.Variables
	}
	size := int32(512)
	if in.EphemeralStorage != nil {
		size = aws.ToInt32(in.EphemeralStorage.Size)
	} else if is.EphemeralStorage != nil && aws.ToInt32(is.EphemeralStorage.Size) != size {
		in.EphemeralStorage = &fn.EphemeralStorage{Size: aws.Int32(size)}
	}
	tracing, letters := fn.TracingModePassThrough, ""
	if is.TracingConfig != nil && is.TracingConfig.Mode != "" {
		tracing = is.TracingConfig.Mode
	}
	if is.DeadLetterConfig != nil {
		letters = aws.ToString(is.DeadLetterConfig.TargetArn)
	}
	var layers []string
	for _, l := range is.Layers {
		layers = append(layers, aws.ToString(l.Arn))
	}
	if in.TracingConfig.Mode != tracing || f.deadLetters != letters || !slices.Equal(in.Layers, layers) {
		return true
	}
	return aws.ToString(in.Role) != aws.ToString(is.Role) || aws.ToString(in.Description) != aws.ToString(is.Description) ||
		*in.Timeout != aws.ToInt32(is.Timeout) || *in.MemorySize != aws.ToInt32(is.MemorySize) ||
		in.Runtime != is.Runtime || aws.ToString(in.Handler) != aws.ToString(is.Handler) ||
		!maps.Equal(in.Environment.Variables, env) || !sameLogging(in.LoggingConfig, is.LoggingConfig) ||
		is.EphemeralStorage != nil && aws.ToInt32(is.EphemeralStorage.Size) != size
}

// reserve sets the reserved concurrency, and tells whether it had to be changed.
func (f *function) reserve(ctx context.Context, d *deployment, now *lambda.GetFunctionOutput) (bool, error) {
	var is *int32
	if now.Concurrency != nil {
		is = now.Concurrency.ReservedConcurrentExecutions
	}
	want := f.ReservedConcurrentExecutions
	switch {
	case is == nil && want == nil || is != nil && want != nil && *is == *want:
		return false, nil
	case want == nil:
		_, err := d.Functions.DeleteFunctionConcurrency(ctx, &lambda.DeleteFunctionConcurrencyInput{FunctionName: &f.FunctionName})
		return true, err
	}
	_, err := d.Functions.PutFunctionConcurrency(ctx, &lambda.PutFunctionConcurrencyInput{FunctionName: &f.FunctionName, ReservedConcurrentExecutions: want})
	return true, err
}

// logging is the whole of LoggingConfig, as input is of the settings.
func (f *function) logging() *fn.LoggingConfig {
	l := &fn.LoggingConfig{}
	if f.LoggingConfig != nil {
		*l = *f.LoggingConfig
	}
	l.LogFormat = cmp.Or(l.LogFormat, fn.LogFormatText)
	if l.LogFormat == fn.LogFormatJson {
		l.ApplicationLogLevel, l.SystemLogLevel = cmp.Or(l.ApplicationLogLevel, fn.ApplicationLogLevelInfo), cmp.Or(l.SystemLogLevel, fn.SystemLogLevelInfo)
	}
	if aws.ToString(l.LogGroup) == "" {
		name := f.FunctionName
		if as, ok := arn.ParseFunction(name); ok { // it may be written as its ARN
			name = as.Name
		}
		l.LogGroup = aws.String("/aws/lambda/" + name)
	}
	return l
}

func sameLogging(l, is *fn.LoggingConfig) bool {
	return is == nil || l.LogFormat == is.LogFormat && l.ApplicationLogLevel == is.ApplicationLogLevel && l.SystemLogLevel == is.SystemLogLevel &&
		*l.LogGroup == aws.ToString(is.LogGroup)
}
