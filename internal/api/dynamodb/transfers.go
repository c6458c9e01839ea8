package dynamodb

import (
	"cmp"
	"time"

	"github.com/millstreamdb/millstream/internal/api/awsjson"
	"github.com/millstreamdb/millstream/internal/keep"
)

// The answers about exports and imports.

// given appends a member that is a text, unless it is empty.
func given(dst []byte, name, value string) []byte {
	if value == "" {
		return dst
	}
	return awsjson.AppendString(dst, name, value)
}

func appendExport(dst []byte, e *keep.Export) []byte {
	r := &e.Request
	dst = append(dst, `{"ExportDescription":{`...)
	dst = awsjson.AppendString(dst, "ExportArn", e.ARN)
	dst = awsjson.AppendString(dst, "ExportStatus", e.Status)
	dst = awsjson.AppendTime(dst, "StartTime", time.UnixMilli(e.AtMS))
	if e.EndMS != 0 {
		dst = awsjson.AppendTime(dst, "EndTime", time.UnixMilli(e.EndMS))
	}
	dst = given(dst, "ExportManifest", e.Manifest)
	dst = awsjson.AppendString(dst, "TableArn", r.TableARN)
	dst = awsjson.AppendString(dst, "TableId", e.TableID)
	if !r.Incremental() {
		dst = awsjson.AppendTime(dst, "ExportTime", e.Time())
	}
	dst = awsjson.AppendString(dst, "ClientToken", r.Token)
	dst = awsjson.AppendString(dst, "S3Bucket", r.Bucket)
	dst = given(dst, "S3BucketOwner", r.BucketOwner)
	dst = given(dst, "S3Prefix", r.Prefix)
	algorithm := r.Algorithm
	if algorithm == "" {
		algorithm = "AES256"
	}
	dst = awsjson.AppendString(dst, "S3SseAlgorithm", algorithm)
	dst = given(dst, "S3SseKmsKeyId", r.Key)
	dst = awsjson.AppendString(dst, "ExportFormat", "DYNAMODB_JSON")
	dst = given(dst, "ExportType", r.Type) // as on AWS only when it was asked for
	if r.Incremental() {
		dst = append(awsjson.Member(dst, "IncrementalExportSpecification"), '{')
		dst = awsjson.AppendTime(dst, "ExportFromTime", time.UnixMilli(e.FromMS))
		dst = awsjson.AppendTime(dst, "ExportToTime", time.UnixMilli(e.ToMS))
		dst = append(awsjson.AppendString(dst, "ExportViewType", r.View), '}')
	}
	if e.Status == keep.Completed {
		dst = awsjson.AppendInt(dst, "BilledSizeBytes", e.Bytes)
		dst = awsjson.AppendInt(dst, "ItemCount", e.Items)
	}
	dst = given(dst, "FailureCode", e.FailureCode)
	dst = given(dst, "FailureMessage", e.FailureMessage)
	return append(dst, "}}"...)
}

func appendExports(dst []byte, page *keep.ExportPage) []byte {
	dst = append(dst, `{"ExportSummaries":[`...)
	for i, e := range page.Exports {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = awsjson.AppendString(append(dst, '{'), "ExportArn", e.ARN)
		dst = awsjson.AppendString(dst, "ExportStatus", e.Status)
		dst = awsjson.AppendString(dst, "ExportType", cmp.Or(e.Request.Type, "FULL_EXPORT"))
		dst = append(dst, '}')
	}
	return append(given(append(dst, ']'), "NextToken", page.Next), '}')
}

// appendImportMembers appends what descriptions and summaries of an import share.
func appendImportMembers(dst []byte, i *keep.Import) []byte {
	r := &i.Request
	dst = awsjson.AppendString(dst, "ImportArn", i.ARN)
	dst = awsjson.AppendString(dst, "ImportStatus", i.Status)
	dst = awsjson.AppendString(dst, "TableArn", i.TableARN())
	dst = awsjson.Member(dst, "S3BucketSource")
	dst = awsjson.AppendString(append(dst, '{'), "S3Bucket", r.Bucket)
	dst = given(dst, "S3BucketOwner", r.BucketOwner)
	dst = append(given(dst, "S3KeyPrefix", r.Prefix), '}')
	dst = awsjson.AppendString(dst, "CloudWatchLogGroupArn", i.Scope.ARN("logs", "log-group:/aws-dynamodb/imports:*"))
	dst = awsjson.AppendString(dst, "InputFormat", r.Format)
	dst = awsjson.AppendTime(dst, "StartTime", time.UnixMilli(i.StartMS))
	if i.EndMS != 0 {
		dst = awsjson.AppendTime(dst, "EndTime", time.UnixMilli(i.EndMS))
	}
	return dst
}

func appendImport(dst []byte, i *keep.Import) []byte {
	r := &i.Request
	dst = append(dst, `{"ImportTableDescription":{`...)
	dst = appendImportMembers(dst, i)
	dst = awsjson.AppendString(dst, "TableId", i.TableID)
	dst = awsjson.AppendString(dst, "ClientToken", r.Token)
	dst = awsjson.AppendString(dst, "InputCompressionType", r.Compression)
	if r.Delimiter != "" || r.Header != nil {
		dst = append(awsjson.Member(dst, "InputFormatOptions"), `{"Csv":{`...)
		dst = given(dst, "Delimiter", r.Delimiter)
		if r.Header != nil {
			dst = append(awsjson.Member(dst, "HeaderList"), '[')
			for n, name := range r.Header {
				if n > 0 {
					dst = append(dst, ',')
				}
				dst = awsjson.AppendText(dst, name)
			}
			dst = append(dst, ']')
		}
		dst = append(dst, "}}"...)
	}
	dst = awsjson.AppendInt(dst, "ProcessedItemCount", i.Imported+i.Errors)
	dst = awsjson.AppendInt(dst, "ImportedItemCount", i.Imported)
	dst = awsjson.AppendInt(dst, "ErrorCount", i.Errors)
	if i.EndMS != 0 { // absent until then, as on AWS
		dst = awsjson.AppendInt(dst, "ProcessedSizeBytes", i.Bytes)
	}
	dst = given(dst, "FailureCode", i.FailureCode)
	dst = given(dst, "FailureMessage", i.FailureMessage)
	dst = awsjson.Member(dst, "TableCreationParameters")
	dst = appendCreation(dst, i)
	return append(dst, "}}"...)
}

// appendCreation appends the parameters of an import's table.
func appendCreation(dst []byte, i *keep.Import) []byte {
	c := &i.Request.Create
	dst = awsjson.AppendString(append(dst, '{'), "TableName", c.TableName)
	dst = appendAttributes(dst, c.Attributes)
	dst = appendKeyAttributes(dst, &c.Keys)
	mode := "PROVISIONED"
	if c.PayPerRequest {
		mode = "PAY_PER_REQUEST"
	}
	dst = awsjson.AppendString(dst, "BillingMode", mode)
	if !c.PayPerRequest {
		dst = appendPlainThroughput(dst, c.Throughput)
	}
	if c.OnDemand != nil {
		dst = appendOnDemand(dst, c.OnDemand)
	}
	if e := c.Encryption; e != nil {
		dst = awsjson.Member(dst, "SSESpecification")
		dst = awsjson.AppendBool(append(dst, '{'), "Enabled", e.Enabled)
		dst = given(dst, "SSEType", e.Type)
		dst = append(given(dst, "KMSMasterKeyId", e.Key), '}')
	}
	if len(c.Global) > 0 {
		dst = append(awsjson.Member(dst, "GlobalSecondaryIndexes"), '[')
		for n := range c.Global {
			if n > 0 {
				dst = append(dst, ',')
			}
			dst = appendIndexForm(dst, &c.Global[n], true)
		}
		dst = append(dst, ']')
	}
	return append(dst, '}')
}

func appendImports(dst []byte, page *keep.ImportPage) []byte {
	dst = append(dst, `{"ImportSummaryList":[`...)
	for n, i := range page.Imports {
		if n > 0 {
			dst = append(dst, ',')
		}
		dst = append(appendImportMembers(append(dst, '{'), i), '}')
	}
	return append(given(append(dst, ']'), "NextToken", page.Next), '}')
}
