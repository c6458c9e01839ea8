package bench

import (
	"context"
	"encoding/binary"
	"fmt"
	"log"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"golang.org/x/sync/errgroup"
)

// engineCeiling is what Pebble alone does with the bytes of the PutItem load: as
// many writers, each committing an item of 1 KiB and its stream record (key and
// new image) in one batch, and waiting for the sync.
func engineCeiling(ctx context.Context, dir string, writers int, length time.Duration) (perSecond float64, err error) {
	return loadedEngineCeiling(ctx, dir, writers, 0, length)
}

// loadedEngineCeiling is engineCeiling after so many bytes of items and records were written.
func loadedEngineCeiling(ctx context.Context, dir string, writers int, loaded int64, length time.Duration) (perSecond float64, err error) {
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
	e := &bareEngine{db: db}
	e.noisy = loaded > 0
	puts := uint64(loaded) / (2 * itemBytes)
	if err := e.write(ctx, writers, func(put uint64) bool { return put <= puts }); err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, length)
	defer cancel()
	before, start := e.puts.Load(), time.Now()
	if err := e.write(ctx, writers, func(uint64) bool { return ctx.Err() == nil }); err != nil {
		return 0, err
	}
	return float64(e.puts.Load()-before) / time.Since(start).Seconds(), nil
}

// A bareEngine is Pebble with the writes of PutItem and nothing around it.
type bareEngine struct {
	db    *pebble.DB
	noisy bool          // items are of noise; else of zeros
	puts  atomic.Uint64 // begun, each with a number from 1
}

// write has writers put until the number of a put is not to go on.
func (e *bareEngine) write(ctx context.Context, writers int, goOn func(put uint64) bool) error {
	all, ctx := errgroup.WithContext(ctx)
	for range writers {
		all.Go(func() error {
			item := make([]byte, itemBytes+16)      // tags and lengths
			record := make([]byte, itemBytes+16+64) // header, key, image
			for {
				put := e.puts.Add(1)
				if !goOn(put) || ctx.Err() != nil {
					return nil
				}
				if e.noisy {
					copy(item, noiseOf(put))
					copy(record, noiseOf(put))
				}
				if err := e.put(put, item, record); err != nil {
					return err
				}
			}
		})
	}
	return all.Wait()
}

func (e *bareEngine) put(put uint64, item, record []byte) error {
	batch := e.db.NewBatch()
	itemKey := binary.BigEndian.AppendUint64([]byte{3, 0, 0, 0, 1}, put*0x9e3779b97f4a7c15)
	itemKey = fmt.Appendf(itemKey, "%016d", put)
	logKey := binary.BigEndian.AppendUint64([]byte{6, 0, 0, 0, 1, 0, 0, 0, 0}, put)
	if err := batch.Set(itemKey, item, nil); err != nil {
		return err
	}
	if err := batch.Set(logKey, record, nil); err != nil {
		return err
	}
	// A put looks for the old item; so does this.
	switch _, closer, err := e.db.Get(itemKey); err {
	case nil:
		if err := closer.Close(); err != nil {
			return err
		}
	case pebble.ErrNotFound:
	default:
		return err
	}
	return batch.Commit(pebble.Sync)
}

// silent drops what Pebble logs, except what must end the process.
type silent struct{}

func (silent) Infof(string, ...any)              {}
func (silent) Errorf(string, ...any)             {}
func (silent) Fatalf(format string, args ...any) { log.Fatalf(format, args...) }
