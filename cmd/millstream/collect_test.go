package main

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"testing"
)

// Beyond what lives there is as much garbage as there is room for, at most four times what lives, and as much as that at least.
func TestGrowth(t *testing.T) {
	for live, want := range map[uint64]int{0: 400, 24 << 20: 400, 25 << 20: 350, 48 << 20: 200, 90 << 20: 100, 1 << 30: 100} {
		if got := growth(live); got != want {
			t.Errorf("with %d MB alive the heap grows by %d %%, want %d", live>>20, got, want)
		}
	}
}

// The growth follows what lives.
func TestCollectLess(t *testing.T) {
	t.Setenv("GOGC", "")
	defer debug.SetGCPercent(debug.SetGCPercent(100))
	collectLess()
	set := func() int {
		is := []metrics.Sample{{Name: "/gc/gogc:percent"}}
		metrics.Read(is)
		return int(is[0].Value.Uint64())
	}
	await := func(want int) {
		t.Helper()
		for range 1000 { // a finalizer runs some time after its collection
			runtime.GC()
			if set() == want {
				return
			}
			runtime.Gosched()
		}
		t.Errorf("the heap grows by %d %%, want %d", set(), want)
	}
	await(mostGrowth)
	much := make([]byte, 200<<20)
	await(leastGrowth)
	runtime.KeepAlive(much)
	much = nil
	await(mostGrowth)
}
