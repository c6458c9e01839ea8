package dynamodb

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/millstreamdb/millstream/internal/request"
	"github.com/millstreamdb/millstream/internal/table"
)

func TestSDKTags(t *testing.T) {
	f := &fake{tags: &table.TagsResult{Tags: []request.Tag{{Key: "team", Value: "mill"}}}}
	client := newClient(t, f)
	arn := aws.String("arn:aws:dynamodb:" + here.Region + ":" + here.Account + ":table/abc")
	if _, err := client.TagResource(t.Context(), &dynamodb.TagResourceInput{
		ResourceArn: arn, Tags: []types.Tag{{Key: aws.String("team"), Value: aws.String("mill")}},
	}); err != nil {
		t.Fatal(err)
	}
	if asked := f.asked.(*request.TagResource); asked.Table != "abc" || asked.Scope != here || len(asked.Tags) != 1 {
		t.Errorf("asked %+v", asked)
	}
	if _, err := client.UntagResource(t.Context(), &dynamodb.UntagResourceInput{ResourceArn: arn, TagKeys: []string{"team"}}); err != nil {
		t.Fatal(err)
	}
	got, err := client.ListTagsOfResource(t.Context(), &dynamodb.ListTagsOfResourceInput{ResourceArn: arn})
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Tags) != 1 || aws.ToString(got.Tags[0].Value) != "mill" || got.NextToken != nil {
		t.Errorf("got %+v", got)
	}
}
