package topic

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/millstreamdb/millstream/internal/arn"
	"github.com/millstreamdb/millstream/internal/awserr"
)

// permitted are the actions that a topic's policy may have.
var permitted = []string{
	"AddPermission", "DeleteTopic", "GetTopicAttributes", "ListSubscriptionsByTopic", "ListTagsForResource", "Publish", "RemovePermission",
	"SetTopicAttributes", "Subscribe",
}

// defaultPolicy is the policy of a topic to which nobody gave one.
func (t *Topic) defaultPolicy() string {
	return `{"Version":"2008-10-17","Id":"__default_policy_ID","Statement":[{"Effect":"Allow","Sid":"__default_statement_ID","Principal":{"AWS":"*"},` +
		`"Action":["SNS:GetTopicAttributes","SNS:SetTopicAttributes","SNS:AddPermission","SNS:RemovePermission","SNS:DeleteTopic","SNS:Subscribe","SNS:ListSubscriptionsByTopic","SNS:Publish"],` +
		`"Resource":"` + t.ARN() + `","Condition":{"StringEquals":{"AWS:SourceOwner":"` + t.Scope.Account + `"}}}]}`
}

// policy is a topic's, with its statements as they were written.
type policy struct {
	Version   string            `json:"Version"`
	ID        string            `json:"Id"`
	Statement []json.RawMessage `json:"Statement"`
}

// AddPermission adds a statement to the topic's policy, which is kept and not looked at.
func (s *Service) AddPermission(topicARN, label string, accounts, actions []string) error {
	return s.changePolicy(topicARN, func(t *Topic, p *policy) error {
		if slices.ContainsFunc(p.Statement, func(s json.RawMessage) bool { return labelOf(s) == label }) {
			return awserr.TopicParameter("Statement already exists")
		}
		principals, named := make([]string, len(accounts)), make([]string, len(actions))
		for i, a := range accounts {
			if principals[i] = a; !strings.HasPrefix(a, "arn:") {
				principals[i] = arn.Scope{Account: a, Region: t.Scope.Region}.Global("iam", "root")
			}
		}
		for i, a := range actions {
			if !slices.Contains(permitted, a) {
				return awserr.TopicParameter("Policy statement action out of service scope!")
			}
			named[i] = "SNS:" + a
		}
		text, err := json.Marshal(map[string]any{
			"Sid": label, "Effect": "Allow", "Principal": map[string]any{"AWS": oneOrAll(principals)}, "Action": oneOrAll(named), "Resource": t.ARN(),
		})
		p.Statement = append(p.Statement, text)
		return err
	})
}

// RemovePermission removes the statement with a label. One that is not there is no error.
func (s *Service) RemovePermission(topicARN, label string) error {
	return s.changePolicy(topicARN, func(_ *Topic, p *policy) error {
		p.Statement = slices.DeleteFunc(p.Statement, func(s json.RawMessage) bool { return labelOf(s) == label })
		return nil
	})
}

func (s *Service) changePolicy(topicARN string, f func(*Topic, *policy) error) error {
	return s.change(topicARN, func(t *Topic) error {
		text := t.Attributes["Policy"]
		if text == "" {
			text = t.defaultPolicy()
		}
		var p policy
		if json.Unmarshal([]byte(text), &p) != nil {
			return awserr.TopicParameterReason("Policy", "the topic's policy is no JSON object with a list of statements")
		}
		if err := f(t, &p); err != nil {
			return err
		}
		row, err := json.Marshal(p)
		if err == nil && len(row) > maxAttribute {
			return awserr.TopicParameterReason("Policy", "it has more than "+itoa(maxAttribute)+" bytes")
		}
		t.Attributes["Policy"] = string(row)
		return err
	})
}

func labelOf(statement json.RawMessage) string {
	var s struct{ Sid string }
	_ = json.Unmarshal(statement, &s) // what is no statement has no label
	return s.Sid
}

// oneOrAll is how policies have a list of one.
func oneOrAll(all []string) any {
	if len(all) == 1 {
		return all[0]
	}
	return all
}
