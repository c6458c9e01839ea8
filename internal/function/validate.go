package function

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/millstreamdb/millstream/internal/arn"
	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/setting"
)

const (
	packageZip   = "Zip"
	packageImage = "Image"
	// maxEnvironment is how long the variables may be as JSON.
	maxEnvironment = 4096
)

// runtimes are those that run here, retired those that AWS no longer takes.
var (
	runtimes = []string{
		"nodejs18.x", "nodejs20.x", "nodejs22.x", "nodejs24.x", "nodejs26.x",
		"python3.9", "python3.10", "python3.11", "python3.12", "python3.13", "python3.14", "python3.15",
		"java8.al2", "java8.al2023", "java11", "java11.al2023", "java17", "java17.al2023", "java21", "java25",
		"ruby3.2", "ruby3.3", "ruby3.4", "ruby4.0", "dotnet8", "dotnet9", "dotnet10",
		"provided.al2", "provided.al2023",
	}
	retired = []string{
		"nodejs", "nodejs4.3", "nodejs4.3-edge", "nodejs6.10", "nodejs8.10", "nodejs10.x", "nodejs12.x", "nodejs14.x", "nodejs16.x",
		"java8", "python2.7", "python3.6", "python3.7", "python3.8", "dotnetcore1.0", "dotnetcore2.0", "dotnetcore2.1",
		"dotnetcore3.1", "dotnet6", "dotnet7", "go1.x", "ruby2.5", "ruby2.7", "provided",
	}
)

// reservedVariables may be set by Lambda only.
var reservedVariables = []string{
	"_HANDLER", "_X_AMZN_TRACE_ID", "AWS_DEFAULT_REGION", "AWS_REGION", "AWS_EXECUTION_ENV", "AWS_LAMBDA_FUNCTION_NAME",
	"AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "AWS_LAMBDA_FUNCTION_VERSION", "AWS_LAMBDA_INITIALIZATION_TYPE",
	"AWS_LAMBDA_LOG_GROUP_NAME", "AWS_LAMBDA_LOG_STREAM_NAME", "AWS_ACCESS_KEY", "AWS_ACCESS_KEY_ID",
	"AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_LAMBDA_RUNTIME_API", "LAMBDA_TASK_ROOT", "LAMBDA_RUNTIME_DIR",
}

var (
	rolePattern       = regexp.MustCompile(`^arn:(aws[a-zA-Z-]*)?:iam::\d{12}:role/?[a-zA-Z_0-9+=,.@\-_/]+$`)
	deadLetterPattern = regexp.MustCompile(`^(arn:(aws[a-zA-Z-]*)?:[a-z0-9-.]+:.*|)$`)
	envNamePattern    = regexp.MustCompile(`^[a-zA-Z][a-zA-Z0-9_]+$`)
)

// constraint is AWS's error for one value outside its model.
func constraint(value, member, rule string) *awserr.Error {
	v := constraints{}
	v.fail(value, member, rule)
	return v.err()
}

// constraints gathers the values that break the API's model; AWS reports them
// together.
type constraints struct{ texts []string }

func (v *constraints) fail(value, member, rule string) {
	if len(value) > 256 { // AWS echoes it whole; a hostile one need not come back
		value = value[:256]
	}
	v.texts = append(v.texts, "Value '"+value+"' at '"+member+"' failed to satisfy constraint: "+rule)
}

func (v *constraints) between(value *int, member string, lowest, highest int) {
	switch {
	case value == nil:
	case *value < lowest:
		v.fail(strconv.Itoa(*value), member, fmt.Sprintf("Member must have value greater than or equal to %d", lowest))
	case *value > highest:
		v.fail(strconv.Itoa(*value), member, fmt.Sprintf("Member must have value less than or equal to %d", highest))
	}
}

func (v *constraints) oneOf(value, member string, set ...string) {
	if !slices.Contains(set, value) {
		v.fail(value, member, "Member must satisfy enum value set: ["+strings.Join(set, ", ")+"]")
	}
}

// allOf is oneOf for each of a list's values.
func (v *constraints) allOf(values []string, member string, set []string) {
	if slices.ContainsFunc(values, func(one string) bool { return !slices.Contains(set, one) }) {
		v.fail("["+strings.Join(values, ", ")+"]", member, "Member must satisfy constraint: [Member must satisfy enum value set: ["+strings.Join(set, ", ")+"]]")
	}
}

func (v *constraints) atMost(value *string, member string, length int) {
	if value != nil && len(*value) > length {
		v.fail(*value, member, fmt.Sprintf("Member must have length less than or equal to %d", length))
	}
}

func (v *constraints) err() *awserr.Error {
	switch n := len(v.texts); n {
	case 0:
		return nil
	case 1:
		return awserr.Validation("1 validation error detected: " + v.texts[0])
	default:
		return awserr.Validation(fmt.Sprintf("%d validation errors detected: %s", n, strings.Join(v.texts, "; ")))
	}
}

// deadLetter is the ARN that DeadLetterConfig gives.
func (s *Settings) deadLetter() string {
	d := definition{Kept: map[string]json.RawMessage{"DeadLetterConfig": s.DeadLetterConfig}}
	return d.deadLetter()
}

// check holds settings against the API's model.
func (s *Settings) check(v *constraints) {
	if s.Role != nil && !rolePattern.MatchString(*s.Role) {
		v.fail(*s.Role, "role", `Member must satisfy regular expression pattern: arn:(aws[a-zA-Z-]*)?:iam::\d{12}:role/?[a-zA-Z_0-9+=,.@\-_/]+`)
	}
	if s.Handler != nil && (len(*s.Handler) > 128 || strings.ContainsAny(*s.Handler, " \t\r\n")) {
		v.fail(*s.Handler, "handler", `Member must satisfy regular expression pattern: [^\s]+`)
	}
	v.atMost(s.Description, "description", 256)
	v.between(s.Timeout, "timeout", 1, 900)
	v.between(s.MemorySize, "memorySize", 128, 10240)
	if s.EphemeralStorage != nil {
		v.between(&s.EphemeralStorage.Size, "ephemeralStorage.size", 512, 10240)
	}
	if arn := s.deadLetter(); !deadLetterPattern.MatchString(arn) {
		v.fail(arn, "deadLetterConfig.targetArn", "Member must satisfy regular expression pattern: (arn:(aws[a-zA-Z-]*)?:[a-z0-9-.]+:.*)|()")
	}
	if s.TracingConfig != nil {
		v.oneOf(s.TracingConfig.Mode, "tracingConfig.mode", "PassThrough", "Active")
	}
	if l := s.LoggingConfig; l != nil {
		if l.LogFormat != "" {
			v.oneOf(l.LogFormat, "loggingConfig.logFormat", "JSON", "Text")
		}
		if l.ApplicationLogLevel != "" {
			v.oneOf(l.ApplicationLogLevel, "loggingConfig.applicationLogLevel", "TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL")
		}
		if l.SystemLogLevel != "" {
			v.oneOf(l.SystemLogLevel, "loggingConfig.systemLogLevel", "DEBUG", "INFO", "WARN")
		}
		v.atMost(&l.LogGroup, "loggingConfig.logGroup", 512)
	}
	if s.SnapStart != nil {
		var snap struct{ ApplyOn string }
		if json.Unmarshal(s.SnapStart, &snap) == nil && snap.ApplyOn != "" {
			v.oneOf(snap.ApplyOn, "snapStart.applyOn", "PublishedVersions", "None")
		}
	}
	checkArchitectures(s.Architectures, v)
	if s.Environment != nil {
		for name := range s.Environment.Variables {
			if !envNamePattern.MatchString(name) {
				v.fail(name, "environment.variables", `Map keys must satisfy constraint: [Member must satisfy regular expression pattern: [a-zA-Z]([a-zA-Z0-9_])+]`)
				break
			}
		}
	}
}

func checkArchitectures(a []string, v *constraints) {
	if len(a) > 1 {
		v.fail("["+strings.Join(a, ", ")+"]", "architectures", "Member must have length less than or equal to 1")
		return
	}
	for _, name := range a {
		v.oneOf(name, "architectures", "x86_64", "arm64")
	}
}

// apply puts settings into a definition and checks what only their sense can tell.
func (s *Settings) apply(d *definition) *awserr.Error {
	set(&d.Role, s.Role)
	set(&d.Handler, s.Handler)
	set(&d.Description, s.Description)
	set(&d.Timeout, s.Timeout)
	set(&d.MemorySize, s.MemorySize)
	if s.EphemeralStorage != nil {
		d.Ephemeral = s.EphemeralStorage.Size
	}
	if s.TracingConfig != nil {
		d.Tracing = s.TracingConfig.Mode
	}
	if l := s.LoggingConfig; l != nil {
		d.Logging = l.over(d.Logging)
	}
	if d.Logging.LogFormat == "" {
		d.Logging.LogFormat = "Text"
	}
	switch l := &d.Logging; {
	case l.LogFormat == "JSON":
		l.ApplicationLogLevel = cmp.Or(l.ApplicationLogLevel, "INFO")
		l.SystemLogLevel = cmp.Or(l.SystemLogLevel, "INFO")
	case l.ApplicationLogLevel != "" || l.SystemLogLevel != "":
		return awserr.LambdaInvalidParameter("ApplicationLogLevel and SystemLogLevel can only be set when LogFormat is JSON: Text logs are not filtered.")
	}
	if d.Logging.LogGroup == "" {
		d.Logging.LogGroup = "/aws/lambda/" + d.Name
	}
	if len(s.Architectures) == 1 {
		d.Architecture = s.Architectures[0]
	}
	if s.Environment != nil {
		if err := checkVariables(s.Environment.Variables); err != nil {
			return err
		}
		d.Env, d.Sealed, d.locked = s.Environment.Variables, nil, ""
	}
	if s.Runtime != nil {
		if err := checkRuntime(*s.Runtime); err != nil {
			return err
		}
		d.Runtime = *s.Runtime
	}
	if to := s.deadLetter(); to != "" {
		if service := arn.Service(to); service != "sqs" && service != "sns" {
			return awserr.LambdaInvalidParameter("The dead-letter queue of a function is an SQS queue or an SNS topic, not " + to + ".")
		}
	}
	kept := map[string]json.RawMessage{}
	for name, old := range d.Kept {
		kept[name] = old
	}
	for name, raw := range map[string]json.RawMessage{
		"VpcConfig": s.VpcConfig, "DeadLetterConfig": s.DeadLetterConfig, "KMSKeyArn": s.KMSKeyArn,
		"FileSystemConfigs": s.FileSystemConfigs, "Layers": s.Layers, "ImageConfig": s.ImageConfig,
		"SnapStart": s.SnapStart, "CodeSigningConfigArn": s.CodeSigningConfigArn,
	} {
		if raw != nil {
			kept[name] = raw
		}
		if removes(name, raw) {
			delete(kept, name)
		}
	}
	d.Kept = kept
	return nil
}

// over puts what is given over what is there. The levels stay with the format: where one is given, levels that are not are its own.
func (l LoggingConfig) over(is LoggingConfig) LoggingConfig {
	if l.LogFormat == "" {
		l.LogFormat = is.LogFormat
		l.ApplicationLogLevel = cmp.Or(l.ApplicationLogLevel, is.ApplicationLogLevel)
		l.SystemLogLevel = cmp.Or(l.SystemLogLevel, is.SystemLogLevel)
	}
	l.LogGroup = cmp.Or(l.LogGroup, is.LogGroup)
	return l
}

// removes reports whether a value takes a setting away: from then on it is not shown.
func removes(name string, raw json.RawMessage) bool {
	switch text := string(raw); {
	case text == "null":
		return true
	case name == "DeadLetterConfig":
		var c struct{ TargetArn string }
		return raw != nil && json.Unmarshal(raw, &c) == nil && c.TargetArn == ""
	default:
		return text == `""` || text == "[]"
	}
}

func set[T any](to *T, from *T) {
	if from != nil {
		*to = *from
	}
}

func checkRuntime(name string) *awserr.Error {
	switch {
	case slices.Contains(runtimes, name):
		return nil
	case slices.Contains(retired, name):
		return awserr.RuntimeRetired(name)
	}
	return awserr.RuntimeUnknown(name, runtimes)
}

func checkVariables(env map[string]string) *awserr.Error {
	var reserved []string
	for name, value := range env {
		if slices.Contains(reservedVariables, name) {
			reserved = append(reserved, name)
		}
		if strings.IndexByte(value, 0) >= 0 {
			return awserr.LambdaInvalidParameter("Lambda was unable to configure your environment variables because the value of " + name + " holds a NUL character.")
		}
	}
	if len(reserved) > 0 {
		slices.Sort(reserved)
		return awserr.EnvironmentReserved(reserved)
	}
	measured, err := json.Marshal(env)
	if err != nil {
		return awserr.LambdaService()
	}
	if len(measured) > maxEnvironment {
		return awserr.EnvironmentTooLarge(string(measured[:maxEnvironment]))
	}
	return nil
}

// checkTags checks a function's tags. Among those that are added, Millstream's own settings
// must be ones, with their values; what an earlier version has stored does not matter.
func checkTags(tags, added map[string]string) *awserr.Error {
	if len(tags) > awserr.MaxTags {
		return awserr.LambdaTooManyTags()
	}
	for k, v := range tags {
		switch {
		case k == "" || len(k) > 128:
			return constraint(k, "tags", "Map keys must satisfy constraint: [Member must have length less than or equal to 128, Member must have length greater than or equal to 1]")
		case len(v) > 256:
			return constraint(v, "tags", "Map value must satisfy constraint: [Member must have length less than or equal to 256]")
		}
	}
	if f := setting.CheckAll(setting.Function, added); f != nil {
		return awserr.LambdaInvalidParameter(f.Error())
	}
	return nil
}

// checkImage accepts the URL of an HTTP function.
func checkImage(uri string) *awserr.Error {
	u, err := url.Parse(uri)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || len(uri) > 2048 {
		return awserr.LambdaInvalidParameter("Source image " + uri + " is not valid. Container images do not run here: give the http(s) URL of your running service, which gets each event as a POST.")
	}
	return nil
}
