package gateway

import (
	"net/url"
	"strings"
)

// compiled is a route made ready for matching.
type compiled struct {
	*Route
	parts []part
	rest  bool // the last part is greedy
}

// part is one part of a path between slashes: a text, or a parameter's name.
type part struct {
	text      string
	parameter bool
}

// compile takes a route's path apart.
func compile(r *Route) (*compiled, error) {
	c := &compiled{Route: r}
	if r.Path == defaultPath {
		return c, nil
	}
	if !strings.HasPrefix(r.Path, "/") || len(r.Path) > maxPath {
		return nil, refuse("path %q: want one that begins with /, of at most %d characters, or %s", r.Path, maxPath, defaultPath)
	}
	names := map[string]bool{}
	for _, text := range split(r.Path) {
		if c.rest {
			return nil, refuse("path %q: a parameter with a + takes the rest of the path, so it must be the last part", r.Path)
		}
		name, isParameter := strings.CutPrefix(text, "{")
		if !isParameter {
			c.parts = append(c.parts, part{text: text})
			continue
		}
		name, closed := strings.CutSuffix(name, "}")
		name, c.rest = strings.CutSuffix(name, "+")
		if !closed || name == "" || strings.ContainsAny(name, "{}") || names[name] {
			return nil, refuse("path %q: a parameter is a whole part with a name of its own, {name} or {name+}", r.Path)
		}
		names[name] = true
		c.parts = append(c.parts, part{name, true})
	}
	return c, nil
}

// split cuts a path at its slashes, the first one left out.
func split(path string) []string {
	path = strings.TrimPrefix(path, "/")
	if path == "" {
		return nil
	}
	return strings.Split(path, "/")
}

// match holds a path (its parts, as they were sent) against a route.
func (c *compiled) match(parts []string) (params map[string]string, ok bool) {
	if c.Path == defaultPath {
		return nil, true
	}
	if len(parts) < len(c.parts) || len(parts) > len(c.parts) && !c.rest {
		return nil, false
	}
	for i, p := range c.parts {
		value := parts[i]
		if c.rest && i == len(c.parts)-1 {
			if value = strings.Join(parts[i:], "/"); value == "" {
				return nil, false
			}
		}
		value = decoded(value)
		switch {
		case !p.parameter:
			if value != p.text {
				return nil, false
			}
		case value == "":
			return nil, false
		default:
			if params == nil {
				params = map[string]string{}
			}
			params[p.text] = value
		}
	}
	return params, true
}

// decoded undoes percent-encoding, where it is such.
func decoded(s string) string {
	if d, err := url.PathUnescape(s); err == nil {
		return d
	}
	return s
}

// before reports whether c is more specific than o: texts before parameters before
// greedy ones, from the left, and $default last.
func (c *compiled) before(o *compiled) bool {
	if o.Path == defaultPath || c.Path == defaultPath {
		return c.Path != defaultPath
	}
	for i := 0; i < len(c.parts) && i < len(o.parts); i++ {
		a, b := c.weight(i), o.weight(i)
		if a != b {
			return a < b
		}
	}
	return len(c.parts) > len(o.parts)
}

func (c *compiled) weight(i int) int {
	switch {
	case !c.parts[i].parameter:
		return 0
	case c.rest && i == len(c.parts)-1:
		return 2
	}
	return 1
}

// find returns the route that takes a request. On an HTTP API a route must fit with
// its method too, so that one method may be taken by a less specific path; on a REST
// API the path is found first, and then its method.
func (l *live) find(method string, parts []string) (route *compiled, params map[string]string) {
	for _, c := range l.routes {
		fits := c.Method == method || c.Method == anyMethod
		if !fits && l.api.Kind == kindHTTP {
			continue
		}
		p, ok := c.match(parts)
		if !ok {
			continue
		}
		switch {
		case route == nil, c.before(route):
		case route.before(c):
			continue
		case !fits, route.Method == method: // the same path: its own method goes before ANY
			continue
		}
		route, params = c, p
	}
	if route != nil && route.Method != method && route.Method != anyMethod {
		return nil, nil
	}
	return route, params
}

// methodsOf lists the methods of the routes whose path fits, nil when none does.
func (l *live) methodsOf(parts []string) (all []string) {
	for _, c := range l.routes {
		if _, ok := c.match(parts); ok {
			all = append(all, c.Method)
		}
	}
	return all
}
