package main

import (
	"os"
	"regexp"
	"strconv"
	"testing"
)

// Code that is not used is given back, and what is used goes on.
func TestTrim(t *testing.T) {
	mapped := func() int {
		status, err := os.ReadFile("/proc/self/status")
		if err != nil {
			t.Fatal(err)
		}
		m := regexp.MustCompile(`RssFile:\s+(\d+) kB`).FindSubmatch(status)
		if m == nil {
			t.Skip("the kernel does not tell how much of files is mapped")
		}
		n, err := strconv.Atoi(string(m[1]))
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	before := mapped()
	trim()
	if after := mapped(); after > before-1024 {
		t.Errorf("%d kB of files are mapped, %d before", after, before)
	}
}
