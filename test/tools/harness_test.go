package tools

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
)

// patience is how long a test waits for what must happen. It is long, for slow machines.
const patience = 2 * time.Minute

// absent skips the test, or fails it where everything was installed for it.
func absent(t *testing.T, reason string) {
	t.Helper()
	if os.Getenv("TOOLS_REQUIRE") == "1" {
		t.Fatal(reason)
	}
	t.Skip(reason)
}

var scratch string // a folder that all tests share

func TestMain(m *testing.M) {
	if os.Getenv("TOOLS_AS_AWS") == "1" {
		if err := asAWS(context.Background(), os.Args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	dir, err := os.MkdirTemp("", "millstream-tools-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	scratch = dir
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// millstream is the program under test.
var millstream = sync.OnceValues(func() (string, error) {
	if bin := os.Getenv("MILLSTREAM_BIN"); bin != "" {
		return bin, nil
	}
	bin := filepath.Join(scratch, "bin", "millstream")
	out, err := exec.Command("go", "build", "-o", bin, "../../cmd/millstream").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build millstream: %w\n%s", err, out)
	}
	return bin, nil
})

// caches are the variables that lead tools to what they have downloaded before, since
// their home is another.
var caches = sync.OnceValue(func() (env []string) {
	for _, name := range []string{"GOCACHE", "GOMODCACHE", "GOPATH"} {
		out, err := exec.Command("go", "env", name).Output()
		if err == nil {
			env = append(env, name+"="+strings.TrimSpace(string(out)))
		}
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return env
	}
	maven := filepath.Join(home, ".m2", "repository")
	return append(env, "npm_config_cache="+filepath.Join(home, ".npm"), "PIP_CACHE_DIR="+filepath.Join(home, ".cache", "pip"),
		"CARGO_HOME="+filepath.Join(home, ".cargo"), "RUSTUP_HOME="+filepath.Join(home, ".rustup"), "MAVEN_OPTS=-Dmaven.repo.local="+maven)
})

// project is a copy of an application, and the server that its tools deploy it to.
type project struct {
	t         *testing.T
	dir       string
	endpoint  string
	env       []string
	db        *dynamodb.Client
	functions *lambda.Client
	logs      *cloudwatchlogs.Client
	process   *process // millstream dev
}

// begin copies an application of testdata and starts a server for it.
func begin(t *testing.T, app string, needs ...string) *project {
	t.Helper()
	p := prepare(t, app, needs...)
	listen := freeAddr(t)
	p.endpoint = "http://" + listen
	p.env = append(p.env, "AWS_ENDPOINT_URL="+p.endpoint, "AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test", "AWS_REGION=us-east-1", "AWS_DEFAULT_REGION=us-east-1")
	p.serving(p.start("millstream", "serve", "--data", t.TempDir(), "--listen", listen, "--http-listen", freeAddr(t)))
	return p
}

// newProject is a project with nothing in it, in a folder of this name.
const newProject = "shop"

// prepare copies an application of testdata. needs are programs of the folders that
// TOOLS_PYTHON and TOOLS_NODE_MODULES name, or of the machine.
func prepare(t *testing.T, app string, needs ...string) *project {
	t.Helper()
	bin, err := millstream()
	if err != nil {
		t.Fatal(err)
	}
	p := &project{t: t, dir: filepath.Join(t.TempDir(), filepath.Base(app))}
	if app == newProject {
		err = os.Mkdir(p.dir, 0o700)
	} else {
		err = os.CopyFS(p.dir, os.DirFS(filepath.Join("testdata", app)))
	}
	if err != nil {
		t.Fatal(err)
	}
	path := os.Getenv("PATH")
	if modules := os.Getenv("TOOLS_NODE_MODULES"); modules != "" {
		path = filepath.Join(modules, ".bin") + ":" + path
		if app == "cdk/typescript" { // its library is among them; osls would pack them all
			if err := os.Symlink(modules, filepath.Join(p.dir, "node_modules")); err != nil {
				t.Fatal(err)
			}
		}
	}
	if python := os.Getenv("TOOLS_PYTHON"); python != "" {
		path = filepath.Join(python, "bin") + ":" + path
	}
	home := t.TempDir()
	standIn(t, home)
	if err := os.Symlink(bin, filepath.Join(home, "millstream")); err != nil { // whatever its file is called
		t.Fatal(err)
	}
	path = home + ":" + path
	p.env = append(os.Environ(), caches()...)
	p.env = append(p.env, "PATH="+path, "HOME="+home, "NO_COLOR=1", "CI=1",
		// No calls home, and fewer seconds between two questions.
		"SAM_CLI_TELEMETRY=0", "SAM_CLI_POLL_DELAY=1", "CDK_DISABLE_CLI_TELEMETRY=true", "SLS_AWS_MONITORING_FREQUENCY=500", "SLS_TELEMETRY_DISABLED=1",
		"SLS_NOTIFICATIONS_MODE=off", "SLS_INTERACTIVE_SETUP_ENABLE=0", "PIP_DISABLE_PIP_VERSION_CHECK=1", "npm_config_audit=false", "npm_config_fund=false")
	for _, need := range needs {
		cmd := exec.Command("sh", "-c", "command -v "+need)
		cmd.Env = p.env
		if err := cmd.Run(); err != nil {
			absent(t, need+" is not installed")
		}
	}
	return p
}

// serving waits until a server serves at p.endpoint.
func (p *project) serving(server *process) {
	p.t.Helper()
	p.reach(p.endpoint)
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		_, err := p.db.ListTables(p.t.Context(), &dynamodb.ListTablesInput{})
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("the server does not serve: %v\n%s", err, server.printed())
		}
	}
}

// reach makes the clients of an endpoint.
func (p *project) reach(endpoint string) {
	config := aws.Config{Region: "us-east-1", BaseEndpoint: &endpoint, Credentials: credentials.NewStaticCredentialsProvider("test", "test", "")}
	p.db, p.functions, p.logs = dynamodb.NewFromConfig(config), lambda.NewFromConfig(config), cloudwatchlogs.NewFromConfig(config)
}

func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// process is a program that runs beside the test, and is ended with it.
type process struct {
	t   *testing.T
	mu  sync.Mutex
	out bytes.Buffer
}

func (r *process) Write(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.out.Write(b)
}

func (r *process) printed() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.out.String()
}

// await waits until a part of what is printed matches, from a place on, and returns where it ends.
func (r *process) await(from int, pattern string) (end int) {
	r.t.Helper()
	re := regexp.MustCompile(pattern)
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		out := r.printed()
		if at := re.FindStringIndex(out[from:]); at != nil {
			return from + at[1]
		}
		if time.Now().After(deadline) {
			r.t.Fatalf("%s was not printed in\n%s", pattern, out[from:])
		}
	}
}

func (p *project) start(name string, args ...string) *process {
	p.t.Helper()
	r := &process{t: p.t}
	// Found by the project's PATH; with the home of the machine's user, where Java's client may be.
	cmd := exec.Command("/usr/bin/env", append([]string{"HOME=" + os.Getenv("HOME"), name}, args...)...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = p.dir, p.env, r, r
	if err := cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		ended := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
		_ = cmd.Wait()
		ended.Stop()
	})
	return r
}

// command runs a command line in the project's folder.
func (p *project) command(line string) (out string, err error) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), 8*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", "-c", line)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.Dir, cmd.Env = p.dir, p.env
	began := time.Now()
	b, err := cmd.CombinedOutput()
	p.t.Logf("%5.1f s  %s", time.Since(began).Seconds(), line)
	return string(b), err
}

// run is command for what must succeed.
func (p *project) run(line string) string {
	p.t.Helper()
	out, err := p.command(line)
	if err != nil {
		p.t.Fatalf("%s: %v\n%s", line, err, out)
	}
	return out
}

// fails is command for what must fail, and say why.
func (p *project) fails(line, why string) {
	p.t.Helper()
	out, err := p.command(line)
	if err == nil {
		p.t.Fatalf("%s did not fail:\n%s", line, out)
	}
	if !strings.Contains(out, why) {
		p.t.Errorf("%s does not say %q:\n%s", line, why, out)
	}
}

// edit changes a file of the project.
func (p *project) edit(file, from, to string) {
	p.t.Helper()
	name := filepath.Join(p.dir, file)
	text, err := os.ReadFile(name)
	if err != nil {
		p.t.Fatal(err)
	}
	if !strings.Contains(string(text), from) {
		p.t.Fatalf("%s is not in %s", from, file)
	}
	if err := os.WriteFile(name, []byte(strings.Replace(string(text), from, to, 1)), 0o600); err != nil {
		p.t.Fatal(err)
	}
}

// take makes a table, so that a stack which wants another of its name fails.
func (p *project) take(table string) {
	p.t.Helper()
	if _, err := p.db.CreateTable(p.t.Context(), &dynamodb.CreateTableInput{
		TableName: &table, BillingMode: types.BillingModePayPerRequest,
		AttributeDefinitions: []types.AttributeDefinition{{AttributeName: aws.String("id"), AttributeType: types.ScalarAttributeTypeS}},
		KeySchema:            []types.KeySchemaElement{{AttributeName: aws.String("id"), KeyType: types.KeyTypeHash}},
	}); err != nil {
		p.t.Fatal(err)
	}
}

// tables are the names of the tables that there are.
func (p *project) tables() []string {
	p.t.Helper()
	out, err := p.db.ListTables(p.t.Context(), &dynamodb.ListTablesInput{})
	if err != nil {
		p.t.Fatal(err)
	}
	return out.TableNames
}

// named is the function whose name contains a word.
func (p *project) named(word string) string {
	p.t.Helper()
	out, err := p.functions.ListFunctions(p.t.Context(), &lambda.ListFunctionsInput{})
	if err != nil {
		p.t.Fatal(err)
	}
	for _, f := range out.Functions {
		if strings.Contains(*f.FunctionName, word) {
			return *f.FunctionName
		}
	}
	p.t.Fatalf("no function is named %s", word)
	return ""
}

// loop writes an order and waits until the function that is to note it has logged a line
// that contains what it greets with and the order's id.
func (p *project) loop(function, id, greeting string) {
	p.t.Helper()
	table := ""
	for _, name := range p.tables() {
		if strings.Contains(name, "Orders") {
			table = name
		}
	}
	if _, err := p.db.PutItem(p.t.Context(), &dynamodb.PutItemInput{TableName: &table, Item: map[string]types.AttributeValue{"id": &types.AttributeValueMemberS{Value: id}}}); err != nil {
		p.t.Fatalf("write an order: %v", err)
	}
	p.logged(p.named(function), greeting+" "+id)
}

// logged waits until a function has logged a line with a text.
func (p *project) logged(name, text string) {
	p.t.Helper()
	var all []string
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		all = nil
		out, err := p.logs.FilterLogEvents(p.t.Context(), &cloudwatchlogs.FilterLogEventsInput{LogGroupName: aws.String("/aws/lambda/" + name)})
		if err != nil {
			continue // no group is there before its function has run
		}
		for _, e := range out.Events {
			all = append(all, *e.Message)
			if strings.Contains(*e.Message, text) {
				return
			}
		}
	}
	p.t.Fatalf("%s has not logged %q:\n%s", name, text, strings.Join(all, ""))
}

// gone holds that a removal has left no table and no function behind.
func (p *project) gone(except ...string) {
	p.t.Helper()
	if left := p.tables(); strings.Join(left, " ") != strings.Join(except, " ") {
		p.t.Errorf("tables are left: %v, want %v", left, except)
	}
	out, err := p.functions.ListFunctions(p.t.Context(), &lambda.ListFunctionsInput{})
	if err != nil {
		p.t.Fatal(err)
	}
	for _, f := range out.Functions {
		p.t.Errorf("the function %s is left", *f.FunctionName)
	}
	mappings, err := p.functions.ListEventSourceMappings(p.t.Context(), &lambda.ListEventSourceMappingsInput{})
	if err != nil {
		p.t.Fatal(err)
	}
	if n := len(mappings.EventSourceMappings); n > 0 {
		p.t.Errorf("%d event source mappings are left", n)
	}
}

// rest waits until a stack's operation has ended: tools of the Serverless Framework leave
// when the first resource has failed.
func (p *project) rest(stack string) {
	p.t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		req, err := http.NewRequestWithContext(p.t.Context(), "POST", p.endpoint, strings.NewReader("Action=DescribeStacks&Version=2010-05-15&StackName="+stack))
		if err != nil {
			p.t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		_, body := p.send(req, "cloudformation")
		status := regexp.MustCompile(`<StackStatus>(\w+)</StackStatus>`).FindStringSubmatch(body)
		switch {
		case status == nil:
			p.t.Fatalf("the stack %s has no status:\n%s", stack, body)
		case !strings.HasSuffix(status[1], "_IN_PROGRESS"):
			return
		case time.Now().After(deadline):
			p.t.Fatalf("the stack %s is still in %s", stack, status[1])
		}
	}
}

// send sends a request as one for a service: services are told apart by the signature.
func (p *project) send(req *http.Request, service string) (status int, body string) {
	p.t.Helper()
	req.Header.Set("X-Amz-Date", "20260101T000000Z")
	req.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/"+service+"/aws4_request, SignedHeaders=host, Signature="+strings.Repeat("0", 64))
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return res.StatusCode, string(b)
}

// startDev runs millstream dev in the project, on addresses of its own.
func (p *project) startDev(template string, args ...string) *project {
	p.t.Helper()
	listen := freeAddr(p.t)
	d := &project{t: p.t, dir: p.dir, env: p.env, endpoint: "http://" + listen}
	d.process = d.start("millstream", append([]string{"dev", template, "--listen", listen, "--http-listen", freeAddr(p.t)}, args...)...)
	d.process.await(0, `In effect after`)
	d.reach(d.endpoint)
	return d
}

func (p *project) dropTable(name string) {
	p.t.Helper()
	if _, err := p.db.DeleteTable(p.t.Context(), &dynamodb.DeleteTableInput{TableName: &name}); err != nil {
		p.t.Fatal(err)
	}
}
