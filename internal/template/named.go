package template

import (
	"slices"
	"strconv"
	"strings"
)

// Of queues and topics a deployment takes back what the template named before and names no more, as CloudFormation does, and leaves what somebody else
// has set. So it is kept, one a line, what a template has named.

// remembered is a step of which later deployments have to know what the template names.
type remembered interface {
	// named lists the properties and the tags.
	named() (properties, tags map[string]string)
}

func propertiesOf(s step) string {
	r, ok := s.(remembered)
	if !ok {
		return ""
	}
	properties, tags := r.named()
	lines := sortedKeys(properties)
	for _, key := range sortedKeys(tags) {
		lines = append(lines, tagLine(key))
	}
	return strings.Join(lines, "\n")
}

func tagLine(key string) string { return "Tags " + strconv.Quote(key) }

// BothProperties is what one or the other of two lists has.
func BothProperties(a, b string) string {
	lines := slices.DeleteFunc(append(strings.Split(a, "\n"), strings.Split(b, "\n")...), func(line string) bool { return line == "" })
	slices.Sort(lines)
	return strings.Join(slices.Compact(lines), "\n")
}

// had reports whether earlier deployments have named a property, or a tag's line, of the resource under way.
func (d *deployment) had(line string) bool {
	return slices.Contains(strings.Split(d.before, "\n"), line)
}

// retag compares tags: those that the template named before and does not name now go.
func (d *deployment) retag(is, want map[string]string) (set map[string]string, gone []string) {
	set = map[string]string{}
	for key, value := range want {
		if now, ok := is[key]; !ok || now != value {
			set[key] = value
		}
	}
	for _, key := range sortedKeys(is) {
		if _, wanted := want[key]; !wanted && d.had(tagLine(key)) {
			gone = append(gone, key)
		}
	}
	return set, gone
}
