package pattern

import (
	"encoding/json"
	"errors"
	"io"
	"math"
	"strconv"
	"strings"
)

// MaxLength is the longest text of a pattern, in characters.
const MaxLength = 4096

// maxAlternatives bounds what the $or of one pattern multiply out to (EventBridge
// states fewer than 1,000).
const maxAlternatives = 1000

// ErrInvalid is returned, wrapped with what is wrong, for a text that is no
// pattern. AWS has one text for every cause.
var ErrInvalid = errors.New("invalid filter pattern")

func invalid(why string) error { return &invalidError{why} }

type invalidError struct{ why string }

func (e *invalidError) Error() string { return ErrInvalid.Error() + ": " + e.why }
func (e *invalidError) Unwrap() error { return ErrInvalid }

// Pattern is a compiled pattern. It does not change, and may be used by several
// goroutines at once.
type Pattern struct {
	text         string
	alternatives []*alternative
}

// String is the pattern's text.
func (p *Pattern) String() string { return p.text }

// alternative is a set of paths that must all be satisfied.
type alternative struct {
	root *node
	// absent are the leaves that are satisfied when the event has none of their path.
	absent []*leaf
	leaves int
}

// node is a level of the paths of an alternative.
type node struct {
	name     string
	children []*node
	leaf     *leaf // when a path ends here
}

// leaf is a path with its matchers.
type leaf struct {
	index  int
	path   []string
	any    []matcher
	absent bool // one of them is {"exists":false}
}

// draft is an alternative that is being read: matchers by path, in order.
type draft []draftLeaf

type draftLeaf struct {
	path   string
	any    []matcher
	absent bool
}

// Parse compiles a pattern. The error says what is wrong and wraps ErrInvalid.
func Parse(text string) (*Pattern, error) {
	if len(text) > 4*MaxLength { // in UTF-8; the limit in characters is the caller's
		return nil, invalid("the text is too long")
	}
	root, err := decode(text)
	if err != nil {
		return nil, err
	}
	if root.kind != objectJSON {
		return nil, invalid("a pattern is a JSON object")
	}
	drafts, err := object([]draft{nil}, "", root)
	if err != nil {
		return nil, err
	}
	p := &Pattern{text: text}
	for _, d := range drafts {
		p.alternatives = append(p.alternatives, d.compile())
	}
	return p, nil
}

// object adds what an object asks to every draft.
func object(drafts []draft, path string, obj jsonValue) ([]draft, error) {
	if len(obj.members) == 0 {
		return nil, invalid("an object is empty")
	}
	for _, m := range obj.members {
		var err error
		at := m.name
		if path != "" {
			at = path + "." + m.name
		}
		switch {
		case m.name == "$or" && isOr(m.value):
			var all []draft
			for _, branch := range m.value.elements {
				from := make([]draft, len(drafts))
				for i, d := range drafts {
					from[i] = d[:len(d):len(d)] // branches share what stands before them
				}
				if from, err = object(from, path, branch); err != nil {
					return nil, err
				}
				if all = append(all, from...); len(all) > maxAlternatives {
					return nil, invalid("the $or have too many combinations")
				}
			}
			drafts = all
		case m.value.kind == objectJSON:
			if drafts, err = object(drafts, at, m.value); err != nil {
				return nil, err
			}
		case m.value.kind == arrayJSON:
			l, err := leafOf(at, m.value)
			if err != nil {
				return nil, err
			}
			for i := range drafts {
				drafts[i] = drafts[i].put(l)
			}
		default:
			return nil, invalid("\"" + m.name + "\" must be an object or an array")
		}
	}
	return drafts, nil
}

// put adds a leaf; of one path the last counts. The draft's own elements are
// shared with other drafts, so a replacement copies.
func (d draft) put(l draftLeaf) draft {
	for i := range d {
		if d[i].path == l.path {
			c := append(draft(nil), d...)
			c[i] = l
			return c
		}
	}
	return append(d, l)
}

// isOr reports whether the value of a member $or is alternatives, and not the
// matchers of an attribute that has this name.
func isOr(v jsonValue) bool {
	if v.kind != arrayJSON || len(v.elements) < 2 {
		return false
	}
	for _, e := range v.elements {
		if e.kind != objectJSON || len(e.members) == 0 {
			return false
		}
		operators := 0
		for _, m := range e.members {
			if isOperator(m.name) {
				operators++
			}
		}
		if operators == len(e.members) {
			return false
		}
	}
	return true
}

func leafOf(path string, v jsonValue) (draftLeaf, error) {
	l := draftLeaf{path: path}
	if len(v.elements) == 0 {
		return l, invalid("an array is empty")
	}
	for _, e := range v.elements {
		switch e.kind {
		case objectJSON:
			if len(e.members) != 1 {
				return l, invalid("a matcher has one operator")
			}
			op := e.members[0]
			if op.name == "exists" {
				switch op.value.kind {
				case trueJSON:
					l.any = append(l.any, exists{})
				case falseJSON:
					l.absent = true
				default:
					return l, invalid("exists takes true or false")
				}
				continue
			}
			m, err := operator(op.name, op.value)
			if err != nil {
				return l, err
			}
			l.any = append(l.any, m)
		case arrayJSON:
			return l, invalid("an array within an array")
		default:
			l.any = append(l.any, literal(e))
		}
	}
	return l, nil
}

func literal(v jsonValue) matcher {
	switch v.kind {
	case stringJSON:
		return equalText(v.text)
	case numberJSON:
		return equalNumber(v.number)
	case trueJSON:
		return equalKind(trueKind)
	case falseJSON:
		return equalKind(falseKind)
	}
	return equalKind(nullKind)
}

func isOperator(name string) bool {
	switch name {
	case "exists", "prefix", "suffix", "equals-ignore-case", "anything-but", "numeric", "wildcard", "cidr":
		return true
	}
	return false
}

// operator reads the argument of every operator but exists.
func operator(name string, v jsonValue) (matcher, error) {
	switch name {
	case "numeric":
		return numeric(v)
	case "anything-but":
		return anythingBut(v)
	case "prefix", "suffix":
		if v.kind == objectJSON && len(v.members) == 1 && v.members[0].name == "equals-ignore-case" && v.members[0].value.kind == stringJSON {
			if name == "prefix" {
				return prefixFold(v.members[0].value.text), nil
			}
			return suffixFold(v.members[0].value.text), nil
		}
	}
	return textOperator(name, v)
}

// textOperator reads an operator whose argument is one string.
func textOperator(name string, v jsonValue) (matcher, error) {
	if isOperator(name) && v.kind != stringJSON {
		return nil, invalid(name + " takes a string")
	}
	switch name {
	case "prefix":
		return prefix(v.text), nil
	case "suffix":
		return suffix(v.text), nil
	case "equals-ignore-case":
		return ignoreCase(v.text), nil
	case "wildcard":
		w, ok := parseWildcard(v.text)
		if !ok {
			return nil, invalid("wildcard: two stars in a row, or a stray backslash")
		}
		return w, nil
	case "cidr":
		p, ok := parseCIDR(v.text)
		if !ok {
			return nil, invalid("cidr takes an address and the length of its prefix")
		}
		return p, nil
	}
	return nil, invalid("unknown operator " + strconv.Quote(name))
}

// anythingBut reads a string, a number, a list of only strings or only numbers, or
// a text operator with a string or a list of them.
func anythingBut(v jsonValue) (matcher, error) {
	var m not
	switch v.kind {
	case stringJSON, numberJSON:
		return append(m, literal(v)), nil
	case arrayJSON:
		for _, e := range v.elements {
			if e.kind != v.elements[0].kind || e.kind != stringJSON && e.kind != numberJSON {
				return nil, invalid("anything-but takes a list of strings or of numbers")
			}
			m = append(m, literal(e))
		}
	case objectJSON:
		if len(v.members) != 1 {
			return nil, invalid("anything-but takes one operator")
		}
		op := v.members[0]
		switch op.name {
		case "prefix", "suffix", "equals-ignore-case", "wildcard":
		default:
			return nil, invalid("anything-but does not take " + strconv.Quote(op.name))
		}
		args := op.value.elements
		if op.value.kind != arrayJSON {
			args = []jsonValue{op.value}
		}
		for _, a := range args {
			if a.text == "" && (op.name == "prefix" || op.name == "suffix") {
				return nil, invalid("anything-but takes no empty " + op.name)
			}
			o, err := textOperator(op.name, a)
			if err != nil {
				return nil, err
			}
			m = append(m, o)
		}
	}
	if len(m) == 0 {
		return nil, invalid("anything-but takes a string, a number or a list of them")
	}
	return m, nil
}

// maxNumber is the range of numeric on either side.
const maxNumber = 5e9

// numeric reads ["=", n], or a lower bound, an upper bound or both.
func numeric(v jsonValue) (matcher, error) {
	if v.kind != arrayJSON || len(v.elements) != 2 && len(v.elements) != 4 {
		return nil, invalid("numeric takes a list of one or two comparisons")
	}
	var s span
	for i := 0; i < len(v.elements); i += 2 {
		op, n := v.elements[i], v.elements[i+1]
		if op.kind != stringJSON || n.kind != numberJSON || math.Abs(n.number) > maxNumber {
			return nil, invalid("numeric takes an operator and a number of at most 5e9")
		}
		switch {
		case op.text == "=" && len(v.elements) == 2:
			return span{low: n.number, high: n.number, hasLow: true, hasHigh: true}, nil
		case (op.text == ">" || op.text == ">=") && !s.hasLow:
			s.low, s.hasLow, s.openLow = n.number, true, op.text == ">"
		case (op.text == "<" || op.text == "<=") && !s.hasHigh:
			s.high, s.hasHigh, s.openHigh = n.number, true, op.text == "<"
		default:
			return nil, invalid("numeric takes a lower and an upper bound")
		}
	}
	if s.hasLow && s.hasHigh && s.low > s.high {
		return nil, invalid("the bounds of numeric leave no number")
	}
	return s, nil
}

// compile makes the tree of the paths.
func (d draft) compile() *alternative {
	a := &alternative{root: &node{}, leaves: len(d)}
	for i, l := range d {
		n := a.root
		path := strings.Split(l.path, ".")
		for _, name := range path {
			n = n.child(name)
		}
		n.leaf = &leaf{index: i, path: path, any: l.any, absent: l.absent}
		if l.absent {
			a.absent = append(a.absent, n.leaf)
		}
	}
	return a
}

func (n *node) child(name string) *node {
	for _, c := range n.children {
		if c.name == name {
			return c
		}
	}
	c := &node{name: name}
	n.children = append(n.children, c)
	return c
}

// jsonValue is a JSON value that keeps repeated members, and their order.
type jsonValue struct {
	kind     jsonKind
	text     string
	number   float64
	elements []jsonValue
	members  []jsonMember
}

type jsonMember struct {
	name  string
	value jsonValue
}

type jsonKind byte

const (
	nullJSON jsonKind = iota
	trueJSON
	falseJSON
	numberJSON
	stringJSON
	arrayJSON
	objectJSON
)

func decode(text string) (jsonValue, error) {
	dec := json.NewDecoder(strings.NewReader(text))
	dec.UseNumber()
	v, err := decodeValue(dec)
	if err == nil {
		if _, err = dec.Token(); err == io.EOF {
			return v, nil
		}
		err = errors.New("more than one value")
	}
	return v, invalid("not JSON: " + err.Error())
}

func decodeValue(dec *json.Decoder) (jsonValue, error) {
	t, err := dec.Token()
	if err != nil {
		return jsonValue{}, err
	}
	switch t := t.(type) {
	case json.Delim:
		if t == '{' {
			return decodeObject(dec)
		}
		v := jsonValue{kind: arrayJSON}
		for dec.More() {
			e, err := decodeValue(dec)
			if err != nil {
				return v, err
			}
			v.elements = append(v.elements, e)
		}
		_, err := dec.Token()
		return v, err
	case string:
		return jsonValue{kind: stringJSON, text: t}, nil
	case json.Number:
		n, err := t.Float64()
		return jsonValue{kind: numberJSON, number: n}, err
	case bool:
		if t {
			return jsonValue{kind: trueJSON}, nil
		}
		return jsonValue{kind: falseJSON}, nil
	}
	return jsonValue{kind: nullJSON}, nil
}

func decodeObject(dec *json.Decoder) (jsonValue, error) {
	v := jsonValue{kind: objectJSON}
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return v, err
		}
		value, err := decodeValue(dec)
		if err != nil {
			return v, err
		}
		v.members = append(v.members, jsonMember{name.(string), value})
	}
	_, err := dec.Token()
	return v, err
}
