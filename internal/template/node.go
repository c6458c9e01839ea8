package template

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// kind is what a node is.
type kind byte

const (
	scalar kind = iota
	list
	object
	null
)

// node is a value of a template with the line on which it stands. YAML and JSON
// give the same nodes: a short intrinsic such as !Ref x is the object {Ref: x}.
// Nodes are not changed once they were made.
type node struct {
	kind kind
	line int
	text string // of a scalar, as it was written
	// quoted scalars are texts, also where they look like a number or a boolean.
	quoted bool
	list   []*node // of a list
	keys   []string
	vals   []*node // of an object, beside keys
}

// Bounds of a template, aliases written out. CloudFormation's own limit is 1 MB of
// text and 500 resources.
const (
	maxBytes = 4 << 20
	maxNodes = 200_000
	maxDepth = 100
)

// parse reads YAML or JSON.
func parse(text []byte) (*node, []Problem, error) {
	if len(text) > maxBytes {
		return nil, nil, fmt.Errorf("a template may have %d MB", maxBytes>>20)
	}
	if notText(text) {
		return nil, nil, errNotText
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil {
		return nil, nil, yamlFault(text, err)
	}
	if doc.Kind != yaml.DocumentNode || len(doc.Content) != 1 {
		return nil, nil, fmt.Errorf("the file is empty")
	}
	c := converter{left: maxNodes}
	n, err := c.node(doc.Content[0], 0)
	if err == nil && n.kind != object {
		err = lineError(n.line, "a template is an object, whose section Resources lists what it makes")
	}
	return n, c.warnings, err
}

// converter makes nodes of what the YAML reader has read.
type converter struct {
	left     int
	warnings []Problem
}

func (c *converter) node(y *yaml.Node, depth int) (*node, error) {
	if c.left--; c.left < 0 || depth > maxDepth {
		return nil, lineError(y.Line, "the template is too large or too deep, or refers to itself")
	}
	n := &node{line: y.Line}
	switch y.Kind {
	case yaml.AliasNode:
		return c.node(y.Alias, depth+1)
	case yaml.SequenceNode:
		n.kind = list
		for _, item := range y.Content {
			v, err := c.node(item, depth+1)
			if err != nil {
				return nil, err
			}
			n.list = append(n.list, v)
		}
	case yaml.MappingNode:
		n.kind = object
		for i := 0; i+1 < len(y.Content); i += 2 {
			key := y.Content[i]
			if key.Kind != yaml.ScalarNode {
				return nil, lineError(key.Line, "a name must be text")
			}
			v, err := c.node(y.Content[i+1], depth+1)
			if err != nil {
				return nil, err
			}
			if v.line != key.Line && v.kind != scalar { // a value below its name is told of by its name
				v = &node{kind: v.kind, line: key.Line, text: v.text, list: v.list, keys: v.keys, vals: v.vals}
			}
			if i := slices.Index(n.keys, key.Value); i >= 0 { // the last one counts, as for CloudFormation
				c.warnings = append(c.warnings, Problem{Line: key.Line, Text: key.Value + " is there twice, and the second one counts"})
				n.vals[i] = v
				continue
			}
			n.keys, n.vals = append(n.keys, key.Value), append(n.vals, v)
		}
	default:
		n.text, n.quoted = y.Value, y.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0
		if y.Tag == "!!null" && y.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) == 0 {
			n.kind = null
		}
	}
	if tag := y.Tag; strings.HasPrefix(tag, "!") && !strings.HasPrefix(tag, "!!") && tag != "!" {
		name := "Fn::" + tag[1:]
		if tag == "!Ref" || tag == "!Condition" {
			name = tag[1:]
		}
		if n.kind == null { // `!Ref` with nothing behind it
			n.kind = scalar
		}
		n = &node{kind: object, line: n.line, keys: []string{name}, vals: []*node{n}}
	}
	return n, nil
}

// get returns a member of an object, nil when it is not there or null.
func (n *node) get(name string) *node {
	if n == nil || n.kind != object {
		return nil
	}
	if i := slices.Index(n.keys, name); i >= 0 && n.vals[i].kind != null {
		return n.vals[i]
	}
	return nil
}

// with returns a copy of an object with a member set.
func (n *node) with(name string, v *node) *node {
	out := &node{kind: object, line: n.line, keys: slices.Clone(n.keys), vals: slices.Clone(n.vals)}
	if i := slices.Index(out.keys, name); i >= 0 {
		out.vals[i] = v
	} else {
		out.keys, out.vals = append(out.keys, name), append(out.vals, v)
	}
	return out
}

// without returns a copy of an object that lacks a member.
func (n *node) without(name string) *node {
	i := slices.Index(n.keys, name)
	if i < 0 {
		return n
	}
	return &node{kind: object, line: n.line, keys: slices.Delete(slices.Clone(n.keys), i, i+1), vals: slices.Delete(slices.Clone(n.vals), i, i+1)}
}

// call returns the name and argument of an intrinsic function, "" for anything else.
func (n *node) call() (name string, arg *node) {
	if n.kind == object && len(n.keys) == 1 && (n.keys[0] == "Ref" || n.keys[0] == "Condition" || strings.HasPrefix(n.keys[0], "Fn::")) {
		return n.keys[0], n.vals[0]
	}
	return "", nil
}

// size is about the length of a node as text.
func (n *node) size() int {
	if n == nil {
		return 0
	}
	size := len(n.text) + 8
	for _, item := range n.list {
		size += item.size()
	}
	for i, item := range n.vals {
		size += len(n.keys[i]) + item.size()
	}
	return size
}

func text(line int, s string) *node { return &node{kind: scalar, line: line, text: s} }

// merge lays an object over a base as SAM does with Globals: objects are merged,
// lists joined, and anything else is the upper one's. Intrinsics are values.
func merge(base, over *node) *node {
	switch {
	case base == nil:
		return over
	case over == nil:
		return base
	}
	baseCall, _ := base.call()
	overCall, _ := over.call()
	switch {
	case baseCall != "" || overCall != "" || base.kind != over.kind:
		return over
	case base.kind == list:
		return &node{kind: list, line: over.line, list: slices.Concat(base.list, over.list)}
	case base.kind == object:
		out := base
		for i, name := range over.keys {
			out = out.with(name, merge(base.get(name), over.vals[i]))
		}
		out = &node{kind: object, line: over.line, keys: out.keys, vals: out.vals}
		return out
	}
	return over
}
