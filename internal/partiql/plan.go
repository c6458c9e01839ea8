package partiql

import (
	"bytes"
	"slices"

	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/expr"
	"github.com/millstreamdb/millstream/internal/item"
	"github.com/millstreamdb/millstream/internal/request"
	"github.com/millstreamdb/millstream/internal/schema"
)

// maxReads is how many partition keys one SELECT may read.
const maxReads = 50

// Read is how a SELECT finds its items: by one query after the other, for each
// partition key and branch of an OR, or by a scan.
type Read struct {
	Queries    []*expr.KeyCondition // nil: a scan; empty: no key satisfies the conditions
	Keyed      bool                 // WHERE demands of every item a value, or one of a list, of the partition key
	Filter     *expr.Condition
	Projection *expr.Projection // whole attributes; Show makes the columns of them
	Descending bool
}

// Plan holds a SELECT against the keys of its table or index, in AWS's order: columns that are
// no paths, the attributes of ORDER BY, the types of key values, branches that reach one item, the
// rest of ORDER BY.
func (s *Statement) Plan(k *schema.Keys) (*Read, *awserr.Error) {
	if s.refused != nil {
		return nil, s.refused
	}
	r := &Read{Projection: s.projection()}
	if e := s.checkOrder(k); e != nil {
		return nil, e
	}
	if e := s.checkTypes(k); e != nil {
		return nil, e
	}
	ranges, e := s.ranges(k)
	if e != nil {
		return nil, e
	}
	if s.order != nil {
		if e := s.arrange(r, k, ranges); e != nil {
			return nil, e
		}
	}
	for i := range ranges {
		r.Queries = append(r.Queries, ranges[i].query(k))
	}
	r.Keyed = slices.ContainsFunc(s.where, func(c condition) bool { return c.names(k.Hash.Name) })
	var rest []expr.Term
	for i := range s.where {
		if ranges == nil || len(ranges) > 0 && !ranges[0].says(&s.where[i]) {
			rest = append(rest, s.where[i].term)
		}
	}
	r.Filter = s.condition(rest)
	return r, nil
}

// checkOrder checks the attributes of ORDER BY.
func (s *Statement) checkOrder(k *schema.Keys) *awserr.Error {
	if s.order != nil && s.where == nil {
		return awserr.OrderWithoutWhere()
	}
	for _, o := range s.order {
		if o.refused != nil {
			return o.refused
		}
		if !k.Has(o.attribute) {
			return awserr.OrderByOther(o.attribute)
		}
	}
	return nil
}

// arrange applies ORDER BY to the reads. Without the sort key it means descending, as
// on AWS.
func (s *Statement) arrange(r *Read, k *schema.Keys, ranges []keyRange) *awserr.Error {
	if ranges == nil {
		return awserr.OrderWithoutHash()
	}
	r.Descending = true
	var byHash *ordering
	for i := range s.order {
		if o := &s.order[i]; o.attribute == k.Hash.Name {
			byHash = o
		} else {
			r.Descending = o.descending
		}
	}
	several := slices.ContainsFunc(ranges, func(x keyRange) bool { return !item.Equal(x.hash, ranges[0].hash) })
	if several && byHash == nil {
		return awserr.OrderOfSeveral()
	}
	slices.SortStableFunc(ranges, func(a, b keyRange) int {
		if n := item.Compare(a.hash, b.hash); n != 0 {
			if byHash.descending {
				return -n
			}
			return n
		}
		if r.Descending {
			a, b = b, a
		}
		return bytes.Compare(a.lower, b.lower)
	})
	return nil
}

func (s *Statement) condition(terms []expr.Term) *expr.Condition {
	if len(terms) == 0 {
		return nil
	}
	return s.builder.And(terms...).Condition()
}

func (s *Statement) projection() *expr.Projection {
	seen := map[string]bool{}
	var names []string
	for _, c := range s.Columns {
		if name, _ := c.Path.Attribute(); !seen[name] {
			seen[name] = true
			names = append(names, name)
		}
	}
	return expr.NewProjection(names)
}

// Show makes the row that a SELECT shows of an item.
func (s *Statement) Show(it item.Item) item.Item {
	if s.Columns == nil || it == nil {
		return it
	}
	entries := make([]item.Entry, 0, len(s.Columns))
	for _, c := range s.Columns {
		if v := c.Path.Resolve(it); v != nil {
			entries = append(entries, item.Entry{Name: c.Name, Value: v})
		}
	}
	return item.NewItem(entries)
}

// Single is the key of the one item that a SELECT in a batch or transaction reads. Its
// WHERE names each key attribute, by = or an IN of one value, and nothing else; ok is
// false of any other. Conditions that overlap are an error all the same.
func (s *Statement) Single(k *schema.Keys) (key item.Item, ok bool, e *awserr.Error) {
	if s.refused != nil {
		return nil, false, s.refused
	}
	if _, e := s.ranges(k); e != nil {
		return nil, false, e
	}
	found := make(map[string]item.Value, 2)
	for i := range s.where {
		c := &s.where[i]
		old, again := found[c.key.Attribute]
		if !k.Has(c.key.Attribute) || !c.names(c.key.Attribute) || len(c.key.Values) != 1 || again && !item.Equal(old, c.key.Values[0]) {
			return nil, false, nil
		}
		found[c.key.Attribute] = c.key.Values[0]
	}
	return keyItem(found), len(found) == k.Len(), nil
}

func keyItem(found map[string]item.Value) item.Item {
	entries := make([]item.Entry, 0, len(found))
	for name, v := range found {
		entries = append(entries, item.Entry{Name: name, Value: v})
	}
	return item.NewItem(entries)
}

// key is what WHERE says of the whole primary key: by AND of equalities, of values of
// the key's types if typed. rest is the other conditions.
func (s *Statement) key(k *schema.Keys, typed bool) (key item.Item, rest []expr.Term, e *awserr.Error) {
	found := make(map[string]item.Value, 2)
	for i := range k.Len() {
		name := k.At(i).Name
		for j := range s.where {
			c := &s.where[j]
			if !c.names(name) || c.in {
				continue
			}
			v := c.key.Values[0]
			if typed {
				if e := checkKeyValues(k.At(i), c.key.Values); e != nil {
					return nil, nil, e
				}
			}
			if old, again := found[name]; again && !item.Equal(old, v) {
				return nil, nil, awserr.KeyTwice(name)
			}
			found[name] = v
		}
		if found[name] == nil {
			return nil, nil, awserr.KeyRequired()
		}
	}
	for i := range s.where {
		if c := &s.where[i]; !k.Has(c.key.Attribute) || !c.names(c.key.Attribute) || c.in {
			rest = append(rest, c.term)
		}
	}
	return keyItem(found), rest, nil
}

// Action returns what a statement that is no SELECT does, as an action of a
// transaction. The types of key values are checked if typed, as AWS does outside of
// transactions; in one it leaves that to the action.
func (s *Statement) Action(k *schema.Keys, typed bool) (w request.TransactWrite, e *awserr.Error) {
	w.TableName, w.Requested = s.Table, s.Table
	if s.Verb == Insert {
		w.Action, w.Item, w.Existence = request.TransactPut, s.Item, request.NoItem
		if s.Item.Size() > schema.MaxItemSize {
			return w, awserr.ItemTooLarge()
		}
		if typed {
			e = CheckKey(k, s.Item)
		}
		return w, e
	}
	key, rest, e := s.key(k, typed)
	w.Key = key
	switch {
	case s.Verb == Exists && (e != nil || len(rest) == 0):
		return w, awserr.ExistsOfOne()
	case e != nil:
		return w, e
	}
	switch s.Verb {
	case Exists:
		w.Action = request.TransactCheck
	case Update:
		w.Action, w.Update, w.Existence = request.TransactUpdate, s.update, request.SomeItem
	case Delete:
		// A condition is of an item: where there is none, nothing is to be done.
		w.Action, w.Existence = request.TransactDelete, request.MaybeItem
		if len(rest) > 0 && typed {
			absent := s.builder.Test("attribute_not_exists", expr.PathOperand(expr.NewPath(k.Hash.Name)))
			w.Condition = s.builder.Or(absent, s.builder.And(rest...)).Condition()
			return w, nil
		}
	}
	w.Condition = s.condition(rest)
	return w, nil
}

// CheckKey checks the types of the key values in a key or an item.
func CheckKey(k *schema.Keys, named item.Item) *awserr.Error {
	for i := range k.Len() {
		if v := named.Get(k.At(i).Name); v != nil {
			if e := checkKeyValues(k.At(i), []item.Value{v}); e != nil {
				return e
			}
		}
	}
	return nil
}

// Absent is the condition that there is no item.
func (s *Statement) Absent(k *schema.Keys) *expr.Condition {
	return s.builder.Test("attribute_not_exists", expr.PathOperand(expr.NewPath(k.Hash.Name))).Condition()
}

// Present is the condition that there is an item and that the condition of a
// statement's action holds of it.
func (s *Statement) Present(k *schema.Keys, c *expr.Condition) *expr.Condition {
	there := s.builder.Test("attribute_exists", expr.PathOperand(expr.NewPath(k.Hash.Name)))
	if c == nil {
		return there.Condition()
	}
	return s.builder.And(there, c.Term()).Condition()
}
