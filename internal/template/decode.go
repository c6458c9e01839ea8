package template

import (
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/millstreamdb/millstream/internal/nearest"
)

// ignored is the type of a property that is accepted and makes no difference here.
type ignored struct{}

// apart is the type of a property that is read elsewhere, from the node itself.
type apart struct{}

var (
	ignoredType     = reflect.TypeFor[ignored]()
	apartType       = reflect.TypeFor[apart]()
	unsupportedType = reflect.TypeFor[unsupported]()
)

// decoder fills Go values from evaluated nodes. The fields of a struct are the
// properties that are supported, under their own names; every other property is a
// problem, named with its line. A boolean with a tag effect is unsupported when it is true. Numbers and booleans may be written as text, as
// CloudFormation takes them.
type decoder struct{ problems *Problems }

// decode fills what into points to. path names the node for people.
func (d decoder) decode(n *node, path string, into any) {
	d.fill(n, path, reflect.ValueOf(into).Elem())
}

func (d decoder) fill(n *node, path string, to reflect.Value) {
	if n == nil || n.kind == null || to.Type() == ignoredType || to.Type() == apartType {
		return
	}
	switch to.Kind() {
	case reflect.Pointer:
		v := reflect.New(to.Type().Elem())
		d.fill(n, path, v.Elem())
		to.Set(v)
	case reflect.Struct:
		if n.kind != object {
			d.problems.add(n.line, "%s must be an object", path)
			return
		}
		for i, name := range n.keys {
			field, ok := to.Type().FieldByName(name)
			if !ok || !field.IsExported() {
				d.problems.add(n.vals[i].line, "%s.%s is not supported%s", path, name, nearest.Hint(name, fields(to.Type())))
				continue
			}
			if field.Type == unsupportedType {
				if n.vals[i].kind != null {
					d.problems.lack(n.vals[i].line, field.Tag.Get("effect"), path+"."+name+" is not supported")
				}
				continue
			}
			d.fill(n.vals[i], path+"."+name, to.FieldByIndex(field.Index))
			if effect := field.Tag.Get("effect"); field.Type.Kind() == reflect.Bool && effect != "" && to.FieldByIndex(field.Index).Bool() {
				d.problems.lack(n.vals[i].line, effect, path+"."+name+" is not supported")
			}
		}
	case reflect.Slice:
		if n.kind != list {
			d.problems.add(n.line, "%s must be a list", path)
			return
		}
		to.Set(reflect.MakeSlice(to.Type(), len(n.list), len(n.list)))
		for i, item := range n.list {
			d.fill(item, path+"["+strconv.Itoa(i)+"]", to.Index(i))
		}
	case reflect.Map: // of text to text
		if n.kind != object {
			d.problems.add(n.line, "%s must be an object", path)
			return
		}
		to.Set(reflect.MakeMap(to.Type()))
		for i, name := range n.keys {
			v := reflect.New(to.Type().Elem()).Elem()
			d.fill(n.vals[i], path+"."+name, v)
			to.SetMapIndex(reflect.ValueOf(name), v)
		}
	default:
		d.fillScalar(n, path, to)
	}
}

func (d decoder) fillScalar(n *node, path string, to reflect.Value) {
	if n.kind != scalar {
		d.problems.add(n.line, "%s must be a single value", path)
		return
	}
	switch to.Kind() {
	case reflect.String:
		if set := valuesOf(to.Type()); len(set) > 0 && n.text != "" && !slices.Contains(set, n.text) {
			d.problems.add(n.line, "%s must be one of %s, not %q%s", path, strings.Join(set, ", "), n.text, nearest.Hint(n.text, set))
		}
		to.SetString(n.text)
	case reflect.Bool:
		v, ok := parseBool(n.text)
		if !ok {
			d.problems.add(n.line, "%s must be true or false, not %q", path, n.text)
		}
		to.SetBool(v)
	case reflect.Int, reflect.Int32, reflect.Int64:
		v, err := strconv.ParseInt(strings.TrimSuffix(n.text, ".0"), 10, to.Type().Bits())
		if err != nil {
			d.problems.add(n.line, "%s must be a whole number, not %q", path, n.text)
		}
		to.SetInt(v)
	case reflect.Float64:
		v, err := strconv.ParseFloat(n.text, 64)
		if err != nil {
			d.problems.add(n.line, "%s must be a number, not %q", path, n.text)
		}
		to.SetFloat(v)
	default:
		d.problems.add(n.line, "%s is not supported", path)
	}
}

// fields are the names of a struct's members.
func fields(t reflect.Type) (names []string) {
	for _, f := range reflect.VisibleFields(t) {
		if f.IsExported() && !f.Anonymous {
			names = append(names, f.Name)
		}
	}
	return names
}

// valuesOf are the values of a type of AWS's that has a few; nil for other types.
func valuesOf(t reflect.Type) (set []string) {
	m, ok := t.MethodByName("Values")
	if !ok || m.Type.NumIn() != 1 || m.Type.NumOut() != 1 || m.Type.Out(0) != reflect.SliceOf(t) {
		return nil
	}
	values := m.Func.Call([]reflect.Value{reflect.Zero(t)})[0]
	for i := range values.Len() {
		set = append(set, values.Index(i).String())
	}
	return set
}

// parseBool reads a boolean as YAML 1.1, and so CloudFormation, knows them.
func parseBool(s string) (value, ok bool) {
	switch strings.ToLower(s) {
	case "true", "yes", "on":
		return true, true
	case "false", "no", "off":
		return false, true
	}
	return false, false
}
