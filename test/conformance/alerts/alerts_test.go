// Package alerts holds that the alert rules in docs/operators fire on the metrics of the program, by Prometheus's own
// evaluation, and that rules and dashboard ask for metrics that there are.
package alerts

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"go.yaml.in/yaml/v3"
)

const operators = "../../../docs/operators/"

type rule struct {
	Alert string
	Expr  string
	For   string
}

func rules(t *testing.T) (all []rule) {
	text, err := os.ReadFile(operators + "millstream.rules.yml")
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Groups []struct{ Rules []rule } }
	if err := yaml.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	return file.Groups[0].Rules
}

// world is a server whose time stands still, and what was scraped of it.
type world struct {
	t        *testing.T
	program  string
	endpoint string
	now      time.Time
	db       *memory
	engine   *promql.Engine
	since    map[string]time.Time // when a rule began to hold
	firing   map[string]bool
	known    map[string]bool // names of metrics
}

func serve(t *testing.T) *world {
	w := &world{t: t, program: os.Getenv("MILLSTREAM_BIN"), since: map[string]time.Time{}, firing: map[string]bool{}, known: map[string]bool{"up": true}}
	if w.program == "" {
		w.program = filepath.Join(t.TempDir(), "millstream")
		build := exec.Command("go", "build", "-o", w.program, "./cmd/millstream")
		build.Dir = "../../.."
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	cmd := exec.Command(w.program, "serve", "--in-memory", "--clock", "manual", "--listen", "127.0.0.1:0")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	for lines := bufio.NewScanner(out); w.endpoint == "" && lines.Scan(); {
		if _, rest, ok := strings.Cut(lines.Text(), "AWS_ENDPOINT_URL="); ok {
			w.endpoint, _, _ = strings.Cut(rest, " ")
		}
	}
	if w.endpoint == "" {
		t.Fatal("the server has not begun")
	}
	go func() { _, _ = io.Copy(io.Discard, out) }()
	w.now = time.Now()
	w.db = &memory{}
	w.engine = promql.NewEngine(promql.EngineOpts{MaxSamples: 1e6, Timeout: time.Minute, EnableNegativeOffset: true})
	return w
}

func (w *world) aws(method, path, target, body string) []byte {
	w.t.Helper()
	req, err := http.NewRequest(method, w.endpoint+path, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=k/20260101/us-east-1/dynamodb/aws4_request, SignedHeaders=host, Signature=0")
	req.Header.Set("X-Amz-Date", "20260101T000000Z")
	req.Header.Set("Content-Type", "application/x-amz-json-1.0")
	if target != "" {
		req.Header.Set("X-Amz-Target", "DynamoDB_20120810."+target)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer res.Body.Close()
	answer, _ := io.ReadAll(res.Body)
	if res.StatusCode >= 300 {
		w.t.Fatalf("%s %s%s: %s %s", method, path, target, res.Status, answer)
	}
	return answer
}

func (w *world) put(id string) {
	w.t.Helper()
	w.aws("POST", "/", "PutItem", `{"TableName":"stock","Item":{"id":{"S":"`+id+`"}}}`)
}

func (w *world) run(args ...string) {
	w.t.Helper()
	cmd := exec.Command(w.program, args...)
	cmd.Env = append(os.Environ(), "MILLSTREAM_ENDPOINT="+w.endpoint)
	if out, err := cmd.CombinedOutput(); err != nil {
		w.t.Fatalf("%v: %v: %s", args, err, out)
	}
}

// pass lets time pass, with a scrape and an evaluation of the rules every 30 seconds; each, if set, comes before.
func (w *world) pass(d time.Duration, each func()) {
	w.t.Helper()
	for range int(d / (30 * time.Second)) {
		if each != nil {
			each()
		}
		w.run("clock", "advance", "30s")
		w.now = w.now.Add(30 * time.Second)
		w.scrape()
		w.evaluate()
	}
}

func (w *world) scrape() {
	w.t.Helper()
	res, err := http.Get(w.endpoint + "/metrics")
	if err != nil {
		w.t.Fatal(err)
	}
	defer res.Body.Close()
	p := expfmt.NewTextParser(model.UTF8Validation)
	families, err := p.TextToMetricFamilies(res.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	ms := w.now.UnixMilli()
	add := func(name string, v float64, pairs ...string) {
		w.db.add(labels.FromStrings(append(pairs, "__name__", name, "instance", "here", "job", "millstream")...), ms, v)
	}
	add("up", 1)
	for name, f := range families {
		w.known[name] = true
		if len(f.GetMetric()) > 0 && f.GetMetric()[0].GetHistogram() != nil {
			w.known[name+"_bucket"] = true
			continue
		}
		for _, m := range f.GetMetric() {
			var pairs []string
			for _, l := range m.GetLabel() {
				pairs = append(pairs, l.GetName(), l.GetValue())
			}
			add(name, m.GetCounter().GetValue()+m.GetGauge().GetValue()+m.GetUntyped().GetValue(), pairs...)
		}
	}
}

// evaluate notes which rules hold, and have for as long as they ask.
func (w *world) evaluate() {
	w.t.Helper()
	for _, r := range rules(w.t) {
		q, err := w.engine.NewInstantQuery(context.Background(), w.db, nil, r.Expr, w.now)
		if err != nil {
			w.t.Fatalf("%s: %v", r.Alert, err)
		}
		v, err := q.Exec(context.Background()).Vector()
		q.Close()
		if err != nil {
			w.t.Fatalf("%s: %v", r.Alert, err)
		}
		if len(v) == 0 {
			delete(w.since, r.Alert)
			delete(w.firing, r.Alert)
			continue
		}
		if w.since[r.Alert].IsZero() {
			w.since[r.Alert] = w.now
		}
		hold, _ := time.ParseDuration(r.For)
		w.firing[r.Alert] = w.now.Sub(w.since[r.Alert]) >= hold
	}
}

func (w *world) fires(want ...string) {
	w.t.Helper()
	for _, name := range want {
		if !w.firing[name] {
			w.t.Errorf("%s does not fire", name)
		}
	}
	for name, on := range w.firing {
		if on && !strings.Contains(strings.Join(want, " "), name) {
			w.t.Errorf("%s fires", name)
		}
	}
}

// A trigger that is blocked, one that falls behind, and records that are dropped, parked or mended each fire their alert and
// no other.
func TestRulesFire(t *testing.T) {
	w := serve(t)
	var fails atomic.Bool
	function := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if fails.Load() {
			rw.WriteHeader(http.StatusInternalServerError)
		}
		fmt.Fprint(rw, "{}")
	}))
	defer function.Close()
	var table struct {
		TableDescription struct{ LatestStreamArn string }
	}
	if err := json.Unmarshal(w.aws("POST", "/", "CreateTable", `{"TableName":"stock","AttributeDefinitions":[{"AttributeName":"id","AttributeType":"S"}],
		"KeySchema":[{"AttributeName":"id","KeyType":"HASH"}],"BillingMode":"PAY_PER_REQUEST","StreamSpecification":{"StreamEnabled":true,"StreamViewType":"NEW_IMAGE"}}`), &table); err != nil {
		t.Fatal(err)
	}
	w.aws("POST", "/2015-03-31/functions", "", `{"FunctionName":"f","PackageType":"Image","Code":{"ImageUri":"`+function.URL+`"},"Role":"arn:aws:iam::000000000000:role/r"}`)
	var mapping struct{ UUID string }
	if err := json.Unmarshal(w.aws("POST", "/2015-03-31/event-source-mappings", "",
		`{"EventSourceArn":"`+table.TableDescription.LatestStreamArn+`","FunctionName":"f","StartingPosition":"TRIM_HORIZON"}`), &mapping); err != nil {
		t.Fatal(err)
	}
	set := func(body string) { w.aws("PUT", "/2015-03-31/event-source-mappings/"+mapping.UUID, "", body) }

	w.put("a")
	w.pass(12*time.Minute, nil)
	w.fires()

	fails.Store(true)
	w.put("b")
	w.pass(6*time.Minute, nil)
	w.fires("MillstreamTriggerBlocked")
	w.pass(12*time.Minute, nil)
	w.fires("MillstreamTriggerBlocked", "MillstreamTriggerFallsBehind")

	set(`{"MaximumRetryAttempts":0}`)
	w.pass(3*time.Minute, nil)
	w.fires("MillstreamRecordsDropped")
	fails.Store(false)
	w.pass(15*time.Minute, nil)
	w.fires()

	w.run("triggers", "pause", "f")
	w.pass(12*time.Minute, func() { w.put("c") })
	w.fires("MillstreamTriggerFallsBehind")
	w.run("triggers", "resume", "f")
	w.pass(time.Minute, nil)
	w.fires()

	// Rules and dashboard ask for nothing that the program does not have.
	page, err := os.ReadFile("../../../docs/metrics.md") // held to the program by its own test; not every server has all
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z_]+)`").FindAllSubmatch(page, -1) {
		w.known[string(m[1])] = true
	}
	used := regexp.MustCompile(`millstream_[a-z_]+[a-z]`)
	for _, file := range []string{"millstream.rules.yml", "millstream.dashboard.json"} {
		text, err := os.ReadFile(operators + file)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range used.FindAllString(string(text), -1) {
			if !w.known[name] {
				t.Errorf("%s: there is no metric %s", file, name)
			}
		}
	}
	var board struct {
		Panels []struct{ Targets []struct{ Expr string } }
	}
	text, _ := os.ReadFile(operators + "millstream.dashboard.json")
	if err := json.Unmarshal(text, &board); err != nil {
		t.Fatal(err)
	}
	for _, p := range board.Panels {
		for _, q := range p.Targets {
			if _, err := parser.NewParser(parser.Options{}).ParseExpr(strings.ReplaceAll(q.Expr, "$__rate_interval", "5m")); err != nil {
				t.Errorf("%s: %v", q.Expr, err)
			}
		}
	}
}
