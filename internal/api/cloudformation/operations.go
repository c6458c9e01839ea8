package cloudformation

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/millstreamdb/millstream/internal/api/query"
	"github.com/millstreamdb/millstream/internal/stack"
	"github.com/millstreamdb/millstream/internal/template"
)

func invalid(message string) error { return &stack.Error{Code: "ValidationError", Message: message} }

// settled is how long an answer waits for an operation that is done in no time: tools
// look again only after half a minute.
const settled = 3 * time.Second

func (c *call) settle(id string) {
	ctx, cancel := context.WithTimeout(c.Context, settled)
	defer cancel()
	c.h.stacks.Rest(ctx, id)
}

func createStack(c *call) error {
	r, err := c.request()
	if err != nil {
		return err
	}
	id, err := c.h.stacks.Create(c.Context, c.Scope, r)
	c.Out.Text("StackId", id)
	return err
}

func updateStack(c *call) error {
	r, err := c.request()
	if err != nil {
		return err
	}
	id, err := c.h.stacks.Update(c.Context, c.Scope, r)
	c.Out.Text("StackId", id)
	return err
}

func deleteStack(c *call) error {
	name := c.Get("StackName")
	st, _ := c.h.stacks.Get(c.Scope, name) // one that is not there is answered as deleted
	if err := c.h.stacks.Delete(c.Scope, name, c.Members("RetainResources")); err != nil || st == nil {
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
	stackID, id, err := c.h.stacks.Propose(c.Context, c.Scope, c.Get("ChangeSetName"), c.Get("ChangeSetType"), c.Get("Description"), r)
	if err != nil {
		return err
	}
	c.Out.Must("Id", id)
	c.Out.Must("StackId", stackID)
	return nil
}

func describeChangeSet(c *call) error {
	st, set, err := c.h.stacks.Set(c.Scope, c.Get("StackName"), c.Get("ChangeSetName"))
	if err != nil {
		return err
	}
	d := c.Out
	setHead(d, st, set)
	c.parameters(&set.Version, nil)
	query.List(d, "Capabilities", set.Version.Capabilities, func(s string) { d.WriteString(s) })
	tags(d, set.Version.Tags)
	query.List(d, "Changes", set.Changes, func(one stack.ResourceChange) {
		d.Must("Type", "Resource")
		d.In("ResourceChange", func() {
			d.Must("Action", one.Action)
			d.Must("LogicalResourceId", one.Logical)
			d.Text("PhysicalResourceId", one.Physical)
			d.Must("ResourceType", one.Type)
			d.Text("Replacement", one.Replacement)
			if one.Action == "Remove" {
				d.Must("PolicyAction", "Delete")
			}
			scope := []string{}
			if one.Properties {
				scope = append(scope, "Properties")
			}
			query.List(d, "Scope", scope, func(s string) { d.WriteString(s) })
			query.List(d, "Details", scope, func(string) {
				d.In("Target", func() { d.Must("Attribute", "Properties"); d.Must("RequiresRecreation", "Conditionally") })
				d.Must("Evaluation", "Dynamic")
				d.Must("ChangeSource", "DirectModification")
			})
		})
	})
	return nil
}

func setHead(d *query.Document, st *stack.Stack, set *stack.ChangeSet) {
	d.Must("ChangeSetName", set.Name)
	d.Must("ChangeSetId", set.ID)
	d.Must("StackId", st.ID)
	d.Must("StackName", st.Name)
	d.Must("Status", set.Status)
	d.Text("StatusReason", set.Reason)
	if set.Status == "FAILED" {
		d.Must("ExecutionStatus", "UNAVAILABLE")
	} else {
		d.Must("ExecutionStatus", "AVAILABLE")
	}
	d.Time("CreationTime", set.Created)
	d.Text("Description", set.Description)
}

func tags(d *query.Document, all []stack.Tag) {
	query.List(d, "Tags", all, func(t stack.Tag) { d.Must("Key", t.Key); d.Must("Value", t.Value) })
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
	query.List(c.Out, "Parameters", names, func(name string) {
		c.Out.Must("ParameterKey", name)
		if hidden[name] {
			c.Out.Must("ParameterValue", hiddenValue)
			return
		}
		value, ok := given[name]
		if !ok {
			value = values[name]
		}
		c.Out.Must("ParameterValue", value)
		if resolved := values[name]; ok && resolved != value {
			c.Out.Text("ResolvedValue", resolved)
		}
	})
}

func executeChangeSet(c *call) error {
	return c.h.stacks.Execute(c.Scope, c.Get("StackName"), c.Get("ChangeSetName"), c.Yes("DisableRollback"))
}

func deleteChangeSet(c *call) error {
	return c.h.stacks.DropSet(c.Scope, c.Get("StackName"), c.Get("ChangeSetName"))
}

func listChangeSets(c *call) error {
	st, err := c.h.stacks.Get(c.Scope, c.Get("StackName"))
	if err != nil {
		return err
	}
	var all []*stack.ChangeSet
	for _, set := range st.Sets {
		all = append(all, set)
	}
	slices.SortFunc(all, func(a, b *stack.ChangeSet) int { return strings.Compare(a.Name, b.Name) })
	query.List(c.Out, "Summaries", all, func(set *stack.ChangeSet) { setHead(c.Out, st, set) })
	return nil
}

func describeStacks(c *call) error {
	all := c.h.stacks.List(c.Scope)
	if name := c.Get("StackName"); name != "" {
		st, err := c.h.stacks.Get(c.Scope, name)
		if err != nil {
			return err
		}
		all = []*stack.Stack{st}
	} else {
		all = slices.DeleteFunc(all, func(st *stack.Stack) bool { return st.Status == "DELETE_COMPLETE" })
	}
	d := c.Out
	query.List(d, "Stacks", all, func(st *stack.Stack) {
		d.Must("StackId", st.ID)
		d.Must("StackName", st.Name)
		d.Must("StackStatus", st.Status)
		d.Text("StackStatusReason", st.Reason)
		d.Time("CreationTime", st.Created)
		d.Time("LastUpdatedTime", st.Updated)
		d.Time("DeletionTime", st.Deleted)
		d.Text("Description", st.Description)
		d.Yes("DisableRollback", st.KeepFailed)
		d.Yes("EnableTerminationProtection", st.Protected)
		c.parameters(&st.Now, st.Values)
		query.List(d, "Capabilities", st.Now.Capabilities, func(s string) { d.WriteString(s) })
		query.List(d, "Outputs", st.Outputs, func(o template.Output) {
			d.Must("OutputKey", o.Name)
			d.Must("OutputValue", o.Value)
			d.Text("Description", o.Description)
			d.Text("ExportName", o.Export)
		})
		tags(d, st.Now.Tags)
		d.In("NotificationARNs", func() {})
		d.In("RollbackConfiguration", func() {})
		d.In("DriftInformation", func() { d.Must("StackDriftStatus", "NOT_CHECKED") })
	})
	return nil
}

func describeEvents(c *call) error {
	st, err := c.h.stacks.Get(c.Scope, c.Get("StackName"))
	if err != nil {
		return invalid("Stack [" + c.Get("StackName") + "] does not exist")
	}
	d := c.Out
	events := slices.Clone(st.Events)
	slices.Reverse(events) // the newest first
	query.List(d, "StackEvents", events, func(e stack.Event) {
		d.Must("StackId", st.ID)
		d.Must("EventId", e.ID)
		d.Must("StackName", st.Name)
		d.Must("LogicalResourceId", e.Logical)
		d.Must("PhysicalResourceId", e.Physical)
		d.Must("ResourceType", e.Type)
		d.Time("Timestamp", e.Time)
		d.Must("ResourceStatus", e.Status)
		d.Text("ResourceStatusReason", e.Reason)
	})
	return nil
}

func (c *call) resource(r stack.Resource, time string) {
	d := c.Out
	d.Must("LogicalResourceId", r.ID)
	d.Text("PhysicalResourceId", template.Physical(r.Type, r.Ref))
	d.Must("ResourceType", r.Type)
	d.Must("ResourceStatus", r.Status)
	d.Text("ResourceStatusReason", r.Reason)
	d.Time(time, r.Time)
	d.In("DriftInformation", func() { d.Must("StackResourceDriftStatus", "NOT_CHECKED") })
}

func describeResource(c *call) error {
	st, err := c.h.stacks.Get(c.Scope, c.Get("StackName"))
	if err != nil {
		return invalid("Stack '" + c.Get("StackName") + "' does not exist")
	}
	for _, r := range st.Resources {
		if r.ID == c.Get("LogicalResourceId") {
			c.Out.In("StackResourceDetail", func() {
				c.resource(r, "LastUpdatedTimestamp")
				c.Out.Must("StackId", st.ID)
				c.Out.Must("StackName", st.Name)
			})
			return nil
		}
	}
	return invalid("Resource " + c.Get("LogicalResourceId") + " does not exist for stack " + st.Name)
}

func describeResources(c *call) error {
	name := c.Get("StackName")
	if physical := c.Get("PhysicalResourceId"); name == "" && physical != "" {
		for _, st := range c.h.stacks.List(c.Scope) {
			if st.Status != "DELETE_COMPLETE" && slices.ContainsFunc(st.Resources, func(r stack.Resource) bool { return template.Physical(r.Type, r.Ref) == physical }) {
				name = st.ID
			}
		}
	}
	st, err := c.h.stacks.Get(c.Scope, name)
	if err != nil {
		return err
	}
	wanted := c.Get("LogicalResourceId")
	all := slices.DeleteFunc(slices.Clone(st.Resources), func(r stack.Resource) bool { return wanted != "" && r.ID != wanted })
	query.List(c.Out, "StackResources", all, func(r stack.Resource) {
		c.resource(r, "Timestamp")
		c.Out.Must("StackId", st.ID)
		c.Out.Must("StackName", st.Name)
	})
	return nil
}

func listResources(c *call) error {
	st, err := c.h.stacks.Get(c.Scope, c.Get("StackName"))
	if err != nil {
		return err
	}
	query.List(c.Out, "StackResourceSummaries", st.Resources, func(r stack.Resource) { c.resource(r, "LastUpdatedTimestamp") })
	return nil
}

func listStacks(c *call) error {
	wanted := c.Members("StackStatusFilter")
	all := slices.DeleteFunc(c.h.stacks.List(c.Scope), func(st *stack.Stack) bool { return len(wanted) > 0 && !slices.Contains(wanted, st.Status) })
	d := c.Out
	query.List(d, "StackSummaries", all, func(st *stack.Stack) {
		d.Must("StackId", st.ID)
		d.Must("StackName", st.Name)
		d.Text("TemplateDescription", st.Description)
		d.Time("CreationTime", st.Created)
		d.Time("LastUpdatedTime", st.Updated)
		d.Time("DeletionTime", st.Deleted)
		d.Must("StackStatus", st.Status)
		d.Text("StackStatusReason", st.Reason)
		d.In("DriftInformation", func() { d.Must("StackDriftStatus", "NOT_CHECKED") })
	})
	return nil
}

func listExports(c *call) error {
	query.List(c.Out, "Exports", c.h.stacks.Exports(c.Scope), func(e stack.Export) {
		c.Out.Must("ExportingStackId", e.StackID)
		c.Out.Must("Name", e.Name)
		c.Out.Must("Value", e.Value)
	})
	return nil
}

func listImports(c *call) error {
	var by []string
	for _, st := range c.h.stacks.List(c.Scope) {
		if st.Status != "DELETE_COMPLETE" && slices.Contains(st.Imports, c.Get("ExportName")) {
			by = append(by, st.Name)
		}
	}
	if len(by) == 0 {
		return invalid("Export '" + c.Get("ExportName") + "' is not imported by any stack.")
	}
	query.List(c.Out, "Imports", by, func(s string) { c.Out.WriteString(s) })
	return nil
}

func getTemplate(c *call) error {
	text := ""
	if name := c.Get("ChangeSetName"); name != "" {
		st, set, err := c.h.stacks.Set(c.Scope, c.Get("StackName"), name)
		if err != nil {
			return err
		}
		if text, err = st.Text(&set.Version); err != nil {
			return err
		}
	} else {
		st, err := c.h.stacks.Get(c.Scope, c.Get("StackName"))
		if err != nil {
			return err
		}
		if text, err = st.Text(&st.Now); err != nil {
			return err
		}
	}
	c.Out.Must("TemplateBody", text)
	query.List(c.Out, "StagesAvailable", []string{"Original", "Processed"}, func(s string) { c.Out.WriteString(s) })
	return nil
}

// read reads the template that a call names, or a stack's.
func (c *call) read() (*template.Template, error) {
	text := ""
	if name := c.Get("StackName"); name != "" && !c.Form.Has("TemplateBody") && !c.Form.Has("TemplateURL") {
		st, err := c.h.stacks.Get(c.Scope, name)
		if err != nil {
			return nil, err
		}
		if st.Status == "REVIEW_IN_PROGRESS" {
			return nil, invalid("GetTemplateSummary cannot be called on REVIEW_IN_PROGRESS stacks.")
		}
		if text, err = st.Text(&st.Now); err != nil {
			return nil, err
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
	d := c.Out
	query.List(d, "Parameters", t.Parameters(), func(p template.Parameter) {
		d.Must("ParameterKey", p.Name)
		if p.Default != nil {
			d.Must("DefaultValue", *p.Default)
		}
		if kinds {
			d.Text("ParameterType", p.Type)
		}
		d.Yes("NoEcho", p.NoEcho)
		d.Text("Description", p.Description)
	})
	d.Text("Description", t.Description())
	var capabilities []string
	if slices.ContainsFunc(t.ResourceTypes(), func(typ string) bool {
		return strings.HasPrefix(typ, "AWS::IAM::") || strings.HasPrefix(typ, "AWS::Serverless::Function")
	}) {
		capabilities = append(capabilities, "CAPABILITY_IAM")
	}
	if len(t.Transforms()) > 0 {
		capabilities = append(capabilities, "CAPABILITY_AUTO_EXPAND")
	}
	query.List(d, "Capabilities", capabilities, func(s string) { d.WriteString(s) })
	query.List(d, "DeclaredTransforms", t.Transforms(), func(s string) { d.WriteString(s) })
}

func getTemplateSummary(c *call) error {
	t, err := c.read()
	if err != nil {
		return err
	}
	c.declared(t, true)
	query.List(c.Out, "ResourceTypes", t.ResourceTypes(), func(s string) { c.Out.WriteString(s) })
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
	id, err := c.h.stacks.Protect(c.Scope, c.Get("StackName"), c.Yes("EnableTerminationProtection"))
	c.Out.Text("StackId", id)
	return err
}

func setPolicy(c *call) error {
	return c.h.stacks.SetPolicy(c.Scope, c.Get("StackName"), c.Get("StackPolicyBody"))
}

func getPolicy(c *call) error {
	st, err := c.h.stacks.Get(c.Scope, c.Get("StackName"))
	if err == nil {
		c.Out.Text("StackPolicyBody", st.Policy)
	}
	return err
}
