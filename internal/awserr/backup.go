package awserr

// Errors of backups, exports and imports of tables. Where a text is not on record of AWS, it says so.

// TableTaken is how a restore names a table that is there already.
func TableTaken(table string) *Error {
	return &Error{Code: "TableAlreadyExistsException", Message: "Table already exists: " + table}
}

// BackupInUse is for a backup that is being made. The text is that of AWS's reference.
func BackupInUse() *Error {
	return &Error{Code: "BackupInUseException", Message: "There is another ongoing conflicting backup control plane operation on the table. The backup is either being created, deleted or restored to a table."}
}

// BackupRestoring is for a backup from which a table is being restored.
func BackupRestoring(arn string) *Error {
	return &Error{Code: "BackupInUseException", Message: "Backup is being used to restore table: " + arn}
}

// BackupsFull is for more backups and exports at once than the disk is to hold copies for. The text is not on record.
func BackupsFull() *Error {
	return &Error{Code: "LimitExceededException", Message: "Too many backups and exports are under way"}
}

// ImportsFull is for more imports and restores at once. The text is not on record.
func ImportsFull() *Error {
	return &Error{Code: "LimitExceededException", Message: "Too many imports and restores are under way"}
}

// NoSuchIndexInBackup is for an override of a restore by an index that the table had not. AWS goes by KeySchema and Projection.
func NoSuchIndexInBackup(index string) *Error {
	return Validation("Invalid Request: Index " + index + " does not match a secondary index that existed in the source table and cannot be created during the restore operation")
}

// UnitsNotRestored and its kin hold the capacity that a restore asks for against the billing mode that the new table gets. The text for an index
// without capacity is not on record whole.
func UnitsNotRestored(overridden bool) *Error {
	if overridden {
		return Validation("Invalid Request: Cannot override ProvisionedThroughput if BillingMode is overridden to PAY_PER_REQUEST")
	}
	return Validation("Invalid Request: Cannot override ProvisionedThroughput unless BillingMode is PROVISIONED")
}

// UnitsForRestore is for a restore to a provisioned table of one that had no capacity.
func UnitsForRestore() *Error {
	return Validation("Invalid Request: Must override ProvisionedThroughput if BillingMode is overridden to PROVISIONED")
}

// CapsNotRestored is for caps of a table that is not on demand.
func CapsNotRestored() *Error {
	return Validation("Invalid Request: Cannot override MaxReadRequestUnits for OnDemandThroughput unless BillingModeOverride is PAY_PER_REQUEST")
}

// IndexUnitsNotRestored is for capacity of an index of a table on demand.
func IndexUnitsNotRestored(index string) *Error {
	return Validation("Invalid Request: Cannot override ProvisionedThroughput if BillingMode is overridden to PAY_PER_REQUEST for index " + index)
}

// IndexUnitsForRestore is for an index of a provisioned table without capacity.
func IndexUnitsForRestore(index string) *Error {
	return Validation("Invalid Request: Must specify provisioned throughput for index " + index)
}

// PointInTimeUnavailable is for a table without point-in-time recovery.
func PointInTimeUnavailable(table string) *Error {
	return &Error{Code: "PointInTimeRecoveryUnavailableException", Message: "Point in time recovery is not enabled for table '" + table + "'"}
}

// ExportTimeAhead is for an export of a time that is not yet. The text is not on record.
func ExportTimeAhead() *Error {
	return &Error{Code: "InvalidExportTimeException", Message: "Export Time is in the future"}
}

// ExportConflict and ImportConflict are for a client token that was used for something else.
func ExportConflict() *Error {
	return &Error{Code: "ExportConflictException", Message: "Duplicate request detected with conflicting parameters"}
}

// ImportConflict is ExportConflict for imports.
func ImportConflict() *Error {
	return &Error{Code: "ImportConflictException", Message: "Duplicate request detected with conflicting parameters"}
}

// TokenRequired is for an import without a client token, which SDKs always send. The text is not on record.
func TokenRequired() *Error { return InvalidParameter("clientToken must be specified") }

// CSVOptionsWithoutCSV is for options of a format that the import has not. The text is not on record.
func CSVOptionsWithoutCSV() *Error {
	return InvalidParameter("inputFormatOptions.csv can only be specified when InputFormat is CSV")
}

// InvalidListToken is for a NextToken that was not given out. The text is not on record.
func InvalidListToken(operation string) *Error {
	return Validation("Invalid NextToken for " + operation)
}

// InvalidStartBackup is for an ExclusiveStartBackupArn that names no backup. The text is not on record.
func InvalidStartBackup() *Error { return MalformedARN("Backup") }

// PeriodOfNoRecovery is for a recovery period of what is turned off.
func PeriodOfNoRecovery() *Error {
	return Validation("Invalid Request: Cannot specify RecoveryPeriodInDays when disabling point-in-time recovery.")
}

// TwoRestoreTimes is for a restore both to the latest moment and to another.
func TwoRestoreTimes() *Error {
	return Validation("Invalid Request: Both RestoreDateTime and UseLatestRestorableTime cannot be set for point-in-time restore request. Please specify either RestoreDateTime time or UseLatestRestorableTime")
}

// NoRestoreTime is for a restore to no moment.
func NoRestoreTime() *Error {
	return Validation("Invalid Request: Either one of RestoreDateTime or UseLatestRestorableTime must be specified, but not both")
}

// OneRestoreSource is for a restore of no table, or of two.
func OneRestoreSource() *Error {
	return Validation("Invalid Request: Must provide exactly one of: sourceTableArn, sourceTableName")
}

// MalformedSource is for a SourceTableArn that is none.
func MalformedSource() *Error { return Validation("sourceTableArn is not a valid ARN") }

// ForeignSource is for a SourceTableArn of another account.
func ForeignSource() *Error {
	return Validation("This action is only supported by accounts that match the resource owner’s account.")
}

// RestoreTimeOutside is for a restore to a moment that is not kept. Times are in seconds, as on AWS.
func RestoreTimeOutside(at, earliest, latest string) *Error {
	return &Error{Code: "InvalidRestoreTimeException", Message: "RestoreDateTime '" + at + "' must be within EarliestRestorableDateTime '" + earliest + "' and LatestRestorableDateTime '" + latest + "'"}
}

// ExportTimeInvalid is for an export of a moment that is not kept.
func ExportTimeInvalid() *Error {
	return &Error{Code: "InvalidExportTimeException", Message: "Export Time is invalid"}
}

// ExportPeriod is for an incremental export of less than 15 minutes, or more than 24 hours. Of the text only the beginning is on record.
func ExportPeriod() *Error {
	return &Error{Code: "InvalidExportTimeException", Message: "Difference between export period from time and export period to time must be between 15 minutes and 24 hours"}
}

// ExportWithoutFrom, ExportTimeOfIncrement and ExportNotIncremental are for members that do not go together. The texts are not on record.
func ExportWithoutFrom() *Error {
	return Validation("One or more parameter values were invalid: ExportFromTime must be specified in IncrementalExportSpecification when ExportType is INCREMENTAL_EXPORT")
}

// ExportTimeOfIncrement: see ExportWithoutFrom.
func ExportTimeOfIncrement() *Error {
	return Validation("One or more parameter values were invalid: ExportTime cannot be specified when ExportType is INCREMENTAL_EXPORT")
}

// ExportNotIncremental: see ExportWithoutFrom.
func ExportNotIncremental() *Error {
	return Validation("One or more parameter values were invalid: IncrementalExportSpecification can only be specified when ExportType is INCREMENTAL_EXPORT")
}

// SystemBackup is for a request to delete what AWS deletes by itself. The time's form is not on record.
func SystemBackup(arn, expires string) *Error {
	return Validation("Invalid Request: User is not allowed to delete the system backup with arn " + arn + ". It will automatically expire on " + expires)
}
