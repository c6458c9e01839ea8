package main

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"
)

// On a terminal a table fits the width and nothing of it is lost; elsewhere each row is one line.
func TestColumnsFitTheTerminal(t *testing.T) {
	const uuid = "6e224bbf-0324-480e-b015-8b7c2d3287e4"
	for width, want := range map[int]string{
		0:  "UUID                                  STATE    LAST RESULT\n6e224bbf-0324-480e-b015-8b7c2d3287e4  blocked  FAILED on o-1: there is no article näh for it\n",
		80: "UUID      STATE    LAST RESULT\n6e224bbf  blocked  FAILED on o-1: there is no article näh for it\n",
		50: "UUID      STATE    LAST RESULT\n6e224bbf  blocked  FAILED on o-1: there is no\n                   article näh for it\n",
		30: "UUID      STATE\n    LAST RESULT\n6e224bbf  blocked\n    FAILED on o-1: there is no\n    article näh for it\n",
	} {
		var out bytes.Buffer
		c := newColumnsOf(&out, width)
		fmt.Fprintf(c, "UUID\tSTATE\tLAST RESULT\n%s\tblocked\tFAILED on o-1: there is no article näh for it\n", c.short(uuid))
		if err := c.Flush(); err != nil || out.String() != want {
			t.Errorf("width %d: %v\n%s", width, err, out.String())
		}
		for line := range strings.Lines(out.String()) {
			if n := utf8.RuneCountInString(line) - 1; width > 0 && n > width {
				t.Errorf("width %d: a line has %d characters", width, n)
			}
		}
	}
}

// A row that tells of a failure is red where there are colours, and the others are not.
func TestFailedRowsAreRed(t *testing.T) {
	var out bytes.Buffer
	c := newColumnsOf(&out, 0)
	c.red = true
	fmt.Fprint(c, "A\tB\n1\tOK\n")
	fmt.Fprint(c, "2\tFAILED\n")
	c.failed()
	if err := c.Flush(); err != nil || out.String() != "A  B\n1  OK\n\x1b[31m2  FAILED\x1b[0m\n" {
		t.Errorf("%q", out.String())
	}
}
