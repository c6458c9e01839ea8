package main

import "testing"

// TestNoBackupIntoItsOwnFolder: it would be lost with it.
func TestNoBackupIntoItsOwnFolder(t *testing.T) {
	for to, refused := range map[string]bool{"data": true, "data/x": true, "./data/../data/x": true, "x": false, "data2": false, "s3://data/x": false} {
		if err := outside("data", to); (err != nil) != refused {
			t.Errorf("%s: %v", to, err)
		}
	}
}
