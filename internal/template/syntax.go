package template

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

// errNotText is what a file is refused with that holds no text.
var errNotText = errors.New("this is no text: name a template, which is a file of YAML or JSON")

// notText says that a file is none of text. YAML may be in UTF-16, which begins with a mark.
func notText(body []byte) bool {
	if bytes.HasPrefix(body, []byte("\xff\xfe")) || bytes.HasPrefix(body, []byte("\xfe\xff")) {
		return false
	}
	return !utf8.Valid(body) || bytes.IndexByte(body, 0) >= 0
}

// yamlPlace is where the reader of YAML gave up.
var yamlPlace = regexp.MustCompile(`^(?:yaml: )?(?:.*: )?line (\d+)(?:, column \d+)?: (.*)`)

// yamlFault says what is wrong with the form of a text that the reader of YAML did not accept. The reader says it in
// its own words, which name what it expected and not what is there.
func yamlFault(body []byte, err error) error {
	m := yamlPlace.FindStringSubmatch(err.Error())
	if m == nil {
		return fmt.Errorf("neither YAML nor JSON: %s", strings.TrimPrefix(err.Error(), "yaml: "))
	}
	line, _ := strconv.Atoi(m[1])
	said := m[2]
	there := ""
	if lines := bytes.Split(body, []byte("\n")); line >= 1 && line <= len(lines) {
		there = string(bytes.TrimRight(lines[line-1], "\r"))
	}
	blank := there[:len(there)-len(strings.TrimLeft(there, " \t"))]
	switch {
	case strings.Contains(blank, "\t"):
		return lineError(line, "the line is indented by a tab; YAML wants spaces")
	case strings.Contains(said, "unexpected end of stream"), strings.TrimSpace(there) == "":
		return lineError(line, "the text ends within a quotation, a bracket or a brace that was opened and is not closed (%s)", said)
	}
	return lineError(line, "%q is not YAML here: look at how far it is indented, and for a colon, a quotation mark or a bracket that is missing in it or above (%s)",
		strings.TrimSpace(there), said)
}

// jsonFault says what is wrong with a text that is to be JSON; nil when nothing is. The reader of YAML would accept more.
func jsonFault(body []byte) error {
	body = bytes.TrimPrefix(body, []byte("\xef\xbb\xbf"))
	var any json.RawMessage
	var fault *json.SyntaxError
	if !errors.As(json.Unmarshal(body, &any), &fault) || len(bytes.TrimSpace(body)) == 0 {
		return nil
	}
	before := body[:min(int(fault.Offset), len(body))]
	said := fault.Error()
	last := bytes.TrimRight(before, " \t\r\n")
	switch {
	case strings.Contains(said, "unexpected end"):
		said = "the text ends within something that was opened and is not closed"
	case bytes.HasSuffix(last, []byte("}")) || bytes.HasSuffix(last, []byte("]")):
		if bytes.HasSuffix(bytes.TrimRight(last[:len(last)-1], " \t\r\n"), []byte(",")) {
			said = fmt.Sprintf("there is a comma before %c with nothing behind it", last[len(last)-1])
		}
	case strings.Contains(said, "after object key:value pair"), strings.Contains(said, "after array element"):
		said = "a comma is missing before this: " + said
	}
	return lineError(1+bytes.Count(last, []byte("\n")), "this is not JSON: %s", said)
}
