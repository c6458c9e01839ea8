package differences

import (
	"fmt"
	"strings"
)

// Features are what of the API is asked for.
type Features uint

// Each is one bit.
const (
	Streams Features = 1 << iota
	Indexes
	Transactions
	Legacy
	PartiQL
	TTL
	Tags
)

var featureNames = []string{"streams", "indexes", "transactions", "legacy", "partiql", "ttl", "tags"}

// Landed are the features that Millstream has.
const Landed = Streams | Indexes | Transactions | Legacy | PartiQL | TTL | Tags

func (f Features) has(one Features) bool { return f&one != 0 }

func (f Features) String() string {
	var on []string
	for i, name := range featureNames {
		if f.has(1 << i) {
			on = append(on, name)
		}
	}
	return strings.Join(on, ",")
}

// ParseFeatures reads a comma-separated list; "landed" and "all" name sets.
func ParseFeatures(text string) (Features, error) {
	var f Features
next:
	for part := range strings.SplitSeq(text, ",") {
		switch part {
		case "":
			continue
		case "landed":
			f |= Landed
			continue
		case "all":
			f |= 1<<len(featureNames) - 1
			continue
		}
		for i, name := range featureNames {
			if part == name {
				f |= 1 << i
				continue next
			}
		}
		return 0, fmt.Errorf("unknown feature %q: know %s, landed, all", part, strings.Join(featureNames, ", "))
	}
	return f, nil
}
