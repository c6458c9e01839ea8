package trigger

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// trends counts topics in a window's state, and keeps the counts of each window that closed.
type trends struct{ closed map[string]map[string]int }

func (f *trends) call(_ context.Context, payload []byte) Result {
	var in struct {
		Records []struct{ Key string }
		Window  struct{ Start, End string }
		State   map[string]int
		Final   bool `json:"isFinalInvokeForWindow"`
	}
	if err := json.Unmarshal(payload, &in); err != nil {
		return Result{Outcome: FunctionError, Error: err.Error()}
	}
	if in.Final {
		f.closed[in.Window.Start+"-"+in.Window.End] = in.State
		return Result{}
	}
	if in.State == nil {
		in.State = map[string]int{}
	}
	for _, r := range in.Records {
		in.State[r.Key]++
	}
	state, _ := json.Marshal(in.State)
	return Result{Payload: []byte(`{"state":` + string(state) + `}`)}
}

// Trending topics over windows that AWS does not have: 5,000 events in windows of 20 minutes, and of a day, with
// restarts in the middle of both.
func TestTrendingTopics(t *testing.T) {
	for _, c := range []struct {
		window time.Duration
		gap    time.Duration // between events
	}{{20 * time.Minute, time.Second}, {24 * time.Hour, time.Minute}} {
		t.Run(c.window.String(), func(t *testing.T) {
			bubble(t, func(t *testing.T, h *harness) {
				f := &trends{closed: map[string]map[string]int{}}
				h.invoker.set("f", f.call)
				h.create("t", "f", withTags("millstream:tumbling-window", fmt.Sprint(int(c.window.Seconds()))))
				rnd := rand.New(rand.NewPCG(1, 2))
				want := map[string]map[string]int{}
				for i := range 5000 {
					topic := min(rnd.IntN(30), rnd.IntN(30)) // the first ones trend
					start := time.Now().UTC().Truncate(c.window)
					name := start.Format(time.RFC3339) + "-" + start.Add(c.window).Format(time.RFC3339)
					if want[name] == nil {
						want[name] = map[string]int{}
					}
					want[name][fmt.Sprint(topic)]++
					h.backend.write("t", 0, topic)
					if i%1000 == 500 {
						synctest.Wait()
						h.crash()
					}
					time.Sleep(c.gap)
				}
				time.Sleep(2 * c.window)
				synctest.Wait()
				if len(f.closed) != len(want) {
					t.Fatalf("%d windows closed, want %d", len(f.closed), len(want))
				}
				for name, topics := range want {
					got := fmt.Sprint(f.closed[strings.ReplaceAll(name, "+00:00", "Z")])
					if got != fmt.Sprint(topics) {
						t.Errorf("window %s: %s, want %v", name, got, topics)
					}
				}
			})
		})
	}
}
