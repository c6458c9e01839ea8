package loop

import (
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"time"

	"github.com/millstreamdb/millstream/internal/store/crashtest"
)

// doom is the crash that ends a life: the disk as it is at one of its writes to the log, chosen beforehand.
type doom struct {
	disk    *crashtest.Disk
	at      func() // called at the crash; may be nil
	crashed *crashtest.Disk
	reached chan struct{}
}

// doomed chooses the crash: after up to one of these numbers of writes.
func doomed(disk *crashtest.Disk, rng *rand.Rand, writes [3]int64, at func()) *doom {
	d := &doom{disk: disk, at: at, reached: make(chan struct{})}
	var countdown atomic.Int64
	countdown.Store(1 + rng.Int64N(writes[rng.IntN(len(writes))]))
	copied := rng.Uint64()
	disk.Fail(func(_, file string) error {
		if strings.HasSuffix(file, ".log") && countdown.Add(-1) == 0 {
			d.crash(copied)
			close(d.reached)
		}
		return nil
	})
	return d
}

func (d *doom) crash(seed uint64) {
	if d.at != nil {
		d.at()
	}
	d.crashed = d.disk.Clone(seed)
}

// left is what the crash has left; a life that has not come so far ends now.
func (d *doom) left(rng *rand.Rand) *crashtest.Disk {
	select {
	case <-d.reached:
	case <-time.After(2 * time.Second):
	}
	d.disk.Fail(nil)
	if d.crashed == nil {
		d.crash(rng.Uint64())
	}
	return d.crashed
}
