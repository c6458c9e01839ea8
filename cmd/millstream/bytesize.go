package main

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// byteSize is a flag's number of bytes: plain, or with K, M, G or T (powers of 1024)
// and, if one likes, B or iB behind it.
type byteSize int64

var byteUnits = []string{"", "K", "M", "G", "T"}

// Set implements pflag.Value.
func (b *byteSize) Set(text string) error {
	number := strings.ToUpper(strings.TrimSpace(text))
	if rest, found := strings.CutSuffix(number, "B"); found {
		number = strings.TrimSuffix(rest, "I")
	}
	shift := 0
	for i, unit := range byteUnits[1:] {
		if rest, found := strings.CutSuffix(number, unit); found {
			number, shift = rest, 10*(i+1)
			break
		}
	}
	n, err := strconv.ParseInt(strings.TrimSpace(number), 10, 64)
	if err != nil || n < 0 || n > math.MaxInt64>>shift {
		return fmt.Errorf("%q is no number of bytes, such as 1000000, 500MB or 10GB", text)
	}
	*b = byteSize(n << shift)
	return nil
}

// String implements pflag.Value.
func (b *byteSize) String() string {
	n, unit := int64(*b), 0
	for n != 0 && n%1024 == 0 && unit < len(byteUnits)-1 {
		n, unit = n/1024, unit+1
	}
	return strconv.FormatInt(n, 10) + byteUnits[unit] + "B"
}

// Type implements pflag.Value.
func (b *byteSize) Type() string { return "bytes" }

// logCap is the flag as Options have it, where 0 stands for the default.
func logCap(b byteSize) int64 {
	if b == 0 {
		return -1
	}
	return int64(b)
}
