package loop

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/millstreamdb/millstream/internal/schema"
	"github.com/millstreamdb/millstream/internal/trigger/lane"
)

// delivered is what a function sees of one record.
type delivered struct {
	ID   string `json:"eventID"`
	Name string `json:"eventName"`
	Body struct {
		Keys struct {
			Pk struct{ S string } `json:"pk"`
		}
		New            image  `json:"NewImage"`
		Old            image  `json:"OldImage"`
		SequenceNumber string `json:"SequenceNumber"`
	} `json:"dynamodb"`
}

type image struct {
	W struct{ S string } `json:"w"`
}

// parseEvents reads an invocation's payload, or one event.
func parseEvents(doc []byte, payload bool) ([]delivered, error) {
	if !payload {
		d := make([]delivered, 1)
		return d, json.Unmarshal(doc, &d[0])
	}
	var p struct{ Records []delivered }
	err := json.Unmarshal(doc, &p)
	return p.Records, err
}

// functions is an invoker whose functions are Go funcs, by name.
type functions map[string]func(ctx context.Context, payload []byte) lane.Result

func (functions) Resolve(_ context.Context, scope schema.Scope, name string) (string, error) {
	return scope.FunctionARN(name), nil
}

func (f functions) Invoke(ctx context.Context, arn string, payload []byte) lane.Result {
	return f[nameOf(arn)](ctx, payload)
}

func nameOf(arn string) string { return arn[strings.LastIndexByte(arn, ':')+1:] }

// moody is an invoker whose functions note what they are given, and then do well
// or badly by chance, until they are told to be calm.
type moody struct {
	life *life
	calm chan struct{}

	mu   sync.Mutex // guards rand
	rand *rand.Rand
}

func (*moody) Resolve(_ context.Context, scope schema.Scope, name string) (string, error) {
	return scope.FunctionARN(name), nil
}

func (m *moody) chance(n int) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.rand.IntN(n)
}

func (m *moody) Invoke(ctx context.Context, arn string, payload []byte) lane.Result {
	events, err := parseEvents(payload, true)
	if err != nil {
		m.life.fail(err)
	}
	c := m.life.begin(nameOf(arn), events)
	m.life.point()
	r := m.behave(ctx)
	m.life.end(c, r.Outcome)
	m.life.point()
	return r
}

func (m *moody) behave(ctx context.Context) lane.Result {
	select {
	case <-m.calm:
		return lane.Result{}
	default:
	}
	wait := time.Duration(0)
	r := lane.Result{Error: "by chance"}
	switch k := m.chance(100); {
	case k < 45:
	case k < 60:
		wait = time.Duration(m.chance(int(3 * time.Millisecond)))
	case k < 68:
		wait = time.Duration(m.chance(int(time.Second)))
	case k < 78:
		r.Outcome = lane.FunctionError
	case k < 88:
		r.Outcome = lane.FunctionError
		wait = time.Duration(m.chance(int(300 * time.Millisecond)))
	case k < 97:
		r.Outcome = lane.NotDelivered
		r.RetryAfter = time.Duration(m.chance(int(time.Second)))
	default: // hangs
		r.Outcome = lane.FunctionError
		wait = 1000 * time.Hour
	}
	if wait == 0 {
		return r
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-m.calm:
	case <-ctx.Done():
		r.Outcome = lane.FunctionError
	}
	return r
}
