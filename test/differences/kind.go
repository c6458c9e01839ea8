package differences

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// particular are the parts of a text that differ from request to request.
var particular = regexp.MustCompile("'[^']*'|\"[^\"]*\"|\\{[^{}]*\\}|\\[[^\\[\\]]*\\]|[0-9]+|(: |#)[A-Za-z_.:#-]+$")

// kind tells differences apart without what is particular to one request.
func (d *Difference) kind() string {
	if d.rest != nil {
		return d.rest.kind()
	}
	if !d.Mine.failed() && !d.Other.failed() {
		paths := differing("", d.Mine.Body, d.Other.Body)
		slices.Sort(paths)
		return d.Request.Op + " " + strings.Join(slices.Compact(paths), " ")
	}
	return d.Request.Op + " | " + d.Mine.kind() + " | " + d.Other.kind()
}

func (a *Answer) kind() string {
	if !a.failed() {
		return "ok"
	}
	text := a.code() + " " + particular.ReplaceAllString(a.Message, "*")
	return text[:min(len(text), 160)]
}

// differing returns the places at which two trees differ.
func differing(at string, one, two any) []string {
	if bytes.Equal(encode(one), encode(two)) {
		return nil
	}
	if a, ok := one.(object); ok {
		if b, ok := two.(object); ok {
			var out []string
			for _, name := range names(with(a, b)) {
				left, inLeft := a[name]
				right, inRight := b[name]
				place := at + "." + name
				switch {
				case !inLeft:
					out = append(out, place+" of the other alone")
				case !inRight:
					out = append(out, place+" of millstream alone")
				default:
					out = append(out, differing(place, left, right)...)
				}
			}
			return out
		}
	}
	if a, ok := one.(list); ok {
		if b, ok := two.(list); ok && len(a) == len(b) {
			var out []string
			for i := range a {
				out = append(out, differing(at+"[]", a[i], b[i])...)
			}
			return out
		}
	}
	return []string{fmt.Sprintf("%s %.40s or %.40s", at, particular.ReplaceAll(encode(one), []byte("*")), particular.ReplaceAll(encode(two), []byte("*")))}
}
