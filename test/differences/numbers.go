package differences

import (
	"regexp"
	"strconv"
	"strings"
)

var decimal = regexp.MustCompile(`^([+-]?)([0-9]*)\.?([0-9]*)(?:[eE]([+-]?[0-9]+))?$`)

// plainNumbers returns the tree with every number in plain decimal form.
func plainNumbers(tree any) any {
	switch v := tree.(type) {
	case object:
		for name, member := range v {
			switch text := member.(type) {
			case string:
				if name == "N" && len(v) == 1 {
					v[name] = plain(text)
				}
			case list:
				if name == "NS" && len(v) == 1 {
					for i, e := range text {
						if number, ok := e.(string); ok {
							text[i] = plain(number)
						}
					}
					v[name] = sorted(text)
					continue
				}
				v[name] = plainNumbers(text)
			default:
				v[name] = plainNumbers(member)
			}
		}
	case list:
		for i, member := range v {
			v[i] = plainNumbers(member)
		}
	}
	return tree
}

// plain writes a decimal number without exponent and without zeros that say nothing.
func plain(text string) string {
	m := decimal.FindStringSubmatch(text)
	if m == nil || m[2]+m[3] == "" {
		return text
	}
	exponent := 0
	if m[4] != "" {
		var err error
		if exponent, err = strconv.Atoi(m[4]); err != nil || exponent > 200 || exponent < -200 {
			return text
		}
	}
	digits, point := m[2]+m[3], len(m[2])+exponent
	if point > len(digits) {
		digits += strings.Repeat("0", point-len(digits))
	}
	if point < 0 {
		digits, point = strings.Repeat("0", -point)+digits, 0
	}
	whole := strings.TrimLeft(digits[:point], "0")
	fraction := strings.TrimRight(digits[point:], "0")
	if whole == "" {
		whole = "0"
	}
	out := whole
	if fraction != "" {
		out += "." + fraction
	}
	if m[1] == "-" && out != "0" {
		out = "-" + out
	}
	return out
}
