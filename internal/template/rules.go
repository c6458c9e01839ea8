package template

import (
	"context"
	"fmt"
)

// ruleClient calls EventBridge for the six operations that rules with a schedule need.
type ruleClient struct{ signedClient }

// eventRule is a rule as DescribeRule gives it and PutRule takes it.
type eventRule struct {
	Arn, Description, Name, RoleArn, ScheduleExpression, State string `json:",omitempty"`
	Tags                                                       []tag  `json:",omitempty"`
}

// eventTarget is a target of a rule.
type eventTarget struct {
	Id, Arn          string
	RoleArn          string          `json:",omitempty"`
	Input            *string         `json:",omitempty"`
	SqsParameters    *fifoParameters `json:",omitempty"`
	DeadLetterConfig *deadLetters    `json:",omitempty"`
	RetryPolicy      *retryPolicy    `json:",omitempty"`
}

// find returns a rule, nil when there is none.
func (c *ruleClient) find(ctx context.Context, name string) (*eventRule, error) {
	out := &eventRule{}
	err := c.event(ctx, "DescribeRule", map[string]string{"Name": name}, out)
	if notFound(err) {
		return nil, nil
	}
	return out, err
}

// put makes or changes a rule. It returns its ARN.
func (c *ruleClient) put(ctx context.Context, r *eventRule) (string, error) {
	var out struct{ RuleArn string }
	err := c.event(ctx, "PutRule", r, &out)
	return out.RuleArn, err
}

func (c *ruleClient) remove(ctx context.Context, name string) error {
	return c.event(ctx, "DeleteRule", map[string]string{"Name": name}, nil)
}

func (c *ruleClient) targets(ctx context.Context, rule string) (all []eventTarget, err error) {
	in := map[string]string{"Rule": rule}
	for {
		var out struct {
			Targets   []eventTarget
			NextToken string
		}
		if err := c.event(ctx, "ListTargetsByRule", in, &out); err != nil {
			return nil, err
		}
		all = append(all, out.Targets...)
		if out.NextToken == "" {
			return all, nil
		}
		in["NextToken"] = out.NextToken
	}
}

// failedTargets are those of an answer that the service did not take.
type failedTargets struct {
	FailedEntries []struct{ TargetId, ErrorMessage string }
}

func (f *failedTargets) err() error {
	for _, e := range f.FailedEntries {
		return fmt.Errorf("target %s: %s", e.TargetId, e.ErrorMessage)
	}
	return nil
}

func (c *ruleClient) putTargets(ctx context.Context, rule string, all []eventTarget) error {
	var out failedTargets
	if err := c.event(ctx, "PutTargets", struct {
		Rule    string
		Targets []eventTarget
	}{rule, all}, &out); err != nil {
		return err
	}
	return out.err()
}

func (c *ruleClient) removeTargets(ctx context.Context, rule string, ids []string) error {
	var out failedTargets
	if err := c.event(ctx, "RemoveTargets", struct {
		Rule string
		Ids  []string
	}{rule, ids}, &out); err != nil {
		return err
	}
	return out.err()
}

func (c *ruleClient) event(ctx context.Context, operation string, in, out any) error {
	return c.call(ctx, "POST", "/", "AWSEvents."+operation, in, out)
}
