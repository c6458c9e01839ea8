package storm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"time"
)

// Function is a function that notes what it is called with, and judges it: every item is written with 1, 2, 3 and so on, and is to come so. What comes
// again is counted. One that has been passed is lost unless it comes later, which is out of order.
type Function struct {
	Fails int                   // one call in so many fails; 0: none
	Fault func(key string) bool // calls with a record of these keys fail, until Mend; nil: none
	Loose bool                  // the records of these keys come in whatever order

	mu     sync.Mutex
	mended bool
	keys   map[string]*keyed
	seen   int // without those that came again
	again  int
	late   []record // that were out of order
	by     int      // who called last
	at     time.Time
	gap    time.Duration // the longest between calls

	// Of takeovers: who is killed or stopped, since when nobody else has called, how long that was each time, and how many records came again from
	// each caller, one after the other.
	out     map[int]bool
	since   time.Time
	resumed []time.Duration
	repeats []int
}

// keyed is what has come of a key.
type keyed struct {
	newest  int
	missing map[int]bool // below it
}

// record is the nth of a key.
type record struct {
	key string
	n   int
}

func (r record) String() string { return fmt.Sprintf("%d of the item %s", r.n, r.key) }

var errFails = errors.New("the storm has this call fail")

// Call is a call by a node. It returns how many records the event has of each key.
func (f *Function) Call(by int, event []byte) (counts map[string]int, err error) {
	var e struct {
		Records []struct {
			DynamoDB struct {
				NewImage struct {
					PK struct{ S string } `json:"pk"`
					N  struct{ N string } `json:"n"`
				}
			} `json:"dynamodb"`
		}
	}
	if err := json.Unmarshal(event, &e); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.noteCall(by, time.Now())
	if !f.mended && f.Fails > 0 && rand.IntN(f.Fails) == 0 {
		return nil, errFails
	}
	for i := range e.Records {
		if f.Fault != nil && !f.mended && f.Fault(e.Records[i].DynamoDB.NewImage.PK.S) {
			return nil, errFails
		}
	}
	counts = map[string]int{}
	for i := range e.Records {
		image := &e.Records[i].DynamoDB.NewImage
		n, err := strconv.Atoi(image.N.N)
		if err != nil || n < 1 {
			return nil, fmt.Errorf("the item %q has the number %q", image.PK.S, image.N.N)
		}
		f.noteRecord(record{image.PK.S, n})
		counts[image.PK.S]++
	}
	return counts, nil
}

// noteCall notes who calls, and when.
func (f *Function) noteCall(by int, now time.Time) {
	if !f.at.IsZero() {
		f.gap = max(f.gap, now.Sub(f.at))
	}
	if f.at = now; f.by != by || len(f.repeats) == 0 {
		f.by, f.repeats = by, append(f.repeats, 0)
	}
	if !f.since.IsZero() && !f.out[by] {
		f.resumed, f.since = append(f.resumed, now.Sub(f.since)), time.Time{}
	}
}

// noteRecord notes a record that was processed.
func (f *Function) noteRecord(r record) {
	if f.keys == nil {
		f.keys = map[string]*keyed{}
	}
	k := f.keys[r.key]
	if k == nil {
		k = &keyed{missing: map[int]bool{}}
		f.keys[r.key] = k
	}
	switch {
	case r.n > k.newest:
		for n := k.newest + 1; n < r.n; n++ {
			k.missing[n] = true
		}
		k.newest = r.n
		f.seen++
	case k.missing[r.n]:
		delete(k.missing, r.n)
		f.seen++
		if !f.Loose || f.Fault == nil || !f.Fault(r.key) {
			f.late = append(f.late, r)
		}
	default:
		f.again++
		f.repeats[len(f.repeats)-1]++
	}
}

// Mend has it fail no more.
func (f *Function) Mend() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.mended = true
}

// Look tells how many records it has had, those that came again left out, how many did that, and who called last.
func (f *Function) Look() (seen, again, by int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.seen, f.again, f.by
}

// Gap is the longest time between two calls.
func (f *Function) Gap() time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.gap
}

// Judge tells what is wrong, if each key was written so often.
func (f *Function) Judge(written map[string]int) (faults []string) {
	lost, late := f.judge(written)
	for _, r := range lost {
		faults = append(faults, r.String()+" has not come")
	}
	for _, r := range late {
		faults = append(faults, r.String()+" came after a later one")
	}
	return faults
}

func (f *Function) judge(written map[string]int) (lost, late []record) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for key, n := range written {
		newest := 0
		if k := f.keys[key]; k != nil {
			newest = k.newest
			for n := range k.missing {
				lost = append(lost, record{key, n})
			}
		}
		for n := range n - newest {
			lost = append(lost, record{key, newest + 1 + n})
		}
	}
	return lost, append([]record(nil), f.late...)
}

// Await waits until it has had so many records. It may take as long as it likes while there are more.
func (f *Function) Await(ctx context.Context, n int, patience time.Duration) (seen int) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for last, since := -1, time.Now(); ; {
		if seen, _, _ = f.Look(); seen > last {
			last, since = seen, time.Now()
		}
		if seen >= n || time.Since(since) > patience {
			return seen
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return seen
		}
	}
}

// away notes whose calls are not those of who has taken over, and back who calls again.
func (f *Function) away(who []int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.out == nil {
		f.out = map[int]bool{}
	}
	for _, id := range who {
		f.out[id] = true
	}
	f.since = time.Now()
}

func (f *Function) back(who []int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, id := range who {
		delete(f.out, id)
	}
}
