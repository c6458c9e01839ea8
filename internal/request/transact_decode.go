package request

import (
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"slices"
	"strconv"
	"strings"

	"github.com/millstreamdb/millstream/internal/arn"
	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/expr"
	"github.com/millstreamdb/millstream/internal/item"
	"github.com/millstreamdb/millstream/internal/schema"
)

const (
	// MaxTransactItems and MaxTransactBytes are the limits of one transaction.
	MaxTransactItems = 100
	MaxTransactBytes = 4 << 20

	maxToken = 36

	actionMembers = mTableName | mReturnValuesOnConditionCheckFailure |
		mExpressionAttributeNames | mExpressionAttributeValues | mConditionExpression
	transactGetMembers = mTableName | mKey | mExpressionAttributeNames | mProjectionExpression
)

// transactActions are the members of a TransactWriteItem, in the order of
// TransactAction.
var transactActions = [...]struct {
	name, path string
	takes      member
	required   []member
}{
	TransactCheck:  {"ConditionCheck", "conditionCheck", actionMembers | mKey, []member{mKey, mConditionExpression}},
	TransactPut:    {"Put", "put", actionMembers | mItem, []member{mItem}},
	TransactUpdate: {"Update", "update", actionMembers | mKey | mUpdateExpression, []member{mKey, mUpdateExpression}},
	TransactDelete: {"Delete", "delete", actionMembers | mKey, []member{mKey}},
}

// transactPart is an element of TransactItems as it came: at most one action,
// unless it is refused.
type transactPart [len(transactActions)]*members

func (part *transactPart) read(r *item.Reader) error {
	if r.Null() {
		return nil
	}
	return r.StructureIn("TransactWriteItem", func(name []byte) error {
		for i := range transactActions {
			if string(name) == transactActions[i].name {
				return readAction(r, transactActions[i].name, transactActions[i].takes, &part[i])
			}
		}
		return r.Skip()
	})
}

// readAction reads one action; of two of one name the last counts.
func readAction(r *item.Reader, shape string, takes member, dst **members) error {
	if r.Null() {
		*dst = nil
		return nil
	}
	if *dst == nil {
		*dst = new(members)
	}
	m := *dst
	*m = members{takes: takes}
	return r.Structure(shape, func(name []byte) error { return m.read(r, name) })
}

// transaction is what both operations have as they came.
type transaction[T any] struct {
	capacity, metrics, token text
	hasItems                 bool
	// parts are at most one more than are allowed; the rest is read and dropped.
	parts []T
}

func (t *transaction[T]) decode(op operation, body []byte, part func(r *item.Reader, dst *T) error) error {
	_, err := decodeFor(layers[op], body, func(r *item.Reader, name []byte) error {
		switch string(name) {
		case "ReturnConsumedCapacity":
			return t.capacity.read(r)
		case "ReturnItemCollectionMetrics":
			return t.metrics.read(r)
		case "ClientRequestToken":
			return t.token.read(r)
		case "TransactItems":
			t.parts = nil
			if t.hasItems = !r.Null(); !t.hasItems {
				return nil
			}
			var dropped T // one for all, so that many take no more memory than one
			return r.Array(func(i int) error {
				if i > MaxTransactItems {
					return part(r, &dropped)
				}
				var read T
				err := part(r, &read)
				t.parts = append(t.parts, read)
				return err
			})
		}
		return r.Skip()
	})
	return err
}

func (t *transaction[T]) checkLength(v *violations) {
	if !t.hasItems {
		v.null("transactItems")
		return
	}
	v.length(len(t.parts), 1, MaxTransactItems, "transactItems", func() string {
		if len(t.parts) == 0 {
			return "[]"
		}
		return "[...]" // AWS shows all of it
	})
}

// transactTable checks TableName of an action, whose violations stand beside those of
// the other actions: lengths, then the pattern.
func (c *Common) transactTable(v *violations, name, path string) *awserr.Error {
	c.Requested, c.TableName = name, name
	if arn.Is(name) && len(name) <= maxARN {
		_, table, ok := arn.Table(name)
		if !ok {
			return awserr.InvalidTableARN(name)
		}
		c.TableName = table
		return nil
	}
	v.text(name, 3, 255, path)
	if !isName(name) {
		v.add(name, path, namePattern)
	}
	return nil
}

func elementPath(i int) string { return "transactItems." + strconv.Itoa(i+1) + ".member." }

// lowerFirst turns a member's name into its form in paths.
func lowerFirst(name string) string { return strings.ToLower(name[:1]) + name[1:] }

// DecodeTransactWriteItems decodes and checks a TransactWriteItems request. That
// one item is not written twice needs the tables' keys and is checked by who knows
// them.
func DecodeTransactWriteItems(body []byte) (*TransactWriteItems, error) {
	var t transaction[transactPart]
	err := t.decode(opTransactWriteItems, body, func(r *item.Reader, part *transactPart) error { return part.read(r) })
	if err != nil {
		return nil, err
	}
	op := new(TransactWriteItems)
	if failure := op.check(&t); failure != nil {
		return nil, failure
	}
	return op, nil
}

func (op *TransactWriteItems) check(t *transaction[transactPart]) *awserr.Error {
	l := layers[opTransactWriteItems]
	op.Writes = make([]TransactWrite, len(t.parts))
	var shape violations
	t.checkLength(&shape)
	for i := range t.parts {
		for action, m := range t.parts[i] {
			if m != nil {
				op.Writes[i].checkMembers(&shape, TransactAction(action), m, elementPath(i))
			}
		}
	}
	if t.token.given {
		shape.text(t.token.s, 1, maxToken, "clientRequestToken")
	}
	if t.capacity.given {
		op.ReturnConsumedCapacity = capacityOf(&shape, t.capacity.s)
	}
	if t.metrics.given {
		op.ReturnItemCollectionMetrics = metricsOf(&shape, t.metrics.s)
	}
	if failure := shape.err(); failure != nil {
		return failure
	}
	var names violations
	var badARN *awserr.Error
	for i := range t.parts {
		m, failure := t.parts[i].action()
		if failure != nil {
			return failure
		}
		path := elementPath(i) + transactActions[op.Writes[i].Action].path + ".tableName"
		badARN = firstOf(badARN, op.Writes[i].transactTable(&names, m.tableName, path))
	}
	if failure := firstOf(names.err(), badARN); failure != nil {
		return failure
	}
	size := 0
	digest := sha256.New()
	for i := range t.parts {
		m, _ := t.parts[i].action()
		if failure := op.Writes[i].take(m, l); failure != nil {
			return failure
		}
		size += m.payload()
		if t.token.given {
			m.digest(digest, &op.Writes[i])
		}
	}
	if size > MaxTransactBytes {
		return awserr.TransactionTooLarge()
	}
	if t.token.given {
		op.Token = ClientToken{Text: t.token.s, API: TokenTransactWriteItems}
		digest.Sum(op.Token.Digest[:0])
	}
	return nil
}

// checkMembers checks the constraints of an action's shape.
func (w *TransactWrite) checkMembers(v *violations, action TransactAction, m *members, path string) {
	path += transactActions[action].path + "."
	w.Action = action
	if !m.given(mTableName) {
		v.null(path + "tableName")
	}
	for _, id := range transactActions[action].required {
		if !m.given(id) {
			v.null(path + lowerFirst(id.String()))
		}
	}
	if m.given(mReturnValuesOnConditionCheckFailure) {
		w.ReturnOldOnConditionFailure = onFailureOf(v, m.onFailure, path)
	}
}

// action returns the one action of an element.
func (part *transactPart) action() (*members, *awserr.Error) {
	var one *members
	for _, m := range part {
		if m == nil {
			continue
		}
		if one != nil {
			return nil, awserr.ActionAmbiguous()
		}
		one = m
	}
	if one == nil {
		return nil, awserr.ActionRequired()
	}
	return one, nil
}

// take takes over an action's values and expressions. Unlike single writes,
// actions may have placeholders without an expression. A key that nests very deep is
// told after what is wrong with the expressions.
func (w *TransactWrite) take(m *members, l layer) *awserr.Error {
	if failure := m.item.invalid; failure != nil {
		return failure
	}
	if failure := m.key.invalid; failure != nil && !m.key.abyss {
		return failure
	}
	w.Item, w.Key = m.item.item, m.key.item
	if w.Action == TransactPut {
		if failure := tooLarge(&m.item); failure != nil {
			return failure
		}
	}
	p, failure := m.parse(l)
	w.Update, w.Condition = p.update, p.condition
	return firstOf(failure, m.key.invalid)
}

// payload is what an action counts against the limit of a transaction: what it
// sends, not what is stored.
func (m *members) payload() int {
	n := len(m.update) + len(m.condition)
	for _, it := range []item.Item{m.item.item, m.key.item} {
		if it != nil {
			n += it.Size()
		}
	}
	for i := range m.values {
		n += len(m.values[i].Name) + m.values[i].Value.Size()
	}
	return n
}

// digest adds to h what an action does, so that equal requests have one digest in
// whatever order a client writes the members of its maps.
func (m *members) digest(h hash.Hash, w *TransactWrite) {
	var buf [8]byte
	add := func(part []byte) {
		binary.BigEndian.PutUint64(buf[:], uint64(len(part)))
		h.Write(buf[:])
		h.Write(part)
	}
	flags := byte(w.Action)
	if w.ReturnOldOnConditionFailure {
		flags |= 1 << 7
	}
	add([]byte{flags})
	add([]byte(w.TableName))
	add(w.Item)
	add(w.Key)
	add([]byte(m.update))
	add([]byte(m.condition))
	names := slices.Clone(m.givenNames())
	slices.SortFunc(names, func(a, b expr.Name) int { return strings.Compare(a.Key, b.Key) })
	binary.BigEndian.PutUint64(buf[:], uint64(len(names)))
	h.Write(buf[:])
	for _, n := range names {
		add([]byte(n.Key))
		add([]byte(n.Attribute))
	}
	values := slices.Clone(m.givenValues())
	slices.SortFunc(values, func(a, b item.Entry) int { return strings.Compare(a.Name, b.Name) })
	for i := range values {
		add([]byte(values[i].Name))
		add(values[i].Value)
	}
}

// DecodeTransactGetItems decodes and checks a TransactGetItems request.
func DecodeTransactGetItems(body []byte) (*TransactGetItems, error) {
	var t transaction[*members]
	err := t.decode(opTransactGetItems, body, func(r *item.Reader, get **members) error {
		if r.Null() {
			return nil
		}
		return r.StructureIn("TransactGetItem", func(name []byte) error {
			if string(name) != "Get" {
				return r.Skip()
			}
			return readAction(r, "Get", transactGetMembers, get)
		})
	})
	if err != nil {
		return nil, err
	}
	op := new(TransactGetItems)
	if failure := op.check(&t); failure != nil {
		return nil, failure
	}
	return op, nil
}

func (op *TransactGetItems) check(t *transaction[*members]) *awserr.Error {
	l := layers[opTransactGetItems]
	op.Gets = make([]TransactGet, len(t.parts))
	var shape, names violations
	var badARN *awserr.Error
	t.checkLength(&shape)
	for i, m := range t.parts {
		path := elementPath(i) + "get"
		if m == nil {
			shape.null(path)
			continue
		}
		if !m.given(mTableName) {
			shape.null(path + ".tableName")
		} else {
			badARN = firstOf(badARN, op.Gets[i].transactTable(&names, m.tableName, path+".tableName"))
		}
		if !m.given(mKey) {
			shape.null(path + ".key")
		}
	}
	if t.capacity.given {
		op.ReturnConsumedCapacity = capacityOf(&shape, t.capacity.s)
	}
	if failure := firstOf(shape.err(), names.err(), badARN); failure != nil {
		return failure
	}
	for i, m := range t.parts {
		if m.key.invalid != nil {
			return m.key.invalid
		}
		p, failure := m.parse(l)
		if failure != nil {
			return failure
		}
		op.Gets[i].Key, op.Gets[i].Projection = m.key.item, p.projection
	}
	return nil
}

// Foreign reports whether any of the tables is of another account or region.
func (op *TransactWriteItems) Foreign(scope schema.Scope) bool {
	return slices.ContainsFunc(op.Writes, func(w TransactWrite) bool { return w.Foreign(scope) })
}

// Foreign reports whether any of the tables is of another account or region.
func (op *TransactGetItems) Foreign(scope schema.Scope) bool {
	return slices.ContainsFunc(op.Gets, func(g TransactGet) bool { return g.Foreign(scope) })
}
