package expr

import (
	"slices"

	"github.com/millstreamdb/millstream/internal/awserr"
)

// tree holds the paths of a projection or update by their common beginnings,
// in the order in which items store attributes. Its root stands for the item
// and its leaves for whole paths.
type tree struct {
	element
	// first is the position in the source of the first path that runs through
	// here; a leaf belongs to that path alone.
	first int
	leaf  bool
	kids  []*tree // ascending; after successful parsing all names or all indexes
}

// pathTree collects paths while parsing.
type pathTree struct {
	root  tree
	paths []path
}

// add puts a path into the tree and notes what insert finds.
func (t *pathTree) add(p *parser, new path) {
	overlap, conflict := t.insert(new)
	if overlap != nil && p.faults[faultOverlap] == nil {
		one, two := overlap, new
		if p.x == awserr.Statement { // AWS names the later one first
			one, two = new, overlap
		}
		p.fail(faultOverlap, p.x.Overlap(one.String(), two.String()))
	}
	if conflict != nil && p.faults[faultConflict] == nil {
		p.fail(faultConflict, p.x.Conflict(conflict.String(), new.String()))
	}
}

// insert puts a path into the tree. It returns an earlier path that it lies on or
// that lies on it, and one that takes a parent of both for a list where this one
// takes it for a map, or the reverse.
func (t *pathTree) insert(new path) (overlap, conflict path) {
	order := len(t.paths)
	t.paths = append(t.paths, new)
	if len(t.root.kids) == 0 {
		t.root.first = order
	}
	n := &t.root
	for depth, e := range new {
		if n.leaf {
			return t.paths[n.first], conflict
		}
		if conflict == nil && len(n.kids) > 0 && (n.kids[0].name != "") != (e.name != "") {
			conflict = t.paths[n.first]
		}
		i, found := slices.BinarySearchFunc(n.kids, e, func(kid *tree, e element) int { return kid.compare(e) })
		if !found {
			n.kids = slices.Insert(n.kids, i, &tree{element: e, first: order, leaf: depth == len(new)-1})
		} else if depth == len(new)-1 {
			return t.paths[n.kids[i].first], conflict
		}
		n = n.kids[i]
	}
	return nil, conflict
}

// attributes returns the top-level names in the order of the source.
func (t *pathTree) attributes() []string {
	names := make([]string, 0, len(t.root.kids))
	for i, p := range t.paths {
		j, _ := slices.BinarySearchFunc(t.root.kids, p[0], func(kid *tree, e element) int { return kid.compare(e) })
		if t.root.kids[j].first == i {
			names = append(names, p[0].name)
		}
	}
	return names
}
