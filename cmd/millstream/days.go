package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// days is a flag's time, which may be days, such as 7d or 1.5d, or what Go knows, such as 36h.
type days time.Duration

const day = 24 * time.Hour

// Set implements pflag.Value.
func (d *days) Set(text string) error {
	if number, ok := strings.CutSuffix(text, "d"); ok {
		n, err := strconv.ParseFloat(number, 64)
		if err != nil || !(n >= 0 && n <= 36500) {
			return fmt.Errorf("%q is no time, such as 7d or 36h", text)
		}
		*d = days(n * float64(day))
		return nil
	}
	v, err := time.ParseDuration(text)
	if err != nil || v < 0 {
		return fmt.Errorf("%q is no time, such as 7d or 36h", text)
	}
	*d = days(v)
	return nil
}

// String implements pflag.Value.
func (d *days) String() string { return inDays(time.Duration(*d)) }

// Type implements pflag.Value.
func (d *days) Type() string { return "duration" }

// inDays writes a time in days, when it is a whole number of them.
func inDays(d time.Duration) string {
	if d > 0 && d%day == 0 {
		return strconv.Itoa(int(d/day)) + "d"
	}
	return d.String()
}
