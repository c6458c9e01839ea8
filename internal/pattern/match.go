package pattern

import (
	"encoding/base64"
	"strings"

	"github.com/millstreamdb/millstream/internal/item"
)

// Record is a stream record as a filter sees it.
type Record interface {
	// Member returns a member of the event that is a string: eventID, eventName,
	// eventVersion, eventSource, awsRegion, eventSourceARN, SequenceNumber,
	// StreamViewType, or for a deletion by time to live userIdentity.type and
	// userIdentity.principalId. ok is false when the event lacks it.
	Member(name string) (text string, ok bool)
	// Number returns ApproximateCreationDateTime (whole seconds since 1970) or SizeBytes.
	Number(name string) (n int64, ok bool)
	// Image returns Keys, NewImage or OldImage, nil when the record lacks it.
	Image(name string) item.Item
}

// Filters are the filters of a mapping; a record passes when one of them matches.
type Filters []*Pattern

// Match reports whether the record passes.
func (f Filters) Match(r Record) bool {
	for _, p := range f {
		if p.Match(r) {
			return true
		}
	}
	return false
}

// Match reports whether the pattern matches a record.
func (p *Pattern) Match(r Record) bool {
	for _, a := range p.alternatives {
		if a.match(r) {
			return true
		}
	}
	return false
}

func (a *alternative) match(r Record) bool {
	m := matching{record: r}
	root := view{form: rootForm}
	for _, l := range a.absent {
		if !m.present(l.path, root) {
			m.set(l, a)
		}
	}
	return m.complete(a.root) || m.node(a.root, root)
}

// absences are the leaves of an alternative that are satisfied by the absence of their path; nil: none.
type absences struct{ satisfied []bool }

func (s *absences) set(l *leaf, of *alternative) {
	if s.satisfied == nil {
		s.satisfied = make([]bool, of.leaves)
	}
	s.satisfied[l.index] = true
}

// complete reports whether everything from n on is satisfied already.
func (s *absences) complete(n *node) bool {
	if s.satisfied == nil {
		return false // a node has a leaf below it
	}
	if n.leaf != nil && !s.satisfied[n.leaf.index] {
		return false
	}
	for _, c := range n.children {
		if !s.complete(c) {
			return false
		}
	}
	return true
}

// matching is one match of a record under way. A document's (document.go) has the same rules over other parts: one piece for
// both, by an interface or by type parameters, takes a record a tenth to a third longer.
type matching struct {
	absences
	record  Record
	scratch [192]byte
}

// form of a part of the event.
type form byte

const (
	rootForm       form = iota
	streamForm          // the member dynamodb
	identityForm        // the member userIdentity
	attributesForm      // an object of attributes: an image, or the payload of an M
	valueForm           // {"S":"x"}: an object with one member
	listForm            // the payload of an L: an array of values
	setForm             // the payload of a set: an array of scalars
	payloadForm         // the payload of a scalar value
	memberForm          // a member of the event that is a string
	numberForm          // one that is a number
)

// view is a part of the event.
type view struct {
	form   form
	value  item.Value
	name   string // of a member
	prefix string // attributesForm: only names that begin so, without it
}

func (v view) array() bool { return v.form == listForm || v.form == setForm }

// each calls f with the elements of an array until it returns true.
func (v view) each(f func(view) bool) bool {
	form := valueForm
	if v.form == setForm {
		form = payloadForm
	}
	for e := range v.value.Elements() {
		if f(view{form: form, value: e}) {
			return true
		}
	}
	return false
}

// node reports whether one part of the event satisfies everything from n on; of an
// array, one element.
func (m *matching) node(n *node, v view) bool {
	if v.array() {
		return v.each(func(e view) bool { return m.node(n, e) })
	}
	if !m.leaf(n, v) {
		return false
	}
	for _, c := range n.children {
		if !m.complete(c) && !m.child(c, v) {
			return false
		}
	}
	return true
}

// leaf reports whether n's own path is satisfied by v, or ends elsewhere.
func (m *matching) leaf(n *node, v view) bool {
	l := n.leaf
	if l == nil || m.satisfied != nil && m.satisfied[l.index] {
		return true
	}
	if v.array() {
		return v.each(func(e view) bool { return m.leaf(n, e) })
	}
	s, ok := m.scalar(v)
	if !ok {
		return false
	}
	return l.matches(s)
}

// matches reports whether one of the leaf's operators matches.
func (l *leaf) matches(s scalar) bool {
	for _, o := range l.any {
		if o.matches(s) {
			return true
		}
	}
	return false
}

// child reports whether the member of v that c names satisfies c; in an array,
// that of any element.
func (m *matching) child(c *node, v view) bool {
	if v.array() {
		return v.each(func(e view) bool { return m.child(c, e) })
	}
	if v.form != attributesForm {
		w, ok := m.member(v, c.name)
		return ok && m.node(c, w)
	}
	own, inside := v.attribute(c.name)
	switch {
	case own == nil && !inside:
		return false
	case !inside:
		return m.node(c, view{form: valueForm, value: own})
	}
	within := view{form: attributesForm, value: v.value, prefix: v.prefix + c.name + "."}
	if own == nil {
		return m.node(c, within)
	}
	// An attribute "a" and others "a.b": both lie below the path a. Each path may be
	// satisfied by either, so it is looked at by itself.
	value := view{form: valueForm, value: own}
	if !m.leaf(c, value) {
		return false
	}
	for _, d := range c.children {
		if !m.complete(d) && !m.child(d, value) && !m.child(d, within) {
			return false
		}
	}
	return true
}

// attribute finds the attribute of this name, and whether there are others whose
// names continue with a dot.
func (v view) attribute(name string) (own item.Value, inside bool) {
	for n, value := range v.value.Fields() {
		if len(n) < len(v.prefix) || string(n[:len(v.prefix)]) != v.prefix {
			continue
		}
		n = n[len(v.prefix):]
		if len(n) < len(name) || string(n[:len(name)]) != name {
			continue
		}
		switch {
		case len(n) == len(name):
			own = value
		case n[len(name)] == '.':
			inside = true
		}
	}
	return own, inside
}

// member returns a member of an object that is not of attributes.
func (m *matching) member(v view, name string) (w view, ok bool) {
	switch v.form {
	case rootForm:
		switch name {
		case "dynamodb":
			return view{form: streamForm}, true
		case "userIdentity":
			_, ok := m.record.Member("userIdentity.type")
			return view{form: identityForm}, ok
		case "eventID", "eventName", "eventVersion", "eventSource", "awsRegion", "eventSourceARN":
			return view{form: memberForm, name: name}, true
		}
	case streamForm:
		switch name {
		case "Keys", "NewImage", "OldImage":
			it := m.record.Image(name)
			return view{form: attributesForm, value: it.Map()}, it != nil
		case "SequenceNumber", "StreamViewType":
			return view{form: memberForm, name: name}, true
		case "ApproximateCreationDateTime", "SizeBytes":
			return view{form: numberForm, name: name}, true
		}
	case identityForm:
		switch name {
		case "type", "principalId":
			return view{form: memberForm, name: "userIdentity." + name}, true
		}
	case valueForm:
		if t := v.value.Type(); t.String() == name {
			switch t {
			case item.M:
				return view{form: attributesForm, value: v.value}, true
			case item.L:
				return view{form: listForm, value: v.value}, true
			case item.SS, item.NS, item.BS:
				return view{form: setForm, value: v.value}, true
			}
			return view{form: payloadForm, value: v.value}, true
		}
	}
	return view{}, false
}

// scalar is the leaf at v; ok is false when there is none.
func (m *matching) scalar(v view) (s scalar, ok bool) {
	switch v.form {
	case memberForm:
		text, ok := m.record.Member(v.name)
		return scalar{text: []byte(text)}, ok
	case numberForm:
		n, ok := m.record.Number(v.name)
		return scalar{kind: numberKind, number: float64(n)}, ok
	case payloadForm:
		switch v.value.Type() {
		case item.S:
			return scalar{text: v.value.Bytes()}, true
		case item.N:
			return scalar{text: v.value.AppendNumberText(m.scratch[:0])}, true
		case item.B:
			return scalar{text: base64.StdEncoding.AppendEncode(m.scratch[:0], v.value.Bytes())}, true
		case item.BOOL:
			if !v.value.Bool() {
				return scalar{kind: falseKind}, true
			}
		}
		return scalar{kind: trueKind}, true // BOOL, and {"NULL":true}
	}
	return scalar{}, false
}

// present reports whether the event has a leaf with this path below v.
func (m *matching) present(path []string, v view) bool {
	switch {
	case v.array():
		return v.each(func(e view) bool { return m.present(path, e) })
	case len(path) == 0:
		_, ok := m.scalar(v)
		return ok
	case v.form != attributesForm:
		w, ok := m.member(v, path[0])
		return ok && m.present(path[1:], w)
	}
	for name, value := range v.value.Fields() {
		if n := levels(name, path); n > 0 && m.present(path[n:], view{form: valueForm, value: value}) {
			return true
		}
	}
	return false
}

// levels is how many levels at the beginning of path make up the name, 0 for none.
func levels(name []byte, path []string) int {
	rest := string(name)
	for i, p := range path {
		if rest == p {
			return i + 1
		}
		var ok bool
		if rest, ok = strings.CutPrefix(rest, p); !ok {
			return 0
		}
		if rest, ok = strings.CutPrefix(rest, "."); !ok {
			return 0
		}
	}
	return 0
}
