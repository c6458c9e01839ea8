package pattern

import (
	"slices"
	"strings"

	"github.com/millstreamdb/millstream/internal/item"
)

// Warnings tells which parts of the pattern can never match, or do not mean what
// they seem to: AWS accepts them in silence. For people; empty when nothing is suspicious.
func (p *Pattern) Warnings() []string {
	var w warnings
	for _, a := range p.alternatives {
		w.root(a.root)
	}
	return w
}

type warnings []string

func (w *warnings) add(path []string, text string) {
	if t := strings.Join(path, ".") + " " + text; !slices.Contains(*w, t) {
		*w = append(*w, t)
	}
}

var (
	rootMembers   = []string{"eventID", "eventName", "eventVersion", "eventSource", "awsRegion", "dynamodb", "userIdentity", "eventSourceARN"}
	streamMembers = []string{"ApproximateCreationDateTime", "Keys", "NewImage", "OldImage", "SequenceNumber", "SizeBytes", "StreamViewType"}
)

func (w *warnings) root(n *node) {
	for _, c := range n.children {
		path := []string{c.name}
		if !slices.Contains(rootMembers, c.name) {
			w.add(path, "is no member of a stream record: it can never match")
		}
		if c.name != "dynamodb" {
			continue
		}
		for _, d := range c.children {
			path := append(path, d.name)
			switch {
			case !slices.Contains(streamMembers, d.name):
				w.add(path, "is no member of a stream record: it can never match")
			case d.name == "Keys" || d.name == "NewImage" || d.name == "OldImage":
				w.leafOnObject(d, path)
				for _, e := range d.children {
					w.attribute(e, append(path, e.name))
				}
			}
		}
	}
}

// leafOnObject is about matchers on what is always an object.
func (w *warnings) leafOnObject(n *node, path []string) {
	if n.leaf == nil {
		return
	}
	if n.leaf.absent {
		w.add(path, `is an object: {"exists":false} on it always matches; ask for a value inside it, such as "S":[{"exists":false}]`)
	} else {
		w.add(path, `is an object: matchers on it can never match; name its type, such as "S":[...]`)
	}
}

// attribute is about what stands for an attribute's value.
func (w *warnings) attribute(n *node, path []string) {
	w.leafOnObject(n, path)
	for _, c := range n.children {
		path := append(slices.Clip(path), c.name)
		t := item.ParseType(c.name)
		switch t {
		case item.None:
			// It may be an attribute whose name has dots in it.
			if !typed(c) {
				w.add(path, `does not name a type, such as "S": it can never match`)
			} else {
				w.add(path, `does not name a type, such as "M": it matches only an attribute whose name has dots in it`)
			}
		case item.M:
			w.leafOnObject(c, path)
			for _, d := range c.children {
				w.attribute(d, append(path, d.name))
			}
		case item.L:
			w.attribute(c, path) // of its elements
		case item.N, item.NS:
			if c.leaf != nil && slices.ContainsFunc(c.leaf.any, forNumbers) {
				w.add(path, `holds numbers as strings: numeric and numbers never match it; write "`+c.name+`":["42"], or compare them by a condition: millstream triggers set TRIGGER --when 'NEW.total > 5'`)
			}
		}
	}
}

func forNumbers(m matcher) bool {
	switch m.(type) {
	case span, equalNumber:
		return true
	}
	return false
}

// typed reports whether something from n on names a type.
func typed(n *node) bool {
	return item.ParseType(n.name) != item.None || slices.ContainsFunc(n.children, typed)
}
