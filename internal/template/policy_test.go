package template

import (
	"strings"
	"testing"
)

// What becomes of a resource is never taken for Delete because it was not understood.
func TestPolicies(t *testing.T) {
	plan := func(transform, policy string) (*Plan, error) {
		tpl, err := New("t.yaml", []byte("Transform: ["+transform+"]\nParameters: {Prod: {Type: String, Default: 'yes'}}\nConditions: {Prod: !Equals [!Ref Prod, 'yes']}\nResources:\n  Q:\n    Type: AWS::SQS::Queue\n    "+policy))
		if err != nil {
			t.Fatal(err)
		}
		return tpl.Plan(Options{Stack: "s", Account: "000000000000", Region: "us-east-1", Queues: true, SkipUnsupported: true})
	}
	for _, c := range []struct{ transform, policy, want string }{
		{"", "DeletionPolicy: retain", "Q: DeletionPolicy must be one of Delete, Retain, RetainExceptOnCreate, not \"retain\"; did you mean Retain?"},
		{"", "DeletionPolicy: Snapshot", "Q: DeletionPolicy: Snapshot is not supported for AWS::SQS::Queue"},
		{"", "DeletionPolicy: [Retain]", "DeletionPolicy must be one of"},
		{"", "DeletionPolicy: !If [Prod, Retain, Delete]", "needs Transform: AWS::LanguageExtensions"},
		{"AWS::LanguageExtensions", "DeletionPolicy: !If [Prod, Retian, Delete]", "did you mean Retain?"},
		{"", "UpdateReplacePolicy: RetainExceptOnCreate", "UpdateReplacePolicy must be one of Delete, Retain, not"},
	} {
		if _, err := plan(c.transform, c.policy); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", c.policy, err, c.want)
		}
	}
	for policy, want := range map[string][3]bool{
		"DeletionPolicy: !If [Prod, Retain, Delete]":      {true, false, false},
		"DeletionPolicy: !If [Prod, Delete, Retain]":      {},
		"DeletionPolicy: RetainExceptOnCreate":            {true, true, false},
		"UpdateReplacePolicy: !If [Prod, Retain, Delete]": {false, false, true},
	} {
		p, err := plan("AWS::LanguageExtensions", policy)
		if err != nil {
			t.Fatal(err)
		}
		if r := p.Resources()[0]; [3]bool{r.Retain, r.RetainExceptOnCreate, r.RetainReplaced} != want {
			t.Errorf("%s: %+v", policy, r)
		}
	}
}
