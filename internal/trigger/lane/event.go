package lane

import (
	"time"

	"github.com/millstreamdb/millstream/internal/seqnum"
)

// Event is something that happened to a machine. Where nothing else is said, both machines take it.
type Event interface{ isEvent() }

// The events.
type (
	// Start begins or resumes delivery under a (new) generation.
	Start struct{ Params Params }
	// Change gives a running machine new parameters. What is under way goes on and
	// counts: an update keeps the position, so there is nothing that a
	// completion could undo.
	Change struct{ Params Params }
	// Stop ends delivery and abandons what is under way (disable, delete).
	Stop struct{ Generation uint64 }
	// Drain ends dispatching and reading, but what is under way still counts.
	Drain struct{}
	// InvocationDone answers an Invoke.
	InvocationDone struct {
		Batch  uint64
		Result Result
	}
	// Delivered answers a Deliver. An empty Error means success.
	Delivered struct {
		Batch uint64
		Error string
	}
	// TransactDone answers a Transact.
	TransactDone struct {
		Batch uint64
		// Refused is why the writes cannot be made, which is an error of the function;
		// Undelivered is why they were not tried to the end, which is nobody's error. Both are
		// empty when the writes are made.
		Refused, Undelivered string
	}
	// Timer tells that the moment of the last SetTimer has come. Spurious ones do no harm.
	Timer struct{}
	// Nudge retries at once whatever is backing off: the function has changed.
	Nudge struct{}

	// Wake tells a Machine the durable head of its shard.
	Wake struct {
		Head    seqnum.Num
		Records uint64 // cumulative count up to Head
		Closed  bool
	}
	// PageRead answers a Read of a Machine.
	PageRead struct {
		Token uint64
		Page  Page
		Err   error
	}
	// GoAside tells a Machine that a key has held rows for another reason than the machine's own.
	// The key's records go aside from now on, and the Aside hears of it once the function
	// has none of them.
	GoAside struct{ Hash uint64 }

	// Stored tells an Aside that puts have become durable.
	Stored struct{ Changes []AsideChange }
	// Fetched answers a Fetch of an Aside.
	Fetched struct {
		Batch uint64
		Rows  []SetAside
		Err   error
	}
	// Recall has an Aside look through one page of rows, at From and after, for parked ones that a
	// person wants to be tried again, or to be gone for good; or, with GiveUp, for held ones that
	// are not to be tried any more. It is answered by one Recalled.
	Recall struct {
		Token    uint64
		From     AsideKey
		Max      int // rows to act upon, at most
		Match    func(*SetAside) bool
		Discard  bool
		GiveUp   bool
		Function string // ARN of another function that is to have them; empty: the mapping's
	}
)

func (Start) isEvent()          {}
func (Change) isEvent()         {}
func (Stop) isEvent()           {}
func (Drain) isEvent()          {}
func (InvocationDone) isEvent() {}
func (Delivered) isEvent()      {}
func (TransactDone) isEvent()   {}
func (Timer) isEvent()          {}
func (Nudge) isEvent()          {}
func (Wake) isEvent()           {}
func (PageRead) isEvent()       {}
func (GoAside) isEvent()        {}
func (Stored) isEvent()         {}
func (Fetched) isEvent()        {}
func (Recall) isEvent()         {}

// Action is something for the runtime to do. Where nothing else is said, both machines ask for it. Each
// machine counts its batches for itself. Shard is that of the records.
type Action interface{ isAction() }

// The actions.
type (
	// Invoke asks for one invocation, answered by one InvocationDone. Records must
	// not be changed.
	Invoke struct {
		Batch       uint64
		Shard       string
		Attempt     int // 1 for the first delivery
		FunctionARN string
		Records     []Record // may be empty with Final only
		// Window is nil without tumbling windows. Final: the window's closing call;
		// Early: its state has grown too large.
		Window       *Window
		Final, Early bool
	}
	// Transact asks for the writes and messages of an answer to be committed in one batch with the end of
	// the batch's records (Stage, Apply), answered by one TransactDone.
	Transact struct {
		Batch uint64
		Writes
		Cause int // depth of function-made writes that these are
	}
	// Deliver asks for a destination to be told of records that are given up,
	// answered by one Delivered. They end with its success; or before it, with the commit that has what
	// the destination is told (Stage, Apply).
	Deliver struct {
		Batch       uint64
		Shard       string
		Destination string
		Loss
	}
	// SetTimer asks for a Timer event at this moment; it replaces earlier ones.
	SetTimer struct{ At time.Duration }
	// Commit tells that there is something to store: a checkpoint that has moved, or changes of
	// what is set aside.
	Commit struct{}
	// CallFailed tells that a call has failed, or some of its records have, and what becomes of them.
	CallFailed struct {
		Shard string
		Failure
	}
	// PutAside tells that records were set aside because they were given up.
	PutAside struct {
		Kind  AsideKind
		Shard string
		Loss
	}

	// Read of a Machine asks for the records above After, answered by one PageRead with Token.
	Read struct {
		Token      uint64
		After      seqnum.Num
		MaxRecords int
		MaxBytes   int
	}
	// Drop of a Machine tells that records were given up for good; they have ended.
	Drop struct{ Loss }
	// Expire of a Machine tells that records were gone before they were read.
	Expire struct{ Missed Missed }
	// Done of a Machine tells that the shard was closed and all its records have ended.
	Done struct{}
	// Poke of a Machine tells that the mapping's Aside has something to do.
	Poke struct{}

	// Fetch of an Aside asks for stored rows at From and after, or at Keys, answered by one Fetched.
	Fetch struct {
		Batch    uint64
		Keys     []AsideKey
		From     AsideKey
		Max      int
		MaxBytes int
		Heads    bool // without the events
	}
	// Recalled answers a Recall. Next is where the next one is to begin; More is false when
	// there are no rows there. Busy counts held rows that were left as they are, since a call with them, or with
	// others of their key, is under way.
	Recalled struct {
		Token uint64
		Count int
		Busy  int
		Next  AsideKey
		More  bool
		Err   error
	}
	// Ask of an Aside asks every Machine of the mapping to have a key go aside (GoAside). Aside.Asked
	// is called with how many there are, before any of them is told.
	Ask struct{ Hash uint64 }
	// Discarded of an Aside tells that parked records were too old to be kept.
	Discarded struct{ Rows []SetAside }
	// Room of an Aside tells that there is room again, after somebody was refused for lack of it, or
	// that no key is held any more. Every Machine of the mapping is to get a Timer.
	Room struct{}
	// Vanished of an Aside that is shared tells that rows are not as it knows them: it is to be made anew from what is stored.
	Vanished struct{}
)

func (Invoke) isAction()     {}
func (Transact) isAction()   {}
func (Deliver) isAction()    {}
func (SetTimer) isAction()   {}
func (Commit) isAction()     {}
func (CallFailed) isAction() {}
func (PutAside) isAction()   {}
func (Read) isAction()       {}
func (Drop) isAction()       {}
func (Expire) isAction()     {}
func (Done) isAction()       {}
func (Poke) isAction()       {}
func (Fetch) isAction()      {}
func (Recalled) isAction()   {}
func (Ask) isAction()        {}
func (Discarded) isAction()  {}
func (Room) isAction()       {}
func (Vanished) isAction()   {}
