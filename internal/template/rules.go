package template

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/smithy-go"
)

// ruleClient calls EventBridge for the six operations that rules with a schedule need. AWS's client of EventBridge would be more than half a megabyte of the
// program. It is safe for concurrent use.
type ruleClient struct {
	endpoint string
	config   aws.Config
}

// maxRuleAnswer bounds an answer: five targets with inputs of 8 KB are far below.
const maxRuleAnswer = 1 << 20

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
	err := c.call(ctx, "DescribeRule", map[string]string{"Name": name}, out)
	var e smithy.APIError
	if errors.As(err, &e) && e.ErrorCode() == "ResourceNotFoundException" {
		return nil, nil
	}
	return out, err
}

// put makes or changes a rule. It returns its ARN.
func (c *ruleClient) put(ctx context.Context, r *eventRule) (string, error) {
	var out struct{ RuleArn string }
	err := c.call(ctx, "PutRule", r, &out)
	return out.RuleArn, err
}

func (c *ruleClient) remove(ctx context.Context, name string) error {
	return c.call(ctx, "DeleteRule", map[string]string{"Name": name}, nil)
}

func (c *ruleClient) targets(ctx context.Context, rule string) (all []eventTarget, err error) {
	in := map[string]string{"Rule": rule}
	for {
		var out struct {
			Targets   []eventTarget
			NextToken string
		}
		if err := c.call(ctx, "ListTargetsByRule", in, &out); err != nil {
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
	if err := c.call(ctx, "PutTargets", struct {
		Rule    string
		Targets []eventTarget
	}{rule, all}, &out); err != nil {
		return err
	}
	return out.err()
}

func (c *ruleClient) removeTargets(ctx context.Context, rule string, ids []string) error {
	var out failedTargets
	if err := c.call(ctx, "RemoveTargets", struct {
		Rule string
		Ids  []string
	}{rule, ids}, &out); err != nil {
		return err
	}
	return out.err()
}

// call makes one call in AWS's JSON protocol, signed. A refusal is a smithy.APIError. A nil out takes nothing of the answer.
func (c *ruleClient) call(ctx context.Context, operation string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.endpoint, bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/x-amz-json-1.1")
	r.Header.Set("X-Amz-Target", "AWSEvents."+operation)
	who, err := c.config.Credentials.Retrieve(ctx)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(body)
	if err := v4.NewSigner().SignHTTP(ctx, who, r, hex.EncodeToString(sum[:]), "events", c.config.Region, time.Now()); err != nil {
		return err
	}
	var client aws.HTTPClient = http.DefaultClient
	if c.config.HTTPClient != nil {
		client = c.config.HTTPClient
	}
	answer, err := client.Do(r)
	if err != nil {
		return fmt.Errorf("EventBridge: %s: %w", operation, err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxRuleAnswer))
	if err != nil {
		return fmt.Errorf("EventBridge: %s: %w", operation, err)
	}
	if answer.StatusCode != http.StatusOK {
		refused := struct {
			Type    string `json:"__type"`
			Message string `json:"message"`
		}{}
		if json.Unmarshal(text, &refused) != nil || refused.Type == "" {
			return fmt.Errorf("EventBridge: %s: %s", operation, answer.Status)
		}
		return &smithy.GenericAPIError{Code: refused.Type, Message: refused.Message}
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(text, out); err != nil {
		return fmt.Errorf("EventBridge: %s: the answer cannot be read: %w", operation, err)
	}
	return nil
}
