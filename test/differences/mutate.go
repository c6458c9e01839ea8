package differences

// Faults of the wire: what any request can have wrong with it.

// mutate breaks a request at one place of its tree or its text.
func (g *gen) mutate(r *Request) *Request {
	r.Aim = "mutate"
	r.Body = copyTree(r.Body).(object)
	if g.chance(8) {
		r.Mangle = &mangle{Cut: g.chance(50), At: g.Float64(), Insert: pick(g, "", "}", "]", "{", "\"", ",", "x", "\x01", "null", "'")}
		r.Whole = onePage
		return r
	}
	holder, member := g.place(r.Body, 0)
	switch g.IntN(7) {
	case 0:
		delete(holder, member)
	case 1:
		holder[member] = nil
	case 2:
		holder[pick(g, "Unknown", "extra", "tableName", "X")] = pick[any](g, 1, "x", object{"a": 1}, list{1}, nil, true)
	case 3:
		holder[member] = pick[any](g, "", "x", "TRUE", strings300, 0, -1, 1, 2.5, 1e6, 3000000000, true, false)
	case 4:
		holder[member] = pick[any](g, object{}, list{}, list{object{}}, list{"x"}, object{"x": "y"}, list{nil}, object{"x": nil}, list{list{}})
	case 5:
		holder[member] = g.mistyped()
	default:
		holder[member] = g.badValue()
	}
	return r
}

var strings300 = string(make300())

func make300() []byte {
	out := make([]byte, 300)
	for i := range out {
		out[i] = 'q'
	}
	return out
}

// place picks a member somewhere in a tree of objects, near the top by preference.
func (g *gen) place(o object, depth int) (object, string) {
	all := names(o)
	if len(all) == 0 {
		return o, "Missing"
	}
	member := all[g.IntN(len(all))]
	if depth < 6 && g.chance(55) {
		switch v := o[member].(type) {
		case object:
			if len(v) > 0 {
				return g.place(v, depth+1)
			}
		case list:
			if len(v) > 0 {
				if inner, ok := v[g.IntN(len(v))].(object); ok && len(inner) > 0 {
					return g.place(inner, depth+1)
				}
			}
		}
	}
	return o, member
}

func copyTree(tree any) any {
	switch v := tree.(type) {
	case object:
		out := make(object, len(v))
		for name, member := range v {
			out[name] = copyTree(member)
		}
		return out
	case list:
		out := make(list, len(v))
		for i, member := range v {
			out[i] = copyTree(member)
		}
		return out
	}
	return tree
}
