package request

import (
	"strconv"
	"strings"

	"github.com/millstreamdb/millstream/internal/awserr"
)

// maxViolations is how many violations AWS lists, and counts, in one answer.
const maxViolations = 10

// violations gathers what the constraints of a request's shape find, in the
// order of the calls; AWS reports them together, in a fixed order for each operation.
type violations struct {
	list   []string
	prefix string // of all paths
}

func violation(value, path, constraint string) string {
	return "Value '" + value + "' at '" + path + "' failed to satisfy constraint: " + constraint
}

func (v *violations) add(value, path, constraint string) {
	v.append(violation(value, v.prefix+path, constraint))
}

func (v *violations) append(violation string) {
	if len(v.list) < maxViolations {
		v.list = append(v.list, violation)
	}
}

// unvalued adds a violation in the form of AWS's newer framework, without value.
func (v *violations) unvalued(path, constraint string) {
	v.append("Value at '" + v.prefix + path + "' failed to satisfy constraint: " + constraint)
}

// null adds the violation of a required member that is absent.
func (v *violations) null(path string) {
	v.append("Value null at '" + v.prefix + path + "' failed to satisfy constraint: Member must not be null")
}

// enum adds a violation unless valid; set is the set as AWS prints it.
func (v *violations) enum(valid bool, value, path, set string) {
	if !valid {
		v.add(value, path, "Member must satisfy enum value set: "+set)
	}
}

// between checks a number in the form of the current layer, without value. max 0 means
// none.
func (v *violations) between(path string, value, min, max int64) {
	if value < min {
		v.unvalued(path, "Member must have value greater than or equal to "+strconv.FormatInt(min, 10))
	}
	if max > 0 && value > max {
		v.unvalued(path, "Member must have value less than or equal to "+strconv.FormatInt(max, 10))
	}
}

func (v *violations) atLeast(value, min int64, path string) {
	if value < min {
		constraint := "Member must have value greater than or equal to " + strconv.FormatInt(min, 10)
		v.add(strconv.FormatInt(value, 10), path, constraint)
	}
}

func (v *violations) atMost(value, max int64, path string) {
	if value > max {
		constraint := "Member must have value less than or equal to " + strconv.FormatInt(max, 10)
		v.add(strconv.FormatInt(value, 10), path, constraint)
	}
}

// length checks a number of elements or characters; show renders the value and
// is called for a violation only. max 0 means none.
func (v *violations) length(n, min, max int, path string, show func() string) {
	if n < min {
		v.add(show(), path, "Member must have length greater than or equal to "+strconv.Itoa(min))
	}
	if max > 0 && n > max {
		v.add(show(), path, "Member must have length less than or equal to "+strconv.Itoa(max))
	}
}

// text checks the length of a string, counted in characters as AWS does.
func (v *violations) text(s string, min, max int, path string) {
	v.length(characters(s), min, max, path, func() string { return s })
}

const namePattern = "Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+"

// name checks a table's or index's name: pattern before lengths.
func (v *violations) name(s string, min int, path string) {
	if !isName(s) {
		v.add(s, path, namePattern)
	}
	v.text(s, min, 255, path)
}

// err returns the aggregated ValidationException, nil when nothing was found.
func (v *violations) err() *awserr.Error {
	if len(v.list) == 0 {
		return nil
	}
	return awserr.Constraints(v.list)
}

// isName reports whether all of s matches [a-zA-Z0-9_.-]+.
func isName(s string) bool {
	for i := range len(s) {
		c := s[i]
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !letter && (c < '0' || c > '9') && c != '_' && c != '.' && c != '-' {
			return false
		}
	}
	return s != ""
}

// characters counts UTF-16 code units, the length that AWS's constraints mean.
func characters(s string) int {
	n := 0
	for _, c := range s {
		if c > 0xffff {
			n++
		}
		n++
	}
	return n
}

// showList renders a list of strings as Java prints it.
func showList(list []string) string { return "[" + strings.Join(list, ", ") + "]" }
