package template

import (
	"encoding/base64"
	"encoding/json"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/millstreamdb/millstream/internal/nearest"
)

// evaluator gives intrinsic functions their values. It adds to problems what has
// none, and goes on with an empty text, so that one pass finds everything.
type evaluator struct {
	names      map[string]*node // parameters and pseudo parameters
	mappings   *node
	conditions *conditions
	// attribute is what Ref (name "") and GetAtt of a resource stand for.
	attribute func(line int, id, name string) string
	// exported is the value of another stack's export; include reads a file beside the template.
	exported func(name string) (string, bool)
	include  func(path string) (*node, error)
	// rewrite, unless nil, is applied to text that was put together.
	rewrite  func(string) string
	problems *Problems
	bounds   *bounds
}

// eval returns a node without intrinsics; nil stands for AWS::NoValue.
func (e *evaluator) eval(n *node) *node {
	if n == nil {
		return nil
	}
	if !e.bounds.spend(n.line, 1, 0) {
		return text(n.line, "")
	}
	if name, arg := n.call(); name != "" {
		return e.apply(n.line, name, arg)
	}
	switch n.kind {
	case list:
		out := &node{kind: list, line: n.line}
		for _, item := range n.list {
			if v := e.eval(item); v != nil {
				out.list = append(out.list, v)
			}
		}
		return out
	case object:
		out := &node{kind: object, line: n.line}
		for i, name := range n.keys {
			if strings.HasPrefix(name, "Fn::") {
				e.problems.add(n.line, "%s must stand alone in its object", name)
				continue
			}
			if v := e.eval(n.vals[i]); v != nil {
				out.keys, out.vals = append(out.keys, name), append(out.vals, v)
			}
		}
		return out
	}
	return n
}

// intrinsics are the functions that apply knows, for hints at what was meant.
var intrinsics = []string{"Ref", "Condition", "Fn::GetAtt", "Fn::Sub", "Fn::Join", "Fn::If", "Fn::Select", "Fn::Split", "Fn::FindInMap", "Fn::Base64", "Fn::Equals",
	"Fn::And", "Fn::Or", "Fn::Not", "Fn::ImportValue", "Fn::GetAZs", "Fn::ToJsonString", "Fn::Length", "Fn::Transform"}

func (e *evaluator) apply(line int, name string, arg *node) *node {
	switch name {
	case "Ref":
		return e.ref(line, arg)
	case "Fn::GetAtt":
		return text(line, e.getAtt(line, arg))
	case "Fn::Sub":
		return text(line, e.finish(e.sub(line, arg)))
	case "Fn::Join":
		return text(line, e.finish(e.join(line, arg)))
	case "Fn::If":
		args := e.args(line, name, arg, 3)
		if args == nil {
			return text(line, "")
		}
		if e.conditions.holds(args[0].line, args[0].text) {
			return e.eval(args[1])
		}
		return e.eval(args[2])
	case "Fn::Select":
		return e.selected(line, arg)
	case "Fn::Split":
		args := e.args(line, name, arg, 2)
		if args == nil {
			return &node{kind: list, line: line}
		}
		out := &node{kind: list, line: line}
		whole, by := e.text(args[1], name), e.text(args[0], name)
		if !e.bounds.spend(line, 0, partSize*strings.Count(whole, by)) {
			return out
		}
		for _, part := range strings.Split(whole, by) {
			out.list = append(out.list, text(line, part))
		}
		return out
	case "Fn::FindInMap":
		return e.findInMap(line, arg)
	case "Fn::Base64":
		plain := e.text(arg, name)
		if !e.bounds.spend(line, 0, 2*len(plain)) {
			return text(line, "")
		}
		return text(line, base64.StdEncoding.EncodeToString([]byte(plain)))
	case "Fn::Equals", "Fn::And", "Fn::Or", "Fn::Not", "Condition":
		return text(line, strconv.FormatBool(e.conditions.eval(&node{kind: object, line: line, keys: []string{name}, vals: []*node{arg}})))
	case "Fn::ImportValue":
		return text(line, e.imported(line, e.text(arg, name)))
	case "Fn::GetAZs":
		region := e.text(arg, name)
		if region == "" {
			region = e.names["AWS::Region"].text
		}
		return &node{kind: list, line: line, list: []*node{text(line, region+"a"), text(line, region+"b"), text(line, region+"c")}}
	case "Fn::ToJsonString":
		v := e.eval(arg)
		if !e.bounds.spend(line, 0, 2*v.size()) {
			return text(line, "")
		}
		return text(line, jsonOf(v))
	case "Fn::Length":
		return text(line, strconv.Itoa(len(e.items(arg, name))))
	case "Fn::Transform":
		return e.included(line, arg)
	default:
		e.problems.add(line, "the intrinsic function %s is not supported%s", name, nearest.Hint(name, intrinsics))
	}
	return text(line, "")
}

// imported is the value of an export of another stack.
func (e *evaluator) imported(line int, name string) string {
	if e.exported != nil {
		if v, ok := e.exported(name); ok {
			return v
		}
	}
	e.problems.lack(line, "its text stands for it", "Fn::ImportValue: no other stack exports "+name)
	return name
}

// included is what AWS::Include lays in place of an object: the file that Location names.
func (e *evaluator) included(line int, arg *node) *node {
	name, location := arg.get("Name"), arg.get("Parameters").get("Location")
	if name == nil || name.text != "AWS::Include" || location == nil || e.include == nil {
		e.problems.lack(line, "it stands for nothing", "the transform in Fn::Transform is not supported")
		return &node{kind: object, line: line}
	}
	path := e.text(location, "Location")
	leave := e.bounds.enter(line, filepath.Clean(path))
	if leave == nil {
		return &node{kind: object, line: line}
	}
	defer leave()
	n, err := e.include(path)
	if err != nil {
		e.problems.add(line, "AWS::Include: %v", err)
		return &node{kind: object, line: line}
	}
	return e.eval(n)
}

// jsonOf writes an evaluated node as JSON: its scalars as they would be read from YAML, where what is quoted is a text.
func jsonOf(n *node) string {
	var b strings.Builder
	writeJSON(&b, n)
	return b.String()
}

func writeJSON(b *strings.Builder, n *node) {
	quote := func(s string) {
		body, _ := json.Marshal(s) // texts always marshal
		b.Write(body)
	}
	switch {
	case n == nil || n.kind == null:
		b.WriteString("null")
	case n.kind == list:
		b.WriteByte('[')
		for i, item := range n.list {
			if i > 0 {
				b.WriteByte(',')
			}
			writeJSON(b, item)
		}
		b.WriteByte(']')
	case n.kind == object:
		b.WriteByte('{')
		for i, name := range n.keys {
			if i > 0 {
				b.WriteByte(',')
			}
			quote(name)
			b.WriteByte(':')
			writeJSON(b, n.vals[i])
		}
		b.WriteByte('}')
	case n.quoted:
		quote(n.text)
	case n.text == "true" || n.text == "false":
		b.WriteString(n.text)
	default:
		if _, err := strconv.ParseFloat(n.text, 64); err == nil && json.Valid([]byte(n.text)) {
			b.WriteString(n.text)
			return
		}
		quote(n.text)
	}
}

func (e *evaluator) finish(s string) string {
	if e.rewrite != nil {
		return e.rewrite(s)
	}
	return s
}

// args returns the arguments of a function that takes n of them, nil when they
// are not that many.
func (e *evaluator) args(line int, name string, arg *node, n int) []*node {
	if arg == nil || arg.kind != list || len(arg.list) != n {
		e.problems.add(line, "%s takes a list of %d", name, n)
		return nil
	}
	return arg.list
}

// text evaluates n to a single value.
func (e *evaluator) text(n *node, of string) string {
	v := e.eval(n)
	if v == nil || v.kind != scalar {
		line := 0
		if n != nil {
			line = n.line
		}
		e.problems.add(line, "%s needs a single value here", of)
		return ""
	}
	return v.text
}

// items evaluates n to a list.
func (e *evaluator) items(n *node, of string) []*node {
	v := e.eval(n)
	if v == nil || v.kind != list {
		e.problems.add(n.line, "%s needs a list here", of)
		return nil
	}
	return v.list
}

func (e *evaluator) ref(line int, arg *node) *node {
	if arg.kind != scalar {
		e.problems.add(line, "Ref takes a name")
		return text(line, "")
	}
	if arg.text == "AWS::NoValue" {
		return nil
	}
	if v := e.names[arg.text]; v != nil {
		if !e.bounds.spend(line, len(v.list), len(v.text)) {
			return text(line, "")
		}
		return &node{kind: v.kind, line: line, text: v.text, list: v.list}
	}
	return text(line, e.attribute(line, arg.text, ""))
}

func (e *evaluator) getAtt(line int, arg *node) string {
	var id, name string
	switch {
	case arg.kind == scalar:
		id, name, _ = strings.Cut(arg.text, ".")
	case arg.kind == list && len(arg.list) == 2 && arg.list[0].kind == scalar:
		id, name = arg.list[0].text, e.text(arg.list[1], "Fn::GetAtt")
	}
	if id == "" || name == "" {
		e.problems.add(line, "Fn::GetAtt takes a resource and the name of its attribute")
		return ""
	}
	return e.attribute(line, id, name)
}

// sub fills in ${Name}, ${Resource.Attribute} and the names of a map of its own.
// ${!Text} stands for ${Text}.
func (e *evaluator) sub(line int, arg *node) string {
	pattern, own := arg, (*node)(nil)
	if arg.kind == list && len(arg.list) == 2 {
		pattern, own = arg.list[0], arg.list[1]
	}
	if pattern.kind != scalar || own != nil && own.kind != object {
		e.problems.add(line, "Fn::Sub takes a text, or a list of a text and an object")
		return ""
	}
	var b strings.Builder
	add := func(s string) {
		if e.bounds.spend(line, 1, len(s)) {
			b.WriteString(s)
		}
	}
	mine, known := map[string]*node{}, map[string]string{} // each is worked out once, and those that are not named never
	if own != nil {
		for i, name := range own.keys {
			mine[name] = own.vals[i]
		}
	}
	rest := pattern.text
	for {
		before, after, found := strings.Cut(rest, "${")
		add(before)
		if !found {
			return b.String()
		}
		name, behind, closed := strings.Cut(after, "}")
		if !closed {
			e.problems.add(line, "Fn::Sub: ${ is not closed")
			return b.String()
		}
		rest = behind
		name = strings.TrimSpace(name)
		switch {
		case strings.HasPrefix(name, "!"):
			add("${" + name[1:] + "}")
		case mine[name] != nil && mine[name].kind != null:
			if _, ok := known[name]; !ok {
				known[name] = e.text(mine[name], "Fn::Sub")
			}
			add(known[name])
		case e.names[name] != nil:
			if v := e.names[name]; v.kind == scalar {
				add(v.text)
			} else {
				e.problems.add(line, "Fn::Sub: %s is a list", name)
			}
		default:
			id, attribute, _ := strings.Cut(name, ".")
			add(e.attribute(line, id, attribute))
		}
	}
}

func (e *evaluator) join(line int, arg *node) string {
	args := e.args(line, "Fn::Join", arg, 2)
	if args == nil {
		return ""
	}
	var parts []string
	size, by := 0, e.text(args[0], "Fn::Join")
	for _, item := range e.items(args[1], "Fn::Join") {
		if item.kind != scalar {
			e.problems.add(item.line, "Fn::Join joins single values")
			continue
		}
		parts, size = append(parts, item.text), size+len(item.text)+len(by)
	}
	if !e.bounds.spend(line, 0, size) {
		return ""
	}
	return strings.Join(parts, by)
}

func (e *evaluator) selected(line int, arg *node) *node {
	args := e.args(line, "Fn::Select", arg, 2)
	if args == nil {
		return text(line, "")
	}
	items := e.items(args[1], "Fn::Select")
	which := e.text(args[0], "Fn::Select")
	i, err := strconv.Atoi(which)
	if err != nil || i < 0 || i >= len(items) {
		// What is cut out of an ARN that is not known yet may have fewer parts.
		e.problems.add(line, "Fn::Select: there is no element %s of %d", which, len(items))
		return text(line, "")
	}
	return items[i]
}

func (e *evaluator) findInMap(line int, arg *node) *node {
	if arg.kind != list || len(arg.list) != 3 && len(arg.list) != 4 {
		e.problems.add(line, "Fn::FindInMap takes the name of a mapping and two keys")
		return text(line, "")
	}
	name, first, second := e.text(arg.list[0], "Fn::FindInMap"), e.text(arg.list[1], "Fn::FindInMap"), e.text(arg.list[2], "Fn::FindInMap")
	if v := e.mappings.get(name).get(first).get(second); v != nil {
		if !e.bounds.spend(line, 0, v.size()) {
			return text(line, "")
		}
		return v
	}
	if len(arg.list) == 4 {
		if v := e.eval(arg.list[3].get("DefaultValue")); v != nil {
			return v
		}
	}
	e.problems.add(line, "Fn::FindInMap: the mapping %s has no value at %s, %s", name, first, second)
	return text(line, "")
}

// named is the resource of an attribute, with the parts that are resources of their own.
func named(attribute string) string {
	id, name, _ := strings.Cut(attribute, ".")
	if name == "Alias" || name == "Version" {
		return attribute
	}
	return id
}

// mentions calls each for every resource, parameter or condition's name that a
// value names by Ref, GetAtt or Sub, whatever its conditions.
func mentions(n *node, each func(line int, name string)) {
	if n == nil {
		return
	}
	switch name, arg := n.call(); name {
	case "Ref":
		if arg.kind == scalar {
			each(n.line, arg.text)
		}
		return
	case "Fn::GetAtt":
		switch {
		case arg.kind == scalar:
			each(n.line, named(arg.text))
		case arg.kind == list && len(arg.list) > 1:
			each(n.line, named(arg.list[0].text+"."+arg.list[1].text))
			for _, more := range arg.list[1:] {
				mentions(more, each)
			}
		}
		return
	case "Fn::Sub":
		pattern, own := arg, (*node)(nil)
		if arg.kind == list && len(arg.list) == 2 {
			pattern, own = arg.list[0], arg.list[1]
			mentions(own, each)
		}
		mine := map[string]bool{}
		if own != nil {
			for _, name := range own.keys {
				mine[name] = true
			}
		}
		rest := pattern.text
		for {
			_, after, found := strings.Cut(rest, "${")
			if !found {
				return
			}
			var whole string
			whole, rest, _ = strings.Cut(after, "}")
			name := named(strings.TrimSpace(whole))
			if !strings.HasPrefix(name, "!") && !mine[strings.TrimSpace(whole)] {
				each(n.line, name)
			}
		}
	}
	for _, item := range n.list {
		mentions(item, each)
	}
	for _, item := range n.vals {
		mentions(item, each)
	}
}
