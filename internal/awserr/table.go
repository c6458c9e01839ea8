package awserr

import "fmt"

// TableExists: CreateTable names a table that is there.
func TableExists(table string) *Error { return ResourceInUse("Table already exists: " + table) }

// DeletionProtected: DeleteTable of a protected table.
func DeletionProtected() *Error {
	return Validation("Resource cannot be deleted as it is currently protected against deletion. Disable deletion protection first.")
}

// StreamAlreadyEnabled and StreamNotEnabled answer an UpdateTable that asks for
// the state that is.
func StreamAlreadyEnabled(table string) *Error {
	return Validation("Table already has an enabled stream: TableName: " + table)
}

// StreamNotEnabled is AWS's text for turning off a stream that is not on.
func StreamNotEnabled(table string) *Error {
	return Validation("Table has no stream to disable: TableName: " + table)
}

// ThroughputUnchanged: UpdateTable asks for the throughput that is.
func ThroughputUnchanged(read, write int64) *Error {
	return Validation(fmt.Sprintf("The provisioned throughput for the table will not change. The requested value equals the current value. "+
		"Current ReadCapacityUnits provisioned for the table: %d. Requested ReadCapacityUnits: %d. "+
		"Current WriteCapacityUnits provisioned for the table: %d. Requested WriteCapacityUnits: %d. "+
		"Refer to the Amazon DynamoDB Developer Guide for current limits and how to request higher limits.", read, read, write, write))
}

// ThroughputNeeded: a switch to provisioned billing without throughput.
func ThroughputNeeded() *Error {
	return InvalidParameter("ProvisionedThroughput must be specified when BillingMode is PROVISIONED")
}

// NotYet answers what this version does not offer.
func NotYet(what string) *Error {
	return Validation(what + " not supported by this version of Millstream; see docs/differences.md")
}
