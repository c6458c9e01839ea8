package differences

import (
	_ "embed"
	"fmt"
	"regexp"
	"strings"
	"sync"
)

//go:embed rows.txt
var rowsText string

// row is one error that AWS's API answers.
type row struct {
	id    string // section and name
	needs Features
	code  string
	text  *regexp.Regexp
}

// rows are all errors that are counted.
var rows = sync.OnceValue(func() []row {
	var out []row
	for line := range strings.Lines(rowsText) {
		line = strings.TrimSuffix(line, "\n")
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		columns := strings.Split(line, "\t")
		needs, err := ParseFeatures(strings.Trim(columns[1], "-"))
		if err != nil {
			panic(fmt.Sprintf("rows.txt: %s: %v", columns[0], err))
		}
		out = append(out, row{id: columns[0], needs: needs, code: columns[2], text: regexp.MustCompile(columns[3])})
	}
	return out
})

// rowsOf returns the indexes of the rows that an answer is one of, by itself or by an
// error of one of its statements.
func rowsOf(a *Answer) []int {
	var out []int
	find := func(code, text string) {
		for i, r := range rows() {
			if r.code == code && (r.text.MatchString(text) || r.text.MatchString(bare(text))) {
				out = append(out, i)
			}
		}
	}
	if a.failed() {
		find(a.code(), a.Message)
	}
	body, _ := a.Body.(object)
	responses, _ := body["Responses"].(list) // of a batch of items it is an object
	for _, r := range responses {
		response, _ := r.(object)
		if e, ok := response["Error"].(object); ok && e["Code"] == "ValidationError" {
			text, _ := e["Message"].(string)
			find("ValidationException", text)
		}
	}
	return out
}
