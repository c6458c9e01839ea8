package template

import (
	"context"
	"encoding/json"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	fn "github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"github.com/millstreamdb/millstream/internal/arn"
	"github.com/millstreamdb/millstream/internal/setting"
)

// queueMappingProperties are those of AWS::Lambda::EventSourceMapping that a queue may have.
type queueMappingProperties struct {
	FunctionName, EventSourceArn   string
	BatchSize                      *int32
	Enabled                        *bool
	FilterCriteria                 *fn.FilterCriteria
	FunctionResponseTypes          []fn.FunctionResponseType
	KmsKeyArn                      *string
	MaximumBatchingWindowInSeconds *int32
	MetricsConfig                  *fn.EventSourceMappingMetricsConfig
	ProvisionedPollerConfig        *fn.ProvisionedPollerConfig
	ScalingConfig                  *fn.ScalingConfig
	Tags                           []tag
}

// onQueue reports whether a mapping's source is a queue.
func (c *preparation) onQueue() bool {
	n := c.props.get("EventSourceArn")
	return n != nil && arn.Service(n.text) == "sqs"
}

// queueMapping is an event source mapping on a queue to deploy.
type queueMapping struct{ queueMappingProperties }

func prepareQueueMapping(c *preparation) step {
	m := &queueMapping{}
	c.into(&m.queueMappingProperties)
	c.checkTags(setting.Mapping)
	return m
}

func (m *queueMapping) deploy(ctx context.Context, d *deployment) (outcome, error) {
	is, err := d.mappingOf(ctx, m.FunctionName, m.EventSourceArn)
	if err != nil {
		return outcome{}, err
	}
	if is == nil {
		out, err := d.Functions.CreateEventSourceMapping(ctx, &lambda.CreateEventSourceMappingInput{
			FunctionName: &m.FunctionName, EventSourceArn: &m.EventSourceArn, BatchSize: m.BatchSize, Enabled: m.Enabled, FilterCriteria: m.FilterCriteria,
			FunctionResponseTypes: m.FunctionResponseTypes, KMSKeyArn: m.KmsKeyArn, MaximumBatchingWindowInSeconds: m.MaximumBatchingWindowInSeconds,
			MetricsConfig: m.MetricsConfig, ProvisionedPollerConfig: m.ProvisionedPollerConfig, ScalingConfig: m.ScalingConfig, Tags: tagMap(m.Tags),
		})
		if err != nil {
			return outcome{}, err
		}
		return m.outcome(out.UUID, out.EventSourceMappingArn, Created), d.settledMapping(ctx, aws.ToString(out.UUID))
	}
	return m.update(ctx, d, is)
}

func (m *queueMapping) there(ctx context.Context, d *deployment) (ref string, err error) {
	return d.mappingThere(ctx, m.FunctionName, m.EventSourceArn)
}

// update gives a mapping what the template says, with AWS's defaults for what it leaves out.
func (m *queueMapping) update(ctx context.Context, d *deployment, is *fn.EventSourceMappingConfiguration) (outcome, error) {
	or := func(v *int32, standard int32) *int32 {
		if v == nil {
			return &standard
		}
		return v
	}
	in := &lambda.UpdateEventSourceMappingInput{
		UUID: is.UUID, BatchSize: or(m.BatchSize, 10), MaximumBatchingWindowInSeconds: or(m.MaximumBatchingWindowInSeconds, 0),
		Enabled: aws.Bool(m.Enabled == nil || *m.Enabled), FilterCriteria: m.FilterCriteria, FunctionResponseTypes: m.FunctionResponseTypes,
		ScalingConfig: m.ScalingConfig, ProvisionedPollerConfig: m.ProvisionedPollerConfig, MetricsConfig: m.MetricsConfig, KMSKeyArn: m.KmsKeyArn,
	}
	if in.FilterCriteria == nil {
		in.FilterCriteria = &fn.FilterCriteria{}
	}
	if in.FunctionResponseTypes == nil {
		in.FunctionResponseTypes = []fn.FunctionResponseType{}
	}
	if in.ScalingConfig == nil {
		in.ScalingConfig = &fn.ScalingConfig{}
	}
	same := func(a, b any) bool {
		x, err := json.Marshal(a)
		y, err2 := json.Marshal(b)
		return err == nil && err2 == nil && string(x) == string(y)
	}
	filters := func(f *fn.FilterCriteria) []fn.Filter {
		if f == nil {
			return []fn.Filter{}
		}
		return append([]fn.Filter{}, f.Filters...)
	}
	calls := func(s *fn.ScalingConfig) int32 {
		if s == nil {
			return 0
		}
		return aws.ToInt32(s.MaximumConcurrency)
	}
	responses := func(r []fn.FunctionResponseType) []fn.FunctionResponseType {
		return append([]fn.FunctionResponseType{}, r...)
	}
	if *in.BatchSize == aws.ToInt32(is.BatchSize) && *in.MaximumBatchingWindowInSeconds == aws.ToInt32(is.MaximumBatchingWindowInSeconds) &&
		*in.Enabled == (aws.ToString(is.State) == "Enabled") && same(filters(in.FilterCriteria), filters(is.FilterCriteria)) &&
		same(responses(in.FunctionResponseTypes), responses(is.FunctionResponseTypes)) && calls(in.ScalingConfig) == calls(is.ScalingConfig) &&
		(m.ProvisionedPollerConfig == nil || same(m.ProvisionedPollerConfig, is.ProvisionedPollerConfig)) {
		return m.outcome(is.UUID, is.EventSourceMappingArn, Unchanged), nil
	}
	if _, err := d.Functions.UpdateEventSourceMapping(ctx, in); err != nil {
		return outcome{}, err
	}
	return m.outcome(is.UUID, is.EventSourceMappingArn, Updated), d.settledMapping(ctx, aws.ToString(is.UUID))
}

func (m *queueMapping) outcome(uuid, mappingARN *string, action Action) outcome {
	return outcome{name: aws.ToString(uuid), action: action, attributes: map[string]string{
		"": aws.ToString(uuid), "Id": aws.ToString(uuid), "EventSourceMappingArn": aws.ToString(mappingARN),
	}}
}
