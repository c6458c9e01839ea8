package app

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	ddb "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"
	"github.com/klauspost/compress/zstd"

	"github.com/millstreamdb/millstream/internal/export"
)

// keeping is a server and the SDK's clients of it.
type keeping struct {
	t   *testing.T
	s   *App
	db  *dynamodb.Client
	s3  *s3.Client
	dir string
}

func openKeeping(t *testing.T, dir string) *keeping {
	t.Helper()
	s, err := Open(Options{Dir: dir}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return clientsOf(t, s, dir)
}

func clientsOf(t *testing.T, s *App, dir string) *keeping {
	return &keeping{t, s, dynamodb.NewFromConfig(s.Config(), func(o *dynamodb.Options) { o.RetryMaxAttempts = 1 }),
		s3.NewFromConfig(s.Config(), func(o *s3.Options) { o.UsePathStyle = true }), dir}
}

func (k *keeping) close() {
	k.t.Helper()
	if err := k.s.Close(); err != nil {
		k.t.Error(err)
	}
}

func (k *keeping) must(err error) {
	k.t.Helper()
	if err != nil {
		k.t.Fatal(err)
	}
}

// wants fails unless err is AWS's error of that code, with that text in it.
func (k *keeping) wants(err error, code, text string) {
	k.t.Helper()
	var e smithy.APIError
	if !errors.As(err, &e) || e.ErrorCode() != code || !strings.Contains(e.ErrorMessage(), text) {
		k.t.Errorf("got %v, want %s: %s", err, code, text)
	}
}

// orders makes a table with both kinds of indexes, a stream, a time to live, and n items.
func (k *keeping) orders(name string, n int) {
	k.t.Helper()
	ctx := k.t.Context()
	_, err := k.db.CreateTable(ctx, &dynamodb.CreateTableInput{
		TableName: &name,
		AttributeDefinitions: []ddb.AttributeDefinition{
			{AttributeName: aws.String("pk"), AttributeType: "S"}, {AttributeName: aws.String("sk"), AttributeType: "N"}, {AttributeName: aws.String("by"), AttributeType: "S"},
		},
		KeySchema: []ddb.KeySchemaElement{{AttributeName: aws.String("pk"), KeyType: "HASH"}, {AttributeName: aws.String("sk"), KeyType: "RANGE"}},
		GlobalSecondaryIndexes: []ddb.GlobalSecondaryIndex{{
			IndexName: aws.String("by-it"), Projection: &ddb.Projection{ProjectionType: "ALL"}, KeySchema: []ddb.KeySchemaElement{{AttributeName: aws.String("by"), KeyType: "HASH"}},
		}},
		LocalSecondaryIndexes: []ddb.LocalSecondaryIndex{{
			IndexName: aws.String("local"), Projection: &ddb.Projection{ProjectionType: "KEYS_ONLY"},
			KeySchema: []ddb.KeySchemaElement{{AttributeName: aws.String("pk"), KeyType: "HASH"}, {AttributeName: aws.String("by"), KeyType: "RANGE"}},
		}},
		BillingMode: "PAY_PER_REQUEST", StreamSpecification: &ddb.StreamSpecification{StreamEnabled: aws.Bool(true), StreamViewType: "NEW_IMAGE"},
	})
	k.must(err)
	_, err = k.db.UpdateTimeToLive(ctx, &dynamodb.UpdateTimeToLiveInput{TableName: &name, TimeToLiveSpecification: &ddb.TimeToLiveSpecification{
		AttributeName: aws.String("ttl"), Enabled: aws.Bool(true)}})
	k.must(err)
	for i := range n {
		k.put(name, i, "x")
	}
}

func (k *keeping) put(table string, i int, text string) {
	k.t.Helper()
	_, err := k.db.PutItem(k.t.Context(), &dynamodb.PutItemInput{TableName: &table, Item: map[string]ddb.AttributeValue{
		"pk": &ddb.AttributeValueMemberS{Value: fmt.Sprint("p", i%3)}, "sk": &ddb.AttributeValueMemberN{Value: fmt.Sprint(i)},
		"by": &ddb.AttributeValueMemberS{Value: fmt.Sprint("b", i%2)}, "text": &ddb.AttributeValueMemberS{Value: text + "\"\n\u00fc"},
		"bytes": &ddb.AttributeValueMemberB{Value: []byte{0, 255, byte(i)}}, "set": &ddb.AttributeValueMemberNS{Value: []string{"1", "2.5", "-3"}},
		"map":  &ddb.AttributeValueMemberM{Value: map[string]ddb.AttributeValue{"list": &ddb.AttributeValueMemberL{Value: []ddb.AttributeValue{&ddb.AttributeValueMemberBOOL{Value: true}, &ddb.AttributeValueMemberNULL{Value: true}}}}},
		"ttl2": &ddb.AttributeValueMemberN{Value: "1e30"},
	}})
	k.must(err)
}

// items reads a table, or an index of it.
func (k *keeping) items(table, index string) []map[string]ddb.AttributeValue {
	k.t.Helper()
	in := &dynamodb.ScanInput{TableName: &table}
	if index != "" {
		in.IndexName = &index
	}
	var all []map[string]ddb.AttributeValue
	for pages := dynamodb.NewScanPaginator(k.db, in); pages.HasMorePages(); {
		out, err := pages.NextPage(k.t.Context())
		k.must(err)
		all = append(all, out.Items...)
	}
	return all
}

func (k *keeping) same(a, b string, indexes ...string) {
	k.t.Helper()
	for _, index := range append([]string{""}, indexes...) {
		if x, y := k.items(a, index), k.items(b, index); !reflect.DeepEqual(x, y) {
			k.t.Errorf("%s and %s differ in %q: %d and %d items", a, b, index, len(x), len(y))
		}
	}
}

// until polls, which these operations are made for.
func until[T any](k *keeping, what string, ask func() (T, bool)) T {
	k.t.Helper()
	for {
		v, done := ask()
		if done {
			return v
		}
		select {
		case <-k.t.Context().Done():
			k.t.Fatal(what)
		case <-time.After(time.Millisecond):
		}
	}
}

func (k *keeping) backup(table, name string) string {
	k.t.Helper()
	out, err := k.db.CreateBackup(k.t.Context(), &dynamodb.CreateBackupInput{TableName: &table, BackupName: &name})
	k.must(err)
	if d := out.BackupDetails; d.BackupStatus != ddb.BackupStatusCreating || d.BackupType != ddb.BackupTypeUser || *d.BackupName != name || d.BackupCreationDateTime == nil {
		k.t.Errorf("%+v", d)
	}
	return *out.BackupDetails.BackupArn
}

func (k *keeping) available(arn string) *ddb.BackupDescription {
	k.t.Helper()
	return until(k, "the backup is not there", func() (*ddb.BackupDescription, bool) {
		out, err := k.db.DescribeBackup(k.t.Context(), &dynamodb.DescribeBackupInput{BackupArn: &arn})
		k.must(err)
		return out.BackupDescription, out.BackupDescription.BackupDetails.BackupStatus != ddb.BackupStatusCreating
	})
}

func (k *keeping) active(table string) *ddb.TableDescription {
	k.t.Helper()
	return until(k, "the table is not active", func() (*ddb.TableDescription, bool) {
		out, err := k.db.DescribeTable(k.t.Context(), &dynamodb.DescribeTableInput{TableName: &table})
		k.must(err)
		return out.Table, out.Table.TableStatus == ddb.TableStatusActive
	})
}

// TestBackupAndRestoreOfATable goes round with AWS's SDK: what is restored is the table at the moment of the call, with
// its indexes, also when it is gone, and after a restart.
func TestBackupAndRestoreOfATable(t *testing.T) {
	k := openKeeping(t, t.TempDir())
	ctx := t.Context()
	k.orders("orders", 40)
	arn := k.backup("orders", "first")
	k.put("orders", 5, "changed later")
	k.put("orders", 1000, "later")
	d := k.available(arn)
	if d.BackupDetails.BackupStatus != ddb.BackupStatusAvailable || *d.SourceTableDetails.ItemCount != 40 || *d.SourceTableDetails.TableName != "orders" ||
		len(d.SourceTableDetails.KeySchema) != 2 || len(d.SourceTableFeatureDetails.GlobalSecondaryIndexes) != 1 || len(d.SourceTableFeatureDetails.LocalSecondaryIndexes) != 1 ||
		*d.SourceTableFeatureDetails.TimeToLiveDescription.AttributeName != "ttl" || d.SourceTableFeatureDetails.StreamDescription.StreamViewType != "NEW_IMAGE" {
		t.Errorf("%+v %+v %+v", d.BackupDetails, d.SourceTableDetails, d.SourceTableFeatureDetails)
	}

	k.orders("same", 40)
	made, err := k.db.RestoreTableFromBackup(ctx, &dynamodb.RestoreTableFromBackupInput{BackupArn: &arn, TargetTableName: aws.String("copy")})
	k.must(err)
	if d := made.TableDescription; d.TableStatus != ddb.TableStatusCreating || !*d.RestoreSummary.RestoreInProgress || *d.RestoreSummary.SourceBackupArn != arn {
		t.Errorf("%+v", d)
	}
	copied := k.active("copy")
	if *copied.ItemCount != 40 || *copied.GlobalSecondaryIndexes[0].ItemCount != 40 || copied.StreamSpecification != nil || copied.RestoreSummary != nil ||
		*made.TableDescription.RestoreSummary.SourceTableArn != *d.SourceTableDetails.TableArn {
		t.Errorf("%+v %+v", copied, copied.RestoreSummary)
	}
	k.same("copy", "same", "by-it", "local")
	_, err = k.db.RestoreTableFromBackup(ctx, &dynamodb.RestoreTableFromBackupInput{BackupArn: &arn, TargetTableName: aws.String("copy")})
	k.wants(err, "TableAlreadyExistsException", "Table already exists: copy")

	// The table goes, and the server is started again.
	_, err = k.db.DeleteTable(ctx, &dynamodb.DeleteTableInput{TableName: aws.String("orders")})
	k.must(err)
	k.close()
	k = openKeeping(t, k.dir)
	defer func() { k.close() }()
	list, err := k.db.ListBackups(ctx, &dynamodb.ListBackupsInput{TableName: aws.String("orders")})
	k.must(err)
	if len(list.BackupSummaries) != 1 || *list.BackupSummaries[0].BackupArn != arn || list.BackupSummaries[0].BackupStatus != "AVAILABLE" {
		t.Errorf("%+v", list.BackupSummaries)
	}
	_, err = k.db.RestoreTableFromBackup(ctx, &dynamodb.RestoreTableFromBackupInput{
		BackupArn: &arn, TargetTableName: aws.String("orders"), BillingModeOverride: ddb.BillingModeProvisioned,
		ProvisionedThroughputOverride: &ddb.ProvisionedThroughput{ReadCapacityUnits: aws.Int64(3), WriteCapacityUnits: aws.Int64(4)},
		GlobalSecondaryIndexOverride:  []ddb.GlobalSecondaryIndex{}, SSESpecificationOverride: &ddb.SSESpecification{Enabled: aws.Bool(true)},
		LocalSecondaryIndexOverride: []ddb.LocalSecondaryIndex{{IndexName: aws.String("local"), Projection: &ddb.Projection{ProjectionType: "KEYS_ONLY"},
			KeySchema: []ddb.KeySchemaElement{{AttributeName: aws.String("pk"), KeyType: "HASH"}, {AttributeName: aws.String("by"), KeyType: "RANGE"}}}},
	})
	k.must(err)
	back := k.active("orders")
	if *back.ProvisionedThroughput.ReadCapacityUnits != 3 || len(back.GlobalSecondaryIndexes) != 0 || len(back.LocalSecondaryIndexes) != 1 ||
		len(back.AttributeDefinitions) != 3 || back.SSEDescription == nil || back.SSEDescription.Status != "ENABLED" {
		t.Errorf("%+v", back)
	}
	k.same("orders", "same", "local")

	gone, err := k.db.DeleteBackup(ctx, &dynamodb.DeleteBackupInput{BackupArn: &arn})
	k.must(err)
	if gone.BackupDescription.BackupDetails.BackupStatus != ddb.BackupStatusDeleted {
		t.Errorf("%+v", gone.BackupDescription.BackupDetails)
	}
	_, err = k.db.DescribeBackup(ctx, &dynamodb.DescribeBackupInput{BackupArn: &arn})
	k.wants(err, "BackupNotFoundException", "Backup not found: "+arn)
	for _, left := range []string{"backups/*", "frozen/*"} {
		if names, _ := filepath.Glob(filepath.Join(k.dir, left)); len(names) > 0 {
			t.Errorf("left: %v", names)
		}
	}
	if faults := k.checked(); len(faults) > 0 {
		t.Error(faults)
	}
}

// checked checks the folder of a server, which is opened again after that.
func (k *keeping) checked() map[string][]string {
	k.t.Helper()
	k.close()
	faults := check(k.t, k.dir)
	*k = *openKeeping(k.t, k.dir)
	return faults
}

func TestBackupsAreRefused(t *testing.T) {
	k := openKeeping(t, "")
	defer k.close()
	ctx := t.Context()
	k.orders("orders", 3)
	_, err := k.db.CreateBackup(ctx, &dynamodb.CreateBackupInput{TableName: aws.String("nobody"), BackupName: aws.String("first")})
	k.wants(err, "TableNotFoundException", "Table not found: nobody")
	no := "arn:aws:dynamodb:us-east-1:000000000000:table/abc/backup/01489602797149-73d8d5bc"
	_, err = k.db.DeleteBackup(ctx, &dynamodb.DeleteBackupInput{BackupArn: &no})
	k.wants(err, "BackupNotFoundException", no)
	_, err = k.db.DescribeBackup(ctx, &dynamodb.DescribeBackupInput{BackupArn: aws.String("arn:aws:dynamodb:us-east-1:000000000000:table/abc")})
	k.wants(err, "ValidationException", "Invalid Backup ARN")
	arn := k.backup("orders", "first")
	k.available(arn)
	restore := func(change func(*dynamodb.RestoreTableFromBackupInput), code, text string) {
		t.Helper()
		in := &dynamodb.RestoreTableFromBackupInput{BackupArn: &arn, TargetTableName: aws.String("copy")}
		change(in)
		_, err := k.db.RestoreTableFromBackup(ctx, in)
		k.wants(err, code, text)
	}
	restore(func(in *dynamodb.RestoreTableFromBackupInput) { in.BillingModeOverride = "PROVISIONED" }, "ValidationException", "Invalid Request: Must override ProvisionedThroughput if BillingMode is overridden to PROVISIONED")
	restore(func(in *dynamodb.RestoreTableFromBackupInput) {
		in.ProvisionedThroughputOverride = &ddb.ProvisionedThroughput{ReadCapacityUnits: aws.Int64(1), WriteCapacityUnits: aws.Int64(1)}
	}, "ValidationException", "Invalid Request: Cannot override ProvisionedThroughput unless BillingMode is PROVISIONED")
	restore(func(in *dynamodb.RestoreTableFromBackupInput) {
		other := ddb.GlobalSecondaryIndex{IndexName: aws.String("other"), Projection: &ddb.Projection{ProjectionType: "ALL"}, KeySchema: []ddb.KeySchemaElement{{AttributeName: aws.String("by"), KeyType: "HASH"}}}
		in.GlobalSecondaryIndexOverride = []ddb.GlobalSecondaryIndex{other, other}
	}, "ValidationException", "Duplicate index name: other")
	restore(func(in *dynamodb.RestoreTableFromBackupInput) {
		in.GlobalSecondaryIndexOverride = []ddb.GlobalSecondaryIndex{{IndexName: aws.String("by-it"), Projection: &ddb.Projection{ProjectionType: "KEYS_ONLY"},
			KeySchema: []ddb.KeySchemaElement{{AttributeName: aws.String("by"), KeyType: "HASH"}}}}
	}, "ValidationException", "Invalid Request: Index by-it does not match a secondary index that existed in the source table and cannot be created during the restore operation")

	// Pages.
	for i := range 4 {
		k.available(k.backup("orders", fmt.Sprint("more-", i)))
	}
	var seen []string
	in := &dynamodb.ListBackupsInput{Limit: aws.Int32(2)}
	for {
		out, err := k.db.ListBackups(ctx, in)
		k.must(err)
		for _, b := range out.BackupSummaries {
			seen = append(seen, *b.BackupArn)
		}
		if in.ExclusiveStartBackupArn = out.LastEvaluatedBackupArn; in.ExclusiveStartBackupArn == nil {
			break
		}
	}
	if len(seen) != 5 || !slices.IsSorted(seen) || len(slices.Compact(seen)) != 5 {
		t.Errorf("%q", seen)
	}
	if out, err := k.db.ListBackups(ctx, &dynamodb.ListBackupsInput{BackupType: "SYSTEM"}); err != nil || len(out.BackupSummaries) != 0 {
		t.Errorf("%v %v", out, err)
	}
	_, err = k.db.UpdateContinuousBackups(ctx, &dynamodb.UpdateContinuousBackupsInput{TableName: aws.String("other"), PointInTimeRecoverySpecification: &ddb.PointInTimeRecoverySpecification{PointInTimeRecoveryEnabled: aws.Bool(true)}})
	k.wants(err, "TableNotFoundException", "Table not found: other")
	off, err := k.db.UpdateContinuousBackups(ctx, &dynamodb.UpdateContinuousBackupsInput{TableName: aws.String("orders"), PointInTimeRecoverySpecification: &ddb.PointInTimeRecoverySpecification{PointInTimeRecoveryEnabled: aws.Bool(false)}})
	k.must(err)
	if off.ContinuousBackupsDescription.PointInTimeRecoveryDescription.PointInTimeRecoveryStatus != "DISABLED" {
		t.Errorf("%+v", off.ContinuousBackupsDescription)
	}
}

func (k *keeping) export(table string, change func(*dynamodb.ExportTableToPointInTimeInput)) *ddb.ExportDescription {
	k.t.Helper()
	in := &dynamodb.ExportTableToPointInTimeInput{TableArn: aws.String(k.s.Scope().TableARN(table)), S3Bucket: aws.String("out")}
	if change != nil {
		change(in)
	}
	out, err := k.db.ExportTableToPointInTime(k.t.Context(), in)
	k.must(err)
	if out.ExportDescription.ExportStatus != ddb.ExportStatusInProgress || out.ExportDescription.ClientToken == nil {
		k.t.Errorf("%+v", out.ExportDescription)
	}
	return k.exported(*out.ExportDescription.ExportArn)
}

// exported waits for the end of an export.
func (k *keeping) exported(arn string) *ddb.ExportDescription {
	k.t.Helper()
	return until(k, "the export does not end", func() (*ddb.ExportDescription, bool) {
		out, err := k.db.DescribeExport(k.t.Context(), &dynamodb.DescribeExportInput{ExportArn: &arn})
		k.must(err)
		return out.ExportDescription, out.ExportDescription.ExportStatus != ddb.ExportStatusInProgress
	})
}

func (k *keeping) object(key string) []byte {
	k.t.Helper()
	out, err := k.s3.GetObject(k.t.Context(), &s3.GetObjectInput{Bucket: aws.String("out"), Key: &key})
	k.must(err)
	body, err := io.ReadAll(out.Body)
	k.must(errors.Join(err, out.Body.Close()))
	return body
}

func (k *keeping) bucket() {
	k.t.Helper()
	_, err := k.s3.CreateBucket(k.t.Context(), &s3.CreateBucketInput{Bucket: aws.String("out")})
	k.must(err)
}

func (k *keeping) upload(key string, body []byte) {
	k.t.Helper()
	k.must(k.s.buckets.Put("out", key, body))
}

func imported(table, prefix string) *dynamodb.ImportTableInput {
	return &dynamodb.ImportTableInput{
		S3BucketSource: &ddb.S3BucketSource{S3Bucket: aws.String("out"), S3KeyPrefix: &prefix}, InputFormat: "DYNAMODB_JSON",
		TableCreationParameters: &ddb.TableCreationParameters{
			TableName: &table, BillingMode: "PAY_PER_REQUEST",
			AttributeDefinitions: []ddb.AttributeDefinition{{AttributeName: aws.String("pk"), AttributeType: "S"}, {AttributeName: aws.String("sk"), AttributeType: "N"}},
			KeySchema:            []ddb.KeySchemaElement{{AttributeName: aws.String("pk"), KeyType: "HASH"}, {AttributeName: aws.String("sk"), KeyType: "RANGE"}},
		},
	}
}

func (k *keeping) imports(in *dynamodb.ImportTableInput) *ddb.ImportTableDescription {
	k.t.Helper()
	out, err := k.db.ImportTable(k.t.Context(), in)
	k.must(err)
	if d := out.ImportTableDescription; d.ImportStatus != ddb.ImportStatusInProgress || d.EndTime != nil || d.ProcessedSizeBytes != nil || d.TableId == nil || d.CloudWatchLogGroupArn == nil {
		k.t.Errorf("%+v", d)
	}
	return until(k, "the import does not end", func() (*ddb.ImportTableDescription, bool) {
		out, err := k.db.DescribeImport(k.t.Context(), &dynamodb.DescribeImportInput{ImportArn: out.ImportTableDescription.ImportArn})
		k.must(err)
		return out.ImportTableDescription, out.ImportTableDescription.ImportStatus != ddb.ImportStatusInProgress
	})
}

// TestExportHasAWSsLayout compares what an export writes with AWS's guide and with what is measured of AWS, and imports it.
func TestExportHasAWSsLayout(t *testing.T) {
	k := openKeeping(t, t.TempDir())
	defer func() { k.close() }()
	ctx := t.Context()
	k.bucket()
	k.orders("orders", 25)
	e := k.export("orders", func(in *dynamodb.ExportTableToPointInTimeInput) { in.S3Prefix = aws.String("a/b") })
	if e.ExportStatus != "COMPLETED" || *e.ItemCount != 25 || *e.BilledSizeBytes == 0 || e.ExportType != "" || e.ExportFormat != "DYNAMODB_JSON" || e.EndTime == nil {
		t.Fatalf("%+v", e)
	}
	id := (*e.ExportArn)[strings.LastIndexByte(*e.ExportArn, '/')+1:]
	folder := "a/b/AWSDynamoDB/" + id + "/"
	list, err := k.s3.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: aws.String("out")})
	k.must(err)
	var names []string
	data := ""
	for _, o := range list.Contents {
		name := strings.TrimPrefix(*o.Key, folder)
		if strings.HasPrefix(name, "data/") {
			data, name = *o.Key, "data"
		}
		names = append(names, name)
	}
	slices.Sort(names)
	if want := []string{"_started", "data", "manifest-files.json", "manifest-files.md5", "manifest-summary.json", "manifest-summary.md5"}; !slices.Equal(names, want) {
		t.Fatalf("%q", names)
	}
	manifest, summary := k.object(folder+"manifest-files.json"), k.object(folder+"manifest-summary.json")
	if string(k.object(folder+"manifest-files.md5")) != export.Sum(manifest) || string(k.object(folder+"manifest-summary.md5")) != export.Sum(summary) {
		t.Error("the sums are of something else")
	}
	var file map[string]any
	k.must(json.Unmarshal(manifest, &file))
	if file["itemCount"] != 25.0 || file["dataFileS3Key"] != data || file["md5Checksum"] != export.Sum(k.object(data)) || file["etag"] == "" {
		t.Error(file)
	}
	var sum map[string]any
	k.must(json.Unmarshal(summary, &sum))
	for _, name := range []string{"version", "exportArn", "startTime", "endTime", "tableArn", "tableId", "exportTime", "s3Bucket", "s3Prefix", "s3SseAlgorithm", "s3SseKmsKeyId",
		"manifestFilesS3Key", "billedSizeBytes", "itemCount", "outputFormat"} {
		if _, there := sum[name]; !there {
			t.Errorf("no %s", name)
		}
	}
	if sum["version"] != "2020-06-30" || sum["itemCount"] != 25.0 || sum["manifestFilesS3Key"] != folder+"manifest-files.json" || sum["s3Prefix"] != "a/b" || *e.ExportManifest != folder+"manifest-summary.json" {
		t.Error(sum)
	}
	in := imported("copy", folder+"data/")
	in.InputCompressionType = "GZIP"
	in.TableCreationParameters.AttributeDefinitions = append(in.TableCreationParameters.AttributeDefinitions, ddb.AttributeDefinition{AttributeName: aws.String("by"), AttributeType: "S"})
	in.TableCreationParameters.GlobalSecondaryIndexes = []ddb.GlobalSecondaryIndex{{
		IndexName: aws.String("by-it"), Projection: &ddb.Projection{ProjectionType: "ALL"}, KeySchema: []ddb.KeySchemaElement{{AttributeName: aws.String("by"), KeyType: "HASH"}}}}
	i := k.imports(in)
	if i.ImportStatus != "COMPLETED" || i.ImportedItemCount != 25 || i.ProcessedItemCount != 25 || i.ErrorCount != 0 || *i.ProcessedSizeBytes == 0 {
		t.Errorf("%+v", i)
	}
	if d := k.active("copy"); *d.TableId != *i.TableId || *d.ItemCount != 25 {
		t.Errorf("%+v", d)
	}
	k.same("orders", "copy", "by-it")
	if faults := k.checked(); len(faults) > 0 {
		t.Error(faults)
	}

	// An empty table has a file, which is empty.
	k.orders("empty", 0)
	e = k.export("empty", func(in *dynamodb.ExportTableToPointInTimeInput) {
		in.S3Prefix, in.ExportType = aws.String("empty"), "FULL_EXPORT"
	})
	if e.ExportStatus != "COMPLETED" || *e.ItemCount != 0 || e.ExportType != "FULL_EXPORT" {
		t.Errorf("%+v", e)
	}
	files, err := export.ParseManifest(k.object(strings.TrimSuffix(*e.ExportManifest, "manifest-summary.json") + "manifest-files.json"))
	k.must(err)
	if len(files) != 1 || files[0].ItemCount != 0 {
		t.Errorf("%+v", files)
	}
	z, err := gzip.NewReader(bytes.NewReader(k.object(files[0].Key)))
	k.must(err)
	if body, err := io.ReadAll(z); err != nil || len(body) != 0 {
		t.Errorf("%q %v", body, err)
	}
}

// TestExportsAreRefusedAsOnAWS: what is measured of AWS, and that another time than now is not exported as if it were.
func TestExportsAreRefusedAsOnAWS(t *testing.T) {
	k := openKeeping(t, "")
	defer k.close()
	ctx := t.Context()
	k.bucket()
	k.orders("orders", 2)
	arn := k.s.Scope().TableARN("orders")
	refused := func(code, text string, change func(*dynamodb.ExportTableToPointInTimeInput)) {
		t.Helper()
		in := &dynamodb.ExportTableToPointInTimeInput{TableArn: &arn, S3Bucket: aws.String("out")}
		change(in)
		_, err := k.db.ExportTableToPointInTime(ctx, in)
		k.wants(err, code, text)
	}
	type in = *dynamodb.ExportTableToPointInTimeInput
	none := k.s.Scope().TableARN("nobody")
	refused("TableNotFoundException", "Table not found: "+none, func(in in) { in.TableArn = &none })
	refused("PointInTimeRecoveryUnavailableException", "Point in time recovery is not enabled for table 'orders'", func(in in) { in.ExportTime = aws.Time(time.Now().Add(-time.Minute)) })
	refused("ValidationException", "ExportFromTime must be specified", func(in in) { in.ExportType = "INCREMENTAL_EXPORT" })
	refused("PointInTimeRecoveryUnavailableException", "Point in time recovery is not enabled for table 'orders'", func(in in) {
		in.ExportType, in.IncrementalExportSpecification = "INCREMENTAL_EXPORT", &ddb.IncrementalExportSpecification{ExportFromTime: aws.Time(time.Now().Add(-time.Hour))}
	})
	refused("ValidationException", "ExportFormat ION", func(in in) { in.ExportFormat = "ION" })
	refused("ValidationException", "FilterSpecification", func(in in) { in.FilterSpecification = &ddb.FilterSpecification{} })
	for _, row := range []struct {
		member string
		change func(in in)
	}{
		{"exportType", func(in in) { in.ExportType = "QWERTY" }}, {"exportFormat", func(in in) { in.ExportFormat = "QWERTY" }},
		{"clientToken", func(in in) { in.ClientToken = aws.String("") }}, {"clientToken", func(in in) { in.ClientToken = aws.String("a$") }},
		{"s3Prefix", func(in in) { in.S3Prefix = aws.String("") }}, {"s3Bucket", func(in in) { in.S3Bucket = aws.String("") }},
		{"s3BucketOwner", func(in in) { in.S3BucketOwner = aws.String("") }}, {"s3SseAlgorithm", func(in in) { in.S3SseAlgorithm = "X" }},
		{"TableArn", func(in in) { in.TableArn = aws.String("QWERTY") }},
	} {
		refused("ValidationException", row.member, row.change)
	}

	// A bucket that is not there is found out later.
	e := k.export("orders", func(in in) { in.S3Bucket = aws.String("nowhere") })
	if e.ExportStatus != "FAILED" || *e.FailureCode != "S3NoSuchBucket" || !strings.Contains(*e.FailureMessage, "The specified bucket does not exist") {
		t.Errorf("%+v", e)
	}
	// A client token is good for the same request only.
	first := k.export("orders", func(in in) { in.ClientToken = aws.String("token") })
	again, err := k.db.ExportTableToPointInTime(ctx, &dynamodb.ExportTableToPointInTimeInput{TableArn: &arn, S3Bucket: aws.String("out"), ClientToken: aws.String("token")})
	k.must(err)
	if *again.ExportDescription.ExportArn != *first.ExportArn {
		t.Errorf("%s %s", *again.ExportDescription.ExportArn, *first.ExportArn)
	}
	refused("ExportConflictException", "Duplicate request detected", func(in in) { in.ClientToken, in.S3Prefix = aws.String("token"), aws.String("p") })

	var seen []string
	page := &dynamodb.ListExportsInput{MaxResults: aws.Int32(1), TableArn: &arn}
	for {
		out, err := k.db.ListExports(ctx, page)
		k.must(err)
		for _, e := range out.ExportSummaries {
			if seen = append(seen, *e.ExportArn); e.ExportType != "FULL_EXPORT" {
				t.Errorf("%+v", e)
			}
		}
		if page.NextToken = out.NextToken; page.NextToken == nil {
			break
		}
	}
	if want := []string{*first.ExportArn, *e.ExportArn}; !slices.Equal(seen, want) {
		t.Errorf("%q, want %q", seen, want)
	}
	_, err = k.db.ListExports(ctx, &dynamodb.ListExportsInput{NextToken: aws.String("0123")})
	k.wants(err, "ValidationException", "ListExports")
	_, err = k.db.DescribeExport(ctx, &dynamodb.DescribeExportInput{ExportArn: &arn})
	k.wants(err, "ValidationException", "Invalid Export ARN")
	_, err = k.db.DescribeExport(ctx, &dynamodb.DescribeExportInput{ExportArn: aws.String(arn + "/export/01658528578619-c4d4e311")})
	k.wants(err, "ExportNotFoundException", "")
}

func lines(items ...string) []byte { return []byte(strings.Join(items, "\n") + "\n") }

func jsonItem(pk string, sk int) string {
	return fmt.Sprintf(`{"Item":{"pk":{"S":%q},"sk":{"N":"%d"},"v":{"S":"kept"}}}`, pk, sk)
}

// TestImportsGoAsOnAWS: the outcomes that are measured of AWS.
func TestImportsGoAsOnAWS(t *testing.T) {
	k := openKeeping(t, t.TempDir())
	defer func() { k.close() }()
	ctx := t.Context()

	// Without its bucket an import leaves no table.
	d := k.imports(imported("none", "x/"))
	if d.ImportStatus != "FAILED" || *d.FailureCode != "S3NoSuchBucket" || !strings.Contains(*d.FailureMessage, "The specified bucket does not exist") || d.ProcessedItemCount != 0 {
		t.Errorf("%+v", d)
	}
	_, err := k.db.DescribeTable(ctx, &dynamodb.DescribeTableInput{TableName: aws.String("none")})
	k.wants(err, "ResourceNotFoundException", "")

	// A prefix that no object has is an empty success.
	k.bucket()
	if d = k.imports(imported("empty", "nothing/")); d.ImportStatus != "COMPLETED" || d.FailureCode != nil || *k.active("empty").ItemCount != 0 {
		t.Errorf("%+v", d)
	}

	// Faulty items fail an import, whose table keeps the others. What is no item ends its object.
	k.upload("bad/0-good", append(lines(jsonItem("good", 1), "", "   ", jsonItem("good", 2)), jsonItem("one", 3)+jsonItem("line", 4)...))
	bad := []string{
		`{"NotAnItem":{"pk":{"S":"x"},"sk":{"N":"1"}}}`, `{"Item":{"sk":{"N":"1"}}}`, `{"Item":{"pk":{"S":"x"}}}`, `{"Item":{"pk":{"S":"x"},"sk":{"S":"1"}}}`, `{"Item": `,
		`{"Item":{"pk":{"S":"x"},"sk":{"N":"1"},"":{"S":"v"}}}`,
	}
	for i, line := range bad {
		k.upload(fmt.Sprint("bad/", i+1), lines(line))
	}
	k.upload("bad/rest", lines(`nothing`, jsonItem("left", 5)))
	k.upload("bad/empty", nil)
	d = k.imports(imported("bad", "bad/"))
	if d.ImportStatus != "FAILED" || *d.FailureCode != "ItemValidationError" || d.ErrorCount != 7 || d.ImportedItemCount != 4 || d.ProcessedItemCount != 11 {
		t.Errorf("%+v", d)
	}
	if k.active("bad"); len(k.items("bad", "")) != 4 {
		t.Error(k.items("bad", ""))
	}

	// Twice the same key: the later one.
	k.upload("dup/1", lines(jsonItem("dup", 1), `{"Item":{"pk":{"S":"dup"},"sk":{"N":"1.0"},"v":{"S":"later"}}}`))
	if d = k.imports(imported("dup", "dup/")); d.ImportStatus != "COMPLETED" || d.ImportedItemCount != 2 || *k.active("dup").ItemCount != 1 ||
		k.items("dup", "")[0]["v"].(*ddb.AttributeValueMemberS).Value != "later" {
		t.Errorf("%+v %v", d, k.items("dup", ""))
	}

	// Compressed; the size is that of the content.
	plain := lines(jsonItem("a", 1), jsonItem("b", 2))
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	_, err = z.Write(plain)
	k.must(errors.Join(err, z.Close()))
	e, err := zstd.NewWriter(nil)
	k.must(err)
	for kind, body := range map[string][]byte{"GZIP": zipped.Bytes(), "ZSTD": e.EncodeAll(plain, nil), "NONE": plain} {
		name := "as-" + strings.ToLower(kind)
		k.upload(name, body)
		in := imported(name, name)
		in.InputCompressionType = ddb.InputCompressionType(kind)
		if d = k.imports(in); d.ImportStatus != "COMPLETED" || d.ImportedItemCount != 2 || *d.ProcessedSizeBytes != int64(len(plain)) {
			t.Errorf("%s: %+v", kind, d)
		}
		if items := k.items(name, ""); len(items) != 2 {
			t.Error(items)
		}
	}
}

// TestAWSsSampleImports imports the export of AWS's guide as AWS lays it out.
func TestAWSsSampleImports(t *testing.T) {
	k := openKeeping(t, "")
	defer k.close()
	k.bucket()
	const folder = "2020-Nov/AWSDynamoDB/01693685827463-2d8752fd/"
	file := func(name string) []byte {
		t.Helper()
		b, err := os.ReadFile(filepath.Join("testdata", "aws-export", name))
		k.must(err)
		return b
	}
	for _, name := range []string{export.FilesJSON, export.SummaryJSON} {
		k.upload(folder+name, file(name))
	}
	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	_, err := w.Write(file("asdl123dasas.json"))
	k.must(errors.Join(err, w.Close()))
	k.upload(folder+"data/asdl123dasas.json.gz", z.Bytes())

	files, err := export.ParseManifest(file(export.FilesJSON))
	k.must(err)
	var summary export.Summary
	k.must(json.Unmarshal(file(export.SummaryJSON), &summary))
	if len(files) != 1 || files[0].ItemCount != summary.ItemCount || files[0].ETag == "" || summary.OutputFormat != "DYNAMODB_JSON" || summary.S3SSEKMSKeyID != nil {
		t.Errorf("%+v %+v", files, summary)
	}
	d := k.imports(&dynamodb.ImportTableInput{
		S3BucketSource: &ddb.S3BucketSource{S3Bucket: aws.String("out"), S3KeyPrefix: aws.String(folder + "data/")}, InputFormat: "DYNAMODB_JSON", InputCompressionType: "GZIP",
		TableCreationParameters: &ddb.TableCreationParameters{
			TableName: aws.String("ProductCatalog"), BillingMode: "PAY_PER_REQUEST",
			AttributeDefinitions: []ddb.AttributeDefinition{{AttributeName: aws.String("Id"), AttributeType: "N"}},
			KeySchema:            []ddb.KeySchemaElement{{AttributeName: aws.String("Id"), KeyType: "HASH"}},
		},
	})
	if d.ImportStatus != "COMPLETED" || d.ImportedItemCount != summary.ItemCount || d.ErrorCount != 0 {
		t.Errorf("%+v", d)
	}
	k.active("ProductCatalog")
	got, err := k.db.GetItem(t.Context(), &dynamodb.GetItemInput{TableName: aws.String("ProductCatalog"), Key: map[string]ddb.AttributeValue{"Id": &ddb.AttributeValueMemberN{Value: "103"}}})
	k.must(err)
	if title := got.Item["Title"].(*ddb.AttributeValueMemberS).Value; title != "Book 103 Title" || len(got.Item) != 9 || len(got.Item["Authors"].(*ddb.AttributeValueMemberSS).Value) != 2 {
		t.Errorf("%+v", got.Item)
	}
}
