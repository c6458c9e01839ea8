package trigger

import (
	"github.com/millstreamdb/millstream/internal/backend"
	"github.com/millstreamdb/millstream/internal/trigger/lane"
	"github.com/millstreamdb/millstream/internal/trigger/mapping"
)

// Names of package backend that belong to the engine's face.
type (
	Backend       = backend.Backend
	Stream        = backend.Stream
	Shard         = backend.Shard
	Row           = backend.Row
	AsideRows     = backend.AsideRows
	StoredMapping = backend.Stored
	Transaction   = backend.Transaction
	Refused       = backend.Refused
	Place         = backend.Place
	Located       = backend.Located
	Repositioned  = backend.Repositioned
	Skip          = backend.Skip
)

// Errors of a Backend.
var (
	ErrConflict   = backend.ErrConflict
	ErrNoStream   = backend.ErrNoStream
	ErrNoMapping  = backend.ErrNoMapping
	ErrNoSnapshot = backend.ErrNoSnapshot
)

// Names of package lane that belong to the engine's face: a Backend stores them, an Invoker answers
// with them, and people are shown them.
type (
	Record       = lane.Record
	Page         = lane.Page
	Missed       = lane.Missed
	Checkpoint   = lane.Checkpoint
	LanePosition = lane.LanePosition
	Window       = lane.Window

	SetAside    = lane.SetAside
	AsideKey    = lane.AsideKey
	AsideKind   = lane.AsideKind
	AsideChange = lane.AsideChange
	DropReason  = lane.DropReason

	Result   = lane.Result
	Outcome  = lane.Outcome
	Counters = lane.Counters
)

// Names of package mapping that do.
type (
	Mapping          = mapping.Definition
	StartingPosition = mapping.StartingPosition
	Snapshot         = mapping.Snapshot
	View             = mapping.View
	Settings         = mapping.Settings
	CreateRequest    = mapping.CreateRequest
	ListRequest      = mapping.ListRequest
	FilterCriteria   = mapping.FilterCriteria
)

const (
	StartTrimHorizon = mapping.StartTrimHorizon
	StartLatest      = mapping.StartLatest

	VirtualLanes = lane.VirtualLanes

	Held    = lane.Held
	Telling = lane.Telling
	Parked  = lane.Parked

	Succeeded     = lane.Succeeded
	FunctionError = lane.FunctionError
	NotDelivered  = lane.NotDelivered
)

// ParseAsideKey reads the name of a record that is set aside.
func ParseAsideKey(s string) (AsideKey, bool) { return lane.ParseAsideKey(s) }
