package template

import (
	"slices"
	"strconv"
	"strings"
)

// parameters gives each of the template's parameters its value: the caller's, or
// its default.
func (t *Template) parameters(o Options, problems *Problems) map[string]*node {
	given, values := o.Parameters, map[string]*node{}
	section := t.root.get("Parameters")
	for name := range given {
		if section.get(name) == nil {
			problems.add(1, "the template has no parameter %s", name)
		}
	}
	if section == nil {
		return values
	}
	for i, name := range section.keys {
		p := section.vals[i]
		value, ok := given[name]
		if d := p.get("Default"); !ok && d != nil {
			value, ok = d.text, true
		}
		kind := "String"
		if k := p.get("Type"); k != nil {
			kind = k.text
		}
		switch {
		case !ok:
			problems.add(p.line, "the parameter %s has no default: give it a value with --parameter %s=VALUE", name, name)
		case strings.HasPrefix(kind, "AWS::SSM::Parameter::Value<"):
			value = t.fromStore(o, p, name, value)
		}
		if allowed := p.get("AllowedValues"); ok && allowed != nil &&
			!slices.ContainsFunc(allowed.list, func(v *node) bool { return v.text == value }) {
			problems.add(p.line, "the parameter %s does not allow %q", name, value)
		}
		if _, err := strconv.ParseFloat(value, 64); ok && kind == "Number" && err != nil {
			problems.add(p.line, "the parameter %s must be a number, not %q", name, value)
		}
		v := text(p.line, value)
		if kind == "CommaDelimitedList" || strings.HasPrefix(kind, "List<") {
			v = &node{kind: list, line: p.line}
			for _, part := range strings.Split(value, ",") {
				v.list = append(v.list, text(p.line, strings.TrimSpace(part)))
			}
		}
		values[name] = v
	}
	return values
}

// bootstrapVersion is the version of the CDK's resources in an account that its templates
// ask for: a number that satisfies all of them.
const bootstrapVersion = "33"

// fromStore is the value of a parameter whose own value is a name in Parameter Store.
func (t *Template) fromStore(o Options, p *node, name, key string) string {
	if o.Stored != nil {
		if v, ok := o.Stored(key); ok {
			return v
		}
	}
	if strings.HasPrefix(key, "/cdk-bootstrap/") && strings.HasSuffix(key, "/version") {
		return bootstrapVersion
	}
	warning := Problem{Line: p.line, Text: "the parameter " + name + " is kept in Parameter Store, where there is no " + key + " here: its value is taken to be " + key +
		"; put it there, or give it another one with --parameter " + name + "=VALUE"}
	if !slices.Contains(t.Warnings, warning) {
		t.Warnings = append(t.Warnings, warning)
	}
	return key
}
