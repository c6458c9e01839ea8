package function

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
)

// BenchmarkWarmInvoke measures one call of a warm process, from Invoke to its
// answer, and how many processes side by side can serve.
func BenchmarkWarmInvoke(b *testing.B) {
	for _, environments := range []int{1, 8} {
		b.Run(fmt.Sprint("environments=", environments), func(b *testing.B) {
			s := open(b, Options{Concurrency: environments})
			createGo(b, s, "f")
			invoke := func() {
				out, err := s.Invoke(b.Context(), scope, Invocation{Name: "f", Payload: []byte(`{"do":"echo","text":"x"}`), Trusted: true})
				if err != nil || out.FunctionError != "" {
					b.Errorf("%v %s", err, out.Payload)
				}
			}
			for range 100 {
				var g sync.WaitGroup
				for range environments {
					g.Go(invoke)
				}
				g.Wait()
			}
			b.ReportAllocs()
			b.ResetTimer()
			var left atomic.Int64
			left.Store(int64(b.N))
			var g sync.WaitGroup
			for range environments {
				g.Go(func() {
					for left.Add(-1) >= 0 {
						invoke()
					}
				})
			}
			g.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
		})
	}
}
