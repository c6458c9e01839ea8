package store

// The one list of key-space prefixes. A key is its prefix byte followed by what
// the room that owns the space puts there; docs/formats.md writes it down. A
// number is never used again for something else.
const (
	SpaceMeta       byte = 0x01 // store: database id, incarnation, format, token key
	SpaceControl    byte = 0x02 // table, function, trigger: definitions by account, region, kind, name and by id
	SpaceItem       byte = 0x03 // table: items
	SpaceIndex      byte = 0x04 // table: index entries
	SpaceTTL        byte = 0x05 // table: expiry entries
	SpaceLog        byte = 0x06 // stream: records
	SpaceHead       byte = 0x07 // stream: last number, end, cumulative count and bytes
	SpaceCheckpoint byte = 0x08 // trigger (through its backend): positions
	SpaceWindow     byte = 0x09 // trigger: tumbling state
	SpaceAside      byte = 0x0a // trigger: held and parked records
	SpaceToken      byte = 0x0b // table: client request tokens
	SpaceFunction   byte = 0x0c // function: definitions and what belongs to them
	SpaceUnread     byte = 0x0d // trigger (through its backend): ranges of records that were removed unread
	SpaceGateway    byte = 0x0e // gateway: HTTP APIs and their routes
	SpaceEvent      byte = 0x0f // function: Event invocations that have not ended
	SpaceLayer      byte = 0x10 // function: versions of layers
	SpaceLogGroup   byte = 0x11 // function: log groups that were made or given a retention
	SpaceQueue      byte = 0x12 // queue: definitions, messages, tasks, and mappings on queues
	SpaceStack      byte = 0x13 // stack: CloudFormation's stacks, and parameters of Parameter Store
	SpaceKeep       byte = 0x14 // keep: backups, exports and imports of tables
	SpaceIAM        byte = 0x16 // iam: roles and policies
	SpaceSchedule   byte = 0x17 // schedule: rules, schedules and their groups, and when each is due
	SpaceOutbox     byte = 0x18 // outbox: deliveries of topics and schedules that are owed
	SpaceTopic      byte = 0x19 // topic: topics and their subscriptions
	SpaceCredential byte = 0x1a // credential: access keys
	SpaceUndo       byte = 0x1b // table: what items were before each change, with point-in-time recovery
	SpacePast       byte = 0x1c // table: a table as it was, while it is being restored or exported
)
