package partiql

import (
	"slices"

	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/expr"
	"github.com/millstreamdb/millstream/internal/item"
	"github.com/millstreamdb/millstream/internal/request"
	"github.com/millstreamdb/millstream/internal/schema"
)

// maxReads is how many partition keys one SELECT may read.
const maxReads = 50

// Read is how a SELECT finds its items: by one query for each partition key, in
// order, or by a scan when there is none.
type Read struct {
	Queries    []*expr.KeyCondition
	Filter     *expr.Condition
	Projection *expr.Projection // whole attributes; Show makes the columns of them
	Descending bool
}

// Plan holds a SELECT against the keys of its table or index.
func (s *Statement) Plan(k *schema.Keys) (*Read, *awserr.Error) {
	r := &Read{Projection: s.projection()}
	hash, rng := -1, -1
	for i := range s.where {
		c := &s.where[i]
		switch c.key.Attribute {
		case "":
		case k.Hash.Name:
			if hash < 0 && c.key.Op == expr.KeyEQ {
				hash = i
			}
		case k.Range.Name:
			if rng < 0 && !c.in {
				rng = i
			}
		}
	}
	var rest []expr.Term
	for i := range s.where {
		if hash < 0 || i != hash && i != rng {
			rest = append(rest, s.where[i].term)
		}
	}
	r.Filter = s.condition(rest)
	if hash < 0 {
		if s.order != nil {
			if s.where == nil {
				return nil, awserr.OrderWithoutWhere()
			}
			return nil, awserr.OrderWithoutHash()
		}
		return r, nil
	}
	values := distinct(s.where[hash].key.Values)
	if len(values) > maxReads {
		return nil, awserr.TooManyReads()
	}
	if e := s.arrange(r, k, values); e != nil {
		return nil, e
	}
	for _, v := range values {
		kc := &expr.KeyCondition{Conditions: []expr.KeyTerm{{Attribute: k.Hash.Name, Op: expr.KeyEQ, Values: []item.Value{v}}}}
		if rng >= 0 {
			kc.Conditions = append(kc.Conditions, s.where[rng].key)
		}
		r.Queries = append(r.Queries, kc)
	}
	return r, nil
}

// arrange applies ORDER BY. Without the sort key it means descending, as on AWS.
func (s *Statement) arrange(r *Read, k *schema.Keys, values []item.Value) *awserr.Error {
	if s.order == nil {
		return nil
	}
	r.Descending = true
	byHash := false
	for _, o := range s.order {
		switch o.attribute {
		case k.Hash.Name:
			byHash = true
			ordered := true
			for _, v := range values {
				ordered = ordered && v.Type() == k.Hash.Type
			}
			if ordered { // else the query refuses a value
				slices.SortFunc(values, func(a, b item.Value) int {
					if o.descending {
						a, b = b, a
					}
					return item.Compare(a, b)
				})
			}
		case k.Range.Name:
			r.Descending = o.descending
		default:
			return awserr.OrderByOther(o.attribute)
		}
	}
	if len(values) > 1 && !byHash {
		return awserr.OrderOfSeveral()
	}
	return nil
}

func distinct(values []item.Value) []item.Value {
	seen := make(map[string]bool, len(values))
	var list []item.Value
	for _, v := range values {
		if !seen[string(v)] {
			seen[string(v)] = true
			list = append(list, v)
		}
	}
	return list
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

// Key is what WHERE says of the whole primary key: by AND of equalities. Rest is
// the other conditions. Ok is false when it does not name exactly one item.
func (s *Statement) Key(k *schema.Keys) (key item.Item, rest []expr.Term, ok bool) {
	found := make(map[string]item.Value, 2)
	for i := range s.where {
		c := &s.where[i]
		if k.Has(c.key.Attribute) && c.key.Op == expr.KeyEQ && !c.in {
			old, again := found[c.key.Attribute]
			if !again || item.Equal(old, c.key.Values[0]) {
				found[c.key.Attribute] = c.key.Values[0]
				continue
			}
		}
		rest = append(rest, c.term)
	}
	var entries []item.Entry
	for name, v := range found {
		entries = append(entries, item.Entry{Name: name, Value: v})
	}
	return item.NewItem(entries), rest, len(found) == k.Len()
}

// Action returns what a statement that is no SELECT does, as an action of a
// transaction.
func (s *Statement) Action(k *schema.Keys) (w request.TransactWrite, e *awserr.Error) {
	w.TableName, w.Requested = s.Table, s.Table
	if s.Index != "" {
		return w, awserr.IndexWrite()
	}
	if s.Verb == Insert {
		w.Action, w.Item, w.Existence = request.TransactPut, s.Item, request.NoItem
		if s.Item.Size() > schema.MaxItemSize {
			return w, awserr.ItemTooLarge()
		}
		return w, nil
	}
	key, rest, ok := s.Key(k)
	w.Key = key
	switch {
	case s.Verb == Exists && (!ok || len(rest) == 0):
		return w, awserr.ExistsOfOne()
	case !ok:
		return w, awserr.KeyRequired()
	}
	switch s.Verb {
	case Exists:
		w.Action = request.TransactCheck
	case Update:
		w.Action, w.Update, w.Existence = request.TransactUpdate, s.update, request.SomeItem
	case Delete:
		// A condition is of an item: where there is none, nothing is to be done.
		w.Action = request.TransactDelete
		if len(rest) > 0 {
			absent := s.builder.Test("attribute_not_exists", expr.PathOperand(expr.NewPath(k.Hash.Name)))
			w.Condition = s.builder.Or(absent, s.builder.And(rest...)).Condition()
			return w, nil
		}
	}
	w.Condition = s.condition(rest)
	return w, nil
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
