package request

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/millstreamdb/millstream/internal/arn"
	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/item"
)

const (
	keysMembers = mKeys | mConsistentRead | mExpressionAttributeNames | mProjectionExpression | mAttributesToGet

	maxBatchGet   = 100
	maxBatchWrite = 25
)

// tablePart is one entry of RequestItems of either batch operation.
type tablePart[T any] struct {
	table string
	part  T
}

// batch is what both batch operations have as they came.
type batch[T any] struct {
	capacity, metrics       string
	hasCapacity, hasMetrics bool
	hasItems                bool
	parts                   []tablePart[T]
	// tooMany: more tables than either batch may have items; the rest is dropped.
	tooMany bool
}

// decode walks the request; part reads one table's entry. Of two entries of one
// name the last counts, as in every JSON parser. strange is as of decodeFor.
func (b *batch[T]) decode(l layer, body []byte, class string, part func(r *item.Reader, dst *T) error) (strange bool, err error) {
	var read, zero T
	*b = batch[T]{}
	return decodeFor(l, body, func(r *item.Reader, name []byte) error {
		switch string(name) {
		case "ReturnConsumedCapacity":
			if b.hasCapacity = !r.Null(); b.hasCapacity {
				return readString(r, &b.capacity)
			}
			return nil
		case "ReturnItemCollectionMetrics":
			if b.hasMetrics = !r.Null(); b.hasMetrics {
				return readString(r, &b.metrics)
			}
			return nil
		case "RequestItems":
			b.parts, b.tooMany = nil, false
			if b.hasItems = !r.Null(); !b.hasItems {
				return nil
			}
			at := make(map[string]int)
			return r.Map(class, func(name []byte) error {
				i, again := at[string(name)]
				if !again && len(b.parts) > maxBatchGet {
					b.tooMany = true
					read = zero
					return part(r, &read)
				}
				if !again {
					i = len(b.parts)
					table := string(name)
					at[table] = i
					b.parts = append(b.parts, tablePart[T]{table: table})
				}
				read = zero
				err := part(r, &read)
				b.parts[i].part = read
				return err
			})
		}
		return r.Skip()
	})
}

// checkName takes over a table name that is a key of RequestItems, and reports whether
// it can be one.
func checkName(c *Common, table string) bool {
	c.Requested, c.TableName = table, table
	if isName(table) && len(table) >= 3 && len(table) <= 255 {
		return true
	}
	_, name, ok := arn.Table(table)
	if ok = ok && len(table) <= maxARN; ok {
		c.TableName = name
	}
	return ok
}

const (
	mapKeys = "Map keys must satisfy constraint: [Member must have length less than or equal to 255, " +
		"Member must have length greater than or equal to 3, " + namePattern + "]"
	mapValue = "Map value must satisfy constraint: [Member must have length less than or equal to 25, " +
		"Member must have length greater than or equal to 1]"
)

// requestItems shows RequestItems as the current layer does: in JSON.
func requestItems(body []byte) string {
	var request map[string]json.RawMessage
	var shown bytes.Buffer
	// The request was decoded before, so that there are no errors to meet.
	_ = json.Unmarshal(body, &request)
	_ = json.Compact(&shown, request["RequestItems"])
	return shown.String()
}

// DecodeBatchGetItem decodes and checks a BatchGetItem request.
func DecodeBatchGetItem(body []byte) (*BatchGetItem, error) {
	var b batch[members]
	readPart := func(r *item.Reader, m *members) error {
		m.takes = keysMembers
		if r.Null() {
			return nil
		}
		return r.StructureIn("KeysAndAttributes", func(name []byte) error { return m.read(r, name) })
	}
	l := layers[opBatchGetItem]
	strange, err := b.decode(l, body, "KeysAndAttributes", readPart)
	if err == nil && strange && l.texts == awserr.Current {
		l = older
		_, err = b.decode(l, body, "KeysAndAttributes", readPart)
	}
	if err != nil {
		return nil, err
	}
	op := new(BatchGetItem)
	if failure := op.check(&b, body, l); failure != nil {
		return nil, failure
	}
	return op, nil
}

// checkShape checks what needs no value. What has the form of the current layer is told
// before the rest.
func (op *BatchGetItem) checkShape(b *batch[members], body []byte) *awserr.Error {
	var newer, rest violations
	if !b.hasItems {
		rest.null("requestItems")
	} else if len(b.parts) == 0 {
		newer.unvalued("RequestItems", notEmpty)
	}
	op.Tables = make([]KeysAndAttributes, len(b.parts))
	named := true
	for i := range b.parts {
		name := b.parts[i].table
		if ok := checkName(&op.Tables[i].Common, name); !ok && named {
			named = false
			rest.add(requestItems(body), "requestItems", mapKeys)
		}
		m := &b.parts[i].part
		switch n := len(m.keys); {
		case !m.given(mKeys):
			rest.null("requestItems." + name + ".member.keys")
		case n == 0:
			newer.unvalued("RequestItems."+name+".member.Keys", notEmpty)
		case n > maxBatchGet:
			newer.unvalued("RequestItems."+name+".member.Keys", "Member must have length less than or equal to 100")
		}
		m.checkAttributesToGet(&rest, "requestItems."+name+".member.attributesToGet")
	}
	if b.hasCapacity {
		op.ReturnConsumedCapacity = capacityOf(&rest, b.capacity)
	}
	for i := range op.Tables {
		op.Tables[i].ReturnConsumedCapacity = op.ReturnConsumedCapacity
	}
	return firstOf(newer.err(), rest.err())
}

func (op *BatchGetItem) check(b *batch[members], body []byte, l layer) *awserr.Error {
	if failure := op.checkShape(b, body); failure != nil {
		return failure
	}
	if failure := mixedTables(b.parts); failure != nil {
		return failure
	}
	if b.tooMany {
		return awserr.TooManyItems("BatchGetItem")
	}
	total := 0
	repeated := sync.OnceValue(func() map[string]bool { return writtenTwice(body) })
	for i := range b.parts {
		m := &b.parts[i].part
		if failure := m.mixing(&getGrammar, l); failure != nil {
			return failure
		}
		if failure := op.Tables[i].checkKeys(m, repeated); failure != nil {
			return failure
		}
		if total += len(m.keys); total > maxBatchGet {
			return awserr.TooManyItems("BatchGetItem")
		}
		if failure := m.checkToGet(); failure != nil {
			return failure
		}
		p, failure := m.parse(l)
		if failure != nil {
			return failure
		}
		op.Tables[i].Projection = p.projection
		op.Tables[i].ConsistentRead = m.given(mConsistentRead) && m.consistentRead
		op.Tables[i].Raw = m.appendEcho(nil)
	}
	return nil
}

// mixedTables refuses AttributesToGet for one table beside ProjectionExpression
// for another.
func mixedTables(parts []tablePart[members]) *awserr.Error {
	var has member
	for i := range parts {
		has |= parts[i].part.has
	}
	if has&mAttributesToGet != 0 && has&mProjectionExpression != 0 {
		toGet, projection := []string{mAttributesToGet.String()}, []string{mProjectionExpression.String()}
		return awserr.MixedParameters(toGet, projection)
	}
	return nil
}

// checkKeys takes over the keys, which must differ as they are written: AWS takes
// 1000 and 1e3 for two keys here, and answers the item twice.
// repeated is asked only when two keys are equal.
func (t *KeysAndAttributes) checkKeys(m *members, repeated func() map[string]bool) *awserr.Error {
	t.Keys = make([]item.Item, len(m.keys))
	seen := make(map[string]bool, len(m.keys))
	for i := range m.keys {
		if failure := m.keys[i].invalid; failure != nil {
			return failure
		}
		key := m.keys[i].item
		if seen[string(key)] && repeated()[t.Requested] {
			return awserr.DuplicateKeys()
		}
		seen[string(key)] = true
		t.Keys[i] = key
	}
	return nil
}

// writtenTwice reads a well-formed BatchGetItem request again, for the texts of
// its keys, and returns the tables that have two keys of one text.
func writtenTwice(body []byte) map[string]bool {
	twice := make(map[string]bool)
	readKey := func(r *item.Reader) (string, error) {
		var attributes []string
		err := r.Object(func(name []byte) error {
			attribute := strconv.Quote(string(name))
			return r.Object(func(kind []byte) error {
				if r.Kind() != item.KindString { // no type of a key
					return r.Skip()
				}
				text, err := r.String()
				attributes = append(attributes, attribute+string(kind)+strconv.Quote(text))
				return err
			})
		})
		slices.Sort(attributes)
		return strings.Join(attributes, ","), err
	}
	// The request was decoded before, so that there are no errors to meet.
	_ = decode(body, func(r *item.Reader, member []byte) error {
		if string(member) != "RequestItems" {
			return r.Skip()
		}
		return r.Object(func(name []byte) error {
			table := string(name)
			return r.Object(func(member []byte) error {
				if string(member) != "Keys" {
					return r.Skip()
				}
				seen := make(map[string]bool)
				return r.Array(func(int) error {
					key, err := readKey(r)
					if seen[key] {
						twice[table] = true
					}
					seen[key] = true
					return err
				})
			})
		})
	})
	return twice
}

// appendEcho appends what UnprocessedKeys repeats beside the keys.
func (m *members) appendEcho(dst []byte) []byte {
	comma := func() {
		if len(dst) > 0 {
			dst = append(dst, ',')
		}
	}
	if m.given(mProjectionExpression) {
		dst = append(dst, `"ProjectionExpression":`...)
		dst = item.AppendJSONString(dst, []byte(m.projection))
	}
	if m.given(mExpressionAttributeNames) {
		comma()
		dst = append(dst, `"ExpressionAttributeNames":{`...)
		for i, name := range m.names {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = item.AppendJSONString(dst, []byte(name.Key))
			dst = append(dst, ':')
			dst = item.AppendJSONString(dst, []byte(name.Attribute))
		}
		dst = append(dst, '}')
	}
	if m.given(mAttributesToGet) {
		comma()
		dst = append(dst, `"AttributesToGet":[`...)
		for i, name := range m.attributesToGet {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = item.AppendJSONString(dst, []byte(name))
		}
		dst = append(dst, ']')
	}
	if m.given(mConsistentRead) {
		comma()
		dst = append(dst, `"ConsistentRead":`...)
		dst = strconv.AppendBool(dst, m.consistentRead)
	}
	return dst
}

// writePart is a WriteRequest as it came.
type writePart struct {
	put, del        attributes
	isPut, isDelete bool
	hasItem, hasKey bool
}

func readWrite(r *item.Reader, w *writePart) error {
	return r.StructureIn("WriteRequest", func(name []byte) error {
		switch string(name) {
		case "PutRequest":
			if w.isPut = !r.Null(); !w.isPut {
				return nil
			}
			return r.Structure("PutRequest", func(name []byte) error {
				if string(name) != "Item" {
					return r.Skip()
				}
				if w.hasItem = !r.Null(); !w.hasItem {
					return nil
				}
				return w.put.read(r)
			})
		case "DeleteRequest":
			if w.isDelete = !r.Null(); !w.isDelete {
				return nil
			}
			return r.Structure("DeleteRequest", func(name []byte) error {
				if string(name) != "Key" {
					return r.Skip()
				}
				if w.hasKey = !r.Null(); !w.hasKey {
					return nil
				}
				return w.del.read(r)
			})
		}
		return r.Skip()
	})
}

// DecodeBatchWriteItem decodes and checks a BatchWriteItem request. That one item
// is not written twice needs the table's keys and is checked by who knows them.
func DecodeBatchWriteItem(body []byte) (*BatchWriteItem, error) {
	var b batch[[]writePart]
	var w writePart
	const class = "java.util.List<com.amazonaws.dynamodb.v20120810.WriteRequest>"
	_, err := b.decode(layers[opBatchWriteItem], body, class, func(r *item.Reader, list *[]writePart) error {
		if r.Null() {
			return nil
		}
		return readParameterized(r, func() error {
			return r.Array(func(int) error {
				w = writePart{}
				if !r.Null() {
					if err := readWrite(r, &w); err != nil {
						return err
					}
				}
				if len(*list) <= maxBatchWrite {
					*list = append(*list, w)
				}
				return nil
			})
		})
	})
	if err != nil {
		return nil, err
	}
	op := new(BatchWriteItem)
	if failure := op.check(&b); failure != nil {
		return nil, failure
	}
	return op, nil
}

func (op *BatchWriteItem) check(b *batch[[]writePart]) *awserr.Error {
	var v, names violations // names give way to all else
	if !b.hasItems {
		v.null("requestItems")
	}
	op.Tables = make([]TableWrites, len(b.parts))
	for i := range b.parts {
		t, list, name := &op.Tables[i], b.parts[i].part, b.parts[i].table
		if !checkName(&t.Common, name) {
			names.add("{"+name+"=...}", "requestItems", mapKeys)
		}
		if len(list) == 0 || len(list) > maxBatchWrite {
			shown := "{" + name + "=[...]}"
			if len(list) == 0 {
				shown = "{" + name + "=[]}"
			}
			v.add(shown, "requestItems", mapValue)
			continue
		}
		for n := range list {
			path := "requestItems." + name + ".member." + strconv.Itoa(n+1) + ".member."
			if list[n].isPut && !list[n].hasItem {
				v.null(path + "putRequest.item")
			}
			if list[n].isDelete && !list[n].hasKey {
				v.null(path + "deleteRequest.key")
			}
		}
	}
	if b.hasCapacity {
		op.ReturnConsumedCapacity = capacityOf(&v, b.capacity)
	}
	if b.hasMetrics {
		op.ReturnItemCollectionMetrics = metricsOf(&v, b.metrics)
	}
	for i := range op.Tables {
		op.Tables[i].ReturnConsumedCapacity = op.ReturnConsumedCapacity
	}
	if failure := firstOf(v.err(), names.err()); failure != nil {
		return failure
	}
	if len(b.parts) == 0 {
		return awserr.RequestItemsRequired("BatchWriteItem")
	}
	if b.tooMany {
		return awserr.TooManyItems("BatchWriteItem")
	}
	total := 0
	for i := range b.parts {
		list := b.parts[i].part
		writes := make([]WriteRequest, len(list))
		for n := range list {
			w := &list[n]
			if w.isPut == w.isDelete {
				return awserr.AmbiguousWriteRequest()
			}
			if failure := firstOf(w.put.invalid, w.del.invalid); failure != nil {
				return failure
			}
			if !w.isPut {
				writes[n].Key = w.del.item
				continue
			}
			if failure := tooLarge(&w.put); failure != nil {
				return failure
			}
			writes[n].Item = w.put.item
		}
		if total += len(list); total > maxBatchWrite {
			return awserr.TooManyItems("BatchWriteItem")
		}
		op.Tables[i].Writes = writes
	}
	return nil
}
