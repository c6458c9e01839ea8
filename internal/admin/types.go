package admin

import "github.com/millstreamdb/millstream/internal/admin/wire"

// The protocol's documents, described in package wire.
type (
	Version      = wire.Version
	Status       = wire.Status
	Replication  = wire.Replication
	Standby      = wire.Standby
	Standbys     = wire.Standbys
	Promoted     = wire.Promoted
	Trigger      = wire.Trigger
	TriggerShard = wire.TriggerShard
	Counts       = wire.Counts
	Unread       = wire.Unread
	Blocked      = wire.Blocked
	Moved        = wire.Moved
	SetAside     = wire.SetAside
	AsideFilter  = wire.AsideFilter
	AsideRecord  = wire.AsideRecord
	AsideRecords = wire.AsideRecords
	Redriven     = wire.Redriven
	Tables       = wire.Tables
	Table        = wire.Table
	Shards       = wire.Shards
	Shard        = wire.Shard
	Change       = wire.Change
	Trial        = wire.Trial
	LogLine      = wire.LogLine
	Package      = wire.Package
	Invocation   = wire.Invocation
	Settled      = wire.Settled
	Clock        = wire.Clock
	Accepted     = wire.Accepted
	Resumed      = wire.Resumed
	Backup       = wire.Backup
	Advanced     = wire.Advanced
	Activity     = wire.Activity
	Stage        = wire.Stage
	Verdict      = wire.Verdict
	Passed       = wire.Passed
	Outcome      = wire.Outcome
	FailedCall   = wire.FailedCall
	Noted        = wire.Noted
	CalledFor    = wire.CalledFor
	API          = wire.API
	Route        = wire.Route
	Authorizer   = wire.Authorizer
	CORS         = wire.CORS
	Error        = wire.Error
	Deployed     = wire.Deployed
	Stack        = wire.Stack
	StackPart    = wire.StackPart
	Deployment   = wire.Deployment
)
