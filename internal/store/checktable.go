package store

import (
	"context"
	"errors"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// CheckTable reads every block of a table of the engine, by its path, and compares it with its checksum. fault is what is wrong
// with the table, err why it could not be read.
func CheckTable(path string) (fault, err error) {
	err = checkTable(path)
	if pebble.IsCorruptionError(err) {
		return err, nil
	}
	return nil, err
}

func checkTable(path string) error {
	file, err := vfs.Default.Open(path)
	if err != nil {
		return err
	}
	readable, err := sstable.NewSimpleReadable(tableFile{file})
	if err != nil {
		return errors.Join(err, file.Close())
	}
	o := &pebble.Options{}
	o.EnsureDefaults()
	r, err := sstable.NewReader(context.Background(), readable, o.MakeReaderOptions()) // closes readable when it fails
	if err != nil {
		return err
	}
	return errors.Join(r.ValidateBlockChecksums(), r.Close())
}
