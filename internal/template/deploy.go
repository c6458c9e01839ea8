package template

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"

	"github.com/millstreamdb/millstream/internal/admin"
)

// Target is what a plan is deployed to. Queues, Topics and Front may be nil: then
// there are none.
type Target struct {
	Tables     *dynamodb.Client
	Functions  *lambda.Client
	Queues     *sqs.Client
	Topics     *sns.Client
	schedules  *scheduleClient
	buckets    *bucketClient
	parameters *parameterClient
	Front      *admin.Client // of a Millstream, for the routes of HTTP APIs
	Region     string
	rules      *ruleClient
	identity   *sts.Client
}

// Endpoints of NewTarget. An empty one is the configuration's own; an empty SQS or SNS is Main.
type Endpoints struct{ Main, SQS, SNS string }

// NewTarget makes the clients of a configuration.
func NewTarget(config aws.Config, at Endpoints) *Target {
	own := func(url string) *string {
		if url == "" {
			return nil
		}
		return &url
	}
	t := &Target{
		Region:    config.Region,
		Tables:    dynamodb.NewFromConfig(config, func(o *dynamodb.Options) { o.BaseEndpoint = own(at.Main) }),
		Functions: lambda.NewFromConfig(config, func(o *lambda.Options) { o.BaseEndpoint = own(at.Main) }),
		identity:  sts.NewFromConfig(config, func(o *sts.Options) { o.BaseEndpoint = own(at.Main) }),
	}
	main := cmp.Or(at.Main, aws.ToString(config.BaseEndpoint))
	t.rules = &ruleClient{signedClient{"EventBridge", "events", main, config}}
	t.schedules = &scheduleClient{signedClient{"EventBridge Scheduler", "scheduler", main, config}}
	t.buckets = &bucketClient{signedClient{"S3", "s3", main, config}}
	t.parameters = &parameterClient{signedClient{"Systems Manager", "ssm", main, config}}
	t.Queues = sqs.NewFromConfig(config, func(o *sqs.Options) { o.BaseEndpoint = own(cmp.Or(at.SQS, at.Main)) })
	t.Topics = sns.NewFromConfig(config, func(o *sns.Options) { o.BaseEndpoint = own(cmp.Or(at.SNS, at.Main)) })
	return t
}

// Fill puts into o what the target tells of itself. It changes nothing there.
func (t *Target) Fill(ctx context.Context, o *Options) error {
	id, err := t.identity.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		return fmt.Errorf("template: ask the endpoint for its account: %w", err)
	}
	o.Account, o.Region = aws.ToString(id.Account), t.Region
	if t.Front != nil {
		known := map[string]string{}
		o.Runtime = func(name string) string {
			why, ok := known[name]
			if !ok {
				// A server that cannot be asked tells it when the function is made.
				why, _ = t.Front.RuntimeProblem(ctx, name)
				known[name] = why
			}
			return why
		}
	}
	o.Queues, o.Topics, o.HTTP = t.Queues != nil, t.Topics != nil, t.Front != nil
	if o.Stored == nil {
		var unasked error
		o.unasked = &unasked
		o.Stored = func(name string) (string, bool) {
			value, ok, err := t.parameters.get(ctx, name)
			if err != nil && unasked == nil {
				unasked = fmt.Errorf("ask Parameter Store for %s: %w", name, err)
			}
			return value, ok
		}
	}
	type read struct {
		body []byte
		err  error
	}
	objects := map[stored]read{} // a plan asks for them more than once, and functions share them
	o.uploaded = func(object stored) ([]byte, error) {
		is, ok := objects[object]
		if !ok {
			is.body, is.err = t.buckets.get(ctx, object)
			objects[object] = is
		}
		return is.body, is.err
	}
	return nil
}

// Action is what became of a resource.
type Action string

const (
	Created   Action = "created"
	Updated   Action = "updated"
	Unchanged Action = "unchanged"
	Removed   Action = "removed"  // by a deployment that prunes
	Retained  Action = "retained" // it would have been, and its policies keep it
)

// Change is what a deployment did with one resource.
type Change struct {
	ID, Type string // as the template names them
	Name     string // the resource's own
	Ref      string // as Ref gives it; of a schedule group/name, since Ref gives the name alone
	Action   Action
	Detail   string // what was updated
	// Properties are those that the template named, and its tags, one a line, where it matters what it names no more: see Watch.Begin.
	Properties string
}

// Result is what a deployment has come to.
type Result struct {
	Changes []Change
	Outputs []Output
	APIs    []admin.API // with their addresses and routes
	// Notes are things that a person may want to know, such as event source mappings
	// that the template no longer has.
	Notes []string
}

// nameable is a step whose resource has a name of its own, by which another one may be there.
type nameable interface {
	// there is what Change.Ref would be of the resource that has the name now; empty: there is none.
	there(ctx context.Context, d *deployment) (ref string, err error)
}

func (d *deployment) there(ctx context.Context, s step) (ref string, err error) {
	if n, ok := s.(nameable); ok {
		return n.there(ctx, d)
	}
	return "", nil
}

// watched deploys a step, and tells of it before and when it has failed.
func (d *deployment) watched(ctx context.Context, id string, s step, w Watch) (outcome, error) {
	d.before = ""
	if w.Begin == nil {
		return s.deploy(ctx, d)
	}
	ref, err := d.there(ctx, s)
	if err == nil {
		d.before, err = w.Begin(id, ref, propertiesOf(s))
	}
	if err != nil {
		return outcome{}, err
	}
	out, err := s.deploy(ctx, d)
	if err != nil && ctx.Err() == nil {
		left, asked := d.there(ctx, s)
		if asked != nil || taken(err) {
			left = ""
		}
		w.Failed(id, left)
	}
	return out, err
}

// taken says that a resource failed because somebody else made one of its name meanwhile.
func taken(err error) bool {
	var e smithy.APIError
	return errors.As(err, &e) && slices.Contains([]string{"ResourceInUseException", "ResourceConflictException", "ConflictException", "TableAlreadyExistsException", "QueueNameExists"}, e.ErrorCode())
}

// step is one resource, ready to be deployed.
type step interface {
	// deploy makes what is there equal to the template.
	deploy(ctx context.Context, d *deployment) (outcome, error)
}

// builder is a step that needs work on this machine first, such as a zip; all of
// that is done before anything is touched.
type builder interface {
	build(ctx context.Context, d *deployment) error
}

// outcome is what a step has come to.
type outcome struct {
	name       string
	identity   string // what Change.Ref is; empty: what Ref gives
	action     Action
	detail     string
	attributes map[string]string // "" is what Ref stands for
}

// deployment is one run of a plan.
type deployment struct {
	*Target
	plan   *Plan
	code   map[string]*archive // by logical id
	result *Result
	before string // what earlier deployments named of the resource under way, see Watch.Begin
}

// Deploy brings the target to what the template says. It ends at the first
// failure; what was done until then stays, and the next run goes on from there.
// progress, unless nil, is called after each resource.
func (p *Plan) Deploy(ctx context.Context, t *Target, progress func(Change)) (*Result, error) {
	return p.DeployWatched(ctx, t, Watch{Done: progress})
}

// Watch is told of each resource. Its functions may be nil.
type Watch struct {
	// Begin is called before a resource is touched. there is what Change.Ref would be of one that
	// has its name already; empty: there is none, or its type has no names. properties will be
	// Change.Properties. What it returns is what earlier deployments gave of that same thing, also
	// those that have failed: what is on that list, and is not named any more, is taken back, and
	// nothing else is. Its error ends the deployment.
	Begin func(id, there, properties string) (before string, err error)
	// Failed is called when a resource has failed after Begin. left is what Change.Ref would be of
	// what has its name now, as in Begin; empty also where that cannot be known. It goes with Begin.
	Failed func(id, left string)
	Done   func(Change)
}

// DeployWatched is Deploy for who keeps account of what is made.
func (p *Plan) DeployWatched(ctx context.Context, t *Target, w Watch) (*Result, error) {
	problems := &Problems{File: p.template.Path, skip: p.opts.SkipUnsupported}
	d := &deployment{Target: t, plan: p, code: map[string]*archive{}, result: &Result{}}
	e := p.evaluator(problems)
	for _, r := range p.steps {
		if b, ok := p.prepare(r, e).(builder); ok {
			if err := b.build(ctx, d); err != nil {
				return nil, &StepError{File: p.template.Path, Line: r.line, ID: r.id, Type: r.typ, Err: err}
			}
		}
	}
	for _, r := range p.steps {
		s := p.prepare(r, e)
		if err := problems.err(); err != nil { // what only the real values have shown
			return d.result, err
		}
		if r.missing { // it is only now known to be of no use
			continue
		}
		out, err := d.watched(ctx, r.id, s, w)
		if err != nil {
			return d.result, &StepError{File: p.template.Path, Line: r.line, ID: r.id, Type: r.typ, Err: err}
		}
		p.deployed[r.id] = out.attributes
		c := Change{ID: r.id, Type: r.typ, Name: out.name, Ref: cmp.Or(out.identity, out.attributes[""]), Action: out.action, Detail: out.detail, Properties: propertiesOf(s)}
		d.result.Changes = append(d.result.Changes, c)
		if w.Done != nil {
			w.Done(c)
		}
	}
	d.result.Outputs = p.outputs(e)
	if err := d.noteStrangers(ctx); err != nil {
		return d.result, err
	}
	return d.result, problems.err()
}
