package awserr

// Errors of backups, exports and imports of tables. Where a text is not on record of AWS, it says so.

// TableInUse is for a backup or an export of a table that is being made. The text is not on record.
func TableInUse(table string) *Error {
	return &Error{Code: "TableInUseException", Message: "Table is being created: " + table}
}

// TableTaken is how a restore names a table that is there already.
func TableTaken(table string) *Error {
	return &Error{Code: "TableAlreadyExistsException", Message: "Table already exists: " + table}
}

// BackupInUse is for a backup that is being made, or restored. The text is that of AWS's reference.
func BackupInUse() *Error {
	return &Error{Code: "BackupInUseException", Message: "There is another ongoing conflicting backup control plane operation on the table. The backup is either being created, deleted or restored to a table."}
}

// BackupsFull is for more backups and exports at once than the disk is to hold copies for. The text is not on record.
func BackupsFull() *Error {
	return &Error{Code: "LimitExceededException", Message: "Too many backups and exports are under way"}
}

// ImportsFull is for more imports and restores at once. The text is not on record.
func ImportsFull() *Error {
	return &Error{Code: "LimitExceededException", Message: "Too many imports and restores are under way"}
}

// NoSuchIndexInBackup and IndexDiffersFromBackup are for overrides of a restore. The texts are not on record.
func NoSuchIndexInBackup(index string) *Error {
	return InvalidParameter("The index " + index + " is not among those of the backup, or is named twice")
}

// IndexDiffersFromBackup is for an index that is not as it was.
func IndexDiffersFromBackup(index string) *Error {
	return InvalidParameter("KeySchema and Projection of the index " + index + " differ from those in the backup")
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
