package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"
)

// A measurement prints one or more results.
type measurement struct {
	name string
	run  func(ctx context.Context, o Options, r *report) error
}

var measurements = []measurement{
	{"put", measurePut},
	{"get", measureGet},
	{"operations", measureOperations},
	{"fill", measureFill},
	{"latency", measureLatency},
	{"subscribers", measureSubscribers},
	{"isolation", measureIsolation},
	{"catchup", measureCatchUp},
	{"poison", measurePoison},
	{"fleet", measureFleet},
	{"start", measureStart},
	{"loaded", measureLoaded},
	{"idle", measureIdle},
	{"mappings", measureIdleMappings},
	{"queues", measureQueues},
	{"queuemappings", measureIdleQueueMappings},
	{"queuebacklog", measureQueueBacklog},
	{"curves", measureCurves},
	{"growth", measureGrowth},
	{"fanout", measureFanOut},
	{"processors", measureProcessors},
}

// quick are the measurements that Quick takes unless Only names others: each is done in a few seconds.
var quick = []string{"put", "get", "latency", "start", "idle"}

// Names returns what Options.Only may hold.
func Names() []string {
	var names []string
	for _, m := range measurements {
		names = append(names, m.name)
	}
	return names
}

// Main runs the measurements and prints each with its budget, its ceiling and a
// verdict. A budget that is not met is printed, not returned: an error means that
// something could not be measured.
func Main(ctx context.Context, o Options, stdout io.Writer) error {
	if addr := os.Getenv(ceilingVariable); addr != "" {
		return serveEmptyHandler(addr)
	}
	for _, name := range o.Only {
		if !slices.Contains(Names(), name) {
			return fmt.Errorf("bench: no measurement is called %q (there are %s)", name, strings.Join(Names(), ", "))
		}
	}
	if o.Quick && len(o.Only) == 0 {
		o.Only = quick
	}
	r := &report{out: stdout, quick: o.Quick}
	fmt.Fprintf(stdout, "millstream bench: %s/%s, %d processors, %d connections, %v a measurement; server, load and ceilings share this machine\n\n",
		runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), o.connections(), o.duration())
	if o.Endpoint != "" {
		return compare(ctx, o, r, []Peer{{o.Endpoint, o.Endpoint}}, nil)
	}
	var failures []error
	for _, m := range measurements {
		if len(o.Only) > 0 && !slices.Contains(o.Only, m.name) {
			continue
		}
		if err := m.run(ctx, o, r); err != nil {
			fmt.Fprintf(stdout, "%s: NOT MEASURED: %v\n\n", m.name, err)
			failures = append(failures, fmt.Errorf("bench %s: %w", m.name, err))
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	r.summary()
	return errors.Join(failures...)
}

// A result is one figure beside its budget. measured, budget and ceiling are in
// the same unit, which format prints.
type result struct {
	name        string
	measured    float64
	budget      float64
	atMost      bool // the budget is an upper bound
	ceiling     float64
	ceilingName string
	format      func(float64) string
	why         string // one line: what the figure is made of
}

func (r result) met() bool {
	if r.atMost {
		return r.measured <= r.budget
	}
	return r.measured >= r.budget
}

// belowAThird says that not even a third of the budget was reached.
func (r result) belowAThird() bool {
	if r.atMost {
		return r.measured > 3*r.budget
	}
	return r.measured < r.budget/3
}

type report struct {
	out     io.Writer
	quick   bool // figures for a first impression, which are not judged
	results []result
}

// note prints a figure that has no budget.
func (r *report) note(format string, args ...any) {
	fmt.Fprintf(r.out, "  "+format+"\n\n", args...)
}

func (r *report) add(res result) {
	r.results = append(r.results, res)
	relation := "at least"
	if res.atMost {
		relation = "at most"
	}
	fmt.Fprintf(r.out, "%s\n  measured %s   budget %s %s", res.name, res.format(res.measured), relation, res.format(res.budget))
	if res.ceilingName != "" {
		fmt.Fprintf(r.out, "   ceiling %s (%s)", res.format(res.ceiling), res.ceilingName)
	}
	fmt.Fprintf(r.out, "   %s\n  %s\n\n", r.verdict(res), res.why)
}

func (r *report) verdict(res result) string {
	switch {
	case r.quick && res.met():
		return "within the budget"
	case r.quick:
		return "outside the budget"
	case res.met():
		return "MET"
	case res.belowAThird():
		return "NOT MET, and beyond a third of the budget"
	}
	return "NOT MET"
}

func (r *report) summary() {
	met := 0
	var missed []string
	for _, res := range r.results {
		if res.met() {
			met++
		} else {
			missed = append(missed, res.name)
		}
	}
	if r.quick {
		fmt.Fprintf(r.out, "A first impression: %d of %d figures are within the budgets.\n"+
			"Budgets are for a machine that does nothing else. Whatever runs beside this, in a container or on a shared host too,\n"+
			"makes the figures worse, and two runs differ. `millstream bench` measures longer: it takes minutes.\n", met, len(r.results))
		return
	}
	fmt.Fprintf(r.out, "%d of %d budgets met", met, len(r.results))
	if len(missed) > 0 {
		fmt.Fprintf(r.out, "; not met: %s", strings.Join(missed, "; "))
	}
	fmt.Fprintln(r.out)
}

// Formats of figures.

func perSecond(v float64) string { return thousands(int64(v)) + "/s" }

func milliseconds(v float64) string {
	return fmt.Sprintf("%.2f ms", v/float64(time.Millisecond))
}

func mebibytes(v float64) string { return fmt.Sprintf("%.1f MB", v/(1<<20)) }

func percent(v float64) string { return fmt.Sprintf("%.2f %%", 100*v) }

func thousands(n int64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// folder makes a data folder and returns what removes it.
func (o Options) folder() (dir string, remove func(), err error) {
	dir, err = os.MkdirTemp(o.Dir, "millstream-bench-")
	if err != nil {
		return "", nil, err
	}
	return dir, func() { _ = os.RemoveAll(dir) }, nil // best effort: a temporary folder
}
