package store

import (
	"time"

	dto "github.com/prometheus/client_model/go"
)

// Metrics is what /metrics shows of the engine.
type Metrics struct {
	Commits, Syncs                     uint64        // since Open; Syncs of the log
	SyncTime                           time.Duration // of all Syncs together
	DiskBytes, WALBytes, MemtableBytes uint64
	CompactionDebtBytes                uint64 // an estimate
	Compactions                        uint64 // since Open
	CacheBytes                         uint64 // blocks in the cache
}

// Metrics returns the engine's figures; all zero when the store is poisoned or
// closed. It takes the engine's lock for some microseconds.
func (s *Store) Metrics() Metrics {
	if s.check() != nil {
		return Metrics{}
	}
	m := s.db.Metrics()
	var syncs dto.Metric
	if h := m.LogWriter.FsyncLatency; h != nil && h.Write(&syncs) != nil {
		syncs.Reset()
	}
	return Metrics{
		Commits:             s.commits.Load(),
		Syncs:               syncs.GetHistogram().GetSampleCount(),
		SyncTime:            time.Duration(syncs.GetHistogram().GetSampleSum()), // the engine counts nanoseconds
		DiskBytes:           m.DiskSpaceUsage(),
		WALBytes:            m.WAL.PhysicalSize,
		MemtableBytes:       m.MemTable.Size,
		CompactionDebtBytes: m.Compact.EstimatedDebt,
		Compactions:         uint64(m.Compact.Count),
		CacheBytes:          uint64(m.BlockCache.Size),
	}
}
