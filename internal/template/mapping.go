package template

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	fn "github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"github.com/millstreamdb/millstream/internal/arn"
	"github.com/millstreamdb/millstream/internal/setting"
)

// mappingProperties are those that AWS::Lambda::EventSourceMapping and SAM's
// DynamoDB event share.
type mappingProperties struct {
	FunctionName                   string
	BatchSize                      *int32
	BisectBatchOnFunctionError     *bool
	Enabled                        *bool
	FilterCriteria                 *fn.FilterCriteria
	FunctionResponseTypes          []fn.FunctionResponseType
	KmsKeyArn                      *string
	MaximumBatchingWindowInSeconds *int32
	MaximumRecordAgeInSeconds      *int32
	MaximumRetryAttempts           *int32
	MetricsConfig                  *fn.EventSourceMappingMetricsConfig
	ParallelizationFactor          *int32
	StartingPosition               fn.EventSourcePosition
	StartingPositionTimestamp      *float64 // seconds since 1970
	TumblingWindowInSeconds        *int32
}

func prepareMapping(c *preparation) step {
	var p struct {
		mappingProperties
		EventSourceArn    string
		DestinationConfig *fn.DestinationConfig
		Tags              []tag
	}
	if c.withoutFunction("FunctionName") {
		return nil
	}
	if c.onQueue() {
		return prepareQueueMapping(c)
	}
	if c.otherSource("EventSourceArn") {
		return nil
	}
	c.into(&p)
	c.checkTags(setting.Mapping)
	m := &mapping{mappingProperties: p.mappingProperties, stream: p.EventSourceArn, tags: tagMap(p.Tags)}
	if p.DestinationConfig != nil && p.DestinationConfig.OnFailure != nil {
		m.destination = aws.ToString(p.DestinationConfig.OnFailure.Destination)
	}
	m.checked(c, "EventSourceArn")
	return m
}

func prepareDynamoEvent(c *preparation) step {
	var p struct {
		mappingProperties
		Stream            string
		DestinationConfig *struct {
			OnFailure *struct {
				Destination string
				Type        string
			}
		}
	}
	if c.withoutFunction("FunctionName") || c.otherSource("Stream") {
		return nil
	}
	c.into(&p)
	m := &mapping{mappingProperties: p.mappingProperties, stream: p.Stream}
	if p.DestinationConfig != nil && p.DestinationConfig.OnFailure != nil {
		if m.destination = p.DestinationConfig.OnFailure.Destination; m.destination == "" {
			c.problems.add(c.props.get("DestinationConfig").line, "%s: DestinationConfig.OnFailure has no Destination, and none is made", c.r.id)
		}
	}
	m.checked(c, "Stream")
	return m
}

// otherSource leaves a mapping out whose source is not a table's stream, and reports it.
func (c *preparation) otherSource(member string) bool {
	n := c.props.get(member)
	what, line := "", c.r.line
	switch {
	case n == nil && c.props.get("SelfManagedEventSource") != nil:
		what = "a self-managed Kafka"
	case n != nil && arn.Is(n.text) && arn.Service(n.text) != "dynamodb":
		what, line = n.text, n.line
	default:
		return false
	}
	c.leave(line, "its function is not called by it", "event source mappings from "+what+" are not supported")
	return true
}

// mapping is an event source mapping to deploy.
type mapping struct {
	mappingProperties
	stream, destination string
	tags                map[string]string
	// when is the condition on changes (triggers set --when); nil: as it is, empty: none.
	when *string
}

func (m *mapping) checked(c *preparation, source string) {
	if w := c.r.when; w != nil {
		switch {
		case w.kind != scalar:
			c.problems.add(w.line, "%s: Metadata.Millstream.When must be a text", c.r.id)
		case !c.plan.opts.HTTP:
			c.problems.add(w.line, "%s: Metadata.Millstream.When needs a Millstream", c.r.id)
		}
		m.when = &w.text
	}
	n := c.props.get(source)
	switch {
	case n == nil || m.stream == "":
		c.problems.add(c.r.line, "%s has no %s: does its table have a stream?", c.r.id, source)
	case arn.TableOf(m.stream) == "":
		c.problems.add(n.line, "%s.%s must be the stream of a table, as !GetAtt TABLE.StreamArn is, not %q", c.r.id, source, m.stream)
	}
}

func (m *mapping) deploy(ctx context.Context, d *deployment) (outcome, error) {
	is, err := d.mappingOf(ctx, m.FunctionName, m.stream)
	switch {
	case err != nil:
		return outcome{}, err
	case is == nil:
		return m.create(ctx, d)
	}
	return m.update(ctx, d, is)
}

func (m *mapping) there(ctx context.Context, d *deployment) (ref string, err error) {
	return d.mappingThere(ctx, m.FunctionName, m.stream)
}

// mappingOf is the event source mapping from a source to a function; nil: there is none.
func (d *deployment) mappingOf(ctx context.Context, function, source string) (*fn.EventSourceMappingConfiguration, error) {
	all, err := d.mappings(ctx, function)
	i := slices.IndexFunc(all, func(is fn.EventSourceMappingConfiguration) bool {
		return aws.ToString(is.EventSourceArn) == source && aws.ToString(is.State) != "Deleting"
	})
	if err != nil || i < 0 {
		return nil, err
	}
	return &all[i], nil
}

func (d *deployment) mappingThere(ctx context.Context, function, source string) (ref string, err error) {
	is, err := d.mappingOf(ctx, function, source)
	if err != nil || is == nil {
		return "", err
	}
	return aws.ToString(is.UUID), nil
}

// mappings are a function's event source mappings.
func (d *deployment) mappings(ctx context.Context, function string) ([]fn.EventSourceMappingConfiguration, error) {
	var all []fn.EventSourceMappingConfiguration
	for in := (&lambda.ListEventSourceMappingsInput{FunctionName: &function}); ; {
		out, err := d.Functions.ListEventSourceMappings(ctx, in)
		if err != nil {
			return nil, err
		}
		all = append(all, out.EventSourceMappings...)
		if in.Marker = out.NextMarker; aws.ToString(in.Marker) == "" {
			return all, nil
		}
	}
}

// whole is the mapping with AWS's defaults where the template leaves something
// out, so that a property that was taken away is taken back.
func (m *mapping) whole() *lambda.UpdateEventSourceMappingInput {
	or := func(v *int32, standard int32) *int32 {
		if v == nil {
			return &standard
		}
		return v
	}
	in := &lambda.UpdateEventSourceMappingInput{
		BatchSize:                      or(m.BatchSize, 100),
		MaximumBatchingWindowInSeconds: or(m.MaximumBatchingWindowInSeconds, 0),
		MaximumRecordAgeInSeconds:      or(m.MaximumRecordAgeInSeconds, -1),
		MaximumRetryAttempts:           or(m.MaximumRetryAttempts, -1),
		ParallelizationFactor:          or(m.ParallelizationFactor, 1),
		TumblingWindowInSeconds:        or(m.TumblingWindowInSeconds, 0),
		BisectBatchOnFunctionError:     aws.Bool(aws.ToBool(m.BisectBatchOnFunctionError)),
		Enabled:                        aws.Bool(m.Enabled == nil || *m.Enabled),
		FilterCriteria:                 &fn.FilterCriteria{},
		FunctionResponseTypes:          []fn.FunctionResponseType{},
		DestinationConfig:              &fn.DestinationConfig{OnFailure: &fn.OnFailure{}},
		KMSKeyArn:                      m.KmsKeyArn,
		MetricsConfig:                  m.MetricsConfig,
	}
	if m.FilterCriteria != nil {
		in.FilterCriteria = m.FilterCriteria
	}
	if m.FunctionResponseTypes != nil {
		in.FunctionResponseTypes = m.FunctionResponseTypes
	}
	if m.destination != "" {
		in.DestinationConfig.OnFailure.Destination = &m.destination
	}
	return in
}

func (m *mapping) create(ctx context.Context, d *deployment) (outcome, error) {
	in := &lambda.CreateEventSourceMappingInput{
		FunctionName: &m.FunctionName, EventSourceArn: &m.stream, StartingPosition: m.StartingPosition, Tags: m.tags,
		BatchSize: m.BatchSize, BisectBatchOnFunctionError: m.BisectBatchOnFunctionError, Enabled: m.Enabled, FilterCriteria: m.FilterCriteria,
		FunctionResponseTypes: m.FunctionResponseTypes, KMSKeyArn: m.KmsKeyArn, MaximumBatchingWindowInSeconds: m.MaximumBatchingWindowInSeconds,
		MaximumRecordAgeInSeconds: m.MaximumRecordAgeInSeconds, MaximumRetryAttempts: m.MaximumRetryAttempts, MetricsConfig: m.MetricsConfig,
		ParallelizationFactor: m.ParallelizationFactor, TumblingWindowInSeconds: m.TumblingWindowInSeconds,
	}
	if m.StartingPositionTimestamp != nil {
		in.StartingPositionTimestamp = aws.Time(time.UnixMilli(int64(*m.StartingPositionTimestamp * 1000)))
	}
	if m.destination != "" {
		in.DestinationConfig = &fn.DestinationConfig{OnFailure: &fn.OnFailure{Destination: &m.destination}}
	}
	wanted := in.Enabled
	if m.when != nil {
		in.Enabled = aws.Bool(false) // no record goes by without the condition
	}
	out, err := d.Functions.CreateEventSourceMapping(ctx, in)
	if err != nil {
		return outcome{}, err
	}
	if err := d.settledMapping(ctx, aws.ToString(out.UUID)); err != nil {
		return outcome{}, err
	}
	if m.when != nil {
		if err := m.createdDisabled(ctx, d, aws.ToString(out.UUID), wanted); err != nil {
			return outcome{}, err
		}
	}
	return m.outcome(out.UUID, out.EventSourceMappingArn, Created, nil), nil
}

// createdDisabled gives a new mapping its condition, and enables it then if it is to be. One whose condition is none is
// removed again: it must not stay without.
func (m *mapping) createdDisabled(ctx context.Context, d *deployment, uuid string, enabled *bool) error {
	if _, err := d.Front.SetWhen(ctx, uuid, *m.when); err != nil {
		_, undo := d.Functions.DeleteEventSourceMapping(ctx, &lambda.DeleteEventSourceMappingInput{UUID: &uuid})
		return errors.Join(fmt.Errorf("the condition %s: %w", *m.when, err), undo)
	}
	if enabled != nil && !*enabled {
		return nil
	}
	if _, err := d.Functions.UpdateEventSourceMapping(ctx, &lambda.UpdateEventSourceMappingInput{UUID: &uuid, Enabled: aws.Bool(true)}); err != nil {
		return err
	}
	return d.settledMapping(ctx, uuid)
}

// condition sets the condition on changes, and reports whether it was another.
func (m *mapping) condition(ctx context.Context, d *deployment, uuid string) (bool, error) {
	if m.when == nil {
		return false, nil
	}
	now, err := d.Front.Trigger(ctx, uuid)
	if err != nil || now.When == *m.when {
		return false, err
	}
	if _, err := d.Front.SetWhen(ctx, uuid, *m.when); err != nil {
		return false, fmt.Errorf("the condition %s: %w", *m.when, err)
	}
	return true, nil
}

func (m *mapping) outcome(uuid, arn *string, action Action, changed []string) outcome {
	return outcome{name: aws.ToString(uuid), action: action, detail: strings.Join(changed, ", "), attributes: map[string]string{
		"": aws.ToString(uuid), "Id": aws.ToString(uuid), "EventSourceMappingArn": aws.ToString(arn),
	}}
}

// settledMapping waits until a mapping has come to the state it goes to.
func (d *deployment) settledMapping(ctx context.Context, uuid string) error {
	for wait := minWait; ; wait = min(2*wait, maxWait) {
		now, err := d.Functions.GetEventSourceMapping(ctx, &lambda.GetEventSourceMappingInput{UUID: &uuid})
		if err != nil {
			return err
		}
		if s := aws.ToString(now.State); s == "Enabled" || s == "Disabled" {
			return nil
		}
		if err := pause(ctx, wait); err != nil {
			return err
		}
	}
}

func (m *mapping) update(ctx context.Context, d *deployment, is *fn.EventSourceMappingConfiguration) (outcome, error) {
	in := m.whole()
	changed := m.differences(in, is)
	tagged, err := m.retag(ctx, d, is)
	if err != nil {
		return outcome{}, err
	}
	conditioned, err := m.condition(ctx, d, aws.ToString(is.UUID))
	if err != nil {
		return outcome{}, err
	}
	var beside []string // what UpdateEventSourceMapping is not for
	if tagged {
		beside = append(beside, "tags")
	}
	if conditioned {
		beside = append(beside, "condition")
	}
	switch {
	case len(changed)+len(beside) == 0:
		return m.outcome(is.UUID, is.EventSourceMappingArn, Unchanged, nil), nil
	case len(changed) == 0:
		return m.outcome(is.UUID, is.EventSourceMappingArn, Updated, beside), nil
	}
	changed = append(changed, beside...)
	if err := d.settledMapping(ctx, aws.ToString(is.UUID)); err != nil {
		return outcome{}, err
	}
	in.UUID = is.UUID
	if _, err := d.Functions.UpdateEventSourceMapping(ctx, in); err != nil {
		return outcome{}, err
	}
	if err := d.settledMapping(ctx, aws.ToString(is.UUID)); err != nil {
		return outcome{}, err
	}
	return m.outcome(is.UUID, is.EventSourceMappingArn, Updated, changed), nil
}

// retag sets the tags that the template names, and reports whether any was not so.
func (m *mapping) retag(ctx context.Context, d *deployment, is *fn.EventSourceMappingConfiguration) (bool, error) {
	arn := is.EventSourceMappingArn
	now, err := d.Functions.ListTags(ctx, &lambda.ListTagsInput{Resource: arn})
	if err != nil {
		return false, err
	}
	set, unset := tagChanges(now.Tags, m.tags)
	if len(set) > 0 {
		if _, err := d.Functions.TagResource(ctx, &lambda.TagResourceInput{Resource: arn, Tags: set}); err != nil {
			return false, err
		}
	}
	if len(unset) > 0 {
		if _, err := d.Functions.UntagResource(ctx, &lambda.UntagResourceInput{Resource: arn, TagKeys: unset}); err != nil {
			return false, err
		}
	}
	return len(set)+len(unset) > 0, nil
}

// differences names what an update would change. Where reading starts is decided
// once, when the mapping is made.
func (m *mapping) differences(in *lambda.UpdateEventSourceMappingInput, is *fn.EventSourceMappingConfiguration) []string {
	var changed []string
	differ := func(name string, different bool) {
		if different {
			changed = append(changed, name)
		}
	}
	number := func(v *int32, standard int32) int32 {
		if v == nil {
			return standard
		}
		return *v
	}
	differ("BatchSize", *in.BatchSize != number(is.BatchSize, 100))
	differ("MaximumBatchingWindowInSeconds", *in.MaximumBatchingWindowInSeconds != number(is.MaximumBatchingWindowInSeconds, 0))
	differ("MaximumRecordAgeInSeconds", *in.MaximumRecordAgeInSeconds != number(is.MaximumRecordAgeInSeconds, -1))
	differ("MaximumRetryAttempts", *in.MaximumRetryAttempts != number(is.MaximumRetryAttempts, -1))
	differ("ParallelizationFactor", *in.ParallelizationFactor != number(is.ParallelizationFactor, 1))
	differ("TumblingWindowInSeconds", *in.TumblingWindowInSeconds != number(is.TumblingWindowInSeconds, 0))
	differ("BisectBatchOnFunctionError", *in.BisectBatchOnFunctionError != aws.ToBool(is.BisectBatchOnFunctionError))
	state := aws.ToString(is.State)
	differ("Enabled", *in.Enabled != (state != "Disabled" && state != "Disabling"))
	differ("FilterCriteria", filtersText(in.FilterCriteria) != filtersText(is.FilterCriteria))
	differ("FunctionResponseTypes", !slices.Equal(in.FunctionResponseTypes, is.FunctionResponseTypes))
	destination := ""
	if is.DestinationConfig != nil && is.DestinationConfig.OnFailure != nil {
		destination = aws.ToString(is.DestinationConfig.OnFailure.Destination)
	}
	differ("DestinationConfig", m.destination != destination)
	return changed
}

func filtersText(f *fn.FilterCriteria) string {
	if f == nil {
		return ""
	}
	var patterns []string
	for _, one := range f.Filters {
		patterns = append(patterns, aws.ToString(one.Pattern))
	}
	if len(patterns) == 0 {
		return ""
	}
	body, _ := json.Marshal(patterns) // texts always marshal
	return string(body)
}

// noteStrangers finds event source mappings of the plan's functions that the
// template does not have: they go on calling.
func (d *deployment) noteStrangers(ctx context.Context) error {
	ours := map[string]bool{}
	functions := map[string]bool{}
	for _, r := range d.plan.steps {
		at := d.plan.deployed[r.id]
		switch r.typ {
		case "AWS::Serverless::Function", "AWS::Lambda::Function":
			functions[at[""]] = true
		case "AWS::Lambda::EventSourceMapping", dynamoEvent:
			ours[at[""]] = true
		}
	}
	for _, name := range sortedKeys(functions) {
		all, err := d.mappings(ctx, name)
		if err != nil {
			return err
		}
		slices.SortFunc(all, func(a, b fn.EventSourceMappingConfiguration) int { return cmp.Compare(*a.UUID, *b.UUID) })
		for _, m := range all {
			if !ours[aws.ToString(m.UUID)] {
				d.result.Notes = append(d.result.Notes, fmt.Sprintf("the event source mapping %s from %s to %s is not in the template and goes on; "+
					"remove it with `aws lambda delete-event-source-mapping --uuid %[1]s`", aws.ToString(m.UUID), aws.ToString(m.EventSourceArn), name))
			}
		}
	}
	return nil
}
