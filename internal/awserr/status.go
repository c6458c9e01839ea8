package awserr

// What is asked of a table, or of its parts, while it is changing. The texts are of
// recordings of AWS of 2026; those that are composed from two changes follow the
// pattern of the recorded pairs.

func stillInUse(detail string) *Error {
	return ResourceInUse("Attempt to change a resource which is still in use: " + detail)
}

// TableBeingCreated: a change of a table whose status is CREATING.
func TableBeingCreated(table string) *Error { return stillInUse("Table is being created: " + table) }

// TableBeingDeleted: a change of a table whose status is DELETING.
func TableBeingDeleted(table string) *Error { return stillInUse("Table is being deleted: " + table) }

// TableInCreation is how UpdateTimeToLive says that a table is being created.
func TableInCreation(table string) *Error { return stillInUse("Table " + table + " is being created") }

// TableBeingUpdated: DeleteTable of a table of which a setting is changing.
func TableBeingUpdated(table string) *Error {
	return stillInUse("Table: " + table + " is in the process of being updated.")
}

// StreamBeingSwitched: DeleteTable of a table whose stream is being turned on or off.
func StreamBeingSwitched() *Error {
	return stillInUse("Cannot delete table while stream is being enabled/disabled.")
}

// IndexesBeingChanged: DeleteTable of a table of which an index is changing.
func IndexesBeingChanged() *Error {
	return stillInUse("Cannot delete table while indexes are being created, updated, or deleted.")
}

// ThroughputBeingUpdated: a change of throughput or billing mode during another.
func ThroughputBeingUpdated(table string) *Error {
	return stillInUse("Table IOPS are currently being updated. Table: " + table)
}

// StreamInProgress: a change of a stream during another; operation is ENABLE or
// DISABLE.
func StreamInProgress(table, label, operation string) *Error {
	return stillInUse("A stream status change is currently in progress. Table: " + table + " Stream: " + label + " Operation: " + operation)
}

// CannotDuring: one change of a table during another. what is what cannot be done,
// during what is under way.
func CannotDuring(what, during string) *Error { return stillInUse("Can't " + what + " " + during) }

// OnDemandDuring: a change of OnDemandThroughput during another change.
func OnDemandDuring(change string) *Error {
	return stillInUse("OnDemandThroughput cannot be updated while " + change + " is in progress")
}

// EncryptionBeingUpdated: a change of the encryption during another.
func EncryptionBeingUpdated() *Error {
	return stillInUse("Server-Side Encryption is still being updated")
}

// IndexBeingUpdated, IndexBeingDeleted and IndexNotBackfilling: a change of a global
// index during another. The second space is AWS's.
func IndexBeingUpdated(table, index string) *Error {
	return stillInUse("Index is being updated.  Table: " + table + " Index: " + index)
}

// IndexBeingDeleted: a change of an index that is being removed.
func IndexBeingDeleted(table, index string) *Error {
	return stillInUse("Index is being deleted.  Table: " + table + " Index: " + index)
}

// IndexNotBackfilling: a change of an index that is being made.
func IndexNotBackfilling(table, index string) *Error {
	return stillInUse("Index is being created but is not backfilling yet.  Table: " + table + " Index: " + index)
}

// IndexAllocating: an index is removed before its back-fill has begun.
func IndexAllocating(table, index string) *Error {
	return stillInUse("Index creation is in resource allocation phase. Retry deletion during backfilling phase or when the index is active. Table: " + table + " Index: " + index)
}

// TimeToLiveOfPassing: DescribeTimeToLive of a table that is being made or removed.
func TimeToLiveOfPassing(status string) *Error {
	return Validation("Cannot describe time to live while table is in " + status + " state: Current table state is " + status)
}
