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
	program  string // millstream, whose clock is moved; empty: another server, which only seems to have time pass
	endpoint string
	now      time.Time
	db       *memory
	engine   *promql.Engine
	since    map[string]time.Time // when a rule began to hold
	firing   map[string]bool
	known    map[string]bool    // names of metrics
	down     bool               // the server has ended
	told     map[string]float64 // values of metrics in place of the server's
}

// serve starts millstream itself, with a clock that stands still.
func serve(t *testing.T) *world {
	w := begin(t)
	if w.program = os.Getenv("MILLSTREAM_BIN"); w.program == "" {
		w.program = build(t, "./cmd/millstream")
	}
	w.start(w.program, "serve", "--in-memory", "--clock", "manual", "--listen", "127.0.0.1:0")
	return w
}

func begin(t *testing.T) *world {
	return &world{
		t: t, since: map[string]time.Time{}, firing: map[string]bool{}, known: map[string]bool{"up": true}, now: time.Now(), db: &memory{},
		engine: promql.NewEngine(promql.EngineOpts{MaxSamples: 1e6, Timeout: time.Minute, EnableNegativeOffset: true}),
	}
}

func build(t *testing.T, what string) string {
	program := filepath.Join(t.TempDir(), "program")
	build := exec.Command("go", "build", "-o", program, what)
	build.Dir = "../../.."
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return program
}

// start runs a server, whose endpoint is the world's from then on, and returns it with its input.
func (w *world) start(program string, args ...string) (*exec.Cmd, io.Writer) {
	w.t.Helper()
	cmd := exec.Command(program, args...)
	in, err := cmd.StdinPipe()
	if err != nil {
		w.t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		w.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	w.endpoint = ""
	for lines := bufio.NewScanner(out); w.endpoint == "" && lines.Scan(); {
		if _, rest, ok := strings.Cut(lines.Text(), "AWS_ENDPOINT_URL="); ok {
			w.endpoint, _, _ = strings.Cut(rest, " ")
		}
	}
	if w.endpoint == "" {
		w.t.Fatal("the server has not begun")
	}
	go func() { _, _ = io.Copy(io.Discard, out) }()
	return cmd, in
}

func (w *world) aws(method, path, target, body string) []byte {
	w.t.Helper()
	status, answer := w.try(method, path, target, body)
	if status >= 300 {
		w.t.Fatalf("%s %s%s: %d %s", method, path, target, status, answer)
	}
	return answer
}

func (w *world) try(method, path, target, body string) (status int, answer []byte) {
	w.t.Helper()
	res, err := http.DefaultClient.Do(w.request(method, path, target, body))
	if err != nil {
		w.t.Fatal(err)
	}
	defer res.Body.Close()
	answer, _ = io.ReadAll(res.Body)
	return res.StatusCode, answer
}

func (w *world) request(method, path, target, body string) *http.Request {
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
	return req
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
		if w.program != "" {
			w.run("clock", "advance", "30s")
		}
		w.now = w.now.Add(30 * time.Second)
		w.scrape()
		w.evaluate()
	}
}

func (w *world) scrape() {
	w.t.Helper()
	ms := w.now.UnixMilli()
	add := func(name string, v float64, pairs ...string) {
		w.db.add(labels.FromStrings(append(pairs, "__name__", name, "instance", "here", "job", "millstream")...), ms, v)
	}
	res, err := http.Get(w.endpoint + "/metrics")
	if w.down {
		if err == nil {
			w.t.Fatal("a server that has ended answers")
		}
		add("up", 0)
		return
	}
	if err != nil {
		w.t.Fatal(err)
	}
	defer res.Body.Close()
	p := expfmt.NewTextParser(model.UTF8Validation)
	families, err := p.TextToMetricFamilies(res.Body)
	if err != nil {
		w.t.Fatal(err)
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
			v := m.GetCounter().GetValue() + m.GetGauge().GetValue() + m.GetUntyped().GetValue()
			if told, ok := w.told[name]; ok {
				v = told
			}
			add(name, v, pairs...)
		}
	}
	for name, v := range w.told { // of what this server does not do
		if families[name] == nil {
			add(name, v)
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

// A disk that is full, one that is slow, one that fails, and a clock or files that are not right each fire their alert and no other.
func TestRulesFireForTheMachine(t *testing.T) {
	w := begin(t)
	program := build(t, "./test/failingdisk")
	server, disk := w.start(program)
	w.aws("POST", "/", "CreateTable", `{"TableName":"stock","AttributeDefinitions":[{"AttributeName":"id","AttributeType":"S"}],"KeySchema":[{"AttributeName":"id","KeyType":"HASH"}],"BillingMode":"PAY_PER_REQUEST"}`)
	// free changes the room on the disk, and waits until the server, which looks once a second, has seen it.
	free := func(bytes int64) {
		t.Helper()
		fmt.Fprintln(disk, "free", bytes)
		want := fmt.Sprintf("millstream_disk_free_bytes %v\n", float64(bytes))
		for began := time.Now(); ; time.Sleep(50 * time.Millisecond) {
			w.try("POST", "/", "PutItem", `{"TableName":"stock","Item":{"id":{"S":"a"}}}`) // a write has it look
			res, err := http.Get(w.endpoint + "/metrics")
			if err != nil {
				t.Fatal(err)
			}
			text, err := io.ReadAll(res.Body)
			res.Body.Close()
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(string(text), want) {
				return
			}
			if time.Since(began) > time.Minute {
				t.Fatalf("the server does not see that %d bytes are free", bytes)
			}
		}
	}
	free(10 << 30)
	w.pass(5*time.Minute, nil)
	w.fires()

	free(400 << 20) // less than twice the reserve
	w.pass(2*time.Minute, nil)
	w.fires("MillstreamDiskNearlyFull")
	free(100 << 20)
	// until writes until the answer is as it must be: the server looks at the disk once a second.
	until := func(want int, text string) {
		t.Helper()
		for began := time.Now(); ; time.Sleep(50 * time.Millisecond) {
			status, answer := w.try("POST", "/", "PutItem", `{"TableName":"stock","Item":{"id":{"S":"a"}}}`)
			if status == want && strings.Contains(string(answer), text) {
				return
			}
			if time.Since(began) > time.Minute {
				t.Fatalf("a write: %d %s, not %d %s", status, answer, want, text)
			}
		}
	}
	w.pass(2*time.Minute, func() { until(500, "nearly full") })
	w.fires("MillstreamDiskNearlyFull", "MillstreamWritesRefused")
	free(10 << 30)
	until(200, "")
	w.pass(7*time.Minute, nil)
	w.fires()

	// One write in two minutes is enough to tell that syncs are slow; none at all tells nothing.
	fmt.Fprintln(disk, "slow 200")
	steps := 0
	w.pass(11*time.Minute, func() {
		if steps++; steps%4 == 1 {
			w.aws("POST", "/", "PutItem", fmt.Sprintf(`{"TableName":"stock","Item":{"id":{"S":"a"},"n":{"N":"%d"}}}`, steps))
		}
	})
	w.fires("MillstreamDiskSlow")
	fmt.Fprintln(disk, "slow 0")
	w.pass(7*time.Minute, nil)
	w.fires()

	// What the machine does not do here is told in the server's place; internal/app holds that the server tells it.
	w.told = map[string]float64{"millstream_clock_ahead_seconds": 400 * 86400}
	w.pass(6*time.Minute, nil)
	w.fires("MillstreamClockAhead")
	w.told = map[string]float64{"millstream_damaged_files": 1, "millstream_healthy": 0}
	w.pass(time.Minute, nil)
	w.fires("MillstreamDamage", "MillstreamUnhealthy")
	w.told = map[string]float64{"millstream_quarantined_ranges": 1}
	w.pass(time.Minute, nil)
	w.fires("MillstreamQuarantine")
	const day = 86400
	backups := func(age, verified, unverified float64, want ...string) {
		t.Helper()
		w.told = map[string]float64{"millstream_backup_age_seconds": age, "millstream_backup_verified_age_seconds": verified, "millstream_backups_unverified": unverified}
		w.pass(time.Minute, nil)
		w.fires(want...)
	}
	backups(day, 7*day, 6)
	backups(3*day, 7*day, 4, "MillstreamBackupOld")
	backups(day, 9*day, 8, "MillstreamBackupUnverified")
	backups(day, -1, 3) // it has only begun
	backups(day, -1, 8, "MillstreamBackupUnverified")
	backups(day, day, 1)
	w.told = map[string]float64{"millstream_replication_lag_seconds": 90}
	w.pass(2*time.Minute, nil)
	w.fires("MillstreamReplicationBehind")
	for _, lag := range []float64{90, -1} {
		w.told = map[string]float64{"millstream_standby_lag_seconds": lag}
		w.pass(6*time.Minute, nil)
		w.fires("MillstreamStandbyBehind")
	}
	w.told = map[string]float64{"millstream_standby_lag_seconds": 0.05}
	w.pass(time.Minute, nil)
	w.fires()
	w.told = nil
	w.pass(time.Minute, nil)
	w.fires()

	// The first sync that fails ends the server, and no write is answered.
	fmt.Fprintln(disk, "fail")
	for began := time.Now(); ; time.Sleep(50 * time.Millisecond) {
		res, err := http.DefaultClient.Do(w.request("POST", "/", "PutItem", `{"TableName":"stock","Item":{"id":{"S":"b"}}}`))
		if err != nil {
			break
		}
		res.Body.Close()
		if res.StatusCode != 200 {
			break
		}
		if time.Since(began) > time.Minute {
			t.Fatal("writes go on although syncs fail")
		}
	}
	if err := server.Wait(); err == nil {
		t.Error("the server ends as if all were well")
	}
	w.down = true
	w.pass(2*time.Minute, nil)
	w.fires("MillstreamDown")
	w.down = false
	w.start(program)
	w.pass(time.Minute, nil)
	w.fires("MillstreamRestarted")
	w.pass(20*time.Minute, nil)
	w.fires()
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

	w.told = map[string]float64{"millstream_trigger_unknown_losses_total": 1} // as over another engine than Millstream
	w.pass(time.Minute, nil)
	w.fires("MillstreamRecordsExpired")
	w.pass(11*time.Minute, nil)
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

// The rules of nodes: a stream that nobody works and claims that were lost are told in the node's place; that the server of the tables is gone it tells itself.
func TestRulesFireForNodes(t *testing.T) {
	w := begin(t)
	program := build(t, "./cmd/millstream")
	server, _ := w.start(program, "serve", "--in-memory", "--listen", "127.0.0.1:0", "--console-listen", "off")
	w.start(program, "serve", "--tables", w.endpoint, "--data", t.TempDir(), "--lease", "2s", "--listen", "127.0.0.1:0", "--console-listen", "off")
	w.told = map[string]float64{"millstream_claims_lost_total": 0} // what a start costs the machine is not the test's
	w.pass(5*time.Minute, nil)
	w.fires()

	w.told["millstream_streams_unowned"] = 1
	w.pass(2*time.Minute, nil)
	w.fires("MillstreamStreamsUnowned")
	delete(w.told, "millstream_streams_unowned")
	w.told["millstream_claims_lost_total"] = 1
	w.pass(time.Minute, nil)
	w.fires("MillstreamClaimsLost")
	w.pass(16*time.Minute, nil)
	w.fires()
	w.told["millstream_records_left_out_total"] = 1
	w.pass(time.Minute, nil)
	w.fires("MillstreamRecordsLeftOut")
	w.pass(11*time.Minute, nil)
	w.fires()

	if err := server.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	failed := func() (n float64) {
		t.Helper()
		res, err := http.Get(w.endpoint + "/metrics")
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		p := expfmt.NewTextParser(model.UTF8Validation)
		families, err := p.TextToMetricFamilies(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range families["millstream_tables_calls_total"].GetMetric() {
			for _, l := range m.GetLabel() {
				if l.GetName() == "outcome" && l.GetValue() == "failed" {
					n += m.GetCounter().GetValue()
				}
			}
		}
		return n
	}
	// A scrape stands for half a minute: so many calls fail until the next.
	w.pass(4*time.Minute, func() {
		was, began := failed(), time.Now()
		for failed() < was+4 {
			if time.Since(began) > time.Minute {
				t.Fatal("calls of a server that is gone do not fail")
			}
			time.Sleep(20 * time.Millisecond)
		}
	})
	if !w.firing["MillstreamTablesUnreachable"] {
		t.Error("MillstreamTablesUnreachable does not fire")
	}
}
