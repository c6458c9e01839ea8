package process

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/millstreamdb/millstream/internal/function/runner"
)

// command returns what to start for a function.
func (h *Host) command(s runner.Spec) (command, error) {
	if _, err := os.Stat(s.CodeDir); s.CodeDir != "" && err != nil { // the system would say that the program is missing
		return command{}, fmt.Errorf("the function's code is missing (%w): deploy it again, or restore the folder from a backup", err)
	}
	if strings.HasPrefix(s.Runtime, "provided") {
		path := filepath.Join(s.CodeDir, "bootstrap")
		st, err := os.Stat(path)
		for i := len(s.Layers) - 1; i >= 0 && errors.Is(err, fs.ErrNotExist); i-- {
			path = filepath.Join(s.Layers[i], "bootstrap")
			st, err = os.Stat(path)
		}
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return command{}, errors.New("Couldn't find valid bootstrap(s): [/var/task/bootstrap /opt/bootstrap]")
		case err != nil:
			return command{}, err
		case st.IsDir() || st.Mode()&0o111 == 0:
			return command{}, errors.New("fork/exec /var/task/bootstrap: permission denied")
		}
		return command{path: path, args: []string{path}}, nil
	}
	i, err := h.runtimes.find(s.Runtime)
	if err != nil {
		return command{}, err
	}
	if ownClient(s.Runtime) {
		c, err := clientCommand(i, &s)
		if err != nil {
			return command{}, err
		}
		return wrapped(c, &s)
	}
	needs := i.command().needs // without what is in layers, which is elsewhere
	i.modules = append(layerModules(&s), i.modules...)
	c := i.command()
	c.needs = needs
	if strings.HasPrefix(s.Runtime, "nodejs") {
		c = withSourceMaps(c, &s)
	}
	if h.debugs(&s) {
		if c, err = underDebugger(c, &s); err != nil {
			return command{}, err
		}
	}
	return wrapped(c, &s)
}

// ownClient reports whether functions of a runtime run on AWS's own runtime interface client.
func ownClient(runtime string) bool {
	return strings.HasPrefix(runtime, "java") || strings.HasPrefix(runtime, "ruby") || strings.HasPrefix(runtime, "dotnet")
}

// clientCommand returns how to start a function on that client.
func clientCommand(i interpreter, s *runner.Spec) (command, error) {
	switch {
	case strings.HasPrefix(s.Runtime, "ruby"):
		return rubyCommand(i, s)
	case strings.HasPrefix(s.Runtime, "dotnet"):
		return dotnetCommand(i, s)
	}
	return javaCommand(i, s)
}

// MissingClient says what a function lacks beside the program of its runtime, or "".
func (h *Host) MissingClient(s runner.Spec) string {
	if !ownClient(s.Runtime) {
		return ""
	}
	i, err := h.runtimes.find(s.Runtime)
	if err == nil {
		_, err = clientCommand(i, &s)
	}
	if err != nil {
		return err.Error()
	}
	return ""
}

// wrapped lets the program of AWS_LAMBDA_EXEC_WRAPPER start the runtime, as AWS's bootstraps do. Such scripts lie in layers,
// below /opt.
func wrapped(c command, s *runner.Spec) (command, error) {
	wrapper := s.Env["AWS_LAMBDA_EXEC_WRAPPER"]
	if wrapper == "" {
		return c, nil
	}
	path := wrapper
	if name, is := strings.CutPrefix(wrapper, "/opt/"); is {
		for i := len(s.Layers) - 1; i >= 0; i-- {
			path = filepath.Join(s.Layers[i], name)
			if _, err := os.Stat(path); err == nil {
				break
			}
		}
	} else if name, is := strings.CutPrefix(wrapper, "/var/task/"); is {
		path = filepath.Join(s.CodeDir, name)
	}
	switch st, err := os.Stat(path); {
	case err != nil:
		return command{}, fmt.Errorf("AWS_LAMBDA_EXEC_WRAPPER: %s: no such file or directory", wrapper)
	case st.IsDir() || st.Mode()&0o111 == 0:
		return command{}, fmt.Errorf("AWS_LAMBDA_EXEC_WRAPPER: %s: permission denied", wrapper)
	}
	c.path, c.args = path, append([]string{path}, c.args...)
	return c, nil
}

// inherited are the variables of this server's own environment that functions
// get: what programs need to work at all on this machine, and no secret.
var inherited = []string{
	"PATH", "HOME", "USER", "TMPDIR", "LD_LIBRARY_PATH", "SSL_CERT_FILE", "SSL_CERT_DIR", "NODE_EXTRA_CA_CERTS",
	"HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy",
}

// ofUser are those that lead to folders of this server's user, which a sandbox does not have: AWS sets none of them.
var ofUser = []string{"HOME", "USER", "TMPDIR"}

// ofFiles are those that name files or folders.
var ofFiles = []string{"SSL_CERT_FILE", "SSL_CERT_DIR", "NODE_EXTRA_CA_CERTS"}

// The services that are served here, by the names that SDKs know: calls to others go where they always went. The second
// may be elsewhere, as this server's own variables say, which its destinations follow too.
var (
	ownServices   = []string{"LAMBDA", "CLOUDWATCH_LOGS", "CLOUDFORMATION", "IAM", "STS"}
	dataServices  = []string{"DYNAMODB", "DYNAMODB_STREAMS"}
	otherServices = []string{"SQS", "SNS", "SCHEDULER", "EVENTBRIDGE", "S3", "SSM"}
)

// startingWith are the variables with which a process of any function starts, but for what its layers add.
func startingWith(s *runner.Spec, boxed bool) []string {
	env := []string{"LANG=en_US.UTF-8", "TZ=:UTC"}
	for _, name := range inherited {
		if boxed && slices.Contains(ofUser, name) {
			continue
		}
		v, ok := os.LookupEnv(name)
		switch name {
		case "PATH":
			v = searchPath(v, s, "bin")
		case "LD_LIBRARY_PATH":
			v = searchPath(v, s, "lib")
		}
		if ok || v != "" {
			env = append(env, name+"="+v)
		}
	}
	return env
}

// environ returns the variables of a function's process; the user's come last and
// so win. Names that only Lambda may set were refused when the function was made.
func (e *environment) environ() []string {
	h, s := e.pool.host, &e.pool.spec
	env := startingWith(s, e.view != nil)
	noProxy := "127.0.0.1,localhost"
	for _, name := range []string{"NO_PROXY", "no_proxy"} {
		if v := os.Getenv(name); v != "" {
			noProxy += "," + v
			break
		}
	}
	c := e.credentials
	env = append(env,
		"NO_PROXY="+noProxy, "no_proxy="+noProxy,
		"AWS_LAMBDA_RUNTIME_API="+e.addr,
		"_HANDLER="+s.Handler,
		"LAMBDA_TASK_ROOT="+s.CodeDir,
		"LAMBDA_RUNTIME_DIR="+h.opts.ShimDir,
		"AWS_LAMBDA_FUNCTION_NAME="+s.Name,
		"AWS_LAMBDA_FUNCTION_VERSION="+s.Version,
		"AWS_LAMBDA_FUNCTION_MEMORY_SIZE="+strconv.Itoa(s.MemoryMB),
		"AWS_LAMBDA_LOG_GROUP_NAME="+s.LogGroup,
		"AWS_LAMBDA_LOG_STREAM_NAME="+e.logStream,
		"AWS_LAMBDA_INITIALIZATION_TYPE=on-demand",
		"AWS_REGION="+s.Scope.Region,
		"AWS_DEFAULT_REGION="+s.Scope.Region,
		"AWS_ACCESS_KEY_ID="+c.AccessKeyID,
		"AWS_SECRET_ACCESS_KEY="+c.SecretAccessKey,
		"AWS_XRAY_CONTEXT_MISSING=LOG_ERROR",
		"_LAMBDA_TELEMETRY_LOG_FD="+strconv.Itoa(framesFD),
	)
	switch {
	case !c.Foreign:
		env = append(env, "AWS_SESSION_TOKEN="+c.SessionToken)
	case c.SessionToken != "":
		env = append(env, "AWS_SESSION_TOKEN="+c.SessionToken, ownToken+"="+e.token)
	default:
		env = append(env, ownToken+"="+e.token)
	}
	if s.LogJSON {
		env = append(env, "AWS_LAMBDA_LOG_FORMAT=JSON", "AWS_LAMBDA_LOG_LEVEL="+cmp.Or(s.AppLevel, "INFO"))
	}
	if !strings.HasPrefix(s.Runtime, "provided") {
		env = append(env, "AWS_EXECUTION_ENV=AWS_Lambda_"+s.Runtime)
	}
	if strings.HasPrefix(s.Runtime, "nodejs") { // for what NODE_OPTIONS preloads, which the shim cannot see
		if modules := layerModules(s); len(modules) > 0 {
			env = append(env, "NODE_PATH="+strings.Join(modules, string(os.PathListSeparator)))
		}
	}
	url := h.opts.Endpoint()
	if url != "" {
		for _, service := range ownServices {
			env = append(env, "AWS_ENDPOINT_URL_"+service+"="+url)
		}
	}
	if h.opts.DataEndpoint != nil {
		url = h.opts.DataEndpoint()
	}
	if url != "" {
		for _, service := range dataServices {
			env = append(env, "AWS_ENDPOINT_URL_"+service+"="+url)
		}
		for _, service := range otherServices {
			env = append(env, "AWS_ENDPOINT_URL_"+service+"="+cmp.Or(os.Getenv("AWS_ENDPOINT_URL_"+service), os.Getenv("AWS_ENDPOINT_URL"), url))
		}
	}
	env = seen(e.view, env)
	names := make([]string, 0, len(s.Env))
	for name := range s.Env {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		env = append(env, fmt.Sprintf("%s=%s", name, s.Env[name]))
	}
	return env
}

// ownToken is the variable by which a process is known that has another server's credentials.
const ownToken = "_MILLSTREAM_TOKEN"

// notForExtensions are the variables that the processes of extensions do not get (AWS's guide, "Creating Lambda extensions").
var notForExtensions = []string{
	"AWS_EXECUTION_ENV", "AWS_LAMBDA_LOG_GROUP_NAME", "AWS_LAMBDA_LOG_STREAM_NAME", "AWS_XRAY_CONTEXT_MISSING",
	"AWS_XRAY_DAEMON_ADDRESS", "LAMBDA_RUNTIME_DIR", "LAMBDA_TASK_ROOT", "_AWS_XRAY_DAEMON_ADDRESS", "_AWS_XRAY_DAEMON_PORT", "_HANDLER",
	"_LAMBDA_TELEMETRY_LOG_FD",
}

// extensionEnviron returns the variables of an extension's process.
func (e *environment) extensionEnviron() []string {
	return slices.DeleteFunc(e.environ(), func(v string) bool {
		name, _, _ := strings.Cut(v, "=")
		return slices.Contains(notForExtensions, name)
	})
}
