package request

import (
	"github.com/millstreamdb/millstream/internal/expr"
	"github.com/millstreamdb/millstream/internal/item"
)

// TransactAction is what one write of a transaction does.
type TransactAction byte

const (
	TransactCheck TransactAction = iota // writes nothing
	TransactPut
	TransactUpdate
	TransactDelete
)

// Existence is what a write asks of the stored item beside its condition. The
// DynamoDB API has no such parameter: PartiQL's INSERT and UPDATE need it.
type Existence byte

const (
	AnyItem  Existence = iota
	NoItem             // an item that is there cancels with DuplicateItem
	SomeItem           // one that is not cancels with ConditionalCheckFailed
	// MaybeItem: the condition is of an item that is there. One that is not does not
	// cancel; where something else does, its action is told as failed all the same.
	MaybeItem
)

// TransactWrite is one action of a transaction.
type TransactWrite struct {
	Common
	Action                      TransactAction
	Item                        item.Item // of a put
	Key                         item.Item // of all others; the schema checks it
	Update                      *expr.Update
	Condition                   *expr.Condition
	Existence                   Existence
	ReturnOldOnConditionFailure bool
}

// Attributes is what holds the key attributes.
func (w *TransactWrite) Attributes() item.Item {
	if w.Action == TransactPut {
		return w.Item
	}
	return w.Key
}

// TransactWriteItems is a transaction of 1 to 100 writes.
type TransactWriteItems struct {
	ReturnConsumedCapacity      ReturnConsumedCapacity
	ReturnItemCollectionMetrics bool
	Writes                      []TransactWrite
	Token                       ClientToken
	// EveryReason: what is invalid about one action at run time does not hide why others
	// fail. AWS is so with statements.
	EveryReason bool
}

// ClientToken makes a request idempotent. The zero value is none.
type ClientToken struct {
	Text string // 1 to 36 characters
	API  TokenAPI
	// Digest is of what the request does: a second request with the token must
	// have the same.
	Digest [32]byte
}

// TokenAPI tells apart the operations that take tokens. The numbers are stored.
type TokenAPI byte

const (
	TokenTransactWriteItems TokenAPI = iota
	TokenExecuteTransaction
)

// TransactGet is one read of a transaction.
type TransactGet struct {
	Common
	Key        item.Item
	Projection *expr.Projection
}

// TransactGetItems is a transaction of 1 to 100 reads.
type TransactGetItems struct {
	ReturnConsumedCapacity ReturnConsumedCapacity
	Gets                   []TransactGet
}
