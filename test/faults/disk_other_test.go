//go:build !linux

package faults

import "errors"

// Disks are made on Linux alone.
const diskVariable = "MILLSTREAM_FAULTS_DISK"

func runDisk(string) error { return errors.New("disks are made on Linux alone") }
