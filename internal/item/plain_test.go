package item

import (
	"bytes"
	"testing"
)

// What needs an escape is found at each place of texts of each length around the words that are looked at together.
func TestPlain(t *testing.T) {
	for n := range 100 {
		for at := range n + 1 {
			for _, c := range []byte{0, '\n', 0x1f, '"', '\\', 0x80, 0xff} {
				s := bytes.Repeat([]byte("~"), n)
				if at < n {
					s[at] = c
				}
				if got := plain(s); got != at {
					t.Fatalf("of %d bytes the first %d are plain, found %d (%#x)", n, at, got, c)
				}
			}
		}
	}
}
