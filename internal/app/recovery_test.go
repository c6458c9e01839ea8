package app

import (
	"fmt"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	ddb "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

func (k *keeping) recovery(table string, on bool, days int32) *ddb.PointInTimeRecoveryDescription {
	k.t.Helper()
	spec := &ddb.PointInTimeRecoverySpecification{PointInTimeRecoveryEnabled: &on}
	if days != 0 {
		spec.RecoveryPeriodInDays = &days
	}
	out, err := k.db.UpdateContinuousBackups(k.t.Context(), &dynamodb.UpdateContinuousBackupsInput{TableName: &table, PointInTimeRecoverySpecification: spec})
	k.must(err)
	return out.ContinuousBackupsDescription.PointInTimeRecoveryDescription
}

// now is the latest moment that can be restored.
func (k *keeping) now(table string) time.Time {
	k.t.Helper()
	out, err := k.db.DescribeContinuousBackups(k.t.Context(), &dynamodb.DescribeContinuousBackupsInput{TableName: &table})
	k.must(err)
	return *out.ContinuousBackupsDescription.PointInTimeRecoveryDescription.LatestRestorableDateTime
}

// later returns once the table has a later moment.
func (k *keeping) later(table string, than time.Time) {
	k.t.Helper()
	until(k, "the clock stands", func() (struct{}, bool) { return struct{}{}, k.now(table).After(than) })
}

// TestRestoreToAMoment goes round with AWS's SDK: what is restored, and exported, is the table at a moment, with its indexes, over a restart, and
// a table that was deleted is in a backup of the system's.
func TestRestoreToAMoment(t *testing.T) {
	k := openKeeping(t, t.TempDir())
	defer func() { k.close() }()
	ctx := t.Context()
	k.bucket()
	k.orders("orders", 20)
	d := k.recovery("orders", true, 0)
	if d.PointInTimeRecoveryStatus != ddb.PointInTimeRecoveryStatusEnabled || *d.RecoveryPeriodInDays != 35 || d.EarliestRestorableDateTime.After(*d.LatestRestorableDateTime) {
		t.Errorf("%+v", d)
	}
	if d = k.recovery("orders", true, 7); *d.RecoveryPeriodInDays != 7 {
		t.Errorf("%+v", d)
	}
	earliest := *d.EarliestRestorableDateTime
	k.later("orders", earliest)
	b := k.backup("orders", "then") // what a restore to this moment has to give
	k.available(b)
	then := k.now("orders")
	k.later("orders", then)
	for i := range 30 { // changes, and what is new
		k.put("orders", i, "changed")
	}
	_, err := k.db.DeleteItem(ctx, &dynamodb.DeleteItemInput{TableName: aws.String("orders"), Key: map[string]ddb.AttributeValue{"pk": &ddb.AttributeValueMemberS{Value: "p0"}, "sk": &ddb.AttributeValueMemberN{Value: "3"}}})
	k.must(err)
	restore := func(to string, change func(*dynamodb.RestoreTableToPointInTimeInput)) error {
		in := &dynamodb.RestoreTableToPointInTimeInput{SourceTableName: aws.String("orders"), TargetTableName: &to, RestoreDateTime: &then}
		if change != nil {
			change(in)
		}
		out, err := k.db.RestoreTableToPointInTime(ctx, in)
		if err == nil {
			if s := out.TableDescription.RestoreSummary; out.TableDescription.TableStatus != ddb.TableStatusCreating || !*s.RestoreInProgress || s.SourceBackupArn != nil ||
				*s.SourceTableArn != k.s.Scope().TableARN("orders") {
				t.Errorf("%+v", out.TableDescription)
			}
		}
		return err
	}
	k.must(restore("again", nil))
	k.must(restore("latest", func(in *dynamodb.RestoreTableToPointInTimeInput) {
		in.RestoreDateTime, in.UseLatestRestorableTime, in.SourceTableName, in.SourceTableArn = nil, aws.Bool(true), nil, aws.String(k.s.Scope().TableARN("orders"))
		in.GlobalSecondaryIndexOverride = []ddb.GlobalSecondaryIndex{{IndexName: aws.String("renamed"), Projection: &ddb.Projection{ProjectionType: "ALL"}, // as AWS takes it
			KeySchema: []ddb.KeySchemaElement{{AttributeName: aws.String("by"), KeyType: "HASH"}}}}
		in.LocalSecondaryIndexOverride = []ddb.LocalSecondaryIndex{}
	}))
	_, err = k.db.RestoreTableFromBackup(ctx, &dynamodb.RestoreTableFromBackupInput{BackupArn: &b, TargetTableName: aws.String("copy")})
	k.must(err)
	k.active("copy")
	if d := k.active("again"); *d.ItemCount != 20 || len(d.GlobalSecondaryIndexes) != 1 || *d.GlobalSecondaryIndexes[0].ItemCount != 20 || d.LatestStreamArn != nil {
		t.Errorf("%+v", d)
	}
	k.same("again", "copy", "by-it", "local")
	if d := k.active("latest"); len(d.GlobalSecondaryIndexes) != 1 || *d.GlobalSecondaryIndexes[0].IndexName != "renamed" || len(d.LocalSecondaryIndexes) != 0 || d.RestoreSummary != nil {
		t.Errorf("%+v", d)
	}
	k.same("latest", "orders")

	if e := k.export("orders", func(in *dynamodb.ExportTableToPointInTimeInput) { in.ExportTime = &then }); e.ExportStatus != ddb.ExportStatusCompleted || *e.ItemCount != 20 || !e.ExportTime.Equal(then) {
		t.Errorf("%+v", e)
	}

	// What AWS refuses, in its order and words.
	second := func(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }
	k.wants(restore("copy", func(in *dynamodb.RestoreTableToPointInTimeInput) {
		in.RestoreDateTime = aws.Time(earliest.Add(-time.Hour))
	}), "InvalidRestoreTimeException",
		fmt.Sprintf("RestoreDateTime '%s' must be within EarliestRestorableDateTime '%s' and LatestRestorableDateTime '", second(earliest.Add(-time.Hour)), second(earliest.Add(time.Second-1)))) // rounded up: the second before has moments that are too early
	k.wants(restore("new", func(in *dynamodb.RestoreTableToPointInTimeInput) {
		in.RestoreDateTime = aws.Time(time.Now().Add(time.Hour))
	}), "InvalidRestoreTimeException", "must be within")
	k.wants(restore("copy", nil), "TableAlreadyExistsException", "Table already exists: copy")
	k.wants(restore("orders", nil), "TableAlreadyExistsException", "Table already exists: orders")
	k.wants(restore("orders", func(in *dynamodb.RestoreTableToPointInTimeInput) { in.SourceTableName = aws.String("copy") }), "PointInTimeRecoveryUnavailableException",
		"Point in time recovery is not enabled for table 'copy'")
	k.wants(restore("orders", func(in *dynamodb.RestoreTableToPointInTimeInput) { in.SourceTableName = aws.String("missing") }), "TableNotFoundException", "Table not found: missing")
	k.wants(restore("new", func(in *dynamodb.RestoreTableToPointInTimeInput) {
		in.SourceTableName, in.SourceTableArn = nil, aws.String("arn:aws:dynamodb:us-east-1:123456789012:table/orders")
	}), "ValidationException", "This action is only supported by accounts that match the resource owner")
	_, err = k.db.ExportTableToPointInTime(ctx, &dynamodb.ExportTableToPointInTimeInput{TableArn: aws.String(k.s.Scope().TableARN("orders")), S3Bucket: aws.String("out"), ExportTime: aws.Time(earliest.Add(-time.Hour))})
	k.wants(err, "InvalidExportTimeException", "Export Time is invalid")
	_, err = k.db.ExportTableToPointInTime(ctx, &dynamodb.ExportTableToPointInTimeInput{TableArn: aws.String(k.s.Scope().TableARN("orders")), S3Bucket: aws.String("out"), ExportTime: aws.Time(time.Now().Add(time.Hour))})
	k.wants(err, "InvalidExportTimeException", "Export Time")
	for _, name := range []string{"new", "missing"} {
		_, err = k.db.DescribeTable(ctx, &dynamodb.DescribeTableInput{TableName: &name})
		k.wants(err, "ResourceNotFoundException", "")
	}

	// A restart keeps the log, and nothing in the folder is wrong.
	for part, faults := range k.checked() {
		if len(faults) > 0 {
			t.Errorf("%s: %q", part, faults)
		}
	}
	k.must(restore("after", nil))
	k.active("after")
	k.same("after", "copy", "by-it", "local")

	// Deleted with it on, the table is in a backup; deleted without, it is not.
	k.recovery("again", true, 1)
	for _, name := range []string{"again", "copy"} {
		_, err = k.db.DeleteTable(ctx, &dynamodb.DeleteTableInput{TableName: &name})
		k.must(err)
	}
	list, err := k.db.ListBackups(ctx, &dynamodb.ListBackupsInput{BackupType: ddb.BackupTypeFilterSystem})
	k.must(err)
	if len(list.BackupSummaries) != 1 || *list.BackupSummaries[0].BackupName != "again$DeletedTableBackup" || *list.BackupSummaries[0].TableName != "again" {
		t.Fatalf("%+v", list.BackupSummaries)
	}
	system := k.available(*list.BackupSummaries[0].BackupArn)
	if d := system.BackupDetails; d.BackupType != ddb.BackupTypeSystem || d.BackupStatus != ddb.BackupStatusAvailable || d.BackupExpiryDateTime.Sub(*d.BackupCreationDateTime) != 35*24*time.Hour {
		t.Errorf("%+v", d)
	}
	if list, err = k.db.ListBackups(ctx, &dynamodb.ListBackupsInput{}); err != nil || len(list.BackupSummaries) != 1 {
		t.Errorf("%+v, %v", list.BackupSummaries, err)
	}
	_, err = k.db.DeleteBackup(ctx, &dynamodb.DeleteBackupInput{BackupArn: system.BackupDetails.BackupArn})
	k.wants(err, "ValidationException", "User is not allowed to delete the system backup with arn "+*system.BackupDetails.BackupArn+". It will automatically expire on ")
	_, err = k.db.RestoreTableFromBackup(ctx, &dynamodb.RestoreTableFromBackupInput{BackupArn: system.BackupDetails.BackupArn, TargetTableName: aws.String("again")})
	k.must(err)
	k.active("again")
	k.same("again", "after", "by-it", "local")
	for part, faults := range k.checked() {
		if len(faults) > 0 {
			t.Errorf("%s: %q", part, faults)
		}
	}
}
