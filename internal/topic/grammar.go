package topic

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// checkMatchers refuses a filter policy for how it is written, with AWS's texts, which end with how far its parser had read. What it lets through is
// looked at by the pattern.
func checkMatchers(text string) error {
	var small bytes.Buffer // AWS writes the policy without blanks first
	if json.Compact(&small, []byte(text)) != nil {
		return errors.New("FilterPolicy: failed to parse JSON.")
	}
	r := &policyReader{text: small.String(), d: json.NewDecoder(bytes.NewReader(small.Bytes()))}
	r.d.UseNumber()
	r.next()
	if r.object(); r.err == nil && r.failed != "" {
		r.err = errors.New("FilterPolicy: " + r.failed)
	}
	return r.err
}

// policyReader reads a policy token by token. The first thing that is wrong is failed, or err where nothing is said of the place.
type policyReader struct {
	text   string
	d      *json.Decoder
	token  json.Token
	start  int // of token
	failed string
	err    error
}

// done says that there is nothing more to check.
func (r *policyReader) done() bool { return r.failed != "" || r.err != nil }

func (r *policyReader) next() json.Token {
	r.start = int(r.d.InputOffset())
	for r.start < len(r.text) && strings.IndexByte(",:", r.text[r.start]) >= 0 {
		r.start++
	}
	var err error
	if r.token, err = r.d.Token(); err != nil { // the text was valid
		r.err = errors.New("FilterPolicy: failed to parse JSON.")
	}
	return r.token
}

// place is how far AWS's parser has read with the present token: of a text as a value only its first sign.
func (r *policyReader) place() int {
	if _, is := r.token.(string); is {
		return r.start + 1
	}
	return int(r.d.InputOffset())
}

func (r *policyReader) fail(place int, format string, a ...any) {
	if !r.done() {
		r.failed = fmt.Sprintf(format, a...) + "\n at [Source: (String)" + strconv.Quote(r.text) + "; line: 1, column: " + strconv.Itoa(place+1) + "]"
	}
}

// name reads the name of a member, and the token of its value with it, as AWS's parser does; ok is false at the end of the object.
func (r *policyReader) name() (name string, ok bool) {
	name, ok = r.next().(string)
	if ok {
		r.next()
	}
	return name, ok && !r.done()
}

// object reads the rest of an object.
func (r *policyReader) object() {
	for {
		name, ok := r.name()
		if !ok {
			return
		}
		switch r.token {
		case json.Delim('{'):
			r.object()
		case json.Delim('['):
			r.values(name == "$or")
		default:
			r.fail(r.place(), "%q must be an object or an array", name)
		}
	}
}

// values reads the rest of a list: of values and matchers, or of $or's policies.
func (r *policyReader) values(or bool) {
	for n := 0; !r.done(); n++ {
		switch r.next() {
		case json.Delim(']'):
			if n == 0 {
				r.fail(r.place(), "Empty arrays are not allowed")
			}
			return
		case json.Delim('{'):
			if or {
				r.object()
			} else {
				r.matcher()
			}
		case json.Delim('['):
			r.fail(r.place(), "Match value must be String, number, true, false, or null")
		}
	}
}

// matcher reads the rest of an object with an operator.
func (r *policyReader) matcher() {
	operator, ok := r.name()
	if !ok {
		return
	}
	switch operator {
	case "prefix", "suffix", "equals-ignore-case":
		r.needText(operator)
	case "exists":
		if _, is := r.token.(bool); !is {
			r.fail(r.place(), "exists match pattern must be either true or false.")
		}
	case "anything-but":
		r.anythingBut()
	case "numeric":
		if r.token == json.Delim('[') {
			r.numeric()
		}
	case "cidr":
		if r.needText("prefix"); !r.done() { // so AWS calls it
			r.err = checkCIDR(r.token.(string))
		}
	case "wildcard":
		r.needText(operator)
	default:
		r.fail(r.place(), "Unrecognized match type %s", operator)
	}
	if r.done() {
		return
	}
	if _, more := r.name(); more {
		r.fail(r.place(), "Only one key allowed in match expression")
	}
}

func (r *policyReader) needText(operator string) {
	if _, is := r.token.(string); !is {
		r.fail(r.place(), "%s match pattern must be a string", operator)
	}
}

func (r *policyReader) anythingBut() {
	switch r.token {
	case json.Delim('['):
		for !r.done() && r.next() != json.Delim(']') {
			if _, nested := r.token.(json.Delim); nested {
				r.fail(r.place(), "Inside anything but list, start|null|boolean is not supported.")
			}
		}
	case json.Delim('{'):
		operator, ok := r.name()
		if !ok {
			return
		}
		if operator != "prefix" {
			r.fail(r.place(), "Unsupported anything-but pattern: %s", operator)
			return
		}
		if r.needText(operator); r.done() {
			return
		}
		if _, more := r.name(); more {
			r.fail(r.place(), "Only one key allowed in match expression")
		}
	}
}

// numeric reads the rest of a list of operators and numbers.
func (r *policyReader) numeric() {
	shown := func() string {
		if d, is := r.token.(json.Delim); is {
			return d.String()
		}
		if r.token == nil {
			return "null"
		}
		return fmt.Sprint(r.token)
	}
	first, is := r.next().(string)
	if !is {
		r.fail(r.place(), "Invalid member in numeric match: %s", shown())
		return
	}
	bottom, isNumber := r.next().(json.Number)
	switch first {
	case "<", "<=", "=", ">", ">=":
	default:
		r.fail(r.place(), "Unrecognized numeric range operator: %s", first)
		return
	}
	if !isNumber {
		if first == "=" {
			first = "equals"
		}
		r.fail(r.place(), "Value of %s must be numeric", first)
		return
	}
	if r.next() == json.Delim(']') {
		return
	}
	if first != ">" && first != ">=" {
		r.fail(r.place(), "Too many elements in numeric expression")
		return
	}
	second, is := r.token.(string)
	switch {
	case !is:
		r.fail(r.place(), "Bad value in numeric range: %s", shown())
		return
	case second != "<" && second != "<=":
		r.fail(int(r.d.InputOffset()), "Bad numeric range operator: %s", second)
		return
	}
	top, isNumber := r.next().(json.Number)
	if !isNumber {
		r.fail(r.place(), "Value of %s must be numeric", second)
		return
	}
	if r.next() != json.Delim(']') {
		r.fail(r.place(), "Too many terms in numeric range expression")
		return
	}
	low, _ := bottom.Float64() // numbers of JSON; what is too large is infinite
	high, _ := top.Float64()
	if high <= low {
		r.fail(r.place(), "Bottom must be less than top")
	}
}

// checkCIDR has AWS's texts, which do not say where.
func checkCIDR(text string) error {
	address, bits, some := strings.Cut(text, "/")
	if !some || strings.Contains(bits, "/") {
		return errors.New("FilterPolicy: Malformed CIDR, one '/' required")
	}
	if _, err := strconv.Atoi(bits); err != nil {
		return errors.New("FilterPolicy: Malformed CIDR, mask bits must be an integer")
	}
	if _, err := netip.ParseAddr(address); err != nil {
		return errors.New("FilterPolicy: Nonstandard IP address: " + address)
	}
	return nil
}
