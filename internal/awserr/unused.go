package awserr

import "strconv"

// TableNotThere is how the operations of backups name a table that is not there.
func TableNotThere(table string) *Error {
	return &Error{Code: "TableNotFoundException", Message: "Table not found: " + table}
}

// BackupNotFound, and its kin, are for things that do not exist here. The texts of
// exports and imports have no recording.
func BackupNotFound(arn string) *Error {
	return &Error{Code: "BackupNotFoundException", Message: "Backup not found: " + arn}
}

// ExportNotFound is for an export that there is not.
func ExportNotFound(arn string) *Error {
	return &Error{Code: "ExportNotFoundException", Message: "Export not found: " + arn}
}

// ImportNotFound is for an import that there is not.
func ImportNotFound(arn string) *Error {
	return &Error{Code: "ImportNotFoundException", Message: "Import not found: " + arn}
}

// GlobalTableNotFound is for a global table (of the version of 2017) that there is
// not.
func GlobalTableNotFound(name string) *Error {
	return &Error{Code: "GlobalTableNotFoundException", Message: "Global table not found: Global table with name: '" + name + "' does not exist."}
}

// NameLength: a name that is checked by this text of its own.
func NameLength(member string) *Error {
	return Validation(member + " must be at least 3 characters long and at most 255 characters long")
}

// MalformedARN: a text that is no ARN; of is "Backup", "Export", "Import" or "Table".
func MalformedARN(of string) *Error {
	if of == "Table" {
		return Validation("Invalid TableArn: Invalid Table ARN")
	}
	return Validation("Invalid " + of + " ARN")
}

// OldGlobalTables is how AWS refuses to make global tables of the version of 2017.
func OldGlobalTables() *Error {
	return InvalidParameter("DynamoDB global tables version 2017.11.29 is not supported. We recommend using DynamoDB global tables version 2019.11.21, instead of version 2017.11.29 (Legacy)")
}

// TopKOutOfRange is for a vector search that asks for too many.
func TopKOutOfRange(asked, most int64) *Error {
	return Validation("Provided TopK value '" + strconv.FormatInt(asked, 10) + "' is out of valid range. The value must be between 1 and " +
		strconv.FormatInt(most, 10) + " inclusive")
}

// MissingField is how SearchVectors says that a required member is not there.
func MissingField(member string, line, column int) *Error {
	return Validation("missing field `" + member + "` at line " + strconv.Itoa(line) + " column " + strconv.Itoa(column))
}

// Unexpected is how SearchVectors says that a value, such as "null" or "integer `3`", is not of
// the type, or not in the range, that it wants there. invalid is "type" or "value".
func Unexpected(invalid, what, want string, line, column int) *Error {
	e := Serialization("invalid " + invalid + ": " + what + ", expected " + want + " at line " + strconv.Itoa(line) + " column " + strconv.Itoa(column))
	e.Lower = true
	return e
}

// NotAVector is for a search whose vector has a value that is no number of 32 bits.
func NotAVector() *Error {
	return Validation("Search vector contains invalid values. All values in the search vector must be a 32-bit floating-point number attribute")
}
