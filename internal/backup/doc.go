// Package backup copies data folders to a place that outlives the disk, and back.
//
// A place is a folder or a bucket. In it, objects/XX/SUM are contents, named by their
// SHA-256, and base/ID.json is a backup: the names of a data folder's files, each
// with its content's sum. The manifest is written last, so what has none is no
// backup; and no content is written twice, so a second backup takes what is new.
// Nothing is ever changed or removed.
//
// It promises that a backup which is there is whole, that a restored folder has
// exactly the bytes that were backed up, and that a restore which was cut short leaves
// a folder that does not open.
//
// The package imports nothing of the project.
package backup
