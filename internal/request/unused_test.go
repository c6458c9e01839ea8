package request

import (
	"strings"
	"testing"
)

// TestUnusedRules: what AWS's model says of the members is checked first. The texts
// are of recordings of AWS of 2026.
func TestUnusedRules(t *testing.T) {
	for name := range unusedRules {
		decoders[name] = erased(DecodeUnused(name))
	}
	decoders["CreateBackup"], decoders["DescribeBackup"], decoders["ListBackups"] = erased(DecodeCreateBackup), erased(DecodeDescribeBackup), erased(DecodeListBackups)
	decoders["RestoreTableFromBackup"], decoders["ExportTableToPointInTime"] = erased(DecodeRestoreTableFromBackup), erased(DecodeExportTableToPointInTime)
	decoders["UpdateContinuousBackups"], decoders["RestoreTableToPointInTime"] = erased(DecodeUpdateContinuousBackups), erased(DecodeRestoreTableToPointInTime)
	decoders["ImportTable"], decoders["ListExports"], decoders["ListImports"] = erased(DecodeImportTable), erased(DecodeListExports), erased(DecodeListImports)
	const named = `{"TableName":"abc"`
	const null = "' failed to satisfy constraint: Member must not be null"
	const serde = "SerializationException: invalid "
	const noVector = "Search vector contains invalid values. All values in the search vector must be a 32-bit floating-point number attribute"
	const newTable = `"TableCreationParameters":{"TableName":"abc","AttributeDefinitions":[{"AttributeName":"pk","AttributeType":"S"}],"KeySchema":[{"AttributeName":"pk","KeyType":"HASH"}],"BillingMode":"PAY_PER_REQUEST"}`
	const short = " must be at least 3 characters long and at most 255 characters long"
	checkRefusals(t, []refusal{
		{"CreateBackup", `{}`, validation + "The parameter 'TableName' is required but was not present in the request"},
		{"CreateBackup", `{"TableName":3}`, "SerializationException: NUMBER_VALUE cannot be converted to String"},
		{"CreateBackup", named + `}`, one + "Value null at 'backupName" + null},
		{"CreateBackup", named + `,"BackupName":""}`, two + "Value '' at 'backupName' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+; Value '' at 'backupName' failed to satisfy constraint: Member must have length greater than or equal to 3"},
		{"CreateBackup", named + `,"BackupName":"one"}`, ""},
		{"UpdateContinuousBackups", named + `}`, one + "Value null at 'pointInTimeRecoverySpecification" + null},
		{"UpdateContinuousBackups", named + `,"PointInTimeRecoverySpecification":{}}`, one + "Value null at 'pointInTimeRecoverySpecification.pointInTimeRecoveryEnabled" + null},
		{"UpdateContinuousBackups", named + `,"PointInTimeRecoverySpecification":{"PointInTimeRecoveryEnabled":true,"RecoveryPeriodInDays":0}}`, one + "Value '0' at 'pointInTimeRecoverySpecification.recoveryPeriodInDays' failed to satisfy constraint: Member must have value greater than or equal to 1"},
		{"UpdateContinuousBackups", named + `,"PointInTimeRecoverySpecification":{"PointInTimeRecoveryEnabled":true,"RecoveryPeriodInDays":36}}`, one + "Value '36' at 'pointInTimeRecoverySpecification.recoveryPeriodInDays' failed to satisfy constraint: Member must have value less than or equal to 35"},
		{"UpdateContinuousBackups", named + `,"PointInTimeRecoverySpecification":{"PointInTimeRecoveryEnabled":false,"RecoveryPeriodInDays":35}}`, validation + "Invalid Request: Cannot specify RecoveryPeriodInDays when disabling point-in-time recovery."},
		{"RestoreTableToPointInTime", `{"SourceTableName":"abc","TargetTableName":"new"}`, validation + "Invalid Request: Either one of RestoreDateTime or UseLatestRestorableTime must be specified, but not both"},
		{"RestoreTableToPointInTime", `{"SourceTableName":"abc","TargetTableName":"new","UseLatestRestorableTime":true,"RestoreDateTime":1}`, validation + "Invalid Request: Both RestoreDateTime and UseLatestRestorableTime cannot be set for point-in-time restore request. Please specify either RestoreDateTime time or UseLatestRestorableTime"},
		{"RestoreTableToPointInTime", `{"TargetTableName":"new","UseLatestRestorableTime":true}`, validation + "Invalid Request: Must provide exactly one of: sourceTableArn, sourceTableName"},
		{"RestoreTableToPointInTime", `{"SourceTableName":"abc","SourceTableArn":"arn:aws:dynamodb:us-east-1:000000000000:table/abc","TargetTableName":"new","UseLatestRestorableTime":true}`, validation + "Invalid Request: Must provide exactly one of: sourceTableArn, sourceTableName"},
		{"RestoreTableToPointInTime", `{"SourceTableArn":"abc","TargetTableName":"new","UseLatestRestorableTime":true}`, validation + "sourceTableArn is not a valid ARN"},
		{"RestoreTableToPointInTime", `{"SourceTableName":"abc","TargetTableName":"bad name!","UseLatestRestorableTime":true}`, one + "Value 'bad name!' at 'targetTableName' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+"},
		{"RestoreTableToPointInTime", `{"SourceTableName":"abc","TargetTableName":"new","RestoreDateTime":1.5,"UseLatestRestorableTime":false}`, ""},
		{"DescribeBackup", `{}`, one + "Value null at 'backupArn" + null},
		{"DescribeBackup", `{"BackupArn":""}`, validation + "Invalid Backup ARN"},
		{"ListBackups", `{"Limit":0}`, one + "Value '0' at 'limit' failed to satisfy constraint: Member must have value greater than or equal to 1"},
		{"ListBackups", `{"BackupType":"x"}`, one + "Value 'x' at 'backupType' failed to satisfy constraint: Member must satisfy enum value set: [USER, SYSTEM, AWS_BACKUP, ALL]"},
		{"ListBackups", `{"TableName":"abc","TimeRangeLowerBound":1.5}`, ""},
		{"RestoreTableFromBackup", `{"TargetTableName":"","BackupArn":"arn:aws:dynamodb:x"}`, validation + "TableName" + short},
		{"RestoreTableFromBackup", `{"TargetTableName":"abc","BackupArn":"arn:aws:dynamodb:x","ProvisionedThroughputOverride":{}}`, two + "Value null at 'provisionedThroughputOverride.writeCapacityUnits" + null + "; Value null at 'provisionedThroughputOverride.readCapacityUnits" + null},
		{"RestoreTableFromBackup", `{"TargetTableName":"abc","BackupArn":"arn:aws:dynamodb:x","SSESpecificationOverride":{"KMSMasterKeyId":""}}`, one + "Value '' at 'sSESpecificationOverride.kMSMasterKeyId' failed to satisfy constraint: Member must have length greater than or equal to 1"},
		{"RestoreTableFromBackup", `{"TargetTableName":"abc","BackupArn":"arn:aws:dynamodb:x","BillingModeOverride":""}`, one + "Value '' at 'billingModeOverride' failed to satisfy constraint: Member must satisfy enum value set: [PROVISIONED, PAY_PER_REQUEST]"},
		{"EnableKinesisStreamingDestination", named + `,"StreamArn":""}`, one + "Value '' at 'streamArn' failed to satisfy constraint: Member must have length greater than or equal to 37"},
		{"UpdateContributorInsights", named + `,"ContributorInsightsAction":""}`, one + "Value '' at 'contributorInsightsAction' failed to satisfy constraint: Member must satisfy enum value set: [ENABLE, DISABLE]"},
		{"UpdateContributorInsights", named + `,"ContributorInsightsAction":"ENABLE","IndexName":""}`, validation + "IndexName" + short},
		{"DescribeContributorInsights", named + `,"IndexName":"idx"}`, ""},
		{"DescribeGlobalTable", `{"GlobalTableName":""}`, validation + "TableName" + short},
		{"UpdateGlobalTable", `{"GlobalTableName":"abc"}`, one + "Value null at 'replicaUpdates" + null},
		{"ExportTableToPointInTime", `{"TableArn":"","S3Bucket":"b"}`, validation + "Invalid TableArn: Invalid Table ARN"},
		{"ImportTable", `{}`, validation + "3 validation errors detected: Value null at 's3BucketSource" + null + "; Value null at 'inputFormat" + null + "; Value null at 'tableCreationParameters" + null},
		{"ExportTableToPointInTime", `{"TableArn":"arn:aws:dynamodb:us-east-1:000000000000:table/abc","S3Bucket":"b-","ClientToken":"a$"}`, two + `Value 'a$' at 'clientToken' failed to satisfy constraint: Member must satisfy regular expression pattern: ^[^\$]+$; Value 'b-' at 's3Bucket' failed to satisfy constraint: Member must satisfy regular expression pattern: ^[a-z0-9A-Z]+[\.\-\w]*[a-z0-9A-Z]+$`},
		{"ImportTable", `{"S3BucketSource":{"S3Bucket":"bb"},"InputFormat":"CSV","TableCreationParameters":{"KeySchema":[]}}`, validation + "3 validation errors detected: Value null at 'tableCreationParameters.tableName" + null + "; Value null at 'tableCreationParameters.attributeDefinitions" + null + "; Value '[]' at 'tableCreationParameters.keySchema' failed to satisfy constraint: Member must have length greater than or equal to 1"},
		{"ImportTable", `{"S3BucketSource":{"S3Bucket":"bb"},"InputFormat":"CSV",` + newTable + `}`, invalid + "clientToken must be specified"},
		{"ImportTable", `{"ClientToken":"t","S3BucketSource":{"S3Bucket":"bb"},"InputFormat":"CSV",` + newTable + `}`, ""},
		{"ImportTable", `{"ClientToken":"t","S3BucketSource":{"S3Bucket":"bb"},"InputFormat":"ION",` + newTable + `}`, validation + "The InputFormat ION is not supported by this version of Millstream; see docs/differences.md"},
		{"ImportTable", `{"ClientToken":"t","S3BucketSource":{"S3Bucket":"bb"},"InputFormat":"DYNAMODB_JSON","InputFormatOptions":{"Csv":{}},` + newTable + `}`, invalid + "inputFormatOptions.csv can only be specified when InputFormat is CSV"},
		{"ImportTable", `{"ClientToken":"t","S3BucketSource":{"S3Bucket":"bb"},"InputFormat":"CSV","InputFormatOptions":{"Csv":{"Delimiter":"x"}},` + newTable + `}`, one + `Value 'x' at 'inputFormatOptions.csv.delimiter' failed to satisfy constraint: Member must satisfy regular expression pattern: [,;:|\t ]`},
		{"ImportTable", `{"ClientToken":"t","S3BucketSource":{"S3Bucket":"bb"},"InputFormat":"CSV","TableCreationParameters":{"TableName":"abc","AttributeDefinitions":[{"AttributeName":"pk","AttributeType":"S"}],"KeySchema":[{"AttributeName":"pk","KeyType":"HASH"}],"BillingMode":"PROVISIONED"}}`, invalid + "ReadCapacityUnits and WriteCapacityUnits must both be specified when BillingMode is PROVISIONED"},
		{"SearchVectors", `{"SearchVector":[]}`, validation + "missing field `IndexName` at line 1 column 19"},
		{"SearchVectors", `{"IndexName":"vix"}`, validation + "missing field `SearchVector` at line 1 column 19"},
		{"SearchVectors", `{"TableName":"T","IndexName":"ab","SearchVector":[{"N":"1"}],"TopK":0}`, two + "Value at 'IndexName' failed to satisfy constraint: Member must have length greater than or equal to 3; Value at 'TopK' failed to satisfy constraint: Member must have value greater than or equal to 1"},
		{"SearchVectors", `{"TableName":"T","IndexName":"` + strings.Repeat("i", 256) + `","SearchVector":[{"N":"1"}],"TopK":1}`, one + "Value at 'IndexName' failed to satisfy constraint: Member must have length less than or equal to 255"},
		{"SearchVectors", `{"TableName":"a!","IndexName":"vix","SearchVector":[{"N":"1"}],"TopK":1,"ReturnConsumedCapacity":"X"}`, validation + "Value 'a!' at 'tableName' failed to satisfy constraint: Member must have length greater than or equal to 3"},
		{"SearchVectors", named + `,"IndexName":"vix","SearchVector":[{"N":"1"}],"TopK":1,"ReturnConsumedCapacity":"X"}`, validation + "Value 'X' at 'returnConsumedCapacity' failed to satisfy constraint: Member must satisfy enum value set: [INDEXES, TOTAL, NONE]"},
		{"SearchVectors", named + `,"IndexName":"vix","SearchVector":[{"N":"1"}],"TopK":101}`, validation + "Provided TopK value '101' is out of valid range. The value must be between 1 and 100 inclusive"},
		{"SearchVectors", named + `,"IndexName":"vix","SearchVector":[{"N":"1"}],"TopK":1}`, ""},
		{"SearchVectors", named + `,"IndexName":"vix","SearchVector":[{"L":[{"N":"1"},{}]}]}`, serialization},
		{"SearchVectors", named + `,"IndexName":"vix","SearchVector":[{"N":"1","S":"1"}]}`, serialization},
		{"SearchVectors", named + `,"IndexName":"vix","SearchVector":[{"N":null}]}`, serialization},
		{"SearchVectors", named + `,"ExpressionAttributeValues":{":v":{}}}`, serialization},
		{"SearchVectors", named + `,"IndexName":"vix","SearchVector":[{"N":"1"},{"N":"1e39"}],"TopK":1}`, validation + noVector},
		{"SearchVectors", named + `,"IndexName":"vix","SearchVector":[{"L":[{"N":"1"}]}],"TopK":1}`, validation + noVector},
		{"SearchVectors", named + `,"IndexName":"vix","SearchVector":[{"N":"abc"}],"TopK":1,"ReturnConsumedCapacity":null,"ProjectionExpression":null}`, validation + noVector},
		{"SearchVectors", `{"IndexName":null}`, serde + "type: null, expected a string at line 1 column 17"},
		{"SearchVectors", "{\n \"TableName\":null}", serde + "type: null, expected a string at line 2 column 17"},
		{"SearchVectors", `{"SearchVector":null}`, serde + "type: null, expected a sequence at line 1 column 20"},
		{"SearchVectors", `{"TopK":null}`, serde + "type: null, expected i32 at line 1 column 12"},
		{"SearchVectors", `{"TopK":3.5}`, serde + "type: floating point `3.5`, expected i32 at line 1 column 11"},
		{"SearchVectors", `{"TopK":3000000000}`, serde + "value: integer `3000000000`, expected i32 at line 1 column 18"},
		{"SearchVectors", `{"TopK":"a"}`, serde + "type: string \"a\", expected i32 at line 1 column 11"},
		{"SearchVectors", `{"SearchVector":{"L":[]}}`, serde + "type: map, expected a sequence at line 1 column 16"},
		{"SearchVectors", `{"IndexName":true}`, serde + "type: boolean `true`, expected a string at line 1 column 17"},
		{"SearchVectors", `{"IndexName":[1]}`, serde + "type: sequence, expected a string at line 1 column 13"},
		{"SearchVectors", `{"ExpressionAttributeNames":{"#a":3}}`, serde + "type: integer `3`, expected a string at line 1 column 35"},
		{"SearchVectors", `{"ExpressionAttributeValues":"x"}`, serde + "type: string \"x\", expected a map at line 1 column 32"},
		{"SearchVectors", `{"IndexName":null`, serialization},
		{"ListImports", `[]`, serialization},
		{"ListExports", `{"MaxResults":"x"}`, "SerializationException: STRING_VALUE cannot be converted to Integer"},
	})
}
