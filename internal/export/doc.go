// Package export reads and writes the files in which tables leave AWS and come to it: the
// layout of ExportTableToPointInTime, and the formats of ImportTable. It knows neither where the
// files lie nor whose the items are, and needs memory for one data file, or one line, at a time.
//
// Sources: Amazon DynamoDB Developer Guide, "DynamoDB table export output format" and "Amazon S3
// import formats for DynamoDB".
package export
