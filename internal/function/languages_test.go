package function

import (
	"cmp"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// languageCase is one call of a function in a language with a shim.
type languageCase struct {
	name    string
	runtime string // other than the usual one
	handler string
	files   []entry
	event   string
	failure bool
	payload []string // what the answer must contain
	log     []string // what the log must contain
}

func (c languageCase) run(t *testing.T, s *Service, runtime, name string) {
	t.Parallel()
	create(t, s, createRequest(name, cmp.Or(c.runtime, runtime), c.handler, makeZip(t, c.files...)))
	out := do(t, s, name, json.RawMessage(c.event))
	if (out.FunctionError != "") != c.failure {
		t.Fatalf("FunctionError %q: %s\n%s", out.FunctionError, out.Payload, out.LogTail)
	}
	for _, text := range c.payload {
		if !strings.Contains(string(out.Payload), text) {
			t.Errorf("answer %s\nlacks %s\nlog:\n%s", out.Payload, text, out.LogTail)
		}
	}
	for _, text := range c.log {
		if !strings.Contains(string(out.LogTail), text) {
			t.Errorf("log\n%s\nlacks %q", out.LogTail, text)
		}
	}
	if c.failure {
		return
	}
	want(t, do(t, s, name, json.RawMessage(c.event)), "", c.payload[0]) // and again in the same process
}

func js(name, body string) entry { return entry{name, 0o644, body} }

// A function in Python runs on the python of the project's virtual environment, whatever
// its runtime is called, and finds what is installed there.
func TestPythonOfTheProject(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("python3 is not in PATH")
	}
	project, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	venv := filepath.Join(project, ".venv")
	if out, err := exec.Command(python, "-m", "venv", "--without-pip", venv).CombinedOutput(); err != nil {
		t.Skipf("python3 has no module venv: %s", out)
	}
	packages, err := filepath.Glob(filepath.Join(venv, "lib", "python3*", "site-packages"))
	if err != nil || len(packages) != 1 {
		t.Fatalf("the packages are in %v, %v", packages, err)
	}
	if err := os.WriteFile(filepath.Join(packages[0], "installed.py"), []byte("where = 'project'\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	c := languageCase{
		handler: "app.handler", event: `{}`,
		files: []entry{{"app.py", 0o644, `
import sys, installed
def handler(event, context):
    return [installed.where, sys.prefix]
`}},
		payload: []string{`["project", "` + venv + `"]`},
	}
	c.run(t, open(t, Options{Project: project}), "python3.14", "project")
}

func TestNode(t *testing.T) {
	if _, err := exec.LookPath("node"); err != nil {
		t.Skip("node is not in PATH")
	}
	t.Parallel()
	project := t.TempDir()
	for name, body := range map[string]string{
		"@aws-sdk/from-project/package.json": `{"name":"@aws-sdk/from-project","version":"1.0.0","main":"index.js"}`,
		"@aws-sdk/from-project/index.js":     `exports.where = 'project'`,
		"both/index.js":                      `exports.where = 'project'`,
	} {
		path := filepath.Join(project, "node_modules", name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(body), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	s := open(t, Options{Project: project})
	for i, c := range []languageCase{
		{name: "async", handler: "index.handler", event: `{"a":1}`,
			files:   []entry{js("index.js", `exports.handler = async (event, context) => { console.log('seen', event); return {got: event, id: context.awsRequestId, left: context.getRemainingTimeInMillis() > 5000, arn: context.invokedFunctionArn, mem: context.memoryLimitInMB} }`)},
			payload: []string{`{"got":{"a":1},"id":"`, `"left":true`, `"mem":"128"`}, log: []string{"\tINFO\tseen { a: 1 }"}},
		{name: "callback", handler: "index.handler", event: `{"a":1}`,
			files: []entry{js("index.js", `exports.handler = (event, context, callback) => { setTimeout(() => callback(null, 'late'), 5) }`)}, payload: []string{`"late"`}},
		{name: "callback waits for the event loop", handler: "index.handler", event: `{}`,
			files: []entry{js("index.js", `let n = 0; exports.handler = (event, context, callback) => { callback(null, 'x'); setTimeout(() => console.log('after'), 20) }`)}, payload: []string{`"x"`}, log: []string{"after"}},
		{name: "callback need not wait", handler: "index.handler", event: `{}`,
			files: []entry{js("index.js", `setInterval(() => {}, 1000); exports.handler = (event, context, callback) => { context.callbackWaitsForEmptyEventLoop = false; callback(null, 'x') }`)}, payload: []string{`"x"`}},
		{name: "sync", handler: "index.handler", event: `{}`,
			files: []entry{js("index.js", `exports.handler = () => 'sync'`)}, payload: []string{`null`}},
		{name: "never settles", handler: "index.handler", event: `{}`, failure: true,
			files: []entry{js("index.js", `exports.handler = async () => { await new Promise(() => {}) }`)}, payload: []string{`"errorType":"Runtime.NodeJsExit","errorMessage":"The Lambda runtime client detected an unexpected Node.js exit code.`}},
		{name: "returns a promise that never settles", handler: "index.handler", event: `{}`, failure: true,
			files: []entry{js("index.js", `exports.handler = () => new Promise(() => {})`)}, payload: []string{`"errorType":"Runtime.NodeJsExit"`}},
		{name: "never settles on Node.js 24", runtime: "nodejs24.x", handler: "index.handler", event: `{}`, failure: true,
			files: []entry{js("index.js", `exports.handler = async () => { await new Promise(() => {}) }`)}, payload: []string{`"errorType":"Runtime.ExitError"`, `Runtime exited without providing a reason`}},
		{name: "never calls back", handler: "index.handler", event: `{}`,
			files: []entry{js("index.js", `exports.handler = (event, context, callback) => {}`)}, payload: []string{`null`}},
		{name: "no value", handler: "index.handler", event: `{}`,
			files: []entry{js("index.js", `exports.handler = async () => {}`)}, payload: []string{`null`}},
		{name: "mjs", handler: "index.handler", event: `{}`,
			files: []entry{js("index.mjs", `import { x } from './lib/x.mjs'; export const handler = async () => x`), js("lib/x.mjs", `export const x = 'mjs'`)}, payload: []string{`"mjs"`}},
		{name: "type module", handler: "src/app.main.run", event: `{}`,
			files: []entry{js("package.json", `{"type":"module"}`), js("src/app.js", `const at = await Promise.resolve('esm'); export const main = { run: async () => at }`)}, payload: []string{`"esm"`}},
		{name: "cjs", handler: "src/app.handler", event: `{}`,
			files: []entry{js("src/app.cjs", `exports.handler = async () => 'cjs'`)}, payload: []string{`"cjs"`}},
		{name: "error", handler: "index.handler", event: `{}`, failure: true,
			files:   []entry{js("index.js", `class Odd extends Error { constructor(m) { super(m); this.name = 'Odd' } }; exports.handler = async () => { throw new Odd('no') }`)},
			payload: []string{`{"errorType":"Odd","errorMessage":"no","trace":["Odd: no","    at `}, log: []string{"ERROR\tInvoke Error"}},
		{name: "callback error", handler: "index.handler", event: `{}`, failure: true,
			files: []entry{js("index.js", `exports.handler = (e, c, done) => done(new TypeError('bad'))`)}, payload: []string{`"errorType":"TypeError","errorMessage":"bad"`}},
		{name: "string error", handler: "index.handler", event: `{}`, failure: true,
			files: []entry{js("index.js", `exports.handler = (e, c, done) => done('plain')`)}, payload: []string{`{"errorType":"string","errorMessage":"plain","trace":[]}`}},
		{name: "circular", handler: "index.handler", event: `{}`, failure: true,
			files: []entry{js("index.js", `exports.handler = async () => { const a = {}; a.a = a; return a }`)}, payload: []string{`"errorType":"Error","errorMessage":"Unable to stringify response body"`}},
		{name: "uncaught", handler: "index.handler", event: `{}`, failure: true,
			files: []entry{js("index.js", `exports.handler = () => new Promise(() => setTimeout(() => { throw new Error('loose') }, 1))`)}, payload: []string{`"errorMessage":"loose"`}},
		{name: "unhandled rejection", handler: "index.handler", event: `{}`, failure: true,
			files: []entry{js("index.js", `exports.handler = () => new Promise(() => { Promise.reject(new Error('loose')) })`)}, payload: []string{`"errorType":"Runtime.UnhandledPromiseRejection","errorMessage":"Error: loose"`}},
		{name: "no module", handler: "missing.handler", event: `{}`, failure: true,
			files: []entry{js("index.js", ``)}, payload: []string{`"errorType":"Runtime.ImportModuleError"`, `Cannot find module`}},
		{name: "no handler", handler: "index.other", event: `{}`, failure: true,
			files: []entry{js("index.js", `exports.handler = async () => 1`)}, payload: []string{`"errorType":"Runtime.HandlerNotFound","errorMessage":"index.other is undefined or not exported"`}},
		{name: "bad handler", handler: "index", event: `{}`, failure: true,
			files: []entry{js("index.js", `exports.handler = async () => 1`)}, payload: []string{`"errorType":"Runtime.MalformedHandlerName"`}},
		{name: "syntax", handler: "index.handler", event: `{}`, failure: true,
			files: []entry{js("index.js", `exports.handler = async ( => 1`)}, payload: []string{`"errorType":"Runtime.UserCodeSyntaxError"`, "SyntaxError"}},
		{name: "throws in init", handler: "index.handler", event: `{}`, failure: true,
			files: []entry{js("index.js", `throw new RangeError('early')`)}, payload: []string{`"errorType":"RangeError","errorMessage":"early"`}, log: []string{"INIT_REPORT"}},
		{name: "no sdk", handler: "index.handler", event: `{}`, failure: true,
			files: []entry{js("index.js", `require('@aws-sdk/no-such-client')`)}, payload: []string{`npm install @aws-sdk/no-such-client`}},
		{name: "no sdk in a module", handler: "index.handler", event: `{}`, failure: true,
			files: []entry{js("index.mjs", `import '@aws-sdk/no-such-client'`)}, payload: []string{`npm install @aws-sdk/no-such-client`}},
		{name: "sdk of the project", handler: "index.handler", event: `{}`,
			files: []entry{js("index.js", `exports.handler = async () => require('@aws-sdk/from-project').where`)}, payload: []string{`"project"`}},
		{name: "sdk of the project in a module", handler: "index.handler", event: `{}`,
			files: []entry{js("index.mjs", `import sdk from '@aws-sdk/from-project'; export const handler = async () => sdk.where`)}, payload: []string{`"project"`}},
		{name: "the package comes first", handler: "index.handler", event: `{}`,
			files:   []entry{js("index.mjs", `import both from 'both'; export const handler = async () => both.where`), js("node_modules/both/index.js", `exports.where = 'package'`)},
			payload: []string{`"package"`}},
		{name: "exits", handler: "index.handler", event: `{}`, failure: true,
			files: []entry{js("index.js", `exports.handler = async () => process.exit(4)`)}, payload: []string{`Runtime exited with error: exit status 4`}},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(t, s, "nodejs22.x", "node-"+strconv.Itoa(i)) })
	}
}

func TestPython(t *testing.T) {
	if _, err := exec.LookPath("python3"); err != nil {
		t.Skip("python3 is not in PATH")
	}
	t.Parallel()
	s := open(t, Options{})
	for i, c := range []languageCase{
		{name: "answers", handler: "app.handler", event: `{"a":"ü"}`,
			files:   []entry{js("app.py", "def handler(event, context):\n    print('seen', event)\n    return {'got': event, 'id': context.aws_request_id, 'left': context.get_remaining_time_in_millis() > 5000, 'mem': context.memory_limit_in_mb, 'arn': context.invoked_function_arn}\n")},
			payload: []string{`{"got": {"a": "ü"}, "id": "`, `"left": true`, `"mem": "128"`}, log: []string{"seen {'a': 'ü'}\n"}},
		{name: "package", handler: "pkg/sub/mod.handler", event: `{}`,
			files:   []entry{js("pkg/__init__.py", ""), js("pkg/sub/__init__.py", ""), js("pkg/other.py", "x = 'pkg'\n"), js("pkg/sub/mod.py", "from ..other import x\ndef handler(event, context):\n    return x\n")},
			payload: []string{`"pkg"`}},
		{name: "dotted", handler: "pkg.mod.handler", event: `{}`,
			files: []entry{js("pkg/mod.py", "handler = lambda event, context: 'dotted'\n")}, payload: []string{`"dotted"`}},
		{name: "no value", handler: "app.handler", event: `{}`,
			files: []entry{js("app.py", "def handler(event, context):\n    pass\n")}, payload: []string{`null`}},
		{name: "logging", handler: "app.handler", event: `{}`,
			files: []entry{js("app.py", "import logging\nlogging.getLogger().setLevel(logging.INFO)\ndef handler(event, context):\n    logging.info('hello %s', 'log')\n")}, payload: []string{`null`}, log: []string{"[INFO]\t", "\thello log\n"}},
		{name: "error", handler: "app.handler", event: `{}`, failure: true,
			files:   []entry{js("app.py", "class Odd(Exception): pass\ndef handler(event, context):\n    raise Odd('no')\n")},
			payload: []string{`{"errorMessage": "no", "errorType": "Odd", "requestId": "`, `"stackTrace": ["  File \"`, `line 3, in handler\n    raise Odd('no')\n"]`}, log: []string{"[ERROR] Odd: no"}},
		{name: "unserialisable", handler: "app.handler", event: `{}`, failure: true,
			files: []entry{js("app.py", "def handler(event, context):\n    return {1, 2}\n")}, payload: []string{`"errorMessage": "Unable to marshal response: Object of type set is not JSON serializable", "errorType": "Runtime.MarshalError"`}},
		{name: "no module", handler: "missing.handler", event: `{}`, failure: true,
			files: []entry{js("app.py", "")}, payload: []string{`"errorMessage": "Unable to import module 'missing': No module named 'missing'", "errorType": "Runtime.ImportModuleError"`}},
		{name: "no handler", handler: "app.other", event: `{}`, failure: true,
			files: []entry{js("app.py", "")}, payload: []string{`"errorMessage": "Handler 'other' missing on module 'app'", "errorType": "Runtime.HandlerNotFound"`}},
		{name: "bad handler", handler: "app", event: `{}`, failure: true,
			files: []entry{js("app.py", "")}, payload: []string{`"errorMessage": "Bad handler 'app': not enough values to unpack (expected 2, got 1)", "errorType": "Runtime.MalformedHandlerName"`}},
		{name: "syntax", handler: "app.handler", event: `{}`, failure: true,
			files: []entry{js("app.py", "def handler(\n")}, payload: []string{`"errorType": "Runtime.UserCodeSyntaxError"`, "Syntax error in module 'app'"}},
		{name: "throws in init", handler: "app.handler", event: `{}`, failure: true,
			files: []entry{js("app.py", "raise ValueError('early')\n")}, payload: []string{`"errorMessage": "early", "errorType": "ValueError"`}},
		{name: "no sdk", handler: "app.handler", event: `{}`, failure: true,
			files:   []entry{js("app.py", "raise ModuleNotFoundError(\"No module named 'boto3'\", name='boto3')\n")},
			payload: []string{`Unable to import module 'app': No module named 'boto3' (on AWS it is part of the runtime; install it here with: pip install boto3)`}},
		{name: "the package comes first", handler: "app.handler", event: `{}`,
			files: []entry{js("app.py", "import boto3\ndef handler(event, context):\n    return boto3.where\n"), js("boto3.py", "where = 'package'\n")}, payload: []string{`"package"`}},
		{name: "exits", handler: "app.handler", event: `{}`, failure: true,
			files: []entry{js("app.py", "import sys\ndef handler(event, context):\n    sys.exit(4)\n")}, payload: []string{`Runtime exited with error: exit status 4`}},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(t, s, "python3.13", "python-"+strconv.Itoa(i)) })
	}
}

// A runtime whose program is not there is refused before anything is touched, with what to install.
func TestMissingInterpreterIsNamed(t *testing.T) {
	s := open(t, Options{})
	create(t, s, createRequest("g", "provided.al2023", "x", script(t, ""))) // never run
	t.Setenv("PATH", t.TempDir())
	for runtime, text := range map[string]string{
		"nodejs22.x": "install it from https://nodejs.org", "nodejs26.x": "install it from https://nodejs.org",
		"python3.13": "install it from https://www.python.org", "python3.15": "install it from https://www.python.org",
		"java21": "needs Java 21 or newer on this machine, and no java was found in JAVA_HOME or PATH: install it from https://adoptium.net", "java8.al2": "https://adoptium.net",
		"ruby3.4": "needs Ruby on this machine, and no working ruby was found in PATH: install it from https://www.ruby-lang.org", "dotnet10": "needs .NET 10 on this machine, and no dotnet was found in PATH: install it from https://dotnet.microsoft.com",
	} {
		_, err := s.Create(scope, createRequest("f", runtime, "index.handler", makeZip(t, js("index.js", ""))))
		if err == nil || !strings.Contains(err.Error(), text) || !strings.Contains(err.Error(), runtime) {
			t.Errorf("%s: %v, want %s", runtime, err, text)
		}
	}
	if n, _, _ := s.Account(scope); n != 1 {
		t.Errorf("%d functions are there", n)
	}
	if _, err := s.UpdateConfiguration(scope, "g", UpdateConfigurationRequest{Settings: Settings{Runtime: ptr("nodejs22.x")}}); err == nil || !strings.Contains(err.Error(), "https://nodejs.org") {
		t.Errorf("changed to a runtime that is not there: %v", err)
	}
}
