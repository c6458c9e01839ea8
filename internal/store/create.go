package store

import (
	"fmt"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// markFormat gives a database that is still to be made its format. Without it the engine makes one of its oldest format
// and takes it through every one since, each with a file made, a file removed and a sync of the folder: ten syncs for an
// empty folder. A crash after it leaves a marker without a database, which the engine takes as one that is still to be
// made.
func markFormat(f vfs.FS, dir string, before *pebble.DBDesc) error {
	if before.Exists || before.FormatMajorVersion != pebble.FormatDefault {
		return nil
	}
	// The engine's name of its first marker; its own code to make one panics when a sync fails.
	file, err := f.Create(f.PathJoin(dir, "marker.format-version.000001."+formatVersion.String()), vfs.WriteCategoryUnspecified)
	if err == nil {
		err = file.Close()
	}
	if err == nil {
		err = syncFolder(f, dir)
	}
	if err != nil {
		return fmt.Errorf("store: make %s: %w", dir, err)
	}
	return nil
}
