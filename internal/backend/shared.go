package backend

import (
	"context"
	"errors"

	"github.com/millstreamdb/millstream/internal/trigger/lane"
	"github.com/millstreamdb/millstream/internal/trigger/mapping"
)

// Shared is a Backend that several nodes work over at once, each with an engine of its own. What a plain Backend has for
// ever, the mappings' positions, a node of a Shared one has for as long as a Claim lasts.
//
// Mappings returns definitions only: their checkpoints come with a claim, from Load. What Log promises holds for the streams that
// this node has a claim on; for others Shards and Read answer ErrElsewhere. CreateMapping, UpdateMapping and DeleteMapping may be
// asked of any node. UpdateMapping and DeleteMapping change the definition that this node has been told last, or the one that it has
// stored itself since, and are ErrStale when another node has changed it meanwhile.
type Shared interface {
	Backend

	// Run takes part in the work until ctx ends. It tells node of definitions and of claims, one call at a time for one
	// stream. When it returns, all claims are over.
	Run(ctx context.Context, node Node) error

	// Load takes a mapping's rows over and returns them: from then on an earlier owner's writes are refused. There is one row
	// for every shard that Shards lists. ErrLost ends the claim.
	Load(ctx context.Context, c Claim, uuid string) (map[string]lane.Checkpoint, error)

	// Advance makes rows of one mapping durable, and changes of what it has set aside, in their order, as the holder of a claim that has
	// loaded it. Whoever loads it next never sees a position without the rows that were set aside before it, or with one that was removed.
	// It returns when all is stored, or with ErrLost: then some may be. There is no other error: what is throttled or unreachable is
	// tried again until it is known, or the claim is over.
	Advance(ctx context.Context, c Claim, uuid string, rows []Row, aside []lane.AsideChange) error

	// TransactUnder is Transact for a mapping that the claim has loaded, with ErrLost in the place of errors that are not known to have changed
	// nothing. Its rows come from the one call of Build; the changes of AsideRows that say so are made with the writes, others before them.
	TransactUnder(ctx context.Context, c Claim, uuid string, t Transaction) error

	// RepositionUnder is Reposition for a mapping that the claim has loaded. It is not one batch: with an error some of it may be stored, and
	// nothing that would lose a record.
	RepositionUnder(ctx context.Context, c Claim, r Repositioned) error

	// Renew ends a claim of this node's, which takes the stream anew: what is stored has been changed by the holder of an earlier claim.
	Renew(c Claim)

	// Mine are the ARNs of the streams that are this node's, also those that it has not begun with.
	Mine(ctx context.Context) ([]string, error)

	// CatchUp returns once Shards shows the heads that there were at the call, of streams of this node's whose mappings are loaded.
	CatchUp(ctx context.Context) error

	// Ask has the node that works a stream do something, which is Node's Do there, and returns its answer. ErrNobody, ErrUnknown.
	Ask(ctx context.Context, stream string, request []byte) (answer []byte, err error)

	// Lacks says why a mapping cannot run over this backend, in words for people; empty when it can.
	Lacks(m mapping.Definition, p lane.Params) string
}

// Node is what a Shared backend tells of.
type Node interface {
	// Defined tells of a mapping that was made or changed, by whichever node. It is told of all once before the first claim.
	Defined(m mapping.Definition)
	// Deleted tells that a mapping is gone.
	Deleted(uuid string)
	// Do does what another node has asked for of a claim on its stream. It ends with the claim.
	Do(ctx context.Context, c Claim, request []byte) (answer []byte)
	// Begin tells that the mappings on a claim's stream are this node's, until Lost is closed. It must not wait.
	Begin(c Claim)
	// End has the node let go of a claim that is good: nothing new begins, what is under way ends, and the last positions
	// are stored. It returns when that is done, when ctx ends, or when the claim is over.
	End(ctx context.Context, c Claim)
}

// Claim is the right to run the mappings on one stream.
type Claim interface {
	Stream() string // its ARN
	// Valid reports, by this node's clock, whether the claim certainly holds. It is asked right before every call of a function.
	Valid() bool
	// Lost is closed when the claim is over, for good: after that nothing of it is stored. Who held it and sees this stops at once.
	Lost() <-chan struct{}
}

// Errors of a Shared backend.
var (
	ErrLost      = errors.New("trigger: another node has taken this work over")
	ErrElsewhere = errors.New("trigger: another node does this work")
	ErrStale     = errors.New("trigger: another node has changed this mapping at the same time")
	// ErrNobody: no node works the stream now. ErrUnknown: the one that did has gone while it did what it was asked for.
	ErrNobody  = errors.New("no node works the trigger's stream just now; try again in a while")
	ErrUnknown = errors.New("the node that works the trigger has gone meanwhile, and what it had done is not known: look, and ask again")
	// ErrExists: the function reads the stream by another mapping.
	ErrExists = errors.New("trigger: the function has a mapping on this stream")
	// ErrLacks: this backend cannot do what was asked of it.
	ErrLacks = errors.New("trigger: this cannot be done while the tables are at another endpoint")
)

// Lacking is ErrLacks with the reason, in words for people.
type Lacking struct{ Why string }

func (l *Lacking) Error() string { return l.Why }
func (l *Lacking) Unwrap() error { return ErrLacks }

// Taken is ErrExists with the mapping that there is.
type Taken struct{ UUID string }

func (t *Taken) Error() string { return ErrExists.Error() + ": " + t.UUID }
func (t *Taken) Unwrap() error { return ErrExists }
