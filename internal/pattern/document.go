package pattern

import (
	"slices"
	"strings"
)

// Document is a JSON text that patterns are matched against, where it is no stream record.
type Document struct{ root jsonValue }

// ParseDocument reads a JSON text.
func ParseDocument(text string) (Document, error) {
	v, err := decode(text)
	return Document{v}, err
}

// IsObject reports whether a text is a JSON object.
func IsObject(text string) bool {
	if !strings.HasPrefix(strings.TrimLeft(text, " \t\r\n"), "{") {
		return false
	}
	_, err := decode(text)
	return err == nil
}

// MatchDocument reports whether the pattern matches a document, by the same rules as a record.
func (p *Pattern) MatchDocument(d Document) bool {
	for _, a := range p.alternatives {
		var m documentMatching
		for _, l := range a.absent {
			if !d.root.present(l.path) {
				m.set(l, a)
			}
		}
		if m.complete(a.root) || m.node(a.root, d.root) {
			return true
		}
	}
	return false
}

// documentMatching is one match under way.
type documentMatching struct{ absences }

// node, leaf and child are as those of matching.
func (m *documentMatching) node(n *node, v jsonValue) bool {
	if v.kind == arrayJSON {
		return slices.ContainsFunc(v.elements, func(e jsonValue) bool { return m.node(n, e) })
	}
	return m.leaf(n, v) && !slices.ContainsFunc(n.children, func(c *node) bool { return !m.complete(c) && !m.child(c, v) })
}

func (m *documentMatching) leaf(n *node, v jsonValue) bool {
	l := n.leaf
	if l == nil || m.satisfied != nil && m.satisfied[l.index] {
		return true
	}
	if v.kind == arrayJSON {
		return slices.ContainsFunc(v.elements, func(e jsonValue) bool { return m.leaf(n, e) })
	}
	s, ok := v.scalar()
	return ok && l.matches(s)
}

func (m *documentMatching) child(c *node, v jsonValue) bool {
	if v.kind == arrayJSON {
		return slices.ContainsFunc(v.elements, func(e jsonValue) bool { return m.child(c, e) })
	}
	below := v.below(c.name)
	if len(below) < 2 {
		return len(below) == 1 && m.node(c, below[0])
	}
	// A member "a" and others "a.b": each path may be satisfied by either.
	own, within := below[0], below[1]
	return m.leaf(c, own) && !slices.ContainsFunc(c.children, func(d *node) bool {
		return !m.complete(d) && !m.child(d, own) && !m.child(d, within)
	})
}

// below are the values under a name: that of the member, and an object of those members whose names go on with a dot.
func (v jsonValue) below(name string) (all []jsonValue) {
	if v.kind != objectJSON {
		return nil
	}
	within := jsonValue{kind: objectJSON}
	for _, o := range v.members {
		if o.name == name {
			all = []jsonValue{o.value}
		} else if rest, ok := strings.CutPrefix(o.name, name+"."); ok {
			within.members = append(within.members, jsonMember{rest, o.value})
		}
	}
	if within.members != nil {
		all = append(all, within)
	}
	return all
}

// scalar is the leaf that v is; ok is false when it is none.
func (v jsonValue) scalar() (s scalar, ok bool) {
	switch v.kind {
	case stringJSON:
		return scalar{text: []byte(v.text)}, true
	case numberJSON:
		return scalar{kind: numberKind, number: v.number}, true
	case trueJSON:
		return scalar{kind: trueKind}, true
	case falseJSON:
		return scalar{kind: falseKind}, true
	case nullJSON:
		return scalar{kind: nullKind}, true
	}
	return scalar{}, false
}

// present reports whether there is a leaf with this path below v.
func (v jsonValue) present(path []string) bool {
	if v.kind == arrayJSON {
		for _, e := range v.elements {
			if e.present(path) {
				return true
			}
		}
		return false
	}
	if len(path) == 0 {
		_, ok := v.scalar()
		return ok
	}
	for _, w := range v.below(path[0]) {
		if w.present(path[1:]) {
			return true
		}
	}
	return false
}
