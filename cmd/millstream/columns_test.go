package main

import (
	"bytes"
	"fmt"
	"testing"
)

// On a terminal a table's lines end at its edge, and UUIDs are beginnings; elsewhere all of it is there.
func TestColumnsFitTheTerminal(t *testing.T) {
	const uuid = "6e224bbf-0324-480e-b015-8b7c2d3287e4"
	for width, want := range map[int]string{
		0:  "UUID                                  LAST RESULT\n6e224bbf-0324-480e-b015-8b7c2d3287e4  PROBLEM: näh\n",
		20: "UUID      LAST RESU…\n6e224bbf  PROBLEM: …\n",
		80: "UUID      LAST RESULT\n6e224bbf  PROBLEM: näh\n",
	} {
		var out bytes.Buffer
		c := newColumnsOf(&out, width)
		fmt.Fprintf(c, "UUID\tLAST RESULT\n%s\tPROBLEM: näh\n", c.short(uuid))
		if err := c.Flush(); err != nil || out.String() != want {
			t.Errorf("width %d: %v\n%s", width, err, out.String())
		}
	}
}
