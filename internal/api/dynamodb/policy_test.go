package dynamodb

import (
	"errors"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/request"
	"github.com/millstreamdb/millstream/internal/table"
)

func TestSDKPolicies(t *testing.T) {
	f := &fake{policy: &table.PolicyResult{Document: "{}", Revision: "1"}}
	client := newClient(t, f)
	arn := aws.String(here.TableARN("abc"))
	const doc = `{ "Statement": {"Effect":"Allow","Principal":{"AWS":"111111111111"},"Action":["dynamodb:GetItem"],"Resource":"*"} }`
	put, err := client.PutResourcePolicy(t.Context(), &dynamodb.PutResourcePolicyInput{
		ResourceArn: arn, Policy: aws.String(doc), ExpectedRevisionId: aws.String("NO_POLICY"), ConfirmRemoveSelfResourceAccess: true,
	})
	if err != nil || aws.ToString(put.RevisionId) != "1" {
		t.Errorf("%+v %v", put, err)
	}
	const canonical = `{"Version":"2008-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111111111111:root"},"Action":"dynamodb:GetItem","Resource":"*"}]}`
	if asked := f.asked.(*request.PutResourcePolicy); asked.Policy != canonical || asked.Expected != request.NoPolicy || asked.Table != "abc" {
		t.Errorf("asked %+v", asked)
	}
	if got, err := client.GetResourcePolicy(t.Context(), &dynamodb.GetResourcePolicyInput{ResourceArn: arn}); err != nil || aws.ToString(got.Policy) != "{}" || aws.ToString(got.RevisionId) != "1" {
		t.Errorf("%+v %v", got, err)
	}
	f.policy = &table.PolicyResult{}
	if gone, err := client.DeleteResourcePolicy(t.Context(), &dynamodb.DeleteResourcePolicyInput{ResourceArn: arn}); err != nil || gone.RevisionId != nil {
		t.Errorf("%+v %v", gone, err)
	}
	f.err = awserr.PolicyNotFound(*arn)
	var none *types.PolicyNotFoundException
	if _, err := client.GetResourcePolicy(t.Context(), &dynamodb.GetResourcePolicyInput{ResourceArn: arn}); !errors.As(err, &none) {
		t.Error(err)
	}
}
