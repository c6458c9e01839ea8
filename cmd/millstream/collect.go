package main

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

// A server keeps little for long, and makes much that is garbage at once: with a heap of 20 MB Go collects each time 20 more have come, some ten times
// a second, which took a third of what catching up costs. So the heap may have roomForGarbage before that, or five times what lives if that is less.
const (
	roomForGarbage = 96 << 20
	mostGrowth     = 400 // percent of what lives
	leastGrowth    = 100 // Go's own
)

// collectLess has Go collect garbage less often, from now on, unless GOGC says how often. GOMEMLIMIT holds all the same.
func collectLess() {
	if os.Getenv("GOGC") != "" {
		return
	}
	c := &collection{growth: mostGrowth}
	debug.SetGCPercent(c.growth)
	c.await()
}

// collection is garbage itself, to be told of each collection.
type collection struct {
	growth int
	_      [64]byte // tiny objects are not collected one by one
}

func (c *collection) await() {
	runtime.SetFinalizer(c, func(c *collection) {
		live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
		metrics.Read(live)
		if growth := growth(live[0].Value.Uint64()); growth != c.growth {
			c.growth = growth
			debug.SetGCPercent(growth)
		}
		c.await()
	})
}

// growth is by how many percent the heap may grow beyond what lives. It has few values: to set another stops the program for a moment.
func growth(live uint64) int {
	for growth := mostGrowth; growth > leastGrowth; growth -= 50 {
		if live*uint64(growth)/100 <= roomForGarbage {
			return growth
		}
	}
	return leastGrowth
}
