package app

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/millstreamdb/millstream/internal/api/lambda"
	"github.com/millstreamdb/millstream/internal/arn"
	"github.com/millstreamdb/millstream/internal/server"
	"github.com/millstreamdb/millstream/internal/trigger"
)

// newMetrics shows what the rooms count.
func (s *App) newMetrics() *server.Metrics {
	var nodes func() server.NodeStats
	if s.node != nil {
		nodes = s.node.stats
	}
	return server.NewMetrics(server.Sources{
		Nodes:         nodes,
		Version:       s.opts.Version,
		StreamRecords: s.streams.Records,
		HeldBytes:     s.streams.Held,
		Health:        s.health,
		Space:         s.store.Space,
		Engine: func() server.EngineStats {
			m := s.store.Metrics()
			return server.EngineStats{Commits: m.Commits, DiskBytes: m.DiskBytes, Syncs: m.Syncs, SyncTime: m.SyncTime, Compactions: m.Compactions, DebtBytes: m.CompactionDebtBytes}
		},
		RefusedWrites:    func() uint64 { return s.tables.RefusedWrites() + s.queues.RefusedSends() },
		GivenUp:          s.outbox.GivenUp,
		Untold:           func() uint64 { return s.functions.Stats().Untold },
		ClockAhead:       func() time.Duration { return max(0, s.clock.Doubt().Ahead) },
		ReplicationLag:   s.replicationLag(),
		Replication:      s.replicationStats(),
		Backups:          s.backups.stats,
		DamagedFiles:     func() int { return len(s.store.Damages()) },
		Quarantined:      func() int { return len(s.store.Quarantine()) },
		LambdaOperations: lambda.Operations(), LambdaOperation: lambda.OperationOf,
		Mappings: func() []server.MappingStats {
			statuses, err := s.engine.Statuses(context.Background())
			if err != nil {
				s.opts.Logger.Warn("metrics of triggers are not to be had", "error", err)
				return nil
			}
			statuses = slices.DeleteFunc(statuses, func(st trigger.MappingStatus) bool { return st.Elsewhere }) // the node that works it tells
			stats := make([]server.MappingStats, len(statuses))
			for i, st := range statuses {
				stats[i] = server.MappingStats{
					Mapping: st.UUID, Table: arn.TableOf(st.StreamARN), Function: arn.FunctionOf(st.FunctionARN),
					LagRecords: st.LagRecords, LagSeconds: st.LagSeconds,
					Counts: st.Counters, Blocked: st.Blocked(),
					HeldNow: st.Held, TellingNow: st.Telling, ParkedNow: st.Parked,
				}
				unread, err := s.backend.UnreadOf(st.UUID)
				if err != nil {
					s.opts.Logger.Warn("metrics of what was removed unread are not to be had", "mapping", st.UUID, "error", err)
				}
				for _, u := range unread {
					stats[i].Unread += u.Count
				}
			}
			onQueues, err := s.pollers.Statuses()
			if err != nil {
				s.opts.Logger.Warn("metrics of triggers on queues are not to be had", "error", err)
			}
			for i := range onQueues {
				st := &onQueues[i]
				stats = append(stats, server.MappingStats{
					Mapping: st.UUID, Table: st.Queue(), Function: arn.FunctionOf(st.FunctionARN), LagRecords: uint64(st.Backlog), LagSeconds: st.AgeSeconds,
					Counts: st.Counters, Blocked: st.Error != "",
				})
			}
			return stats
		},
		Queues: func() (stats []server.QueueStats) {
			for _, q := range s.queues.All(arn.Scope{}) {
				c, err := q.Counts()
				sent, some, ageErr := q.Oldest()
				if err := errors.Join(err, ageErr); err != nil {
					s.opts.Logger.Warn("metrics of a queue are not to be had", "queue", q.ARN(), "error", err)
					continue
				}
				st := server.QueueStats{Account: q.Scope().Account, Region: q.Scope().Region, Queue: q.Name(), Visible: c.Visible, InFlight: c.InFlight, Delayed: c.Delayed}
				if some {
					st.OldestSeconds = max(0, s.clock.Wall().Sub(time.UnixMilli(sent)).Seconds())
				}
				stats = append(stats, st)
			}
			return stats
		},
	})
}
