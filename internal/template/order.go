package template

import (
	"slices"
	"strings"
)

// ordered returns resources so that each comes after those that it needs, and
// otherwise in the template's order. Circles are problems, and named; ok: there are none.
func ordered(all []*resource, problems *Problems) (out []*resource, ok bool) {
	ok = true
	byID := map[string]*resource{}
	for _, r := range all {
		byID[r.id] = r
	}
	for _, r := range all {
		need := func(_ int, name string) {
			if other := byID[name]; other == nil { // F.Alias and F.Version of functions, Api.Stage
				base, part, _ := strings.Cut(name, ".")
				if name = base; byID[base] != nil {
					name = byID[base].part(part)
				}
			}
			if other := byID[name]; other != nil && !slices.Contains(r.needs, name) {
				r.needs = append(r.needs, name)
			}
		}
		if !r.later {
			mentions(r.props, need)
		}
		for _, part := range r.parts {
			mentions(part.props, func(line int, name string) {
				if o := byID[name]; o == nil || o.partOf == "" && o != r {
					need(line, name)
				}
			})
		}
		for _, route := range r.routes {
			need(route.line, route.function)
			mentions(route.props, need)
		}
	}
	const open, done = 1, 2
	state := map[*resource]int{}
	var path []string
	var visit func(r *resource)
	visit = func(r *resource) {
		switch state[r] {
		case done:
			return
		case open:
			circle := append(slices.Clone(path[slices.Index(path, r.id):]), r.id)
			ok = false
			problems.add(r.line, "circular dependency: %s", strings.Join(circle, " needs "))
			return
		}
		state[r] = open
		path = append(path, r.id)
		for _, id := range r.needs {
			if other := byID[id]; other != nil {
				visit(other)
			} else if !strings.HasSuffix(id, "Stage") { // SAM's own stages may be named
				problems.add(r.line, "%s: DependsOn names %s, which is not in the template", r.id, id)
			}
		}
		path = path[:len(path)-1]
		state[r] = done
		out = append(out, r)
	}
	for _, r := range all {
		visit(r)
	}
	return out, ok
}
