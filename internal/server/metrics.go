package server

import (
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	adminwire "github.com/millstreamdb/millstream/internal/admin/wire"
	"github.com/millstreamdb/millstream/internal/counter"
	"github.com/millstreamdb/millstream/internal/door"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Sources are what the rooms behind the door count, asked at every scrape. Each
// must be cheap and safe to call at any time; nil ones are left out.
type Sources struct {
	Version       string
	Engine        func() EngineStats
	StreamRecords func() uint64
	HeldBytes     func() int64
	Mappings      func() []MappingStats
	Queues        func() []QueueStats
	Health        func() error
	DamagedFiles  func() int
	// ReplicationLag is the age of the oldest write that could not be restored from the chain; nil without one.
	ReplicationLag func() time.Duration
	// Quarantined is the number of ranges of keys that were taken out of the database.
	Quarantined func() int
	// Replication is how far the place has come that the server replicates to; nil without one.
	Replication func() ReplicationStats
	// Backups are those that the server was told of; false: there are none.
	Backups func() (BackupStats, bool)
	// StandbyLag is how long ago a standby had all that the place has, below 0 when it never had; nil for other servers.
	StandbyLag func() time.Duration
	// Space returns the bytes that are free on the disk of the data, and those below which writes are refused; known is false when
	// the disk cannot tell.
	Space         func() (free, reserve uint64, known bool)
	RefusedWrites func() uint64
	// GivenUp counts deliveries of topics and schedules that were given up; Untold, ends of Event invocations that nobody was told of.
	GivenUp, Untold func() uint64
	// Nodes tells of the nodes over the same tables; nil: this server keeps its own.
	Nodes func() NodeStats
	// ClockAhead is how far the clock is ahead of what it should be.
	ClockAhead func() time.Duration
	// LambdaOperations are the names that LambdaOperation returns; it is empty for
	// requests that ask for none of them. nil: all are counted as "other".
	LambdaOperations []string
	LambdaOperation  func(*http.Request) string
}

// ReplicationStats is how far a place has come that a server replicates to.
type ReplicationStats struct {
	Waiting   int           // batches that are not known to be there
	End       uint64        // of what is
	BackupAge time.Duration // of the newest; below 0: there is none
}

// BackupStats are the backups that a server was told of.
type BackupStats struct {
	Age, VerifiedAge time.Duration // of the newest, and the newest that was found whole; below 0: none was
	Unverified       int           // newer than the newest that was
}

// NodeStats is what a node sees of itself and the others.
type NodeStats struct {
	Alive, Unowned, Worked int // nodes, streams that nobody works, and those that this one does
	ClaimsLost, Routed     uint64
	LeftOut                uint64 // records that came late
	Calls                  []TablesCalls
}

// TablesCalls are the calls of one operation to the tables' server.
type TablesCalls struct {
	Operation           string
	OK, Refused, Failed uint64
	Time                time.Duration
}

// EngineStats is the database.
type EngineStats struct {
	Commits                uint64        // batches of writes
	DiskBytes              uint64        // of its files
	Syncs                  uint64        // of its log
	Compactions, DebtBytes uint64        // compactions since the start, and an estimate of what waits for one
	SyncTime               time.Duration // of all syncs together
}

// QueueStats is one queue.
type QueueStats struct {
	Account, Region, Queue     string
	Visible, InFlight, Delayed int     // messages
	OldestSeconds              float64 // age of the oldest message; 0 when there is none
}

// MappingStats is one event source mapping.
type MappingStats struct {
	Mapping, Table, Function string // UUID and names; Table is the queue's where it is on one

	LagRecords uint64
	LagSeconds float64
	Blocked    bool   // a batch or a held record fails, and is tried again
	Unread     uint64 // records removed before it had read them

	Counts counter.Mapping

	HeldNow, TellingNow, ParkedNow int
}

// Metrics counts what passes the door and shows it with what its sources count.
// All methods may be called by many goroutines at once.
type Metrics struct {
	registry *prometheus.Registry
	sources  Sources

	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	inFlight atomic.Int64
	refused  *prometheus.CounterVec
	auth     *prometheus.CounterVec
	unheard  *prometheus.CounterVec

	invocations       *prometheus.CounterVec
	invocationSeconds *prometheus.HistogramVec

	// What is counted of each operation, so that a request costs one look-up of a
	// string and no label is ever made from what a caller sent: by X-Amz-Target, by
	// Lambda's name, by the path of the admin protocol; other is by api.
	targets, lambda, admin, other map[string]*operation
	sts, front                    *operation

	functions sync.Map // function name → *functionChildren
	doors     sync.Map // those that are open
}

// NewMetrics returns metrics over these sources.
func NewMetrics(sources Sources) *Metrics {
	m := &Metrics{
		registry:    prometheus.NewPedanticRegistry(),
		sources:     sources,
		requests:    counterVec(requestsTotal),
		seconds:     histogramVec(requestSeconds, requestBuckets),
		refused:     counterVec(requestsRefused),
		auth:        counterVec(authFailures),
		unheard:     counterVec(auditLost),
		invocations: counterVec(invocationsTotal),
		invocationSeconds: histogramVec(invocationSeconds,
			[]float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 900}),
		targets: make(map[string]*operation),
		lambda:  make(map[string]*operation),
		admin:   make(map[string]*operation),
		other:   make(map[string]*operation),
	}
	for _, op := range dynamodbOperations {
		m.targets[dynamodbTarget+op] = &operation{metrics: m, api: "dynamodb", name: op}
	}
	m.targets[adminwire.SendingTarget] = m.targets[dynamodbTarget+"TransactWriteItems"]
	for _, op := range streamsOperations {
		m.targets[streamsTarget+op] = &operation{metrics: m, api: "streams", name: op}
	}
	for _, op := range sources.LambdaOperations {
		m.lambda[op] = &operation{metrics: m, api: "lambda", name: op}
	}
	for _, op := range adminOperations {
		m.admin[adminPath+op] = &operation{metrics: m, api: "admin", name: op}
	}
	m.unheard.WithLabelValues() // is shown as 0
	m.sts = &operation{metrics: m, api: "sts", name: "GetCallerIdentity"}
	m.front = &operation{metrics: m, api: "http", name: "request"}
	for _, api := range []string{"dynamodb", "streams", "lambda", "admin", "logs", "sqs", "sns", "events", "scheduler", "cloudformation", "s3", "ssm", "ecr", "iam"} {
		m.other[api] = &operation{metrics: m, api: api, name: "other"}
	}
	m.registry.MustRegister(m.requests, m.seconds, m.refused, m.auth, m.unheard, m.invocations, m.invocationSeconds,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), scrape{m})
	return m
}

// AuthRefused counts requests whose signature was not accepted; its labels are from fixed lists.
func (m *Metrics) AuthRefused(mode AuthMode) func(service, reason string) {
	return func(service, reason string) { m.auth.WithLabelValues(service, reason, mode.String()).Inc() }
}

// AuditLost counts an event that could not be written to the audit file.
func (m *Metrics) AuditLost() { m.unheard.WithLabelValues().Inc() }

// Handler answers GET /metrics.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

// ObserveInvocation counts one invocation of a function. outcome is one of those
// in MetricTable; one that did not reach the function has no duration.
func (m *Metrics) ObserveInvocation(function, outcome string, d time.Duration) {
	v, ok := m.functions.Load(function)
	if !ok {
		v, _ = m.functions.LoadOrStore(function, &functionChildren{
			ok:      m.invocations.WithLabelValues(function, "ok"),
			seconds: m.invocationSeconds.WithLabelValues(function),
		})
	}
	f := v.(*functionChildren)
	if outcome == "ok" {
		f.ok.Inc()
	} else {
		m.invocations.WithLabelValues(function, outcome).Inc()
	}
	if outcome == "ok" || outcome == "error" {
		f.seconds.Observe(d.Seconds())
	}
}

type functionChildren struct {
	ok      prometheus.Counter
	seconds prometheus.Observer
}

// operation is what is counted of one operation; its children are made when it is
// first called, so that /metrics shows only what is used.
type operation struct {
	metrics   *Metrics
	api, name string

	children atomic.Pointer[operationChildren]
}

type operationChildren struct {
	ok      prometheus.Counter
	seconds prometheus.Observer
}

// done counts a request; code is "OK" or an error of this server, never a
// caller's text.
func (o *operation) done(code string, d time.Duration) {
	c := o.children.Load()
	if c == nil { // two may make it at once: the vectors give both the same children
		c = &operationChildren{
			ok:      o.metrics.requests.WithLabelValues(o.api, o.name, "OK"),
			seconds: o.metrics.seconds.WithLabelValues(o.api, o.name),
		}
		o.children.Store(c)
	}
	if code == "OK" {
		c.ok.Inc()
	} else {
		o.metrics.requests.WithLabelValues(o.api, o.name, code).Inc()
	}
	c.seconds.Observe(d.Seconds())
}

// requestBuckets reach from a cached read to a long invocation.
var requestBuckets = []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60}

func counterVec(m Metric) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Name: m.Name, Help: m.Help}, m.Labels)
}

func histogramVec(m Metric, buckets []float64) *prometheus.HistogramVec {
	return prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: m.Name, Help: m.Help, Buckets: buckets}, m.Labels)
}

// scrape is the collector of everything that is asked for rather than counted
// here.
type scrape struct{ m *Metrics }

var scraped = func() map[string]*prometheus.Desc {
	descs := make(map[string]*prometheus.Desc)
	for _, row := range slices.Concat(triggerCounters, []Metric{
		requestsInFlight, connections, compactionsTotal, compactionDebt, commitsTotal, streamRecordsTotal, streamHeldBytes,
		triggerLagRecords, triggerLagSeconds, triggerBlocked, triggerUnread, triggerSetAside, buildInfo, healthy, damagedFiles, quarantinedRanges, replicationLag, replicationWaiting, replicationEnd, replicationBackupAge, standbyLag, backupAge, backupVerifiedAge, backupsUnverified, diskFree, diskReserve, diskUsed, syncsTotal, syncSeconds, writesRefused, clockAhead, queueMessages, queueOldest, deliveriesGivenUp, endsUntold,
		nodesAlive, streamsUnowned, streamsWorked, claimsLost, tablesCalls, tablesSeconds, callsRouted, leftOut,
	}) {
		descs[row.Name] = prometheus.NewDesc(row.Name, row.Help, row.Labels, nil)
	}
	return descs
}()

func (s scrape) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range scraped {
		ch <- d
	}
}

func (s scrape) Collect(ch chan<- prometheus.Metric) {
	send := func(row Metric, value float64, labels ...string) {
		kind := prometheus.GaugeValue
		if row.Kind == "counter" {
			kind = prometheus.CounterValue
		}
		ch <- prometheus.MustNewConstMetric(scraped[row.Name], kind, value, labels...)
	}
	src := s.m.sources
	send(requestsInFlight, float64(s.m.inFlight.Load()))
	open := 0
	s.m.doors.Range(func(d, _ any) bool { open += d.(*door.Door).Connections(); return true })
	send(connections, float64(open))
	send(buildInfo, 1, src.Version, runtime.Version())
	if src.Health != nil {
		value := 1.0
		if src.Health() != nil {
			value = 0
		}
		send(healthy, value)
	}
	if src.Space != nil {
		if free, reserve, known := src.Space(); known {
			send(diskFree, float64(free))
			send(diskReserve, float64(reserve))
		}
	}
	if src.Engine != nil {
		engine := src.Engine()
		send(commitsTotal, float64(engine.Commits))
		send(diskUsed, float64(engine.DiskBytes))
		send(syncsTotal, float64(engine.Syncs))
		send(syncSeconds, engine.SyncTime.Seconds())
		send(compactionsTotal, float64(engine.Compactions))
		send(compactionDebt, float64(engine.DebtBytes))
	}
	if src.RefusedWrites != nil {
		send(writesRefused, float64(src.RefusedWrites()))
	}
	if src.GivenUp != nil {
		send(deliveriesGivenUp, float64(src.GivenUp()))
	}
	if src.Untold != nil {
		send(endsUntold, float64(src.Untold()))
	}
	if src.Nodes != nil {
		n := src.Nodes()
		send(nodesAlive, float64(n.Alive))
		send(streamsUnowned, float64(n.Unowned))
		send(streamsWorked, float64(n.Worked))
		send(claimsLost, float64(n.ClaimsLost))
		send(callsRouted, float64(n.Routed))
		send(leftOut, float64(n.LeftOut))
		for _, c := range n.Calls {
			send(tablesCalls, float64(c.OK), c.Operation, "ok")
			send(tablesCalls, float64(c.Refused), c.Operation, "refused")
			send(tablesCalls, float64(c.Failed), c.Operation, "failed")
			send(tablesSeconds, c.Time.Seconds(), c.Operation)
		}
	}
	if src.ClockAhead != nil {
		send(clockAhead, src.ClockAhead().Seconds())
	}
	if src.ReplicationLag != nil {
		send(replicationLag, src.ReplicationLag().Seconds())
	}
	if src.Replication != nil {
		r := src.Replication()
		send(replicationWaiting, float64(r.Waiting))
		send(replicationEnd, float64(r.End))
		send(replicationBackupAge, r.BackupAge.Seconds())
	}
	if src.Backups != nil {
		if b, known := src.Backups(); known {
			if b.Age >= 0 {
				send(backupAge, b.Age.Seconds())
			}
			send(backupVerifiedAge, b.VerifiedAge.Seconds())
			send(backupsUnverified, float64(b.Unverified))
		}
	}
	if src.Quarantined != nil {
		send(quarantinedRanges, float64(src.Quarantined()))
	}
	if src.StandbyLag != nil {
		send(standbyLag, src.StandbyLag().Seconds())
	}
	if src.DamagedFiles != nil {
		send(damagedFiles, float64(src.DamagedFiles()))
	}
	if src.StreamRecords != nil {
		send(streamRecordsTotal, float64(src.StreamRecords()))
	}
	if src.HeldBytes != nil {
		send(streamHeldBytes, float64(src.HeldBytes()))
	}
	if src.Queues != nil {
		for _, q := range src.Queues() {
			labels := []string{q.Account, q.Region, q.Queue}
			for state, n := range map[string]int{"visible": q.Visible, "in_flight": q.InFlight, "delayed": q.Delayed} {
				send(queueMessages, float64(n), append(labels[:3:3], state)...)
			}
			send(queueOldest, q.OldestSeconds, labels...)
		}
	}
	if src.Mappings == nil {
		return
	}
	for _, t := range src.Mappings() {
		labels := []string{t.Mapping, strings.ToValidUTF8(t.Table, "?"), strings.ToValidUTF8(t.Function, "?")}
		send(triggerLagRecords, float64(t.LagRecords), labels...)
		send(triggerLagSeconds, t.LagSeconds, labels...)
		blocked := 0.0
		if t.Blocked {
			blocked = 1
		}
		send(triggerBlocked, blocked, labels...)
		send(triggerUnread, float64(t.Unread), labels...)
		for i, row := range counter.Rows {
			send(triggerCounters[i], float64(row.Of(&t.Counts)), labels...)
		}
		send(triggerSetAside, float64(t.HeldNow), append(labels, "held")...)
		send(triggerSetAside, float64(t.TellingNow), append(labels, "telling")...)
		send(triggerSetAside, float64(t.ParkedNow), append(labels, "parked")...)
	}
}
