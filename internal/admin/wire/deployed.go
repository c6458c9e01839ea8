package wire

// Deployed is one thing that the deployments of a template have made, as their client keeps
// it with the server: what may be removed when the template no longer names it. Or, where Used says so, one that the
// deployments have found.
type Deployed struct {
	ID   string `json:"id"`   // in the template
	Type string `json:"type"` // as the template names it
	Ref  string `json:"ref"`  // what Ref gives
	// Used: it was there before, made by somebody else: no stack removes it as long as this one names it.
	Used bool `json:"used,omitempty"`
	// Making: nothing of its name was there when its deployment began, which has not ended.
	Making bool `json:"making,omitempty"`
	// Gone: the template no longer names it, or another one has taken its place.
	Gone bool `json:"gone,omitempty"`
	// Retain: it stays when the template no longer names it; RetainReplaced: when another
	// one takes its place.
	Retain         bool `json:"retain,omitempty"`
	RetainReplaced bool `json:"retainReplaced,omitempty"`
	// Properties of a queue or topic, and its tags, that its deployments have named, one a line: they are taken back when the template no longer names
	// them. Others stay.
	Properties string `json:"properties,omitempty"`
}

// Deployment is the document of deployments/{stack}.
type Deployment struct {
	Resources []Deployed `json:"resources"` // in the order in which they were made
	// Version is the list's that was read: a list replaces that one only, and no other's work is lost. Empty: there was none.
	Version string `json:"version"`
}

// Hold is a line of deployments/{stack}/hold: whether the caller has the stack to itself, or waits.
type Hold struct {
	Held bool `json:"held"`
}

// Stacks are those of an account and region, by name.
type Stacks struct {
	Stacks []Stack `json:"stacks"`
}

// Stack is what deployments of one name, or a stack of CloudFormation, have made, in their order.
type Stack struct {
	Name      string      `json:"name"`
	Resources []StackPart `json:"resources"`
}

// StackPart is one thing of a stack.
type StackPart struct {
	Type string `json:"type"` // as the template names it
	Ref  string `json:"ref"`  // what Ref gives
}
