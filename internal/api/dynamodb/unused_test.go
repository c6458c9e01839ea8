package dynamodb

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/millstreamdb/millstream/internal/request"
	"github.com/millstreamdb/millstream/internal/table"
)

// TestSDKUnusedFeatures: what asks about a feature that nobody uses is answered, by
// types that the SDK knows; what would turn it on is refused and says where to read
// more.
func TestSDKUnusedFeatures(t *testing.T) {
	f := &fake{exists: true}
	client := newClient(t, f)
	ctx, name := t.Context(), aws.String("abc")
	if r, err := client.DescribeKinesisStreamingDestination(ctx, &dynamodb.DescribeKinesisStreamingDestinationInput{TableName: name}); err != nil ||
		aws.ToString(r.TableName) != "abc" || len(r.KinesisDataStreamDestinations) != 0 {
		t.Errorf("%+v %v", r, err)
	}
	if r, err := client.DescribeContributorInsights(ctx, &dynamodb.DescribeContributorInsightsInput{TableName: name}); err != nil || r.ContributorInsightsStatus != types.ContributorInsightsStatusDisabled {
		t.Errorf("%+v %v", r, err)
	}
	if _, err := client.UpdateContributorInsights(ctx, &dynamodb.UpdateContributorInsightsInput{TableName: name, ContributorInsightsAction: types.ContributorInsightsActionEnable}); err == nil || !strings.Contains(err.Error(), "docs/differences.md") {
		t.Error(err)
	}
	f.exists = false
	var noTable *types.ResourceNotFoundException
	if _, err := client.DescribeContributorInsights(ctx, &dynamodb.DescribeContributorInsightsInput{TableName: name}); !errors.As(err, &noTable) {
		t.Error(err)
	}
}

// TestSDKPointInTimeRecovery: the SDK reads what there is of a table's recovery; what is not there is left out, as on AWS.
func TestSDKPointInTimeRecovery(t *testing.T) {
	from, to := time.UnixMilli(1_700_000_000_123), time.UnixMilli(1_700_000_100_456)
	f := &fake{t: t, recovery: &table.ContinuousBackups{Enabled: true, Days: 7, Earliest: from, Latest: to}}
	client := newClient(t, f)
	on := &types.PointInTimeRecoverySpecification{PointInTimeRecoveryEnabled: aws.Bool(true), RecoveryPeriodInDays: aws.Int32(7)}
	r, err := client.UpdateContinuousBackups(t.Context(), &dynamodb.UpdateContinuousBackupsInput{TableName: aws.String("abc"), PointInTimeRecoverySpecification: on})
	if err != nil {
		t.Fatal(err)
	}
	if asked := f.asked.(*request.UpdateContinuousBackups); !asked.Enabled || asked.Days != 7 || asked.TableName != "abc" {
		t.Errorf("%+v", asked)
	}
	d := r.ContinuousBackupsDescription.PointInTimeRecoveryDescription
	if r.ContinuousBackupsDescription.ContinuousBackupsStatus != types.ContinuousBackupsStatusEnabled || d.PointInTimeRecoveryStatus != types.PointInTimeRecoveryStatusEnabled ||
		aws.ToInt32(d.RecoveryPeriodInDays) != 7 || !d.EarliestRestorableDateTime.Equal(from) || !d.LatestRestorableDateTime.Equal(to) {
		t.Errorf("%+v", d)
	}
	f.recovery = &table.ContinuousBackups{}
	s, err := client.DescribeContinuousBackups(t.Context(), &dynamodb.DescribeContinuousBackupsInput{TableName: aws.String("abc")})
	if err != nil {
		t.Fatal(err)
	}
	if d := s.ContinuousBackupsDescription.PointInTimeRecoveryDescription; d.PointInTimeRecoveryStatus != types.PointInTimeRecoveryStatusDisabled ||
		d.RecoveryPeriodInDays != nil || d.EarliestRestorableDateTime != nil || d.LatestRestorableDateTime != nil {
		t.Errorf("%+v", d)
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
