package template

import (
	"slices"
	"strings"

	"github.com/millstreamdb/millstream/internal/nearest"
)

// checkPolicies works out what becomes of a resource that its stack no longer has. A value
// that is not understood is refused, as on AWS: it must not come to a deletion.
func (p *Plan) checkPolicies(r *resource, e *evaluator) {
	r.deletion = p.policy(r, e, "DeletionPolicy", r.policies[0], "Delete", "Retain", "RetainExceptOnCreate")
	r.replaced = p.policy(r, e, "UpdateReplacePolicy", r.policies[1], "Delete", "Retain")
}

func (p *Plan) policy(r *resource, e *evaluator, member string, n *node, values ...string) string {
	if n == nil {
		return ""
	}
	if name, _ := n.call(); name != "" && !p.template.transformed("AWS::LanguageExtensions") {
		e.problems.add(n.line, "%s: %s must be a text; %s in it needs Transform: AWS::LanguageExtensions", r.id, member, name)
		return ""
	}
	v := e.eval(n)
	switch {
	case v == nil: // AWS::NoValue
		return ""
	case v.kind == scalar && slices.Contains(values, v.text):
		return v.text
	case v.kind == scalar && v.text == "Snapshot" && r.kind == nil: // there is nothing of it to delete
		return ""
	case v.kind == scalar && v.text == "Snapshot":
		e.problems.add(n.line, "%s: %s: Snapshot is not supported for %s, on AWS neither: say Retain to keep what it holds", r.id, member, r.typ)
		return ""
	}
	e.problems.add(n.line, "%s: %s must be one of %s, not %q%s", r.id, member, strings.Join(values, ", "), scalarOf(v), nearest.Hint(scalarOf(v), values))
	return ""
}

// transformed reports whether the template names a transform.
func (t *Template) transformed(name string) bool {
	n := t.root.get("Transform")
	return scalarOf(n) == name || n != nil && slices.ContainsFunc(n.list, func(one *node) bool { return scalarOf(one) == name })
}
