package dynamodb

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// TestSDKUnusedFeatures: what asks about a feature that nobody uses is answered, by
// types that the SDK knows; what would turn it on is refused and says where to read
// more.
func TestSDKUnusedFeatures(t *testing.T) {
	f := &fake{exists: true}
	client := newClient(t, f)
	ctx, name := t.Context(), aws.String("abc")
	backups, err := client.DescribeContinuousBackups(ctx, &dynamodb.DescribeContinuousBackupsInput{TableName: name})
	if err != nil {
		t.Fatal(err)
	}
	if d := backups.ContinuousBackupsDescription; d.ContinuousBackupsStatus != types.ContinuousBackupsStatusEnabled ||
		d.PointInTimeRecoveryDescription.PointInTimeRecoveryStatus != types.PointInTimeRecoveryStatusDisabled {
		t.Errorf("%+v", d)
	}
	if r, err := client.DescribeKinesisStreamingDestination(ctx, &dynamodb.DescribeKinesisStreamingDestinationInput{TableName: name}); err != nil ||
		aws.ToString(r.TableName) != "abc" || len(r.KinesisDataStreamDestinations) != 0 {
		t.Errorf("%+v %v", r, err)
	}
	if r, err := client.DescribeContributorInsights(ctx, &dynamodb.DescribeContributorInsightsInput{TableName: name}); err != nil || r.ContributorInsightsStatus != types.ContributorInsightsStatusDisabled {
		t.Errorf("%+v %v", r, err)
	}
	if _, err := client.UpdateContinuousBackups(ctx, &dynamodb.UpdateContinuousBackupsInput{TableName: name, PointInTimeRecoverySpecification: &types.PointInTimeRecoverySpecification{PointInTimeRecoveryEnabled: aws.Bool(true)}}); err == nil || !strings.Contains(err.Error(), "docs/differences.md") {
		t.Error(err)
	}
	if r, err := client.UpdateContinuousBackups(ctx, &dynamodb.UpdateContinuousBackupsInput{TableName: name, PointInTimeRecoverySpecification: &types.PointInTimeRecoverySpecification{PointInTimeRecoveryEnabled: aws.Bool(false)}}); err != nil ||
		r.ContinuousBackupsDescription.PointInTimeRecoveryDescription.PointInTimeRecoveryStatus != types.PointInTimeRecoveryStatusDisabled {
		t.Errorf("%+v %v", r, err)
	}
	f.exists = false
	var noTable *types.TableNotFoundException
	if _, err := client.DescribeContinuousBackups(ctx, &dynamodb.DescribeContinuousBackupsInput{TableName: name}); !errors.As(err, &noTable) {
		t.Error(err)
	}
}

// TestEveryOperationIsAnswered: no operation that the SDK has is unknown here.
func TestEveryOperationIsAnswered(t *testing.T) {
	f := &fake{t: t, err: errors.New("not now")}
	client := reflect.TypeFor[*dynamodb.Client]()
	count := 0
	for i := range client.NumMethod() {
		m := client.Method(i)
		if m.Type.NumIn() != 4 || m.Type.In(2).Kind() != reflect.Pointer || m.Type.In(2).Elem().Name() != m.Name+"Input" {
			continue
		}
		count++
		if w := f.call(m.Name, "{}"); strings.Contains(w.Body.String(), "UnknownOperation") {
			t.Errorf("%s: %s", m.Name, w.Body)
		}
	}
	if count < 50 {
		t.Errorf("%d operations were found", count)
	}
}
