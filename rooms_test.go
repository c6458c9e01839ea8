package millstream_test

import (
	"bufio"
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/millstreamdb/millstream"

// rooms is the import table: every package of this module, and the packages of
// this module that it may import directly. A package that is not listed, or an
// import that is not allowed, fails the test: both are decisions about the
// architecture (docs/architecture.md), to be made on purpose.
var rooms = map[string][]string{
	// ground
	"internal/arn":             {},
	"internal/seqnum":          {},
	"internal/trace":           {},
	"internal/trace/otlp":      {"internal/trace"},
	"internal/counter":         {},
	"internal/awserr":          {},
	"internal/worker":          {},
	"internal/activity":        {"internal/admin/wire"},
	"internal/store":           {},
	"internal/store/crashtest": {},
	"internal/nearest":         {},
	"internal/setting":         {"internal/nearest"},

	// languages: pure
	"internal/item":    {"internal/awserr"},
	"internal/expr":    {"internal/awserr", "internal/item"},
	"internal/schema":  {"internal/arn", "internal/awserr", "internal/item"},
	"internal/pattern": {"internal/item"},
	"internal/request": {"internal/arn", "internal/awserr", "internal/seqnum", "internal/item", "internal/expr", "internal/schema"},

	"internal/partiql": {"internal/awserr", "internal/item", "internal/expr", "internal/schema", "internal/request"},

	// engine
	"internal/stream": {
		"internal/trace",
		"internal/awserr", "internal/item", "internal/schema", "internal/request", "internal/seqnum",
		"internal/store", "internal/worker",
	},
	"internal/table": {
		"internal/trace",
		"internal/arn", "internal/awserr", "internal/item", "internal/expr", "internal/schema", "internal/request", "internal/partiql",
		"internal/seqnum", "internal/setting", "internal/store", "internal/stream",
	},
	"internal/table/appends": {},

	"internal/sigv4":      {},
	"internal/seal":       {},
	"internal/credential": {"internal/seal", "internal/sigv4", "internal/store"},

	"internal/export": {"internal/item"},
	"internal/keep": {
		"internal/arn", "internal/awserr", "internal/export", "internal/item", "internal/request", "internal/schema", "internal/store", "internal/table",
	},
	"internal/turns": {},
	"internal/door":  {},
	"internal/function": {
		"internal/trace",
		"internal/arn", "internal/awserr", "internal/schema", "internal/seal", "internal/setting", "internal/store", "internal/worker", "internal/function/archive",
		"internal/function/http", "internal/function/logs", "internal/function/process", "internal/function/runner", "internal/function/sandbox", "internal/turns",
	},
	"internal/function/archive": {},
	"internal/function/logs":    {"internal/schema", "internal/worker"},
	"internal/function/runner":  {"internal/arn", "internal/schema"},
	"internal/function/http":    {"internal/function/logs", "internal/function/runner"},
	"internal/function/process": {"internal/schema", "internal/function/logs", "internal/function/runner", "internal/function/sandbox"},
	"internal/function/sandbox": {"internal/function/sandbox/launch"},
	// Of the first packages that the program initialises: it may have no library but x/sys/unix, and of Go's no more than that.
	"internal/function/sandbox/launch": {},
	"internal/trigger/lane":            {"internal/counter", "internal/expr", "internal/item", "internal/pattern", "internal/seqnum", "internal/setting"},
	"internal/trigger/mapping": {
		"internal/arn", "internal/awserr", "internal/expr", "internal/pattern", "internal/schema", "internal/seqnum", "internal/setting", "internal/trigger/lane",
	},
	"internal/trigger": {
		"internal/arn", "internal/awserr", "internal/backend", "internal/expr", "internal/schema", "internal/seqnum", "internal/setting", "internal/trigger/lane",
		"internal/trigger/mapping", "internal/worker",
	},
	"internal/backend":             {"internal/schema", "internal/seqnum", "internal/trigger/lane", "internal/trigger/mapping"},
	"internal/trigger/recordtest":  {"internal/item", "internal/seqnum"},
	"internal/trigger/backendtest": {"internal/backend", "internal/seqnum", "internal/trigger/lane", "internal/trigger/mapping"},
	"internal/backend/local": {
		"internal/admin/wire", "internal/awserr", "internal/backend", "internal/item", "internal/queue", "internal/request", "internal/schema", "internal/seqnum", "internal/store",
		"internal/stream", "internal/table", "internal/trigger/lane", "internal/trigger/mapping",
	},
	"internal/backend/remote": {
		"internal/admin/wire", "internal/arn", "internal/backend", "internal/item", "internal/seqnum", "internal/trigger/lane", "internal/trigger/mapping",
	},
	"internal/storm":       {"internal/backend", "internal/trigger", "internal/trigger/lane", "internal/trigger/mapping"},
	"internal/destination": {"internal/arn", "internal/store"},

	"internal/queue":         {"internal/arn", "internal/awserr", "internal/item", "internal/store", "internal/worker"},
	"internal/outbox":        {"internal/store", "internal/worker"},
	"internal/schedule/when": {},
	"internal/schedule":      {"internal/arn", "internal/awserr", "internal/outbox", "internal/schedule/when", "internal/store", "internal/worker"},
	"internal/topic":         {"internal/arn", "internal/awserr", "internal/outbox", "internal/pattern", "internal/store", "internal/worker"},
	"internal/queue/poll": {
		"internal/arn", "internal/awserr", "internal/backend", "internal/counter", "internal/item", "internal/pattern", "internal/queue", "internal/setting", "internal/store",
		"internal/trigger/lane", "internal/trigger/mapping", "internal/worker",
	},

	// the front door: HTTP requests to functions, which come in as an interface
	"internal/gateway": {"internal/admin/wire", "internal/schema", "internal/store"},

	// doors
	"internal/api/awsjson": {"internal/awserr", "internal/door", "internal/item", "internal/schema"},
	"internal/api/sts":     {"internal/awserr", "internal/schema"},
	"internal/api/dynamodb": {
		"internal/admin/wire", "internal/api/awsjson", "internal/awserr", "internal/item", "internal/keep", "internal/schema", "internal/request", "internal/table",
	},
	"internal/api/streams": {
		"internal/api/awsjson", "internal/schema", "internal/request", "internal/seqnum", "internal/stream",
	},
	"internal/api/query":          {"internal/arn", "internal/awserr"},
	"internal/api/cloudformation": {"internal/api/query", "internal/arn", "internal/awserr", "internal/stack", "internal/template"},
	"internal/api/iam":            {"internal/api/query", "internal/arn", "internal/awserr", "internal/iam"},
	"internal/api/ssm":            {"internal/arn", "internal/awserr", "internal/stack"},
	"internal/api/ecr":            {},
	"internal/api/sns":            {"internal/arn", "internal/awserr", "internal/outbox", "internal/topic", "internal/trace"},
	"internal/api/events":         {"internal/arn", "internal/awserr", "internal/schedule"},
	"internal/api/scheduler":      {"internal/arn", "internal/awserr", "internal/schedule"},
	"internal/api/logs":           {"internal/arn", "internal/awserr", "internal/schema", "internal/function"},
	"internal/api/lambda": {
		"internal/arn", "internal/awserr", "internal/schema", "internal/function", "internal/queue/poll", "internal/trace", "internal/trigger", "internal/trigger/mapping",
	},
	"internal/api/admin": {
		"internal/activity", "internal/admin/wire", "internal/arn", "internal/awserr", "internal/backend", "internal/backend/local", "internal/credential", "internal/function", "internal/function/logs",
		"internal/gateway", "internal/nearest", "internal/pattern", "internal/queue", "internal/queue/poll", "internal/schedule", "internal/schema", "internal/seqnum", "internal/stack", "internal/store", "internal/stream", "internal/table",
		"internal/topic", "internal/trigger", "internal/trigger/lane", "internal/trigger/mapping", "internal/worker",
	},
	"internal/api/sqs": {"internal/api/awsjson", "internal/arn", "internal/awserr", "internal/item", "internal/queue", "internal/schema", "internal/trace"},
	"internal/server":  {"internal/admin/wire", "internal/counter", "internal/awserr", "internal/credential", "internal/door", "internal/schema", "internal/sigv4", "internal/turns"},

	// the page for people, which asks the server as any client does
	"internal/console": {"internal/admin/wire"},

	// clients: they speak the wire and import no room below
	"internal/admin":      {"internal/admin/wire"},
	"internal/admin/wire": {"internal/counter"},
	"internal/dev":        {"internal/admin"},
	"internal/template":   {"internal/admin", "internal/arn", "internal/bundle", "internal/nearest", "internal/schedule/when", "internal/setting"},
	"internal/bundle":     {},
	"internal/backup":     {},
	"internal/bench":      {},

	// stacks: what tools deploy through CloudFormation. It is a client within the server: it deploys by calls of the
	// server's own API
	"internal/bucket": {"internal/awserr", "internal/sigv4"},
	"internal/iam":    {"internal/arn", "internal/store"},
	"internal/stack":  {"internal/admin/wire", "internal/arn", "internal/seal", "internal/store", "internal/template"},

	// outside
	"":               {"internal/app", "internal/arn", "internal/trigger", "internal/trigger/mapping"},
	"millstreamtest": {""},

	"internal/chain": {"internal/backup", "internal/store"},

	// the wiring
	"internal/app": {
		"internal/activity", "internal/admin", "internal/admin/wire", "internal/api/cloudformation", "internal/api/ecr", "internal/api/iam", "internal/api/ssm", "internal/bucket", "internal/credential", "internal/stack", "internal/template", "internal/api/admin", "internal/api/awsjson", "internal/api/dynamodb", "internal/api/events", "internal/api/lambda", "internal/api/logs",
		"internal/api/scheduler", "internal/api/sns", "internal/outbox", "internal/schedule", "internal/topic",
		"internal/api/sqs", "internal/api/streams", "internal/api/sts", "internal/arn", "internal/awserr", "internal/backend", "internal/backend/local", "internal/backend/remote", "internal/backup", "internal/chain", "internal/console", "internal/destination", "internal/door", "internal/function",
		"internal/function/logs", "internal/gateway", "internal/iam", "internal/keep", "internal/nearest", "internal/queue", "internal/queue/poll", "internal/schema", "internal/seal", "internal/server", "internal/sigv4", "internal/store", "internal/storm", "internal/stream",
		"internal/table", "internal/trace", "internal/trace/otlp", "internal/trigger", "internal/trigger/lane", "internal/trigger/mapping", "internal/worker",
	},
	"cmd/millstream": {"", "internal/admin", "internal/app", "internal/arn", "internal/backup", "internal/bench", "internal/bundle", "internal/dev", "internal/export", "internal/nearest", "internal/template"},

	// tests from outside (test/README.md), and the loop in one process; no code of the product
	"test/differences":     {},
	"test/differences/cmd": {"test/differences"},
	"test/doors":           {},
	"test/examples":        {},
	"test/failingdisk":     {"internal/app", "internal/store/crashtest"},
	"test/faults":          {},
	"test/soak":            {},
	"test/paired":          {},
	"test/folders":         {},
	"test/folders/make":    {"test/folders"},
	"test/folders/refused": {},
	"test/hot":             {},
	"test/loop":            {},
	"test/backup":          {},
	"test/nodes":           {},
	"test/sdk":             {},
	"test/tools":           {},

	// what makes a release; no code of the product
	"scripts/packages": {},

	// applications
	"examples/ci-webhook/job":          {},
	"examples/tweet-fanout/api":        {},
	"examples/tweet-fanout/fanout":     {},
	"examples/order-metrics/aggregate": {},

	"docs": {},
}

// pure rooms are functions of their arguments: no I/O, no clock, no goroutine.
var pure = []string{
	"internal/item", "internal/expr", "internal/schema", "internal/pattern", "internal/request", "internal/partiql", "internal/seqnum", "internal/awserr",
	"internal/arn", "internal/nearest", "internal/setting", "internal/trigger/lane", "internal/trigger/mapping",
}

// impure are the packages through which a pure room would reach the world. Of package time it may
// use what is a function of its arguments, such as durations.
var impure = []string{
	"context", "log", "log/slog", "math/rand", "math/rand/v2", "net", "os", "os/exec", "os/signal", "runtime", "syscall",
	"github.com/cockroachdb/pebble/v2", "github.com/cockroachdb/pebble/v2/vfs",
}

func TestRoomsImportOnlyWhatTheTableAllows(t *testing.T) {
	for _, p := range listPackages(t) {
		room, ok := p.room()
		if !ok {
			continue
		}
		allowed, listed := rooms[room]
		if !listed {
			t.Errorf("package %q is in no line of the import table: give it one", room)
			continue
		}
		for _, path := range p.imports {
			dep, ours := inModule(path)
			if ours && !slices.Contains(allowed, dep) {
				t.Errorf("%q imports %q: the import table does not allow it", room, dep)
			}
		}
		for _, dep := range allowed {
			if !slices.Contains(p.imports, strings.TrimSuffix(module+"/"+dep, "/")) {
				t.Errorf("%q does not import %q: take it out of the import table", room, dep)
			}
		}
	}
}

func TestPureRoomsReachNothingOutside(t *testing.T) {
	for _, p := range listPackages(t) {
		room, _ := p.room()
		if !slices.Contains(pure, room) {
			continue
		}
		for _, path := range p.imports {
			if slices.Contains(impure, path) {
				t.Errorf("%q is a pure room and imports %q", room, path)
			}
		}
	}
}

// The source of a pure room starts no goroutine, has no channel and asks no clock.
func TestPureRoomsStandStill(t *testing.T) {
	clock := []string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker", "Local", "LoadLocation"}
	for _, room := range pure {
		eachFile(t, room, func(f *ast.File, pos func(ast.Node) token.Position) {
			ast.Inspect(f, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.GoStmt:
					t.Errorf("%s: a goroutine in a pure room", pos(n))
				case *ast.ChanType, *ast.SelectStmt, *ast.SendStmt:
					t.Errorf("%s: a channel in a pure room", pos(n))
				case *ast.SelectorExpr:
					if x, ok := n.X.(*ast.Ident); ok && x.Name == "time" && slices.Contains(clock, n.Sel.Name) {
						t.Errorf("%s: time.%s in a pure room", pos(n), n.Sel.Name)
					}
				}
				return true
			})
		})
	}
}

// Arrows run from the trigger engine to its machines only: they know nothing of who runs them, and
// nobody reaches past their methods, since their fields are not exported.
func TestMachinesKnowNoRuntime(t *testing.T) {
	for _, p := range listPackages(t) {
		if room, _ := p.room(); room != "internal/trigger/lane" {
			continue
		}
		for _, path := range p.deps {
			if dep, ours := inModule(path); ours && (dep == "internal/trigger" || dep == "internal/worker" || strings.HasPrefix(dep, "internal/backend")) {
				t.Errorf("internal/trigger/lane depends on %q", dep)
			}
		}
	}
	eachFile(t, "internal/trigger/lane", func(f *ast.File, pos func(ast.Node) token.Position) {
		ast.Inspect(f, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok || spec.Name.Name != "Machine" && spec.Name.Name != "Aside" {
				return true
			}
			for _, field := range spec.Type.(*ast.StructType).Fields.List {
				if len(field.Names) == 0 {
					t.Errorf("%s: %s embeds something, whose fields and methods would be its own", pos(field), spec.Name.Name)
				}
				for _, n := range field.Names {
					if n.IsExported() {
						t.Errorf("%s: %s.%s can be reached from outside", pos(field), spec.Name.Name, n.Name)
					}
				}
			}
			return false
		})
	})
}

// eachFile parses the files of a room, without its tests.
func eachFile(t *testing.T, room string, f func(file *ast.File, pos func(ast.Node) token.Position)) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(room, "*.go"))
	if err != nil || len(names) == 0 {
		t.Fatalf("no file in %s: %v", room, err)
	}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		f(file, func(n ast.Node) token.Position { return set.Position(n.Pos()) })
	}
}

// The trigger engine must run over any backend, so nothing of the local engine
// may reach it, not even through another room.
func TestTriggerKnowsNoLocalEngine(t *testing.T) {
	forbidden := []string{"internal/table", "internal/store", "internal/function", "internal/stream"}
	for _, p := range listPackages(t) {
		if room, _ := p.room(); room != "internal/trigger" {
			continue
		}
		for _, path := range p.deps {
			if dep, ours := inModule(path); ours && slices.Contains(forbidden, dep) {
				t.Errorf("internal/trigger depends on %q", dep)
			}
		}
	}
}

// net/rpc asks for methods by names that the linker cannot know, which makes it keep
// every exported method of every type: the program is then 17 MB larger, and takes
// 9 MB more of memory when idle. aws-lambda-go/lambda brings it along.
func TestProgramLetsTheLinkerDropMethods(t *testing.T) {
	for _, p := range listPackages(t) {
		if p.path == module+"/cmd/millstream" && slices.Contains(p.deps, "net/rpc") {
			t.Error("cmd/millstream depends on net/rpc")
		}
	}
}

func TestImportTableHasNoCycleAndNoStranger(t *testing.T) {
	present := map[string]bool{}
	for _, p := range listPackages(t) {
		if room, ok := p.room(); ok {
			present[room] = true
		}
	}
	var visit func(room string, path []string)
	visit = func(room string, path []string) {
		if slices.Contains(path, room) {
			t.Fatalf("the import table has a cycle: %v", append(path, room))
		}
		for _, dep := range rooms[room] {
			visit(dep, append(path, room))
		}
	}
	for room := range rooms {
		if !present[room] {
			t.Errorf("the import table names %q, which does not exist", room)
		}
		visit(room, nil)
	}
}

type listed struct {
	path    string
	imports []string // direct, without those of tests
	deps    []string // all, standard library included
}

// room is the package's path below the module's.
func (l listed) room() (string, bool) { return inModule(l.path) }

func inModule(path string) (string, bool) {
	if path == module {
		return "", true
	}
	return strings.CutPrefix(path, module+"/")
}

func listPackages(t *testing.T) []listed {
	t.Helper()
	cmd := exec.Command("go", "list", "-e", "-f", `{{.ImportPath}}|{{join .Imports " "}}|{{join .Deps " "}}`, "./...")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.Bytes())
	}
	var all []listed
	lines := bufio.NewScanner(bytes.NewReader(out))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		f := strings.Split(lines.Text(), "|")
		if len(f) != 3 {
			t.Fatalf("go list printed %q", lines.Text())
		}
		all = append(all, listed{path: f[0], imports: strings.Fields(f[1]), deps: strings.Fields(f[2])})
	}
	if len(all) == 0 {
		t.Fatal("go list found no package")
	}
	return all
}
