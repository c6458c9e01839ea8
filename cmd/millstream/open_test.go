package main

import (
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"testing"
)

func TestDataErrors(t *testing.T) {
	for _, c := range []struct {
		err  error
		want string
	}{
		{&fs.PathError{Op: "mkdir", Path: "/x", Err: syscall.EACCES}, "--data /x: there is no permission to write there: run as the user that owns it"},
		{&fs.PathError{Op: "open", Path: "/x", Err: syscall.EROFS}, "--data /x is on a disk that can only be read"},
		{&fs.PathError{Op: "open", Path: "/x", Err: syscall.ENOSPC}, "--data /x: the disk is full"},
		{fmt.Errorf("something else"), "something else"},
	} {
		got := dataError("/x", fmt.Errorf("millstream: store: %w", c.err)).Error()
		if !strings.Contains(got, c.want) || c.want != "something else" && strings.Contains(got, "store:") {
			t.Errorf("%s; want %s", got, c.want)
		}
	}
	for text, want := range map[string]string{"millstream: millstream: store: a: b": "a: b", "a: store: b": "a: store: b"} {
		if got := message(fmt.Errorf("%s", text)); got != want {
			t.Errorf("%s is shown as %s", text, got)
		}
	}
}

func TestColors(t *testing.T) {
	t.Setenv("NO_COLOR", "1")
	for flag, want := range map[string]bool{"always": true, "never": false, "auto": false} {
		if got, err := colors(flag, os.Stdout); err != nil || got != want {
			t.Errorf("%s: %v, %v", flag, got, err)
		}
	}
	if _, err := colors("alway", os.Stdout); err == nil || !strings.Contains(err.Error(), "did you mean always?") {
		t.Error(err)
	}
}
