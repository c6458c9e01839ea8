package function

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

// tracingActive is the TracingConfig by which a function begins traces of its own.
const tracingActive = "Active"

// traceHeader returns the X-Ray trace header of a call: the trace that the caller gave goes on, or a
// new one begins, which is sampled when the function's tracing is active. AWS's documents give the
// form; what it does not know in a header is left out.
func traceHeader(given string, active bool, now time.Time) string {
	var root, parent, sampled, lineage string
	for field := range strings.SplitSeq(given, ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(field), "=")
		switch name {
		case "Root":
			if isTraceRoot(value) {
				root = value
			}
		case "Parent":
			if isHex(value, 16) {
				parent = value
			}
		case "Sampled":
			if value == "0" || value == "1" {
				sampled = value
			}
		case "Lineage":
			if len(value) <= 100 {
				lineage = value
			}
		}
	}
	if root == "" {
		root, parent = fmt.Sprintf("1-%08x-%016x%08x", uint32(now.Unix()), rand.Uint64(), rand.Uint32()), ""
	}
	if parent == "" || active { // the service's own segment stands between
		parent = fmt.Sprintf("%016x", rand.Uint64())
	}
	if sampled == "" {
		sampled = "0"
		if active {
			sampled = "1"
		}
	}
	header := "Root=" + root + ";Parent=" + parent + ";Sampled=" + sampled
	if lineage != "" {
		header += ";Lineage=" + lineage
	}
	return header
}

// isTraceRoot tells the id of a trace: a version, seconds, and 96 bits.
func isTraceRoot(s string) bool {
	return len(s) == 35 && strings.HasPrefix(s, "1-") && isHex(s[2:10], 8) && s[10] == '-' && isHex(s[11:], 24)
}

func isHex(s string, n int) bool {
	return len(s) == n && strings.Trim(s, "0123456789abcdef") == ""
}
