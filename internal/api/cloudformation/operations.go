package cloudformation

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/millstreamdb/millstream/internal/stack"
	"github.com/millstreamdb/millstream/internal/template"
)

func invalid(message string) error { return &stack.Error{Code: "ValidationError", Message: message} }

// settled is how long an answer waits for an operation that is done in no time: tools
// look again only after half a minute.
const settled = 3 * time.Second

func (c *call) settle(id string) {
	ctx, cancel := context.WithTimeout(c.ctx, settled)
	defer cancel()
	c.h.stacks.Rest(ctx, id)
}

func createStack(c *call) error {
	r, err := c.request()
	if err != nil {
		return err
	}
	id, err := c.h.stacks.Create(c.ctx, c.scope, r)
	c.out.text("StackId", id)
	return err
}

func updateStack(c *call) error {
	r, err := c.request()
	if err != nil {
		return err
	}
	id, err := c.h.stacks.Update(c.ctx, c.scope, r)
	c.out.text("StackId", id)
	return err
}

func deleteStack(c *call) error {
	name := c.get("StackName")
	st, _ := c.h.stacks.Get(c.scope, name) // one that is not there is answered as deleted
	if err := c.h.stacks.Delete(c.scope, name, c.members("RetainResources")); err != nil || st == nil {
		return err
	}
	c.settle(st.ID)
	return nil
}

func createChangeSet(c *call) error {
	r, err := c.request()
	if err != nil {
		return err
	}
	stackID, id, err := c.h.stacks.Propose(c.ctx, c.scope, c.get("ChangeSetName"), c.get("ChangeSetType"), c.get("Description"), r)
	if err != nil {
		return err
	}
	c.out.must("Id", id)
	c.out.must("StackId", stackID)
	return nil
}

func describeChangeSet(c *call) error {
	st, set, err := c.h.stacks.Set(c.scope, c.get("StackName"), c.get("ChangeSetName"))
	if err != nil {
		return err
	}
	d := c.out
	setHead(d, st, set)
	c.parameters(&set.Version, nil)
	list(d, "Capabilities", set.Version.Capabilities, func(s string) { d.WriteString(s) })
	tags(d, set.Version.Tags)
	list(d, "Changes", set.Changes, func(one stack.ResourceChange) {
		d.must("Type", "Resource")
		d.in("ResourceChange", func() {
			d.must("Action", one.Action)
			d.must("LogicalResourceId", one.Logical)
			d.text("PhysicalResourceId", one.Physical)
			d.must("ResourceType", one.Type)
			d.text("Replacement", one.Replacement)
			if one.Action == "Remove" {
				d.must("PolicyAction", "Delete")
			}
			scope := []string{}
			if one.Properties {
				scope = append(scope, "Properties")
			}
			list(d, "Scope", scope, func(s string) { d.WriteString(s) })
			list(d, "Details", scope, func(string) {
				d.in("Target", func() { d.must("Attribute", "Properties"); d.must("RequiresRecreation", "Conditionally") })
				d.must("Evaluation", "Dynamic")
				d.must("ChangeSource", "DirectModification")
			})
		})
	})
	return nil
}

func setHead(d *document, st *stack.Stack, set *stack.ChangeSet) {
	d.must("ChangeSetName", set.Name)
	d.must("ChangeSetId", set.ID)
	d.must("StackId", st.ID)
	d.must("StackName", st.Name)
	d.must("Status", set.Status)
	d.text("StatusReason", set.Reason)
	if set.Status == "FAILED" {
		d.must("ExecutionStatus", "UNAVAILABLE")
	} else {
		d.must("ExecutionStatus", "AVAILABLE")
	}
	d.time("CreationTime", set.Created)
	d.text("Description", set.Description)
}

func tags(d *document, all []stack.Tag) {
	list(d, "Tags", all, func(t stack.Tag) { d.must("Key", t.Key); d.must("Value", t.Value) })
}

// hiddenValue stands for the value of a NoEcho parameter.
const hiddenValue = "****"

// parameters writes a version's parameters, with what those are worth that name others.
func (c *call) parameters(v *stack.Version, values map[string]string) {
	given, hidden := v.Parameters, v.Hidden()
	var names []string
	for name := range given {
		names = append(names, name)
	}
	for name := range values {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	list(c.out, "Parameters", names, func(name string) {
		c.out.must("ParameterKey", name)
		if hidden[name] {
			c.out.must("ParameterValue", hiddenValue)
			return
		}
		value, ok := given[name]
		if !ok {
			value = values[name]
		}
		c.out.must("ParameterValue", value)
		if resolved := values[name]; ok && resolved != value {
			c.out.text("ResolvedValue", resolved)
		}
	})
}

func executeChangeSet(c *call) error {
	return c.h.stacks.Execute(c.scope, c.get("StackName"), c.get("ChangeSetName"), c.yes("DisableRollback"))
}

func deleteChangeSet(c *call) error {
	return c.h.stacks.DropSet(c.scope, c.get("StackName"), c.get("ChangeSetName"))
}

func listChangeSets(c *call) error {
	st, err := c.h.stacks.Get(c.scope, c.get("StackName"))
	if err != nil {
		return err
	}
	var all []*stack.ChangeSet
	for _, set := range st.Sets {
		all = append(all, set)
	}
	slices.SortFunc(all, func(a, b *stack.ChangeSet) int { return strings.Compare(a.Name, b.Name) })
	list(c.out, "Summaries", all, func(set *stack.ChangeSet) { setHead(c.out, st, set) })
	return nil
}

func describeStacks(c *call) error {
	all := c.h.stacks.List(c.scope)
	if name := c.get("StackName"); name != "" {
		st, err := c.h.stacks.Get(c.scope, name)
		if err != nil {
			return err
		}
		all = []*stack.Stack{st}
	} else {
		all = slices.DeleteFunc(all, func(st *stack.Stack) bool { return st.Status == "DELETE_COMPLETE" })
	}
	d := c.out
	list(d, "Stacks", all, func(st *stack.Stack) {
		d.must("StackId", st.ID)
		d.must("StackName", st.Name)
		d.must("StackStatus", st.Status)
		d.text("StackStatusReason", st.Reason)
		d.time("CreationTime", st.Created)
		d.time("LastUpdatedTime", st.Updated)
		d.time("DeletionTime", st.Deleted)
		d.text("Description", st.Description)
		d.yes("DisableRollback", st.KeepFailed)
		d.yes("EnableTerminationProtection", st.Protected)
		c.parameters(&st.Now, st.Values)
		list(d, "Capabilities", st.Now.Capabilities, func(s string) { d.WriteString(s) })
		list(d, "Outputs", st.Outputs, func(o template.Output) {
			d.must("OutputKey", o.Name)
			d.must("OutputValue", o.Value)
			d.text("Description", o.Description)
			d.text("ExportName", o.Export)
		})
		tags(d, st.Now.Tags)
		d.in("NotificationARNs", func() {})
		d.in("RollbackConfiguration", func() {})
		d.in("DriftInformation", func() { d.must("StackDriftStatus", "NOT_CHECKED") })
	})
	return nil
}

func describeEvents(c *call) error {
	st, err := c.h.stacks.Get(c.scope, c.get("StackName"))
	if err != nil {
		return invalid("Stack [" + c.get("StackName") + "] does not exist")
	}
	d := c.out
	events := slices.Clone(st.Events)
	slices.Reverse(events) // the newest first
	list(d, "StackEvents", events, func(e stack.Event) {
		d.must("StackId", st.ID)
		d.must("EventId", e.ID)
		d.must("StackName", st.Name)
		d.must("LogicalResourceId", e.Logical)
		d.must("PhysicalResourceId", e.Physical)
		d.must("ResourceType", e.Type)
		d.time("Timestamp", e.Time)
		d.must("ResourceStatus", e.Status)
		d.text("ResourceStatusReason", e.Reason)
	})
	return nil
}

func (c *call) resource(r stack.Resource, time string) {
	d := c.out
	d.must("LogicalResourceId", r.ID)
	d.text("PhysicalResourceId", r.Ref)
	d.must("ResourceType", r.Type)
	d.must("ResourceStatus", r.Status)
	d.text("ResourceStatusReason", r.Reason)
	d.time(time, r.Time)
	d.in("DriftInformation", func() { d.must("StackResourceDriftStatus", "NOT_CHECKED") })
}

func describeResource(c *call) error {
	st, err := c.h.stacks.Get(c.scope, c.get("StackName"))
	if err != nil {
		return invalid("Stack '" + c.get("StackName") + "' does not exist")
	}
	for _, r := range st.Resources {
		if r.ID == c.get("LogicalResourceId") {
			c.out.in("StackResourceDetail", func() {
				c.resource(r, "LastUpdatedTimestamp")
				c.out.must("StackId", st.ID)
				c.out.must("StackName", st.Name)
			})
			return nil
		}
	}
	return invalid("Resource " + c.get("LogicalResourceId") + " does not exist for stack " + st.Name)
}

func describeResources(c *call) error {
	name := c.get("StackName")
	if physical := c.get("PhysicalResourceId"); name == "" && physical != "" {
		for _, st := range c.h.stacks.List(c.scope) {
			if st.Status != "DELETE_COMPLETE" && slices.ContainsFunc(st.Resources, func(r stack.Resource) bool { return r.Ref == physical }) {
				name = st.ID
			}
		}
	}
	st, err := c.h.stacks.Get(c.scope, name)
	if err != nil {
		return err
	}
	wanted := c.get("LogicalResourceId")
	all := slices.DeleteFunc(slices.Clone(st.Resources), func(r stack.Resource) bool { return wanted != "" && r.ID != wanted })
	list(c.out, "StackResources", all, func(r stack.Resource) {
		c.resource(r, "Timestamp")
		c.out.must("StackId", st.ID)
		c.out.must("StackName", st.Name)
	})
	return nil
}

func listResources(c *call) error {
	st, err := c.h.stacks.Get(c.scope, c.get("StackName"))
	if err != nil {
		return err
	}
	list(c.out, "StackResourceSummaries", st.Resources, func(r stack.Resource) { c.resource(r, "LastUpdatedTimestamp") })
	return nil
}

func listStacks(c *call) error {
	wanted := c.members("StackStatusFilter")
	all := slices.DeleteFunc(c.h.stacks.List(c.scope), func(st *stack.Stack) bool { return len(wanted) > 0 && !slices.Contains(wanted, st.Status) })
	d := c.out
	list(d, "StackSummaries", all, func(st *stack.Stack) {
		d.must("StackId", st.ID)
		d.must("StackName", st.Name)
		d.text("TemplateDescription", st.Description)
		d.time("CreationTime", st.Created)
		d.time("LastUpdatedTime", st.Updated)
		d.time("DeletionTime", st.Deleted)
		d.must("StackStatus", st.Status)
		d.text("StackStatusReason", st.Reason)
		d.in("DriftInformation", func() { d.must("StackDriftStatus", "NOT_CHECKED") })
	})
	return nil
}

func listExports(c *call) error {
	list(c.out, "Exports", c.h.stacks.Exports(c.scope), func(e stack.Export) {
		c.out.must("ExportingStackId", e.StackID)
		c.out.must("Name", e.Name)
		c.out.must("Value", e.Value)
	})
	return nil
}

func listImports(c *call) error {
	var by []string
	for _, st := range c.h.stacks.List(c.scope) {
		if st.Status != "DELETE_COMPLETE" && slices.Contains(st.Imports, c.get("ExportName")) {
			by = append(by, st.Name)
		}
	}
	if len(by) == 0 {
		return invalid("Export '" + c.get("ExportName") + "' is not imported by any stack.")
	}
	list(c.out, "Imports", by, func(s string) { c.out.WriteString(s) })
	return nil
}

func getTemplate(c *call) error {
	text := ""
	if name := c.get("ChangeSetName"); name != "" {
		_, set, err := c.h.stacks.Set(c.scope, c.get("StackName"), name)
		if err != nil {
			return err
		}
		text = set.Version.Template
	} else {
		st, err := c.h.stacks.Get(c.scope, c.get("StackName"))
		if err != nil {
			return err
		}
		text = st.Now.Template
	}
	c.out.must("TemplateBody", text)
	list(c.out, "StagesAvailable", []string{"Original", "Processed"}, func(s string) { c.out.WriteString(s) })
	return nil
}

// read reads the template that a call names, or a stack's.
func (c *call) read() (*template.Template, error) {
	text := ""
	if name := c.get("StackName"); name != "" && !c.form.Has("TemplateBody") && !c.form.Has("TemplateURL") {
		st, err := c.h.stacks.Get(c.scope, name)
		if err != nil {
			return nil, err
		}
		if text = st.Now.Template; st.Status == "REVIEW_IN_PROGRESS" {
			return nil, invalid("GetTemplateSummary cannot be called on REVIEW_IN_PROGRESS stacks.")
		}
	} else {
		var err error
		if text, err = c.template(); err != nil {
			return nil, err
		}
	}
	t, err := template.New("template", []byte(text))
	if err != nil {
		return nil, invalid("Template format error: " + strings.TrimPrefix(err.Error(), "template:"))
	}
	return t, nil
}

func (c *call) declared(t *template.Template, kinds bool) {
	d := c.out
	list(d, "Parameters", t.Parameters(), func(p template.Parameter) {
		d.must("ParameterKey", p.Name)
		if p.Default != nil {
			d.must("DefaultValue", *p.Default)
		}
		if kinds {
			d.text("ParameterType", p.Type)
		}
		d.yes("NoEcho", p.NoEcho)
		d.text("Description", p.Description)
	})
	d.text("Description", t.Description())
	var capabilities []string
	if slices.ContainsFunc(t.ResourceTypes(), func(typ string) bool {
		return strings.HasPrefix(typ, "AWS::IAM::") || strings.HasPrefix(typ, "AWS::Serverless::Function")
	}) {
		capabilities = append(capabilities, "CAPABILITY_IAM")
	}
	if len(t.Transforms()) > 0 {
		capabilities = append(capabilities, "CAPABILITY_AUTO_EXPAND")
	}
	list(d, "Capabilities", capabilities, func(s string) { d.WriteString(s) })
	list(d, "DeclaredTransforms", t.Transforms(), func(s string) { d.WriteString(s) })
}

func getTemplateSummary(c *call) error {
	t, err := c.read()
	if err != nil {
		return err
	}
	c.declared(t, true)
	list(c.out, "ResourceTypes", t.ResourceTypes(), func(s string) { c.out.WriteString(s) })
	return nil
}

func validateTemplate(c *call) error {
	t, err := c.read()
	if err != nil {
		return err
	}
	c.declared(t, false)
	return nil
}

func updateProtection(c *call) error {
	id, err := c.h.stacks.Protect(c.scope, c.get("StackName"), c.yes("EnableTerminationProtection"))
	c.out.text("StackId", id)
	return err
}

func setPolicy(c *call) error {
	return c.h.stacks.SetPolicy(c.scope, c.get("StackName"), c.get("StackPolicyBody"))
}

func getPolicy(c *call) error {
	st, err := c.h.stacks.Get(c.scope, c.get("StackName"))
	if err == nil {
		c.out.text("StackPolicyBody", st.Policy)
	}
	return err
}
