package expr

import (
	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/item"
)

// Projection is a parsed projection expression. It is immutable and may be
// applied by several goroutines at once. A nil Projection keeps all.
type Projection struct {
	paths pathTree
}

// ParseProjection parses: path (, path)*
func ParseProjection(src string, params *Params) (*Projection, *awserr.Error) {
	var p parser
	if err := p.start(awserr.ProjectionExpression, src, params); err != nil {
		return nil, err
	}
	pr := &Projection{}
	ok := true
	for ok {
		var next path
		if next, ok = p.path(); ok {
			pr.paths.add(&p, next)
		}
		if !ok || !p.accept(tokComma) {
			break
		}
	}
	if err := p.finish(ok); err != nil {
		return nil, err
	}
	return pr, nil
}

// Attributes returns the top-level attribute names of the projection, each
// once, in the order of the source.
func (pr *Projection) Attributes() []string {
	if pr == nil {
		return nil
	}
	return pr.paths.attributes()
}

// Apply returns what the projection keeps of an item, as an item without
// attributes when that is nothing; nil for no item.
func (pr *Projection) Apply(it item.Item) item.Item {
	if pr == nil || it == nil {
		return it
	}
	return item.NewItem(pr.paths.root.project(it.Map()))
}

// project returns the entries of a map that lie on the tree.
func (t *tree) project(m item.Value) []item.Entry {
	kept := make([]item.Entry, 0, len(t.kids))
	kids := t.kids
	for name, v := range m.Fields() {
		for len(kids) > 0 && kids[0].name < string(name) {
			kids = kids[1:]
		}
		if len(kids) == 0 {
			break
		}
		if kids[0].name == string(name) {
			if part := kids[0].projectValue(v); part != nil {
				kept = append(kept, item.Entry{Name: kids[0].name, Value: part})
			}
		}
	}
	return kept
}

// projectValue returns what lies on the tree of a value, nil when nothing does.
// What it keeps of a list moves together.
func (t *tree) projectValue(v item.Value) item.Value {
	switch {
	case t.leaf:
		return v
	case t.kids[0].name != "":
		if kept := t.project(v); len(kept) > 0 {
			return item.AppendMap(nil, kept)
		}
		return nil
	}
	kept := make([]item.Value, 0, len(t.kids))
	kids, i := t.kids, int64(0)
	if v.Type() != item.L {
		return nil
	}
	for e := range v.Elements() {
		if len(kids) == 0 {
			break
		}
		if kids[0].index == i {
			if part := kids[0].projectValue(e); part != nil {
				kept = append(kept, part)
			}
			kids = kids[1:]
		}
		i++
	}
	if len(kept) == 0 {
		return nil
	}
	return item.AppendList(nil, kept...)
}
