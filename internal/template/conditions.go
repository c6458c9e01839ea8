package template

// conditions are the template's Conditions, evaluated when they are asked for.
// They see parameters and mappings only, as CloudFormation has it.
type conditions struct {
	section *node
	values  *evaluator
	known   map[string]bool
	open    map[string]bool // under evaluation, to find circles
}

// holds returns the value of a named condition; an empty name holds.
func (c *conditions) holds(line int, name string) bool {
	if name == "" {
		return true
	}
	if v, ok := c.known[name]; ok {
		return v
	}
	n := c.section.get(name)
	switch {
	case n == nil:
		c.values.problems.add(line, "there is no condition %s", name)
		return false
	case c.open[name]:
		c.values.problems.add(n.line, "the condition %s depends on itself", name)
		return false
	}
	c.open[name] = true
	v := c.eval(n)
	delete(c.open, name)
	c.known[name] = v
	return v
}

// eval returns the value of an expression of conditions.
func (c *conditions) eval(n *node) bool {
	problems := c.values.problems
	name, arg := n.call()
	switch name {
	case "Condition":
		return c.holds(n.line, arg.text)
	case "Fn::Equals":
		args := c.values.args(n.line, name, arg, 2)
		return args != nil && c.values.text(args[0], name) == c.values.text(args[1], name)
	case "Fn::Not":
		args := c.values.args(n.line, name, arg, 1)
		return args != nil && !c.eval(args[0])
	case "Fn::And", "Fn::Or":
		if arg.kind != list || len(arg.list) < 2 || len(arg.list) > 10 {
			problems.add(n.line, "%s takes a list of 2 to 10 conditions", name)
			return false
		}
		all, any := true, false
		for _, item := range arg.list { // every one, for its problems
			v := c.eval(item)
			all, any = all && v, any || v
		}
		if name == "Fn::And" {
			return all
		}
		return any
	}
	problems.add(n.line, "a condition is made of Fn::Equals, Fn::And, Fn::Or, Fn::Not and Condition")
	return false
}
