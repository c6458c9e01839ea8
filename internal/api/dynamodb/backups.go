package dynamodb

import (
	"context"
	"time"

	"github.com/millstreamdb/millstream/internal/api/awsjson"
	"github.com/millstreamdb/millstream/internal/keep"
	"github.com/millstreamdb/millstream/internal/request"
	"github.com/millstreamdb/millstream/internal/schema"
	"github.com/millstreamdb/millstream/internal/table"
)

// Keeping is what the door calls for backups, exports and imports of tables.
type Keeping interface {
	CreateBackup(context.Context, schema.Scope, *request.CreateBackup) (*keep.Backup, error)
	DescribeBackup(context.Context, schema.Scope, *request.DescribeBackup) (*keep.Backup, error)
	ListBackups(context.Context, schema.Scope, *request.ListBackups) (*keep.BackupPage, error)
	DeleteBackup(context.Context, schema.Scope, *request.DeleteBackup) (*keep.Backup, error)
	RestoreTableFromBackup(context.Context, schema.Scope, *request.RestoreTable) (*table.Description, error)
	RestoreTableToPointInTime(context.Context, schema.Scope, *request.RestoreToPoint) (*table.Description, error)
	ExportTableToPointInTime(context.Context, schema.Scope, *request.Export) (*keep.Export, error)
	DescribeExport(context.Context, schema.Scope, *request.DescribeExport) (*keep.Export, error)
	ListExports(context.Context, schema.Scope, *request.ListParts) (*keep.ExportPage, error)
	ImportTable(context.Context, schema.Scope, *request.Import) (*keep.Import, error)
	DescribeImport(context.Context, schema.Scope, *request.DescribeImport) (*keep.Import, error)
	ListImports(context.Context, schema.Scope, *request.ListParts) (*keep.ImportPage, error)
}

// RegisterKeeping makes p answer the operations of backups, exports and imports by calls to k.
func RegisterKeeping(p *awsjson.Protocol, k Keeping) {
	operation(p, "CreateBackup", request.DecodeCreateBackup, k.CreateBackup, appendBackupDetails)
	operation(p, "DescribeBackup", request.DecodeDescribeBackup, k.DescribeBackup, appendBackup)
	operation(p, "ListBackups", request.DecodeListBackups, k.ListBackups, appendBackups)
	operation(p, "DeleteBackup", request.DecodeDeleteBackup, k.DeleteBackup, appendBackup)
	operation(p, "RestoreTableFromBackup", request.DecodeRestoreTableFromBackup, k.RestoreTableFromBackup, appendTableDescription)
	operation(p, "RestoreTableToPointInTime", request.DecodeRestoreTableToPointInTime, k.RestoreTableToPointInTime, appendTableDescription)
	operation(p, "ExportTableToPointInTime", request.DecodeExportTableToPointInTime, k.ExportTableToPointInTime, appendExport)
	operation(p, "DescribeExport", request.DecodeDescribeExport, k.DescribeExport, appendExport)
	operation(p, "ListExports", request.DecodeListExports, k.ListExports, appendExports)
	operation(p, "ImportTable", request.DecodeImportTable, k.ImportTable, appendImport)
	operation(p, "DescribeImport", request.DecodeDescribeImport, k.DescribeImport, appendImport)
	operation(p, "ListImports", request.DecodeListImports, k.ListImports, appendImports)
}

func appendBackupDetails(dst []byte, b *keep.Backup) []byte {
	return append(appendDetails(append(dst, `{"BackupDetails":`...), b), '}')
}

func appendDetails(dst []byte, b *keep.Backup) []byte {
	return append(appendBackupMembers(append(dst, '{'), b), '}')
}

// appendBackupMembers appends what details and summaries of a backup share.
func appendBackupMembers(dst []byte, b *keep.Backup) []byte {
	dst = awsjson.AppendString(dst, "BackupArn", b.ARN)
	dst = awsjson.AppendString(dst, "BackupName", b.Name)
	dst = awsjson.AppendInt(dst, "BackupSizeBytes", b.Saved.Bytes)
	dst = awsjson.AppendString(dst, "BackupStatus", b.Status)
	dst = awsjson.AppendString(dst, "BackupType", b.Type())
	dst = awsjson.AppendTime(dst, "BackupCreationDateTime", time.UnixMilli(b.CreatedMS))
	if b.ExpiresMS != 0 {
		dst = awsjson.AppendTime(dst, "BackupExpiryDateTime", time.UnixMilli(b.ExpiresMS))
	}
	return dst
}

func appendBackups(dst []byte, page *keep.BackupPage) []byte {
	dst = append(dst, `{"BackupSummaries":[`...)
	for i, b := range page.Backups {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendBackupMembers(append(dst, '{'), b)
		dst = awsjson.AppendString(dst, "TableName", b.Table)
		dst = awsjson.AppendString(dst, "TableArn", b.Scope.TableARN(b.Table))
		if d, _, err := b.Saved.Describe(); err == nil {
			dst = awsjson.AppendString(dst, "TableId", d.ID)
		}
		dst = append(dst, '}')
	}
	dst = append(dst, ']')
	if page.Last != "" {
		dst = awsjson.AppendString(dst, "LastEvaluatedBackupArn", page.Last)
	}
	return append(dst, '}')
}

func appendBackup(dst []byte, b *keep.Backup) []byte {
	dst = append(dst, `{"BackupDescription":{"BackupDetails":`...)
	dst = appendDetails(dst, b)
	d, ttl, err := b.Saved.Describe()
	if err != nil { // a row that was read is one that was written
		return append(dst, "}}"...)
	}
	dst = append(dst, `,"SourceTableDetails":{`...)
	dst = awsjson.AppendString(dst, "TableName", d.Name)
	dst = awsjson.AppendString(dst, "TableId", d.ID)
	dst = awsjson.AppendString(dst, "TableArn", d.ARN)
	dst = awsjson.AppendInt(dst, "TableSizeBytes", d.SizeBytes)
	dst = awsjson.AppendInt(dst, "ItemCount", d.ItemCount)
	dst = appendKeyAttributes(dst, &d.Keys)
	dst = awsjson.AppendTime(dst, "TableCreationDateTime", d.Created)
	dst = appendPlainThroughput(dst, d.Throughput)
	mode := "PROVISIONED"
	if d.PayPerRequest {
		mode = "PAY_PER_REQUEST"
	}
	dst = awsjson.AppendString(dst, "BillingMode", mode)
	if d.OnDemand != nil {
		dst = appendOnDemand(dst, d.OnDemand)
	}
	dst = append(dst, `},"SourceTableFeatureDetails":{`...)
	dst = appendIndexInfos(dst, "LocalSecondaryIndexes", d.Local, false)
	dst = appendIndexInfos(dst, "GlobalSecondaryIndexes", d.Global, true)
	if d.StreamEnabled {
		dst = awsjson.Member(dst, "StreamDescription")
		dst = append(awsjson.AppendString(append(dst, `{"StreamEnabled":true`...), "StreamViewType", d.StreamView), '}')
	}
	if ttl != "" {
		dst = awsjson.Member(dst, "TimeToLiveDescription")
		dst = append(awsjson.AppendString(append(dst, `{"TimeToLiveStatus":"ENABLED"`...), "AttributeName", ttl), '}')
	}
	dst = appendEncryption(dst, d)
	return append(dst, "}}}"...)
}

// appendPlainThroughput appends a ProvisionedThroughput as requests have it.
func appendPlainThroughput(dst []byte, t request.Throughput) []byte {
	dst = awsjson.Member(dst, "ProvisionedThroughput")
	dst = awsjson.AppendInt(append(dst, '{'), "ReadCapacityUnits", t.Read)
	dst = awsjson.AppendInt(dst, "WriteCapacityUnits", t.Write)
	return append(dst, '}')
}

func appendIndexInfos(dst []byte, name string, list []table.IndexDescription, global bool) []byte {
	if len(list) == 0 {
		return dst
	}
	dst = append(awsjson.Member(dst, name), '[')
	for i := range list {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendIndexForm(dst, &list[i].Index, global)
	}
	return append(dst, ']')
}

// appendIndexForm appends an index as requests have it.
func appendIndexForm(dst []byte, x *request.Index, global bool) []byte {
	dst = awsjson.AppendString(append(dst, '{'), "IndexName", x.Name)
	dst = appendKeySchema(dst, x.Keys)
	dst = appendProjection(dst, x)
	if global && x.Throughput != nil {
		dst = appendPlainThroughput(dst, *x.Throughput)
	}
	if x.OnDemand != nil {
		dst = appendOnDemand(dst, x.OnDemand)
	}
	return append(dst, '}')
}
