package docs_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Each threat of security.md's table has a test, in the package that the table names.
func TestEachThreatHasItsTest(t *testing.T) {
	_, table, ok := strings.Cut(page(t, "security.md"), "| who, from where | what it must not reach | defence | test |\n|---|---|---|---|\n")
	if !ok {
		t.Fatal("security.md has no table of threats")
	}
	named := regexp.MustCompile("`([a-z0-9/]+)` |\\b(Test[A-Z]\\w+|Fuzz[A-Z]\\w+)")
	rows := 0
	for row := range strings.Lines(table) {
		if !strings.HasPrefix(row, "|") {
			break
		}
		rows++
		cells := strings.Split(strings.Trim(strings.TrimSpace(row), "|"), " | ")
		if len(cells) != 4 {
			t.Errorf("a row has %d cells: %s", len(cells), row)
			continue
		}
		folder, tests := "", 0
		for _, m := range named.FindAllStringSubmatch(cells[3], -1) {
			if m[1] != "" {
				if folder = "../internal/" + m[1]; !is(folder) {
					folder = "../" + m[1]
				}
				continue
			}
			if tests++; !declares(t, folder, m[2]) {
				t.Errorf("%s: there is no %s in %s", strings.TrimSpace(cells[0]), m[2], folder)
			}
		}
		if tests == 0 {
			t.Errorf("%s has no test", strings.TrimSpace(cells[0]))
		}
	}
	if rows < 15 {
		t.Errorf("the table has %d threats", rows)
	}
}

func is(folder string) bool {
	_, err := os.Stat(folder)
	return err == nil
}

func declares(t *testing.T, folder, test string) bool {
	t.Helper()
	names, err := filepath.Glob(folder + "/*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		source, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(source), "\nfunc "+test+"(") {
			return true
		}
	}
	return false
}
