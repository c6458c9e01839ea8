package trigger

import (
	"context"
	"fmt"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/millstreamdb/millstream/internal/backend"
	"github.com/millstreamdb/millstream/internal/seqnum"
	"github.com/millstreamdb/millstream/internal/trigger/lane"
	"github.com/millstreamdb/millstream/internal/trigger/mapping"
)

// benchBackend reads from a slice without copying, so that what is measured is
// the engine.
type benchBackend struct {
	backend.Backend
	records []lane.Record
}

func (b *benchBackend) Read(_ context.Context, _, _ string, after seqnum.Num, maxRecords, _ int) (lane.Page, error) {
	from := int(after.Lo)
	return lane.Page{Records: b.records[from:min(from+maxRecords, len(b.records))]}, nil
}

// A backlog through an empty function; the budget of the whole path is 150,000
// records/s.
func BenchmarkCatchUp(b *testing.B) {
	for _, c := range []struct{ batch, factor int }{{1000, 1}, {1000, 10}, {100, 1}, {100, 10}, {1, 1}} {
		b.Run(fmt.Sprintf("batch=%d/factor=%d", c.batch, c.factor), func(b *testing.B) {
			h := newHarness(b, "t")
			keys := make([]int, b.N)
			for i := range keys {
				keys[i] = i * 7
			}
			h.backend.writeSized("t", 0, 400, keys...)
			h.stop()
			sh := h.backend.streams[testScope.StreamARN("t", testLabel)].shards[0]
			records := make([]lane.Record, len(sh.log))
			for i, r := range sh.log {
				records[i] = r
			}
			h.invoker.set("f", ok)
			h.opts.Invoker = emptyInvoker{h.invoker}
			e, err := New(b.Context(), Options{Backend: &benchBackend{h.backend.open(), records}, Invoker: h.opts.Invoker, Log: h.opts.Log})
			if err != nil {
				b.Fatal(err)
			}
			ctx, cancel := context.WithCancel(context.Background())
			ended := make(chan error, 1)
			go func() { ended <- e.Run(ctx) }()
			<-e.Ready()
			h.Engine = e
			b.ReportAllocs()
			b.ResetTimer()
			before := cpuTime(b)
			h.create("t", "f", func(r *mapping.CreateRequest) { r.BatchSize, r.ParallelizationFactor = &c.batch, &c.factor })
			if err := e.Settle(b.Context()); err != nil {
				b.Fatal(err)
			}
			b.StopTimer()
			b.ReportMetric(float64(cpuTime(b)-before)/float64(b.N), "cpu-ns/record")
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "records/s")
			cancel()
			<-ended
		})
	}
}

type emptyInvoker struct{ *fakeInvoker }

func (emptyInvoker) Invoke(context.Context, string, []byte) lane.Result { return lane.Result{} }

// From the wake of one record to the function, with ten mappings on the stream.
func BenchmarkWakeToInvoke(b *testing.B) {
	h := newHarness(b, "t")
	started := make(chan time.Time, 1)
	for i := range 9 {
		name := fmt.Sprint("f", i)
		h.invoker.set(name, ok)
		h.create("t", name, nil)
	}
	h.invoker.set("f", func(context.Context, []byte) lane.Result { started <- time.Now(); return lane.Result{} })
	h.create("t", "f", nil)
	var sum time.Duration
	for i := range b.N {
		at := time.Now()
		h.backend.write("t", 0, i)
		sum += (<-started).Sub(at)
	}
	b.ReportMetric(float64(sum.Microseconds())/float64(b.N), "µs/delivery")
	h.stop()
}

// cpuTime is what the process has used of the processors, which other programs on the machine change little.
func cpuTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// The CPU time of 1,000 idle mappings over one second.
func BenchmarkIdle(b *testing.B) {
	h := newHarness(b, "t")
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := range 1000 {
		name := fmt.Sprint("f", i)
		h.invoker.set(name, ok)
		h.create("t", name, nil)
	}
	h.backend.write("t", 0, 1)
	if err := h.Settle(b.Context()); err != nil {
		b.Fatal(err)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	start := cpuTime(b)
	b.ResetTimer()
	for range b.N {
		<-time.After(time.Second)
	}
	b.ReportMetric(float64((cpuTime(b)-start).Microseconds())/float64(b.N), "µs-cpu/s")
	b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/1000, "B/mapping")
	h.stop()
}
