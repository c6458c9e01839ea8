package examples

import (
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/millstreamdb/millstream/test/doors"
)

// statuses are the changes that each order goes through.
var statuses = []string{"placed", "paid", "shipped"}

// A partner that refuses some orders for a while delays no other, and is told of all
// changes of each order in their order.
func TestFlakyPartner(t *testing.T) {
	t.Parallel() // it waits for most of its time
	p := newPartner(t, "template.yaml", nil)
	for _, status := range statuses {
		p.change(status)
	}
	p.awaitTaken("good", "flaky")
	if n := p.taken("down"); n != 0 {
		t.Errorf("the partner took %d changes of an order that it refuses", n)
	}
	p.repair()
	p.awaitTaken("down")
	p.inOrder()
	p.report("with block-key")
}

// The server is killed while changes are held back.
func TestFlakyPartnerKilled(t *testing.T) {
	t.Parallel() // it waits for most of its time
	p := newPartner(t, "template.yaml", nil)
	p.change(statuses[0])
	p.awaitRefused("down", 2)
	p.change(statuses[1])
	p.kill()
	p.start()
	p.change(statuses[2])
	p.awaitTaken("good", "flaky")
	p.repair()
	p.awaitTaken("down")
	p.inOrder()
	p.report("with block-key and a kill")
}

// The same in AWS's way: three tries, then a queue, from which they are delivered later.
func TestFlakyPartnerQueue(t *testing.T) {
	t.Parallel() // it waits for most of its time
	python, _ := python(t, "boto3")
	p := newPartner(t, "template-queue.yaml", nil)
	p.orders = slices.DeleteFunc(p.orders, func(o string) bool { return strings.HasPrefix(o, "flaky") })
	p.statuses = statuses[:2] // each takes ten seconds
	for _, status := range p.statuses {
		p.change(status)
	}
	p.settle()
	queue := sqs.NewFromConfig(p.aws)
	depth := func() string {
		out, err := queue.GetQueueAttributes(t.Context(), &sqs.GetQueueAttributesInput{
			QueueUrl: aws.String(p.output("Failed")), AttributeNames: []sqstypes.QueueAttributeName{sqstypes.QueueAttributeNameApproximateNumberOfMessages},
		})
		if err != nil {
			t.Fatal(err)
		}
		return out.Attributes["ApproximateNumberOfMessages"]
	}
	t.Logf("%s documents in the queue", depth())
	p.repair()
	redeliver := run(t, "redeliver.py", p.dir, script(p.endpoint), python, "redeliver.py", p.output("Failed"))
	redeliver.await("records delivered")
	t.Log(strings.TrimSpace(redeliver.printed()))
	p.awaitTaken("good", "down")
	if n := depth(); n != "0" {
		t.Errorf("%s documents are left in the queue", n)
	}
	p.report("with a queue")
}

// script is what programs with AWS's SDK are told.
func script(endpoint string) []string {
	env := []string{"AWS_ENDPOINT_URL=" + endpoint, "AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=" + doors.Secret, "AWS_REGION=us-east-1", "AWS_DEFAULT_REGION=us-east-1"}
	return append(env, door.Env...)
}

// partner is the application with its partner.
type partner struct {
	*app
	url      string
	orders   []string
	statuses []string
	wrote    map[string]time.Time // when a change was answered, by order and status
}

func newPartner(t *testing.T, template string, env []string) *partner {
	python, path := python(t)
	api := run(t, "partner.py", filepath.Join(applications, "flaky-partner"), nil, python, "-u", "partner.py", "0")
	api.await("\n")
	p := &partner{url: strings.TrimSpace(api.printed()), orders: []string{"down0", "flaky0"}, statuses: statuses, wrote: map[string]time.Time{}}
	for n := range 30 {
		p.orders = append(p.orders, fmt.Sprintf("good%d", n))
	}
	p.app = serve(t, "flaky-partner", template, append(env, path), "Partner="+p.url)
	return p
}

// change moves every order on to a status.
func (p *partner) change(status string) {
	p.t.Helper()
	for _, order := range p.orders {
		_, err := p.db.PutItem(p.t.Context(), &dynamodb.PutItemInput{TableName: aws.String(p.output("Orders")), Item: map[string]types.AttributeValue{
			"id": str(order), "status": str(status),
		}})
		if err != nil {
			p.t.Fatal(err)
		}
		p.wrote[order+" "+status] = time.Now()
	}
}

func (p *partner) repair() {
	p.t.Helper()
	if status, _, err := request(p.t.Context(), http.MethodPost, p.url+"/repaired", nil); err != nil || status != http.StatusNoContent {
		p.t.Fatalf("repaired: %d %v", status, err)
	}
}

// call is one that the partner has had.
type call struct {
	Order, Status, Event string
	Taken                bool
	Time                 float64 // in seconds since 1970
}

// calls are those of the orders whose names begin so.
func (p *partner) calls(prefix string) []call {
	p.t.Helper()
	_, body, err := request(p.t.Context(), http.MethodGet, p.url+"/calls", nil)
	var all []call
	if err == nil {
		err = json.Unmarshal(body, &all)
	}
	if err != nil {
		p.t.Fatal(err)
	}
	return slices.DeleteFunc(all, func(c call) bool { return !strings.HasPrefix(c.Order, prefix) })
}

// taken is how many changes of the orders the partner has taken; one that it was told
// of twice counts once.
func (p *partner) taken(prefix string) int {
	p.t.Helper()
	events := map[string]bool{}
	for _, c := range p.calls(prefix) {
		if c.Taken {
			events[c.Event] = true
		}
	}
	return len(events)
}

func (p *partner) awaitTaken(prefixes ...string) {
	p.t.Helper()
	for _, prefix := range prefixes {
		want := 0
		for _, o := range p.orders {
			if strings.HasPrefix(o, prefix) {
				want += len(p.statuses)
			}
		}
		await(p.t, fmt.Sprintf("the partner has taken all changes of %s", prefix), func() bool { return p.taken(prefix) == want })
	}
}

func (p *partner) awaitRefused(prefix string, n int) {
	p.t.Helper()
	await(p.t, fmt.Sprintf("the partner has refused %s %d times", prefix, n), func() bool {
		return len(slices.DeleteFunc(p.calls(prefix), func(c call) bool { return c.Taken })) >= n
	})
}

// inOrder checks that the changes of each order were taken in their order.
func (p *partner) inOrder() {
	p.t.Helper()
	seen, taken := map[string]bool{}, map[string][]string{}
	for _, c := range p.calls("") {
		if c.Taken && !seen[c.Event] {
			seen[c.Event] = true
			taken[c.Order] = append(taken[c.Order], c.Status)
		}
	}
	for _, order := range p.orders {
		if !slices.Equal(taken[order], p.statuses) {
			p.t.Errorf("the partner took of %s %v", order, taken[order])
		}
	}
}

// report tells how the neighbours of the refused orders fared.
func (p *partner) report(how string) {
	p.t.Helper()
	took, tries, late := map[string]times{}, map[string]int{}, 0
	last := map[string]int{}
	seen := map[string]bool{}
	for _, c := range p.calls("") {
		kind := strings.TrimRight(c.Order, "0123456789")
		tries[kind]++
		if !c.Taken || seen[c.Event] {
			continue
		}
		seen[c.Event] = true
		took[kind] = append(took[kind], time.UnixMicro(int64(c.Time*1e6)).Sub(p.wrote[c.Order+" "+c.Status]))
		at := slices.Index(statuses, c.Status)
		if at < last[c.Order] {
			late++
		}
		last[c.Order] = max(at, last[c.Order])
	}
	for _, kind := range []string{"good", "flaky", "down"} {
		p.t.Logf("%s: %s: from write to taken: %s; %d calls", how, kind, took[kind], tries[kind])
	}
	p.t.Logf("%s: %d changes were taken after a later one of their order", how, late)
}
