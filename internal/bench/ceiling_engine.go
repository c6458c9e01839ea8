package bench

import (
	"context"
	"encoding/binary"
	"fmt"
	"log"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

// engineCeiling is what Pebble alone does with the bytes of the PutItem load: as
// many writers, each committing an item of 1 KiB and its stream record (key and
// new image) in one batch, and waiting for the sync.
func engineCeiling(ctx context.Context, dir string, writers int, length time.Duration) (perSecond float64, err error) {
	db, err := pebble.Open(dir, &pebble.Options{
		FormatMajorVersion:          pebble.FormatNewest,
		MemTableSize:                32 << 20,
		MemTableStopWritesThreshold: 2,
		Logger:                      silent{},
	})
	if err != nil {
		return 0, err
	}
	defer func() {
		if e := db.Close(); err == nil {
			err = e
		}
	}()
	ctx, cancel := context.WithTimeout(ctx, length)
	defer cancel()
	var commits atomic.Int64
	var sequence atomic.Uint64
	var failure atomic.Pointer[error]
	var all sync.WaitGroup
	start := time.Now()
	for writer := range writers {
		all.Go(func() {
			item := make([]byte, itemBytes+16)      // tags and lengths
			record := make([]byte, itemBytes+16+64) // header, key, image
			for n := uint64(0); ctx.Err() == nil; n++ {
				batch := db.NewBatch()
				itemKey := binary.BigEndian.AppendUint64([]byte{3, 0, 0, 0, 1}, (n*64+uint64(writer))*0x9e3779b97f4a7c15)
				itemKey = fmt.Appendf(itemKey, "%016d", n)
				logKey := binary.BigEndian.AppendUint64([]byte{6, 0, 0, 0, 1, 0, 0, 0, 0}, sequence.Add(1))
				err := batch.Set(itemKey, item, nil)
				if err == nil {
					err = batch.Set(logKey, record, nil)
				}
				if err == nil {
					// A put looks for the old item; so does this.
					if _, closer, e := db.Get(itemKey); e == nil {
						err = closer.Close()
					} else if e != pebble.ErrNotFound {
						err = e
					}
				}
				if err == nil {
					err = batch.Commit(pebble.Sync)
				}
				if err != nil {
					failure.Store(&err)
					cancel()
					return
				}
				commits.Add(1)
			}
		})
	}
	all.Wait()
	if e := failure.Load(); e != nil {
		return 0, *e
	}
	return float64(commits.Load()) / time.Since(start).Seconds(), nil
}

// silent drops what Pebble logs, except what must end the process.
type silent struct{}

func (silent) Infof(string, ...any)              {}
func (silent) Errorf(string, ...any)             {}
func (silent) Fatalf(format string, args ...any) { log.Fatalf(format, args...) }
