package counter

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"
)

// Every counter has a name of its own in each place, and a text.
func TestRows(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range Rows {
		for _, name := range []string{r.Name, r.Metric} {
			if seen[name] || strings.Contains(name, "__") {
				t.Errorf("%s is there twice, or empty", name)
			}
			seen[name] = true
		}
		if !strings.HasSuffix(r.Help, ".") {
			t.Errorf("%s: %q", r.Name, r.Help)
		}
		var c Mapping
		reflect.ValueOf(&c).Elem().Field(r.field).SetUint(7)
		b, err := json.Marshal(c)
		if err != nil || r.Of(&c) != 7 || !strings.Contains(string(b), `"`+r.Name+`":7`) {
			t.Errorf("%s: %s, %v", r.Name, b, err)
		}
	}
}

func TestAdd(t *testing.T) {
	var c, d Mapping
	for i, r := range Rows {
		reflect.ValueOf(&c).Elem().Field(r.field).SetUint(uint64(i))
		reflect.ValueOf(&d).Elem().Field(r.field).SetUint(100)
	}
	c.CallTimes.Add(time.Millisecond)
	d.CallTimes.Add(time.Millisecond)
	c.Add(d)
	if c.CallTimes != (CallTimes{3: 2}) {
		t.Errorf("%v", c.CallTimes)
	}
	for i, r := range Rows {
		if r.Of(&c) != uint64(i)+100 {
			t.Errorf("%s: %d", r.Name, r.Of(&c))
		}
	}
}

// What is said of calls is right to the width of an element, and calls before a moment are taken off.
func TestCallTimes(t *testing.T) {
	var c CallTimes
	if c.At(0.5) >= 0 {
		t.Error("a time without calls")
	}
	for _, ms := range []int{-1, 0, 1, 3, 100, 3_600_000} {
		before := c
		c.Add(time.Duration(ms) * time.Millisecond)
		one := c.Sub(before)
		low, high := time.Duration(ms)*time.Millisecond/2, time.Duration(max(0, ms))*2*time.Millisecond+250*time.Microsecond
		if at := one.At(0.99); ms < 3_600_000 && (at < low || at > high) {
			t.Errorf("a call of %d ms is said to take %v", ms, at)
		}
	}
	if b, err := json.Marshal(CallTimes{1: 5}); err != nil || string(b) != "[0,5]" {
		t.Errorf("%s, %v", b, err)
	}
	if c.Sub(CallTimes{0: 1000}) != c {
		t.Error("after a restart all are new")
	}
	var d CallTimes
	for ms := range 1000 {
		d.Add(time.Duration(ms) * time.Millisecond)
	}
	if m, n := d.At(0.5), d.At(0.99); m < 450*time.Millisecond || m > 550*time.Millisecond || n < 900*time.Millisecond || n > 1100*time.Millisecond {
		t.Errorf("of 0 to 999 ms: %v, %v", m, n)
	}
}
