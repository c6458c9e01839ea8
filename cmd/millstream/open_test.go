package main

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

func TestMessage(t *testing.T) {
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
