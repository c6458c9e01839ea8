package expr

// How expressions use one attribute. What is asked for are key attributes: they
// are scalars, so that no path may lead into them, and filters of a query may not
// read them at all.

// Use is how an expression uses an attribute.
type Use byte

const (
	Unused Use = iota
	Whole      // by its name
	Inside     // also, or only, by a path that leads into it
)

// Reads returns how the condition reads an attribute.
func (c *Condition) Reads(attribute string) Use {
	if c == nil {
		return Unused
	}
	return c.root.reads(attribute)
}

func (n *node) reads(attribute string) Use {
	use := operandsRead(n.args, attribute)
	for _, kid := range n.kids {
		use = max(use, kid.reads(attribute))
	}
	return use
}

func operandsRead(args []operand, attribute string) Use {
	use := Unused
	for i := range args {
		use = max(use, args[i].path.uses(attribute), operandsRead(args[i].args, attribute))
	}
	return use
}

// Reads returns how the projection reads an attribute.
func (pr *Projection) Reads(attribute string) Use {
	if pr == nil {
		return Unused
	}
	return pr.paths.uses(attribute)
}

// Writes returns how the update writes an attribute.
func (u *Update) Writes(attribute string) Use {
	if u == nil {
		return Unused
	}
	return u.paths.uses(attribute)
}

// Reads returns how the right sides of the update read an attribute.
func (u *Update) Reads(attribute string) Use {
	if u == nil {
		return Unused
	}
	use := Unused
	for i := range u.actions {
		set := &u.actions[i].set
		use = max(use, set.left.path.uses(attribute), operandsRead(set.left.args, attribute),
			set.right.path.uses(attribute), operandsRead(set.right.args, attribute))
	}
	return use
}

func (t *pathTree) uses(attribute string) Use {
	use := Unused
	for _, p := range t.paths {
		use = max(use, p.uses(attribute))
	}
	return use
}

func (p path) uses(attribute string) Use {
	switch {
	case len(p) == 0 || p[0].name != attribute:
		return Unused
	case len(p) == 1:
		return Whole
	}
	return Inside
}
