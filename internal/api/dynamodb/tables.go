package dynamodb

import (
	"time"

	"github.com/millstreamdb/millstream/internal/api/awsjson"
	"github.com/millstreamdb/millstream/internal/request"
	"github.com/millstreamdb/millstream/internal/schema"
	"github.com/millstreamdb/millstream/internal/table"
)

// The answers of the operations on tables.

func appendTableDescription(dst []byte, d *table.Description) []byte {
	return append(appendDescription(append(dst, `{"TableDescription":`...), d), '}')
}

func appendTable(dst []byte, d *table.Description) []byte {
	return append(appendDescription(append(dst, `{"Table":`...), d), '}')
}

func appendList(dst []byte, r *table.ListResult) []byte {
	dst = append(dst, `{"TableNames":[`...)
	for i, name := range r.Names {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = awsjson.AppendText(dst, name)
	}
	dst = append(dst, ']')
	if r.Last != "" {
		dst = awsjson.AppendString(dst, "LastEvaluatedTableName", r.Last)
	}
	return append(dst, '}')
}

func appendDescription(dst []byte, d *table.Description) []byte {
	dst = append(dst, '{')
	dst = awsjson.AppendString(dst, "TableName", d.Name)
	dst = awsjson.AppendString(dst, "TableStatus", d.Status)
	dst = awsjson.AppendString(dst, "TableArn", d.ARN)
	dst = awsjson.AppendString(dst, "TableId", d.ID)
	dst = awsjson.AppendInt(dst, "ItemCount", d.ItemCount)
	dst = awsjson.AppendInt(dst, "TableSizeBytes", d.SizeBytes)
	dst = awsjson.AppendBool(dst, "DeletionProtectionEnabled", d.DeletionProtection)
	units := d.Throughput
	if d.PayPerRequest {
		units = request.Throughput{}
	}
	dst = appendThroughput(dst, units, &d.Changes)
	if d.Deleted {
		return append(appendBilling(dst, d), '}')
	}
	dst = awsjson.AppendTime(dst, "CreationDateTime", d.Created)
	dst = appendAttributes(dst, d.Attributes)
	dst = appendKeyAttributes(dst, &d.Keys)
	dst = appendBilling(dst, d)
	if d.OnDemand != nil {
		dst = appendOnDemand(dst, d.OnDemand)
	}
	if d.Warm != nil {
		dst = appendWarm(dst, d.Warm, d.WarmStatus)
	}
	dst = appendStream(dst, d)
	if d.TableClass != "" {
		dst = awsjson.Member(dst, "TableClassSummary")
		dst = awsjson.AppendString(append(dst, '{'), "TableClass", d.TableClass)
		if !d.ClassUpdated.IsZero() {
			dst = awsjson.AppendTime(dst, "LastUpdateDateTime", d.ClassUpdated)
		}
		dst = append(dst, '}')
	}
	dst = appendEncryption(dst, d)
	dst = appendRestored(dst, d)
	dst = appendIndexes(dst, "LocalSecondaryIndexes", d, d.Local)
	dst = appendIndexes(dst, "GlobalSecondaryIndexes", d, d.Global)
	return append(dst, '}')
}

func appendEncryption(dst []byte, d *table.Description) []byte {
	if d.Encryption == nil {
		return dst
	}
	dst = awsjson.Member(dst, "SSEDescription")
	dst = awsjson.AppendString(append(dst, '{'), "Status", d.Encryption.Status)
	if d.Encryption.KeyARN != "" {
		dst = awsjson.AppendString(dst, "SSEType", "KMS")
		dst = awsjson.AppendString(dst, "KMSMasterKeyArn", d.Encryption.KeyARN)
	}
	return append(dst, '}')
}

func appendRestored(dst []byte, d *table.Description) []byte {
	r := d.Restored
	if r == nil {
		return dst
	}
	dst = awsjson.Member(dst, "RestoreSummary")
	dst = awsjson.AppendString(append(dst, '{'), "SourceTableArn", r.TableARN)
	if r.BackupARN != "" {
		dst = awsjson.AppendString(dst, "SourceBackupArn", r.BackupARN)
	}
	dst = awsjson.AppendTime(dst, "RestoreDateTime", time.UnixMilli(r.AtMS))
	return append(dst, `,"RestoreInProgress":true}`...)
}

func appendKeyAttributes(dst []byte, k *schema.Keys) []byte {
	keys := []request.KeyElement{{Attribute: k.Hash.Name}}
	if k.HasRange() {
		keys = append(keys, request.KeyElement{Attribute: k.Range.Name, Range: true})
	}
	return appendKeySchema(dst, keys)
}

func appendAttributes(dst []byte, attributes []schema.Attribute) []byte {
	dst = awsjson.Member(dst, "AttributeDefinitions")
	dst = append(dst, '[')
	for i, a := range attributes {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = awsjson.AppendString(append(dst, '{'), "AttributeName", a.Name)
		dst = awsjson.AppendString(dst, "AttributeType", a.Type.String())
		dst = append(dst, '}')
	}
	return append(dst, ']')
}

func appendKeySchema(dst []byte, keys []request.KeyElement) []byte {
	dst = awsjson.Member(dst, "KeySchema")
	dst = append(dst, '[')
	for i, k := range keys {
		if i > 0 {
			dst = append(dst, ',')
		}
		kind := "HASH"
		if k.Range {
			kind = "RANGE"
		}
		dst = awsjson.AppendString(append(dst, '{'), "AttributeName", k.Attribute)
		dst = awsjson.AppendString(dst, "KeyType", kind)
		dst = append(dst, '}')
	}
	return append(dst, ']')
}

func appendThroughput(dst []byte, t request.Throughput, changes *table.UnitChanges) []byte {
	dst = awsjson.Member(dst, "ProvisionedThroughput")
	dst = append(dst, '{')
	if !changes.LastIncrease.IsZero() {
		dst = awsjson.AppendTime(dst, "LastIncreaseDateTime", changes.LastIncrease)
	}
	if !changes.LastDecrease.IsZero() {
		dst = awsjson.AppendTime(dst, "LastDecreaseDateTime", changes.LastDecrease)
	}
	dst = awsjson.AppendInt(dst, "NumberOfDecreasesToday", int64(changes.Today))
	dst = awsjson.AppendInt(dst, "ReadCapacityUnits", t.Read)
	dst = awsjson.AppendInt(dst, "WriteCapacityUnits", t.Write)
	return append(dst, '}')
}

func appendBilling(dst []byte, d *table.Description) []byte {
	if d.BillingMode == "" {
		return dst
	}
	dst = awsjson.Member(dst, "BillingModeSummary")
	dst = awsjson.AppendString(append(dst, '{'), "BillingMode", d.BillingMode)
	if !d.OnDemandSince.IsZero() {
		dst = awsjson.AppendTime(dst, "LastUpdateToPayPerRequestDateTime", d.OnDemandSince)
	}
	return append(dst, '}')
}

func appendOnDemand(dst []byte, t *request.OnDemandThroughput) []byte {
	dst = awsjson.Member(dst, "OnDemandThroughput")
	dst = append(dst, '{')
	if t.MaxRead != 0 {
		dst = awsjson.AppendInt(dst, "MaxReadRequestUnits", t.MaxRead)
	}
	if t.MaxWrite != 0 {
		dst = awsjson.AppendInt(dst, "MaxWriteRequestUnits", t.MaxWrite)
	}
	return append(dst, '}')
}

func appendWarm(dst []byte, t *request.Throughput, status string) []byte {
	dst = awsjson.Member(dst, "WarmThroughput")
	dst = awsjson.AppendInt(append(dst, '{'), "ReadUnitsPerSecond", t.Read)
	dst = awsjson.AppendInt(dst, "WriteUnitsPerSecond", t.Write)
	dst = awsjson.AppendString(dst, "Status", status)
	return append(dst, '}')
}

// appendStream appends the stream's members. The ARN and label of the newest
// stream stay after it was disabled; the specification does not.
func appendStream(dst []byte, d *table.Description) []byte {
	if d.StreamEnabled {
		dst = awsjson.Member(dst, "StreamSpecification")
		dst = append(awsjson.AppendString(append(dst, `{"StreamEnabled":true`...), "StreamViewType", d.StreamView), '}')
	}
	if d.LatestStreamARN != "" {
		dst = awsjson.AppendString(dst, "LatestStreamArn", d.LatestStreamARN)
		dst = awsjson.AppendString(dst, "LatestStreamLabel", d.LatestStreamLabel)
	}
	return dst
}

func appendIndexes(dst []byte, name string, d *table.Description, list []table.IndexDescription) []byte {
	if len(list) == 0 {
		return dst
	}
	global := name == "GlobalSecondaryIndexes"
	dst = awsjson.Member(dst, name)
	dst = append(dst, '[')
	for i := range list {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendIndex(dst, &list[i], global, d.PayPerRequest)
	}
	return append(dst, ']')
}

func appendProjection(dst []byte, x *request.Index) []byte {
	dst = awsjson.Member(dst, "Projection")
	dst = awsjson.AppendString(append(dst, '{'), "ProjectionType", x.Projection)
	if len(x.NonKeyAttributes) > 0 {
		dst = awsjson.Member(dst, "NonKeyAttributes")
		dst = append(dst, '[')
		for i, name := range x.NonKeyAttributes {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = awsjson.AppendText(dst, name)
		}
		dst = append(dst, ']')
	}
	return append(dst, '}')
}

func appendIndex(dst []byte, x *table.IndexDescription, global, onDemand bool) []byte {
	dst = awsjson.AppendString(append(dst, '{'), "IndexName", x.Name)
	dst = awsjson.AppendString(dst, "IndexArn", x.ARN)
	dst = appendKeySchema(dst, x.Keys)
	dst = appendProjection(dst, &x.Index)
	dst = awsjson.AppendInt(dst, "ItemCount", x.ItemCount)
	dst = awsjson.AppendInt(dst, "IndexSizeBytes", x.SizeBytes)
	if global {
		dst = awsjson.AppendString(dst, "IndexStatus", x.Status)
		if x.Backfilling {
			dst = awsjson.AppendBool(dst, "Backfilling", true)
		}
		var units request.Throughput
		if x.Throughput != nil && !onDemand {
			units = *x.Throughput
		}
		dst = appendThroughput(dst, units, &x.Changes)
		if x.OnDemand != nil {
			dst = appendOnDemand(dst, x.OnDemand)
		}
		if x.WarmUnits != nil {
			dst = appendWarm(dst, x.WarmUnits, x.WarmStatus)
		}
	}
	return append(dst, '}')
}
