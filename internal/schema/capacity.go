package schema

// Capacity arithmetic of the DynamoDB API: units of 4 KiB for reads, halved
// when eventually consistent, and of 1 KiB for writes; at least one unit.

// ReadUnits returns the capacity units of reading size bytes.
func ReadUnits(size int, consistent bool) float64 {
	units := float64(max(1, (size+4095)/4096))
	if !consistent {
		units /= 2
	}
	return units
}

// OnDemandPartitions is how many partitions AWS gives a table on demand at first: each
// takes 3,000 read and 1,000 write units a second, and the table 12,000 and 4,000.
const OnDemandPartitions = 4

// WriteUnits returns the capacity units of a write that changes an item of
// oldSize bytes (0: none) into one of newSize bytes (0: none).
func WriteUnits(oldSize, newSize int) float64 {
	return float64(max(1, (max(oldSize, newSize)+1023)/1024))
}
