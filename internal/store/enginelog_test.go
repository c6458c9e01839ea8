package store_test

import (
	"encoding/binary"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/record"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/prometheus/client_golang/prometheus"
)

// TestEngineForgetsFullBlocks shows why the witness is needed for large records, and
// says when it no longer is. The engine's log writer (record.LogWriter of Pebble
// v2.1.7) puts into each record's header how much of the log is synced, so that a
// reader who meets damage below that offset knows that it is damage. But its flush
// loop adds up only the part of the current block that it writes
// (`writtenOffset += uint64(len(data))`), and not the full blocks of 32 KB that it
// writes before (`pending`). So each block that fills up is missing from the offset:
// little of a log of small records, nearly all of one of large records.
func TestEngineForgetsFullBlocks(t *testing.T) {
	const block = 32 << 10
	for _, c := range []struct {
		size     int
		min, max float64 // of the log that its last header calls synced
	}{{100, 0.95, 1}, {500, 0.95, 1}, {20_000, 0, 0.9}, {60_000, 0, 0.7}, {300_000, 0, 0.5}, {4 << 20, 0, 0.5}} { // a mended one says 1
		mem := vfs.NewMem()
		f, err := mem.Create("000001.log", vfs.WriteCategoryUnspecified)
		if err != nil {
			t.Fatal(err)
		}
		w := record.NewLogWriter(f, 1, record.LogWriterConfig{
			WALFsyncLatency:     prometheus.NewHistogram(prometheus.HistogramOpts{}),
			WriteWALSyncOffsets: func() bool { return true },
		})
		write := func(n int) (end int64) {
			var wg sync.WaitGroup
			wg.Add(1)
			var failed error
			end, err := w.SyncRecord(make([]byte, n), &wg, &failed)
			wg.Wait()
			if err != nil || failed != nil {
				t.Fatal(err, failed)
			}
			return end
		}
		var synced int64
		for synced < 8<<20 {
			synced = write(c.size)
		}
		// The header of one small record more: at the end of what is synced, unless no
		// room is left in the block. Its offset field is behind crc, length, kind and log number.
		if block-synced%block < 100 {
			synced = write(block / 2)
		}
		write(1)
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		all, err := mem.UnsafeGetFileDataBuffer("000001.log")
		if err != nil {
			t.Fatal(err)
		}
		said := binary.LittleEndian.Uint64(all[synced+11:])
		share := float64(said) / float64(synced)
		t.Logf("records of %d bytes: %d bytes synced, the log says %d (%.3f)", c.size, synced, said, share)
		if share < c.min || share > c.max {
			t.Errorf("records of %d bytes: the log says %.3f of what is synced: has the engine been mended? Then say so in docs/reliability.md", c.size, share)
		}
	}
}
