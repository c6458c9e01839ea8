package awserr

import "strconv"

// DecreasesUsedUp: a decrease of throughput when those of the UTC day are used up.
// The times are in the form "Monday, January 2, 2006 at 3:04:05 PM".
func DecreasesUsedUp(today int, last, next string) *Error {
	return &Error{Code: "LimitExceededException", Message: "Subscriber limit exceeded: Provisioned throughput decreases are limited within a given UTC day. " +
		"After the first 4 decreases, each subsequent decrease in the same UTC day can be performed at most once every 3600 seconds. " +
		"Number of decreases today: " + strconv.Itoa(today) + ". Last decrease at " + last + " Coordinated Universal Time. " +
		"Next decrease can be made at " + next + " Coordinated Universal Time"}
}

// OnDemandOnProvisioned: UpdateTable caps the requests of a provisioned table. of is
// empty for the table, " for index : NAME" for an index.
func OnDemandOnProvisioned(member, of string) *Error {
	return InvalidParameter(member + " for OnDemandThroughput" + of + " cannot be specified when the table BillingMode is PROVISIONED")
}

// WarmRequired: a WarmThroughput without a member; of is "table" or "index: NAME".
func WarmRequired(of string) *Error {
	return InvalidParameter("WarmThroughput must have at least one of ReadUnitsPerSecond or WriteUnitsPerSecond specified for " + of)
}

// WarmDecreased: a WarmThroughput below what is; of is "table" or "index NAME".
func WarmDecreased(member, of string) *Error {
	return InvalidParameter("Requested " + member + " for WarmThroughput for " + of + " is lower than current WarmThroughput, decreasing WarmThroughput is not supported")
}

// WarmBelowInitial: a new table on demand with less warm throughput than it has
// anyway.
func WarmBelowInitial(member, of string) *Error {
	return InvalidParameter("Requested " + member + " for WarmThroughput for " + of + " is lower than initial throughput for OnDemand. " +
		"See: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/on-demand-capacity-mode.html#on-demand-capacity-mode-initial")
}

// WarmBelowProvisioned: a new table with less warm than provisioned throughput.
func WarmBelowProvisioned(member, of, units string) *Error {
	return InvalidParameter("Requested " + member + " for WarmThroughput for " + of + " is lower than " + units + " of ProvisionedThroughput")
}

// IndexUnitsOnDemand: throughput for an index of a table on demand.
func IndexUnitsOnDemand(index string) *Error {
	return InvalidParameter("Neither ReadCapacityUnits nor WriteCapacityUnits can be specified for index: " + index + " when BillingMode is PAY_PER_REQUEST")
}

// IndexUnitsRequired: an update of an index of a provisioned table that changes
// nothing.
func IndexUnitsRequired(index string) *Error {
	return InvalidParameter("Both ReadCapacityUnits and WriteCapacityUnits must be specified for index: " + index)
}

// IndexUpdateOnDemand: an update of an index of a table on demand that changes nothing.
func IndexUpdateOnDemand(index string) *Error {
	return InvalidParameter("The only Updates for index: " + index + " when TableThroughputMode is PAY_PER_REQUEST can be to OnDemandThroughput, WarmThroughput")
}

// NotAGlobalIndexToUpdate: UpdateTable updates a local index.
func NotAGlobalIndexToUpdate(index string) *Error {
	return Validation("Cannot update an index that is not a GlobalSecondaryIndex: " + index)
}

// Encryption settings that do not go together, or change nothing.

// EncryptionOffWith: a member beside Enabled=false.
func EncryptionOffWith(member string) *Error {
	return InvalidParameter(member + " can not be specified if Enabled is false")
}

// EncryptionTypeUnsupported: an SSEType other than KMS.
func EncryptionTypeUnsupported(kind string) *Error {
	return InvalidParameter("SSEType " + kind + " is not supported")
}

// EncryptionKeyNeedsType: a key without SSEType.
func EncryptionKeyNeedsType() *Error {
	return InvalidParameter("SSEType KMS is required if KMSMasterKeyId is specified")
}

// EncryptedByDefault: encryption is turned off that is not on.
func EncryptedByDefault() *Error { return InvalidParameter("Table is already encrypted by default") }

// EncryptedWithKey: the key of a table is named again.
func EncryptedWithKey() *Error {
	return InvalidParameter("Table is already encrypted with given KMSMasterKeyId. Use KMSMasterKeyId parameter if you want to change Master Key")
}
