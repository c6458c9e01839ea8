package examples

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
)

// Orders are summed up in a metrics store, exactly, and who writes them does not notice.
func TestOrderMetrics(t *testing.T) {
	m := newMetrics(t)
	m.write(500) // until everything is warm
	var without, with times
	for range 3 {
		m.enable(false)
		without = append(without, m.write(1000)...)
		m.enable(true)
		with = append(with, m.write(1000)...)
	}
	t.Logf("a write without the trigger: %s", without)
	t.Logf("a write with the trigger:    %s", with)
	// Far more than noise: a write that waited for the function would be slower by more.
	if limit := 5*without.at(50) + 20*time.Millisecond; with.at(50) > limit {
		t.Errorf("the median of a write with the trigger is %s, without it %s", with.at(50), without.at(50))
	}
	m.check()
}

// The server is killed among the orders; no sum has one twice, or not at all.
func TestOrderMetricsKilled(t *testing.T) {
	m := newMetrics(t)
	var writing sync.WaitGroup
	writing.Go(func() { m.write(4000) })
	await(t, "a third of the orders", func() bool { return m.orders.Load() > 1300 })
	m.kill()
	m.start()
	writing.Wait()
	m.check()
}

type metrics struct {
	*app
	store  string
	orders atomic.Int64 // that were taken
	next   atomic.Int64
	cents  atomic.Int64
}

func newMetrics(t *testing.T) *metrics {
	t.Helper()
	program, err := exec.LookPath(cmp.Or(os.Getenv("EXAMPLES_VICTORIAMETRICS"), "victoria-metrics"))
	if err != nil {
		absent(t, "VictoriaMetrics is not installed (Debian's package victoria-metrics); or set EXAMPLES_VICTORIAMETRICS to its program")
	}
	addr := freeAddr(t)
	// Equal points are kept once.
	run(t, "victoria-metrics", "", nil, program, "-httpListenAddr", addr, "-storageDataPath", t.TempDir(), "-dedup.minScrapeInterval", "1ms", "-memory.allowedBytes", "256MB")
	m := &metrics{store: "http://" + addr}
	answers(t, m.store+"/health")
	m.app = serve(t, "order-metrics", "template.yaml", nil, "Store="+m.store, "Window=1")
	return m
}

// write writes orders from eight clients, each of which takes a breath after each, and
// each again until it is taken; it gives the times of those that were taken at once.
func (m *metrics) write(n int) times {
	m.t.Helper()
	var mu sync.Mutex
	var took times
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			pace := time.NewTicker(8 * time.Millisecond) // a thousand a second, of all together
			defer pace.Stop()
			for range n / 8 {
				<-pace.C
				id := m.next.Add(1)
				began, tries := time.Now(), 0
				await(m.t, "an order is taken", func() bool {
					tries++
					_, err := m.db.PutItem(m.t.Context(), &dynamodb.PutItemInput{TableName: aws.String(m.table("Orders")), Item: map[string]types.AttributeValue{
						"id": str(fmt.Sprintf("order%d", id)), "shop": str(shop(id)), "cents": num(cents(id)),
					}})
					return err == nil
				})
				if tries == 1 {
					mu.Lock()
					took = append(took, time.Since(began))
					mu.Unlock()
				}
				m.orders.Add(1)
				m.cents.Add(cents(id))
			}
		})
	}
	all.Wait()
	return took
}

func shop(id int64) string { return fmt.Sprintf("shop%d", id%7) }
func cents(id int64) int64 { return 100 + id*37%5000 }

// enable turns the trigger on and off. What is written while it is off is handled when
// it is on.
func (m *metrics) enable(on bool) {
	m.t.Helper()
	client := lambda.NewFromConfig(m.aws)
	all, err := client.ListEventSourceMappings(m.t.Context(), &lambda.ListEventSourceMappingsInput{FunctionName: aws.String(m.output("Function"))})
	if err != nil || len(all.EventSourceMappings) != 1 {
		m.t.Fatalf("the mapping: %+v, %v", all, err)
	}
	id, state := all.EventSourceMappings[0].UUID, map[bool]string{true: "Enabled", false: "Disabled"}[on]
	if _, err := client.UpdateEventSourceMapping(m.t.Context(), &lambda.UpdateEventSourceMappingInput{UUID: id, Enabled: &on}); err != nil {
		m.t.Fatal(err)
	}
	await(m.t, "the mapping is "+state, func() bool {
		now, err := client.GetEventSourceMapping(m.t.Context(), &lambda.GetEventSourceMappingInput{UUID: id})
		if err != nil {
			m.t.Fatal(err)
		}
		return *now.State == state
	})
	if on {
		m.settle() // what was left over is not to be measured with what comes
	}
}

// check compares the sums of the store with the orders.
func (m *metrics) check() {
	m.t.Helper()
	wantOrders, wantCents := m.orders.Load(), m.cents.Load()
	await(m.t, fmt.Sprintf("%d orders in the store", wantOrders), func() bool { return m.sum("orders") >= wantOrders })
	if orders, sum := m.sum("orders"), m.sum("order_cents"); orders != wantOrders || sum != wantCents {
		m.t.Errorf("the store has %d orders of %d cents, want %d of %d", orders, sum, wantOrders, wantCents)
	}
	m.t.Logf("the store has %d orders of %d cents in %d points", wantOrders, wantCents, m.sum("orders", "count_over_time"))
}

// sum asks the store what a metric comes to, over all points.
func (m *metrics) sum(metric string, over ...string) int64 {
	m.t.Helper()
	if status, _, err := request(m.t.Context(), http.MethodGet, m.store+"/internal/force_flush", nil); err != nil || status != http.StatusOK {
		m.t.Fatalf("flush: %d %v", status, err)
	}
	function := "sum_over_time"
	if len(over) > 0 {
		function = over[0]
	}
	// Points lie at the ends of their windows, the last of which may be a moment ahead.
	q := url.Values{"query": {"sum(" + function + "(" + metric + "[1h]))"}, "time": {fmt.Sprint(time.Now().Add(time.Minute).Unix())}, "nocache": {"1"}}
	_, body, err := request(m.t.Context(), http.MethodGet, m.store+"/api/v1/query?"+q.Encode(), nil)
	if err != nil {
		m.t.Fatal(err)
	}
	var answer struct {
		Data struct{ Result []struct{ Value [2]any } }
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		m.t.Fatalf("%v in %s", err, body)
	}
	if len(answer.Data.Result) == 0 {
		return 0
	}
	var n float64
	if _, err := fmt.Sscan(answer.Data.Result[0].Value[1].(string), &n); err != nil {
		m.t.Fatalf("%v in %s", err, body)
	}
	return int64(n)
}
