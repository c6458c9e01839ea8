package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestMain is also the program that is compared, when it is started as one: a backup into a place named bad fails, and any other runs on.
func TestMain(m *testing.M) {
	if len(os.Args) < 2 || os.Args[1] != "backup" {
		os.Exit(m.Run())
	}
	if filepath.Base(os.Args[3]) == "bad" {
		_, _ = os.Stderr.WriteString("it cannot be written to")
		os.Exit(1)
	}
	time.Sleep(time.Hour)
}

// TestBackupThatFails: writes beside a backup that is not there are not measured.
func TestBackupThatFails(t *testing.T) {
	*bin = os.Args[0]
	s := &side{name: "backed up", addr: "127.0.0.1:1"}
	end, over, err := s.beginBackup(filepath.Join(t.TempDir(), "bad"))
	if err != nil {
		t.Fatal(err)
	}
	<-over
	if err := end(); err == nil || !strings.Contains(err.Error(), "it cannot be written to") {
		t.Errorf("a backup that failed: %v", err)
	}
	end, _, err = s.beginBackup(filepath.Join(t.TempDir(), "good"))
	if err != nil {
		t.Fatal(err)
	}
	if err := end(); err != nil {
		t.Errorf("one that was ended: %v", err)
	}
}
