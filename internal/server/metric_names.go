package server

import (
	"slices"

	"github.com/millstreamdb/millstream/internal/counter"
)

// Metric is one row of the table of metrics.
type Metric struct {
	Name   string
	Kind   string // counter, gauge or histogram
	Labels []string
	Help   string
}

// MetricTable is every metric under /metrics beside the go_ and process_ ones
// that the Prometheus client adds. Names and labels are frozen: dashboards
// depend on them. docs/metrics.md quotes this table; the order is the one to read
// it in. Names that end in _events_total are those of AWS's metrics for event
// source mappings (PolledEventCount, ...), and count records.
var MetricTable = slices.Concat([]Metric{
	requestsTotal,
	requestSeconds,
	requestsInFlight,
	connections,
	requestsRefused,
	authFailures,
	auditLost,
	commitsTotal,
	streamRecordsTotal,
	streamHeldBytes,
	triggerLagRecords,
	triggerLagSeconds,
	triggerBlocked,
	triggerUnread,
	triggerSetAside,
}, triggerCounters, []Metric{
	queueMessages,
	queueOldest,
	deliveriesGivenUp,
	endsUntold,
	invocationsTotal,
	invocationSeconds,
	buildInfo,
	healthy,
	damagedFiles, quarantinedRanges, replicationLag, replicationWaiting, replicationEnd, replicationBackupAge, standbyLag,
	backupAge, backupVerifiedAge, backupsUnverified,
	nodesAlive, streamsUnowned, streamsWorked, claimsLost, tablesCalls, tablesSeconds, callsRouted, leftOut,
	diskFree,
	diskReserve,
	diskUsed,
	syncsTotal,
	syncSeconds,
	compactionsTotal,
	compactionDebt,
	writesRefused,
	clockAhead,
})

// triggerCounters are the counters of package counter, in its order.
var triggerCounters = func() (all []Metric) {
	for _, row := range counter.Rows {
		all = append(all, Metric{row.Metric, "counter", mappingLabels, row.Help})
	}
	return all
}()

var (
	requestsTotal = Metric{"millstream_requests_total", "counter", []string{"api", "operation", "code"},
		"Requests answered. api is dynamodb, streams, sts, lambda, sqs, sns, events, scheduler, cloudformation, s3, ssm, ecr, iam, logs, admin or http (the front door); code is OK, the AWS error, or the status."}
	requestSeconds = Metric{"millstream_request_seconds", "histogram", []string{"api", "operation"},
		"Time from a request's header to the end of its answer."}
	requestsInFlight = Metric{"millstream_requests_in_flight", "gauge", nil,
		"Requests under way."}
	connections = Metric{"millstream_connections", "gauge", nil,
		"Connections of clients that stand, of all listeners."}
	requestsRefused = Metric{"millstream_requests_refused_total", "counter", []string{"reason"},
		"Requests refused at the door: host, origin, header or busy."}
	authFailures = Metric{"millstream_auth_failures_total", "counter", []string{"service", "reason", "mode"},
		"Requests whose signature was not accepted, by AWS's error code. With mode warn they were answered all the same."}
	auditLost = Metric{"millstream_audit_lost_total", "counter", nil,
		"Calls that could not be written to the audit file. They were answered all the same."}
	commitsTotal = Metric{"millstream_commits_total", "counter", nil,
		"Batches committed by the store."}
	streamRecordsTotal = Metric{"millstream_stream_records_total", "counter", nil,
		"Change records written to streams."}
	streamHeldBytes = Metric{"millstream_stream_held_bytes", "gauge", nil,
		"Bytes of records past their retention that are kept for mappings which have not read them."}

	mappingLabels     = []string{"mapping", "table", "function"}
	triggerLagRecords = Metric{"millstream_trigger_lag_records", "gauge", mappingLabels,
		"Records of the stream that the mapping has not finished; of a mapping on a queue, its visible messages and those in flight. table is the queue's name then."}
	triggerLagSeconds = Metric{"millstream_trigger_lag_seconds", "gauge", mappingLabels,
		"Age of the oldest record that the mapping has not finished, or of the queue's oldest message; 0 when there is none."}
	triggerBlocked = Metric{"millstream_trigger_blocked", "gauge", mappingLabels,
		"1 while a batch or a held record fails and is tried again."}
	triggerUnread = Metric{"millstream_trigger_removed_unread_events", "gauge", mappingLabels,
		"Records of the ranges on record that were removed before the mapping had read them."}
	triggerSetAside = Metric{"millstream_trigger_set_aside_records", "gauge", append(append([]string(nil), mappingLabels...), "kind"),
		"Records that are set aside. kind is held, telling or parked."}

	queueMessages = Metric{"millstream_queue_messages", "gauge", []string{"account", "region", "queue", "state"},
		"Messages of a queue. state is visible, in_flight or delayed."}
	queueOldest = Metric{"millstream_queue_oldest_seconds", "gauge", []string{"account", "region", "queue"},
		"Age of the queue's oldest message; 0 when there is none."}

	deliveriesGivenUp = Metric{"millstream_deliveries_given_up_total", "counter", nil,
		"Messages of topics and starts of schedules that were given up since the start; each goes to its dead-letter queue where it has one."}
	endsUntold = Metric{"millstream_untold_events_total", "counter", nil,
		"Event invocations whose end was dropped before the destination or dead-letter queue had been told, since the start."}

	invocationsTotal = Metric{"millstream_invocations_total", "counter", []string{"function", "outcome"},
		"Invocations of functions. outcome is ok, error, throttled or undelivered."}
	invocationSeconds = Metric{"millstream_invocation_seconds", "histogram", []string{"function"},
		"Time from handing an event to the function to its answer."}
	buildInfo = Metric{"millstream_build_info", "gauge", []string{"version", "go"},
		"1, with the version of the program."}
	healthy = Metric{"millstream_healthy", "gauge", nil,
		"1 while /healthz is green."}
	diskFree = Metric{"millstream_disk_free_bytes", "gauge", nil,
		"Bytes free on the disk of the data."}
	diskReserve = Metric{"millstream_disk_reserve_bytes", "gauge", nil,
		"Writes are refused while fewer bytes are free; deletes, while fewer than three quarters of it are."}
	diskUsed = Metric{"millstream_disk_used_bytes", "gauge", nil,
		"Bytes that the database takes on the disk, without code of functions, what they print, backups and buckets."}
	syncsTotal = Metric{"millstream_syncs_total", "counter", nil,
		"Syncs of the log; many writes share one."}
	syncSeconds = Metric{"millstream_sync_seconds_total", "counter", nil,
		"Time that syncs of the log took, together. Divided by their number it is what a write waits for the disk."}
	compactionsTotal = Metric{"millstream_compactions_total", "counter", nil,
		"Compactions of the database's files, by which they become fewer."}
	compactionDebt = Metric{"millstream_compaction_debt_bytes", "gauge", nil,
		"Bytes that wait to be compacted, as the engine estimates."}
	writesRefused = Metric{"millstream_writes_refused_total", "counter", nil,
		"Writes refused because the disk is nearly full, or because damage would soon stop them."}
	clockAhead = Metric{"millstream_clock_ahead_seconds", "gauge", nil,
		"How far the clock is ahead of what it should be. Above 0 nothing is removed by age until it is accepted or has agreed with itself for as long."}
	replicationLag = Metric{"millstream_replication_lag_seconds", "gauge", nil,
		"Age of the oldest write that could not be restored from where the server replicates to; 0 when all of them could. Only with --replicate."}
	replicationWaiting = Metric{"millstream_replication_waiting_batches", "gauge", nil,
		"Batches that were committed and are not known to be in the place to which the server replicates. Only with --replicate, as the next two."}
	replicationEnd = Metric{"millstream_replication_shipped_end", "gauge", nil,
		"The engine's number of the first write that is not known to be there; what is before it is. It rises with each write."}
	replicationBackupAge = Metric{"millstream_replication_backup_age_seconds", "gauge", nil,
		"Age of the backup with which a restore from there begins; below 0 until there is one. A new one is made each day in which something was written."}
	backupAge = Metric{"millstream_backup_age_seconds", "gauge", nil,
		"Age of the newest backup that millstream backup has made of the running server. Absent until there is one."}
	backupVerifiedAge = Metric{"millstream_backup_verified_age_seconds", "gauge", nil,
		"Age of the newest backup of the server that was found whole, by backups verify --tell or check --replica --tell; below 0 when none was. Absent, as the next, until the server is told of a backup."}
	backupsUnverified = Metric{"millstream_backups_unverified", "gauge", nil,
		"Backups that were made since the newest that was found whole; at most 1,000."}
	standbyLag = Metric{"millstream_standby_lag_seconds", "gauge", nil,
		"How long ago a standby had all that was copied to the place that it follows; below 0 until it has had it once. Only with --standby-of."}
	nodesAlive = Metric{"millstream_nodes_alive", "gauge", nil,
		"Nodes that live over the same tables, as this one sees them. This and the rest about nodes only with --tables."}
	streamsUnowned = Metric{"millstream_streams_unowned", "gauge", nil,
		"Streams that no living node works, as this one sees them: for longer than a lease it is a fault."}
	streamsWorked = Metric{"millstream_streams_worked", "gauge", nil,
		"Streams that this node works."}
	claimsLost = Metric{"millstream_claims_lost_total", "counter", nil,
		"Streams that this node worked and lost without handing them over: it was silent for too long."}
	tablesCalls = Metric{"millstream_tables_calls_total", "counter", []string{"operation", "outcome"},
		"Calls of this node's own to the server of the tables. outcome is ok, refused (status 400, as for a condition that does not hold) or failed."}
	tablesSeconds = Metric{"millstream_tables_call_seconds_total", "counter", []string{"operation"},
		"Time that those calls took. Reads of streams wait for records."}
	callsRouted = Metric{"millstream_routed_calls_total", "counter", nil,
		"Calls for which this node had no room, and that another has run."}
	leftOut = Metric{"millstream_records_left_out_total", "counter", nil,
		"Records that the tables' engine told behind later ones of their shard, and that this node left out; each time that it read them."}
	quarantinedRanges = Metric{"millstream_quarantined_ranges", "gauge", nil,
		"Ranges of keys that were taken out of the database since they were damaged. Requests for what lies there fail until it is restored."}
	damagedFiles = Metric{"millstream_damaged_files", "gauge", nil,
		"Files of the database in which damage was met since the start. What they hold cannot be read."}
)
