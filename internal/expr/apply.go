package expr

import (
	"slices"
	"unsafe"

	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/item"
)

// applier carries out one update on one item.
type applier struct {
	u *Update
	// image is what right sides read: the item before the update, or the key
	// that a new item starts with.
	image item.Item
	// absent tells that there is no item yet. What only takes away is then
	// without effect, also where an existing item would refuse the path.
	absent bool
	values []item.Value // what SET actions write, beside u.actions
}

// Apply computes the new item. old is nil when there is none; key holds the key
// attributes that a new item starts with. Attributes that are not touched are
// copied as they are. The error is a ValidationException. It does not check
// sizes or keys.
func (u *Update) Apply(old, key item.Item) (item.Item, *awserr.Error) {
	a := applier{u: u, image: old, absent: old == nil, values: make([]item.Value, len(u.actions))}
	if a.absent {
		a.image = key
	}
	if err := a.checkTypes(); err != nil {
		return nil, err
	}
	for i := range u.actions {
		if err := a.checkPath(i); err != nil {
			return nil, err
		}
		if u.actions[i].clause != clauseSet {
			continue
		}
		v, err := a.setValue(&u.actions[i].set)
		if err != nil {
			return nil, err
		}
		if len(u.paths.paths[i])-1+v.Depth() > item.MaxDepth {
			return nil, awserr.ResultTooDeep()
		}
		a.values[i] = v
	}
	entries, err := a.entries(&u.paths.root, a.image.Map())
	if err != nil {
		return nil, err
	}
	return item.NewItem(entries), nil
}

// checkTypes refuses ADD and DELETE of a value of another type than is there, which AWS
// finds before a path that leads nowhere.
func (a *applier) checkTypes() *awserr.Error {
	for i := range a.u.actions {
		act := &a.u.actions[i]
		if act.clause != clauseAdd && act.clause != clauseDelete {
			continue
		}
		if v := a.u.paths.paths[i].resolve(a.image); v != nil && v.Type() != act.value.Type() {
			return a.u.mismatch()
		}
		if act.value.Type() == item.L && len(a.u.paths.paths[i])-1+act.value.Depth() > item.MaxDepth {
			return awserr.ResultTooDeep()
		}
	}
	return nil
}

// checkPath refuses a path whose parent is not there or is of another type.
func (a *applier) checkPath(i int) *awserr.Error {
	p := a.u.paths.paths[i]
	last := len(p) - 1
	if last == 0 || a.absent && a.u.actions[i].removes() {
		return nil
	}
	container := item.L
	if p[last].name != "" {
		container = item.M
	}
	if p[:last].resolve(a.image).Type() != container {
		return awserr.InvalidUpdatePath()
	}
	return nil
}

// setValue computes the right side of a SET action.
func (a *applier) setValue(s *setValue) (item.Value, *awserr.Error) {
	left, err := a.operand(&s.left)
	if err != nil || s.sign == tokEOF {
		return left, err
	}
	if left.Type() != item.N {
		return nil, awserr.UpdateOperandType()
	}
	right, err := a.operand(&s.right)
	if err != nil {
		return nil, err
	}
	if right.Type() != item.N {
		return nil, awserr.UpdateOperandType()
	}
	if s.sign == tokPlus {
		return item.Add(left, right)
	}
	return item.Sub(left, right)
}

// operand computes an operand of a SET action. It is never absent.
func (a *applier) operand(o *operand) (item.Value, *awserr.Error) {
	switch {
	case o.path != nil:
		if v := o.path.resolve(a.image); v != nil {
			return v, nil
		}
		return nil, awserr.MissingSource()
	case o.fn == fnIfNotExists:
		// The fallback is read, and must be there, whether it is needed or not.
		fallback, err := a.operand(&o.args[1])
		if v := o.args[0].path.resolve(a.image); v != nil && err == nil {
			return v, nil
		}
		return fallback, err
	case o.fn == fnListAppend:
		front, err := a.operand(&o.args[0])
		if err != nil {
			return nil, err
		}
		if front.Type() != item.L {
			return nil, awserr.UpdateOperandType()
		}
		back, err := a.operand(&o.args[1])
		if err != nil {
			return nil, err
		}
		if back.Type() != item.L {
			return nil, awserr.UpdateOperandType()
		}
		return concatenation(front, back), nil
	}
	return o.value, nil
}

// entries returns the entries of a map, or of the item, as the actions below t
// change them, in order.
func (a *applier) entries(t *tree, m item.Value) ([]item.Entry, *awserr.Error) {
	changed := make([]item.Entry, 0, m.Len()+len(t.kids))
	kids := t.kids
	// next applies the first kid to the entry of its name.
	next := func(v item.Value) *awserr.Error {
		v, err := a.apply(kids[0], v)
		if v != nil {
			changed = append(changed, item.Entry{Name: kids[0].name, Value: v})
		}
		kids = kids[1:]
		return err
	}
	for name, v := range m.Fields() {
		for len(kids) > 0 && kids[0].name < string(name) {
			if err := next(nil); err != nil {
				return nil, err
			}
		}
		if len(kids) > 0 && kids[0].name == string(name) {
			if err := next(v); err != nil {
				return nil, err
			}
			continue
		}
		changed = append(changed, item.Entry{Name: sharedName(name), Value: v})
	}
	for len(kids) > 0 {
		if err := next(nil); err != nil {
			return nil, err
		}
	}
	return changed, nil
}

// elements does the same for a list. Indexes are positions before the update;
// what is written beyond the end is appended in the order of the indexes, and
// what remains closes ranks.
func (a *applier) elements(t *tree, list item.Value) ([]item.Value, *awserr.Error) {
	changed := make([]item.Value, 0, list.Len()+len(t.kids))
	kids, i := t.kids, int64(0)
	for v := range list.Elements() {
		if len(kids) > 0 && kids[0].index == i {
			var err *awserr.Error
			if v, err = a.apply(kids[0], v); err != nil {
				return nil, err
			}
			kids = kids[1:]
		}
		if v != nil {
			changed = append(changed, v)
		}
		i++
	}
	for _, kid := range kids {
		v, err := a.apply(kid, nil)
		if err != nil {
			return nil, err
		}
		if v != nil {
			changed = append(changed, v)
		}
	}
	return changed, nil
}

// apply returns what becomes of v, which is nil when there is nothing yet; nil
// when nothing is left. Paths have been checked: a value that t leads into is
// a container of t's kind, unless nothing below t writes to an absent item.
func (a *applier) apply(t *tree, v item.Value) (item.Value, *awserr.Error) {
	switch {
	case t.leaf:
		return a.act(t.first, v)
	case v == nil:
		return nil, nil
	case v.Type() == item.M:
		entries, err := a.entries(t, v)
		if err != nil {
			return nil, err
		}
		return item.AppendMap(nil, entries), nil
	}
	elems, err := a.elements(t, v)
	if err != nil {
		return nil, err
	}
	return item.AppendList(nil, elems...), nil
}

// act carries out one action on the value at its path.
func (a *applier) act(i int, v item.Value) (item.Value, *awserr.Error) {
	act := &a.u.actions[i]
	switch {
	case act.clause == clauseSet:
		return a.values[i], nil
	case act.clause == clauseRemove:
		return nil, nil
	case v == nil:
		if act.clause == clauseDelete {
			return nil, nil
		}
		return act.value, nil
	case act.clause == clauseDelete:
		return difference(v, act.value), nil
	case v.Type() == item.N:
		return item.Add(v, act.value)
	case v.Type() == item.L:
		return concatenation(v, act.value), nil
	}
	return union(v, act.value), nil
}

// concatenation is the list of the elements of two lists.
func concatenation(front, back item.Value) item.Value {
	elems := slices.AppendSeq(make([]item.Value, 0, front.Len()+back.Len()), front.Elements())
	return item.AppendList(nil, slices.AppendSeq(elems, back.Elements())...)
}

// union and difference walk two sets of one type side by side; sets are stored
// in order.
func union(a, b item.Value) item.Value {
	as, bs := slices.Collect(a.Elements()), slices.Collect(b.Elements())
	both := make([]item.Value, 0, len(as)+len(bs))
	for len(as) > 0 && len(bs) > 0 {
		c := item.Compare(as[0], bs[0])
		if c <= 0 {
			both = append(both, as[0])
			as = as[1:]
		} else {
			both = append(both, bs[0])
		}
		if c >= 0 {
			bs = bs[1:]
		}
	}
	both = append(append(both, as...), bs...)
	return item.AppendSet(nil, a.Type(), both)
}

// difference is nil when nothing is left: there are no empty sets.
func difference(a, b item.Value) item.Value {
	bs := slices.Collect(b.Elements())
	var left []item.Value
	for e := range a.Elements() {
		for len(bs) > 0 && item.Compare(bs[0], e) < 0 {
			bs = bs[1:]
		}
		if len(bs) == 0 || !item.Equal(bs[0], e) {
			left = append(left, e)
		}
	}
	if len(left) == 0 {
		return nil
	}
	return item.AppendSet(nil, a.Type(), left)
}

// UpdatedOld returns the UPDATED_OLD form: the touched paths as they were in
// the old item, in their minimal hierarchy. Nil when nothing is left to show.
func (u *Update) UpdatedOld(old item.Item) item.Item { return u.touched(old) }

// UpdatedNew returns the UPDATED_NEW form: the touched paths as they are in the
// new item, in their minimal hierarchy. Nil when nothing is left to show. Paths
// are read as they are written, so that an element that was appended under an
// index beyond the new end is not shown, as on AWS.
func (u *Update) UpdatedNew(_, new item.Item) item.Item { return u.touched(new) }

func (u *Update) touched(it item.Item) item.Item {
	if it == nil {
		return nil
	}
	entries := u.paths.root.project(it.Map())
	if len(entries) == 0 {
		return nil
	}
	return item.NewItem(entries)
}

// sharedName returns name as a string without a copy. Items are immutable, and
// the string keeps their bytes alive.
func sharedName(name []byte) string { return unsafe.String(unsafe.SliceData(name), len(name)) }
