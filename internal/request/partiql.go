package request

import (
	"crypto/sha256"
	"encoding/binary"
	"strconv"
	"unicode/utf8"

	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/item"
)

// PartiQL: the statements are texts here, and values for their parameters.

const (
	maxStatement         = 8192 // characters
	maxNextToken         = 32768
	MaxBatchStatements   = 25
	maxStatementElements = 16384 // parameters: more than a statement can have marks
)

// StatementText is one statement as it came.
type StatementText struct {
	Text       string
	Parameters []item.Value
	// Invalid is the first illegal value among the parameters. AWS reports it before
	// it reads the statement; in a batch it is the statement's own error.
	Invalid                     *awserr.Error
	ConsistentRead              bool
	ReturnOldOnConditionFailure bool
}

// Digest is of statement and parameters.
func (t *StatementText) Digest() [32]byte {
	h := sha256.New()
	var buf [8]byte
	add := func(part []byte) {
		binary.BigEndian.PutUint64(buf[:], uint64(len(part)))
		h.Write(buf[:])
		h.Write(part)
	}
	add([]byte(t.Text))
	for _, v := range t.Parameters {
		add(v)
	}
	var digest [32]byte
	h.Sum(digest[:0])
	return digest
}

type ExecuteStatement struct {
	StatementText
	ReturnConsumedCapacity ReturnConsumedCapacity
	Limit                  int // 0: none given
	NextToken              string
}

type BatchExecuteStatement struct {
	Statements             []StatementText
	ReturnConsumedCapacity ReturnConsumedCapacity
}

type ExecuteTransaction struct {
	Statements             []StatementText
	ReturnConsumedCapacity ReturnConsumedCapacity
	Token                  ClientToken
}

// wireStatement is a statement with what was given of it.
type wireStatement struct {
	StatementText
	given          bool
	hasParameters  bool
	parameterCount int
	onFailure      string
	hasOnFailure   bool
}

// read reads one member; ok is false for one that it does not know.
func (w *wireStatement) read(r *item.Reader, member string) (ok bool, err error) {
	switch member {
	case "Statement":
		if w.given = !r.Null(); w.given {
			err = readString(r, &w.Text)
		}
	case "Parameters":
		w.Parameters, w.Invalid, w.parameterCount = nil, nil, 0
		if w.hasParameters = !r.Null(); !w.hasParameters {
			return true, nil
		}
		err = r.Array(func(int) error {
			v, invalid, err := r.Value()
			if w.Invalid == nil {
				w.Invalid = invalid
			}
			w.parameterCount++
			if len(w.Parameters) < maxStatementElements {
				w.Parameters = append(w.Parameters, v)
			}
			return err
		})
	case "ConsistentRead":
		w.ConsistentRead = false
		if !r.Null() {
			err = readBool(r, &w.ConsistentRead)
		}
	case "ReturnValuesOnConditionCheckFailure":
		if w.hasOnFailure = !r.Null(); w.hasOnFailure {
			err = readString(r, &w.onFailure)
		}
	default:
		return false, nil
	}
	return true, err
}

func (w *wireStatement) check(v *violations, path string) {
	w.checkOnFailure(v, path)
	w.checkText(v, path)
	w.checkParameters(v, path)
}

func (w *wireStatement) checkOnFailure(v *violations, path string) {
	if w.hasOnFailure {
		w.ReturnOldOnConditionFailure = onFailureOf(v, w.onFailure, path)
	}
}

func (w *wireStatement) checkText(v *violations, path string) {
	if !w.given {
		v.null(path + "statement")
	} else {
		v.length(utf8.RuneCountInString(w.Text), 1, maxStatement, path+"statement", func() string { return w.Text })
	}
}

func (w *wireStatement) checkParameters(v *violations, path string) {
	if w.hasParameters && w.parameterCount == 0 {
		v.add("[]", path+"parameters", notEmpty)
	}
}

// DecodeExecuteStatement decodes and checks an ExecuteStatement request.
func DecodeExecuteStatement(body []byte) (*ExecuteStatement, error) {
	var w wireStatement
	var capacity, token optionalText
	var limit int64
	hasLimit := false
	_, err := decodeFor(layers[opPartiQL], body, func(r *item.Reader, name []byte) error {
		switch string(name) {
		case "ReturnConsumedCapacity":
			return capacity.read(r)
		case "NextToken":
			return token.read(r)
		case "Limit":
			if hasLimit = !r.Null(); hasLimit {
				return readInteger(r, &limit)
			}
			return nil
		}
		ok, err := w.read(r, string(name))
		if !ok {
			return r.Skip()
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	var v violations
	op := new(ExecuteStatement)
	w.checkOnFailure(&v, "")
	if hasLimit {
		v.atLeast(limit, 1, "limit")
	}
	w.checkText(&v, "")
	if capacity.given {
		op.ReturnConsumedCapacity = capacityOf(&v, capacity.s)
	}
	w.checkParameters(&v, "")
	if token.given { // its place is not on record
		v.text(token.s, 1, maxNextToken, "nextToken")
	}
	if failure := firstOf(v.err(), w.Invalid); failure != nil {
		return nil, failure
	}
	op.StatementText, op.Limit, op.NextToken = w.StatementText, int(limit), token.s
	return op, nil
}

// optionalText is a string member that may be absent.
type optionalText struct {
	s     string
	given bool
}

func (t *optionalText) read(r *item.Reader) error {
	if t.given = !r.Null(); !t.given {
		return nil
	}
	return readString(r, &t.s)
}

// statementList is what both operations on several statements have.
type statementList struct {
	list            []wireStatement
	count           int
	given           bool
	capacity, token optionalText
}

func (l *statementList) decode(body []byte, member, shape string) error {
	_, err := decodeFor(layers[opPartiQL], body, func(r *item.Reader, name []byte) error {
		switch string(name) {
		case "ReturnConsumedCapacity":
			return l.capacity.read(r)
		case "ClientRequestToken":
			return l.token.read(r)
		case member:
			l.list, l.count = nil, 0
			if l.given = !r.Null(); !l.given {
				return nil
			}
			return r.Array(func(int) error {
				var w wireStatement
				if !r.Null() {
					err := r.StructureIn(shape, func(name []byte) error {
						ok, err := w.read(r, string(name))
						if !ok {
							return r.Skip()
						}
						return err
					})
					if err != nil {
						return err
					}
				}
				if l.count++; l.count <= MaxTransactItems {
					l.list = append(l.list, w)
				}
				return nil
			})
		}
		return r.Skip()
	})
	return err
}

func (l *statementList) check(v *violations, member string, most int) {
	if !l.given {
		v.null(member)
		return
	}
	v.length(l.count, 1, most, member, func() string {
		if l.count == 0 {
			return "[]"
		}
		return "[...]" // AWS shows all of it
	})
	for i := range l.list {
		l.list[i].check(v, member+"."+strconv.Itoa(i+1)+".member.")
	}
}

func (l *statementList) texts() []StatementText {
	texts := make([]StatementText, len(l.list))
	for i := range l.list {
		texts[i] = l.list[i].StatementText
	}
	return texts
}

// DecodeBatchExecuteStatement decodes and checks a BatchExecuteStatement request.
func DecodeBatchExecuteStatement(body []byte) (*BatchExecuteStatement, error) {
	var l statementList
	if err := l.decode(body, "Statements", "BatchStatementRequest"); err != nil {
		return nil, err
	}
	var v violations
	op := new(BatchExecuteStatement)
	if l.capacity.given {
		op.ReturnConsumedCapacity = capacityOf(&v, l.capacity.s)
	}
	l.check(&v, "statements", MaxBatchStatements)
	if failure := v.err(); failure != nil {
		return nil, failure
	}
	op.Statements = l.texts()
	return op, nil
}

// DecodeExecuteTransaction decodes and checks an ExecuteTransaction request.
func DecodeExecuteTransaction(body []byte) (*ExecuteTransaction, error) {
	var l statementList
	if err := l.decode(body, "TransactStatements", "ParameterizedStatement"); err != nil {
		return nil, err
	}
	var v violations
	op := new(ExecuteTransaction)
	if l.token.given {
		v.text(l.token.s, 1, maxToken, "clientRequestToken")
	}
	l.check(&v, "transactStatements", MaxTransactItems)
	if l.capacity.given {
		op.ReturnConsumedCapacity = capacityOf(&v, l.capacity.s)
	}
	if failure := v.err(); failure != nil {
		return nil, failure
	}
	op.Statements = l.texts()
	h := sha256.New()
	size := 0
	for i := range op.Statements {
		size += len(op.Statements[i].Text)
		for _, v := range op.Statements[i].Parameters {
			size += len(v)
		}
		digest := op.Statements[i].Digest()
		h.Write(digest[:])
		h.Write([]byte{map[bool]byte{true: 1}[op.Statements[i].ReturnOldOnConditionFailure]})
	}
	if size > MaxTransactBytes {
		return nil, awserr.TransactionTooLarge()
	}
	if l.token.given {
		op.Token = ClientToken{Text: l.token.s, API: TokenExecuteTransaction}
		h.Sum(op.Token.Digest[:0])
	}
	return op, nil
}
