// Package template brings an application up from its AWS SAM or CloudFormation
// template: the template is read, checked as a whole, put into the order of its
// dependencies, and deployed by calls of the AWS SDK, so that it works on any
// endpoint that answers them.
//
//	t, err := template.Read("template.yaml")
//	p, err := t.Plan(template.Options{Parameters: ...})  // nothing has been touched yet
//	result, err := p.Deploy(ctx, target)
//
// What holds:
//
//   - Before anything is touched, everything in the template that is not supported is
//     listed by its name and line, all at once (*Problems). A property that is
//     neither acted on nor known to make no difference here is such a thing: nothing
//     is dropped in silence.
//   - A deployment compares the template with what is there, not with what an
//     earlier run did, and changes only what differs. What a template no longer names
//     stays, and with it its data, unless whoever deploys asks to prune; then what
//     earlier runs have made of the stack is removed, and nothing else.
//   - Names that the template leaves to CloudFormation are made of the stack's name
//     and the logical id, so that a second run finds what the first one made.
//
// It is a client: it uses the typed client of Millstream's own protocol, for the
// routes of HTTP APIs, and knows nothing of the engine.
package template
