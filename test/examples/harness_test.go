package examples

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/millstreamdb/millstream/test/doors"
)

// applications is the folder that holds them.
const applications = "../../examples"

// patience is how long a test waits for what must happen. It is long, for slow machines.
const patience = 90 * time.Second

// absent skips the test, or fails it where everything was installed for it.
func absent(t *testing.T, reason string) {
	t.Helper()
	if os.Getenv("EXAMPLES_REQUIRE") == "1" {
		t.Fatal(reason)
	}
	t.Skip(reason)
}

// nodeModules is what makes functions in JavaScript find the packages they need.
func nodeModules(t *testing.T, packages ...string) (env string) {
	t.Helper()
	env = "NODE_PATH=" + os.Getenv("EXAMPLES_NODE_PATH")
	for _, p := range packages {
		cmd := exec.Command("node", "-e", "require.resolve('"+p+"')")
		cmd.Env = append(os.Environ(), env)
		if err := cmd.Run(); err != nil {
			absent(t, "it takes node with "+p+": npm install it and set EXAMPLES_NODE_PATH to its node_modules")
		}
	}
	return env
}

// python is a python that has the modules, and what makes functions in Python run on it.
func python(t *testing.T, modules ...string) (path, env string) {
	t.Helper()
	path, err := exec.LookPath(cmp.Or(os.Getenv("EXAMPLES_PYTHON"), "python3"))
	if err == nil {
		path, err = filepath.Abs(path)
	}
	if err != nil {
		absent(t, "python3 is not installed")
	}
	for _, m := range modules {
		if err := exec.Command(path, "-c", "import importlib.util, sys; sys.exit(importlib.util.find_spec('"+m+"') is None)").Run(); err != nil {
			absent(t, "it takes a python with "+m+": pip install it, or set EXAMPLES_PYTHON to a python that has it")
		}
	}
	// The function's runtime is the first python3 on the server's PATH.
	return path, "PATH=" + filepath.Dir(path) + string(os.PathListSeparator) + os.Getenv("PATH")
}

// millstream is the program under test.
var millstream = sync.OnceValues(func() (string, error) {
	if bin := os.Getenv("MILLSTREAM_BIN"); bin != "" {
		return bin, nil
	}
	bin := filepath.Join(scratch, "millstream")
	out, err := exec.Command("go", "build", "-o", bin, "../../cmd/millstream").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build millstream: %w\n%s", err, out)
	}
	return bin, nil
})

var scratch string // a folder that all tests share

// door is closed with EXAMPLES_DOORS=closed.
var door doors.Doors

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "millstream-examples-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	scratch = dir
	code := 1
	if os.Getenv("EXAMPLES_DOORS") == "closed" {
		door, err = doors.Close(dir)
	}
	if err == nil {
		code = m.Run()
	} else {
		fmt.Fprintln(os.Stderr, err)
	}
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// app is an application that runs from its template, on a data folder of its own.
type app struct {
	t         *testing.T
	endpoint  string // of the AWS protocols
	url       string // of the front door
	db        *dynamodb.Client
	aws       aws.Config
	bin       string
	dir       string
	args, env []string
	process   *process
	nodes     *nodes // see EXAMPLES_NODES
}

// serve starts the application in the folder of that name. Each parameter is KEY=VALUE
// of its template.
func serve(t *testing.T, name, template string, env []string, parameters ...string) *app {
	t.Helper()
	listen, front, data := freeAddr(t), freeAddr(t), t.TempDir()
	return serveWith(t, name, template, []string{"--listen", listen, "--http-listen", front, "--data", data}, env, parameters...)
}

// serveWith is serve with the flags that say where the server listens and keeps its data.
func serveWith(t *testing.T, name, template string, flags, env []string, parameters ...string) *app {
	t.Helper()
	bin, err := millstream()
	if err != nil {
		t.Fatal(err)
	}
	dir, err := filepath.Abs(filepath.Join(applications, name))
	if err != nil {
		t.Fatal(err)
	}
	value := func(flag string) string { return flags[slices.Index(flags, flag)+1] }
	scheme := door.Scheme() + "://"
	a := &app{t: t, bin: bin, dir: dir, env: env, endpoint: scheme + value("--listen"), url: scheme + value("--http-listen")}
	a.args = slices.Concat([]string{"serve", "--template", template}, door.Flags, flags)
	a.with(parameters...)
	if overNodes {
		a.nodes = beNode(a, flags)
	}
	a.aws = awsConfig(a.endpoint)
	a.db = dynamodb.NewFromConfig(a.aws)
	a.start()
	return a
}

// with adds parameters of the template, for the next start.
func (a *app) with(parameters ...string) {
	for _, p := range parameters {
		a.args = append(a.args, "--parameter", p)
	}
}

// awsConfig is for clients of AWS's services at an endpoint.
func awsConfig(endpoint string) aws.Config {
	return aws.Config{Region: "us-east-1", BaseEndpoint: &endpoint, HTTPClient: http.DefaultClient, Credentials: credentials.NewStaticCredentialsProvider("test", doors.Secret, "")}
}

// start starts the server, once more after kill, and waits until it has deployed.
func (a *app) start() {
	a.t.Helper()
	if a.nodes != nil && a.process != nil {
		a.nodes.startAgain()
		return
	}
	a.process = run(a.t, "millstream", a.dir, a.env, a.bin, a.args...)
	a.process.await("\nDeployed ")
	if a.nodes != nil {
		a.nodes.spread()
	}
}

// kill is kill -9.
func (a *app) kill() {
	a.t.Helper()
	if a.nodes != nil {
		a.nodes.killOwner()
		return
	}
	a.process.kill()
}

// command runs a command of Millstream's own against the server.
func (a *app) command(args ...string) string {
	a.t.Helper()
	cmd := exec.CommandContext(a.t.Context(), a.bin, append(args, "--endpoint", a.endpoint)...)
	cmd.Env = append(os.Environ(), door.Env...)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		a.t.Fatalf("millstream %s: %v\n%s%s", strings.Join(args, " "), err, out, errs.String())
	}
	return string(out)
}

// settle waits until every trigger has handled what has been written so far.
func (a *app) settle() {
	a.t.Helper()
	a.command("settle", "--timeout", patience.String())
}

// output is a value of the template's outputs.
func (a *app) output(name string) string {
	a.t.Helper()
	m := regexp.MustCompile(`(?m)^  ` + regexp.QuoteMeta(name) + `  (.*)$`).FindStringSubmatch(a.process.printed())
	if m == nil {
		a.t.Fatalf("the template has no output %s", name)
	}
	return m[1]
}

// call makes a request at the front door. The answer's status must be the wanted one; an
// answer that is not nil is filled from its JSON.
func (a *app) call(method, path string, body any, want int, answer any) {
	a.t.Helper()
	status, got, err := a.try(method, path, body)
	if err != nil {
		a.t.Fatal(err)
	}
	if status != want {
		a.t.Fatalf("%s %s: %d %s", method, path, status, got)
	}
	if answer != nil {
		if err := json.Unmarshal(got, answer); err != nil {
			a.t.Fatalf("%s %s: %v in %s", method, path, err, got)
		}
	}
}

// try is call where the server may be gone.
func (a *app) try(method, path string, body any) (status int, answer []byte, err error) {
	return request(a.t.Context(), method, a.url+path, body)
}

// request sends a body as JSON, unless it is one of bytes or nil.
func request(ctx context.Context, method, url string, body any) (status int, answer []byte, err error) {
	raw, ok := body.([]byte)
	if !ok && body != nil {
		if raw, err = json.Marshal(body); err != nil {
			return 0, nil, err
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(raw))
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	answer, err = io.ReadAll(resp.Body)
	return resp.StatusCode, answer, err
}

// scan reads a table of the application, named as in the template.
func (a *app) scan(table string) []map[string]types.AttributeValue {
	a.t.Helper()
	var items []map[string]types.AttributeValue
	pages := dynamodb.NewScanPaginator(a.db, &dynamodb.ScanInput{TableName: aws.String(a.table(table)), ConsistentRead: aws.Bool(true)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(a.t.Context())
		if err != nil {
			a.t.Fatal(err)
		}
		items = append(items, page.Items...)
	}
	return items
}

// table is the name of a table of the template.
func (a *app) table(id string) string { return filepath.Base(a.dir) + "-" + id }

// text is a text, or a number as text, of an item.
func text(v types.AttributeValue) string {
	switch v := v.(type) {
	case *types.AttributeValueMemberS:
		return v.Value
	case *types.AttributeValueMemberN:
		return v.Value
	}
	return ""
}

func str(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }
func num(n any) types.AttributeValue    { return &types.AttributeValueMemberN{Value: fmt.Sprint(n)} }

// process is a program that runs beside the test and ends with it.
type process struct {
	t     *testing.T
	name  string
	cmd   *exec.Cmd
	ended chan struct{}

	mu    sync.Mutex
	out   bytes.Buffer
	moved chan struct{} // closed and replaced with each piece of output
}

// platformLines are those that Lambda prints for each call.
var platformLines = regexp.MustCompile(`(?m)^\S+ \| (START|END|REPORT|INIT_START) .*\n`)

// run starts a program in a folder, with further variables.
func run(t *testing.T, name, dir string, env []string, program string, args ...string) *process {
	t.Helper()
	return runAs(t, name, dir, env, nil, program, args...)
}

// runAs is run as another user.
func runAs(t *testing.T, name, dir string, env []string, as *syscall.SysProcAttr, program string, args ...string) *process {
	t.Helper()
	p := &process{t: t, name: name, cmd: exec.Command(program, args...), ended: make(chan struct{}), moved: make(chan struct{})}
	p.cmd.Dir, p.cmd.Env = dir, append(os.Environ(), env...)
	p.cmd.Stdout, p.cmd.Stderr, p.cmd.SysProcAttr = p, p, as
	p.cmd.WaitDelay = 10 * time.Second // of its children that hold its output
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = p.cmd.Wait() // how it ends is seen from its output
		close(p.ended)
	}()
	t.Cleanup(func() {
		p.stop()
		if t.Failed() {
			out := platformLines.ReplaceAllString(p.printed(), "")
			t.Logf("%s printed:\n%s", name, out[max(0, len(out)-16<<10):])
		}
	})
	return p
}

// Write takes in what the process prints.
func (p *process) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	close(p.moved)
	p.moved = make(chan struct{})
	return p.out.Write(b)
}

func (p *process) printed() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out.String()
}

// await waits until the process has printed a text.
func (p *process) await(text string) {
	p.t.Helper()
	limit := time.NewTimer(patience)
	defer limit.Stop()
	for {
		p.mu.Lock()
		found, moved := strings.Contains(p.out.String(), text), p.moved
		p.mu.Unlock()
		if found {
			return
		}
		select {
		case <-moved:
		case <-p.ended:
			if strings.Contains(p.printed(), text) {
				return
			}
			p.t.Fatalf("%s ended before it printed %q", p.name, text)
		case <-limit.C:
			p.t.Fatalf("%s did not print %q within %s", p.name, text, patience)
		}
	}
}

// kill is kill -9; it returns when the process is gone.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // it may be gone already
	<-p.ended
}

// stop asks the process to end, and kills it when it does not.
func (p *process) stop() { p.signal(syscall.SIGTERM) }

// signal sends the signal that ends the process, and waits for its end.
func (p *process) signal(s syscall.Signal) {
	_ = p.cmd.Process.Signal(s) // it may be gone already
	limit := time.NewTimer(20 * time.Second)
	defer limit.Stop()
	select {
	case <-p.ended:
	case <-limit.C:
		p.kill()
	}
}

// await waits until something is so.
func await(t *testing.T, what string, done func() bool) {
	t.Helper()
	limit := time.NewTimer(patience)
	defer limit.Stop()
	poll := time.NewTicker(5 * time.Millisecond)
	defer poll.Stop()
	for !done() {
		select {
		case <-limit.C:
			t.Fatalf("waited %s in vain: %s", patience, what)
		case <-poll.C:
		}
	}
}

// answers waits until something answers at a URL.
func answers(t *testing.T, url string) {
	t.Helper()
	await(t, url+" answers", func() bool {
		status, _, err := request(t.Context(), http.MethodGet, url, nil)
		return err == nil && status < 500
	})
}

// given are ports that freeAddr has told.
var given sync.Map

// freeAddr is an address where nobody listens. None is told twice, and the ports are not those that systems take for connections: between here and its
// use others take some.
func freeAddr(t *testing.T) string {
	t.Helper()
	for range 1000 {
		port := 20000 + rand.IntN(12000)
		if _, told := given.LoadOrStore(port, true); told {
			continue
		}
		if ln, err := net.Listen("tcp", fmt.Sprint("127.0.0.1:", port)); err == nil {
			ln.Close()
			return ln.Addr().String()
		}
	}
	t.Fatal("no port is free from 20000 to 31999")
	return ""
}

// times are how long things took.
type times []time.Duration

// String tells the median, the 99th percentile and the longest.
func (d times) String() string {
	if len(d) == 0 {
		return "none"
	}
	return fmt.Sprintf("median %s, 99th percentile %s, longest %s, of %d", d.at(50), d.at(99), d.at(100), len(d))
}

// at is a percentile.
func (d times) at(percent int) time.Duration {
	sorted := slices.Sorted(slices.Values(d))
	return sorted[max(0, (len(sorted)*percent+99)/100-1)].Round(10 * time.Microsecond)
}
