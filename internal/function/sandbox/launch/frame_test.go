package launch

import (
	"slices"
	"testing"
)

// Fields come back as they were, and what is no frame does no harm.
func TestFrames(t *testing.T) {
	for _, want := range [][]string{{End}, {Start, "1", "", "a b\n"}, {""}} {
		frame := AppendFrame([]byte("before"), want...)[len("before"):]
		if n := Length([4]byte(frame[:4])); n != len(frame)-4 {
			t.Errorf("%q: length %d of %d", want, n, len(frame)-4)
		}
		if got := Fields(frame[4:]); !slices.Equal(got, want) {
			t.Errorf("%q came back as %q", want, got)
		}
	}
	if n := Length([4]byte{255, 255, 255, 255}); n != -1 {
		t.Errorf("four gigabytes have the length %d", n)
	}
	if got := Fields([]byte("cut off")); got != nil {
		t.Errorf("half a field is %q", got)
	}
}
