package template

import (
	"regexp"
	"slices"
	"strings"
)

// dynamic are references that CloudFormation resolves in properties, after the functions.
var dynamic = regexp.MustCompile(`\{\{resolve:([a-z-]+):([^{}]*)\}\}`)

// resolved puts values in the place of an evaluated node's dynamic references, of which
// Parameter Store's plain ones are known.
func (p *Plan) resolved(e *evaluator, n *node) *node {
	if n == nil {
		return nil
	}
	switch n.kind {
	case scalar:
		if !strings.Contains(n.text, "{{resolve:") {
			return n
		}
		whole := dynamic.ReplaceAllStringFunc(n.text, func(reference string) string {
			m := dynamic.FindStringSubmatch(reference)
			service, name := m[1], m[2]
			switch {
			case service != "ssm" || strings.Contains(name, ":"): // a version; only the newest is kept
				e.problems.lack(n.line, "its text stands for it", reference+" is not supported")
				return reference
			case p.opts.Stored != nil:
				if v, ok := p.opts.Stored(name); ok && e.bounds.spend(n.line, 1, len(v)) {
					return v
				}
			}
			e.problems.lack(n.line, "its text stands for it", reference+": there is no parameter "+name+" in Parameter Store here")
			return reference
		})
		return text(n.line, whole)
	case list:
		out := slices.Clone(n.list)
		for i := range out {
			out[i] = p.resolved(e, out[i])
		}
		return &node{kind: list, line: n.line, list: out}
	case object:
		out := slices.Clone(n.vals)
		for i := range out {
			out[i] = p.resolved(e, out[i])
		}
		return &node{kind: object, line: n.line, keys: n.keys, vals: out}
	}
	return n
}
