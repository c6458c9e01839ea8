package request

import "github.com/millstreamdb/millstream/internal/awserr"

// AWS has two validators of requests, and moves operations from the older one to the
// newer one, region by region. Who is where, and how a refusal looks because of it, is
// said in this file and nowhere else.

// A layer is how the requests of an operation are validated.
type layer struct {
	texts awserr.Layer
	// counted: every refusal is in the form of member constraints, with their number
	// ("1 validation error detected: "). Else it goes out as it is.
	counted bool
}

var (
	older         = layer{texts: awserr.Older}
	currentReads  = layer{texts: awserr.Current}
	currentWrites = layer{texts: awserr.Current, counted: true}
)

// An operation is one that takes attribute values, and has a layer.
type operation byte

const (
	opPutItem operation = iota
	opUpdateItem
	opDeleteItem
	opGetItem
	opQuery
	opScan
	opBatchGetItem
	opBatchWriteItem
	opTransactWriteItems
	opTransactGetItems
	opPartiQL // all operations on statements
)

// layers is where each operation is in us-east-1. When AWS moves one, its line here is
// what changes: Scan has both tables of checks (see stages.go), and transactions are
// checked action by action with the texts of the layer that stands here.
var layers = [...]layer{
	opPutItem:            currentWrites,
	opUpdateItem:         currentWrites,
	opDeleteItem:         currentWrites,
	opGetItem:            currentReads,
	opQuery:              currentReads,
	opScan:               older,
	opBatchGetItem:       currentReads,
	opBatchWriteItem:     older,
	opTransactWriteItems: older,
	opTransactGetItems:   older,
	opPartiQL:            older,
}

// placeholder is the refusal of an invalid value of ExpressionAttributeValues. The older
// layer names the key. So does what comes after both: that a value is empty.
func (l layer) placeholder(invalid *awserr.Error, key string) *awserr.Error {
	if l.texts == awserr.Older || emptyValue(invalid) {
		return awserr.InvalidExpressionValue(invalid, key)
	}
	return invalid
}

// emptyValue tells the error of a value without a member from those of validation: AWS
// finds it when it has found the table, and so never counts it.
func emptyValue(e *awserr.Error) bool { return e == awserr.ValueEmpty() }

// form is how a stage's refusal goes out.
type form byte

const (
	layered form = iota // as the operation's layer has it
	bare                // as it is: without a count even where the layer has one
	counted             // with the count even where the layer has none
)

// refusal makes one error of what a stage has found: violated constraints, which are
// always counted unless the stage is bare, or an error with a text of its own.
func (l layer) refusal(f form, found []string, own *awserr.Error) *awserr.Error {
	if own != nil {
		if f == bare || f == layered && !l.counted && len(found) == 0 {
			return own
		}
		found = append(found, own.Message)
	}
	switch {
	case len(found) == 0:
		return nil
	case f == bare:
		return awserr.Validation(found[0])
	}
	return awserr.Constraints(found)
}
