package template

import "cmp"

// scheduled makes the rule of a function's event of type Schedule, or the schedule of one of type ScheduleV2, as SAM does.
func (x *expansion) scheduled(r *resource, name, kind string, line int, props *node) {
	one := &resource{id: r.id + name, line: line, condition: r.condition, needs: r.published()}
	target := object1(line, "Arn", functionARN(line, r))
	for _, member := range []string{"Input", "RetryPolicy"} {
		if v := props.get(member); v != nil {
			target = target.with(member, v)
		}
		props = props.without(member)
	}
	if d := props.get("DeadLetterConfig"); d != nil {
		target = target.with("DeadLetterConfig", x.deadLetters(one, d))
		props = props.without("DeadLetterConfig")
	}
	if kind == "Schedule" {
		one.typ = "AWS::Events::Rule"
		if e := props.get("Schedule"); e != nil {
			props = props.with("ScheduleExpression", e)
		}
		if e := props.get("Enabled"); e != nil {
			on, ok := parseBool(e.text)
			if !ok {
				x.problems.add(e.line, "%s.Events.%s: Enabled must be true or false", r.id, name)
			}
			props = props.with("State", text(e.line, map[bool]string{true: "ENABLED", false: "DISABLED"}[on]))
		}
		props = props.without("Schedule").without("Enabled")
		target = target.with("Id", text(line, name+"LambdaTarget"))
		one.props = props.with("Targets", &node{kind: list, line: line, list: []*node{target}})
		x.add(one)
		return
	}
	one.typ = "AWS::Scheduler::Schedule"
	if role := props.get("RoleArn"); role != nil {
		target = target.with("RoleArn", role)
	}
	omit, _ := parseBool(scalarOf(props.get("OmitName")))
	if props.get("Name") == nil && !omit {
		props = props.with("Name", text(line, one.id))
	}
	if props.get("FlexibleTimeWindow") == nil {
		props = props.with("FlexibleTimeWindow", object1(line, "Mode", text(line, "OFF")))
	}
	for _, member := range []string{"RoleArn", "OmitName", "PermissionsBoundary"} { // permissions are not looked at
		props = props.without(member)
	}
	one.props = props.with("Target", target)
	x.add(one)
}

// deadLetters is the queue of an event: one that is named, or one that SAM makes for it.
func (x *expansion) deadLetters(of *resource, config *node) *node {
	if config.get("Arn") != nil || config.get("Type") == nil {
		return config.without("Type").without("QueueLogicalId")
	}
	id := cmp.Or(scalarOf(config.get("QueueLogicalId")), of.id+"Queue")
	x.add(&resource{id: id, typ: "AWS::SQS::Queue", line: config.line, condition: of.condition, props: &node{kind: object, line: config.line}})
	return object1(config.line, "Arn", getAtt(config.line, id, "Arn"))
}

// functionARN is the ARN of what the events of a function call.
func functionARN(line int, r *resource) *node {
	if r.alias != "" {
		return ref(line, r.alias)
	}
	return getAtt(line, r.id, "Arn")
}

func getAtt(line int, id, name string) *node {
	return object1(line, "Fn::GetAtt", text(line, id+"."+name))
}

func object1(line int, name string, v *node) *node {
	return &node{kind: object, line: line, keys: []string{name}, vals: []*node{v}}
}
