package partiql

import (
	"bytes"
	"slices"

	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/expr"
	"github.com/millstreamdb/millstream/internal/item"
	"github.com/millstreamdb/millstream/internal/schema"
)

// A WHERE whose branches all name the partition key is read as one range of keys for
// each branch and each value that it names. Ranges that share a key are refused, as on
// AWS. When a branch says more of the sort key than one range can, nothing is refused:
// then every partition is read once, with all of WHERE as the filter.

// keyRange is what one query reads: a partition, or the part of it that sort admits.
type keyRange struct {
	hash         item.Value
	sort         *expr.KeyTerm
	lower, upper []byte // bounds of the encoded sort key, upper exclusive; nil: none
	said         []*condition
}

func (x *keyRange) query(k *schema.Keys) *expr.KeyCondition {
	kc := &expr.KeyCondition{Conditions: []expr.KeyTerm{{Attribute: k.Hash.Name, Op: expr.KeyEQ, Values: []item.Value{x.hash}}}}
	if x.sort != nil {
		kc.Conditions = append(kc.Conditions, *x.sort)
	}
	return kc
}

// says reports whether the range, and every other of its statement, admits only items
// of which the condition holds.
func (x *keyRange) says(c *condition) bool { return slices.Contains(x.said, c) }

// meets reports whether two ranges of one partition have keys in common.
func (x *keyRange) meets(y *keyRange) bool {
	before := func(a, b *keyRange) bool {
		return a.upper != nil && b.lower != nil && bytes.Compare(a.upper, b.lower) <= 0
	}
	return item.Equal(x.hash, y.hash) && !before(x, y) && !before(y, x)
}

// names reports whether a condition demands a value of a key attribute, or one of a
// list.
func (c *condition) names(attribute string) bool {
	return c.key.Attribute == attribute && c.key.Op == expr.KeyEQ && !c.not
}

// mentions reports whether a condition reads an attribute of the key.
func (c *condition) mentions(k *schema.Keys) bool {
	return slices.ContainsFunc(c.term.Condition().Attributes(), k.Has)
}

// maxBranches bounds what the branches of a statement are multiplied out to. Past it,
// the table is read as a whole; fifty queries are the most there may be anyway.
const maxBranches = 1000

// branches multiplies out conditions joined by AND, as far as they tell of the key. An
// OR that does not is one condition of a branch. It returns nil when there are too
// many.
func branches(conditions []condition, k *schema.Keys) [][]*condition {
	list := [][]*condition{nil}
	for i := range conditions {
		c := &conditions[i]
		parts := [][]*condition{{c}}
		if c.any != nil && !c.not && c.mentions(k) {
			parts = nil
			for _, branch := range c.any {
				more := branches(branch, k)
				if more == nil || len(parts)+len(more) > maxBranches {
					return nil
				}
				parts = append(parts, more...)
			}
		}
		if len(list)*len(parts) > maxBranches {
			return nil
		}
		joined := make([][]*condition, 0, len(list)*len(parts))
		for _, held := range list {
			for _, part := range parts {
				joined = append(joined, slices.Concat(held, part))
			}
		}
		list = joined
	}
	return list
}

// branch is what one branch says of the key.
type branch struct {
	hashes []item.Value // nil: nothing by which to find items
	hash   *condition
	sorts  []*condition // the conditions on the sort key, without repetitions
	loose  bool         // it says more of the sort key
}

// ranges returns what a SELECT reads: nil when it must scan.
func (s *Statement) ranges(k *schema.Keys) ([]keyRange, *awserr.Error) {
	var list []branch
	for _, conditions := range branches(s.where, k) {
		b := readBranch(conditions, k)
		list = append(list, b)
		if b.hashes == nil {
			break
		}
	}
	if len(list) == 0 || list[len(list)-1].hashes == nil {
		return nil, nil
	}
	how := oneBranch
	switch loose := slices.ContainsFunc(list, func(b branch) bool { return b.loose }); {
	case loose && len(list) > 1:
		how = wholePartitions
	case loose:
	case slices.ContainsFunc(list, branch.repeats):
		return nil, awserr.OverlappingKeys()
	case len(list) > 1:
		how = exactRanges
	}
	var ranges []keyRange
	for i := range list {
		for _, x := range list[i].ranges(k, how) {
			if !slices.ContainsFunc(ranges, func(y keyRange) bool { return x.meets(&y) }) {
				ranges = append(ranges, x)
			} else if how == exactRanges {
				return nil, awserr.OverlappingKeys()
			}
		}
		if len(ranges) > maxReads {
			return nil, awserr.TooManyReads()
		}
	}
	return ranges, nil
}

func readBranch(conditions []*condition, k *schema.Keys) (b branch) {
	for _, c := range conditions {
		switch {
		case c.names(k.Hash.Name):
			if b.hashes == nil {
				b.hash, b.hashes = c, distinct(c.key.Values)
				continue
			}
			if b.hash == nil || !b.hash.same(c) {
				b.hash = nil // more than one: a filter
			}
			b.hashes = slices.DeleteFunc(b.hashes, func(v item.Value) bool {
				return !slices.ContainsFunc(c.key.Values, func(w item.Value) bool { return item.Equal(v, w) })
			})
		case !k.HasRange():
		case c.key.Attribute == k.Range.Name && !c.not:
			if !slices.ContainsFunc(b.sorts, c.same) {
				b.sorts = append(b.sorts, c)
			}
		case c.not && c.about() == k.Range.Name:
			b.loose = true
		}
	}
	b.loose = b.loose || len(b.sorts) > 1
	return b
}

// about returns the one attribute that a condition reads, if it is one.
func (c *condition) about() string {
	if list := c.term.Condition().Attributes(); len(list) == 1 {
		return list[0]
	}
	return ""
}

// same reports whether two conditions say the same of a key attribute.
func (c *condition) same(d *condition) bool {
	equal := func(v, w item.Value) bool { return item.Equal(v, w) }
	if c.key.Op == expr.KeyEQ && d.key.Op == expr.KeyEQ {
		return slices.EqualFunc(sorted(c.key.Values), sorted(d.key.Values), equal)
	}
	return c.key.Op == d.key.Op && slices.EqualFunc(c.key.Values, d.key.Values, equal)
}

// sorted returns the distinct values of a list, in one order.
func sorted(values []item.Value) []item.Value {
	return slices.SortedFunc(slices.Values(distinct(values)), func(v, w item.Value) int { return bytes.Compare(v, w) })
}

// checkTypes checks the values by which branches find items, up to the first branch
// that does not name one value or list of the partition key, or says more of the sort
// key: AWS takes what follows for a filter.
func (s *Statement) checkTypes(k *schema.Keys) *awserr.Error {
	for _, conditions := range branches(s.where, k) {
		b := readBranch(conditions, k)
		if b.hash == nil || b.loose {
			return nil
		}
		if e := checkKeyValues(k.Hash, b.hash.key.Values); e != nil {
			return e
		}
		if len(b.sorts) == 0 {
			continue
		}
		if e := checkKeyValues(k.Range, b.sorts[0].key.Values); e != nil {
			return e
		}
	}
	return nil
}

func checkKeyValues(a schema.Attribute, values []item.Value) *awserr.Error {
	for _, v := range values {
		switch t := v.Type(); {
		case t != item.S && t != item.N && t != item.B:
			return awserr.KeyValueType(a.Name, t.String())
		case t != a.Type:
			return awserr.KeyValueMismatch(a.Name)
		}
	}
	return nil
}

// repeats reports whether an IN on the key names a value twice.
func (b branch) repeats() bool {
	for _, c := range append(slices.Clip(b.sorts), b.hash) {
		if c != nil && c.in && len(distinct(c.key.Values)) < len(c.key.Values) {
			return true
		}
	}
	return false
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

// How branches become ranges.
type division byte

const (
	// oneBranch: there is no other, so that what a range does not narrow is left to
	// the filter.
	oneBranch division = iota
	// exactRanges: an item belongs to one branch, and its range admits no more than
	// the branch says of the key.
	exactRanges
	// wholePartitions: what the branches say of the sort key is left to the filter.
	wholePartitions
)

// ranges returns the ranges of one branch.
func (b *branch) ranges(k *schema.Keys, how division) []keyRange {
	var list []keyRange
	for _, hash := range b.hashes {
		if hash.Type() != k.Hash.Type {
			continue // of several conditions on the partition key: no item satisfies them
		}
		x := keyRange{hash: hash}
		if how == oneBranch && b.hash != nil {
			x.said = append(x.said, b.hash)
		}
		c := b.sort(k)
		switch {
		case c == nil || how == wholePartitions:
			list = append(list, x)
		case !c.in || len(c.key.Values) == 1:
			if how == oneBranch {
				x.said = append(x.said, c)
			}
			list = append(list, x.narrowed(c.key))
		case how == oneBranch:
			list = append(list, x)
		default:
			for _, v := range c.key.Values {
				list = append(list, x.narrowed(expr.KeyTerm{Attribute: k.Range.Name, Op: expr.KeyEQ, Values: []item.Value{v}}))
			}
		}
	}
	return list
}

// sort returns the condition on the sort key that a range can be narrowed by, if any.
func (b *branch) sort(k *schema.Keys) *condition {
	i := slices.IndexFunc(b.sorts, func(c *condition) bool { return checkKeyValues(k.Range, c.key.Values) == nil })
	if i < 0 {
		return nil
	}
	return b.sorts[i]
}

// narrowed returns the part of a partition that a condition on the sort key admits.
func (x keyRange) narrowed(t expr.KeyTerm) keyRange {
	x.sort = &t
	at := func(v item.Value) []byte { return item.AppendKey(nil, v) }
	behind := func(v item.Value) []byte { return append(at(v), 0) }
	switch v := t.Values[0]; t.Op {
	case expr.KeyLT:
		x.upper = at(v)
	case expr.KeyLE:
		x.upper = behind(v)
	case expr.KeyGT:
		x.lower = behind(v)
	case expr.KeyGE:
		x.lower = at(v)
	case expr.KeyBetween:
		x.lower, x.upper = at(v), behind(t.Values[1])
	case expr.KeyBeginsWith:
		x.lower = item.AppendKeyPrefix(nil, v)
		x.upper = append(bytes.Clone(x.lower), bytes.Repeat([]byte{0xff}, schema.MaxRangeKeySize)...)
	default:
		x.lower, x.upper = at(v), behind(v)
	}
	return x
}
